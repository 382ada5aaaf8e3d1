"""Running statistics as explicit state: merged, serialized and restored without loss.

One merge serves both memories. Blending a group's moments (mean, variance) with those of a new
call by a share `a` gives the moments of the mixture,

    mean' = mean + a (m - mean),     var' = (1 - a) var + a v + a (1 - a) (m - mean)^2,

and the memory only decides `a`: with W samples seen and w new ones, Welford's is w / (W + w);
after t calls the debiased exponential average's is (1 - d) / (1 - d^t). The second equals the
debiased averages of x and x^2 in exact arithmetic, without their cancellation.

A running variance of 0 is not known yet: nothing has differed so far. Until something does, a call
uses its own variance, and the calls in which nothing differed count as one for the variance of an
exponential average: a team without a success for twenty updates is no team without variance.

Source: Chan, Golub & LeVeque 1983 (merging moments); Kingma & Ba 2015, section 3 (debiasing).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.credit.scheme import Scheme
from counterpoint.errors import StateError

Key = tuple[Any, ...]

SCHEMA = "counterpoint.running_state/1"
JOINT_SCHEMA = "counterpoint.joint_state/1"


class SavedMoments(TypedDict):
    """`Moments` as plain values: a list for each field."""

    keys: list[list[Any]]
    count: list[float]
    mean: list[float]
    var: list[float]
    known: NotRequired[list[float]]
    drift: NotRequired[list[float]]


class SavedState(TypedDict):
    """`SchemeState` as plain values. JSON keeps the floats bit for bit."""

    schema: str
    memory: str
    center_by: list[str]
    scale_by: list[str]
    center: list[SavedMoments]
    scale: list[SavedMoments]


class SavedJointState(TypedDict):
    """`JointState` as plain values: pairs of place or role and saved state."""

    schema: str
    parts: list[tuple[Any, SavedState | SavedJointState]]


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each group, M of them, in one reward column."""

    index: Mapping[Key, int]
    """Label values of a group to its row below."""
    count: Floats
    """[M] calls seen (memory `ema`), samples seen (`welford`), or the samples that the mean is
    still worth (`precision`)."""
    mean: Floats
    """[M] running mean."""
    var: Floats
    """[M] running population variance; 0 = not known yet."""
    known: Floats
    """[M] `count` for the variance: the calls before anything differed are one (`ema`)."""
    drift: Floats
    """[M] square of the mean's move from call to call, as expected (memory `precision`): below 0
    where it has moved less than by chance; else 0."""

    @classmethod
    def nothing(cls) -> Moments:
        """Returns the moments before the first call."""
        return cls({}, *np.zeros((5, 0)))

    def replaced(
        self, keys: Sequence[Key | None], count: Floats, mean: Floats, var: Floats, known: Floats,
        drift: Floats,
    ) -> Moments:  # fmt: skip
        """Returns the moments with `count[i]` and so on for group `keys[i]`, if it has a count."""
        seen = [i for i, key in enumerate(keys) if key is not None and count[i] > 0]
        index = dict(self.index)
        for i in seen:
            if (key := keys[i]) is not None:
                index.setdefault(key, len(index))
        at = [index[key] for i in seen if (key := keys[i]) is not None]
        out = np.zeros((5, len(index)))
        out[:, : len(self.index)] = self.count, self.mean, self.var, self.known, self.drift
        out[:, at] = np.stack([count, mean, var, known, drift])[:, seen]
        return Moments(index, *out)

    def after(
        self, keys: Sequence[Key | None], weight: Floats, mean: Floats, var: Floats,
        tolerance: Floats, scheme: Scheme,
    ) -> Moments:  # fmt: skip
        """Returns the moments after a call in which group `keys[i]` had `mean[i]` and `var[i]`.

        Groups of weight 0 (no sample in this call) stay as they are; means within `tolerance[i]` of
        the running one have not moved.
        """
        seen = [i for i, key in enumerate(keys) if key is not None and weight[i] > 0]
        index = dict(self.index)
        for i in seen:
            if (key := keys[i]) is not None:
                index.setdefault(key, len(index))
        blank = np.zeros(len(index) - len(self.index))
        count, means, variances, known = (
            np.append(part, blank) for part in (self.count, self.mean, self.var, self.known)
        )
        at = np.asarray([index[key] for i in seen if (key := keys[i]) is not None], np.int64)
        ema, decay = scheme.memory == "ema", scheme.decay
        new = 1.0 if ema else weight[seen]
        count[at] += new
        step = mean[seen] - means[at]
        moved = np.where(abs(step) <= tolerance[seen], 0.0, step)
        # Calls before anything differed count as one for the variance of an average (see above).
        still = (known[at] > 0) & (variances[at] == 0) & (var[seen] == 0) & (moved == 0)
        known[at] += np.where(still & ema, 0.0, new)
        share, var_share = (  # of this call in the moments after it
            (1 - decay) / (1 - decay**total) if ema else new / total
            for total in (count[at], known[at])
        )
        means[at] += share * step
        variances[at] = (
            (1 - var_share) * variances[at]
            + var_share * var[seen]
            + np.where(share < 1, share * (1 - share) * moved**2, 0.0)
        )
        return Moments(index, count, means, variances, known, np.zeros(len(index)))

    def rows(self, keys: Sequence[Key | None]) -> Ints:
        """Returns [n] the row of each key; -1 for a group never seen."""
        return np.asarray([-1 if k is None else self.index.get(k, -1) for k in keys], np.int64)


