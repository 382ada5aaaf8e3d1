"""The rule behind every verdict: it chooses one of several arms from paired runs.

Start with `decide`. Its rule can be followed by hand from numbers that stand beside a verdict: an
arm is better or worse than the reference only with at least `ENOUGH` seeds, a 95% interval of the
paired difference that excludes 0, and a paired t-test with p below `LEVEL` divided by the number
of arms that were compared with the reference (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

ENOUGH = 5
"""With fewer seeds nothing is concluded: a bootstrap interval of 2 seeds leaves out 0 in half of
the comparisons without any effect, one of 3 in 22% (see `stats.significance`)."""
LEVEL = 0.05
"""The chance, over all arms together, of a verdict where there is no effect."""
POWER = 0.8
"""The chance with which `seeds_needed` shall find the difference that was seen."""
ROUNDING = 1e-9
"""Differences up to here are rounding."""

Standing = Literal["better", "worse", "unclear", "same"]
"""The standing of an arm against the reference: `same` means equal on every seed, up to
rounding."""


@dataclass(frozen=True)
class Contrast:
    """An arm minus the reference over paired seeds; None is not known."""

    value: float | None = None
    """Difference of the two interquartile means."""
    low: float | None = None
    """Lower end of its 95% interval."""
    high: float | None = None
    """Upper end of its 95% interval."""
    p: float | None = None
    """Two-sided p of the paired t-test."""
    mean: float | None = None
    """Mean of the paired differences: with `deviation` it gives t, and so p."""
    deviation: float | None = None
    """Sample standard deviation of the paired differences (ddof 1)."""

    @property
    def reversed(self) -> Contrast:
        """Returns the reference minus the arm."""
        value, low, high, mean = (
            None if v is None else -v for v in (self.value, self.high, self.low, self.mean)
        )
        return Contrast(value, low, high, self.p, mean, self.deviation)


@dataclass(frozen=True)
class Decision:
    """The verdict of a comparison, with the numbers behind it."""

    verdict: Literal["use", "keep", "same", "cannot tell"]
    """`use` an arm that is better than the reference; `keep` the reference, since an arm is worse
    and none is better; `same` if all arms are equal; or `cannot tell`."""
    recommended: str | None
    """The arm to use; None if the data decide nothing."""
    reference: str
    """The arm with which all others are compared."""
    arm: str | None
    """The other arm of the verdict; None if none was compared."""
    contrast: Contrast
    """`arm` minus `reference`."""
    compared: int
    """Number of arms that were compared with the reference."""
    level: float
    """`LEVEL` divided by `compared`: the level of each p-value."""
    seeds: int
    """Number of seeds of every arm."""
    seeds_needed: int | None
    """About how many seeds would tell `arm` from `reference`; an estimate from the spread of the
    paired differences. None where the verdict is not `cannot tell` or nothing can be estimated."""
    standings: Mapping[str, Standing]
    """Arm to what is known of it, for every arm that was compared."""
    largest: str | None
    """The arm with the largest significant difference from the reference, candidate or not."""


def decide(
    levels: Mapping[str, float],
    contrasts: Mapping[str, Contrast],
    reference: str,
    seeds: int,
    candidates: Sequence[str] = (),
) -> Decision:
    """Returns the decision by the rule of this module.

    The best of the candidates that are better than the reference is recommended. Where none is
    better, the reference is kept if a candidate is worse, and no candidate has an interval above
    0; otherwise the verdict is `cannot tell`.

    Args:
        levels: arm to its return, for arms that have one.
        contrasts: arm to its paired difference from the reference.
        reference: what all arms are compared with.
        seeds: how many seeds every arm has.
        candidates: arms that may be recommended. Where none of them was compared, all arms are.
    """
    compared = len(contrasts)
    level = LEVEL / max(compared, 1)
    standings = {name: standing(c, level, seeds) for name, c in contrasts.items()}
    open_to = {n: s for n, s in standings.items() if n in candidates} or standings
    better, worse, unclear = (
        [name for name, s in open_to.items() if s == kind]
        for kind in ("better", "worse", "unclear")
    )
    size = {name: abs(c.value or 0.0) for name, c in contrasts.items()}
    verdict: Literal["use", "keep", "same", "cannot tell"] = "cannot tell"
    arm = max(unclear, key=size.__getitem__, default=None)
    recommended: str | None = None
    if better:
        recommended = max(better, key=lambda name: levels.get(name, -math.inf))
        verdict, arm = "use", recommended
    elif worse and not any((contrasts[name].low or 0.0) > ROUNDING for name in unclear):
        verdict, recommended, arm = "keep", reference, max(worse, key=size.__getitem__)
    elif open_to and not unclear and not worse:
        verdict, recommended, arm = "same", reference, next(iter(open_to))
    contrast = contrasts[arm] if arm else Contrast()
    needed = seeds_needed(contrast, level, seeds) if verdict == "cannot tell" else None
    real = [name for name, s in standings.items() if s in ("better", "worse")]
    largest = max(real, key=size.__getitem__, default=None)
    return Decision(
        verdict, recommended, reference, arm, contrast, compared, level, seeds, needed,
        standings, largest,
    )  # fmt: skip


def standing(contrast: Contrast, level: float, seeds: int) -> Standing:
    """Returns the standing of an arm against the reference: see the rule of this module."""
    numbers = (contrast.value, contrast.low, contrast.high, contrast.mean, contrast.deviation)
    known = [abs(v) for v in numbers if v is not None]
    if contrast.value is not None and max(known) <= ROUNDING:
        return "same"
    if seeds < ENOUGH or contrast.low is None or contrast.high is None:
        return "unclear"
    if contrast.p is None or contrast.p >= level:
        return "unclear"
    if contrast.low > ROUNDING:
        return "better"
    return "worse" if contrast.high < -ROUNDING else "unclear"


def seeds_needed(contrast: Contrast, level: float, seeds: int) -> int | None:
    """Returns about how many seeds would satisfy both parts of the rule.

    For the t-test, ((z_{1 - level / 2} + z_power) deviation / mean)^2 + z_{1 - level / 2}^2 / 2;
    for the interval, the number at which its half width, which shrinks with the root of the number
    of seeds, is the difference. The spread of few seeds is itself uncertain, so this is a guide.

    Returns:
        At least `ENOUGH`, and more than `seeds` if those were enough; None where the spread is not
        known (one seed) or no difference was seen.

    Source: Guenther 1981, the normal approximation to the power of the t-test; the part of the
    interval is ours.
    """
    mean, deviation, value = contrast.mean, contrast.deviation, contrast.value
    if not mean or not value or deviation is None or contrast.low is None or contrast.high is None:
        return None
    tail = NormalDist().inv_cdf(1 - level / 2)
    noise = (tail + NormalDist().inv_cdf(POWER)) * deviation / mean
    width = (contrast.high - contrast.low) / 2 / value
    wanted = max(noise * noise + tail * tail / 2, seeds * width * width)
    if not math.isfinite(wanted):
        return None
    return max(math.ceil(wanted), ENOUGH, seeds + 1)
