"""Mixed equilibria of small games of any number of players, by search. Start with `search_mixed`.

Where only two mix, the equilibria are exact. Else, for every choice of which actions are played,
those that are have to pay alike: equations in several unknowns, which Newton's method solves from
several starts. Each result is an equilibrium, but others may exist. In a game that is not
degenerate their number is odd (Wilson, SIAM J. Appl. Math. 21 (1971)): an even number shows that
one is missing, and the search goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations, product
from math import prod

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.equilibria import (
    CLOSE,
    Equilibrium,
    as_mix,
    equilibria,
    exact_deviations,
    is_equilibrium,
    paid,
    pure_equilibria,
)
from counterpoint.games.game import Game, normalized
from counterpoint.optional import needs, pip_line

MOST_SUPPORTS = 400
"""Maximum number of choices of played actions: 3 players with 3 actions have 343."""
STARTS = 8
"""Number of starts of Newton's method for each choice."""
ROUNDS = 6
"""Maximum number of times that all choices are searched, while the number is even."""
TIE = 1e-7
"""Difference of payoffs, relative to their spread, that is taken for 0."""
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
    rng, known = np.random.default_rng(seed), [*pure_equilibria(game), *_two_who_mix(game)]
    scaled = normalized(game)
    subsets = [
        [c for k in range(1, size + 1) for c in combinations(range(size), k)] for size in game.sizes
    ]
    for _ in range(ROUNDS):
        for played in product(*subsets):
            if sum(len(own) > 1 for own in played) < (3 if game.count > 2 else 2):
                continue  # fewer are known; where one alone mixes, there is a pure one beside it
            for _ in range(STARTS):
                begin = np.concatenate([rng.dirichlet(np.ones(len(own))) for own in played])
                end = root(lambda x, p=played: _gaps(scaled, p, x), begin, tol=1e-13).x
                mix = _mixed(scaled, played, end)
                if min(min(s[list(own)]) for s, own in zip(mix, played, strict=True)) < 1e-7:
                    continue
                if scaled.gain(mix).max() > CLOSE:
                    continue
                apart = [
                    max(np.abs(a - b).max() for a, b in zip(mix, one.floats(), strict=True))
                    for one in known
                ]
                if min(apart, default=1.0) > 1e-5:
                    known.append(_as_fractions(game, mix))
        if len(known) % 2 or has_ties(game, known):
            break
    return known


def _two_who_mix(game: Game) -> Iterator[Equilibrium]:
    """Yields the equilibria in which two of several players mix and the others do not: exact ones
    of the game of these two that the others accept."""
    if game.count < 3:
        return
    for pair in combinations(range(game.count), 2):
        others = [range(size) if p not in pair else (0,) for p, size in enumerate(game.sizes)]
        for fixed in product(*others):
            table = np.empty((*(game.sizes[p] for p in pair), 2), dtype=object)
            for actions in np.ndindex(table.shape[:2]):
                profile = list(fixed)
                profile[pair[0]], profile[pair[1]] = actions
                paid_all = game.exact[tuple(profile)]
                table[actions] = [paid_all[p] for p in pair]
            for one in equilibria(Game(table)):
                if any(max(own) == 1 for own in one.strategies):
                    continue
                mixes = [
                    tuple(Fraction(int(a == action)) for a in range(size))
                    for action, size in zip(fixed, game.sizes, strict=True)
                ]
                mixes[pair[0]], mixes[pair[1]] = one.strategies
                if is_equilibrium(game, mixes):
                    yield Equilibrium(tuple(mixes), paid(game, tuple(mixes)))


def has_ties(game: Game, known: Sequence[Equilibrium]) -> bool:
    """Returns whether the game is degenerate at a known equilibrium: an action that is not played
    pays as much as those that are, or a small change of the mixes keeps everybody indifferent.

    Then the number of equilibria need not be odd, nor finite.
    """
    scaled = normalized(game)
    for one in known:
        mix = one.floats()
        played = tuple(tuple(int(a) for a in np.flatnonzero(own > 0)) for own in mix)
        pays: Sequence[Sequence[Fraction] | Floats] = (
            exact_deviations(game, one.strategies) if one.exact else scaled.deviations(mix)
        )
        near = 0 if one.exact else TIE
        for values, own in zip(pays, played, strict=True):
            best = values[own[0]]
            if any(best - v <= near for a, v in enumerate(values) if a not in own):
                return True
        if any(len(own) > 1 for own in played) and _slack(scaled, played, mix) < TIE:
            return True
    return False


def _slack(game: Game, played: tuple[tuple[int, ...], ...], mix: Sequence[Floats]) -> float:
    """Returns the least singular value of the equations of an equilibrium; 0 where a small change
    of the mixes solves them too."""
    x = np.concatenate([own[list(p)] for own, p in zip(mix, played, strict=True)])
    step = 1e-6
    columns = [
        (_gaps(game, played, x + change) - _gaps(game, played, x - change)) / (2 * step)
        for change in step * np.eye(len(x))
    ]
    return float(np.linalg.svd(np.array(columns), compute_uv=False)[-1])


def _gaps(game: Game, played: tuple[tuple[int, ...], ...], x: Floats) -> Floats:
    """Returns the values that must be 0: payoff differences of played actions, and sums of
    probabilities minus 1."""
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


def _as_fractions(game: Game, mix: list[Floats]) -> Equilibrium:
    """Returns the equilibrium in simple fractions if these are one, else in those of the floats."""
    simple = tuple(
        tuple(Fraction(float(p)).limit_denominator(DENOMINATOR) for p in own) for own in mix
    )
    if all(sum(own) == 1 for own in simple) and is_equilibrium(game, simple):
        return Equilibrium(simple, paid(game, simple))
    strategies = tuple(as_mix(own) for own in mix)
    return Equilibrium(strategies, paid(game, strategies), exact=False)
