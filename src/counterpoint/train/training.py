"""`train_policies`: a plan in, a trained team and its series out; resumable at any checkpoint.

Read `train_policies` top to bottom. A plan is plain data: the same plan gives the same series, bit
for bit, whether it ran in one go or was killed and resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
import numpy as np

from counterpoint.errors import CounterpointError, SettingError
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import METRICS
from counterpoint.train.audit import credit_audit
from counterpoint.train.policies import Estimate, Learner
from counterpoint.train.ppo import Part
from counterpoint.train.probe import agent_numbers
from counterpoint.train.rollout import Batch, Player
from counterpoint.train.settings import PolicySettings
from counterpoint.train.snapshot import capture, restore
from counterpoint.train.watch import Watch
from counterpoint.worlds.base import Floats
from counterpoint.worlds.reordered import by_name
from counterpoint.worlds.steps import StepWorld, endless
from counterpoint.worlds.stepwise import make_steps

Row = dict[str, Any]
CHECKPOINT_STEPS = 5_000
"""Most steps between two checkpoints, as far as a batch is not longer."""
SMOOTHED = 20
"""Batches over which the return is averaged before it is held against the reference."""
LONGEST_EVALUATION = 20_000
"""Steps after which copies whose episode does not end are no longer waited for."""
PLAYED_TOGETHER = 500
"""Most steps of an evaluation that are in memory at once."""


@dataclass(frozen=True)
class TrainPlan:
    """What to train, as plain data.

    Raises:
        SettingError: a number out of its range.
    """

    world: str
    """Name of a world of many steps: see `make_steps`."""
    scheme: str
    """Name of a scheme, or `counterfactual`."""
    seed: int = 0
    """Of everything: networks, world, actions, order."""
    budget: int = 100_000
    """Steps to play, all copies together; the last batch is played whole."""
    seconds: float | None = None
    """End after so many seconds of training, if that comes first."""
    world_settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the world, by name."""
    policy: PolicySettings = field(default_factory=PolicySettings)
    """How policies are built and trained."""
    episodes: int = 100
    """Fresh episodes in which the trained team is evaluated."""

    def __post_init__(self) -> None:
        filled = self.policy.filled(python=":" in self.world)  # so that a run keeps its numbers
        object.__setattr__(self, "policy", filled)
        for name, low in (("seed", 0), ("budget", 1), ("episodes", 1)):
            if getattr(self, name) < low:
                raise SettingError(f"got {name}={getattr(self, name)}; wanted at least {low}")
        if self.seconds is not None and not self.seconds > 0:
            raise SettingError(f"got seconds={self.seconds}; wanted a positive number")

    def config(self) -> dict[str, Any]:
        """The plan ready for JSON."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TrainPlan:
        """The plan that `config` described.

        Raises:
            SettingError: it is none.
        """
        try:
            return msgspec.convert(dict(config), cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, CounterpointError):
                raise error.__cause__ from None
            raise SettingError(f"got a configuration that is no training plan ({error})") from None

    def make_world(self, stream: int, copies: int) -> StepWorld:
        """Copies of the world with chance of their own for each `stream`; agents by name."""
        seed = int(np.random.SeedSequence([self.seed, stream]).generate_state(1)[0])
        return by_name(make_steps(self.world, self.world_settings, copies, seed))

    def learner(self) -> Learner:
        """The untrained team, with the copies that it trains in."""
        world = self.make_world(0, self.policy.copies)
        return Learner(world, self.scheme, self.policy, self.seed, self.budget)


@dataclass(frozen=True)
class Trained:
    """What came out of a training."""

    plan: TrainPlan
    """What was asked for."""
    agents: tuple[str, ...]
    """[A] names."""
    finished: bool
    """Whether the budget is spent and the team evaluated; false where it was asked to stop."""
    rows: tuple[Row, ...]
    """The series: a row an update."""
    returns: Floats
    """[n] returns of fresh episodes of the trained team; empty where none ended."""
    by_agent: Floats
    """[n, A] each agent's part in them."""
    normalized: float | None
    """Their mean between the random (0) and the reference (1) return; None where not known."""
    tally: Mapping[str, int]
    """Edge cases that normalization met, summed over updates."""


