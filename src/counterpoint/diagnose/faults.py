"""Faults of a log itself, before a scheme is evaluated on it. Start at `log_faults`.

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
from dataclasses import replace

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.credit.labels import factorize, occurrence
from counterpoint.credit.rewards import Rewards
from counterpoint.credit.rollouts import conflicting_rows
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import segment_max, segment_min
from counterpoint.diagnose.conditions import find_own_terms
from counterpoint.diagnose.log import (
    CHANCE,
    Ids,
    Log,
    dense,
    distinct,
    number_of,
    present_sum,
    varies,
)
from counterpoint.records import Decisions
from counterpoint.results.diagnosis import LogFault

FEWEST = 30
"""Rollouts (or single rewards, where they differ within rollouts) that a verdict needs at least:
with fewer, no permutation test over 8 rollouts a prompt can reach the error rate."""

ONE_CARRIES = 0.995
"""Share of the components' variance from which on one of them carries nearly all of it."""

FEWEST_OWN = 12
"""Equal rewards of its own that make an agent's reward constant."""


def log_faults(log: Log, scheme: Scheme) -> tuple[LogFault, ...]:
    """Returns everything that is wrong with a log under a scheme, the worst first.

    The scheme's weights make the reward, and its reading of it says which rows differ.

    Raises:
        SchemeError: the scheme's weights are not as many as the components.
        RewardError: a reward is too large to be squared and summed.
    """
    read = Rewards.read(log.components(scheme), scheme)
    values = log.decisions.rewards if log.returns is None else log.returns
    weights = np.ones(values.shape[1]) if scheme.weights is None else np.array(scheme.weights)
    reward = present_sum(values, weights)
    if read.missing is not None and read.missing.all():
        sentence = f"All {len(reward):,} rewards are missing, so there is nothing to learn from."
        sentence += " Check the reward functions."
        return (LogFault(code="all_missing", count=len(reward), sentence=sentence),)
    faults = [*repeated_keys(log, read), *_constant(log, values, reward)]
    count = samples(log, reward)
    if count < FEWEST and not any(fault.fatal for fault in faults):
        faults.append(LogFault(
            code="too_few", count=count, sentence=
            f"The log has {number_of(count, 'rollout')} with a reward; a verdict needs at least "
            f"{FEWEST}. Collect {FEWEST - count} more, best with 4 or more rollouts a prompt.",
        ))  # fmt: skip
    if log.returns is not None:
        faults.append(LogFault(
            code="last_row", count=log.n_rollouts, sentence=
            f"Only the last row of each episode has the reward, in all {log.n_rollouts:,} "
            "rollouts. Each row counts with the return of its episode, since a mean over the rows "
            "would divide the return by the length.",
        ))  # fmt: skip
    faults += [*_singles(log, reward), *_one_component(log, values, weights)]
    return tuple(sorted(faults, key=lambda fault: not fault.fatal))


def _constant(log: Log, values: Floats, reward: Floats) -> Iterator[LogFault]:
    """Yields faults of missing or constant rewards, of agents or of the whole log."""
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
    # Equal rewards of few samples may be an accident. Where everybody in a rollout gets the same,
    # the rewards of an agent are draws of the team's, of which the most frequent one is likely.
    if find_own_terms(log, Scheme(), reward).detected:
        unlikely = given >= FEWEST_OWN
    else:
        _, counts = np.unique(reward[ok], return_counts=True)
        own = distinct((log.rollout * n + log.agent)[ok]) % n  # the agent of each rollout
        rollouts = np.bincount(own, minlength=n)
        unlikely = rollouts * np.log(counts.max() / counts.sum()) < np.log(CHANCE)
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


def samples(log: Log, reward: Floats) -> int:
    """Returns the number of rollouts with a reward, or of rewards if they differ in rollouts."""
    ok = ~np.isnan(reward)
    rollouts = len(distinct(log.rollout[ok]))
    own = log.rollout * len(log.agents) + log.agent
    n = log.n_rollouts * len(log.agents)
    given = np.bincount(own[ok], minlength=n) > 0
    dense_pay = varies(reward, own, n)[given].mean() > 0.5
    return int(np.bincount(log.agent[ok]).max()) if dense_pay else rollouts


def _singles(log: Log, reward: Floats) -> Iterator[LogFault]:
    """Yields a fault if most prompts have a single rollout."""
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


def _one_component(log: Log, values: Floats, weights: Floats) -> Iterator[LogFault]:
    """Yields a fault if one component carries nearly all of the variance."""
    if np.count_nonzero(weights) < 2:  # a weight of 0 only logs
        return
    ok = ~np.isnan(values)
    count = np.maximum(ok.sum(axis=0), 1)
    mean = np.where(ok, values, 0.0).sum(axis=0) / count
    var = (np.where(ok, values - mean, 0.0) ** 2).sum(axis=0) / count
    var = var * weights**2
    share = var / var.sum() if var.sum() > 0 else np.zeros(len(var))
    top = int(share.argmax())
    if share[top] >= ONE_CARRIES:
        yield LogFault(
            code="one_component", count=1, sentence=
            f"{log.decisions.components[top]} carries {share[top]:.1%} of the variance of "
            f"{len(var)} reward components, so the sum contains almost nothing of the others.",
        )  # fmt: skip


def _number(value: float) -> str:
    """Returns six digits of a number, with a real minus sign."""
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


MOST_PASSES = 10
"""A log in which steps go back more often than this was shuffled: its order means nothing."""


