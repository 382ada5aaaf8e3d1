"""Tests the conditions under which decoupling can matter, on a log.

| | holds if | read from |
|---|---|---|
| C1 | P(R given that k acts) differs from P(R) | who acts in which rollout, against its reward |
| C2 | how often k acts correlates with R | decisions a rollout, against the agent's reward |
| C3 | agents have reward terms of their own | rewards that differ within a rollout (no test) |
| C5 | R depends on the role, turn or context | the label's share of k's decisions, against reward |
| C6 | memories keep different clocks while R drifts | agents absent from whole steps, and a trend |

C1, C2 and C5 are tested on two levels: rollouts shuffled within their prompt and step, and whole
prompts shuffled within their step; each asks about the mean of the reward and about its spread.
All p-values of a log go through Benjamini-Hochberg together. Start at `find_conditions`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from counterpoint.arrays import Bools, Floats
from counterpoint.credit.labels import factorize
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import segment_mean
from counterpoint.diagnose.association import associations
from counterpoint.diagnose.log import Ids, Log, dense, finite_or_none, standardized, varies
from counterpoint.results.diagnosis import ConditionTest
from counterpoint.stats import benjamini_hochberg

ERROR_RATE = 0.01
"""Error rate: the false discovery rate of the conditions of a log."""

NOT_READABLE = {
    "C4": "agents with advantages of their own (a critic, times of their own) leave no trace in "
    "rewards: look at the trainer",
    "C7": "shared parameters, optimizer, clip, entropy or KL terms leave no trace in rewards: "
    "look at the trainer",
}
"""Conditions that rewards cannot show, and why."""

FEWEST_DRAWS, MOST_DRAWS = 999, 4999
"""Shuffles of a test. Among m tests, 1.5 m / error rate make the smallest p count."""

MOST_STEPS = 400
"""Steps whose order is tested for drift; the means of more are averaged into as many."""


def find_conditions(log: Log, scheme: Scheme, rng: np.random.Generator) -> list[ConditionTest]:
    """Returns every test that the log allows, in the order of the conditions.

    Where everybody acts in every rollout, as often, in the same roles, or at the same steps, the
    condition cannot hold: it gets an entry without a p-value. Where something varies, but nothing
    is there to shuffle, the condition has no entry: it could not be tested.
    """
    rewards = log.rewards(scheme)
    own_terms = find_own_terms(log, scheme, rewards)
    if np.isnan(rewards).all():
        return [own_terms]
    rollouts = rollouts_of(log, rewards, own_terms.detected, rng)
    jobs = _jobs(log, rollouts)
    count = sum(len(job.tests) for job in jobs)
    draws = int(np.clip(math.ceil(1.5 * count / ERROR_RATE), FEWEST_DRAWS, MOST_DRAWS))
    tests = []
    for job in jobs:
        tested = associations(job.features, job.scores, job.strata, draws, rng, job.uneven)
        for test, one in zip(job.tests, tested, strict=True):
            if not math.isnan(one.p):
                about = ("mean", "spread")[one.score]
                tests.append(replace(test, p=one.p, effect=finite_or_none(one.effect), about=about))
    tests += _clocks(log, rewards, draws, rng)
    p = [test.p for test in tests if test.p is not None]
    q = iter(benjamini_hochberg(p).tolist() if p else ())
    tests = [
        replace(test, q=(rate := next(q)), detected=rate <= ERROR_RATE)
        if test.p is not None
        else test
        for test in tests
    ]
    return sorted([own_terms, *_settled(rollouts), *tests], key=lambda test: test.condition)


def _settled(r: RolloutTable) -> list[ConditionTest]:
    """Returns the conditions that cannot hold, since their feature does not vary."""
    acts = r.count > 0
    often = np.where(acts, r.count, np.nan)
    labelled = [np.where(acts[..., None], share, np.nan) for share in r.shares.values()]
    questions = {"C1": [acts * 1.0], "C2": [often], "C5": labelled}
    # NaN, which stands where an agent does not act, is no value: fmin and fmax pass over it.
    ranges = {
        condition: [np.fmax.reduce(x, axis=0) - np.fmin.reduce(x, axis=0) for x in columns]
        for condition, columns in questions.items()
    }
    return [
        ConditionTest(condition=condition, effect=0.0)
        for condition, widths in ranges.items()
        if widths and not any((width > 1e-9).any() for width in widths)
    ]


@dataclass(frozen=True)
class _Job:
    """Tests that share their units and shuffles."""

    tests: list[ConditionTest]
    features: list[Floats]
    scores: Floats
    strata: Ids
    uneven: bool
    """Whether the units are averages over different numbers of rollouts."""


def _jobs(log: Log, r: RolloutTable) -> list[_Job]:
    """Returns the tests of C1 for all agents, and of C2 and C5 over the rollouts of each agent."""
    agents, acts = log.agents, (r.count > 0).astype(np.float64)
    first = [(ConditionTest(condition="C1", agent=a), acts[:, [k]]) for k, a in enumerate(agents)]
    jobs = _levels(first, r.team, r.block, r.step)
    for k, name in enumerate(agents):
        here = acts[:, k] > 0
        questions = [(ConditionTest(condition="C2", agent=name), r.count[here][:, [k]])]
        for label, share in r.shares.items():
            role = ConditionTest(condition="C5", agent=name, label=label)
            questions.append((role, share[here, k]))
        jobs += _levels(questions, r.own[here, k], r.block[here], r.step[here])
    return jobs


def _levels(
    questions: list[tuple[ConditionTest, Floats]], reward: Floats, block: Ids, step: Ids
) -> list[_Job]:
    """Returns the same questions about rollouts in their prompt, and prompts in their step."""
    if not len(reward):
        return []
    ids, first = dense(block, int(block.max()) + 1)
    mean = _block_mean(reward[:, None], ids)
    inside = reward - mean[ids, 0]
    prompts = np.column_stack([mean, _block_mean(reward[:, None] ** 2, ids)])
    averaged = [(test, _block_mean(feature, ids)) for test, feature in questions]
    uneven = bool(np.ptp(np.bincount(ids)))
    jobs = []
    for level, each, scores, strata, is_uneven in (
        ("rollouts", questions, np.column_stack([inside, inside**2]), ids, False),
        ("prompts", averaged, prompts, step[first], uneven),
    ):
        place, one = dense(strata, int(strata.max()) + 1)
        # A feature that takes one value in every stratum leaves nothing to shuffle.
        kept = [(t, x) for t, x in each if (abs(x - x[one][place]) > 1e-9).any()]
        if kept:
            tests = [replace(test, level=level) for test, _ in kept]
            jobs.append(_Job(tests, [x for _, x in kept], scores, strata, is_uneven))
    return jobs


def _block_mean(columns: Floats, ids: Ids) -> Floats:
    """Returns [blocks, F] the means of columns [U, F] over the units of each block."""
    n = int(ids.max()) + 1
    return np.stack([segment_mean(column, ids, n) for column in columns.T], axis=1)


def find_own_terms(log: Log, scheme: Scheme, rewards: Floats) -> ConditionTest:
    """Tests C3: returns the share of rollouts in which agents' mean rewards differ."""
    apart = scheme.components == "normalize_first"
    columns = list(log.components(scheme).T) if apart else [rewards]
    differs = np.zeros(log.n_rollouts, dtype=bool)
    for column in columns:
        ok = ~np.isnan(column)
        cell = log.rollout[ok] * len(log.agents) + log.agent[ok]
        cell, first = dense(cell, log.n_rollouts * len(log.agents))
        mean = segment_mean(column[ok], cell, len(first))
        differs |= varies(mean, log.rollout[ok][first], log.n_rollouts)
    share, detected = float(differs.mean()), bool(differs.any())
    return ConditionTest(condition="C3", effect=share, detected=detected, level="rollouts")


