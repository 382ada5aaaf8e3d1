"""The log rollout by rollout: who acted how often, and what the rollout was worth.

A large log is sampled, since the permutation tests need far less than a million rows: whole steps
first, then prompts, then rollouts, so that what is compared stays together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.credit.labels import factorize
from counterpoint.diagnose.log import Ids, Log, dense, standardized

MOST_ROLLOUTS = 8192
"""Rollouts that the tests look at; a random sample of the log where it has more."""

MOST_VALUES = 16
"""Values of a label that are tested: the most frequent ones."""


@dataclass(frozen=True)
class Rollouts:
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


def rollouts_of(log: Log, rewards: Floats, own_terms: bool, rng: np.random.Generator) -> Rollouts:
    """The rollouts of a log that has a reward, or a sample of them.

    Args:
        log: the log.
        rewards: [N] scalar reward of each row.
        own_terms: whether agents have reward terms of their own (C3). Then each agent's mean in
            its step is taken off before the team's reward is formed, so that who is present does
            not decide the mean.
        rng: which rollouts are sampled.
    """
    ok = ~np.isnan(rewards)
    rows = np.flatnonzero(_sampled(log, ok, rng)[log.rollout] & ok)
    rollout, first = dense(log.rollout[rows], log.n_rollouts)
    agent, n_agents, n = log.agent[rows], len(log.agents), len(first)
    step, block, reward = log.step[rows][first], log.block[rows][first], rewards[rows]
    cell = rollout * n_agents + agent
    count = np.bincount(cell, minlength=n * n_agents).astype(np.float64)
    total = np.bincount(cell, weights=reward, minlength=n * n_agents)
    own = np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(n, n_agents)
    if own_terms:
        reward = reward - _agent_means(log, rewards)[log.step[rows], agent]
    team = np.bincount(rollout, weights=reward, minlength=n) / np.bincount(rollout, minlength=n)
    steps = len(log.steps)
    return Rollouts(
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


def _sampled(log: Log, ok: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """[rollouts] which ones the tests look at, out of those with a reward (`ok` [N])."""
    _, first = dense(log.rollout, log.n_rollouts)
    keep = np.bincount(log.rollout[ok], minlength=log.n_rollouts) > 0
    for unit in (log.step[first], log.block[first], np.arange(log.n_rollouts)):
        if keep.sum() <= MOST_ROLLOUTS:
            break
        size = np.bincount(unit[keep], minlength=int(unit.max()) + 1)
        order = rng.permutation(np.flatnonzero(size))
        fits = np.cumsum(size[order]) <= MOST_ROLLOUTS
        fits[0] = True
        chosen = np.zeros(len(size), dtype=bool)
        chosen[order[fits]] = True
        keep &= chosen[unit]
    return keep


def _agent_means(log: Log, rewards: Floats) -> Floats:
    """[T, A] mean reward of each agent in each step."""
    ok, shape = ~np.isnan(rewards), (len(log.steps), len(log.agents))
    cell = (log.step * shape[1] + log.agent)[ok]
    size = shape[0] * shape[1]
    count = np.bincount(cell, minlength=size)
    return (np.bincount(cell, weights=rewards[ok], minlength=size) / np.maximum(count, 1)).reshape(
        shape
    )


def _shares(log: Log, name: str, rows: Ids, cell: Ids, count: Floats) -> Floats:
    """[R, A, L] share of each agent's decisions with each frequent value of a label."""
    ids, n = factorize(np.asarray(log.decisions.labels[name])[rows])
    common = np.argsort(-np.bincount(ids, minlength=n), kind="stable")[:MOST_VALUES]
    counts = [np.bincount(cell[ids == value], minlength=len(count)) for value in common]
    return (np.stack(counts, axis=1) / np.maximum(count, 1)[:, None]).reshape(
        -1, len(log.agents), len(common)
    )
