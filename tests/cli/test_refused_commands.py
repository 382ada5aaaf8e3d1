"""A command that is refused leaves the result that lies in its folder as it was, seal included."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from counterpoint.cli.main import main

TALK = [{"role": "user", "content": "What is 6 times 7?"},
        {"role": "assistant", "name": "ann", "content": "It is 41."},
        {"role": "assistant", "name": "bob", "content": "I agree, it is 41."}]  # fmt: skip
LINES = {
    "compare": (
        "compare spread --schemes mappo_pooled --seeds 1 --budget 100 --workers 1 "
        "--set steps=25 copies=1",
        ["compare spread --schemes mappo_pooled --seeds 1 --budget 100 --set steps=50 copies=1",
         "compare spread --schemes nothing --seeds 1 --budget 100 --set steps=25 copies=1",
         "compare spread --schemes mappo_pooled --seeds 1 --budget 100 --set nothing=25"],
    ),
    "compare_exact": (
        "compare regions --seeds 1 --set updates=2 --workers 1",
        ["compare regions --seeds 1 --set updates=-2", "compare nowhere"],
    ),
    "population": (
        "population climbing --members 1 --budget 20 --repeats 2 --workers 1",
        ["population climbing --members 1 --budget 20 --set batch=0",
         "population climbing --members 0 --budget 20", "population climbing --budget 0"],
    ),
    "sweep": (
        "sweep spread --over lr=1e-4..1e-3 --trials 1 --seeds 1 --fresh 2 --budget 100 "
        "--set copies=1 hidden=4 --executor serial",
        ["sweep spread --over lr=1e-3..1e-1 --trials 1 --seeds 1 --fresh 2 --budget 100 "
         "--set copies=1 hidden=4 --executor serial",
         "sweep spread --over nothing=1e-3..1e-1 --trials 1 --budget 100",
         "sweep spread --over lr=1e-4..1e-3 --schemes nothing --trials 1 --budget 100"],
    ),
    "topology": (
        "topology hidden_profile --seeds 2 --items 4 --workers 1",
        ["topology hidden_profile --seeds 2 --items 0", "topology nowhere"],
    ),
    "game": ("game chicken", ["game nowhere", "game chicken --learn updates=0"]),
    "audit": ("audit log.jsonl", ["audit nowhere", "audit log.jsonl --alpha 2"]),
    "judge": (
        "judge check groups.jsonl --judge programmatic",
        ["judge check nowhere --judge programmatic", "judge check groups.jsonl --judge nothing"],
    ),
    "train": (
        "train spread --budget 600 --set steps=25 copies=1",
        ["train spread --budget 600", "train spread --budget 600 --set nothing=1"],
    ),
}  # fmt: skip
"""Command to a small good call, and to calls that are refused in its folder."""


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder; a lock is no part of a result."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("lock")
    }


@pytest.mark.fault("R31")
@pytest.mark.parametrize("name", LINES)
def test_a_refused_command_changes_nothing(name, tmp_path, monkeypatch, capsys):
    if name == "sweep" and importlib.util.find_spec("optuna") is None:
        pytest.skip("Optuna is not installed")
    monkeypatch.chdir(tmp_path)
    runs = [{"id": f"r{i}", "text": f"text {i}", "score": i / 3} for i in range(4)]
    groups = [{"id": f"g{g}", "task": "do it", "runs": runs} for g in range(3)]
    logs = [{"messages": TALK, "id": str(i), "success": 0.0} for i in range(3)]
    for file, lines in (("groups.jsonl", groups), ("log.jsonl", logs)):
        Path(file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    good, refused = LINES[name]
    assert main([*good.split(), "--out", "a result"]) in (0, 1)
    before = content(Path("a result"))
    assert "seal.json" in before
    for line in refused:
        capsys.readouterr()
        assert main([*line.split(), "--out", "a result"]) == 2, line
        assert content(Path("a result")) == before, line


@pytest.mark.fault("R31")
def test_that_a_result_of_another_command_is_replaced_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line, said in (
        ("game chicken", 0),
        ("game stag_hunt", 0),
        ("judge", 1),
        ("game chicken", 1),
    ):
        if line == "judge":
            Path("o.csv").write_text("task,setting,score\n" + "t,solo,1\nt,team,0\n")
            line = "compare-outcomes o.csv"
        capsys.readouterr()
        assert main([*line.split(), "--out", "here"]) == 0
        assert capsys.readouterr().err.count("here held the result of another command (") == said
