"""What a `Scheme` refuses: values that a field cannot take, and fields that cancel each other.

Both checks take any object with the fields of a `Scheme`, so that this file needs nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from counterpoint.errors import SchemeError

NUMBERS = ("floor", "shrink", "min_count", "decay", "gamma", "epsilon", "clip",
           "group_strength", "agreement")  # fmt: skip
"""Fields that hold a number; all but `decay` and `gamma` are at least 0."""


def check_values(scheme: Any, kinds: Mapping[str, Any]) -> None:
    """Raises SchemeError where a field has a value that its annotation in `kinds` excludes."""
    for spec in fields(scheme):
        allowed, value = get_args(kinds[spec.name]), getattr(scheme, spec.name)
        allowed = tuple(a for one in allowed for a in (get_args(one) or (one,)))
        words = [one for one in allowed if isinstance(one, str)]
        optional = value is None and type(None) in allowed
        if words and not optional and value not in words:
            raise SchemeError(f"got {spec.name}={value!r}; wanted one of {', '.join(words)}")
    for name in NUMBERS:
        value = getattr(scheme, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SchemeError(f"got {name}={value!r}; wanted a number")
    for name in set(NUMBERS) - {"decay", "gamma"}:
        if not (math.isfinite(getattr(scheme, name)) and getattr(scheme, name) >= 0):
            raise SchemeError(f"got {name}={getattr(scheme, name)!r}; wanted a number >= 0")
    if not 0.0 < scheme.decay < 1.0:
        raise SchemeError(f"got decay={scheme.decay!r}; wanted a number between 0 and 1")
    if not 0.0 <= scheme.gamma <= 1.0:
        raise SchemeError(f"got gamma={scheme.gamma!r}; wanted a number from 0 to 1")
    if scheme.agreement > 1:
        raise SchemeError(f"got agreement={scheme.agreement!r}; wanted a number from 0 to 1")
    if isinstance(scheme.ddof, bool) or scheme.ddof not in (0, 1):
        raise SchemeError(f"got ddof={scheme.ddof!r}; wanted 0 or 1")
    _check_baseline_floor(scheme)
    _check_components(scheme)


def _check_baseline_floor(scheme: Any) -> None:
    floor = scheme.baseline_floor
    if floor is None:
        return
    if isinstance(floor, bool) or not isinstance(floor, int | float) or not math.isfinite(floor):
        raise SchemeError(f"got baseline_floor={floor!r}; wanted a finite number, or None")


def _check_components(scheme: Any) -> None:
    weights = scheme.weights
    if weights is not None and not all(math.isfinite(w) for w in weights):
        raise SchemeError(f"got weights={weights}; wanted finite numbers")
    if weights is not None and not any(weights):
        raise SchemeError(f"got weights={weights}; wanted at least one that is not 0")
    for k, needed, least in scheme.conditions:
        if k < 0 or needed < 0 or k == needed or not math.isfinite(least):
            raise SchemeError(
                f"got a condition {(k, needed, least)}; wanted two different components, counted "
                "from 0, and a finite number"
            )


def check_nothing_is_cancelled(scheme: Any) -> None:
    """Raises SchemeError where one field would undo what another promises."""
    s = scheme
    running = [f for f in ("center", "scale") if getattr(s, f).startswith("running_")]
    inert: list[tuple[bool, str]] = [
        (bool(running) and not s.keeps_state,
         "a running statistic needs memory='ema' or memory='welford'"),
        (s.keeps_state and not running,
         f"memory={s.memory!r} is read by nothing: center or scale must be running"),
        (s.memory != "ema" and s.decay != 0.98,
         f"decay is read only with memory='ema', got memory={s.memory!r}"),
        (not s.keeps_state and s.update != "after",
         "update is read only by running statistics"),
        (s.scale == "none" and any((s.floor, s.shrink, s.min_count)),
         "floor, shrink and min_count guard a scale, and scale is 'none'"),
        (s.scale == "none" and s.whiten == "none" and s.epsilon > 0,
         "epsilon is added to a divisor, and scale is 'none'"),
        (s.scale != "std" and s.whiten == "none" and s.ddof == 1,
         f"ddof is read only with scale='std' or whiten='batch', got scale={s.scale!r}"),
        (s.scale == "mean" and (s.shrink > 0 or s.min_count > 0),
         "shrink and min_count guard a deviation, and scale is 'mean'"),
        (s.scale == "mean" and (s.scale_of == "centered" and s.center_by != s.scale_by),
         "the mean of centered values is 0: scale='mean' needs scale_of='raw' where the two by "
         "differ"),
        (s.scale == "mean" and s.transform == "rank",
         "the mean of ranks is the same for every group of a size: scale='mean' divides by nothing"
         " that was measured"),
        (s.scale_of == "raw" and (s.scale == "none" or s.center_by == s.scale_by),
         "scale_of='raw' changes nothing unless there is a scale and the two by differ"),
        (s.baseline_floor is not None and s.center == "none",
         "baseline_floor limits a center, and center is 'none'"),
        (s.rollout_reward != "to_go" and s.gamma != 1.0,
         "gamma is read only with rollout_reward='to_go'"),
        (s.rollout_reward == "to_go" and s.weighting == "trajectory",
         "rollout_reward='to_go' gives each row a value of its own, and weighting='trajectory' "
         "takes their mean"),
        (s.group_weight == "none" and s.group_strength != 1.0,
         "group_strength is read only with a group_weight"),
        (s.whiten == "none" and s.whiten_weighting is not None,
         "whiten_weighting is read only with whiten='batch'"),
        (s.whiten == "batch" and not s.center_by and s.center != "none",
         "whitening the batch cancels a center that is shared by the whole batch"),
        (s.whiten == "batch" and not s.scale_by and s.scale != "none",
         "whitening the batch cancels a scale that is shared by the whole batch"),
        (s.weigh_by == "deviation" and s.components == "sum_first",
         "weigh_by='deviation' weighs components one by one, and they are summed first"),
        (s.weigh_by == "deviation" and s.scale not in ("std", "running_std"),
         f"weigh_by='deviation' weighs by what scale divides by, got scale={s.scale!r}"),
        (s.agreement > 0 and s.components == "sum_first",
         "agreement compares components, and they are summed first"),
        (s.components == "normalize_first" and s.transform == "identity"
         and s.center == "none" and s.scale == "none",
         "normalize_first normalizes nothing: center and scale are both 'none'"),
    ]  # fmt: skip
    for cancelled, reason in inert:
        if cancelled:
            raise SchemeError(f"this scheme contradicts itself: {reason}")
