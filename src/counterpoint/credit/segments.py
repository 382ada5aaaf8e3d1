"""The operations of an array library that the kernel needs, most of them on segments.

A *segment* is the set of rows that carry the same id. The kernel is written once, against
`Arrays`; `arrays_of` picks NumPy (the reference), torch or JAX by the type of the rewards, and
imports neither torch nor JAX unless an array of theirs is what was given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array, Floats, Ints

LARGEST_DOUBLE, LARGEST_SINGLE = 1e140, 1e14
"""Squares of these times 10^28 (10^10) still fit into 64 (32) bits."""


@dataclass(frozen=True)
class Arrays:
    """The array operations that the kernel needs, in one library."""

    name: str
    """`numpy`, `torch` or `jax`."""
    xp: Any
    """Module with `where`, `sqrt`, `isnan`, `log`, `exp`, `sign` and `cumsum`."""
    largest: float
    """Largest magnitude of which very many squares can be summed in the widest float."""
    floats: Callable[[Array], Array]
    """Rewards to the widest float that the library computes in."""
    epsilon: Callable[[Array], float]
    """Machine epsilon of the arithmetic that made an array of rewards: of its own type, of float64
    for integers, and of float32 for types with fewer digits. Rewards in 16 bits are stored there,
    not computed: two of them that differ, differ."""
    columns: Callable[[Sequence[Array]], Array]
    """Columns [N] side by side [N, K]."""
    beside: Callable[[NDArray[Any]], Array]
    """Converts a NumPy array (ids, running statistics) to the device of the rewards."""
    sum: Callable[[Array, Array, int], Array]
    """(values [N], ids [N], n) to the sum of each segment [n]; empty segments give 0."""
    min: Callable[[Array, Array, int], Array]
    """(values [N], ids [N], n) to the minimum of each segment [n]; empty segments give inf."""
    ones: Callable[[int], Array]
    """n to floats of 1 [n]."""
    places: Callable[[int], Array]
    """n to the integers 0 .. n-1 [n]."""
    argsort: Callable[[Array], Array]
    """Stable argsort along the only axis."""
    like: Callable[[Array, Array], Array]
    """(values, rewards) to values in the type that the caller gets back: that of the rewards, but
    never fewer than 32 bits."""
    traced: bool = False
    """Whether values are unknown while the kernel runs (inside `jax.jit`)."""

    def max(self, values: Array, ids: Array, n: int) -> Array:
        """Returns the maximum of each segment [n]; empty segments give -inf."""
        return -self.min(-values, ids, n)

    def count(self, mask: Array) -> Any:
        """Returns how many are true: an int, or a traced scalar inside `jax.jit`."""
        total = mask.sum()
        return total if self.traced else int(total)


def segment_sum(values: NDArray[Any], ids: NDArray[Any], n: int) -> Floats:
    """Returns the sum of each segment [n] of `values` [N]; empty segments give 0."""
    return np.bincount(ids, weights=values, minlength=n).astype(np.float64, copy=False)


def segment_min(values: NDArray[Any], ids: NDArray[Any], n: int) -> Floats:
    """Returns the minimum of each segment [n] of `values` [N]; empty segments give inf."""
    out = np.full(n, np.inf)
    np.minimum.at(out, ids, np.asarray(values, np.float64))  # another type is 10 times slower
    return out


def segment_max(values: NDArray[Any], ids: NDArray[Any], n: int) -> Floats:
    """Returns the maximum of each segment [n] of `values` [N]; empty segments give -inf."""
    out = np.full(n, -np.inf)
    np.maximum.at(out, ids, np.asarray(values, np.float64))
    return out


def segment_mean(values: NDArray[Any], ids: NDArray[Any], n: int) -> Floats:
    """Returns the mean of each segment [n] of `values` [N]; empty segments give 0."""
    return segment_sum(values, ids, n) / np.maximum(np.bincount(ids, minlength=n), 1)


def ratio(over: Floats | float, under: Floats | Ints, otherwise: float = np.nan) -> Floats:
    """Returns over / under, and `otherwise` where `under` is not positive."""
    out = np.full(np.broadcast(over, under).shape, otherwise)
    np.divide(over, under, out=out, where=np.asarray(under) > 0)
    return out


def arrays_of(rewards: Array) -> Arrays:
    """Returns the array library that `rewards` belong to; anything unknown is NumPy's."""
    library = type(rewards).__module__.partition(".")[0]
    if library == "torch":
        return _torch(rewards)
    if library in ("jax", "jaxlib"):
        return _jax(rewards)
    return NUMPY


