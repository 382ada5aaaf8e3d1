"""One flipped byte in every file of a folder (R31), for each kind of run: found, and said.

The folders are made by the commands themselves. A byte at the start, in the middle and at the end
of each file is changed, one at a time; in the slow test `COUNTERPOINT_FLIPS` others at random, too.
"""

import os
import random
import shutil

import pytest

from counterpoint.cli.main import main
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import read_run

SMALL = "hidden=8 copies=2 steps=16"
KINDS = {
    "exact": "compare regions --schemes grpo,mappo_pooled --seeds 2 --set updates=3 --out {}",
    "ppo": f"train spread --budget 96 --set {SMALL} --out {{}}",
    "values": "train spread --algorithm iql --budget 400 --out {}",
    "language": "train lewis --policy tiny --budget 3 --out {}",
    "compare": "compare spread --schemes grpo,mappo_pooled --seeds 2 --budget 64 "
    f"--executor serial --set {SMALL} --out {{}}",
    "population": "population smooth --members 1,2 --budget 64 --repeats 2 --executor serial "
    "--out {}",
    "sweep": "sweep spread --over lr=0.001,0.01 --trials 2 --seeds 1 --fresh 2 --budget 64 "
    f"--executor serial --set {SMALL} --out {{}}",
}
FAST = ("exact", "ppo", "language", "compare", "population")
SLOW_FLIPS = int(os.environ.get("COUNTERPOINT_FLIPS", "12"))
"""Bytes of each file in the slow test, besides its first and last ones."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Kind to a folder that its command made, with a page; made when it is asked for."""
    root, known = tmp_path_factory.mktemp("kinds"), {}

    def folder(kind):
        if kind not in known:
            known[kind] = root / kind
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("COUNTERPOINT_HOME", str(root / "home"))
                patch.setattr(os, "fsync", lambda handle: None)
                assert main(KINDS[kind].format(known[kind]).split()) == 0
                assert main(["report", str(known[kind])]) == 0
        return known[kind]

    return folder


def files_of(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def places(size, count, rng):
    """The first, the middle and the last byte, and others at random."""
    ends = {0, size // 2, size - 1} if size else set()
    return sorted(ends | {rng.randrange(size) for _ in range(count if size else 0)})


def said(capsys, *words):
    """The exit status of a command and what it printed on standard error."""
    capsys.readouterr()
    return main([*words]), capsys.readouterr().err


def flips(folder, count, capsys):
    """Flip a byte at each place; how many flips there were. Each is said, with its file."""
    rng, done = random.Random(31), 0
    for path in files_of(folder):
        data, name = path.read_bytes(), str(path.relative_to(folder))
        at_all = False
        for place in places(len(data), count, rng):
            bad = bytearray(data)
            bad[place] ^= 1 << rng.randrange(7)
            path.write_bytes(bad)
            status, printed = said(capsys, "report", str(folder), "--out", os.devnull)
            # the parts of a checkpoint are named by its folder, and by the file if it is known
            named = path.name in printed or ("checkpoints" in name and str(path.parent) in printed)
            assert named, (name, place, printed)
            assert status in (0, 2)
            assert "Traceback" not in printed
            path.write_bytes(data)
            done += 1
            at_all = True
        assert at_all or not data, name
    return done


def quiet(folder, capsys):
    """Nothing is said of a folder that nobody changed."""
    status, printed = said(capsys, "report", str(folder))
    assert (status, printed.count("\n")) == (0, 0), printed


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch, no_fsync):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))


@pytest.mark.fault("R31")
@pytest.mark.parametrize("kind", FAST)
def test_each_flipped_byte_is_found_and_said(kind, made, capsys, in_memory, record_property):
    folder = in_memory / kind
    shutil.copytree(made(kind), folder)
    quiet(folder, capsys)
    found = flips(folder, 0, capsys)
    assert found == 3 * sum(f.stat().st_size > 2 for f in files_of(folder))
    record_property("cases", found)
    quiet(folder, capsys)


@pytest.mark.fault("R31")
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_of_many_flipped_bytes_is_found_and_said(
    kind, made, capsys, in_memory, record_property
):
    folder = in_memory / kind
    shutil.copytree(made(kind), folder)
    found = flips(folder, SLOW_FLIPS, capsys)
    assert found > 3 * len(files_of(folder))
    record_property("cases", found)