def bears_on(scheme: Scheme, condition: str, tests: list[ConditionTest]) -> bool:
    """Returns whether a condition that holds can change this scheme's advantages by decoupling."""
    if condition == "C6":
        return scheme.keeps_state
    if condition == "C5":
        by = {*scheme.center_by, *(scheme.scale_by or ())}
        return any(t.condition == "C5" and t.detected and t.label in by for t in tests)
    return True


def _clocks(log: Log, rewards: Floats, draws: int, rng: np.random.Generator) -> list[ConditionTest]:
    """Tests C6: a trend or memory of the rewards over steps, if agents miss different steps."""
    steps, ok = len(log.steps), ~np.isnan(rewards)
    present = np.zeros((steps, len(log.agents)), dtype=bool)
    present[log.step[ok], log.agent[ok]] = True
    used = present.any(axis=1)
    if (present[used] == present[used][:, :1]).all():
        return [ConditionTest(condition="C6", effect=0.0)]
    if used.sum() < 3:
        return []
    mean = segment_mean(rewards[ok], log.step[ok], steps)[used]
    mean = np.array([part.mean() for part in np.array_split(mean, min(len(mean), MOST_STEPS))])
    centered = mean - mean.mean()
    size = float((centered**2).sum())
    if size <= 1e-24 * float((mean**2).sum()):
        return []
    time = np.arange(len(mean)) - (len(mean) - 1) / 2
    time /= np.sqrt((time**2).sum() * size)

    def statistic(series: Floats) -> Floats:  # against all orders of the steps
        trend = abs(series @ time) * np.sqrt(len(mean) - 1)
        memory = (series[..., 1:] * series[..., :-1]).sum(axis=-1) / size * np.sqrt(len(mean))
        return np.asarray(np.maximum(trend, memory + 1 / np.sqrt(len(mean))))

    shuffled = rng.permuted(np.broadcast_to(centered, (draws, len(mean))), axis=1)
    far = (statistic(shuffled) >= statistic(centered) * (1 - 1e-9)).sum()
    p, effect = float((1 + far) / (1 + draws)), finite_or_none(float(centered @ time))
    return [ConditionTest(condition="C6", p=p, effect=effect, level="steps", about="mean")]