def repeated_keys(log: Log, read: Rewards) -> Iterator[LogFault]:
    """Yields a fault if keys (step, prompt, rollout, agent, turn) occur more than once.

    Whether their rewards differ is decided as the scheme decides it (`read`), which can thus credit
    every log without such a fault.
    """
    key = _keys(log)
    n = int(key.max()) + 1
    again = segment_min(np.arange(len(key)), key, n)[key] < np.arange(len(key))
    if not again.any():
        return
    where, differing = _passes(log), len(distinct(key[conflicting_rows(read, key)]))
    crossing = 0
    if where is not None:  # keys with rows in more than one pass over the steps
        crossing = int((segment_max(where, key, n) > segment_min(where, key, n)).sum())
    labelled = "turn" in log.decisions.labels
    if where is not None and differing and crossing:
        yield LogFault(
            code="two_runs", count=crossing, sentence=
            f"{number_of(crossing, 'key')} (step, prompt, rollout, agent) {_occur(crossing)} twice "
            f"or more, again after the steps went back. The log holds {int(where.max()) + 1} runs, "
            "or one run that was resumed from an earlier step. Diagnose each run separately.",
        )  # fmt: skip
    elif differing and (labelled or not _stand_together(log.rollout)):
        sentence = _merged(log, differing, labelled)
        yield LogFault(code="repeated_keys", count=differing, sentence=sentence)
    else:
        is_sure = not differing and (labelled or crossing)
        keys = len(distinct(key[again])) if is_sure else _copies(log, key)
        if keys:
            yield LogFault(
                code="logged_twice", count=keys, sentence=
                f"{number_of(keys, 'key')} {_occur(keys)} more than once with the same reward: the "
                "rows were logged twice, or are turns without a 'turn' column. Counts of decisions "
                "may be twice too high.",
            )  # fmt: skip


def _merged(log: Log, keys: int, labelled: bool) -> str:
    """Returns the sentence about keys whose rows differ in reward."""
    names = "prompt, rollout, agent" + (", turn" if labelled else "")
    names = names if log.decisions.step is None else f"step, {names}"
    text = f"{number_of(keys, 'key')} ({names}) {_occur(keys)} more than once with different "
    text += "rewards, and would be merged into one."
    if log.decisions.step is None:
        return text + (
            " The log has no 'step': add the training update, or the turn, of each row; --columns "
            "NAME=step or --columns NAME=turn reads it from a column of another name."
        )
    if not labelled:
        return text + (
            " Add the 'turn' of each row (--columns NAME=turn reads it from a column of another "
            "name), or number the rollouts of a prompt apart."
        )
    return text + " Number the rollouts of a prompt apart, or diagnose each run separately."


def _occur(keys: int) -> str:
    return "occurs" if keys == 1 else "occur"


def _keys(log: Log) -> Ids:
    """Returns [N] a number for each step, prompt, rollout, agent and logged turn."""
    key = log.rollout * len(log.agents) + log.agent
    if "turn" not in log.decisions.labels:
        return key
    turn, n = factorize(np.asarray(log.decisions.labels["turn"]))
    return np.asarray(factorize(key * n + turn)[0])


def _passes(log: Log) -> Ids | None:
    """Returns [N] how often the step went back before each row; None where it says nothing."""
    back = _steps_back(log)
    return np.cumsum(back) if 0 < back.sum() <= MOST_PASSES else None


def _steps_back(log: Log) -> Bools:
    """Returns [N] whether the step of a row is below that of the row before."""
    return np.asarray(np.diff(log.step, prepend=log.step[0]) < 0)


def _copies(log: Log, key: Ids) -> int:
    """Returns the number of keys if every row, or the whole log, is followed by its copy; else 0.

    In a shuffled log a copy may stand anywhere. There two turns that the log does not distinguish
    look the same, if they have one reward and no action differs: neither can be put in order.
    """
    half = len(key) // 2
    if len(key) % 2 or len(distinct(key)) != half:
        return 0
    rows = np.arange(len(key))
    if _steps_back(log).sum() > MOST_PASSES:
        rows = np.argsort(key, kind="stable")
    rewards, action = log.decisions.rewards, log.decisions.action
    for one, other in ((rows[::2], rows[1::2]), (rows[:half], rows[half:])):
        if (
            np.array_equal(key[one], key[other])
            and np.array_equal(rewards[one], rewards[other], equal_nan=True)
            and (action is None or np.array_equal(action[one], action[other]))
        ):
            return half
    return 0


def split_repeated_keys(log: Log, faults: tuple[LogFault, ...]) -> Decisions:
    """Returns the log, with rows that share a key by mistake in rollouts of their own.

    So numbers can be computed; they stand under a verdict of `cannot tell`.
    """
    given = log.decisions
    if not any(fault.code in ("two_runs", "repeated_keys") for fault in faults):
        return given
    where = _passes(log)
    run = np.zeros_like(log.rollout) if where is None else where
    runs = int(run.max()) + 1
    key = factorize(_keys(log) * runs + run)[0]
    within = factorize(log.rollout * runs + run)[0]
    if where is None or "turn" in given.labels or not _stand_together(within):
        again = occurrence(key)  # rows of one key in one run, each for itself
    else:
        again = np.zeros_like(key)  # turns of an agent, in their order
    parts = zip(log.rollout.tolist(), run.tolist(), again.tolist(), strict=True)
    names = np.array([f"{r}/{a}.{b}" for r, a, b in parts])
    return replace(given, labels={**given.labels, "rollout": names})


def _stand_together(ids: Ids) -> bool:
    """Returns whether the rows of each id stand side by side."""
    starts = int((np.diff(ids, prepend=-1) != 0).sum())
    return starts == len(distinct(ids))
