"""Advantages of step-based trainers: HARL, on-policy, EPyMARL, JaxMARL, Mava.

    advantages = normalized(advantages, active)   # replaces "minus the mean, by the deviation"

It accepts NumPy, torch and JAX arrays, and works inside `jax.jit` for schemes without memory.
Source: ours; in HARL the call belongs in `harl/runners/on_policy_ma_runner.py` (read, not run).
"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Array, Bools, Columns
from counterpoint.credit import advantages, scheme_named
from counterpoint.credit.segments import arrays_of
from counterpoint.errors import RewardError, SchemeError
from counterpoint.integrations.team_credit import SchemeSource, TeamCredit, refuse_rollouts


def normalized(
    values: Array, active: Array | None = None, scheme: SchemeSource = "happo_per_agent"
) -> Array:
    """Returns advantages that a scheme normalizes over steps, environments and agents.

    Args:
        values: [T, N, A] or [T, N, A, 1] advantages or returns: T steps, N environments side by
            side, A agents. NaN is missing.
        active: the same shape, or [T, N] or [T, N, 1] for all agents. Entries of 0 become 0, and no
            statistic counts them.
        scheme: a scheme or its name. A scheme with memory needs a `TeamCredit`, which keeps its
            state and may write a log, but not inside `jax.jit`.

    Returns: an array of the shape, kind and floating type of `values`; integers give floats.

    Raises:
        RewardError: another shape, or an infinite value (inside `jax.jit` it counts as missing).
        SchemeError: the scheme has memory and there is no `TeamCredit`, or the scheme combines the
            steps of a rollout, as `grpo` does.
        LabelError: the scheme needs other labels than rollout, agent and turn.
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
    flat = _advantages(column.reshape(-1), labels, scheme, counting, shape[:3])
    result = flat.reshape(shape)
    floats = isinstance(values, np.ndarray) and np.issubdtype(values.dtype, np.floating)
    return result.astype(values.dtype) if floats else result


def _advantages(
    column: Array,
    labels: Columns,
    scheme: SchemeSource,
    counting: Array | None,
    shape: tuple[int, ...],
) -> Array:
    """Returns [T*N*A] advantages; the statistics count the values where `counting` is true."""
    if isinstance(scheme, TeamCredit):
        refuse_rollouts(scheme.scheme)
        return scheme(column, labels, absent=None if counting is None else _absent(counting, shape))
    resolved = scheme_named(scheme) if isinstance(scheme, str) else scheme
    refuse_rollouts(resolved)
    if resolved.keeps_state:
        raise SchemeError(
            "got a scheme with memory; wanted one without, or a TeamCredit that keeps its state"
        )
    return advantages(column, labels, resolved).values


def _counting(active: Array, shape: tuple[int, ...]) -> Array:
    """Returns whether each value counts: [T, N, A], or [T, N, 1] for all agents."""
    given = tuple(active.shape)
    if given in (shape, (*shape, 1)):
        return active.reshape(shape) != 0
    if given in (shape[:2], (*shape[:2], 1)):
        return active.reshape(*shape[:2], 1) != 0
    raise RewardError(
        f"got active of shape {given}; wanted {shape}, with or without a last 1, or {shape[:2]}"
    )


def _absent(counting: Array, shape: tuple[int, ...]) -> Bools:
    """Returns [T*N*A] whether no statistic counts the value."""
    there = counting.detach().cpu() if hasattr(counting, "detach") else counting
    return ~np.broadcast_to(np.asarray(there, dtype=bool), shape).reshape(-1)
