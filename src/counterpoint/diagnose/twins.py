"""The same scheme with and without statistics of each agent's own: does it change any advantage?"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from counterpoint.credit import RunningState, Scheme, advantages
from counterpoint.diagnose.log import Floats, Log
from counterpoint.errors import SchemeError

ROUNDING = 1e-9
"""Advantages that differ by less than this, relative to the largest, are the same ones."""


def logged_advantages(log: Log, scheme: Scheme) -> Floats:
    """[N] the advantages of the log's rows; each step is one call, in order."""
    rewards = log.decisions.rewards
    if not scheme.keeps_state:
        labels = {**log.decisions.labels, "batch": log.step}
        return np.asarray(advantages(rewards, labels, scheme).values)
    order = np.argsort(log.step, kind="stable")
    values = np.zeros(len(rewards))
    state: RunningState | None = None
    for rows in np.split(order, np.flatnonzero(np.diff(log.step[order])) + 1):
        labels = {name: np.asarray(c)[rows] for name, c in log.decisions.labels.items()}
        credit = advantages(rewards[rows], labels, scheme, state=state)
        values[rows], state = credit.values, credit.state
    return values


def coupled(scheme: Scheme) -> Scheme:
    """The scheme without groups by agent or role."""
    kept = [
        tuple(name for name in by or () if name not in ("agent", "role"))
        for by in (scheme.center_by, scheme.scale_by)
    ]
    return _regrouped(scheme, *kept)


def decoupled(scheme: Scheme) -> Scheme:
    """The scheme with groups by agent."""
    return _regrouped(scheme, (*scheme.center_by, "agent"), (*(scheme.scale_by or ()), "agent"))


def largest_difference(log: Log, scheme: Scheme) -> float:
    """Largest difference between the twins' advantages, relative to the largest advantage."""
    one = logged_advantages(log, coupled(scheme))
    two = logged_advantages(log, decoupled(scheme))
    largest = max(float(abs(one).max()), float(abs(two).max()))
    return float(abs(one - two).max()) / largest if largest > 0 else 0.0


def _regrouped(scheme: Scheme, center_by: tuple[str, ...], scale_by: tuple[str, ...]) -> Scheme:
    """The scheme with other groups; what these cancel is taken out, as it then does nothing."""
    center_by, scale_by = tuple(dict.fromkeys(center_by)), tuple(dict.fromkeys(scale_by))
    same = set(center_by) == set(scale_by)
    of: Literal["centered", "raw"] = "centered" if same else scheme.scale_of
    try:
        return replace(scheme, center_by=center_by, scale_by=scale_by, scale_of=of)
    except SchemeError:  # a shared center or scale is cancelled by whitening the batch
        return replace(scheme, center_by=center_by, scale_by=scale_by, scale_of=of, whiten="none")
