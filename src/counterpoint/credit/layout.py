"""`Layout`: which groups, rollouts and keys one call of the kernel works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from counterpoint.credit.groups import Samples
from counterpoint.credit.labels import Groups, Labels
from counterpoint.credit.memory import Key
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import Array, Arrays
from counterpoint.errors import SchemeError

Level = Literal["center", "scale", "whole"]
"""The groups that share a center, those that share a scale, or the whole batch as one."""


@dataclass(frozen=True)
class Layout:
    """Who shares a statistic with whom, for one set of labels and one scheme."""

    table: Labels
    scheme: Scheme
    arrays: Arrays
    epsilon: float
    """Machine epsilon of the rewards as given."""
    given_rows: Array | None = None
    """[N] how many of the caller's rows each row stands for; None = itself."""
    _samples: dict[Level, Samples] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scheme.keeps_state and (self.arrays.traced or self.table.traced):
            raise SchemeError(
                f"got memory={self.scheme.memory!r} inside jax.jit; wanted memory='batch' there: "
                "call schemes with running statistics outside of jit"
            )
        for level in ("center", "scale"):  # a label that is missing is an error at once
            self.samples(level, None)

    @property
    def same(self) -> bool:
        """Whether center and scale share their groups."""
        return self.scheme.center_by == self.scheme.scale_by

    @property
    def by_rollout(self) -> bool:
        """Whether a rollout counts once, with the mean of its rows."""
        return self.scheme.weighting == "trajectory"

    def count_rows(self, mask: Array) -> Any:
        """How many of the caller's rows a mask [N] holds."""
        if self.given_rows is None:
            return self.arrays.count(mask)
        return int(self.given_rows[mask].sum())

    def by(self, level: Level) -> tuple[str, ...]:
        """The labels that the groups of a level share."""
        levels = {"center": self.scheme.center_by, "scale": self.scheme.scale_by, "whole": ()}
        return levels[level] or ()

    def samples(self, level: Level, ok: Array | None) -> Samples:
        """Samples of a level's groups without the rows that are not `ok` ([N], None = all)."""
        if ok is None and level in self._samples:
            return self._samples[level]
        if level == "scale" and self.same:
            return self.samples("center", ok)
        by = self.by(level)
        groups, rollouts = self.table.groups(by), self._rollouts(by, level)
        samples = Samples.of(groups, rollouts, ok, self.by_rollout, self.arrays)
        if ok is None:
            self._samples[level] = samples
        return samples

    def keys(self, level: Level) -> list[Key | None]:
        """The label values of each group of a level."""
        return self.table.keys(self.by(level))

    def needs_samples(self, level: Level) -> bool:
        """Whether the scheme reads this call's statistics at a level, where one is too few."""
        if level == "scale":
            return self.scheme.scale == "std"
        centers = self.scheme.center in ("mean", "leave_one_out") or self.scheme.transform == "rank"
        return centers or (self.same and self.scheme.scale == "std")

    def are_singletons(self, s: Samples, level: Level) -> Array:
        """[n] groups with a single sample, where the scheme needs more than one there."""
        if not self.needs_samples(level):
            return s.total < 0
        by_rollout = level == "center" and self.scheme.center == "leave_one_out"
        return (s.rollout_count(self.arrays) if by_rollout else s.total) < 1.5

    def _rollouts(self, by: tuple[str, ...], level: Level) -> Groups | None:
        scheme = self.scheme
        guards = (scheme.shrink or scheme.min_count) and (level == "scale" or self.same)
        others = scheme.center == "leave_one_out" and level == "center"
        if not (self.by_rollout or guards or others):
            return None
        return self.table.groups((*(name for name in by if name != "prompt"), "prompt", "rollout"))
