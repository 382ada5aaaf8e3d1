"""The team of bench/trainers.py: its task, its schemes, and what one training leaves behind.

A writer is to write small letters and a teller digits. Each is paid its own share, the writer ten
times as much and 5 on top. Both share parameters where the trainer has one model. Trainers that act
step by step (TorchRL, BenchMARL) have the same task with 24 symbols instead of characters.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from small_team import ROLES, share

from counterpoint.integrations.team_credit import TeamCredit

QUIET, LOUD = ROLES
"""The teller and the writer."""
FACTOR, OFFSET = 10.0, 5.0
"""What the loud agent is paid: ten times its share, and 5."""
RATE = 5e-3
"""Learning rate of the language models, all of whose parameters are trained."""
OWN = "own"
"""The scheme that is the trainer's own way, without our hook."""
SCHEMES = ("pooled", "per agent", "adaptive", OWN)
STATEFUL = "group_reward_decoupled"
"""The scheme with running statistics, of which a resume must restore every bit."""


ENDS = {QUIET: "#", LOUD: "@"}
"""The last character of a prompt. A model of random parameters hardly sees what stands before, and
one that is shared could not play two roles."""


def question(step: int, role: str) -> str:
    """Returns the prompt of an agent: as long for both, and no two steps are alike."""
    return f"Line number {step:05d}, {role}{ENDS[role]}"


def own_reward(role: str, text: str) -> float:
    """Returns what an agent is paid for its answer."""
    return paid(role, share(role, text))


def paid(role: str, own: float) -> float:
    """Returns what an agent is paid for a share in [0, 1]."""
    return FACTOR * own + OFFSET if role == LOUD else own


def unpaid(role: str, reward: float) -> float:
    """Returns the share for which an agent is paid a reward."""
    return (reward - OFFSET) / FACTOR if role == LOUD else reward


@dataclass
class Training:
    """What one training notes about itself."""

    shares: list[dict[str, float]] = field(default_factory=list)
    """Role to its mean share, update by update."""
    clock: list[float] = field(default_factory=list)
    """CPU time at the end of each update."""
    hook: float = 0.0
    """CPU-seconds inside our hook since the first update ended, diagnoses included."""
    diagnoses: list[float] = field(default_factory=list)
    """CPU-seconds of each diagnosis: one early, and then one in 50 updates."""

    def scored(self, by_role: dict[str, Sequence[float]]) -> None:
        """Notes the shares of the answers of an update."""
        self.shares.append({role: sum(of) / len(of) for role, of in by_role.items()})

    def rewards(self, texts: Sequence[str], roles: Sequence[str]) -> list[float]:
        """Notes the shares of right characters by role; returns each answer's reward."""
        self.scored(
            {
                role: [share(role, text) for text, who in zip(texts, roles, strict=True)
                       if who == role]
                for role in ROLES
            }
        )  # fmt: skip
        return [own_reward(who, text) for text, who in zip(texts, roles, strict=True)]

    def ticked(self) -> None:
        """Notes the end of an update."""
        if not self.clock:
            self.hook = 0.0  # the first update imports what the later ones use
        self.clock.append(time.process_time())

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Counts the CPU time inside `TeamCredit`."""
        call, check, depth = TeamCredit.__call__, TeamCredit.check, [0]

        def timed(*given: Any, **named: Any) -> Any:
            begun, depth[0] = time.process_time(), depth[0] + 1
            try:
                return call(*given, **named)
            finally:
                depth[0] -= 1
                if not depth[0]:  # a call for the rows that are there is inside another
                    self.hook += time.process_time() - begun

        def diagnosed(credit: TeamCredit) -> list[str]:
            begun = time.process_time()
            try:
                return check(credit)
            finally:
                self.diagnoses.append(time.process_time() - begun)

        setattr(TeamCredit, "__call__", timed)  # noqa: B010
        setattr(TeamCredit, "check", diagnosed)  # noqa: B010
        try:
            yield
        finally:
            setattr(TeamCredit, "__call__", call)  # noqa: B010
            setattr(TeamCredit, "check", check)  # noqa: B010


Train = Callable[[str, int, int, Training], None]
"""Trains with a scheme, a seed and a number of updates, and notes it."""
Resume = Callable[[Path], tuple[Any, Any]]
"""Trains in a folder and resumes; returns the saved state and that right after the resume."""


def run(trainer: str, packages: Sequence[str], train: Train, resume: Resume) -> None:
    """Runs the cells that the command line names, and writes one JSON file for each."""
    import torch

    parser = argparse.ArgumentParser(description=trainer)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--schemes", nargs="*", default=list(SCHEMES), choices=SCHEMES)
    parser.add_argument("--resume", action="store_true", help="the resume instead of a training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {
        "trainer": trainer,
        "packages": {name: version(name) for name in packages},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    if options.resume:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            saved, restored = resume(Path(folder))
        equal = bool(saved["state"]) and json.dumps(saved) == json.dumps(restored)
        _write(options.out / "resume.json", {**facts, "restored": equal, "state": restored})
        return
    for seed, scheme in ((s, x) for s in options.seeds for x in options.schemes):
        path = options.out / f"{scheme.replace(' ', '_')}.{seed}.json"
        if path.exists():
            continue
        training = Training()
        with training.timing():
            train(scheme, seed, options.updates, training)
        document = {
            **facts,
            "scheme": scheme,
            "seed": seed,
            "shares": training.shares,
            "seconds": training.clock[-1] - training.clock[0],
            "updates": len(training.clock),
            "hook_seconds": training.hook - sum(training.diagnoses),
            "diagnosis_seconds": training.diagnoses,
        }
        _write(path, document)


def _write(path: Path, document: dict[str, Any]) -> None:
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(document), "utf-8")
    beside.replace(path)
