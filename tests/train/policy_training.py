"""A training that can be killed at any moment."""

from __future__ import annotations

from pathlib import Path

from counterpoint.runs import provenance
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.settings import PolicySettings


def plan(budget: int) -> TrainPlan:
    """A recurrent team under a scheme with memory: all that there is to forget."""
    policy = PolicySettings(
        memory="gru", hidden=8, layers=1, copies=16, steps=31, epochs=1, diagnose_every=2
    )
    return TrainPlan("foraging", "group_reward_decoupled", 3, budget, policy=policy, episodes=4)


def begin_or_go_on(path: Path, budget: int) -> None:
    there, what = (path / "run.json").exists(), plan(budget)
    run = RunDirectory.open(path) if there else RunDirectory.create(path, what.config())
    with run:
        train_to_end(what, run=run)


def be_the_training(path: Path, budget: int) -> None:
    """What a process of its own does."""
    provenance.git_revision = lambda: None  # would only take time
    begin_or_go_on(path, budget)