class Recalled(NamedTuple):
    """The statistics that a call reads from memory, by group, and the memory after it."""

    mean: Floats
    """[n] mean to use: the running one, or the call's own where the group is cold."""
    var: Floats
    """[n] variance to use: the running one, or the call's own where that is not known yet."""
    cold: int
    """Number of groups of this call that are new."""
    cold_scale: int
    """Number of groups that used this call's variance, since theirs is not known yet."""
    memory: Moments
    """The memory after this call."""


def recall(
    memory: Moments, keys: Sequence[Key | None], weight: Floats, mean: Floats, var: Floats,
    tolerance: Floats, scheme: Scheme,
) -> Recalled:  # fmt: skip
    """Returns the statistics of groups with this call's `weight`, `mean`, `var`; see `Moments`."""
    after = memory.after(keys, weight, mean, var, tolerance, scheme)
    cold = (memory.rows(keys) < 0) & (weight > 0)
    used = after if scheme.update == "before" else memory
    rows = used.rows(keys)
    known = rows >= 0
    use_mean, use_var = mean.copy(), var.copy()
    use_mean[known] = used.mean[rows[known]]
    varied = known.copy()
    varied[known] = used.var[rows[known]] > 0
    use_var[varied] = used.var[rows[varied]]
    # A group whose rewards have never differed is cold for its scale, though its mean is known.
    cold_scale = cold | (~varied & (weight > 0) & (var > 0))
    return Recalled(use_mean, use_var, int(cold.sum()), int(cold_scale.sum()), after)


class RunningState(ABC):
    """Running statistics. Pass them back into the next call of `advantages`."""

    @abstractmethod
    def to_dict(self) -> SavedState | SavedJointState:
        """Returns the state as plain values for JSON."""

    @staticmethod
    def from_dict(data: Any) -> RunningState:
        """Returns the state of plain values that `to_dict` returned.

        Raises:
            StateError: the values are not a running state, or are damaged.
        """
        try:
            kinds = {SCHEMA: SchemeState.read, JOINT_SCHEMA: JointState.read}
            if data["schema"] not in kinds:
                raise StateError(f"got running state {data['schema']!r}; wanted {SCHEMA!r}")
            return kinds[data["schema"]](data)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, StateError):
                raise
            raise StateError(f"got running state that cannot be read ({error!r})") from error


