"""Rewards of any array library, checked once and split into columns that can be normalized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import NUMPY, Arrays, arrays_of
from counterpoint.errors import RewardError, SchemeError


@dataclass(frozen=True)
class RewardColumn:
    """One reward column that is normalized by itself."""

    values: Array
    """[N] rewards; 0 where they are missing."""
    ok: Array | None
    """[N] which rows count; None = all."""
    size: Array | None
    """[N] magnitude of the terms summed into `values`, or None for |values|."""
    weight: float
    """Weight of this column's advantage in the sum."""
    rest: Array | None = None
    """[N] what is to be added to `values`, far smaller; None = nothing."""
    span: Array | None = None
    """[N] how far the rows that were taken together are from their mean; None = not at all."""


@dataclass(frozen=True)
class Rewards:
    """Checked rewards: `columns()` gives what is normalized, one column at a time."""

    given: Array
    """The rewards as an array of the caller's kind."""
    arrays: Arrays
    values: Array
    """[N, K] the components that have a weight, as wide floats, NaN where missing."""
    weights: tuple[float, ...]
    """[K] their weights, none of them 0."""
    missing: Array | None
    """[N, K] which entries are missing; None = none is."""
    scheme: Scheme
    epsilon: float
    """Machine epsilon of the arithmetic that made the rewards; see `Arrays.epsilon`."""

    @classmethod
    def read(cls, rewards: Array, scheme: Scheme) -> Rewards:
        """Checks `rewards` [N] or [N, K] once.

        Raises:
            RewardError: not numeric, of a wrong rank, or infinite where a component has a weight.
            SchemeError: the scheme has weights for another number of components, or a condition on
                one that is not there.
        """
        arrays = arrays_of(rewards)
        given = _numeric(rewards) if arrays is NUMPY else rewards
        if arrays is not NUMPY and "complex" in str(given.dtype):
            raise RewardError(f"got rewards of type {given.dtype}; wanted real numbers")
        if given.ndim not in (1, 2) or (given.ndim == 2 and given.shape[1] == 0):
            raise RewardError(
                f"got rewards of shape {tuple(given.shape)}; wanted [N], or [N, K] for K components"
            )
        values = arrays.floats(given)
        values = values[:, None] if given.ndim == 1 else values
        values = _gated(values, scheme, arrays)
        count = int(values.shape[1])
        weights = (1.0,) * count if scheme.weights is None else scheme.weights
        if len(weights) != count:
            raise SchemeError(
                f"got {len(weights)} weights for {count} reward components; wanted one weight a "
                "component"
            )
        # A component of weight 0 is dropped before the checks: it may be NaN or infinite.
        kept = [k for k, weight in enumerate(weights) if weight != 0]
        values = values[:, kept] if len(kept) < count else values
        weights = tuple(weights[k] for k in kept)
        largest = arrays.largest / max(1.0, *(abs(w) for w in weights))
        missing, too_large = arrays.xp.isnan(values), abs(values) > largest
        if arrays.traced:  # values cannot be looked at, and an error cannot depend on them
            missing = missing | too_large
        elif too_large.any():
            raise RewardError(
                f"got {arrays.count(too_large)} rewards that are infinite or beyond "
                f"{largest:.0e}, whose weighted squares cannot be summed; wanted finite numbers, "
                "and NaN or None where a reward is missing"
            )
        if not arrays.traced and not missing.any():
            missing = None
        return cls(given, arrays, values, weights, missing, scheme, arrays.epsilon(given))

    @property
    def rows(self) -> int:
        """Returns N."""
        return int(self.values.shape[0])

    @property
    def n_columns(self) -> int:
        """Returns how many columns are normalized by themselves."""
        return 1 if self.scheme.components == "sum_first" else len(self.weights)

    @property
    def incomplete(self) -> Array | None:
        """Returns [N] rows of which a component that has a weight is missing; None = none."""
        return None if self.missing is None else self.missing.any(1)

    @property
    def used(self) -> Array | None:
        """Returns [N] rows of which some component counts; None = all."""
        if self.missing is None or self.scheme.missing == "as_zero":
            return None
        used = ~self.missing.all(1)
        return used if self.arrays.traced or not used.all() else None

    def columns(self) -> Iterator[RewardColumn]:
        """Returns the sum of the components, or each component, as the scheme needs."""
        filled = self.values
        if self.missing is not None:
            filled = self.arrays.xp.where(self.missing, 0.0, filled)
        if self.scheme.components == "normalize_first":
            skip = self.scheme.missing == "leave_out"
            for k, weight in enumerate(self.weights):
                ok = ~self.missing[:, k] if skip and self.missing is not None else None
                yield RewardColumn(filled[:, k], ok, None, weight)
            return
        # Components may cancel: the size of the terms says how much of their sum is rounding.
        total, size = filled[:, 0] * self.weights[0], None
        if len(self.weights) > 1:
            size = abs(total)
            for k, weight in enumerate(self.weights[1:], start=1):
                term = filled[:, k] * weight
                total, size = total + term, size + abs(term)
        yield RewardColumn(total, self.used, size, 1.0)


def _gated(values: Array, scheme: Scheme, arrays: Arrays) -> Array:
    """Returns [N, K] components; a component is 0 if the one that it needs is too low."""
    count = int(values.shape[1])
    for k, needed, least in scheme.conditions:
        if max(k, needed) >= count:
            raise SchemeError(
                f"got a condition on components {k} and {needed}, counted from 0, for {count} "
                "reward components"
            )
        gate, where = values[:, needed], arrays.xp.where
        # A gate that is missing (NaN, unequal to itself) leaves the component missing as well.
        there = where(gate >= least, values[:, k], where(gate == gate, 0.0, gate))
        values = arrays.columns([there if i == k else values[:, i] for i in range(count)])
    return values


def _numeric(rewards: Array) -> NDArray[Any]:
    """Returns rewards as a NumPy array of numbers, None becoming NaN."""
    try:
        if isinstance(rewards, np.ma.MaskedArray):
            rewards = np.ma.filled(rewards.astype(np.float64), np.nan)  # masked is missing
        array = np.asarray(rewards)
        if array.dtype.kind == "V" and array.dtype.name.startswith(("bfloat16", "float8")):
            array = array.astype(np.float32)  # extension types of ml_dtypes: exact in single
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RewardError(
            f"got rewards that are no array of numbers ({error}); wanted [N] or [N, K]"
        ) from error
    if array.dtype.kind not in "fiub":
        raise RewardError(f"got rewards of type {array.dtype}; wanted real numbers")
    return array
