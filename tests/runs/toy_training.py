"""A toy training run that can be killed at any moment: `python toy_training.py RUN NOTES UNTIL`.

A random walk with a generator, a checkpoint every third step. Each line of the notes is written
after what it says: `open STEP`, `saved STEP`.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from counterpoint.errors import CounterpointError
from counterpoint.runs import provenance
from counterpoint.runs.checkpoint import Snapshot, arrays_to_bytes
from counterpoint.runs.directory import RunDirectory

EVERY = 3


def train(path, until, note, pause=0.0):
    """Begin the run or go on with it, up to a step."""
    there = (path / "run.json").exists()
    run = RunDirectory.open(path) if there else RunDirectory.create(path, {"until": until})
    with run:
        rng, state, start = np.random.default_rng(1), np.zeros(200), 0
        if run.resumed.step is not None:
            start, saved = run.resumed.step, run.resumed.snapshot
            rng.bit_generator.state, state = saved.facts["rng"], saved.arrays["state"]
        note(f"open {start}")
        for step in range(start + 1, until + 1):
            state = state + rng.normal(size=len(state))
            run.log({"step": step, "mean": float(state.mean())})
            time.sleep(pause)
            if step % EVERY == 0:
                run.save(step, Snapshot({"state": state}, {"rng": rng.bit_generator.state}))
                note(f"saved {step}")
        run.finish(step=until, returned=float(state.mean()))


if __name__ == "__main__":
    file = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    provenance.git_revision = lambda: None  # would only take time
    if "TOY_USER" in os.environ:  # root writes everywhere
        arrays_to_bytes({"x": np.random.default_rng(0).normal(size=1)})  # imported while it can be
        os.setgid(int(os.environ["TOY_USER"]))
        os.setuid(int(os.environ["TOY_USER"]))
    try:
        train(
            Path(sys.argv[1]),
            int(sys.argv[3]),
            lambda line: os.write(file, line.encode() + b"\n"),
            pause=float(os.environ.get("TOY_PAUSE", "0.002")),
        )
    except CounterpointError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
