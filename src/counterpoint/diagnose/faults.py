"""What is wrong with a log itself, before any scheme is judged by it. Start at `log_faults`.

| code | what | verdict |
|---|---|---|
| all_missing | no row has a reward | cannot tell |
| constant | no reward differs from another one | cannot tell |
| two_runs | keys occur again after the step went back: two runs, or a resumed one | cannot tell |
| repeated_keys | rows of one key differ in reward: updates, turns or prompts merged | cannot tell |
| too_few | fewer rollouts with a reward than a verdict needs | cannot tell |
| components_cancel | the components vary, and their sum does not | judged by components alone |
| agent_missing, agent_constant | the same of one agent's rewards | about that agent |
| last_row | the reward stands in the last row of an episode | read as the return of its rows |
| groups_of_one | most prompts have a single rollout | statistics per prompt say nothing |
| one_component | one component carries nearly all of the variance | the others are hardly learned |
| logged_twice | each row is followed by its copy | counts are twice too high |
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.credit.rewards import Rewards
from counterpoint.credit.scheme import Scheme
from counterpoint.diagnose.conditions import find_own_terms
from counterpoint.diagnose.keys import repeated_keys
from counterpoint.diagnose.log import (
    Ids,
    Log,
    counted,
    dense,
    distinct,
    present_sum,
    varies,
)
from counterpoint.diagnose.pay import CHANCE
from counterpoint.results.diagnosis import LogFault

FEWEST = 30
"""Rollouts (or single rewards, where they differ within rollouts) that a verdict needs at least:
with fewer, no permutation test over 8 rollouts a prompt can reach the error rate."""

ONE_CARRIES = 0.995
"""Share of the components' variance from which on one of them carries nearly all of it."""

FEWEST_OWN = 12
"""Equal rewards of its own that make an agent's reward constant."""


def log_faults(log: Log, scheme: Scheme) -> tuple[LogFault, ...]:
    """Everything that is wrong with a log under a scheme, the worst first.

    Args:
        log: the log.
        scheme: its weights make the reward, and its reading of it says which rows differ.

    Raises:
        SchemeError: the scheme's weights are not as many as the components.
        RewardError: a reward is too large to be squared and summed.
    """
    read, weights = Rewards.read(log.components(scheme), scheme), scheme.weights
    values = log.decisions.rewards if log.returns is None else log.returns
    reward = present_sum(values, _weights(values, weights))
    if read.missing is not None and read.missing.all():
        sentence = f"All {len(reward):,} rewards are missing, so there is nothing to learn from."
        sentence += " Check the reward functions."
        return (LogFault(code="all_missing", count=len(reward), sentence=sentence),)
    faults = [*repeated_keys(log, read), *_constant(log, values, reward)]
    if not any(fault.fatal for fault in faults):
        faults += _few(log, reward)
    faults += [*_paid_last(log), *_singles(log, reward), *_one_component(log, values, weights)]
    return tuple(sorted(faults, key=lambda fault: not fault.fatal))


def _weights(values: Floats, weights: tuple[float, ...] | None) -> Floats:
    return np.ones(values.shape[1]) if weights is None else np.array(weights)


def _constant(log: Log, values: Floats, reward: Floats) -> Iterator[LogFault]:
    """Agents without rewards, agents with a constant reward, or a whole log without variance."""
    n, ok = len(log.agents), ~np.isnan(reward)
    flat = np.ones(n, dtype=bool)
    for column in (reward, *values.T):  # a component that varies can be learned from
        flat &= ~varies(column, log.agent, n)
    given = np.bincount(log.agent[ok], minlength=n)
    one_value = not varies(reward, np.zeros_like(log.agent), 1)[0]
    if flat.all() and one_value:
        yield LogFault(
            code="constant", count=len(reward), sentence=
            f"The reward never varies: all {int(ok.sum()):,} rewards are "
            f"{_number(reward[ok][0])}. No agent can learn from it under any scheme.",
        )  # fmt: skip
        return
    if one_value:
        yield LogFault(
            code="components_cancel", count=len(reward), sentence=
            f"The components vary, but their sum does not: all {int(ok.sum()):,} sums are "
            f"{_number(reward[ok][0])}. A scheme that sums them first cannot learn from them.",
        )  # fmt: skip
        return
    unlikely = _surely_constant(log, reward, given)
    for k in np.flatnonzero(flat & unlikely):
        yield LogFault(
            code="agent_constant", count=int(given[k]), sentence=
            f"The reward of {log.agents[k]} never varies, so no scheme can help this agent. Give "
            "it a reward that depends on what it does.",
            agent=log.agents[k],
        )  # fmt: skip
    for k in np.flatnonzero(given == 0):
        count = int((log.agent == k).sum())
        sentence = f"All {count:,} rewards of {log.agents[k]} are missing."
        yield LogFault(code="agent_missing", count=count, sentence=sentence, agent=log.agents[k])


