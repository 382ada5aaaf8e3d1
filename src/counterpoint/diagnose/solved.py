"""Which decisions already have the best reward that their agent is known to get: `at_best`."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.credit.labels import factorize
from counterpoint.credit.segments import segment_max
from counterpoint.diagnose.log import SAME, Ids, Log, dense, varies


def at_best(log: Log, rewards: Floats) -> Bools:
    """[N] whether a row has the best reward that its agent is known to get in its prompt.

    Prompts may pay differently, so a prompt in which the agent's rewards vary, anywhere in the log,
    is measured by its own best. One in which they never do is solved or hopeless, and does not say
    which. It is solved if it pays the agent's best reward in the log, or if prompts that vary say
    so: most of their decisions with the same reward have the best of their prompt, or, where none
    has that reward and prompts do pay differently (the best of one is not the best of the log),
    most of all their decisions. (In groups of two that is never most of them, and without repeated
    prompts nobody can know.) An agent with one reward everywhere has no best.

    Args:
        log: the log.
        rewards: [N], NaN where missing.
    """
    n, best = len(log.agents), np.zeros(len(rewards), dtype=bool)
    ok = ~np.isnan(rewards)
    prompt, cells = _prompts(log)
    value, agent, cell = rewards[ok], log.agent[ok], prompt[ok]
    varying = varies(value, cell, cells)[cell]
    top, highest = _highest(value, cell, cells), _highest(value, agent, n)
    pays_differently = np.zeros(n, dtype=bool)
    pays_differently[agent[varying & top & ~highest]] = True
    alike, known = _mostly(_equal(value) * n + agent, varying, top)
    overall = _mostly(agent, varying, top)[0] & pays_differently[agent]
    likely = np.where(known, alike, overall) & _comparable(log, prompt, cells)[cell]
    best[ok] = np.where(varying, top, highest | likely) & varies(value, agent, n)[agent]
    return best


def _mostly(ids: Ids, varying: Bools, top: Bools) -> tuple[Bools, Bools]:
    """[N] whether most decisions of a segment in prompts that vary are at the top of theirs, and
    whether it has any there."""
    size = int(ids.max(initial=-1)) + 1
    tops, known = (np.bincount(ids[w], minlength=size)[ids] for w in (varying & top, varying))
    return 2 * tops > known, known > 0


def _highest(value: Floats, ids: Ids, n: int) -> Bools:
    """[N] whether a value is the highest of its segment, up to rounding."""
    high, size = segment_max(value, ids, n)[ids], segment_max(abs(value), ids, n)[ids]
    is_high: Bools = value >= high - SAME * size
    return is_high


def _equal(value: Floats) -> Ids:
    """[N] the same id for values that are equal up to rounding."""
    order = np.argsort(value)
    ordered = value[order]
    ids = np.empty(len(value), dtype=np.int64)
    ids[order] = np.cumsum(np.diff(ordered, prepend=ordered[:1]) > SAME * abs(ordered))
    return ids


def _prompts(log: Log) -> tuple[Ids, int]:
    """[N] prompt and agent of each row, the same at every step, and how many there are."""
    n = len(log.agents)
    prompt = np.zeros(log.n_blocks, dtype=np.int64)
    if "prompt" in log.decisions.labels:
        first = dense(log.block, log.n_blocks)[1]
        prompt = factorize(np.asarray(log.decisions.labels["prompt"])[first])[0]
    ids, first = dense(prompt[log.block] * n + log.agent, (int(prompt.max()) + 1) * n)
    return ids, len(first)


def _comparable(log: Log, cell: Ids, cells: int) -> Bools:
    """[cells] whether an agent has more than one rollout in a prompt: one alone cannot vary."""
    n = len(log.agents)
    first = dense(log.rollout * n + log.agent, log.n_rollouts * n)[1]
    several: Bools = np.bincount(cell[first], minlength=cells) > 1
    return several
