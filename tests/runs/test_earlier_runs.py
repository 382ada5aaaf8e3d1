"""Runs that an earlier version left in the middle are listed, continued and drawn by this one.

Each archive has a folder as version 0.1.0 left it when it was stopped or killed, and
beside it what the same version wrote when nothing stopped it.
"""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from counterpoint.cli.main import main

ARCHIVES = Path(__file__).parents[1] / "data" / "saved" / "runs"
SPREAD = "spread --schemes grpo,mappo_pooled --seeds 2 --budget 128 --executor serial"
SMALL = "--set hidden=8 --set copies=2 --set steps=16"
SMOOTH = "smooth --members 1,2 --budget 64 --repeats 2 --executor serial"
LATER_SETTINGS = {
    "update": "simultaneous", "observations": "raw", "images": "flat", "grayscale": False,
    "resize": 0, "frames": 1, "device": "cpu", "evaluate_every": 125,
    "sides": "none", "scoring": "match", "pool_share": 1.0, "pool_first": 0.5,
    "pool_every": 5, "pool_size": 8, "opponents": "uniform",
    "signalling": 0.0, "speakers": "", "entropy_end": None,
}  # fmt: skip
"""Settings of policies that the earlier version did not have, with the value that it meant."""
LATER_METRICS = {"decisions.listener": 8.0, "decisions.speaker": 8.0}
"""Metrics of each update of the saved training of language models that the earlier version did not
write, with their values."""
CLOCK = ("seconds", "per_second")
"""Parts of the names of columns that say how long something took."""


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(ARCHIVES / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name


def rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a series without the columns of the clock."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if not any(part in key for part in CLOCK)}
        for line in lines
    ]


def is_close(new: Any, old: Any) -> bool:
    """Returns whether two documents are equal up to the last digits of their numbers.

    They are equal bit for bit on the machine on which the archives were made; another one may add
    in another order. Keys that the earlier version did not write have to be null.
    """
    if isinstance(old, dict):
        return all(is_close(new.get(key), value) for key, value in old.items()) and all(
            new[key] is None for key in set(new) - set(old)
        )
    if isinstance(old, list):
        return len(new) == len(old) and all(map(is_close, new, old))
    if isinstance(old, float):
        return bool(new == pytest.approx(old, rel=1e-4, abs=1e-6, nan_ok=True))
    return bool(new == old)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["spread", "game", "lewis"])
def test_a_stopped_training_is_listed_continued_and_drawn(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    run = unpacked(name, tmp_path)
    before = rows(run / "metrics.jsonl")
    assert main(["runs", "--here", str(tmp_path), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["status"] == "stopped"
    assert main(["report", str(run)]) == 0
    assert main(["resume", str(run)]) == 0
    after, uninterrupted = rows(run / "metrics.jsonl"), rows(run / "uninterrupted.jsonl")
    assert 0 < len(before) < len(after) == len(uninterrupted)
    assert after[: len(before)] == before == uninterrupted[: len(before)]
    later = [{name: row.pop(name) for name in LATER_METRICS if name in row} for row in after]
    assert all(one == (LATER_METRICS if name == "lewis" else {}) for one in later[len(before) :])
    assert all(map(is_close, after, uninterrupted))
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert "</html>" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("command", "kept", "trusted"),
    [
        (f"compare {SPREAD} {SMALL}", "runs/*/checkpoints/*/tensors.safetensors", True),
        # these cells have no checksum, so that nobody can know whether a number was edited
        (f"population {SMOOTH}", "cells/*.json", False),
    ],
    ids=["compare", "population"],
)
def test_the_same_command_continues_what_was_killed(
    command, kept, trusted, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    words = command.split()
    run = unpacked(words[0], tmp_path)
    times = {path: path.stat().st_mtime_ns for path in run.glob(kept)}
    assert main([*words, "--out", str(run)]) == 0
    assert 0 < len(times) < len(list(run.glob(kept)))
    now = {path: path.stat().st_mtime_ns for path in times}
    said = capsys.readouterr().err.count("is not as it was written; it is made again")
    assert (now == times, said) == ((True, 0) if trusted else (False, len(times)))
    new = json.loads((run / "results.json").read_text())
    old = json.loads((run / "uninterrupted.json").read_text())
    settings = new["config"].get("settings", {})
    later = {name: settings.pop(name) for name in LATER_SETTINGS if name in settings}
    assert later in ({}, LATER_SETTINGS)
    new["config"].pop("given", None)  # what was typed: results have it for their command line
    for scheme in new.get("schemes", {}).values():  # the earlier version did not look at these
        assert scheme.pop("gained")["n"] == 2
        assert scheme.pop("doubts") == []
        for document in (new, old):
            document["verdict"].pop("headline", None)
            document["verdict"].pop("why", None)
    assert is_close(new, old)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_a_killed_team_is_drawn_and_ends_its_work(tmp_path, capsys):
    run = unpacked("team", tmp_path)
    assert main(["team", "status", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 1
    assert main(["resume", str(run), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["done"], result["tasks"], result["lost"]) == (2, 2, 1)
    assert "</html>" in (run / "report.html").read_text()
