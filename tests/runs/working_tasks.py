"""Tasks for the tests of executors, named for what they do; importable from any worker."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.stop import Stopper


@dataclass(frozen=True)
class Walks:
    """A random walk: the sum after so many steps, a point of its curve told every tenth step."""

    seed: int
    steps: int = 40
    pause: float = 0.0

    def __call__(self, advance):
        rng, total = np.random.default_rng(self.seed), 0.0
        for step in range(1, self.steps + 1):
            total += rng.normal()
            time.sleep(self.pause)
            advance({"step": step, "total": total} if step % 10 == 0 else None)
        return total


@dataclass(frozen=True)
class DiesFirst:
    """Walks, but its process ends in the middle, the first so many times."""

    walk: Walks
    marks: Path
    times: int = 1
    how: int = signal.SIGKILL

    def __call__(self, advance):
        deaths = len(list(self.marks.glob(f"{self.walk.seed}-*")))

        def mortal(message=None):
            advance(message)
            if deaths < self.times and message is not None:
                (self.marks / f"{self.walk.seed}-{deaths}").touch()
                time.sleep(0.06)
                advance()  # is sent, and must not be counted
                os.kill(os.getpid(), self.how) if self.how else os._exit(3)

        return self.walk(mortal)


@dataclass(frozen=True)
class Refuses:
    """Raises what it was given."""

    error: Exception

    def __call__(self, advance):
        raise self.error


class Unportable(Exception):
    """An error that cannot be unpickled."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@dataclass(frozen=True)
class RefusesUnportably:
    """Raises an error that cannot be sent from one process to another."""

    def __call__(self, advance):
        raise Unportable("one", "two")


@dataclass(frozen=True)
class Returns:
    """Returns a function that cannot be pickled."""

    def __call__(self, advance):
        return lambda: None


@dataclass(frozen=True)
class Marks:
    """Writes its process id down, then works for long."""

    marks: Path

    def __call__(self, advance):
        (self.marks / str(os.getpid())).touch()
        for _ in range(2000):
            time.sleep(0.02)
            advance()


@dataclass(frozen=True)
class TrainsUntilAsked:
    """A toy training with a checkpoint at the end, whenever a signal asks for the end."""

    path: Path

    def __call__(self, advance):
        with Stopper() as stopper, RunDirectory.create(self.path, {}) as run:
            step = 0
            while stopper.asked is None:
                step += 1
                run.log({"step": step})
                advance({"step": step, "filler": "x" * 10_000})
                time.sleep(0.001)
            time.sleep(0.3)  # a checkpoint may take its time
            for _ in range(100):
                advance({"filler": "x" * 10_000})
                time.sleep(0.001)
            run.save(step, Snapshot(facts={"step": step}))
        return step