@dataclass(frozen=True)
class SchemeState(RunningState):
    """The running statistics of one `Scheme`."""

    memory: str
    center_by: tuple[str, ...]
    scale_by: tuple[str, ...]
    center: tuple[Moments, ...]
    """[K] moments by center group, one entry for each normalized reward column."""
    scale: tuple[Moments, ...]
    """[K] moments by scale group; empty ones where the scheme's scale is not a running one."""

    @classmethod
    def empty(cls, scheme: Scheme, columns: int) -> SchemeState:
        """Returns the state before the first call, for `columns` normalized reward columns."""
        nothing = (Moments.nothing(),) * columns
        return cls(scheme.memory, scheme.center_by, scheme.scale_by or (), nothing, nothing)

    def check(self, scheme: Scheme, columns: int) -> None:
        """Raises StateError unless this state belongs to `scheme` and its reward columns."""
        mine = (self.memory, self.center_by, self.scale_by, len(self.center))
        wanted = (scheme.memory, scheme.center_by, scheme.scale_by, columns)
        if mine != wanted:
            raise StateError(
                f"got running state of (memory, center_by, scale_by, columns) = {mine}; wanted "
                f"{wanted}: pass the state that this scheme returned, or None to start anew"
            )

    def advanced(self, parts: Sequence[tuple[Moments, Moments]]) -> SchemeState:
        """Returns this state with other moments (center, scale) of each reward column."""
        center, scale = zip(*parts, strict=True)
        return SchemeState(self.memory, self.center_by, self.scale_by, center, scale)

    def to_dict(self) -> SavedState:
        """Returns the state as plain values for JSON."""
        return {
            "schema": SCHEMA,
            "memory": self.memory,
            "center_by": list(self.center_by),
            "scale_by": list(self.scale_by),
            "center": [_moments_to_dict(m) for m in self.center],
            "scale": [_moments_to_dict(m) for m in self.scale],
        }

    @classmethod
    def read(cls, data: SavedState) -> SchemeState:
        """Returns the state of plain values of its schema; see `RunningState.from_dict`."""
        center = tuple(_moments_from_dict(m) for m in data["center"])
        scale = tuple(_moments_from_dict(m) for m in data["scale"])
        if len(scale) != len(center):
            raise StateError(f"got running state of {len(center)} centers, {len(scale)} scales")
        by = tuple(data["center_by"]), tuple(data["scale_by"])
        return cls(str(data["memory"]), *by, center, scale)


@dataclass(frozen=True)
class JointState(RunningState):
    """The running statistics of a `Mix` or `PerRole`: those of its parts, by place or role."""

    parts: tuple[tuple[Any, RunningState], ...] = ()
    """Pairs of place or role and state; parts without memory have none."""

    def of(self, key: Any) -> RunningState | None:
        """Returns the state of one part, or None."""
        return dict(self.parts).get(key)

    def after(self, states: Sequence[tuple[Any, RunningState | None]]) -> JointState | None:
        """Returns this state after a call; a role that did not occur in it keeps its own."""
        new = dict(self.parts) | {key: state for key, state in states if state is not None}
        return JointState(tuple(new.items())) if new else None

    def to_dict(self) -> SavedJointState:
        """Returns the state as plain values for JSON."""
        parts = [(key, part.to_dict()) for key, part in self.parts]
        return {"schema": JOINT_SCHEMA, "parts": parts}

    @classmethod
    def read(cls, data: SavedJointState) -> JointState:
        """Returns the state of plain values of its schema; see `RunningState.from_dict`."""
        return cls(tuple((key, RunningState.from_dict(part)) for key, part in data["parts"]))


def _moments_to_dict(moments: Moments) -> SavedMoments:
    """Returns moments as plain values."""
    saved: SavedMoments = {
        "keys": [list(key) for key in moments.index],
        "count": moments.count.tolist(),
        "mean": moments.mean.tolist(),
        "var": moments.var.tolist(),
        "known": moments.known.tolist(),
    }
    if moments.drift.any():
        saved["drift"] = moments.drift.tolist()
    return saved


def _moments_from_dict(data: SavedMoments) -> Moments:
    """Returns the moments of plain values, which may come from another program."""
    index = {tuple(key): row for row, key in enumerate(data["keys"])}
    columns = (data["count"], data["mean"], data["var"])
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if "known" in data:
        arrays.append(np.asarray(data["known"], dtype=np.float64))
    else:  # written before the variance had a count of its own
        arrays.append(np.where(arrays[2] > 0, arrays[0], np.minimum(arrays[0], 1.0)))
    arrays.append(np.asarray(data.get("drift", np.zeros(len(index))), dtype=np.float64))
    if any(a.shape != (len(data["keys"]),) or not np.isfinite(a).all() for a in arrays):
        raise StateError("got running state with values that are not one finite number a group")
    moments = Moments(index, *arrays)
    parts = moments.var, moments.known
    if len(index) != len(data["keys"]) or (moments.count <= 0).any() or np.less(parts, 0).any():
        raise StateError(
            "got running state with a group twice, without samples, or with a variance or a count "
            "below 0"
        )
    return moments
