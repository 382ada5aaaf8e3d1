"""Learning from a judge: a bandit whose group's rewards are a judge's opinions. Start with `learn`.

The smallest learner in which everything about a judge can be measured: A arms, a softmax policy, G
draws an update, advantages normalized in the group. What differs is where the rewards come from, an
`Opinions`; all seeds run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.judge import Candidate, Group, Judge, RankSettings, rank_groups
from counterpoint.records import Episode, Event

Opinions = Callable[[Floats, np.random.Generator], Floats]
"""[S, G] true values of what was drawn to [S, G] rewards; NaN in a group that is void."""


@dataclass(frozen=True)
class Bandit:
    """The task and the learner."""

    arms: int = 8
    """Arms; their values are drawn evenly from 0 to 1 for each seed."""
    group: int = 8
    """Draws an update, all judged together."""
    updates: int = 100
    """Policy updates."""
    lr: float = 0.3
    """Step along the policy gradient of the logits."""


@dataclass(frozen=True)
class Learned:
    """The result of learning."""

    value: Floats
    """[S] expected value of the policy at the end, over that of the best arm."""
    void: float
    """Share of the groups without rewards."""


def learn(opinions: Opinions, seeds: Sequence[int], bandit: Bandit | None = None) -> Learned:
    """Returns how good a policy becomes that learns from `opinions` on its draws.

    Args:
        opinions: where rewards come from.
        seeds: [S] seeds; each draws its arms and actions the same whatever the opinions are.
        bandit: the task and the learner.
    """
    bandit = bandit or Bandit()
    values = np.stack([np.random.default_rng([s, 1]).random(bandit.arms) for s in seeds])
    draws = [np.random.default_rng([s, 2]) for s in seeds]
    rng = np.random.default_rng([3, seeds[0]] if seeds[0] else 3)
    count = len(seeds)
    logits, rows, void = np.zeros((count, bandit.arms)), np.arange(count)[:, None], 0
    for _ in range(bandit.updates):
        policy = _softmax(logits)
        uniform = np.stack([each.random(bandit.group) for each in draws])
        taken = (uniform[:, :, None] > policy.cumsum(axis=1)[:, None, :-1]).sum(axis=2)
        rewards = opinions(values[rows, taken], rng)
        lost = np.asarray(np.isnan(rewards).any(axis=1))
        void += int(lost.sum())
        rewards = np.where(lost[:, None], 0.0, rewards)
        gradient = np.zeros_like(logits)
        np.add.at(gradient, (rows, taken), rewards)
        gradient -= rewards.sum(axis=1, keepdims=True) * policy
        logits += bandit.lr * gradient / bandit.group
    final = (_softmax(logits) * values).sum(axis=1) / values.max(axis=1)
    return Learned(final, void / (count * bandit.updates))


def normalized(rewards: Floats) -> Floats:
    """Returns [S, G] rewards less the group's mean, in standard deviations; 0 if all are equal."""
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    spread = rewards.std(axis=1, keepdims=True)
    return np.where(spread > 1e-9, centred / np.maximum(spread, 1e-9), 0.0)


def ranks(scores: Floats) -> Floats:
    """Returns [S, G] places in the group; ties share their mean."""
    below = (scores[:, None, :] < scores[:, :, None]).sum(axis=2)
    equal = (scores[:, None, :] == scores[:, :, None]).sum(axis=2)
    return np.asarray(below + (equal - 1) / 2, dtype=np.float64)


def scored(noise: float, drift: float = 0.0) -> Opinions:
    """Returns scores of draws with noise of each draw, and drift that differs from call to call."""

    def opinions(true: Floats, rng: np.random.Generator) -> Floats:
        size = true.shape
        return normalized(true + noise * rng.standard_normal(size)
                          + drift * rng.standard_normal(size))  # fmt: skip

    return opinions


def ranked(noise: float, position_bias: float = 0.0, order: str = "drawn") -> Opinions:
    """Returns rewards by rank from one call for the group; the first place gains most.

    Args:
        noise: standard deviation, of each.
        position_bias: what the first gains over the last.
        order: in which the judge reads them: as `drawn`, which is by chance; `sorted` by kind, so
            that the same arm always stands in the same region, in an order unrelated to values;
            `shuffled` anew for each call, whatever they were.
    """

    def opinions(true: Floats, rng: np.random.Generator) -> Floats:
        seeds, n = true.shape
        if order == "sorted":
            kind = (true * 7919.0) % 1
            place = np.argsort(np.argsort(kind, axis=1, kind="stable"), axis=1)
        elif order == "shuffled":
            place = rng.permuted(np.tile(np.arange(n), (seeds, 1)), axis=1)
        else:
            place = np.tile(np.arange(n), (seeds, 1))
        gain = position_bias * (1 - place / (n - 1))
        return normalized(ranks(true + gain + noise * rng.standard_normal(true.shape)))

    return opinions


def judged(judge: Judge, settings: RankSettings, factor: float = 1.0) -> Opinions:
    """Returns the rewards of `counterpoint rank` with a judge that knows the truth.

    Args:
        judge: the judge.
        settings: what the judge is asked.
        factor: by which all rewards are multiplied: the length of a step, and nothing else.
    """
    calls = 0

    def opinions(true: Floats, rng: np.random.Generator) -> Floats:
        nonlocal calls
        calls += 1
        seeded = replace(settings, seed=int(rng.integers(2**31)))
        groups = [_group(f"{calls}-{s}", row) for s, row in enumerate(true)]
        verdicts = rank_groups(groups, judge, seeded)
        return np.array(
            [
                [factor * verdict.rewards.get(str(i), np.nan) for i in range(true.shape[1])]
                for verdict in verdicts
            ]
        )

    return opinions


def _group(name: str, true: Sequence[float] | NDArray[np.float64]) -> Group:
    return Group(
        name,
        "draw an arm",
        tuple(
            Candidate(str(i), Episode(str(i), (Event(0, "a", "message", f"{v:.6f}"),), ("a",)), v)
            for i, v in enumerate(map(float, true))
        ),
    )


def _softmax(logits: Floats) -> Floats:
    each = np.exp(logits - logits.max(axis=1, keepdims=True))
    policy: Floats = each / each.sum(axis=1, keepdims=True)
    return policy
