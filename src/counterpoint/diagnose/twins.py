"""The same scheme with and without statistics of each agent's own: does it change any advantage?"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.credit import RunningState, Scheme, advantages
from counterpoint.diagnose.log import Log

ROUNDING = 1e-9
"""Advantages that differ by less than this, relative to the largest, are the same ones."""


def logged_advantages(log: Log, scheme: Scheme) -> Floats:
    """[N] the advantages of the log's rows; each step is one call, in order."""
    rewards = log.components(scheme)
    if not scheme.keeps_state:
        return np.asarray(advantages(rewards, log.columns, scheme).values)
    order = np.argsort(log.step, kind="stable")
    values = np.zeros(len(rewards))
    state: RunningState | None = None
    for rows in np.split(order, np.flatnonzero(np.diff(log.step[order])) + 1):
        labels = {name: np.asarray(c)[rows] for name, c in log.columns.items() if name != "batch"}
        credit = advantages(rewards[rows], labels, scheme, state=state)
        values[rows], state = credit.values, credit.state
    return values


def largest_difference(log: Log, scheme: Scheme) -> float:
    """Largest difference between the twins' advantages, relative to the largest advantage."""
    one = logged_advantages(log, scheme.coupled())
    two = logged_advantages(log, scheme.decoupled())
    largest = max(float(abs(one).max()), float(abs(two).max()))
    return float(abs(one - two).max()) / largest if largest > 0 else 0.0
