"""Which of the conditions under which decoupling can matter hold in a log.

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
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from counterpoint.arrays import Floats
from counterpoint.credit.scheme import Scheme
from counterpoint.diagnose.association import associations
from counterpoint.diagnose.log import Ids, Log, dense, finite
from counterpoint.diagnose.rollouts import Rollouts, rollouts_of
from counterpoint.results.diagnosis import ConditionTest
from counterpoint.stats import benjamini_hochberg

ERROR_RATE = 0.01
"""How often at most a log without any of the conditions gets one: the false discovery rate."""

NOT_READABLE = {
    "C4": "agents with advantages of their own (a critic, times of their own) leave no trace in "
    "rewards: look at the trainer",
    "C7": "shared parameters, optimizer, clip, entropy or KL terms leave no trace in rewards: "
    "look at the trainer",
}
"""Conditions that rewards cannot show, and why."""

SAME = 1e-9
"""Rewards of one rollout that differ by less than this, relative to their size, are the same."""

FEWEST_DRAWS, MOST_DRAWS = 999, 4999
"""Shuffles of a test. Among m tests, 1.5 m / error rate make the smallest p count."""

MOST_STEPS = 400
"""Steps whose order is tested for drift; the means of more are averaged into as many."""


def find_conditions(log: Log, scheme: Scheme, rng: np.random.Generator) -> list[ConditionTest]:
    """Every test that the log allows, in the order of the conditions.

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
    tests = [test for job in jobs for test in _run(job, draws, rng)]
    tests += _clocks(log, rewards, draws, rng)
    p = [test.p for test in tests if test.p is not None]
    q = iter(benjamini_hochberg(p).tolist() if p else ())
    tests = [_corrected(test, next(q)) if test.p is not None else test for test in tests]
    return sorted([own_terms, *_settled(rollouts), *tests], key=lambda test: test.condition)


def _corrected(test: ConditionTest, q: float) -> ConditionTest:
    return replace(test, q=q, detected=q <= ERROR_RATE)


def _settled(r: Rollouts) -> list[ConditionTest]:
    """The conditions that cannot hold, since what they ask about does not vary."""
    acts = r.count > 0
    often = np.where(acts, r.count, np.nan)
    labelled = [np.where(acts[..., None], share, np.nan) for share in r.shares.values()]
    questions = {"C1": [acts * 1.0], "C2": [often], "C5": labelled}
    return [
        ConditionTest(condition=condition, effect=0.0)
        for condition, columns in questions.items()
        if columns and not any(_varies(column) for column in columns)
    ]


def _varies(columns: Floats) -> bool:
    """Whether anything in [R, ...] takes two values over the rollouts; NaN is no value."""
    low, high = np.fmin.reduce(columns, axis=0), np.fmax.reduce(columns, axis=0)
    return bool((high - low > 1e-9).any())


@dataclass(frozen=True)
class _Job:
    """Tests that share their units and shuffles."""

    tests: list[ConditionTest]
    features: list[Floats]
    scores: Floats
    strata: Ids
    uneven: bool
    """Whether the units are averages over different numbers of rollouts."""


def _jobs(log: Log, r: Rollouts) -> list[_Job]:
    """C1 for all agents together; C2 and C5 for each agent, over the rollouts where it acts."""
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
    return [job for job in jobs if job.tests]


def _levels(
    questions: list[tuple[ConditionTest, Floats]], reward: Floats, block: Ids, step: Ids
) -> list[_Job]:
    """The same questions about rollouts within their prompt, and about prompts in their step."""
    if not len(reward):
        return []
    ids, first = dense(block, int(block.max()) + 1)
    mean = _block_mean(reward[:, None], ids)
    inside = reward - mean[ids, 0]
    prompts = np.column_stack([mean, _block_mean(reward[:, None] ** 2, ids)])
    averaged = [(test, _block_mean(feature, ids)) for test, feature in questions]
    return [
        _job("rollouts", questions, np.column_stack([inside, inside**2]), ids, uneven=False),
        _job("prompts", averaged, prompts, step[first], uneven=bool(np.ptp(np.bincount(ids)))),
    ]


def _job(
    level: str,
    questions: list[tuple[ConditionTest, Floats]],
    scores: Floats,
    strata: Ids,
    *,
    uneven: bool,
) -> _Job:
    kept = [(replace(t, level=level), x) for t, x in questions if _varies_within(x, strata)]
    return _Job([test for test, _ in kept], [x for _, x in kept], scores, strata, uneven)


