"""`Scheme`: one frozen value that decides every advantage, and schemes made of schemes.

Every published way from group rewards to per-agent advantages that normalizes is one point in
the space these fields span; `counterpoint.credit.catalogue` names the published points. `Mix` adds
several up: episode and step advantages of one rollout (GiGPO), outcome and turn advantages
(MT-GRPO). `PerRole` gives each role a scheme, if a planner is normalized in another way than its
workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args, get_type_hints

from counterpoint.errors import LabelError, SchemeError, choices

By = tuple[str, ...]

LARGEST = 1e100
"""The largest weight of a mix: more overflows where it multiplies advantages."""
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
    rollout_reward: Literal["mean", "sum", "last", "to_go"] = "mean"
    """What a row counts as: its own reward (under trajectory weighting a rollout then counts with
    the mean of its rows), or the sum, the last or the discounted rest of the rewards that its agent
    gets in the rollout. `last` is right for a return on every row and for a return in the last row
    only; `sum` is right for a return that is paid in parts."""
    gamma: float = 1.0
    """Discount a row (`rollout_reward` `to_go`): the rest is `r_t + gamma r_(t+1) + ...`."""
    center: Literal["mean", "leave_one_out", "running_mean", "shrunk", "none"] = "mean"
    """What is subtracted. `leave_one_out` is the mean of the group's other rollouts; `shrunk` takes
    the means of the batch, of each label in `center_by` and of all of them together, each as far as
    it is known (see `credit.shrunken`)."""
    baseline_floor: float | None = None
    """Smallest number that is subtracted (CoRPO); None sets no limit."""
    scale: Literal["std", "running_std", "shrunk", "mean", "none"] = "std"
    """What divides: the standard deviation of this call, the running one, one between the group's
    and the batch's (`shrunk`), the mean of this call (MaxRL; a group with a mean that is not
    positive counts as constant), or nothing."""
    own_scale: float = 0.5
    """How far `shrunk` goes from the batch's deviation to a group's own, in logarithms: 0 divides
    all by one number, 1 gives groups of large and of small rewards steps of one size."""
    ddof: Literal[0, 1] = 0
    """Deviation with `n - ddof` in the denominator: 0 is the population deviation, 1 is the sample
    deviation of torch, TRL and verl. Only 0 keeps the bound `A^2 <= n - 1`, and the identity of
    pooled and per-agent statistics: with 1 the two differ by a factor near 1."""
    epsilon: float = 0.0
    """Added to every divisor, as trainers do (TRL 1e-4, verl 1e-6). Constant groups do not need
    it; it is there to match published numbers digit by digit."""
    scale_of: Literal["centered", "raw"] = "centered"
    """Which values the deviation is of; matters only where the two `by` differ."""
    components: Literal["sum_first", "normalize_first"] = "sum_first"
    """Sum the reward components, then normalize (GRPO); or normalize each, then sum (GDPO)."""
    weights: tuple[float, ...] | None = None
    """[K] weight of each component in the sum; None weighs all by 1. A component of weight 0 is
    only logged and changes no advantage, even if it is NaN or infinite."""
    weigh_by: Literal["fixed", "deviation"] = "fixed"
    """`deviation`: each component's advantage is weighted once more by its share of the group's
    deviations, `sigma_k / sum of sigma` (with `normalize_first`; DVAO)."""
    conditions: tuple[tuple[int, int, float], ...] = ()
    """Triples (k, j, t): component k counts 0 unless component j is at least t (GDPO, equation 8).
    Components are numbered from 0."""
    memory: Literal["batch", "ema", "welford", "precision"] = "batch"
    """Where statistics live: this call only, a debiased moving average, all calls so far, or (of
    what is `shrunk`) all calls in proportion to what they still say."""
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
    """A group with fewer rollouts than this takes the batch deviation and keeps its group mean."""
    group_weight: Literal["none", "entropy"] = "none"
    """A factor on all advantages of a center group: `entropy` is `exp(-strength D)`, with D the
    divergence of its mean reward p in [0, 1] from 1/2, `p ln 2p + (1-p) ln 2(1-p)` (MGPO)."""
    group_strength: float = 1.0
    """How strongly `group_weight` acts; at least 0."""
    agreement: float = 0.0
    """Smallest agreement of a row's components: the size of the sum of `w_k A_k` over the sum of
    their sizes (with `normalize_first`; GD2PO). A row below it gets 0, and the others of its center
    group are multiplied by the share that is left; 1 drops every row with components of both
    signs."""
    clip: float = 0.0
    """Largest advantage in size, applied last and counted; 0 clips nothing."""
    singleton: Literal["zero", "raw"] = "zero"
    """A group of one sample: advantage 0, or (as verl and Dr. MAS do) the raw reward."""
    constant: Literal["zero", "unscaled"] = "zero"
    """A group without variance: advantage 0, or the centered value undivided."""
    missing: Literal["leave_out", "as_zero"] = "leave_out"
    """A row without any component that counts: no contribution and advantage 0, or a reward of 0.
    A single missing component is absent from the sum either way."""
    whiten: Literal["none", "batch"] = "none"
    """A last pass that gives the whole batch mean 0 and deviation 1 (GDPO)."""
    whiten_weighting: Literal["step", "trajectory"] | None = None
    """Whether rows or rollouts count once in that pass; None means as in `weighting`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "center_by", _canonical("center_by", self.center_by))
        scale_by = self.center_by if self.scale_by is None else self.scale_by
        object.__setattr__(self, "scale_by", _canonical("scale_by", scale_by))
        try:
            weights = None if self.weights is None else tuple(map(float, self.weights))
        except (TypeError, ValueError, OverflowError) as error:
            raise SchemeError(f"got weights={self.weights!r}; wanted a tuple of numbers") from error
        try:
            conditions = tuple((int(k), int(j), float(t)) for k, j, t in self.conditions)
        except (TypeError, ValueError, OverflowError) as error:
            raise SchemeError(
                f"got conditions={self.conditions!r}; wanted triples (component, the one it needs, "
                "at least)"
            ) from error
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "conditions", conditions)
        _check_values(self)
        _check_nothing_is_cancelled(self)

    @property
    def groups_by_agent(self) -> bool:
        """Returns whether each agent (or role) has statistics of its own: the decoupled schemes."""
        both = set(self.center_by) | set(self.scale_by or ())
        return bool(both & {"agent", "role"})

    def decoupled(self) -> Scheme:
        """Returns the same scheme with per-agent statistics."""
        return self._regrouped((*self.center_by, "agent"), (*(self.scale_by or ()), "agent"))

    def coupled(self) -> Scheme:
        """Returns the same scheme with statistics that all agents share."""
        shared = [name for name in GROUPING if name not in ("agent", "role")]
        center_by, scale_by = (
            tuple(name for name in shared if name in by)
            for by in (self.center_by, self.scale_by or ())
        )
        return self._regrouped(center_by, scale_by)

    @property
    def keeps_state(self) -> bool:
        """Returns whether statistics live longer than one call."""
        return self.memory != "batch"

    def _regrouped(self, center_by: By, scale_by: By) -> Scheme:
        """Returns other groups; a field that they make void is taken back to its default."""
        center_by, scale_by = _canonical("center_by", center_by), _canonical("scale_by", scale_by)
        void = center_by == scale_by or self.scale == "none"
        whole = not (center_by or self.center == "none") or not (scale_by or self.scale == "none")
        return replace(
            self,
            center_by=center_by,
            scale_by=scale_by,
            scale_of="centered" if void else self.scale_of,
            whiten="none" if whole else self.whiten,
            whiten_weighting=None if whole else self.whiten_weighting,
        )


