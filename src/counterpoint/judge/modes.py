"""What a judge is asked: whole groups, all pairs, or the pairs that say most. Start with `MODES`.

A mode is a generator. It yields orders of candidates to be ranked, each order a question, and is
sent what came of each: tied sets best first, or None where the judge said nothing that can be read.
What is asked twice stands in opposite orders, so that a taste for a position cancels, and so that
agreement between the orders says how far the judge can be relied on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import combinations

import numpy as np

from counterpoint.judge.aggregate import bradley_terry, kendall_tau_b

Order = tuple[int, ...]
Ranking = tuple[tuple[int, ...], ...]
"""Tied sets of candidates, best first."""
Asking = Generator[list[Order], Sequence[Ranking | None], None]
Mode = Callable[[int, int, int, np.random.Generator], Asking]
"""Of n candidates, orders of each question, most calls (0: as many as the mode takes), and
chance."""

MOST_ORDERS = 10
"""A group whose orders contradict each other is asked two more times, up to here."""


def listwise(n: int, orders: int, calls: int, rng: np.random.Generator) -> Asking:
    """The whole group at once, in `orders` orders; two more, and again, while they contradict.

    Nothing is asked any more once nothing of a round could be read.
    """
    most = calls or max(MOST_ORDERS, orders)
    found: list[Ranking | None] = []
    ask = min(orders, most)
    while ask > 0:
        new = yield _opposite(range(n), ask, rng)
        found += new
        enough = (agreement(found) or 0) > 0 or not any(new)
        ask = 0 if enough else min(2, most - len(found))


def all_pairs(n: int, orders: int, calls: int, rng: np.random.Generator) -> Asking:
    """Every pair in `orders` orders; with fewer calls than that takes, pairs drawn by chance."""
    pairs = list(combinations(range(n), 2))
    rng.shuffle(pairs)
    pairs = pairs[: calls // orders] if calls else pairs
    yield [order for pair in pairs for order in _opposite(pair, orders, rng)]


def swiss(n: int, orders: int, calls: int, rng: np.random.Generator) -> Asking:
    """Rounds in which those meet who have won about as often and have not met."""
    won, met = np.zeros(n), set[frozenset[int]]()
    left = calls or orders * (n // 2) * (math.ceil(math.log2(max(n, 2))) + 1)
    while left >= orders:
        pairs = _round(won, met, rng)[: left // orders]
        if not pairs:
            return
        found = yield [order for pair in pairs for order in _opposite(pair, orders, rng)]
        left -= orders * len(pairs)
        met |= {frozenset(pair) for pair in pairs}
        for ranking in found:
            _count(ranking, won)


def adaptive(n: int, orders: int, calls: int, rng: np.random.Generator) -> Asking:
    """The pair whose order is least certain next: p (1 - p) times the variance of the
    difference."""
    left = calls or orders * n * math.ceil(math.log2(max(n, 2)))
    left = min(left, orders * n * (n - 1) // 2)
    seen: list[Ranking] = []
    ring = rng.permutation(n).tolist()
    first = list(zip(ring, ring[1:] + ring[:1], strict=True)) if n > 2 else [(0, 1)]
    while left >= orders:
        if first:
            pairs = first[: left // orders]
            first = []
        else:
            pairs = [_unsure(n, seen)]
        found = yield [order for pair in pairs for order in _opposite(pair, orders, rng)]
        seen += [ranking for ranking in found if ranking is not None]
        left -= orders * len(pairs)


MODES: Mapping[str, Mode] = {
    "listwise": listwise,
    "pairwise": all_pairs,
    "swiss": swiss,
    "adaptive": adaptive,
}
"""The modes in which a judge ranks; in `pointwise`, it scores one run at a time."""


def agreement(found: Sequence[Ranking | None]) -> float | None:
    """How far rankings of the same runs agree: Kendall's tau-b, -1 to 1.

    The mean over sets of runs that were ranked more than once of the mean over pairs of rankings;
    None where nothing was ranked twice.
    """
    told: dict[frozenset[int], list[Ranking]] = {}
    for ranking in found:
        if ranking is not None:
            told.setdefault(frozenset(i for tied in ranking for i in tied), []).append(ranking)
    means = [
        float(np.mean([kendall_tau_b(a, b) for a, b in combinations(same, 2)]))
        for same in told.values()
        if len(same) > 1
    ]
    return float(np.mean(means)) if means else None


def reliability(found: Sequence[Ranking | None], orders: int) -> float | None:
    """What agreement between single orders says of all of them together, 0 to 1.

    Spearman and Brown: k r / (1 + (k - 1) r), with r the agreement (0 where it is below) and k how
    often each set was ranked.
    """
    r = agreement(found)
    if r is None:
        return None
    r = max(r, 0.0)
    return orders * r / (1 + (orders - 1) * r)


def _opposite(items: Sequence[int], count: int, rng: np.random.Generator) -> list[Order]:
    """Orders of the items: each second one is the first one backwards."""
    found: list[Order] = []
    while len(found) < count:
        order = tuple(rng.permutation(items).tolist())
        found += [order, order[::-1]]
    return found[:count]


def _round(
    won: np.ndarray, met: set[frozenset[int]], rng: np.random.Generator
) -> list[tuple[int, int]]:
    free = sorted(rng.permutation(len(won)).tolist(), key=lambda i: -won[i])
    pairs = []
    while len(free) > 1:
        one = free.pop(0)
        new = [other for other in free if frozenset((one, other)) not in met]
        if new:
            free.remove(new[0])
            pairs.append((one, new[0]))
    return pairs


def _count(ranking: Ranking | None, won: np.ndarray) -> None:
    if ranking is not None:
        won[list(ranking[0])] += 1 / len(ranking[0])


def _unsure(n: int, seen: Sequence[Ranking]) -> tuple[int, int]:
    found = bradley_terry(seen, n)
    variance = np.diag(found.covariance)
    spread = variance[:, None] + variance[None, :] - 2 * found.covariance
    p = 1 / (1 + np.exp(found.value[None, :] - found.value[:, None]))
    worth = spread * p * (1 - p)
    i, j = np.unravel_index(np.argmax(np.triu(worth, 1)), worth.shape)
    return int(i), int(j)
