"""Arrays of step-based trainers: HARL, on-policy, EPyMARL, JaxMARL, Mava.

    advantages = normalized(advantages, active)     # in the place of "minus mean, by deviation"

NumPy, torch and JAX; inside `jax.jit` too, for schemes without memory. Source: ours; the place in a
trainer is, for HARL, `harl/runners/on_policy_ma_runner.py` (read, not run).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from counterpoint.credit import Scheme, advantages, plain_scheme_named
from counterpoint.credit.segments import arrays_of
from counterpoint.errors import RewardError, SchemeError
from counterpoint.integrations.entry import Given
from counterpoint.integrations.team_credit import TeamCredit


def normalized(values: Any, active: Any = None, scheme: Given = "happo_per_agent") -> Any:
    """Advantages, normalized by a scheme over time, environments and agents.

    Args:
        values: [T, N, A] or [T, N, A, 1] advantages (or returns): steps, environments side by side,
            agents. NaN is missing.
        active: the same shape, or [T, N] or [T, N, 1] for all agents; entries that are 0 are in no
            statistic and become 0.
        scheme: what to compute. One with memory needs a `TeamCredit`, which keeps its state and may
            record; not inside `jax.jit`.

    Returns: the shape, the kind and the floating type of `values`; of integers floats.

    Raises:
        RewardError: another shape, or an infinite value (inside `jax.jit` it counts as missing).
        SchemeError: a scheme with memory and no `TeamCredit`.
        LabelError: a scheme that needs other labels than rollout, agent and turn.
    """
    shape = tuple(values.shape)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 1):
        raise RewardError(f"got values of shape {shape}; wanted [T, N, A] or [T, N, A, 1]")
    steps, environments, agents = shape[:3]
    turn, rollout, agent = np.indices((steps, environments, agents)).reshape(3, -1)
    labels = {"rollout": rollout, "agent": agent, "turn": turn}
    column = values.reshape(shape[:3])
    if active is not None:
        where = arrays_of(values).xp.where
        column = where(_counting(active, shape[:3]), column, float("nan"))
    found = _computed(column.reshape(-1), labels, scheme).reshape(shape)
    whole = isinstance(values, np.ndarray) and not np.issubdtype(values.dtype, np.floating)
    return found.astype(values.dtype) if isinstance(values, np.ndarray) and not whole else found


def _computed(column: Any, labels: dict[str, Any], scheme: Given) -> Any:
    if isinstance(scheme, TeamCredit):
        return scheme(column, labels)
    told: Scheme = plain_scheme_named(scheme) if isinstance(scheme, str) else scheme
    if told.keeps_state:
        raise SchemeError(
            "got a scheme with memory; wanted one without, or a TeamCredit that keeps its state"
        )
    return advantages(column, labels, told).values


def _counting(active: Any, shape: tuple[int, ...]) -> Any:
    """Whether each value counts: [T, N, A], or [T, N, 1] for all agents."""
    given = tuple(active.shape)
    if given in (shape, (*shape, 1)):
        return active.reshape(shape) != 0
    if given in (shape[:2], (*shape[:2], 1)):
        return active.reshape(*shape[:2], 1) != 0
    raise RewardError(
        f"got active of shape {given}; wanted {shape}, with or without a last 1, or {shape[:2]}"
    )
