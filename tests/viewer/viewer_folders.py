"""Folders with results and runs, small and real, for the tests of the viewer."""

import sys
from pathlib import Path

from msgspec.structs import replace

from counterpoint.cli.results import save
from counterpoint.errors import LogError
from counterpoint.games import make_game
from counterpoint.games.analysis import analyze_game
from counterpoint.results import read_result
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import read_status, write_status

REPORT = Path(__file__).parents[1] / "report"
if str(REPORT) not in sys.path:
    sys.path.append(str(REPORT))  # last, so that it hides nothing
from report_samples import comparison  # noqa: E402


def save_game(folder, name="stag_hunt"):
    folder.mkdir(parents=True)
    save(analyze_game(make_game(name)), folder)


def save_comparison(folder):
    folder.mkdir(parents=True)
    save(read_result(comparison(2, 4)), folder)


def row(step, returned):
    return {"step": step, "return": returned, "seconds": step / 10, "update": step // 10}


def make_run(folder, *, end="finished", steps=(10, 20)):
    """A run that ends well, with an error, or killed (its last status is `running`)."""
    config = {"world": "spread", "scheme": "grpo", "seed": 1, "budget": 40}
    try:
        with RunDirectory.create(folder, config) as run:
            for step in steps:
                run.log(row(step, -float(step)))
            run.save(steps[-1], Snapshot())
            if end == "failed":
                raise LogError("the loss is <b>not</b> finite")
            if end == "finished":
                run.finish(step=40, returned=-3.5, normalized=0.5)
    except LogError:
        pass
    if end == "killed":
        write_status(folder, replace(read_status(folder), status="running"))