@cache  # resolving annotations takes longer than a small batch of advantages
def field_types() -> dict[str, object]:
    """Returns the type of each field of `Scheme`."""
    return get_type_hints(Scheme)


def _canonical(field: str, by: By | str) -> By:
    """Returns the labels in their canonical order."""
    if isinstance(by, str) or not isinstance(by, Iterable):
        hint = f", e.g. ({by!r},)" if isinstance(by, str) else ""
        raise LabelError(f"got {field}={by!r}; wanted a tuple of labels{hint}")
    unknown = [name for name in by if name not in GROUPING]
    if unknown:
        raise LabelError(f"got {field}={unknown}; wanted labels out of {', '.join(GROUPING)}")
    return tuple(name for name in GROUPING if name in by)


NUMBERS = ("floor", "shrink", "min_count", "decay", "gamma", "epsilon", "clip",
           "group_strength", "agreement", "own_scale")  # fmt: skip
"""Fields that hold a number; all but `decay` and `gamma` are at least 0."""


UNREAD = ("transform", "baseline_floor", "epsilon", "floor", "shrink", "min_count", "update",
          "group_weight", "singleton", "constant")  # fmt: skip
"""Fields that `center="shrunk"` does not read."""


def _check_values(scheme: Scheme) -> None:
    """Raises SchemeError where a field has a value that it cannot take."""
    for name, kind in field_types().items():
        value = getattr(scheme, name)
        allowed = tuple(a for one in get_args(kind) for a in (get_args(one) or (one,)))
        words = [one for one in allowed if isinstance(one, str)]
        optional = value is None and type(None) in allowed
        if words and not optional and value not in words:
            raise SchemeError(f"got {name}={value!r}{choices(str(value), words)}")
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
    for name in ("agreement", "own_scale"):
        if getattr(scheme, name) > 1:
            raise SchemeError(f"got {name}={getattr(scheme, name)!r}; wanted a number from 0 to 1")
    if isinstance(scheme.ddof, bool) or scheme.ddof not in (0, 1):
        raise SchemeError(f"got ddof={scheme.ddof!r}; wanted 0 or 1")
    floor, weights = scheme.baseline_floor, scheme.weights
    is_number = isinstance(floor, int | float) and not isinstance(floor, bool)
    if floor is not None and not (is_number and math.isfinite(floor)):
        raise SchemeError(f"got baseline_floor={floor!r}; wanted a finite number, or None")
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


