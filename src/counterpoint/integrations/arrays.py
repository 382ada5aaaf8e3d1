"""Advantages of step-based trainers: HARL, on-policy, EPyMARL, JaxMARL, Mava.

    advantages = normalized(advantages, active)   # replaces "minus the mean, by the deviation"

It accepts NumPy, torch and JAX arrays, and works inside `jax.jit` for schemes without memory.
Source: ours; in HARL the call belongs in `harl/runners/on_policy_ma_runner.py` (read, not run).
"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Array
from counterpoint.credit import advantages, scheme_named
from counterpoint.credit.segments import arrays_of
from counterpoint.errors import RewardError, SchemeError
from counterpoint.integrations.guards import refuse_rollouts
from counterpoint.integrations.recorder import on_host
from counterpoint.integrations.team_credit import SchemeSource, TeamCredit


def normalized(
    values: Array, active: Array | None = None, scheme: SchemeSource = "mappo_per_agent"
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
    axes = shape[:3]
    turn, rollout, agent = np.indices(axes).reshape(3, -1)
    labels = {"rollout": rollout, "agent": agent, "turn": turn}
    rows, absent = values.reshape(-1), None
    if active is not None:
        counting = _counting(active, axes)
        rows = arrays_of(values).xp.where(counting, values.reshape(axes), float("nan")).reshape(-1)
    if isinstance(scheme, TeamCredit):
        refuse_rollouts(scheme.scheme)
        if active is not None:
            there = np.asarray(on_host(counting), dtype=bool)
            absent = ~np.broadcast_to(there, axes).reshape(-1)
        flat = scheme(rows, labels, absent=absent)
    else:
        resolved = scheme_named(scheme) if isinstance(scheme, str) else scheme
        refuse_rollouts(resolved)
        if resolved.keeps_state:
            raise SchemeError(
                "got a scheme with memory; wanted one without, or a TeamCredit that keeps its state"
            )
        flat = advantages(rows, labels, resolved).values
    result = flat.reshape(shape)
    floats = isinstance(values, np.ndarray) and np.issubdtype(values.dtype, np.floating)
    return result.astype(values.dtype) if floats else result


def _counting(active: Array, axes: tuple[int, ...]) -> Array:
    """Returns whether each value counts: [T, N, A], or [T, N, 1] for all agents."""
    given = tuple(active.shape)
    if given in (axes, (*axes, 1)):
        return active.reshape(axes) != 0
    if given in (axes[:2], (*axes[:2], 1)):
        return active.reshape(*axes[:2], 1) != 0
    raise RewardError(
        f"got active of shape {given}; wanted {axes}, with or without a last 1, or {axes[:2]}"
    )