def _varies_within(feature: Floats, strata: Ids) -> bool:
    """Whether any column of [U, F] takes two values in one stratum."""
    ids, first = dense(strata, int(strata.max()) + 1)
    return bool((abs(feature - feature[first][ids]) > 1e-9).any())


def _block_mean(columns: Floats, ids: Ids) -> Floats:
    count = np.bincount(ids)
    means: Floats = np.stack([np.bincount(ids, weights=c) / count for c in columns.T], axis=1)
    return means


def _run(job: _Job, draws: int, rng: np.random.Generator) -> list[ConditionTest]:
    tested = associations(job.features, job.scores, job.strata, draws, rng, studentized=job.uneven)
    return [
        replace(test, p=one.p, effect=finite(one.effect), about=("mean", "spread")[one.score])
        for test, one in zip(job.tests, tested, strict=True)
        if not math.isnan(one.p)
    ]


def find_own_terms(log: Log, scheme: Scheme, rewards: Floats) -> ConditionTest:
    """C3: the share of rollouts in which agents' mean rewards differ beyond rounding."""
    columns = [rewards]
    if scheme.components == "normalize_first":
        columns = list(log.components(scheme).T)
    differs = np.zeros(log.n_rollouts, dtype=bool)
    for column in columns:
        ok = ~np.isnan(column)
        cell, first = dense(
            log.rollout[ok] * len(log.agents) + log.agent[ok], log.n_rollouts * len(log.agents)
        )
        if not len(first):
            continue
        mean = np.bincount(cell, weights=column[ok]) / np.bincount(cell)
        owner = log.rollout[ok][first]
        low, high = np.full(log.n_rollouts, np.inf), np.full(log.n_rollouts, -np.inf)
        np.minimum.at(low, owner, mean)
        np.maximum.at(high, owner, mean)
        size = np.maximum(abs(low), abs(high))
        differs |= np.isfinite(low) & (high - low > SAME * size)
    share = float(differs.mean())
    detected = bool(differs.any())
    return ConditionTest(condition="C3", effect=share, detected=detected, level="rollouts")


def bears_on(scheme: Scheme, condition: str, tests: list[ConditionTest]) -> bool:
    """Whether a condition that holds can change this scheme's advantages by decoupling."""
    if condition == "C6":
        return scheme.keeps_state
    if condition == "C5":
        by = {*scheme.center_by, *(scheme.scale_by or ())}
        return any(t.condition == "C5" and t.detected and t.label in by for t in tests)
    return True


def _clocks(log: Log, rewards: Floats, draws: int, rng: np.random.Generator) -> list[ConditionTest]:
    """C6: a trend or memory of the rewards over steps, where agents miss different steps."""
    steps, ok = len(log.steps), ~np.isnan(rewards)
    present = np.zeros((steps, len(log.agents)), dtype=bool)
    present[log.step[ok], log.agent[ok]] = True
    used = present.any(axis=1)
    if (present[used] == present[used][:, :1]).all():
        return [ConditionTest(condition="C6", effect=0.0)]
    if used.sum() < 3:
        return []
    count = np.maximum(np.bincount(log.step[ok], minlength=steps), 1)
    mean = (np.bincount(log.step[ok], weights=rewards[ok], minlength=steps) / count)[used]
    binned = [part.mean() for part in np.array_split(mean, min(len(mean), MOST_STEPS))]
    drift = _drift(np.array(binned), draws, rng)
    if drift is None:
        return []
    p, trend = drift
    tested = ConditionTest(condition="C6", p=p, effect=finite(trend), level="steps", about="mean")
    return [tested]


def _drift(mean: Floats, draws: int, rng: np.random.Generator) -> tuple[float, float] | None:
    """p and trend of step means [T], against all orders; None where they are all the same."""
    centered = mean - mean.mean()
    size = float((centered**2).sum())
    if size <= 1e-24 * float((mean**2).sum()):
        return None
    time = np.arange(len(mean)) - (len(mean) - 1) / 2
    time /= np.sqrt((time**2).sum() * size)

    def statistic(series: Floats) -> Floats:
        trend = abs(series @ time) * np.sqrt(len(mean) - 1)
        memory = (series[..., 1:] * series[..., :-1]).sum(axis=-1) / size * np.sqrt(len(mean))
        larger: Floats = np.maximum(trend, memory + 1 / np.sqrt(len(mean)))
        return larger

    shuffled = rng.permuted(np.broadcast_to(centered, (draws, len(mean))), axis=1)
    far = (statistic(shuffled) >= statistic(centered) * (1 - 1e-9)).sum()
    return float((1 + far) / (1 + draws)), float(centered @ time)
