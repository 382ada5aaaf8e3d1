"""What a claim is, and how measurements become its verdict. Start at `settled`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.results.claims import (
    Boundary,
    ClaimResult,
    ClaimVerdict,
    Detection,
    Measure,
    Outcome,
)
from counterpoint.settings import LAST_SEED, MOST_SEEDS, require
from counterpoint.stats import bootstrap_interval, interquartile_mean, interquartile_means

Progress = Callable[[float], None]
"""Called with the share of a claim that is done."""
SEEDS, MORE = 10, 30
"""Number of seeds, and that of a large plan."""
RESAMPLES = 2000
SEED = 20260
"""Of the generator of every bootstrap here: the same seeds give the same intervals."""


@dataclass(frozen=True)
class ClaimPlan:
    """How much is measured.

    Raises:
        SettingError: fewer than 5 seeds or more than `MOST_SEEDS`, or a first one below 0.
    """

    count: int = SEEDS
    """Number of seeds."""
    first: int = 0
    """The first seed; the others follow it."""
    large: bool = False
    """Whether what takes minutes is measured, too: language models, where a claim has them, with
    `SEEDS` seeds."""

    def __post_init__(self) -> None:
        require("seeds", self.count, 5, MOST_SEEDS)
        require("first", self.first, 0, LAST_SEED)

    @classmethod
    def of(cls, seeds: int | None, first: int, large: bool) -> ClaimPlan:
        """Returns a plan; without a number of seeds there are `SEEDS`, or `MORE` if it is large."""
        return cls(_default(large) if seeds is None else seeds, first, large)

    @property
    def options(self) -> str:
        """Returns the options of the command that makes this plan, each behind a space."""
        parts = (
            " --large" if self.large else "",
            f" --seeds {self.count}" if self.count != _default(self.large) else "",
            f" --first {self.first}" if self.first else "",
        )
        return "".join(parts)

    @property
    def seeds(self) -> range:
        """Returns the seeds."""
        return range(self.first, self.first + self.count)


def _default(large: bool) -> int:
    return MORE if large else SEEDS


@dataclass(frozen=True)
class Evidence:
    """What was measured for a claim."""

    effect: Measure
    control: Measure
    remedy: Measure
    remedy_is: str
    price: Measure
    boundary: Boundary
    holds_when: str
    fails_when: str
    detection: Detection | None = None
    outcome_is: str = ""
    outcomes: tuple[Outcome, ...] = ()
    beside_is: str = ""
    beside: tuple[Outcome, ...] = ()
    least: float = 0.0
    """The smallest effect that counts; that of the control must be below it."""


@dataclass(frozen=True)
class Claim:
    """A claim about teams, and the function that measures it."""

    name: str
    claim: str
    source: str
    against: str
    story: str
    measure: Callable[[ClaimPlan, Progress], Evidence] = field(repr=False)


def settled(claim: Claim, plan: ClaimPlan, progress: Progress) -> ClaimResult:
    """Returns what was measured for a claim, and its verdict."""
    started = time.process_time()
    e = claim.measure(plan, progress)
    verdict, why = verdict_of(e)
    return ClaimResult(
        version=__version__,
        name=claim.name,
        claim=claim.claim,
        source=claim.source,
        against=claim.against,
        story=claim.story,
        effect=e.effect,
        control=e.control,
        remedy=e.remedy,
        remedy_is=e.remedy_is,
        price=e.price,
        boundary=e.boundary,
        least=e.least,
        detection=e.detection,
        outcome_is=e.outcome_is,
        outcomes=list(e.outcomes),
        beside_is=e.beside_is,
        beside=list(e.beside),
        holds_when=e.holds_when,
        fails_when=e.fails_when,
        verdict=verdict,
        why=why,
        command=f"counterpoint claims {claim.name}{plan.options}",
        seeds=list(plan.seeds),
        seconds=time.process_time() - started,
    )


def verdict_of(e: Evidence) -> tuple[ClaimVerdict, str]:
    """Returns the verdict, and the sentence that it follows from.

    A claim is reproduced if its effect is there, the control shows none, and it holds at all
    settings that were tried; conditional if it turns false at some setting.
    """
    shown, border = f"{e.effect.what} is {stated(e.effect)}", e.boundary
    if e.control.low > e.least:
        return "cannot tell", f"the control shows an effect too: {stated(e.control)}."
    if e.effect.low <= e.least:
        if e.effect.high < e.least or e.effect.high <= 0:
            return "not reproduced", f"{shown}: the claim says that it is above {e.least:g}."
        return "cannot tell", f"{shown}: it may be {e.least:g} or less."
    if border.holds == "everywhere":
        return (
            "reproduced",
            f"{shown}, with {border.setting} from {border.least:g} to {border.most:g}.",
        )
    if border.value is None:
        return "cannot tell", f"{shown}, but not with {border.setting} as it was varied."
    return (
        "conditional",
        f"{shown}; it needs {border.setting} {border.holds} {border.value:.3g} "
        f"[{border.low:.3g}, {border.high:.3g}].",
    )


def stated(one: Measure) -> str:
    """Returns `0.25 [0.20, 0.31]`."""
    return f"{one.value:.3g} [{one.low:.3g}, {one.high:.3g}]".replace("-", "−")


def measured(what: str, values: Floats) -> Measure:
    """Returns the interquartile mean over seeds with its bootstrap interval.

    Args:
        what: the number in words.
        values: [S] one of each seed.
    """
    values = np.asarray(values, dtype=np.float64)
    one = bootstrap_interval(values, rng=np.random.default_rng(SEED))
    return Measure(what=what, value=one.value, low=one.low, high=one.high, n=len(values))


def outcome(way: str, values: Floats) -> Outcome:
    """Returns the interquartile mean of one way of learning, over seeds [S]."""
    one = measured("", values)
    return Outcome(way=way, value=one.value, low=one.low, high=one.high, n=one.n)


def bisected(
    setting: str, effect: Callable[[float], Floats], least: float, most: float, *,
    border: float = 0.0, steps: int = 5, logarithmic: bool = False,
) -> Boundary:  # fmt: skip
    """Returns where an effect crosses a border between two settings.

    Both ends are measured, then the middle of the part in which the interquartile mean crosses.
    The interval is a bootstrap over seeds, of the crossing of straight lines between the settings
    that were measured; draws that cross nowhere count at the end that they do not reach. It holds
    both settings between which the interquartile mean crosses, however alike the seeds are.

    Args:
        setting: what is varied, in words.
        effect: setting to the effect [S] of each seed; the same seeds each time.
        least, most: the ends.
        border: the effect below which the claim is false.
        steps: settings that are measured beside the ends.
        logarithmic: whether middles are taken of logarithms.
    """
    to, back = (np.log, np.exp) if logarithmic else (np.asarray, np.asarray)
    found = {float(x): np.asarray(effect(x)) for x in (least, most)}
    above = {x: interquartile_mean(values) > border for x, values in found.items()}
    if above[least] == above[most]:
        return Boundary(setting=setting, value=None, low=None, high=None, n=len(found[least]),
                        least=least, most=most,
                        holds="everywhere" if above[least] else "nowhere")  # fmt: skip
    low, high = least, most
    for _ in range(steps):
        middle = float(back((to(low) + to(high)) / 2))
        found[middle] = np.asarray(effect(middle))
        if (interquartile_mean(found[middle]) > border) == above[least]:
            low = middle
        else:
            high = middle
    points = to(np.array(sorted(found)))
    values = np.stack([found[x] for x in sorted(found)]) - border  # [points, S]
    rng = np.random.default_rng(SEED)
    draws = rng.integers(values.shape[1], size=(RESAMPLES, values.shape[1]))
    curves = interquartile_means(values[:, draws].transpose(1, 0, 2))  # [draws, points]
    whole = crossing(points, interquartile_means(values), above[least])
    ends = np.quantile([crossing(points, one, above[least]) for one in curves], (0.025, 0.975))
    return Boundary(
        setting=setting, value=float(back(whole)), low=min(float(back(min(ends[0], whole))), low),
        high=max(float(back(max(ends[1], whole))), high), n=values.shape[1], least=least, most=most,
        holds="below" if above[least] else "above",
    )  # fmt: skip


def crossing(x: Floats, y: Floats, falls: bool) -> float:
    """Returns where the line through points crosses 0, or the end where it would.

    Args:
        x: [n] increasing.
        y: [n].
        falls: whether it is expected to fall through 0, and to rise otherwise.
    """
    sign = 1.0 if falls else -1.0
    down = np.flatnonzero((sign * y[:-1] > 0) & (sign * y[1:] <= 0))
    if not len(down):
        return float(x[-1] if sign * y[0] > 0 else x[0])
    i = int(down[0])
    return float(x[i] + (x[i + 1] - x[i]) * y[i] / (y[i] - y[i + 1]))