def _surely_constant(log: Log, reward: Floats, given: Ids) -> NDArray[np.bool_]:
    """[A] whether equal rewards of an agent are no accident of few samples.

    Where everybody in a rollout gets the same, the rewards of an agent are draws of the team's.
    """
    own_terms = find_own_terms(log, Scheme(), reward).detected
    if own_terms:
        return given >= FEWEST_OWN
    _, counts = np.unique(reward[~np.isnan(reward)], return_counts=True)
    rollouts = np.bincount(dense_agents(log, ~np.isnan(reward)), minlength=len(given))
    chance: NDArray[np.bool_] = rollouts * np.log(counts.max() / counts.sum()) < np.log(CHANCE)
    return chance


def dense_agents(log: Log, ok: NDArray[np.bool_]) -> Ids:
    """The agent of each pair of a rollout and an agent that has a reward in it."""
    n = len(log.agents)
    own = (log.rollout * n + log.agent)[ok]
    return distinct(own) % n


def _few(log: Log, reward: Floats) -> Iterator[LogFault]:
    """Fewer samples than a verdict needs."""
    count = samples(log, reward)
    if count >= FEWEST:
        return
    yield LogFault(
        code="too_few", count=count, sentence=
        f"The log has {counted(count, 'rollout')} with a reward; a verdict needs at least "
        f"{FEWEST}. Collect {FEWEST - count} more, best with 4 or more rollouts a prompt.",
    )  # fmt: skip


def samples(log: Log, reward: Floats) -> int:
    """Rollouts with a reward; rewards, where those of one agent mostly differ in its rollouts."""
    ok = ~np.isnan(reward)
    rollouts = len(distinct(log.rollout[ok]))
    own = log.rollout * len(log.agents) + log.agent
    n = log.n_rollouts * len(log.agents)
    given = np.bincount(own[ok], minlength=n) > 0
    dense_pay = varies(reward, own, n)[given].mean() > 0.5
    return int(np.bincount(log.agent[ok]).max()) if dense_pay else rollouts


def _paid_last(log: Log) -> Iterator[LogFault]:
    if log.returns is not None:
        yield LogFault(
            code="last_row", count=log.n_rollouts, sentence=
            f"Only the last row of each episode has the reward, in all {log.n_rollouts:,} "
            "rollouts. Each row counts with the return of its episode, since a mean over the rows "
            "would divide the return by the length.",
        )  # fmt: skip


def _singles(log: Log, reward: Floats) -> Iterator[LogFault]:
    """Prompts with a single rollout, where most are."""
    ok = ~np.isnan(reward)
    _, first = dense(log.rollout[ok], log.n_rollouts)
    size = np.bincount(log.block[ok][first], minlength=log.n_blocks)
    singles, filled = int((size == 1).sum()), int((size > 0).sum())
    if 2 * singles > filled:
        yield LogFault(
            code="groups_of_one", count=singles, sentence=
            f"{singles:,} of {filled:,} groups of one prompt and update have a single rollout, and "
            "statistics per prompt give them no advantage. Draw several rollouts a prompt.",
        )  # fmt: skip


def _one_component(
    log: Log, values: Floats, weights: tuple[float, ...] | None
) -> Iterator[LogFault]:
    if np.count_nonzero(_weights(values, weights)) < 2:  # a weight of 0 only logs
        return
    ok = ~np.isnan(values)
    count = np.maximum(ok.sum(axis=0), 1)
    mean = np.where(ok, values, 0.0).sum(axis=0) / count
    var = (np.where(ok, values - mean, 0.0) ** 2).sum(axis=0) / count
    var = var * _weights(values, weights) ** 2
    share = var / var.sum() if var.sum() > 0 else np.zeros(len(var))
    top = int(share.argmax())
    if share[top] >= ONE_CARRIES:
        yield LogFault(
            code="one_component", count=1, sentence=
            f"{log.decisions.components[top]} carries {share[top]:.1%} of the variance of "
            f"{len(var)} reward components, so the sum contains almost nothing of the others.",
        )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")
