"""Numbers from logged actions: the influence of an agent's choices, and their entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.credit import Scheme
from counterpoint.credit.labels import factorize
from counterpoint.credit.segments import segment_sum
from counterpoint.diagnose.causes import SUFFICES
from counterpoint.diagnose.log import Ids, Log, dense

MOST_DISTINCT = 0.5
"""Actions that are distinct in more than this share of an agent's decisions are free text."""

FEWEST = 50
"""Decisions of an agent below which its choices say nothing."""

ERRORS = 1.0
"""Standard errors that an influence must be below the threshold to be called small."""

DECISIVE = 0.25
"""An agent with this influence decides much of the reward by itself."""

INFLUENCE = SUFFICES.influence
"""An influence below this is small: that of one of 8 equal contributors."""


@dataclass(frozen=True)
class Choices:
    """[A] each; NaN where the log has no actions, or nothing but free text."""

    influence: Floats
    """`Var(E[R | action]) / Var(R)` within prompt and step, corrected for chance, at least 0."""
    entropy: Floats
    """Entropy of the agent's actions within prompt and step, in nats, averaged over the decisions
    that can be compared with another one there."""
    small_influence: Floats
    """The influence where it is small by more than its error; else NaN."""


def choices_of(log: Log, scheme: Scheme) -> Choices:
    """Returns the influence and entropy of each agent's actions.

    Source: the correction for chance is epsilon squared (Kelley 1935).
    """
    n_agents = len(log.agents)
    unknown = np.full(n_agents, np.nan)
    if log.decisions.action is None:
        return Choices(unknown, unknown, unknown)
    rewards = log.rewards(scheme)
    given = _text(log.decisions.action)
    action = factorize(given)[0]
    ok = ~np.isnan(rewards)
    agent, action, reward = log.agent[ok], action[ok], rewards[ok]
    cell, _ = dense(log.block[ok] * n_agents + agent, log.n_blocks * n_agents)
    option, first = dense(*factorize(cell * (int(action.max(initial=0)) + 1) + action))
    kinds, _ = dense(*factorize(agent * (int(action.max(initial=0)) + 1) + action))
    distinct = np.bincount(
        np.unique(np.column_stack([agent, kinds]), axis=0)[:, 0], minlength=n_agents
    )
    count = np.bincount(agent, minlength=n_agents)
    countable = distinct <= MOST_DISTINCT * count
    countable &= np.bincount(log.agent[given != ""], minlength=n_agents) > 0  # logged at all
    entropy = _entropy(agent, cell, option, n_agents)
    influence = _influence(agent, cell, option, first, reward, n_agents)
    influence = np.where(countable, influence, np.nan)
    return Choices(influence, np.where(countable, entropy, np.nan), _surely_small(influence, count))


def _surely_small(influence: Floats, count: Ids) -> Floats:
    """Returns [A] influences that are small by more than their error; NaN for all others.

    Beside an agent with a choice that decides the reward, no agent is DILUTED: what a speaker does
    arrives in what its listener does, and their marginal influences say nothing of that.
    """
    n = np.maximum(count, 1)
    error = ERRORS * 2 * np.sqrt(np.maximum(influence, 1 / n) / n)
    known = influence[np.isfinite(influence)]
    if known.size and np.median(known) <= INFLUENCE / 2:  # many hands: the others speak for it
        error = 0.0 * error
    small = (influence + error < INFLUENCE) & (count >= FEWEST)
    decisive = np.nan_to_num(influence).max(initial=0.0) >= DECISIVE
    return np.where(small & ~decisive, influence, np.nan)


def _influence(
    agent: Ids, cell: Ids, option: Ids, first: Ids, reward: Floats, n_agents: int
) -> Floats:
    """Returns [A] the share of the reward's variance within cells that the option explains."""
    total, n_total = _spread(reward, cell)
    within, n_within = _spread(reward, option)
    all_squares = segment_sum(total**2, agent, n_agents)
    left = segment_sum(within**2, agent, n_agents)
    free = np.bincount(agent, minlength=n_agents).astype(np.float64)
    cells = np.bincount(agent[n_total], minlength=n_agents)
    options = np.bincount(agent[n_within], minlength=n_agents)
    error = left / np.where(free > options, free - options, np.nan)
    explained = all_squares - left - (options - cells) * error
    share = explained / np.where(all_squares > 0, all_squares, np.nan)
    return np.clip(share, 0.0, 1.0)


def _spread(reward: Floats, ids: Ids) -> tuple[Floats, Ids]:
    """Returns the deviation of each row from its segment's mean, and each segment's first row."""
    _, first = np.unique(ids, return_index=True)
    mean = np.bincount(ids, weights=reward) / np.maximum(np.bincount(ids), 1)
    return reward - mean[ids], first


def _entropy(agent: Ids, cell: Ids, option: Ids, n_agents: int) -> Floats:
    """Returns [A] the entropy of options in their cell, averaged over decisions: mean of -log
    p(option).

    A cell with one decision has one option for certain, and says nothing.
    """
    size = np.bincount(cell)[cell]
    comparable = size > 1
    surprise = -np.log(np.bincount(option)[option] / size)
    count = np.bincount(agent[comparable], minlength=n_agents)
    total = segment_sum(surprise[comparable], agent[comparable], n_agents)
    return np.where(count >= FEWEST, total / np.where(count > 0, count, np.nan), np.nan)


def _text(action: NDArray[np.generic]) -> NDArray[np.generic]:
    """Returns actions without missing values: None becomes "", an action like others."""
    if action.dtype.kind != "O":
        return action
    plain = np.empty(len(action), dtype=object)
    plain[:] = ["" if value is None else value for value in action.tolist()]
    return plain