def train_policies(
    plan: TrainPlan,
    *,
    run: RunDirectory | None = None,
    on_row: Callable[[Row], None] | None = None,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a team until its budget is spent.

    Args:
        plan: what to train.
        run: where the series and checkpoints go, and where a run that was begun goes on.
        on_row: called with each new row of the series.
        asked_to_stop: asked after each update; a true answer ends the training with a checkpoint.

    Raises:
        CounterpointError: what the plan asks for cannot be had, or the run cannot be written.
    """
    learner = plan.learner()
    watch = Watch(learner.world.agents, continuous=learner.world.actions[0].continuous)
    rows: list[Row] = []
    if run is not None and run.resumed.snapshot is not None:
        restore(learner, run.resumed.snapshot)
        rows = run.rows()
        if lost := lost_updates(run):
            run.notes = (
                *run.notes,
                f"{run.path / METRICS} lacks {lost} of the {learner.updates} updates up to the "
                "checkpoint, from which training went on; curves and verdicts are without them",
            )
        for row in rows:
            if "agents" in row:
                watch.judge(row["agents"], row["normalized"])
    begun, before = time.monotonic(), rows[-1]["seconds"] if rows else 0.0
    saved = learner.steps
    while not spent(plan, learner, rows) and not asked_to_stop():
        row = one_update(learner, watch, rows)
        row["seconds"] = round(before + time.monotonic() - begun, 3)
        rows.append(row)
        if run is not None:
            run.log(row)
            if learner.steps + learner.batch_steps - saved > CHECKPOINT_STEPS:
                run.save(learner.steps, capture(learner))
                saved = learner.steps
        if on_row is not None:
            on_row(row)
    if run is not None and saved < learner.steps:
        run.save(learner.steps, capture(learner))
    done = spent(plan, learner, rows)
    tried = evaluate(plan, learner, asked_to_stop) if done else None
    by_agent = np.zeros((0, len(learner.world.agents))) if tried is None else tried
    returns = by_agent.sum(axis=-1)
    mean = float(returns.mean()) if len(returns) else None
    score = None if mean is None else learner.world.references.normalized(returns.mean())
    found = Trained(
        plan=plan,
        agents=learner.world.agents,
        finished=tried is not None,
        rows=tuple(rows),
        returns=returns,
        by_agent=by_agent,
        normalized=None if score is None else float(score),
        tally=asdict(learner.tally),
    )
    learner.world.close()
    if run is not None and found.finished and mean is None:
        run.notes = (
            *run.notes,
            f"the return is not known: no episode of '{plan.world}' ended in "
            f"{LONGEST_EVALUATION:,} steps of evaluation; {endless(learner.world)}",
        )
    if run is not None and found.finished:
        run.finish({"step": learner.steps, "return": mean, "normalized": found.normalized})
    return found


def lost_updates(run: RunDirectory) -> int:
    """Updates up to the run's checkpoint that its series lacks: its file was lost or cut."""
    found = run.resumed.snapshot
    return 0 if found is None else int(found.facts["updates"]) - len(run.rows())


def spent(plan: TrainPlan, learner: Learner, rows: list[Row]) -> bool:
    """Whether the budget of steps, or of seconds, is."""
    late = plan.seconds is not None and bool(rows) and rows[-1]["seconds"] >= plan.seconds
    return late or learner.steps >= plan.budget


def one_update(learner: Learner, watch: Watch, before: list[Row]) -> Row:
    """One update of the learner, as a row of the series."""
    every = learner.settings.diagnose_every
    measured = None

    def look(batch: Batch, estimate: Estimate, parts: list[Part]) -> None:
        nonlocal measured
        scheme, copies = learner.crediting.scheme, learner.world.copies
        measured = agent_numbers(learner.team, parts, estimate.credited, scheme, copies)
        if learner.world.settings.reward == "common":
            audit = credit_audit(batch, estimate.advantage, learner.settings.gamma)
            for numbers, correlation in zip(measured[0], audit, strict=True):
                numbers["credit_correlation"] = correlation

    due = every > 0 and learner.updates % every == 0
    batch, losses = learner.update(look if due else None)
    returns = batch.returns
    row: Row = {
        "step": learner.steps,
        "update": learner.updates,
        "episodes": len(returns),
        "return": float(returns.mean()) if len(returns) else None,
        **losses,
    }
    lately = [r["return"] for r in [*before[1 - SMOOTHED :], row] if r["return"] is not None]
    score = learner.world.references.normalized(np.mean(lately)) if lately else None
    row["normalized"] = None if score is None else float(score)
    if measured is not None:
        by_agent, team = measured
        named = dict(zip(learner.world.agents, by_agent, strict=True))
        verdicts = watch.judge(named, row["normalized"])
        judged = {
            agent: {**named[agent], **verdict._asdict()} for agent, verdict in verdicts.items()
        }
        row |= {"agents": judged, "team": team}
    return row


def evaluate(
    plan: TrainPlan, learner: Learner, asked_to_stop: Callable[[], bool] = lambda: False
) -> Floats | None:
    """[n, A] returns of fresh episodes, by agent: as many of each copy, its first ones.

    Actions are sampled. None where it is asked to stop before the episodes have ended.
    """
    world = learner.world
    copies = min(plan.episodes, world.copies if world.python else plan.episodes)
    each = -(-plan.episodes // copies)
    fresh = plan.make_world(1, copies)
    player = Player(fresh, learner.settings, plan.seed + 1)
    found: list[list[Floats]] = [[] for _ in range(copies)]
    played = 0
    batch_steps = min(world.horizon or learner.player.steps, PLAYED_TOGETHER, LONGEST_EVALUATION)
    while min(map(len, found)) < each and played < LONGEST_EVALUATION and not asked_to_stop():
        batch = player.play(learner.team, batch_steps)
        played += batch_steps
        for copy, values in zip(batch.finished, batch.by_agent, strict=True):
            found[copy].append(values)
    fresh.close()
    if asked_to_stop() and min(map(len, found)) < each:
        return None
    kept = [values for several in found for values in several[:each]]
    return np.array(kept).reshape(len(kept), len(world.agents))
