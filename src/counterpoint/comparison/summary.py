"""From trainings to the numbers of a comparison document: medians of nothing, IQMs of seeds.

Every number of a scheme is an interquartile mean over its seeds with a bootstrap interval; of one
seed there is no interval (null). Every resampling starts from the same fixed seed, so that the
same training gives the same interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.comparison.outcome import Outcome
from counterpoint.comparison.pairs import Pair
from counterpoint.credit import baselines, entries
from counterpoint.diagnose import CAUSES, REMEDIES
from counterpoint.diagnose.causes import EXPLAINS
from counterpoint.diagnose.kept import LOW, Part
from counterpoint.stats import (
    bootstrap_band,
    bootstrap_interval,
    interquartile_mean,
    interquartile_means,
    paired_difference,
    paired_t_test,
    probability_of_improvement,
)

POINTS = 101
"""Most points that a curve keeps."""
FINISHED = 0.95
"""An agent that ends at this accuracy has learned: it needs no remedy, whatever it went through.
Where there is no accuracy, a team that ends at this normalized return."""

UNKNOWN = "nobody has measured what a random and a good team get in this world with these settings"
"""Why a return is not normalized."""


def scheme_document(name: str, out: Outcome) -> dict[str, Any]:
    """What a comparison document says of one scheme or baseline.

    What a kind of world does not have is null: `weighted_return` where the return is the reward
    that is paid, `accuracy` where nobody knows the right action.
    """
    entry, baseline = entries().get(name), baselines().get(name)
    about = entry or baseline
    last = len(out.at) - 1
    at = np.unique(np.linspace(0, last, POINTS).astype(int)) if last >= 0 else np.zeros(0, int)
    normalized = None if out.normalized is None else interval(out.normalized)
    agents = range(len(out.agents))
    return {
        "title": about.title if about else "",
        "citation": about.citation if about else "",
        "kind": "baseline" if baseline else "scheme",
        "return": interval(out.final),
        "normalized": normalized,
        "normalized_reason": None if normalized else UNKNOWN,
        "weighted_return": _weighted(out),
        "credit_correlation": _over_seeds(out, "credit_correlation"),
        "agents": {out.agents[k]: _agent(out, k, normalized) for k in agents},
        "curves": {
            out.axis: out.at[at].tolist(),
            "return": band(out.curve[:, at]),
            "agents": {out.agents[k]: _agent_curves(out, k, at) for k in agents},
        },
        "tally": dict(out.tally),
    }


def differences(found: Mapping[str, Outcome], pair: Pair) -> dict[str, Any]:
    """Each scheme's final returns, plain and reward-weighted, minus the reference's, by seed.

    The reference is that of the pair where it takes part, otherwise the first scheme.
    """
    versus = pair.name if pair.name in found else next(iter(found))
    reference = found[versus]
    return {
        name: {
            "versus": versus,
            **_difference(out.final, reference.final),
            "weighted_return": _weighted_difference(out, reference),
        }
        for name, out in found.items()
        if name != versus
    }


def _weighted(out: Outcome) -> dict[str, Any] | None:
    return None if out.weighted_returns is None else interval(out.weighted_returns)


def _weighted_difference(out: Outcome, reference: Outcome) -> dict[str, Any] | None:
    if out.weighted_returns is None or reference.weighted_returns is None:
        return None
    return _difference(out.weighted_returns, reference.weighted_returns)


def interval(samples: Floats) -> dict[str, Any]:
    """IQM of one number a seed, with its interval; null ends where there is one seed."""
    if len(samples) < 2:
        return {"iqm": interquartile_mean(samples), "low": None, "high": None, "n": len(samples)}
    found = bootstrap_interval(samples, rng=np.random.default_rng(0))
    return {"iqm": found.value, "low": found.low, "high": found.high, "n": found.n}


def band(curves: Floats) -> dict[str, Any]:
    """IQM of curves [S, T] at each point, with pointwise intervals; null where a seed has none."""
    known: NDArray[np.bool_] = np.asarray(np.isfinite(curves).all(axis=0))
    if len(curves) < 2 or not known.any():
        return {"iqm": _filled(curves[0], known), "low": None, "high": None}
    found = bootstrap_band(curves[:, known], rng=np.random.default_rng(0), resamples=500)
    named = {"iqm": found.value, "low": found.low, "high": found.high}
    return {name: _filled(values, known) for name, values in named.items()}


def _filled(values: Floats, known: NDArray[np.bool_]) -> list[float | None]:
    """`values` (all, or those of known places) at the known places, None at the others."""
    there = iter(values.tolist() if len(values) != len(known) else values[known].tolist())
    return [next(there) if place else None for place in known.tolist()]


def _difference(x: Floats, y: Floats) -> dict[str, Any]:
    if len(x) < 2:
        nothing = dict.fromkeys(("low", "high", "p", "mean", "deviation", "p_improvement"))
        return {"iqm": float(x[0] - y[0]), **nothing}
    found = paired_difference(x, y, rng=np.random.default_rng(0))
    better = probability_of_improvement(x, y, paired=True)
    return {
        "iqm": found.value,
        "low": found.low,
        "high": found.high,
        "p": paired_t_test(x - y),
        "mean": float((x - y).mean()),
        "deviation": float((x - y).std(ddof=1)),
        "p_improvement": better.value,
    }


def _agent(out: Outcome, k: int, normalized: Mapping[str, Any] | None) -> dict[str, Any]:
    nothing = dict.fromkeys(("iqm", "low", "high"))
    accuracy = nothing if out.accuracy is None else interval(out.accuracy[:, -1, k])
    level = accuracy["iqm"] if out.accuracy is not None else (normalized or nothing)["iqm"]
    finished = level is not None and level >= FINISHED
    high = out.kept.high[k]
    collapsed = None if not np.isfinite(high) else bool(high < LOW) and not finished
    cause = _commonest(out.causes[:, :, k].ravel()) if collapsed else None
    return {
        "accuracy": accuracy["iqm"],
        "accuracy_low": accuracy["low"],
        "accuracy_high": accuracy["high"],
        "signal_kept": _part(out.kept, k),
        "task_noise": _part(out.noise, k),
        "collapsed": collapsed,
        "cause": cause,
        "remedy": REMEDIES[cause] if cause else None,
        "difficulty": None if finished else _difficulty(out, k),
        "expected": None if out.expected is None else _usual(out.expected[:, k]),
        "return": None if out.by_agent is None else interval(out.by_agent[:, k]),
        **{
            name: (_median if name == "snr" else _mean)(values[:, :, k])
            for name, values in out.measures.items()
        },
    }


def _agent_curves(out: Outcome, k: int, at: NDArray[np.int64]) -> dict[str, Any]:
    latest = out.measured[at]
    known = [i if i >= 0 and out.collapsed.size else None for i in latest.tolist()]
    found = out.accuracy
    return {
        "accuracy": None if found is None else interquartile_means(found[:, at, k].T).tolist(),
        "signal_kept": [None if i is None else _plain(out.kept_lately[i, k]) for i in known],
        "collapsed": [None if i is None else float(out.collapsed[:, i, k].mean()) for i in known],
        "cause": [None if i is None else _commonest(out.causes[:, i, k]) for i in known],
    }


def _part(part: Part, k: int) -> dict[str, float | None]:
    ends = (part.value[k], part.low[k], part.high[k])
    return dict(zip(("iqm", "low", "high"), map(_plain, ends), strict=True))


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _difficulty(out: Outcome, k: int) -> str | None:
    """DILUTED where the agent's choices explain little of its reward, whatever normalizes it."""
    influence = _mean(out.measures["influence"][:, :, k]) if "influence" in out.measures else None
    return "DILUTED" if influence is not None and influence < EXPLAINS.influence else None


def _over_seeds(out: Outcome, name: str) -> dict[str, Any] | None:
    """The interval of a measure's mean over agents and updates; None where it is not known."""
    values = out.measures.get(name)
    if values is None or not np.isfinite(values).any(axis=(1, 2)).all():
        return None
    return interval(np.nanmean(values, axis=(1, 2)))


def _commonest(causes: NDArray[np.int8]) -> str | None:
    """The cause named most often, or None where none is."""
    named = np.bincount(causes[causes > 0], minlength=len(CAUSES))
    return CAUSES[int(named.argmax())] if named.any() else None


def _usual(causes: NDArray[np.int8]) -> str | None:
    """The cause of most seeds, or None where most have none."""
    named = np.bincount(causes, minlength=len(CAUSES))
    return CAUSES[int(named.argmax())] or None


def _median(values: Floats) -> float | None:
    """Of what is unbounded: an exact counterfactual leaves gradients almost without noise."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
