"""Credit from what coalitions are worth: leave-one-out and the Shapley value.

Both take the same characteristic function: the value of the team with only some agents in it,
obtained by replaying the task without the others. Start with `leave_one_out` (n + 1 replays),
which credits nobody where any one of two agents suffices; `shapley` averages over every order in
which the team could have been formed, shares such credit, and always adds up to the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.errors import RewardError, SettingError

Masks = Bools
Value = Callable[[Masks], ArrayLike]
"""Coalitions [C, n] (True: the agent is in) to their values [C]."""

EXACT_UP_TO = 10
"""Largest team whose coalitions (2^10 = 1,024) are all evaluated."""
FEWEST_SAMPLES = 30
"""Independent orders below which a normal interval means little."""
_MASKS_PER_CALL = 1 << 16


def leave_one_out(value: Value | ArrayLike, agents: int) -> Floats:
    """Returns what the team loses without each agent: v(N) - v(N without k).

    Equal to the Shapley value where values add up; 0 for both of two agents who can replace each
    other, and the whole value for each of two who need each other.

    Args:
        value: callable from coalitions [C, n] to values [C], called once with C = n + 1; or a
            table of 2^n values, in which agent k is in coalition i if bit k of i is set.
        agents: n, the size of the team.

    Returns:
        [n] in the unit of the value.

    Raises:
        SettingError: fewer than 1 agent.
        RewardError: values that are not finite, or as many as something else than asked for.

    Source: the difference reward of Wolpert & Tumer 2001, with the agent's absence as the
        default.
    """
    ask, _ = _characteristic(value, agents)
    masks = np.ones((agents + 1, agents), dtype=bool)
    masks[np.arange(agents), np.arange(agents)] = False
    values = ask(masks)
    return np.asarray(values[-1] - values[:-1])


@dataclass(frozen=True)
class Shapley:
    """Shapley values, and whether they are exact."""

    values: Floats
    """[n] share of each agent; they add up to v(N) - v(nobody)."""
    method: Literal["exact", "sampled"]
    """`exact`: every coalition was evaluated. `sampled`: a mean over random orders."""
    standard_error: Floats
    """[n] of the mean over orders; 0 where exact."""
    low: Floats
    """[n] lower end of the 95% interval (normal)."""
    high: Floats
    """[n] upper end of the 95% interval (normal)."""
    evaluations: int
    """Number of coalitions that were evaluated."""
    samples: int
    """Number of independent orders, or of pairs of an order and its reverse; 0 if exact."""


def shapley(
    value: Value | ArrayLike,
    agents: int,
    *,
    rng: np.random.Generator | None = None,
    orders: int = 1000,
    antithetic: bool = True,
) -> Shapley:
    """Returns the mean of what each agent adds when it joins, over all orders of joining.

    phi_k = sum over S without k of |S|! (n - |S| - 1)! / n! (v(S + k) - v(S)). Exact for up to 10
    agents and for a table of any size; otherwise the mean over random orders, and it says so. The
    sampled values add up to the whole in every order, so they do so too.

    Args:
        value: callable from coalitions [C, n] to values [C], or a table of 2^n values, in which
            agent k is in coalition i if bit k of i is set. Deterministic: the interval knows the
            noise of sampling orders, not that of the world.
        agents: n, the size of the team.
        rng: generator of the random orders; needed where the result is sampled.
        orders: how many orders to sample.
        antithetic: sample half as many orders, and also go through each of them backwards, which
            cancels the error of terms in which two agents interact.

    Returns:
        `Shapley`, with its `method`, interval and number of evaluations.

    Raises:
        SettingError: fewer than 1 agent, no `rng` where one is needed, too few orders, or an odd
            number of them with `antithetic`.
        RewardError: values that are not finite, or as many as something else than asked for.

    Source: Shapley 1953, A value for n-person games; Castro, Gomez & Tejada 2009 for sampling by
        orders; Mitchell et al. 2022 for antithetic orders.
    """
    ask, is_table = _characteristic(value, agents)
    if is_table or agents <= EXACT_UP_TO:
        return _exact(ask, agents)
    independent = orders // 2 if antithetic else orders
    if rng is None:
        raise SettingError(
            f"got {agents} agents and no rng; wanted a numpy Generator, because more than "
            f"{EXACT_UP_TO} agents are sampled (or a table of all 2^{agents} values)"
        )
    if independent < FEWEST_SAMPLES or (antithetic and orders % 2):
        wanted = f"an even number >= {2 * FEWEST_SAMPLES}" if antithetic else f">= {FEWEST_SAMPLES}"
        raise SettingError(f"got orders={orders} with antithetic={antithetic}; wanted {wanted}")
    return _sampled(ask, agents, rng, independent, antithetic)


def _exact(ask: Value, agents: int) -> Shapley:
    coalitions = (np.arange(2**agents)[:, None] >> np.arange(agents)) & 1 == 1  # [2^n, n]
    table = np.asarray(ask(coalitions))
    size = coalitions[: 2 ** (agents - 1)].sum(axis=1)  # members besides k, whichever k is
    weight = np.array([1 / (agents * comb(agents - 1, s)) for s in range(agents)])[size]
    values = np.empty(agents)
    for k in range(agents):
        # Bit k splits the table in two halves of coalitions that differ in agent k alone. The
        # differences come first: who never adds anything gets exactly 0.
        without, joined = np.moveaxis(table.reshape(-1, 2, 2**k), 1, 0)
        values[k] = np.sum(weight * (joined - without).ravel())
    return Shapley(values, "exact", np.zeros(agents), values, values, len(table), 0)


def _sampled(
    ask: Value, agents: int, rng: np.random.Generator, independent: int, antithetic: bool
) -> Shapley:
    nobody, everybody = np.asarray(ask(np.array([[False] * agents, [True] * agents])))
    ways = 2 if antithetic else 1
    samples, done = np.empty((independent, agents)), 0
    while done < independent:
        count = min(independent - done, max(1, _MASKS_PER_CALL // (ways * agents)))
        place = rng.permuted(np.tile(np.arange(agents), (count, 1)), axis=1)  # of agent in order
        both = np.concatenate([place, agents - 1 - place]) if antithetic else place
        added = _added(ask, both, nobody, everybody)
        samples[done : done + count] = added.reshape(ways, count, agents).mean(axis=0)
        done += count
    values = samples.mean(axis=0)
    error = samples.std(axis=0, ddof=1) / np.sqrt(independent)
    low, high = values - 1.959964 * error, values + 1.959964 * error
    evaluations = 2 + ways * independent * (agents - 1)
    return Shapley(values, "sampled", error, low, high, evaluations, independent)


def _added(ask: Value, place: Ints, nobody: float, everybody: float) -> Floats:
    """Returns [orders, n] what agent k added when it joined at `place` [orders, n]."""
    orders, agents = place.shape
    masks = place[:, None, :] <= np.arange(agents - 1)[:, None]  # [orders, joined so far, n]
    along = np.empty((orders, agents + 1))
    along[:, 0], along[:, -1] = nobody, everybody
    along[:, 1:-1] = np.reshape(ask(masks.reshape(-1, agents)), (orders, agents - 1))
    return np.take_along_axis(np.diff(along, axis=1), place, axis=1)


def _characteristic(
    value: Value | ArrayLike, agents: int
) -> tuple[Callable[[Masks], Floats], bool]:
    """Returns a checked function of coalitions, and whether it is a table (free to evaluate)."""
    if agents < 1:
        raise SettingError(f"got {agents} agents; wanted at least 1")
    if callable(value):
        function = value
        return lambda masks: _checked(function(masks), len(masks)), False
    table = _checked(value, 2**agents)
    return lambda masks: table[masks @ (1 << np.arange(agents))], True


def _checked(values: ArrayLike, count: int) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RewardError(f"got values that are not numbers: {error}; wanted floats") from error
    if array.shape != (count,):
        raise RewardError(
            f"got values of shape {array.shape}; wanted [{count}], one for each coalition"
        )
    if not np.isfinite(array).all():
        raise RewardError(
            "got a coalition with a missing or infinite value; wanted finite numbers, because "
            "every coalition enters the share of every agent"
        )
    return array