def _check_nothing_is_cancelled(scheme: Scheme) -> None:
    """Raises SchemeError where one field would undo what another promises."""
    s = scheme
    running = [f for f in ("center", "scale") if getattr(s, f).startswith("running_")]
    shrunk = s.center == "shrunk"
    inert: list[tuple[bool, str]] = [
        (bool(running) and not s.keeps_state,
         "a running statistic needs memory='ema' or memory='welford'"),
        (s.keeps_state and not running and not shrunk,
         f"memory={s.memory!r} is read by nothing: center or scale must be running"),
        (shrunk != (s.scale == "shrunk"),
         "center='shrunk' and scale='shrunk' go together: one needs the other's units"),
        (shrunk and s.memory not in ("batch", "precision"),
         f"what is shrunk has memory='precision' (or 'batch'), got memory={s.memory!r}"),
        (s.memory == "precision" and not shrunk,
         "memory='precision' is read only by center='shrunk'"),
        (shrunk and s.scale_by != tuple(name for name in s.center_by if name != "prompt"),
         "scale='shrunk' has the groups of center_by without prompt, so scale_by must be these"),
        (shrunk and any(getattr(s, name) != getattr(Scheme, name) for name in UNREAD),
         f"center='shrunk' reads none of {', '.join(UNREAD)}"),
        (s.scale != "shrunk" and s.own_scale != 0.5,
         f"own_scale is read only with scale='shrunk', got scale={s.scale!r}"),
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


@dataclass(frozen=True)
class Mix:
    """A weighted sum of schemes: the advantage of a row is `sum of w_i A_i`.

    With one part of weight 1 it is that scheme. Edge cases are counted in each part; rows are
    counted once.

    Raises:
        SchemeError: no part, or a part that is no pair of a weight, from -1e100 to 1e100,
            and a scheme.
    """

    parts: tuple[tuple[float, Scheme], ...]
    """Pairs of weight and scheme."""

    def __post_init__(self) -> None:
        try:
            parts = tuple((float(weight), scheme) for weight, scheme in self.parts)
        except (TypeError, ValueError, OverflowError) as error:
            raise SchemeError(f"got parts={self.parts!r}; wanted pairs (weight, Scheme)") from error
        if not parts or not all(abs(w) <= LARGEST and isinstance(s, Scheme) for w, s in parts):
            raise SchemeError(
                f"got parts={self.parts!r}; wanted at least one pair (weight up to 1e100, Scheme)"
            )
        object.__setattr__(self, "parts", parts)

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Returns the schemes of the parts, in order."""
        return tuple(scheme for _, scheme in self.parts)

    @property
    def keeps_state(self) -> bool:
        """Returns whether statistics of some part live longer than one call."""
        return any(scheme.keeps_state for scheme in self.schemes)

    @property
    def groups_by_agent(self) -> bool:
        """Returns whether some part has statistics for each agent (or role)."""
        return any(scheme.groups_by_agent for scheme in self.schemes)

    def decoupled(self) -> Mix:
        """Returns the same mix with per-agent statistics in every part."""
        return self.each(Scheme.decoupled)

    def coupled(self) -> Mix:
        """Returns the same mix with statistics that all agents share in every part."""
        return self.each(Scheme.coupled)

    def each(self, change: Callable[[Scheme], Scheme]) -> Mix:
        """Returns a mix in which every scheme is changed by `change`."""
        return Mix(tuple((weight, change(scheme)) for weight, scheme in self.parts))


@dataclass(frozen=True)
class PerRole:
    """A scheme for each role: every role is normalized as if the others were not there.

    `role` defaults to the agent, so that the keys may be agents' names.

    Raises:
        SchemeError: neither a role nor a default, a role twice, or something that is no scheme.
    """

    schemes: tuple[tuple[Any, Scheme], ...] = ()
    """Pairs of role and scheme; a mapping is taken too."""
    default: Scheme | None = None
    """The scheme of every other role; None makes another role an error."""

    def __post_init__(self) -> None:
        pairs = self.schemes.items() if isinstance(self.schemes, Mapping) else self.schemes
        try:
            pairs = tuple((role, scheme) for role, scheme in pairs)
        except (TypeError, ValueError) as error:
            raise SchemeError(f"got schemes={self.schemes!r}; wanted role to Scheme") from error
        given = [*(scheme for _, scheme in pairs), *([self.default] if self.default else [])]
        if not given or not all(isinstance(scheme, Scheme) for scheme in given):
            raise SchemeError(
                f"got schemes={self.schemes!r} and default={self.default!r}; wanted a Scheme for "
                "at least one role"
            )
        if len({role for role, _ in pairs}) < len(pairs):
            raise SchemeError(f"got roles {[role for role, _ in pairs]}; wanted each of them once")
        object.__setattr__(self, "schemes", pairs)

    @property
    def keeps_state(self) -> bool:
        """Returns whether statistics of some role live longer than one call."""
        return any(scheme.keeps_state for scheme in plain_schemes(self))

    @property
    def groups_by_agent(self) -> bool:
        """Returns whether agents have statistics of their own: roles do, always."""
        return True

    def decoupled(self) -> PerRole:
        """Returns the same with per-agent statistics within every role."""
        return self.each(Scheme.decoupled)

    def coupled(self) -> PerRole:
        """Returns the same with statistics that all agents of a role share."""
        return self.each(Scheme.coupled)

    def of(self, role: Any) -> Scheme:
        """Returns the scheme of a role.

        Raises:
            SchemeError: there is none, and no default.
        """
        scheme: Scheme | None = dict(self.schemes).get(role, self.default)
        if scheme is None:
            known = ", ".join(repr(name) for name, _ in self.schemes)
            raise SchemeError(f"got role {role!r}; wanted one of {known}, or a default scheme")
        return scheme

    def each(self, change: Callable[[Scheme], Scheme]) -> PerRole:
        """Returns a `PerRole` in which every scheme is changed by `change`."""
        pairs = tuple((role, change(scheme)) for role, scheme in self.schemes)
        return replace(self, schemes=pairs, default=change(self.default) if self.default else None)


AnyScheme = Scheme | Mix | PerRole
"""Every kind of scheme that `advantages` accepts."""


def plain_schemes(scheme: AnyScheme) -> tuple[Scheme, ...]:
    """Returns the plain schemes that a scheme consists of; a `Scheme` consists of itself."""
    if isinstance(scheme, Mix):
        return scheme.schemes
    if isinstance(scheme, PerRole):
        others = () if scheme.default is None else (scheme.default,)
        return (*(part for _, part in scheme.schemes), *others)
    return (scheme,)
