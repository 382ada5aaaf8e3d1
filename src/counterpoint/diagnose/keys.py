"""Rows that share a key by mistake: two runs in one file, prompts that repeat, rows logged twice.

A key is step, prompt, rollout, agent and, where it is logged, turn. Without a turn several rows of
a key are turns, as long as the order of the file allows it. Start at `repeated_keys`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit.identities import conflicting_rows
from counterpoint.credit.labels import factorize
from counterpoint.credit.rewards import Rewards
from counterpoint.credit.segments import segment_max, segment_min
from counterpoint.diagnose.log import Ids, Log, counted, distinct, occurrence
from counterpoint.records import Decisions
from counterpoint.results.diagnosis import LogFault

MOST_PASSES = 10
"""A log in which steps go back more often than this was shuffled: its order means nothing."""


def repeated_keys(log: Log, read: Rewards) -> Iterator[LogFault]:
    """Keys (step, prompt, rollout, agent, turn) that occur more than once.

    Whether their rewards differ is decided as the scheme decides it (`read`), which can thus credit
    every log without such a fault.
    """
    key = _keys(log)
    again = _is_again(key)
    if not again.any():
        return
    where, differing = _passes(log), len(distinct(key[conflicting_rows(read, key)]))
    crossing = 0 if where is None else _crossing(key, where)
    labelled = "turn" in log.decisions.labels
    if where is not None and differing and crossing:
        yield LogFault(
            code="two_runs", count=crossing, sentence=
            f"{counted(crossing, 'key')} (step, prompt, rollout, agent) {_occur(crossing)} twice "
            f"or more, again after the steps went back. The log holds {int(where.max()) + 1} runs, "
            "or one run that was resumed from an earlier step. Diagnose each run separately.",
        )  # fmt: skip
    elif differing and (labelled or not _contiguous(log)):
        sentence = _merged(log, differing, labelled)
        yield LogFault(code="repeated_keys", count=differing, sentence=sentence)
    elif not differing and (labelled or crossing):
        keys = len(distinct(key[again]))
        yield LogFault(code="logged_twice", count=keys, sentence=_twice(keys))
    elif copies := _copies(log, key):
        yield LogFault(code="logged_twice", count=copies, sentence=_twice(copies))


def _merged(log: Log, keys: int, labelled: bool) -> str:
    names = "prompt, rollout, agent" + (", turn" if labelled else "")
    names = names if log.decisions.step is None else f"step, {names}"
    text = f"{counted(keys, 'key')} ({names}) {_occur(keys)} more than once with different "
    text += "rewards, and would be merged into one."
    if log.decisions.step is None:
        return text + " The log has no 'step': add the training update, or the turn, of each row."
    if not labelled:
        return text + " Add the 'turn' of each row, or number the rollouts of a prompt apart."
    return text + " Number the rollouts of a prompt apart, or diagnose each run separately."


def _twice(keys: int) -> str:
    return (
        f"{counted(keys, 'key')} {_occur(keys)} more than once with the same reward: the rows were "
        "logged twice, or are turns without a 'turn' column. Counts of decisions may be twice too "
        "high."
    )


def _occur(keys: int) -> str:
    return "occurs" if keys == 1 else "occur"


def _keys(log: Log) -> Ids:
    """[N] a number for each (step, prompt, rollout, agent) and, where it is logged, turn."""
    key = log.rollout * len(log.agents) + log.agent
    if "turn" not in log.decisions.labels:
        return key
    turn, n = factorize(np.asarray(log.decisions.labels["turn"]))
    return np.asarray(factorize(key * n + turn)[0])


def _is_again(key: Ids) -> NDArray[np.bool_]:
    """[N] whether a row's key was there before."""
    first = segment_min(np.arange(len(key)), key, int(key.max()) + 1)
    again: NDArray[np.bool_] = first[key] < np.arange(len(key))
    return again


def _passes(log: Log) -> Ids | None:
    """[N] how often the step went back before each row; None where it says nothing."""
    back = _steps_back(log)
    return np.cumsum(back) if 0 < back.sum() <= MOST_PASSES else None


def _steps_back(log: Log) -> NDArray[np.bool_]:
    """[N] whether the step of a row is below that of the row before."""
    back: NDArray[np.bool_] = np.diff(log.step, prepend=log.step[0]) < 0
    return back


def _crossing(key: Ids, where: Ids) -> int:
    """Keys with rows in more than one pass over the steps."""
    n = int(key.max()) + 1
    low, high = segment_min(where, key, n), segment_max(where, key, n)
    return int((np.isfinite(low) & (high > low)).sum())


def _contiguous(log: Log) -> bool:
    """Whether the rows of each rollout stand together."""
    return _stand_together(log.rollout)


def _copies(log: Log, key: Ids) -> int:
    """Keys, if every row is followed by a copy of itself, or the whole log is; else 0.

    In a shuffled log a copy may stand anywhere. There two turns that the log does not tell apart
    look the same, if they have one reward and no action differs: neither can be put in order.
    """
    half = len(key) // 2
    if len(key) % 2 or len(distinct(key)) != half:
        return 0
    rows = np.arange(len(key))
    if _steps_back(log).sum() > MOST_PASSES:
        rows = np.argsort(key, kind="stable")
    pairs = ((rows[::2], rows[1::2]), (rows[:half], rows[half:]))
    return half if any(_same(log, key, one, other) for one, other in pairs) else 0


def _same(log: Log, key: Ids, one: Ids, other: Ids) -> bool:
    """Whether rows [N / 2] are copies of other ones."""
    rewards, action = log.decisions.rewards, log.decisions.action
    same = bool((key[one] == key[other]).all())
    same = same and np.array_equal(rewards[one], rewards[other], equal_nan=True)
    return same and (action is None or bool((action[one] == action[other]).all()))


def apart(log: Log, faults: tuple[LogFault, ...]) -> Decisions:
    """The log, with rows that share a key by mistake in rollouts of their own.

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
    """Whether the rows of each id stand side by side."""
    starts = int((np.diff(ids, prepend=-1) != 0).sum())
    return starts == len(distinct(ids))
