"""Mixed equilibria of three players and more, in small games: found by search, checked exactly.

For every choice of which actions are played, those that are have to pay alike: equations in
several unknowns, which Newton's method solves from several starts. What it finds is an equilibrium;
what it does not find may still be one, and that is said.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from math import prod

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.equilibria import Equilibrium, is_equilibrium, pure_equilibria
from counterpoint.games.game import Game
from counterpoint.optional import needs, pip_line

MOST_SUPPORTS = 400
"""Choices of played actions that are looked at: 3 players with 3 actions have 343."""
STARTS = 4
"""From which Newton's method begins, for each choice."""
CLOSE = 1e-9
"""What a deviation may gain, of the spread of payoffs."""
DENOMINATOR = 10_000
"""Probabilities that are a fraction with at most this denominator are written as it."""


def search_mixed(game: Game, seed: int = 0) -> list[Equilibrium]:
    """Returns pure equilibria, exactly, and mixed ones of any number of players by search.

    Args:
        game: small: at most 400 choices of which actions are played.
        seed: of the starts.

    Returns: `exact` tells those whose fractions are an equilibrium to the last digit.

    Raises:
        SettingError: a game that is too large.
        MissingPackageError: scipy is not installed.
    """
    choices = prod(2**size - 1 for size in game.sizes)
    if choices > MOST_SUPPORTS:
        raise SettingError(
            f"got a game of {choices:,} choices of played actions; wanted at most "
            f"{MOST_SUPPORTS:,}: its pure equilibria are found at any size"
        )
    with needs("the search for mixed equilibria of three players", pip_line("games")):
        from scipy.optimize import root
    rng, known = np.random.default_rng(seed), pure_equilibria(game)
    spread = max(float(np.ptp(game.payoffs)), 1e-300)
    subsets = [
        [c for k in range(1, size + 1) for c in combinations(range(size), k)] for size in game.sizes
    ]
    for played in product(*subsets):
        if sum(len(own) > 1 for own in played) < 2:
            continue  # where one alone mixes, there is a pure one beside it
        for _ in range(STARTS):
            start = [rng.dirichlet(np.ones(len(own))) for own in played]
            solution = root(lambda x, p=played: _gaps(game, p, x), np.concatenate(start), tol=1e-13)
            mix = _mixed(game, played, solution.x)
            if min(min(s[list(own)]) for s, own in zip(mix, played, strict=True)) < 1e-7:
                continue
            if float(game.gain(mix).max()) > CLOSE * spread:
                continue
            if all(_apart(mix, one) > 1e-5 for one in known):
                known.append(_as_fractions(game, mix))
    return known


def _gaps(game: Game, played: tuple[tuple[int, ...], ...], x: Floats) -> Floats:
    """Returns what has to be 0: differences of what played actions pay, and sums less 1."""
    mix = _mixed(game, played, x)
    gaps = []
    for own, strategy, pays in zip(played, mix, game.deviations(mix), strict=True):
        pays = pays[list(own)]
        gaps += [*(pays[1:] - pays[0]), strategy.sum() - 1]
    return np.array(gaps)


def _mixed(game: Game, played: tuple[tuple[int, ...], ...], x: Floats) -> list[Floats]:
    mix, at = [], 0
    for own, size in zip(played, game.sizes, strict=True):
        strategy = np.zeros(size)
        strategy[list(own)] = x[at : at + len(own)]
        at += len(own)
        mix.append(strategy)
    return mix


def _apart(mix: list[Floats], one: Equilibrium) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(mix, one.floats(), strict=True))


def _as_fractions(game: Game, mix: list[Floats]) -> Equilibrium:
    """Returns the equilibrium in simple fractions if these are one, else in those of the floats."""
    simple = tuple(
        tuple(Fraction(float(p)).limit_denominator(DENOMINATOR) for p in own) for own in mix
    )
    if all(sum(own) == 1 for own in simple) and is_equilibrium(game, simple):
        return Equilibrium(simple, tuple(map(Fraction, _paid(game, simple))))
    close = []
    for own in mix:
        fractions = [Fraction(float(p)).limit_denominator(10**9) for p in own]
        total = sum(fractions, Fraction(0))
        close.append(tuple(p / total for p in fractions))
    strategies = tuple(close)
    return Equilibrium(strategies, _paid(game, strategies), exact=False)


def _paid(game: Game, strategies: tuple[tuple[Fraction, ...], ...]) -> tuple[Fraction, ...]:
    paid = [Fraction(0)] * game.count
    for profile, payoffs in game.exact.items():
        chance = Fraction(1)
        for own, action in zip(strategies, profile, strict=True):
            chance *= own[action]
        if chance:
            paid = [total + chance * value for total, value in zip(paid, payoffs, strict=True)]
    return tuple(paid)
