"""The result of `advantages`: the values, the state after the call, and the edge-case counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

from counterpoint.arrays import Array
from counterpoint.credit.memory import RunningState


@dataclass(frozen=True)
class Tally:
    """How often each edge case occurred. Under `normalize_first`, groups count once a component."""

    rows: int = 0
    """Rows given."""
    missing: int = 0
    """Rows with at least one missing (NaN or None) component that has a weight."""
    left_out: int = 0
    """Rows whose advantage is 0 because nothing of their reward was usable."""
    groups: int = 0
    """Groups with samples, by `center_by` and, where it differs, by `scale_by`."""
    singletons: int = 0
    """Groups of one sample, where the scheme needs more."""
    constants: int = 0
    """Groups of several samples without variance, where the scheme needs some."""
    cold: int = 0
    """Groups with a running mean or deviation that is not known yet: this call's is used."""
    floored: int = 0
    """Groups whose deviation was raised to the scheme's floor."""
    pooled: int = 0
    """Groups below `min_count` that took the batch's deviation."""
    disagreeing: int = 0
    """Rollouts whose rows had different rewards in one group (trajectory weighting)."""
    clipped: int = 0
    """Rows with an advantage that was cut to the scheme's `clip`."""
    conflicting: int = 0
    """Rows dropped since their components disagree (the scheme's `agreement`)."""
    raised: int = 0
    """Rows with a center that was raised to `baseline_floor`."""
    flat: int = 0
    """Batches that were constant when the last pass was to whiten them."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


@dataclass(frozen=True)
class Credit:
    """Advantages and everything that a caller must keep or may want to look at."""

    values: Array
    """[N] advantage of each row, in the kind of array that the rewards were."""
    state: RunningState | None
    """Running statistics to pass into the next call; None for memory `batch`."""
    tally: Tally
    """Counts of the edge cases met."""


@cache
def register_with_jax() -> None:
    """Makes `Credit` and `Tally` pytrees, so that a jitted function may return them."""
    import jax

    for cls in (Credit, Tally):
        names = [f.name for f in fields(cls)]
        jax.tree_util.register_dataclass(cls, data_fields=names, meta_fields=[])
