"""`SweepResult`: a search over settings of a training, and its best settings on fresh seeds."""

from __future__ import annotations

from msgspec import field

from counterpoint.results.comparison import PairedDifference
from counterpoint.results.parts import Part, Result, SeedMean, Settings, expect
from counterpoint.stats.decision import LEVEL, Contrast, Standing, standing

Value = str | int | float
"""A value of a setting: text where it is one of a list."""


class Dimension(Part, frozen=True, kw_only=True):
    """One setting that is searched: a list of values, or a range of numbers."""

    name: str
    values: list[str] = field(default_factory=list)
    """The values to choose from; empty for a range."""
    low: float | None = None
    high: float | None = None
    log: bool = False
    """Whether the range is searched on a logarithmic scale."""
    whole: bool = False
    """Whether the range has whole numbers alone."""

    def __post_init__(self) -> None:
        known = self.low is not None and self.high is not None
        expect(bool(self.values) or known, "over.low", "a list of values, or both ends of a range")


class Trial(Part, frozen=True, kw_only=True):
    """One choice of settings, trained with every seed of the search."""

    number: int
    settings: dict[str, Value]
    score: float | None
    """Mean return over the seeds; None if a training failed."""
    scores: list[float | None] = field(default_factory=list)
    """Return of each seed."""
    reason: str = ""
    """Why there is no score."""


class SweepArm(Part, frozen=True, kw_only=True):
    """One scheme or algorithm: its trials, and its best settings beside its default settings."""

    trials: list[Trial]
    winner: int | None
    """Number of the trial with the best score; None if no trial has one."""
    best: list[float] = field(default_factory=list)
    """Return of the best settings with each fresh seed."""
    default: list[float] = field(default_factory=list)
    """Return of the default settings with the same seeds."""
    best_return: SeedMean | None = None
    default_return: SeedMean | None = None
    gain: PairedDifference | None = None
    """Best less default settings on the fresh seeds; None if a training failed."""
    ahead: PairedDifference | None = None
    """The arm less the first arm, both with their best settings; None for the first arm."""
    reason: str = ""
    """Why there is no comparison on fresh seeds."""

    @property
    def won(self) -> Trial | None:
        """The trial with the best score."""
        return next((t for t in self.trials if t.number == self.winner), None)


class SweepResult(Result, frozen=True, kw_only=True, tag="counterpoint.sweep/1"):
    """Arms with equally many trials of the same budget, and what their best settings are worth."""

    world: str
    axis: str
    """What the budget counts: `step` or `update`."""
    budget: int
    """Budget of each training."""
    trials: int
    """Trials of each arm."""
    seeds: int
    """Seeds of each trial: 0, 1, ..."""
    fresh: int
    """The seeds after these, with which the best settings are trained again."""
    sampler: str
    over: list[Dimension]
    arms: dict[str, SweepArm]
    config: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        expect(bool(self.arms), "arms", "at least one arm")
        expect(bool(self.over), "over", "at least one setting")
        for name, arm in self.arms.items():
            known = arm.winner is None or arm.won is not None
            expect(known, f"arms.{name}.winner", "the number of a trial")
            same = len(arm.best) == len(arm.default)
            expect(same, f"arms.{name}.best", "as many numbers as `default` has")

    @property
    def level(self) -> float:
        """The level of each p-value: `LEVEL` over the number of differences that are judged."""
        known = [d for arm in self.arms.values() for d in (arm.gain, arm.ahead) if d is not None]
        return LEVEL / max(len(known), 1)

    def standing(self, difference: PairedDifference | None, seeds: int) -> Standing:
        """Returns what a difference over so many seeds shows, by the rule of every verdict."""
        return standing(difference.contrast if difference else Contrast(), self.level, seeds)

    def gained(self, name: str) -> Standing:
        """Returns how the best settings of an arm stand against its default settings."""
        return self.standing(self.arms[name].gain, len(self.arms[name].best))

    @property
    def chosen(self) -> str | None:
        """The arm to use with its best settings; None if the data decide nothing.

        It is significantly better than the first arm, or, if there is one arm alone, than its
        default settings.
        """
        first, *others = self.arms
        if not others:
            return first if self.gained(first) == "better" else None
        better = {
            name: mean.iqm
            for name in others
            if self.standing(self.arms[name].ahead, len(self.arms[name].best)) == "better"
            and (mean := self.arms[name].best_return) is not None
            and mean.iqm is not None
        }
        return max(better, key=lambda name: better[name]) if better else None
