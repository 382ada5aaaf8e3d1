"""From trainings to the numbers of a comparison: interquartile means over seeds.

Every number of a scheme is an interquartile mean over its seeds with a bootstrap interval; with one
seed the interval is None. Every resampling starts from the same fixed seed, so that the same
training gives the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.comparison.decoupling import Pair
from counterpoint.comparison.outcome import SchemeOutcome
from counterpoint.credit import baselines, entries
from counterpoint.credit.catalogue import ALIASES
from counterpoint.diagnose import CAUSES, REMEDIES
from counterpoint.diagnose.causes import EXPLAINS
from counterpoint.diagnose.kept import LOW, ShareInterval
from counterpoint.results.comparison import (
    UNKNOWN,
    AgentCurves,
    AgentResult,
    Band,
    Curves,
    Difference,
    PairedDifference,
    SchemeResult,
    TeamMessages,
)
from counterpoint.results.parts import SeedMean
from counterpoint.results.training import Messages
from counterpoint.stats import (
    bootstrap_band,
    bootstrap_interval,
    interquartile_mean,
    interquartile_means,
    paired_difference,
    paired_t_test,
    probability_of_improvement,
)
from counterpoint.stats.decision import ROUNDING
from counterpoint.train.algorithms import algorithms
from counterpoint.train.series import finite_or_none

POINTS = 101
"""Maximum number of points that a curve keeps."""
FINISHED = 0.95
"""An agent that ends at this accuracy has learned: it needs no remedy, even if it was collapsed for
a time. If there is no accuracy, this is the normalized return of its team."""

NO_REFERENCE = (
    "the returns of a random and of a good team are not known in this world with these settings"
)
"""Why a return is not normalized."""


def scheme_result(name: str, out: SchemeOutcome) -> SchemeResult:
    """Returns the results of one scheme or baseline.

    A number that a kind of world does not have is None: `weighted_return` if it equals the return,
    `accuracy` if the right action is not known.
    """
    baseline, algorithm = baselines().get(name), algorithms().get(name)
    about = entries().get(ALIASES.get(name, name)) or baseline or algorithm
    last = len(out.at) - 1
    at = np.unique(np.linspace(0, last, POINTS).astype(int)) if last >= 0 else np.zeros(0, int)
    normalized = None if out.normalized is None else seed_mean(out.normalized)
    points: list[int] = out.at[at].tolist()
    correlation = out.measures.get("credit_correlation")
    if correlation is not None and not np.isfinite(correlation).any(axis=(1, 2)).all():
        correlation = None  # a seed has no value
    return SchemeResult(
        title=about.title if about else "",
        citation=about.citation if about else "",
        kind="baseline" if baseline else "algorithm" if algorithm else "scheme",
        returns=seed_mean(out.final),
        normalized=normalized,
        normalized_reason=None if normalized else NO_REFERENCE,
        weighted_return=None if out.weighted_returns is None else seed_mean(out.weighted_returns),
        credit_correlation=None
        if correlation is None
        else seed_mean(np.nanmean(correlation, axis=(1, 2))),
        gained=None if out.gained is None else seed_mean(out.gained),
        doubts=list(out.doubts),
        messages=team_messages(out.messages),
        agents={agent: _agent(out, k, normalized) for k, agent in enumerate(out.agents)},
        curves=Curves(
            update=points if out.axis == "update" else None,
            step=points if out.axis == "step" else None,
            returns=band(out.curve[:, at]),
            agents={agent: _agent_curves(out, k, at) for k, agent in enumerate(out.agents)},
        ),
        tally=dict(out.tally),
    )


def team_messages(carried: Sequence[Messages]) -> TeamMessages | None:
    """Returns what messages carry under one scheme; None if a seed has no worth."""
    worth = [one.worth for one in carried if one.worth is not None]
    if not worth or len(worth) < len(carried) or not all(one.said for one in carried):
        return None
    bits = [[pair.bits for pair in one.heard] for one in carried]
    spoken = [np.mean([speaker.bits for speaker in one.said]) for one in carried]
    known = all(row and None not in row for row in bits)
    return TeamMessages(
        said_bits=seed_mean(np.array(spoken)),
        heard_bits=seed_mean(np.array(bits, dtype=np.float64).mean(axis=1)) if known else None,
        worth=seed_mean(np.array(worth)),
        scale=carried[0].scale,
    )


def differences(outcomes: Mapping[str, SchemeOutcome], pair: Pair) -> dict[str, Difference]:
    """Returns each scheme's final returns, plain and reward-weighted, minus the reference's.

    The reference is that of the pair if it takes part, otherwise the first scheme.
    """
    versus = pair.name if pair.name in outcomes else next(iter(outcomes))
    reference = outcomes[versus]
    return {
        name: Difference(
            versus=versus,
            **asdict(paired(out.final, reference.final)),
            weighted_return=None
            if out.weighted_returns is None or reference.weighted_returns is None
            else paired(out.weighted_returns, reference.weighted_returns),
        )
        for name, out in outcomes.items()
        if name != versus
    }


def seed_mean(samples: Floats) -> SeedMean:
    """Returns the IQM of one number a seed; with one seed it has no interval."""
    n = len(samples)
    if n < 2:
        return SeedMean(iqm=interquartile_mean(samples), low=None, high=None, n=n)
    mean = bootstrap_interval(samples, rng=np.random.default_rng(0))
    return SeedMean(iqm=mean.value, low=mean.low, high=mean.high, n=mean.n)


def band(curves: Floats) -> Band:
    """Returns the IQM of curves [S, T] at each point, with pointwise intervals.

    A point at which a seed has no value is None.
    """
    known: NDArray[np.bool_] = np.asarray(np.isfinite(curves).all(axis=0))

    def filled(values: Floats) -> list[float | None]:
        there = iter(values.tolist())
        return [next(there) if place else None for place in known.tolist()]

    if len(curves) < 2 or not known.any():
        return Band(iqm=filled(curves[0, known]), low=None, high=None)
    means = bootstrap_band(curves[:, known], rng=np.random.default_rng(0), resamples=500)
    return Band(iqm=filled(means.value), low=filled(means.low), high=filled(means.high))


def paired(x: Floats, y: Floats) -> PairedDifference:
    """Returns x minus y [S]; what rounding alone makes of equal numbers is 0."""
    y = np.where(abs(x - y) <= ROUNDING, x, y)
    if len(x) < 2:
        return PairedDifference(iqm=float(x[0] - y[0]), low=None, high=None)
    change = paired_difference(x, y, rng=np.random.default_rng(0))
    return PairedDifference(
        iqm=change.value,
        low=change.low,
        high=change.high,
        p=paired_t_test(x - y),
        mean=float((x - y).mean()),
        deviation=float((x - y).std(ddof=1)),
        p_improvement=probability_of_improvement(x, y, paired=True).value,
    )


def _agent(out: SchemeOutcome, k: int, normalized: SeedMean | None) -> AgentResult:
    accuracy = UNKNOWN if out.accuracy is None else seed_mean(out.accuracy[:, -1, k])
    level = accuracy if out.accuracy is not None else normalized or UNKNOWN
    finished = level.iqm is not None and level.iqm >= FINISHED
    high = out.kept.high[k]
    collapsed = None if not np.isfinite(high) else bool(high < LOW) and not finished
    cause = _commonest(out.causes[:, :, k].ravel()) if collapsed else None
    influence = (
        _known(out.measures["influence"][:, :, k], np.mean) if "influence" in out.measures else None
    )
    # an agent whose choices explain little of its reward is hard for every scheme
    diluted = influence is not None and influence < EXPLAINS.influence and not finished
    expected = None
    if out.expected is not None:  # the cause of most seeds, which may be none
        expected = CAUSES[int(np.bincount(out.expected[:, k]).argmax())] or None
    return AgentResult(
        accuracy=accuracy.iqm,
        accuracy_low=accuracy.low,
        accuracy_high=accuracy.high,
        signal_kept=_part(out.kept, k),
        task_noise=_part(out.noise, k),
        collapsed=collapsed,
        cause=cause,
        remedy=REMEDIES[cause] if cause else None,
        difficulty="DILUTED" if diluted else None,
        expected=expected,
        returns=None if out.by_agent is None else seed_mean(out.by_agent[:, k]),
        **{
            # exact counterfactuals leave almost no noise: an SNR has no useful mean
            name: _known(values[:, :, k], np.median if name == "snr" else np.mean)
            for name, values in out.measures.items()
        },
    )


def _agent_curves(out: SchemeOutcome, k: int, at: NDArray[np.int64]) -> AgentCurves:
    latest = out.measured[at]
    known = [i if i >= 0 and out.collapsed.size else None for i in latest.tolist()]
    right = out.accuracy
    return AgentCurves(
        accuracy=None if right is None else interquartile_means(right[:, at, k].T).tolist(),
        signal_kept=[None if i is None else finite_or_none(out.kept_lately[i, k]) for i in known],
        collapsed=[None if i is None else float(out.collapsed[:, i, k].mean()) for i in known],
        cause=[None if i is None else _commonest(out.causes[:, i, k]) for i in known],
    )


def _part(part: ShareInterval, k: int) -> SeedMean:
    iqm, low, high = (finite_or_none(values[k]) for values in (part.value, part.low, part.high))
    return SeedMean(iqm=iqm, low=low, high=high)


def _commonest(causes: NDArray[np.int8]) -> str | None:
    """Returns the cause named most often, or None if none is."""
    named = np.bincount(causes[causes > 0], minlength=len(CAUSES))
    return CAUSES[int(named.argmax())] if named.any() else None


def _known(values: Floats, statistic: Callable[[Floats], Any]) -> float | None:
    """Returns a statistic of the finite values; None if there is none."""
    known = values[np.isfinite(values)]
    return float(statistic(known)) if known.size else None
