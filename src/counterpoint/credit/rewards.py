"""The public door for rewards: any array to checked columns that are ready to normalize."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import NUMPY, Array, Arrays, arrays_of
from counterpoint.errors import RewardError, SchemeError


@dataclass(frozen=True)
class Column:
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
    """[N, K] components as wide floats, NaN where missing."""
    missing: Array | None
    """[N, K] which entries are missing; None = none is."""
    scheme: Scheme
    epsilon: float
    """Machine epsilon of the rewards as given."""

    @classmethod
    def read(cls, rewards: Any, scheme: Scheme) -> Rewards:
        """Check `rewards` [N] or [N, K] once.

        Raises:
            RewardError: not numeric, of a wrong rank, or infinite.
            SchemeError: the scheme has weights for another number of components.
        """
        arrays = arrays_of(rewards)
        given = _numeric(rewards) if arrays is NUMPY else rewards
        if given.ndim not in (1, 2) or (given.ndim == 2 and given.shape[1] == 0):
            raise RewardError(
                f"got rewards of shape {tuple(given.shape)}; wanted [N], or [N, K] for K components"
            )
        values = arrays.floats(given)
        values = values[:, None] if given.ndim == 1 else values
        if scheme.weights is not None and len(scheme.weights) != values.shape[1]:
            raise SchemeError(
                f"got {len(scheme.weights)} weights for {values.shape[1]} reward components; "
                "wanted one weight a component"
            )
        largest = arrays.largest / max(1.0, *(abs(w) for w in scheme.weights or (1.0,)))
        missing, too_large = arrays.xp.isnan(values), abs(values) > largest
        if arrays.traced:
            missing = missing | too_large
        elif too_large.any():
            raise RewardError(
                f"got {arrays.count(too_large)} rewards that are infinite or beyond "
                f"{largest:.0e}, whose weighted squares cannot be summed; wanted finite numbers, "
                "and NaN or None where a reward is missing"
            )
        if not arrays.traced and not missing.any():
            missing = None
        return cls(given, arrays, values, missing, scheme, arrays.epsilon(given))

    @property
    def rows(self) -> int:
        """N."""
        return int(self.values.shape[0])

    @property
    def n_columns(self) -> int:
        """How many columns are normalized by themselves."""
        return 1 if self.scheme.components == "sum_first" else int(self.values.shape[1])

    @property
    def incomplete(self) -> Array | None:
        """[N] rows with a missing component; None = none."""
        return None if self.missing is None else self.missing.any(1)

    @property
    def used(self) -> Array | None:
        """[N] rows of which some column counts; None = all."""
        if self.missing is None or self.scheme.missing == "as_zero":
            return None
        missing = self.missing
        return ~(missing.any(1) if self.scheme.components == "sum_first" else missing.all(1))

    def columns(self) -> Iterator[Column]:
        """The sum of the components, or each of them, as the scheme wants it."""
        weights = self.scheme.weights or (1.0,) * self.values.shape[1]
        filled = self.values
        if self.missing is not None:
            filled = self.arrays.xp.where(self.missing, 0.0, filled)
        skip = self.missing is not None and self.scheme.missing == "leave_out"
        if self.scheme.components == "normalize_first":
            for k, weight in enumerate(weights):
                ok = ~self.missing[:, k] if skip and self.missing is not None else None
                yield Column(filled[:, k], ok, None, weight)
            return
        total, size = filled[:, 0] * weights[0], None
        if len(weights) > 1:
            size = abs(total)
            for k, weight in enumerate(weights[1:], start=1):
                term = filled[:, k] * weight
                total, size = total + term, size + abs(term)
        yield Column(total, self.used if skip else None, size, 1.0)


def _numeric(rewards: Any) -> NDArray[Any]:
    """Rewards as a NumPy array of numbers, None becoming NaN."""
    try:
        if isinstance(rewards, np.ma.MaskedArray):
            rewards = np.ma.filled(rewards.astype(np.float64), np.nan)  # masked is missing
        array = np.asarray(rewards)
        if array.dtype.kind == "O":
            array = np.asarray(np.where(array == None, np.nan, array), dtype=np.float64)  # noqa: E711
    except (TypeError, ValueError, OverflowError) as error:
        raise RewardError(
            f"got rewards that are no array of numbers ({error}); wanted [N] or [N, K]"
        ) from error
    if array.dtype.kind not in "fiub":
        raise RewardError(f"got rewards of type {array.dtype}; wanted real numbers")
    return array
