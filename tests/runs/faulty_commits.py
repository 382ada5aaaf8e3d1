"""Commits of a toy run, for a process under strace: `python faulty_commits.py HOW ROOT CALL COUNT`.

Injection counts the calls of each process by itself. So one strace, which fails the COUNT-th call,
serves every place of a commit: the process of folder N first makes COUNT - N calls of no effect,
and is hit at its N-th call of the commit. What it reached is noted with pwrite, which is not
traced.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from counterpoint.errors import OutputError
from counterpoint.runs import provenance
from counterpoint.runs.checkpoint import Snapshot, arrays_to_bytes
from counterpoint.runs.directory import RunDirectory

CALLS = {
    "write": lambda: os.write(9999, b""),
    "fsync": lambda: os.fsync(9999),
    "rename": lambda: os.rename("", ""),
    "mkdir": lambda: os.mkdir(""),
    "unlink": lambda: os.unlink(""),
    "unlinkat": lambda: os.unlink("", dir_fd=0),
    "rmdir": lambda: os.rmdir(""),
    "ftruncate": lambda: os.ftruncate(9999, 0),
}


def snapshot(step):
    """The state of the toy run at a step."""
    rng = np.random.default_rng(step)
    return Snapshot({"weights": rng.normal(size=50)}, {"step": step})


class Notes:
    """Lines about how far a process came."""

    def __init__(self, path):
        self.file, self.end = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), 0

    def __call__(self, line):
        self.end += os.pwrite(self.file, line.encode() + b"\n", self.end)


def steps_of(run, count, note):
    """Go on for so many steps, with a checkpoint after each."""
    start = run.resumed.step or 0
    for step in range(start + 1, start + count + 1):
        run.log({"step": step, "value": step / 7})
        run.save(step, snapshot(step))
        note(f"saved {step}")


def resume(path, note):
    """One more step of a run that is there."""
    with RunDirectory.open(path) as run:
        steps_of(run, 1, note)
    note("closed")


def begin(path, note):
    """A new run, and its first step."""
    with RunDirectory.create(path, {"seed": 1}) as run:
        steps_of(run, 1, note)
        run.finish(returned=1.0)
    note("closed")


def whole_life(path, note):
    """Begun, stopped, resumed, finished: many commits, and deletions of old checkpoints."""
    with RunDirectory.create(path, {"seed": 1}, keep=2) as run:
        steps_of(run, 5, note)
        run.log({"step": 6, "value": 0.0})
    with RunDirectory.open(path, keep=2) as run:
        steps_of(run, 2, note)
        run.save(7, snapshot(7))
        run.finish()
    note("closed")


SCENARIOS = {"resume": resume, "begin": begin, "whole_life": whole_life}


def attempt(scenario, root, number):
    """Run a scenario in a folder of its own, and note how it ended."""
    note = Notes(root / f"{number}.notes")
    try:
        scenario(root / str(number) / "run", note)
    except OutputError as error:
        note(f"OutputError {error}")


def main(how, root, call="write", count="0"):
    """Every place of a commit once; a process for each."""
    scenario, root, count = SCENARIOS[how], Path(root), int(count)
    arrays_to_bytes({})  # so that what is imported late is there
    for number in range(1, count + 1):
        child = os.fork()
        if child == 0:
            for _ in range(count - number):
                with suppress(OSError):
                    CALLS[call]()
            attempt(scenario, root, number)
            os._exit(0)
        os.waitpid(child, 0)
    if not count:
        attempt(scenario, root, 0)


if __name__ == "__main__":
    provenance.git_revision = lambda: None  # git would run under strace, too
    main(*sys.argv[1:])