def is_traced(array: Array) -> bool:
    """Returns whether `array` is a JAX tracer: its values are unknown while Python runs."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(array, jax.core.Tracer)


SINGLE = float(np.finfo(np.float32).eps)
"""The coarsest arithmetic that is taken for the one that made rewards."""


NUMPY = Arrays(
    name="numpy",
    xp=np,
    largest=LARGEST_DOUBLE,
    floats=lambda array: np.asarray(array, dtype=np.float64),
    epsilon=lambda array: min(
        float(np.finfo(array.dtype if array.dtype.kind == "f" else np.float64).eps), SINGLE
    ),
    columns=lambda columns: np.stack(columns, axis=1),
    beside=lambda array: array,
    sum=segment_sum,
    min=segment_min,
    ones=np.ones,
    places=np.arange,
    argsort=lambda values: np.argsort(values, kind="stable"),
    like=lambda values, rewards: values,
)


def _torch(rewards: Array) -> Arrays:
    import torch

    wide = torch.float32 if rewards.device.type == "mps" else torch.float64

    def total(values: Array, ids: Array, n: int) -> Array:
        return torch.zeros(n, dtype=wide, device=ids.device).index_add_(0, ids, values.to(wide))

    def least(values: Array, ids: Array, n: int) -> Array:
        out = torch.full((n,), torch.inf, dtype=wide, device=ids.device)
        return out.scatter_reduce_(0, ids, values, "amin")

    def epsilon(array: Array) -> float:
        kind = array.dtype if array.is_floating_point() else torch.float64
        return min(float(torch.finfo(kind).eps), SINGLE)

    def like(values: Array, given: Array) -> Array:
        if not given.is_floating_point():
            return values
        return values.to(torch.float64 if given.dtype == torch.float64 else torch.float32)

    class Torch:
        where, sqrt, isnan = torch.where, torch.sqrt, torch.isnan
        log, exp, sign = torch.log, torch.exp, torch.sign

        @staticmethod
        def cumsum(values: Array) -> Array:
            return torch.cumsum(values, 0)

    return Arrays(
        name="torch",
        xp=Torch,
        largest=LARGEST_DOUBLE if wide is torch.float64 else LARGEST_SINGLE,
        floats=lambda array: array.detach().to(wide),
        epsilon=epsilon,
        columns=lambda columns: torch.stack(list(columns), dim=1),
        beside=lambda array: torch.as_tensor(array, device=rewards.device),
        sum=total,
        min=least,
        ones=lambda n: torch.ones(n, dtype=wide, device=rewards.device),
        places=lambda n: torch.arange(n, device=rewards.device),
        argsort=lambda values: torch.argsort(values, stable=True),
        like=like,
    )


def _jax(rewards: Array) -> Arrays:
    import jax
    import jax.numpy as jnp

    wide = jnp.zeros((), dtype=float).dtype  # float64 only where the user enabled it

    def like(values: Array, given: Array) -> Array:
        if not jnp.issubdtype(given.dtype, jnp.floating):
            return values
        return values.astype(jnp.promote_types(given.dtype, jnp.float32))

    def epsilon(array: Array) -> float:
        narrow = array.dtype if jnp.issubdtype(array.dtype, jnp.floating) else wide
        return max(min(float(jnp.finfo(narrow).eps), SINGLE), float(jnp.finfo(wide).eps))

    return Arrays(
        name="jax",
        xp=jnp,
        largest=LARGEST_DOUBLE if wide == jnp.float64 else LARGEST_SINGLE,
        floats=lambda array: jax.lax.stop_gradient(array).astype(wide),
        epsilon=epsilon,
        columns=lambda columns: jnp.stack(columns, axis=1),
        beside=jnp.asarray,
        sum=lambda values, ids, n: jax.ops.segment_sum(values.astype(wide), ids, n),
        min=lambda values, ids, n: jax.ops.segment_min(values, ids, n),
        ones=lambda n: jnp.ones(n, dtype=wide),
        places=jnp.arange,
        argsort=lambda values: jnp.argsort(values, stable=True),
        like=like,
        traced=is_traced(rewards),
    )