MOST_ROLLOUTS = 8192
"""Maximum number of rollouts in the tests; a larger log is sampled."""

MOST_VALUES = 16
"""Number of values of a label that are tested: the most frequent ones."""


@dataclass(frozen=True)
class RolloutTable:
    """[R] rollouts with at least one reward."""

    step: Ids
    """[R] index of the step."""
    block: Ids
    """[R] prompt and step."""
    count: Floats
    """[R, A] decisions of each agent."""
    team: Floats
    """[R] mean reward over the rollout's decisions, standardized in its step."""
    own: Floats
    """[R, A] mean reward of the agent's decisions, standardized in its step; NaN without any."""
    shares: Mapping[str, Floats]
    """Label to [R, A, L]: share of the agent's decisions with each of the label's values."""


def rollouts_of(
    log: Log, rewards: Floats, own_terms: bool, rng: np.random.Generator
) -> RolloutTable:
    """Returns the rollouts of a log that has a reward, or a random sample of them.

    If agents have reward terms of their own (C3), each agent's mean in its step is taken off before
    the team's reward is formed, so that who is present does not decide the mean.
    """
    ok = ~np.isnan(rewards)
    rows = np.flatnonzero(_sampled(log, ok, rng)[log.rollout] & ok)
    rollout, first = dense(log.rollout[rows], log.n_rollouts)
    agent, n_agents, n = log.agent[rows], len(log.agents), len(first)
    step, block, reward = log.step[rows][first], log.block[rows][first], rewards[rows]
    cell, steps = rollout * n_agents + agent, len(log.steps)
    count = np.bincount(cell, minlength=n * n_agents).astype(np.float64)
    mean = segment_mean(reward, cell, n * n_agents)
    own = np.where(count > 0, mean, np.nan).reshape(n, n_agents)
    if own_terms:
        moment = log.step * n_agents + log.agent
        means = segment_mean(rewards[ok], moment[ok], steps * n_agents)
        reward = reward - means[moment[rows]]
    team = segment_mean(reward, rollout, n)
    return RolloutTable(
        step=step,
        block=block,
        count=count.reshape(n, n_agents),
        team=standardized(team, step, steps),
        own=np.stack([standardized(column, step, steps) for column in own.T], axis=1),
        shares={
            name: _shares(log, name, rows, cell, count)
            for name in ("role", "turn", "context")
            if name in log.decisions.labels
        },
    )


def _sampled(log: Log, ok: Bools, rng: np.random.Generator) -> Bools:
    """Returns [rollouts] which ones the tests look at, out of those with a reward (`ok` [N])."""
    _, first = dense(log.rollout, log.n_rollouts)
    keep = np.bincount(log.rollout[ok], minlength=log.n_rollouts) > 0
    for unit in (log.step[first], log.block[first], np.arange(log.n_rollouts)):
        if keep.sum() <= MOST_ROLLOUTS:
            break
        # Whole steps go first, then whole prompts, so that what is left can still be compared.
        size = np.bincount(unit[keep], minlength=int(unit.max()) + 1)
        order = rng.permutation(np.flatnonzero(size))
        fits = np.cumsum(size[order]) <= MOST_ROLLOUTS
        fits[0] = True
        chosen = np.zeros(len(size), dtype=bool)
        chosen[order[fits]] = True
        keep &= chosen[unit]
    return keep


def _shares(log: Log, name: str, rows: Ids, cell: Ids, count: Floats) -> Floats:
    """Returns [R, A, L] the share of each agent's decisions with each frequent value of a label."""
    ids, n = factorize(np.asarray(log.decisions.labels[name])[rows])
    common = np.argsort(-np.bincount(ids, minlength=n), kind="stable")[:MOST_VALUES]
    counts = [np.bincount(cell[ids == value], minlength=len(count)) for value in common]
    shares = np.stack(counts, axis=1) / np.maximum(count, 1)[:, None]
    return shares.reshape(-1, len(log.agents), len(common))