@pytest.mark.fault("R31")
@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "status.json", "seal.json"])
def test_resume_report_and_runs_name_the_file(name, made, capsys, in_memory):
    folder = in_memory / "ppo"
    shutil.copytree(made("ppo"), folder)
    data = bytearray((folder / name).read_bytes())
    data[data.index(b"0")] ^= 1
    (folder / name).write_bytes(data)
    for command in ("report", "resume"):
        status, printed = said(capsys, command, str(folder))
        assert status == 2
        assert len(printed.splitlines()) == 1
        assert f"{folder} is not as it was written: {name}: " in printed
    status, printed = said(capsys, "runs", "--here", str(in_memory))
    assert status == 0
    assert f"warning: {folder}: {name}: " in printed
    page = (folder / "report.html").read_bytes()
    shutil.copytree(made("exact"), in_memory / "exact")
    status, printed = said(capsys, "report", str(in_memory))  # the list leaves it out
    assert status == 0
    assert f"warning: {folder}: {name}: " in printed
    assert (folder / "report.html").read_bytes() == page
    status, printed = said(capsys, "resume", str(folder), "--accept-edits")
    assert status == 0
    assert f"accepted: {name}: " in printed
    quiet(folder, capsys)
    assert f"{name}: " in (folder / "report.html").read_text().split("<h1")[0]


@pytest.mark.fault("R31")
@pytest.mark.parametrize(
    ("kind", "field", "old", "new"),
    [
        ("ppo", "policy.hidden", '"hidden": 8', '"hidden": 16'),
        ("language", "language.rank", '"rank": 8', '"rank": 4'),
        ("language", "world", '"world": "lewis"', '"world": "schelling"'),
    ],
)
def test_an_edited_plan_is_no_traceback(kind, field, old, new, made, capsys, in_memory):
    """The checkpoint does not fit another team: one line, also where the edit is accepted."""
    folder = in_memory / kind
    with RunDirectory.create(folder, read_run(made(kind)).config):
        pass
    shutil.copytree(made(kind) / "checkpoints", folder / "checkpoints")
    text = (folder / "run.json").read_text()
    assert old in text
    (folder / "run.json").write_text(text.replace(old, new))
    assert said(capsys, "resume", str(folder))[0] == 2
    status, printed = said(capsys, "resume", str(folder), "--accept-edits")
    assert status == 2
    assert len(printed.splitlines()) == 2
    assert f"accepted: run.json: config.{field} is " in printed
    assert "checkpoint" in printed.splitlines()[-1]


@pytest.mark.fault("R31")
def test_an_edited_run_is_not_compared(made, capsys, in_memory):
    folder = in_memory / "compare"
    shutil.copytree(made("compare"), folder)
    run = folder / "runs" / "grpo-0"
    series = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl").write_bytes(series * 2)
    again = KINDS["compare"].format(folder).split()
    status, printed = said(capsys, *again)
    assert status == 2
    assert "metrics.jsonl: has 2 more after row 2, its last; remove " in printed
    assert said(capsys, "resume", str(run), "--accept-edits")[0] == 0
    status, printed = said(capsys, *again)
    assert status == 2
    assert "so that it cannot be compared: 20" in printed  # when it was accepted
    shutil.rmtree(run)
    assert said(capsys, *again)[0] == 0
    quiet(folder, capsys)


@pytest.mark.fault("R31")
def test_a_damaged_cell_is_made_again(made, capsys, in_memory):
    folder = in_memory / "population"
    shutil.copytree(made("population"), folder)
    cell = next((folder / "cells").iterdir())
    data = cell.read_bytes()
    changed = bytearray(data)
    place = max(i for i, byte in enumerate(data[:-90]) if chr(byte).isdigit())
    changed[place] ^= 1
    cell.write_bytes(changed)
    status, printed = said(capsys, *KINDS["population"].format(folder).split())
    assert status == 0
    assert f"warning: {cell} is not as it was written; it is made again" in printed
    assert cell.read_bytes() == data
