"""`Scheme`: one frozen value that decides every advantage.

Every published way from group rewards to per-agent advantages that normalizes is one point in
the space these fields span; `counterpoint.credit.catalogue` names the published points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from counterpoint.errors import LabelError, SchemeError

By = tuple[str, ...]

GROUPING = ("prompt", "agent", "role", "turn", "context")
"""Labels that statistics may be grouped by, in their canonical order."""


@dataclass(frozen=True)
class Scheme:
    """How rewards become advantages. Two schemes that are equal give equal advantages.

    The value of a row is `(r - center) / scale`: `center` from the rows that share the labels
    `center_by`, `scale` from those that share `scale_by`. An empty `by` is the whole batch.

    Raises:
        SchemeError: a field has a value that it cannot take, or is cancelled by another field,
            so that it would promise something that it does not do.
        LabelError: `center_by` or `scale_by` names something that is not in `GROUPING`.
    """

    center_by: By = ()
    """Rows that agree on these labels share what is subtracted."""
    scale_by: By | None = None
    """Rows that agree on these labels share the divisor; None means the same as `center_by`."""
    transform: Literal["identity", "rank"] = "identity"
    """`rank`: replace rewards by their rank among the rollouts of the center group (ties share)."""
    center: Literal["mean", "leave_one_out", "running_mean", "none"] = "mean"
    """What is subtracted. `leave_one_out` is the mean of the group's other rollouts."""
    scale: Literal["std", "running_std", "none"] = "std"
    """What divides: the population standard deviation of this call, the running one, or nothing."""
    scale_of: Literal["centered", "raw"] = "centered"
    """Which values the deviation is of; matters only where the two `by` differ."""
    components: Literal["sum_first", "normalize_first"] = "sum_first"
    """Sum the reward components, then normalize (GRPO); or normalize each, then sum (GDPO)."""
    weights: tuple[float, ...] | None = None
    """[K] weight of each component in the sum; None weighs all by 1."""
    memory: Literal["batch", "ema", "welford"] = "batch"
    """Where statistics live: this call only, a debiased moving average, or all calls so far."""
    decay: float = 0.98
    """How much of the moving average stays per call and group (memory `ema`)."""
    update: Literal["after", "before"] = "after"
    """Whether running statistics advance after they are used, or before."""
    weighting: Literal["step", "trajectory"] = "step"
    """Whether every row counts once, or every rollout does with the mean of its rows."""
    floor: float = 0.0
    """Smallest divisor: a smaller deviation is raised to it and counted."""
    shrink: float = 0.0
    """Pull a group's variance towards the batch's, as if by this many rollouts of the batch."""
    min_count: int = 0
    """A group with fewer rollouts than this takes the batch's deviation and keeps its own mean."""
    singleton: Literal["zero", "raw"] = "zero"
    """A group of one sample: advantage 0, or (as verl and Dr. MAS do) the raw reward."""
    constant: Literal["zero", "unscaled"] = "zero"
    """A group without variance: advantage 0, or the centered value undivided."""
    missing: Literal["leave_out", "as_zero"] = "leave_out"
    """NaN and None: no contribution and advantage 0, or (as in a nansum) a reward of 0."""
    whiten: Literal["none", "batch"] = "none"
    """A last pass that gives the whole batch mean 0 and deviation 1 (GDPO)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "center_by", _canonical("center_by", self.center_by))
        scale_by = self.center_by if self.scale_by is None else self.scale_by
        object.__setattr__(self, "scale_by", _canonical("scale_by", scale_by))
        if self.weights is not None:
            object.__setattr__(self, "weights", _numbers("weights", self.weights))
        self._check_values()
        self._check_nothing_is_cancelled()

    @property
    def groups_by_agent(self) -> bool:
        """Whether each agent (or role) has statistics of its own: the decoupled schemes."""
        both = set(self.center_by) | set(self.scale_by or ())
        return bool(both & {"agent", "role"})

    def decoupled(self) -> Scheme:
        """The same scheme with statistics of each agent's own."""
        scale_by = self.scale_by or ()
        return self._regrouped((*self.center_by, "agent"), (*scale_by, "agent"))

    def coupled(self) -> Scheme:
        """The same scheme with statistics that all agents share."""
        own = ("agent", "role")
        center_by, scale_by = (
            tuple(name for name in by if name not in own)
            for by in (self.center_by, self.scale_by or ())
        )
        return self._regrouped(center_by, scale_by)

    @property
    def keeps_state(self) -> bool:
        """Whether statistics live longer than one call."""
        return self.memory != "batch"

    def _regrouped(self, center_by: By, scale_by: By) -> Scheme:
        """Other groups; a field that they make void is taken back to its default."""
        center_by, scale_by = _canonical("center_by", center_by), _canonical("scale_by", scale_by)
        void = center_by == scale_by or self.scale == "none"
        whole = not (center_by or self.center == "none") or not (scale_by or self.scale == "none")
        return replace(
            self,
            center_by=center_by,
            scale_by=scale_by,
            scale_of="centered" if void else self.scale_of,
            whiten="none" if whole else self.whiten,
        )

    def _check_values(self) -> None:
        hints = get_type_hints(type(self))
        for spec in fields(self):
            allowed, value = get_args(hints[spec.name]), getattr(self, spec.name)
            if allowed and isinstance(allowed[0], str) and value not in allowed:
                raise SchemeError(f"got {spec.name}={value!r}; wanted one of {', '.join(allowed)}")
        for name in ("floor", "shrink", "min_count", "decay"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SchemeError(f"got {name}={value!r}; wanted a number")
        for name in ("floor", "shrink", "min_count"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise SchemeError(f"got {name}={getattr(self, name)!r}; wanted a number >= 0")
        if not 0.0 < self.decay < 1.0:
            raise SchemeError(f"got decay={self.decay!r}; wanted a number between 0 and 1")
        if self.weights is not None and not all(math.isfinite(w) for w in self.weights):
            raise SchemeError(f"got weights={self.weights}; wanted finite numbers")

    def _check_nothing_is_cancelled(self) -> None:
        running = [f for f in ("center", "scale") if getattr(self, f).startswith("running_")]
        inert: list[tuple[bool, str]] = [
            (bool(running) and not self.keeps_state,
             "a running statistic needs memory='ema' or memory='welford'"),
            (self.keeps_state and not running,
             f"memory={self.memory!r} is read by nothing: center or scale must be running"),
            (self.memory != "ema" and self.decay != 0.98,
             f"decay is read only with memory='ema', got memory={self.memory!r}"),
            (not self.keeps_state and self.update != "after",
             "update is read only by running statistics"),
            (self.scale == "none" and any((self.floor, self.shrink, self.min_count)),
             "floor, shrink and min_count guard a scale, and scale is 'none'"),
            (self.scale_of == "raw" and (self.scale == "none" or self.center_by == self.scale_by),
             "scale_of='raw' changes nothing unless there is a scale and the two by differ"),
            (self.whiten == "batch" and not self.center_by and self.center != "none",
             "whitening the batch cancels a center that is shared by the whole batch"),
            (self.whiten == "batch" and not self.scale_by and self.scale != "none",
             "whitening the batch cancels a scale that is shared by the whole batch"),
            (self.components == "normalize_first" and self.transform == "identity"
             and self.center == "none" and self.scale == "none",
             "normalize_first normalizes nothing: center and scale are both 'none'"),
        ]  # fmt: skip
        for cancelled, reason in inert:
            if cancelled:
                raise SchemeError(f"this scheme contradicts itself: {reason}")


def _numbers(field: str, values: Iterable[Any]) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise SchemeError(f"got {field}={values!r}; wanted a tuple of numbers") from error


def _canonical(field: str, by: By | str) -> By:
    if isinstance(by, str):
        raise LabelError(f"got {field}={by!r}; wanted a tuple of labels, e.g. ({by!r},)")
    if not isinstance(by, Iterable):
        raise LabelError(f"got {field}={by!r}; wanted a tuple of labels")
    unknown = [name for name in by if name not in GROUPING]
    if unknown:
        raise LabelError(f"got {field}={unknown}; wanted labels out of {', '.join(GROUPING)}")
    return tuple(name for name in GROUPING if name in by)
