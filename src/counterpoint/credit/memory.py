"""Running statistics as explicit state: merged, serialized and restored without loss.

One merge serves both memories. Blending a group's moments (mean, variance) with those of a new
call by a share `a` gives the moments of the mixture,

    mean' = mean + a (m - mean),     var' = (1 - a) (var + a (m - mean)^2) + a v,

and the memory only decides `a`: with W samples seen and w new ones, Welford's is w / (W + w);
after t calls the debiased exponential average's is (1 - d) / (1 - d^t). The second equals the
debiased averages of x and x^2 in exact arithmetic, without their cancellation.

Source: Chan, Golub & LeVeque 1983 (merging moments); Kingma & Ba 2015, section 3 (debiasing).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit.scheme import Scheme
from counterpoint.errors import StateError

Key = tuple[Any, ...]
Floats = NDArray[np.float64]

SCHEMA = "counterpoint.running_state/1"


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each group, M of them, in one reward column."""

    index: Mapping[Key, int]
    """Label values of a group to its row below."""
    count: Floats
    """[M] calls seen (memory `ema`) or samples seen (`welford`)."""
    mean: Floats
    """[M] running mean."""
    var: Floats
    """[M] running population variance."""

    def after(
        self, keys: Sequence[Key | None], weight: Floats, mean: Floats, var: Floats, scheme: Scheme
    ) -> Moments:
        """These moments after a call in which group `keys[i]` had `mean[i]` and `var[i]`.

        Groups of weight 0 (no sample in this call) stay as they are.
        """
        seen = [i for i, key in enumerate(keys) if key is not None and weight[i] > 0]
        grown = self._with([k for i in seen if (k := keys[i]) is not None and k not in self.index])
        at = grown.rows([keys[i] for i in seen])
        count, means, variances = grown.count.copy(), grown.mean.copy(), grown.var.copy()
        if scheme.memory == "ema":
            count[at] += 1
            share = (1 - scheme.decay) / (1 - scheme.decay ** count[at])
        else:
            count[at] += weight[seen]
            share = weight[seen] / count[at]
        step = mean[seen] - means[at]
        means[at] += share * step
        variances[at] = (1 - share) * (variances[at] + share * step**2) + share * var[seen]
        return Moments(grown.index, count, means, variances)

    def rows(self, keys: Sequence[Key | None]) -> NDArray[np.int64]:
        """[n] the row of each key; -1 for a group never seen."""
        return np.asarray([-1 if k is None else self.index.get(k, -1) for k in keys], np.int64)

    def _with(self, new: Sequence[Key]) -> Moments:
        if not new:
            return self
        index = {**self.index, **{key: len(self.index) + i for i, key in enumerate(new)}}
        blank = np.zeros(len(new))
        return Moments(index, *(np.append(a, blank) for a in (self.count, self.mean, self.var)))


class Recalled(NamedTuple):
    """What a call reads from memory, by group, and the memory after it."""

    mean: Floats
    """[n] mean to use: the running one, or the call's own where the group is cold."""
    var: Floats
    """[n] variance to use, likewise."""
    cold: int
    """How many groups of this call were never seen before."""
    memory: Moments
    """The memory after this call."""


def recall(
    memory: Moments,
    keys: Sequence[Key | None],
    weight: Floats,
    mean: Floats,
    var: Floats,
    scheme: Scheme,
) -> Recalled:
    """Read and advance running statistics for groups with this call's `weight`, `mean`, `var`."""
    after = memory.after(keys, weight, mean, var, scheme)
    cold = (memory.rows(keys) < 0) & (weight > 0)
    used = after if scheme.update == "before" else memory
    rows = used.rows(keys)
    known = rows >= 0
    use_mean, use_var = mean.copy(), var.copy()
    use_mean[known], use_var[known] = used.mean[rows[known]], used.var[rows[known]]
    return Recalled(use_mean, use_var, int(cold.sum()), after)


@dataclass(frozen=True)
class RunningState:
    """The running statistics of one scheme. Pass it back into the next call of `advantages`."""

    memory: str
    center_by: tuple[str, ...]
    scale_by: tuple[str, ...]
    center: tuple[Moments, ...]
    """[K] moments by center group, one entry for each normalized reward column."""
    scale: tuple[Moments, ...]
    """[K] moments by scale group; empty ones where the scheme's scale is not a running one."""

    @classmethod
    def empty(cls, scheme: Scheme, columns: int) -> RunningState:
        """The state before the first call, for `columns` normalized reward columns."""
        nothing = tuple(Moments({}, *(np.zeros(0) for _ in range(3))) for _ in range(columns))
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

    def advanced(self, parts: Sequence[tuple[Moments, Moments]]) -> RunningState:
        """This state with the moments (center, scale) of each reward column replaced."""
        center, scale = zip(*parts, strict=True)
        return RunningState(self.memory, self.center_by, self.scale_by, center, scale)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; floats survive JSON bit for bit (Python prints them exactly)."""
        return {
            "schema": SCHEMA,
            "memory": self.memory,
            "center_by": list(self.center_by),
            "scale_by": list(self.scale_by),
            "center": [_moments_to_dict(m) for m in self.center],
            "scale": [_moments_to_dict(m) for m in self.scale],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunningState:
        """The state that `to_dict` described.

        Raises:
            StateError: the dict is not one of ours, or is damaged.
        """
        try:
            if data["schema"] != SCHEMA:
                raise StateError(f"got running state {data['schema']!r}; wanted {SCHEMA!r}")
            center = tuple(_moments_from_dict(m) for m in data["center"])
            scale = tuple(_moments_from_dict(m) for m in data["scale"])
            if len(scale) != len(center):
                raise StateError(f"got running state of {len(center)} centers, {len(scale)} scales")
            by = tuple(data["center_by"]), tuple(data["scale_by"])
            return cls(str(data["memory"]), *by, center, scale)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, StateError):
                raise
            raise StateError(f"got running state that cannot be read ({error!r})") from error


def _moments_to_dict(moments: Moments) -> dict[str, Any]:
    arrays = {name: getattr(moments, name).tolist() for name in ("count", "mean", "var")}
    return {"keys": [list(key) for key in moments.index], **arrays}


def _moments_from_dict(data: Mapping[str, Any]) -> Moments:
    index = {tuple(key): row for row, key in enumerate(data["keys"])}
    arrays = [np.asarray(data[name], dtype=np.float64) for name in ("count", "mean", "var")]
    if any(a.shape != (len(data["keys"]),) or not np.isfinite(a).all() for a in arrays):
        raise StateError("got running state with values that are not one finite number a group")
    moments = Moments(index, *arrays)
    if len(index) != len(data["keys"]) or (moments.count <= 0).any() or (moments.var < 0).any():
        raise StateError("got running state with a group twice, without samples or of variance < 0")
    return moments
