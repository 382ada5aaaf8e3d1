"""`SchemeOutcome`: the results of one scheme, however its team was trained.

`from_tables` reads a training in an exact world, `from_policies` trainings in any other world, one
for each seed. Axis letters: S seeds, X points of the learning curve, T measurements of gradients, A
agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.diagnose import CAUSES, kept_in_windows, signal_kept, task_noise
from counterpoint.diagnose.kept import ShareInterval
from counterpoint.errors import WorldError
from counterpoint.report.toolkit.numerals import counted
from counterpoint.results.training import Messages, mostly_cut_off
from counterpoint.train.loop import Trained
from counterpoint.train.series import LEARNED, WINDOW, Row, measured_evidence, metric_curves
from counterpoint.train.tabular.learner import Training
from counterpoint.train.tabular.telemetry import EVERY, improvable_at
from counterpoint.worlds.exact.world import World

MEASURES = ("inflation", "signal_share", "dead_rate", "participation")
"""Measures of each agent in every world; some worlds have others too."""


@dataclass(frozen=True)
class SchemeOutcome:
    """The results and measurements of one scheme over S seeds."""

    agents: tuple[str, ...]
    """[A] names."""
    axis: str
    """The axis of the learning curve: `update` or `step`."""
    at: Ints
    """[X] updates or steps at which the curve has a point."""
    curve: Floats
    """[S, X] return at each point; NaN before a seed has finished an episode."""
    final: Floats
    """[S] return at the end."""
    normalized: Floats | None
    """[S] the same, 0 for a random team and 1 for the reference; None if these are not known."""
    weighted_returns: Floats | None
    """[S] reward-weighted return; None if the return itself is that."""
    by_agent: Floats | None
    """[S, A] each agent's part of the return at the end; None if it has no parts."""
    accuracy: Floats | None
    """[S, X, A] probability of the right action; None if it is unknown."""
    kept: ShareInterval
    """[A] the share of each agent's signal that the scheme keeps, over all seeds and updates."""
    noise: ShareInterval
    """[A] the share of its gradient that is noise under the best statistics."""
    kept_lately: Floats
    """[T, A] signal kept in the window that ends at each measurement, over all seeds; NaN if it is
    not known."""
    collapsed: Bools
    """[S, T, A] whether the scheme collapses the agent; T = 0 if that is unknown."""
    causes: NDArray[np.int8]
    """[S, T, A] index into `diagnose.CAUSES`."""
    expected: NDArray[np.int8] | None
    """[S, A] index into `CAUSES` of the cause that the first tenth of the training was enough to
    expect; None if nothing was measured."""
    measured: Ints
    """[X] which of the T measurements is the latest at each point of the curve."""
    measures: Mapping[str, Floats]
    """[S, T', A] each measure over the updates that were measured; NaN if it is undefined."""
    tally: Mapping[str, int]
    """Counts of the edge cases of normalization, summed over updates and seeds."""
    messages: Sequence[Messages] = ()
    """[S] what messages carry; empty if a seed has none."""
    doubts: Sequence[str] = ()
    """What is wrong with the trainings, and in how many seeds."""

    @property
    def gained(self) -> Floats | None:
        """[S] return of the last tenth of the curve minus that of the first; None if it has fewer
        than two known points."""
        known = np.isfinite(self.curve).all(axis=0)
        if known.sum() < 2:
            return None
        curve = self.curve[:, known]
        tenth = max(1, curve.shape[1] // 10)
        return np.asarray(curve[:, -tenth:].mean(axis=1) - curve[:, :tenth].mean(axis=1))


def from_tables(world: World, done: Training) -> SchemeOutcome:
    """Returns the outcome of a training in an exact world."""
    points = done.returns.shape[1]
    final, improvable = done.returns[:, -1], improvable_at(done.accuracy)
    lately = kept_in_windows(done.evidence, improvable)
    return SchemeOutcome(
        agents=done.agents,
        axis="update",
        at=np.arange(points),
        curve=done.returns,
        final=final,
        normalized=(final - world.random) / (world.optimal - world.random),
        weighted_returns=done.weighted_returns[:, -1],
        by_agent=None,
        accuracy=done.accuracy,
        kept=signal_kept(done.evidence, improvable),
        noise=task_noise(done.evidence, improvable),
        kept_lately=lately.repeat(EVERY, axis=0)[: points - 1],
        collapsed=done.collapsed,
        causes=done.causes,
        expected=None,
        measured=np.minimum(np.arange(points), points - 2),
        measures={name: done.rewards[name] for name in (*MEASURES, "influence")}
        | {"snr": done.gradients["snr"]},
        tally=done.tally,
    )


def from_policies(trained: Sequence[Trained]) -> SchemeOutcome:
    """Returns the outcome of trainings of one scheme, one for each seed, in any other world.

    The curve is unknown until every seed has finished an episode, and ends where the first seed
    ends; batches without the end of an episode repeat the return of the one before. What was
    measured before the first verdict on collapse is no verdict.

    Raises:
        WorldError: no episode of a trained team ended, so that it has no return.
    """
    unended = [done.plan for done in trained if not len(done.returns)]
    if unended:
        raise WorldError(f"got nothing to compare: {unended[0].without_return()}")
    agents, shortest = trained[0].agents, min(len(done.rows) for done in trained)
    rows = [done.rows[:shortest] for done in trained]
    curve = np.array([filled([row.returned for row in one]) for one in rows])
    looked = [i for i, row in enumerate(rows[0]) if row.agents is not None]
    judged = looked[WINDOW - 1 :]
    # the latest verdict at each row: -1 as long as there is none
    latest = np.searchsorted(judged, np.arange(shortest), side="right") - 1

    at_each = [[r[i].agents or {} for i in looked] for r in rows]
    verdicts = [
        [[one[a].verdict for a in agents] for one in ones[WINDOW - 1 :]] for ones in at_each
    ]

    def numbers(name: str) -> Floats:
        values = [[[one[a].numbers.get(name) for a in agents] for one in ones] for ones in at_each]
        return np.array(values, dtype=np.float64).reshape(len(rows), len(looked), len(agents))

    shape = (len(rows), len(judged), len(agents))
    scored = [[r[i].normalized for i in looked] for r in rows]
    could = np.array([[x is None or x < LEARNED for x in one] for one in scored], dtype=bool)
    improvable = np.repeat(could.reshape(len(rows), len(looked), 1), len(agents), axis=2)
    measured_numbers = [[{a: one[a].numbers for a in agents} for one in ones] for ones in at_each]
    evidence = measured_evidence(measured_numbers, agents)
    lately = kept_in_windows(evidence, improvable, WINDOW)
    index = [[[CAUSES.index(v.cause or "") for v in row] for row in one] for one in verdicts]
    collapsed = [[[v.collapsed for v in row] for row in one] for one in verdicts]
    weighted = [done.plan.paid_returns(done.by_agent) for done in trained]
    scores = [done.normalized for done in trained]
    carried = [done.messages for done in trained]
    by_agent = np.array([done.by_agent.mean(axis=0) for done in trained])
    return SchemeOutcome(
        agents=agents,
        axis=trained[0].plan.axis,
        at=np.array([row.step for row in rows[0]], dtype=np.int64),
        curve=curve,
        final=np.array([done.returns.mean() for done in trained]),
        normalized=None if None in scores else np.array(scores, dtype=np.float64),
        weighted_returns=None if None in weighted else np.array(weighted, dtype=np.float64),
        by_agent=by_agent if by_agent.size else None,
        accuracy=None,
        kept=signal_kept(evidence, improvable),
        noise=task_noise(evidence, improvable),
        kept_lately=lately[WINDOW - 1 :],
        collapsed=np.array(collapsed, dtype=bool).reshape(shape),
        causes=np.array(index, dtype=np.int8).reshape(shape),
        expected=np.array([[early(one, a) for a in agents] for one in rows]) if looked else None,
        measured=latest,
        measures={name: numbers(name) for name in (*MEASURES, "snr", "credit_correlation")},
        tally={name: sum(done.tally[name] for done in trained) for name in trained[0].tally},
        messages=[m for m in carried if m is not None] if None not in carried else (),
        doubts=doubts(trained),
    )


def doubts(trained: Sequence[Trained]) -> list[str]:
    """Returns what is wrong with trainings of one scheme, one for each seed, and in how many."""
    unpaid = sum(done.never_paid for done in trained)
    lines = [f"every return was 0 in {unpaid} of {counted(len(trained), 'seed')}"] if unpaid else []
    cut: dict[str, int] = {}
    for done in trained:
        for agent in mostly_cut_off(metric_curves(done.rows)):
            cut[agent] = cut.get(agent, 0) + 1
    return lines + [
        f"most answers of {agent} were cut off at their limit in {n} of "
        f"{counted(len(trained), 'seed')}, so that text after the limit is neither read nor "
        "rewarded: raise most_tokens, or ask for shorter answers"
        for agent, n in cut.items()
    ]


def early(rows: Sequence[Row], agent: str) -> int:
    """Returns the index of the cause that the last measurement of the first tenth expects."""
    tenth = max(1, len(rows) // 10)
    looked = [row.agents[agent] for row in rows[:tenth] if row.agents is not None]
    return CAUSES.index(looked[-1].verdict.expected or "") if looked else 0


def filled(values: Sequence[float | None]) -> Floats:
    """Returns the values, each unknown one replaced by the one before it; NaN if there is none."""
    out, last = np.full(len(values), np.nan), np.nan
    for i, value in enumerate(values):
        last = last if value is None else value
        out[i] = last
    return out
