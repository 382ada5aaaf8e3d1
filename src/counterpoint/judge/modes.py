"""The questions to a judge: whole groups, all pairs, or informative pairs. Start with `MODES`.

A mode is a generator. It yields orders of candidates to be ranked, each order a question, and is
sent the ranking of each: tied sets best first, or None if the reply could not be read. A repeated
question comes in opposite orders: a preference for a position cancels, and the agreement between
the orders measures how reliable the judge is.
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
Questions = Generator[list[Order], Sequence[Ranking | None], None]
Mode = Callable[[int, int, int, np.random.Generator], Questions]
"""Takes n candidates, orders of a question, the most calls (0: no limit of its own), and a
generator."""

MOST_ORDERS = 10
"""The most orders of a group whose orders contradict each other."""


def listwise(n: int, orders: int, calls: int, rng: np.random.Generator) -> Questions:
    """Asks about the whole group in `orders` orders, and in two more as long as they contradict.

    It stops if no reply of a round could be read.
    """
    most = calls or max(MOST_ORDERS, orders)
    rankings: list[Ranking | None] = []
    ask = min(orders, most)
    while ask > 0:
        new = yield _opposite(range(n), ask, rng)
        rankings += new
        enough = (agreement(rankings) or 0) > 0 or not any(new)
        ask = 0 if enough else min(2, most - len(rankings))


def all_pairs(n: int, orders: int, calls: int, rng: np.random.Generator) -> Questions:
    """Asks about every pair in `orders` orders; if `calls` allows fewer, about random pairs."""
    pairs = list(combinations(range(n), 2))
    rng.shuffle(pairs)
    pairs = pairs[: calls // orders] if calls else pairs
    yield [order for pair in pairs for order in _opposite(pair, orders, rng)]


def swiss(n: int, orders: int, calls: int, rng: np.random.Generator) -> Questions:
    """Asks in rounds about pairs of candidates that have won about as often and have not met."""
    won, met = np.zeros(n), set[frozenset[int]]()
    left = calls or orders * (n // 2) * (math.ceil(math.log2(max(n, 2))) + 1)
    while left >= orders:
        # shuffled before the stable sort, so that candidates with as many wins meet at random
        free, pairs = sorted(rng.permutation(n).tolist(), key=lambda i: -won[i]), []
        while len(free) > 1:
            one = free.pop(0)
            other = next((each for each in free if frozenset((one, each)) not in met), None)
            if other is not None:
                free.remove(other)
                pairs.append((one, other))
        pairs = pairs[: left // orders]
        if not pairs:
            return
        rankings = yield [order for pair in pairs for order in _opposite(pair, orders, rng)]
        left -= orders * len(pairs)
        met |= {frozenset(pair) for pair in pairs}
        for ranking in rankings:
            if ranking is not None:
                won[list(ranking[0])] += 1 / len(ranking[0])


def adaptive(n: int, orders: int, calls: int, rng: np.random.Generator) -> Questions:
    """Asks about the least certain pair next: p (1 - p) times the variance of the difference."""
    left = calls or orders * n * math.ceil(math.log2(max(n, 2)))
    left = min(left, orders * n * (n - 1) // 2)
    seen: list[Ranking] = []
    # A ring connects all candidates, so that every strength is known a little after one round.
    ring = rng.permutation(n).tolist()
    pairs = list(zip(ring, ring[1:] + ring[:1], strict=True)) if n > 2 else [(0, 1)]
    while left >= orders:
        pairs = pairs[: left // orders]
        rankings = yield [order for pair in pairs for order in _opposite(pair, orders, rng)]
        seen += [ranking for ranking in rankings if ranking is not None]
        left -= orders * len(pairs)
        if left >= orders:
            pairs = [_least_certain(n, seen)]


MODES: Mapping[str, Mode] = {
    "listwise": listwise,
    "pairwise": all_pairs,
    "swiss": swiss,
    "adaptive": adaptive,
}
"""The modes in which a judge ranks. In the mode `pointwise` it scores one run at a time instead."""


def agreement(rankings: Sequence[Ranking | None]) -> float | None:
    """Returns how far rankings of the same runs agree: Kendall's tau-b, -1 to 1.

    The value is a mean over pairs of rankings of the same set of runs, and then over sets. It is
    None if no set was ranked twice.
    """
    by_runs: dict[frozenset[int], list[Ranking]] = {}
    for ranking in rankings:
        if ranking is not None:
            by_runs.setdefault(frozenset(i for tied in ranking for i in tied), []).append(ranking)
    means = [
        float(np.mean([kendall_tau_b(a, b) for a, b in combinations(same, 2)]))
        for same in by_runs.values()
        if len(same) > 1
    ]
    return float(np.mean(means)) if means else None


def reliability(rankings: Sequence[Ranking | None], orders: int) -> float | None:
    """Returns the reliability, 0 to 1, of all orders together.

    Spearman and Brown: k r / (1 + (k - 1) r), where r is the agreement (at least 0) and k is how
        often each set was ranked.
    """
    r = agreement(rankings)
    if r is None:
        return None
    r = max(r, 0.0)
    return orders * r / (1 + (orders - 1) * r)


def _opposite(items: Sequence[int], count: int, rng: np.random.Generator) -> list[Order]:
    """Returns `count` orders of the items: every second one is the one before it, backwards."""
    orders: list[Order] = []
    while len(orders) < count:
        order = tuple(rng.permutation(items).tolist())
        orders += [order, order[::-1]]
    return orders[:count]


def _least_certain(n: int, seen: Sequence[Ranking]) -> tuple[int, int]:
    """Returns the pair whose comparison would say most about the strengths."""
    strengths = bradley_terry(seen, n)
    variance = np.diag(strengths.covariance)
    spread = variance[:, None] + variance[None, :] - 2 * strengths.covariance
    p = 1 / (1 + np.exp(strengths.value[None, :] - strengths.value[:, None]))
    # The information of one comparison, as in an experiment of optimal design.
    worth = spread * p * (1 - p)
    i, j = np.unravel_index(np.argmax(np.triu(worth, 1)), worth.shape)
    return int(i), int(j)
