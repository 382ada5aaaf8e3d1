"""Arrays of step-based trainers: HARL, on-policy, EPyMARL, JaxMARL, Mava.

    advantages = normalized(advantages, active)     # in the place of "minus mean, by deviation"

NumPy, torch and JAX; inside `jax.jit` too, for schemes without memory. Source: ours; the place in a
trainer is, for HARL, `harl/runners/on_policy_ma_runner.py` (read, not run).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import advantages, scheme_named
from counterpoint.credit.segments import arrays_of
from counterpoint.errors import RewardError, SchemeError
from counterpoint.integrations.entry import Given
from counterpoint.integrations.parts import refuse_rollouts
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
        SchemeError: a scheme with memory and no `TeamCredit`, or one that takes the steps of a
            rollout together, as `grpo` does.
        LabelError: a scheme that needs other labels than rollout, agent and turn.
    """
    shape = tuple(values.shape)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 1):
        raise RewardError(f"got values of shape {shape}; wanted [T, N, A] or [T, N, A, 1]")
    steps, environments, agents = shape[:3]
    turn, rollout, agent = np.indices((steps, environments, agents)).reshape(3, -1)
    labels = {"rollout": rollout, "agent": agent, "turn": turn}
    column, counting = values.reshape(shape[:3]), None
    if active is not None:
        counting = _counting(active, shape[:3])
        column = arrays_of(values).xp.where(counting, column, float("nan"))
    normalized_values = _computed(column.reshape(-1), labels, scheme, counting, shape[:3]).reshape(
        shape
    )
    whole = isinstance(values, np.ndarray) and not np.issubdtype(values.dtype, np.floating)
    return (
        normalized_values.astype(values.dtype)
        if isinstance(values, np.ndarray) and not whole
        else normalized_values
    )


def _computed(
    column: Any, labels: dict[str, Any], scheme: Given, counting: Any, shape: tuple[int, ...]
) -> Any:
    """[T*N*A] advantages; `counting` says of `shape` [T, N, A] what is in the statistics."""
    if isinstance(scheme, TeamCredit):
        refuse_rollouts(scheme.scheme)
        return scheme(column, labels, absent=None if counting is None else _absent(counting, shape))
    computed = scheme_named(scheme) if isinstance(scheme, str) else scheme
    refuse_rollouts(computed)
    if computed.keeps_state:
        raise SchemeError(
            "got a scheme with memory; wanted one without, or a TeamCredit that keeps its state"
        )
    return advantages(column, labels, computed).values


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


def _absent(counting: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """[T*N*A] what is in no statistic."""
    there = counting.detach().cpu() if hasattr(counting, "detach") else counting
    return ~np.broadcast_to(np.asarray(there, dtype=bool), shape).reshape(-1)
