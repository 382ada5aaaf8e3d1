"""`train_to_end`: a plan in, a trained team and its series out; resumable at any checkpoint.

Start there. What kind of team it is, is the plan's matter: `training.py` has the neural policies of
worlds of many steps, `language_training.py` the language models of text worlds. A plan is plain
data: the same plan gives the same series, bit for bit, whether it ran in one go or was killed and
resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.credit import Tally
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.snapshot import Snapshot
from counterpoint.runs.status import METRICS
from counterpoint.train.watch import Watch
from counterpoint.worlds.sequential.world import References

Row = dict[str, Any]
SMOOTHED = 20
"""Batches over which the return is averaged before it is held against the reference."""


class Trainable(Protocol):
    """What to train, as plain data."""

    @property
    def world(self) -> str:
        """Name of the world."""

    @property
    def scheme(self) -> str:
        """Name of the scheme."""

    @property
    def seed(self) -> int:
        """Of everything."""

    @property
    def budget(self) -> int:
        """Steps to play, or updates to make."""

    @property
    def seconds(self) -> float | None:
        """End after so many seconds of training, if that comes first."""

    @property
    def axis(self) -> str:
        """What the budget counts: `step` or `update`."""

    @property
    def batch_steps(self) -> int:
        """How much of the budget one update spends."""

    def config(self) -> dict[str, Any]:
        """The plan ready for JSON."""

    def trainee(self) -> Trainee:
        """The untrained team."""

    def paid_returns(self, by_agent: Floats) -> float | None:
        """The return of episodes whose agents' parts are `by_agent` [n, A], weighted by what is
        really paid; None where that is the return itself."""

    def without_return(self) -> str:
        """Why a trained team may have no return, and what to do about it."""


class Trainee(Protocol):
    """A team that learns, as the loop sees it."""

    @property
    def agents(self) -> tuple[str, ...]:
        """[A] names."""

    @property
    def continuous(self) -> bool:
        """Whether its actions are numbers rather than choices."""

    @property
    def references(self) -> References:
        """Of the world."""

    @property
    def tally(self) -> Tally:
        """Edge cases that normalization met."""

    @property
    def steps(self) -> int:
        """How much of the budget it has spent."""

    @property
    def between_checkpoints(self) -> int:
        """Most of the budget that may be spent between two checkpoints."""

    def update(self, run: RunDirectory | None) -> tuple[Row, dict[str, Any] | None, Row | None]:
        """Learn once: the row, what was measured of each agent, and of the team."""

    def evaluate(self, asked_to_stop: Callable[[], bool]) -> tuple[Floats, Floats] | None:
        """Returns [n] of fresh episodes and each agent's part [n, A] (A = 0 where they have none);
        None where it is asked to stop before they have ended."""

    def capture(self) -> Snapshot:
        """Everything that decides what it does next."""

    def restore(self, snapshot: Snapshot) -> None:
        """Go on where `capture` was called."""

    def leave(self, run: RunDirectory) -> None:
        """Write what others can use of a trained team into its run directory."""

    def close(self) -> None:
        """Let go of what it holds."""


@dataclass(frozen=True)
class Trained:
    """What came out of a training."""

    plan: Trainable
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
    """[n, A] each agent's part in them; [n, 0] where they have none."""
    normalized: float | None
    """Their mean between the random (0) and the reference (1) return; None where not known."""
    tally: Mapping[str, int]
    """Edge cases that normalization met, summed over updates."""


def train_to_end(
    plan: Trainable,
    *,
    run: RunDirectory | None = None,
    on_row: Callable[[Row], None] | None = None,
    asked_to_stop: Callable[[], bool] = lambda: False,
    team: Trainee | None = None,
) -> Trained:
    """Train a team until its budget is spent.

    Args:
        plan: what to train.
        run: where the series and checkpoints go, and where a run that was begun goes on.
        on_row: called with each new row of the series.
        asked_to_stop: asked after each update; a true answer ends the training with a checkpoint.
        team: the plan's untrained team, where it has been made already; it is closed at the end.

    Raises:
        CounterpointError: what the plan asks for cannot be had, or the run cannot be written.
    """
    team = plan.trainee() if team is None else team
    watch = Watch(team.agents, continuous=team.continuous)
    rows: list[Row] = []
    if run is not None and run.resumed.snapshot is not None:
        team.restore(run.resumed.snapshot)
        rows = run.rows()
        if lost := lost_updates(run):
            run.notes = (
                *run.notes,
                f"{run.path / METRICS} lacks {lost} of the {lost + len(rows)} updates up to the "
                "checkpoint, from which training went on; curves and verdicts are without them",
            )
        for row in rows:
            if "agents" in row:
                watch.judge(row["agents"], row["normalized"])
    begun, before = time.monotonic(), rows[-1]["seconds"] if rows else 0.0
    saved = team.steps
    while not spent(plan, team, rows) and not asked_to_stop():
        row = one_update(team, watch, rows, run)
        row["seconds"] = round(before + time.monotonic() - begun, 3)
        rows.append(row)
        if run is not None:
            run.log(row)
            if team.steps + plan.batch_steps - saved > team.between_checkpoints:
                run.save(team.steps, team.capture())
                saved = team.steps
        if on_row is not None:
            on_row(row)
    if run is not None and saved < team.steps:
        run.save(team.steps, team.capture())
    tried = team.evaluate(asked_to_stop) if spent(plan, team, rows) else None
    returns, by_agent = tried or (np.zeros(0), np.zeros((0, len(team.agents))))
    mean = float(returns.mean()) if len(returns) else None
    score = None if mean is None else team.references.normalized(returns.mean())
    found = Trained(
        plan=plan,
        agents=team.agents,
        finished=tried is not None,
        rows=tuple(rows),
        returns=returns,
        by_agent=by_agent,
        normalized=None if score is None else float(score),
        tally=dict(vars(team.tally)),
    )
    if run is not None and found.finished:
        team.leave(run)
    team.close()
    if run is not None and found.finished and mean is None:
        run.notes = (*run.notes, f"the return is not known: {plan.without_return()}")
    if run is not None and found.finished:
        run.finish({"step": team.steps, "return": mean, "normalized": found.normalized})
    return found


def lost_updates(run: RunDirectory) -> int:
    """Updates up to the run's checkpoint that its series lacks: its file was lost or cut."""
    found = run.resumed.snapshot
    return 0 if found is None else int(found.facts["updates"]) - len(run.rows())


def spent(plan: Trainable, team: Trainee, rows: Sequence[Row]) -> bool:
    """Whether the budget is, of steps, updates or seconds."""
    late = plan.seconds is not None and bool(rows) and rows[-1]["seconds"] >= plan.seconds
    return late or team.steps >= plan.budget


def one_update(
    team: Trainee, watch: Watch, before: Sequence[Row], run: RunDirectory | None = None
) -> Row:
    """One update, as a row of the series, with a verdict on each agent where it was measured."""
    row, named, whole = team.update(run)
    lately = [r["return"] for r in [*before[1 - SMOOTHED :], row] if r["return"] is not None]
    score = team.references.normalized(np.mean(lately)) if lately else None
    row["normalized"] = None if score is None else float(score)
    if named is not None:
        verdicts = watch.judge(named, row["normalized"])
        judged = {
            agent: {**named[agent], **verdict._asdict()} for agent, verdict in verdicts.items()
        }
        row |= {"agents": judged, "team": whole}
    return row
