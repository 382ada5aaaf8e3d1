"""One order of many rankings: Bradley and Terry, Plackett and Luce, Borda. Arrays only.

A ranking is a sequence of tied sets of items (indices below n), best first, over any two or more of
the items. `AGGREGATES` names the methods; each gives `Strengths` with intervals.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats

Rankings = Sequence[Sequence[Sequence[int]]]

PRIOR_SD = 3.0
"""Standard deviation of the Gaussian prior on log-strengths; it keeps perfect records finite."""
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Strengths:
    """How good each item is, according to the rankings."""

    value: Floats
    """[n] mean zero: log-strengths in nats, or for Borda the share of others beaten less a half."""
    low: Floats
    """[n] lower end of the 95% interval; NaN if a single ranking gives none."""
    high: Floats
    """[n] upper end."""
    covariance: Floats
    """[n, n] covariance of the values."""


def bradley_terry(rankings: Rankings, n: int) -> Strengths:
    """Returns log-strengths under which i beats j with probability 1 / (1 + exp(v_j - v_i)).

    Each ranking counts as its ordered pairs, a tie as half a win for either. The value is the mode
    of the posterior under a Gaussian prior of standard deviation `PRIOR_SD`. Intervals come from
    the curvature there; they treat the pairs of one ranking as independent, so they are too narrow
    for long rankings. An item that is never ranked stays at 0.

    Source: Bradley and Terry 1952.
    """
    wins = np.zeros((n, n))
    for ranking in rankings:
        for place, tied in enumerate(ranking):
            below = [i for later in ranking[place + 1 :] for i in later]
            if below:
                wins[np.ix_(list(tied), below)] += 1
            if len(tied) > 1:
                wins[np.ix_(list(tied), list(tied))] += 0.5
    np.fill_diagonal(wins, 0)
    return bradley_terry_of(wins)


def bradley_terry_of(wins: Floats) -> Strengths:
    """Returns what `bradley_terry` does for counts of wins [n, n], of each item (row) over each
    (column): the diagonal is 0, and a tie is half a win for either."""
    n = len(wins)
    met = wins + wins.T  # how often each pair was compared

    def slopes(v: Floats) -> tuple[float, Floats, Floats]:
        gap = v[:, None] - v[None, :]
        p = 1 / (1 + np.exp(-gap))
        height = -float((wins * np.logaddexp(0, -gap)).sum())
        curve = met * p * (1 - p)
        return height, (wins - met * p).sum(axis=1), np.diag(curve.sum(axis=1)) - curve

    return _mode(slopes, n)


def plackett_luce(rankings: Rankings, n: int) -> Strengths:
    """Returns log-strengths: the best of the remaining items is i with probability exp(v_i) /
    sum.

    Ties follow Breslow's rule: each of a tied set is drawn from all items that remain with the set.
    The value is the mode of the posterior under the prior of `bradley_terry`, and equals that
    method if pairs are ranked without ties. An item that is never ranked stays at 0.

    Source: Plackett 1975; Luce 1959; Breslow 1974 for ties.
    """
    stages = [
        (list(tied), [i for later in ranking[place:] for i in later])
        for ranking in rankings
        for place, tied in enumerate(ranking)
    ]
    stages = [(tied, left) for tied, left in stages if len(left) > 1]
    drawn, left = np.zeros(n), np.zeros((len(stages), n), dtype=bool)
    for row, (tied, rest) in enumerate(stages):
        np.add.at(drawn, tied, 1)
        left[row, rest] = True
    times = np.array([float(len(tied)) for tied, _ in stages])

    def slopes(v: Floats) -> tuple[float, Floats, Floats]:
        # Softmax over the items that are left in each stage, less the largest against overflow.
        masked = np.where(left, v, -np.inf)
        top = masked.max(axis=1, keepdims=True) if len(stages) else np.zeros((0, 1))
        each = np.exp(masked - top)
        total = each.sum(axis=1, keepdims=True)
        p = each / total
        height = float(drawn @ v - times @ (np.log(total) + top)[:, 0])
        weighted = times[:, None] * p
        curve = np.diag(weighted.sum(axis=0)) - weighted.T @ p
        return height, drawn - weighted.sum(axis=0), curve

    return _mode(slopes, n)


def borda(rankings: Rankings, n: int) -> Strengths:
    """Returns the mean share of other items that an item beats (a tie is half), less a half.

    An item that is never ranked has 0. Intervals come from the spread over rankings; they are NaN
    for an item that was ranked once.

    Source: Borda 1784.
    """
    shares: list[list[float]] = [[] for _ in range(n)]
    for ranking in rankings:
        count, above = sum(len(tied) for tied in ranking), 0
        for tied in ranking:
            beaten = count - above - len(tied) + (len(tied) - 1) / 2
            for i in tied:
                shares[i].append(beaten / (count - 1) - 0.5 if count > 1 else 0.0)
            above += len(tied)
    value = np.array([np.mean(each) if each else 0.0 for each in shares])
    error: Floats = np.array(
        [np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan for each in shares]
    )
    value = value - (value.mean() if n else 0.0)
    return Strengths(value, value - Z95 * error, value + Z95 * error, np.diag(error * error))


AGGREGATES: Mapping[str, Callable[[Rankings, int], Strengths]] = {
    "bradley_terry": bradley_terry,
    "plackett_luce": plackett_luce,
    "borda": borda,
}


def tied_sets(value: Floats, same: float = 1e-6) -> list[list[int]]:
    """Returns tied sets, best first; a value at most `same` below the one before it is tied."""
    order = np.argsort(-value, kind="stable").tolist()
    sets = [[order[0]]]
    for better, worse in itertools.pairwise(order):
        if value[better] - value[worse] <= same:
            sets[-1].append(worse)
        else:
            sets.append([worse])
    return [sorted(tied) for tied in sets]


def kendall_tau_b(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]) -> float:
    """Returns Kendall's tau-b of two rankings of the same items, -1 to 1.

        (concordant - discordant) / sqrt(pairs not tied in a * pairs not tied in b)

    If both rankings tie everything they agree, and tau-b is 1. If one of them does, tau-b is 0.

    Source: Kendall 1945.
    """
    items = sorted(i for tied in a for i in tied)
    places = [{i: rank for rank, tied in enumerate(each) for i in tied} for each in (a, b)]
    ranks = np.array([[place[i] for i in items] for place in places], dtype=float)
    signs = np.sign(ranks[:, None, :] - ranks[:, :, None])
    untied = [float((s * s).sum()) for s in signs]
    if not any(untied):
        return 1.0
    if not all(untied):
        return 0.0
    return float((signs[0] * signs[1]).sum() / np.sqrt(untied[0] * untied[1]))


def _mode(slopes: Callable[[Floats], tuple[float, Floats, Floats]], n: int) -> Strengths:
    """Returns the mode of a concave log-likelihood with the prior, by damped Newton steps."""
    v, precision = np.zeros(n), 1 / PRIOR_SD**2
    height, gradient, curve = slopes(v)
    for _ in range(100):
        hessian = curve + precision * np.eye(n)
        step = np.linalg.solve(hessian, gradient - precision * v)
        if np.abs(step).max(initial=0.0) < 1e-9:
            break
        now, size = height - precision * (v @ v) / 2, 1.0
        # The likelihood is concave, so a short enough step always leads up.
        while True:
            new = v + size * step
            height, gradient, curve = slopes(new)
            if height - precision * (new @ new) / 2 >= now - 1e-12 or size < 1e-6:
                break
            size /= 2
        v = new
    # Only differences of strengths matter: the mean is fixed at 0, in the covariance too.
    center = np.eye(n) - 1 / max(n, 1)
    covariance: Floats = center @ np.linalg.inv(curve + precision * np.eye(n)) @ center
    value, error = v - (v.mean() if n else 0.0), np.sqrt(np.diag(covariance))
    return Strengths(value, value - Z95 * error, value + Z95 * error, covariance)
