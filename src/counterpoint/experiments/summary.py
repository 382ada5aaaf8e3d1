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

from counterpoint.credit import baselines, entries
from counterpoint.diagnose import CAUSES, REMEDIES
from counterpoint.experiments.pairs import Pair
from counterpoint.stats import (
    bootstrap_band,
    bootstrap_interval,
    interquartile_mean,
    interquartile_means,
    paired_difference,
    paired_t_test,
    probability_of_improvement,
)
from counterpoint.train.linear import Training

POINTS = 101
"""Most points that a curve keeps."""
COLLAPSED = 0.25
"""An agent's cause is named when it was collapsed for at least this share of seeds x updates."""
FINISHED = 0.95
"""An agent that ends at this accuracy has learned: it needs no remedy, whatever it went through."""

Floats = NDArray[np.float64]


def scheme_document(name: str, done: Training) -> dict[str, Any]:
    """What a comparison document says of one scheme or baseline."""
    entry, baseline = entries().get(name), baselines().get(name)
    about = entry or baseline
    at = np.unique(np.linspace(0, done.returns.shape[1] - 1, POINTS).astype(int))
    agents = range(len(done.agents))
    return {
        "title": about.title if about else "",
        "citation": about.citation if about else "",
        "kind": "baseline" if baseline else "scheme",
        "return": interval(done.returns[:, -1]),
        "price": interval(done.price[:, -1]),
        "agents": {done.agents[k]: _agent(done, k) for k in agents},
        "curves": {
            "update": at.tolist(),
            "return": band(done.returns[:, at]),
            "agents": {done.agents[k]: _agent_curves(done, k, at) for k in agents},
        },
        "tally": dict(done.tally),
    }


def differences(trained: Mapping[str, Training], pair: Pair) -> dict[str, Any]:
    """Each scheme's final return and price minus the reference's, over paired seeds."""
    if pair.name not in trained:
        return {}
    reference = trained[pair.name]
    return {
        name: {
            "versus": pair.name,
            **_difference(done.returns[:, -1], reference.returns[:, -1]),
            "price": _difference(done.price[:, -1], reference.price[:, -1]),
        }
        for name, done in trained.items()
        if name != pair.name
    }


def interval(samples: Floats) -> dict[str, Any]:
    """IQM of one number a seed, with its interval; null ends where there is one seed."""
    if len(samples) < 2:
        return {"iqm": interquartile_mean(samples), "low": None, "high": None, "n": len(samples)}
    found = bootstrap_interval(samples, rng=np.random.default_rng(0))
    return {"iqm": found.value, "low": found.low, "high": found.high, "n": found.n}


def band(curves: Floats) -> dict[str, Any]:
    """IQM of curves [S, T] at each point, with pointwise intervals."""
    if len(curves) < 2:
        return {"iqm": curves[0].tolist(), "low": None, "high": None}
    found = bootstrap_band(curves, rng=np.random.default_rng(0), resamples=500)
    return {"iqm": found.value.tolist(), "low": found.low.tolist(), "high": found.high.tolist()}


def _difference(x: Floats, y: Floats) -> dict[str, Any]:
    if len(x) < 2:
        nothing = dict.fromkeys(("low", "high", "p", "p_improvement"))
        return {"iqm": float(x[0] - y[0]), **nothing}
    found = paired_difference(x, y, rng=np.random.default_rng(0))
    better = probability_of_improvement(x, y, paired=True)
    return {
        "iqm": found.value,
        "low": found.low,
        "high": found.high,
        "p": paired_t_test(x - y),
        "p_improvement": better.value,
    }


def _agent(done: Training, k: int) -> dict[str, Any]:
    accuracy = interval(done.accuracy[:, -1, k])
    share = float(done.collapsed[:, :, k].mean())
    stuck = share >= COLLAPSED and accuracy["iqm"] < FINISHED
    cause = _commonest(done.causes[:, :, k].ravel()) if stuck else None
    measures = {
        name: _mean(done.rewards[name][:, :, k])
        for name in ("inflation", "signal_share", "dead_rate", "participation", "influence")
    }
    return {
        "accuracy": accuracy["iqm"],
        "accuracy_low": accuracy["low"],
        "accuracy_high": accuracy["high"],
        "collapsed_share": share,
        "cause": cause,
        "remedy": REMEDIES[cause] if cause else None,
        **measures,
        "snr": _median(done.gradients["snr"][:, :, k]),
    }


def _agent_curves(done: Training, k: int, at: NDArray[np.int64]) -> dict[str, Any]:
    updates = np.minimum(at, done.collapsed.shape[1] - 1)
    return {
        "accuracy": interquartile_means(done.accuracy[:, at, k].T).tolist(),
        "collapsed": done.collapsed[:, updates, k].mean(axis=0).tolist(),
        "cause": [_commonest(done.causes[:, update, k]) for update in updates],
    }


def _commonest(causes: NDArray[np.int8]) -> str | None:
    """The cause named most often, or None where none is."""
    named = np.bincount(causes[causes > 0], minlength=len(CAUSES))
    return CAUSES[int(named.argmax())] if named.any() else None


def _median(values: Floats) -> float | None:
    """Of what is unbounded: an exact counterfactual leaves gradients almost without noise."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
