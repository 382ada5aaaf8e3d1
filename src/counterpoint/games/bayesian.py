"""Bayesian games: players with private types, and the game in normal form that follows from them.

A player's strategy has an action for each of its types. `normal_form` has one action for
each strategy and pays what is expected before types are drawn, so that everything about games of
complete information holds for it: its equilibria are the Bayesian ones. Source: Harsanyi,
Management Science 14 (1967-68).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import log10, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.game import LARGEST, MOST_PROFILES, Game
from counterpoint.games.numbers import as_floats, as_fractions, exact_table, table_shape

MOST_TERMS = 20_000
ALIKE = Fraction(1, 10**15)
"""A chance that differs from a simple fraction by no more is taken for it: 0.333... is a third."""


@dataclass(frozen=True, eq=False)
class BayesianGame:
    """Types are drawn by nature, each player learns its own, then all act.

    Raises:
        SettingError: shapes that do not fit, chances that are none, payoffs that are not finite.
    """

    prior: Floats
    """[T_1, ..., T_A] chance of each profile of types; adds up to 1."""
    payoffs: Floats
    """[T_1, ..., T_A, M_1, ..., M_A, A] the payoffs for each profile of types and of actions."""
    name: str = "game"
    """Its name."""
    players: tuple[str, ...] = ()
    """[A] names."""
    types: tuple[tuple[str, ...], ...] = ()
    """`[A][T_i]` names."""
    actions: tuple[tuple[str, ...], ...] = ()
    """`[A][M_i]` names."""
    source: str = ""
    """Its source."""
    exact: tuple[NDArray[Any], NDArray[Any]] = field(init=False, repr=False)
    """The prior and the payoffs as they were written, as fractions where floating point may round
    them."""

    def __post_init__(self) -> None:
        types_of, shape = table_shape(self.prior, "prior"), table_shape(self.payoffs, "payoffs")
        count = len(types_of)
        if (
            count < 1
            or len(shape) != 2 * count + 1
            or shape[-1] != count
            or shape[:count] != types_of
            or 0 in shape
        ):
            raise SettingError(
                f"got a prior of shape {types_of} and payoffs of shape {shape}; wanted "
                "[types of each player] and [types of each, actions of each, players]; a player "
                "without private information has an axis of one type"
            )
        tables = exact_table(self.prior, "prior"), exact_table(self.payoffs, "payoffs")
        prior, payoffs = map(as_floats, tables)
        if not (np.abs(payoffs) <= LARGEST).all():
            raise SettingError(f"got a payoff that is not finite, or beyond {LARGEST:.0e}")
        if not np.isfinite(prior).all() or (prior < 0).any() or abs(prior.sum() - 1) > 1e-9:
            raise SettingError(f"got a prior that adds up to {prior.sum():.6g}; wanted chances")
        sizes = payoffs.shape[count : 2 * count]
        most = sum(t * log10(m) for m, t in zip(sizes, prior.shape, strict=True))
        if most > log10(MOST_PROFILES) + 1e-9:
            raise SettingError(
                f"got a game of 10^{most:.1f} profiles of strategies; wanted at most "
                f"{MOST_PROFILES:,}"
            )
        types = self.types or tuple(tuple(f"type {t}" for t in range(n)) for n in prior.shape)
        actions = self.actions or tuple(tuple(f"a{a}" for a in range(n)) for n in sizes)
        if tuple(map(len, types)) != prior.shape or tuple(map(len, actions)) != sizes:
            raise SettingError("got names of types or actions that do not fit the payoffs")
        for key, value in (("prior", prior), ("payoffs", payoffs), ("exact", tables)):
            object.__setattr__(self, key, value)
        object.__setattr__(self, "types", tuple(tuple(map(str, names)) for names in types))
        object.__setattr__(self, "actions", tuple(tuple(map(str, names)) for names in actions))

    def strategies(self, player: int) -> list[tuple[int, ...]]:
        """Returns all strategies of a player: an action for each of its types."""
        sizes = self.payoffs.shape[self.prior.ndim : -1]
        return list(product(range(sizes[player]), repeat=self.prior.shape[player]))

    def normal_form(self) -> Game:
        """Returns the game of strategies, with payoffs expected before types are drawn.

        Expectations are fractions if there are at most 20,000 terms. Those of the prior are the
        simplest ones within rounding (0.333... is a third). Beyond that, payoffs are rounded at the
        twelfth digit of the largest, so that equal payoffs stay equal.
        """
        count = self.prior.ndim
        plans = [self.strategies(player) for player in range(count)]
        shape = (*map(len, plans), count)
        names = tuple(
            tuple(self._named(player, plan) for plan in own) for player, own in enumerate(plans)
        )
        if prod(shape) * self.prior.size <= MOST_TERMS:
            exact = self._expected(plans)
            payoffs = np.array([float(v) for values in exact.values() for v in values])
            return Game(payoffs.reshape(shape), self.name, self.players, names, self.source, exact)
        total = np.zeros(shape)
        for types in np.ndindex(self.prior.shape):
            if self.prior[types] > 0:
                does = [[plan[t] for plan in own] for own, t in zip(plans, types, strict=True)]
                total += self.prior[types] * self.payoffs[types][np.ix_(*does)]
        scale = max(float(np.abs(total).max()), 1e-300)
        rounded = np.round(total / scale, 12) * scale
        return Game(rounded, self.name, self.players, names, self.source)

    def _expected(
        self, plans: list[list[tuple[int, ...]]]
    ) -> dict[tuple[int, ...], tuple[Fraction, ...]]:
        """Returns the expected payoffs of each profile of strategies."""
        chances, payoffs = map(as_fractions, self.exact)
        prior = {}
        for types in np.ndindex(self.prior.shape):
            chance: Fraction = chances[types]  # type: ignore[assignment]
            # the simplest fraction that equals the decimal to its last digit, or else the decimal
            near = chance.limit_denominator(1_000_000)
            prior[types] = near if abs(near - chance) <= ALIKE else chance
        whole = sum(prior.values())
        expected = {}
        for profile in product(*(range(len(own)) for own in plans)):
            paid = [Fraction(0)] * self.prior.ndim
            for types, share in prior.items():
                if share:
                    does = tuple(plans[i][k][types[i]] for i, k in enumerate(profile))
                    for player, value in enumerate(payoffs[(*types, *does)]):
                        paid[player] += share / whole * value
            expected[profile] = tuple(paid)
        return expected

    def _named(self, player: int, plan: tuple[int, ...]) -> str:
        actions, types = self.actions[player], self.types[player]
        if len(types) == 1:
            return actions[plan[0]]
        return ", ".join(f"{t}: {actions[a]}" for t, a in zip(types, plan, strict=True))


def unsure_battle(chance: float = 0.5) -> Game:
    """Returns the battle of the sexes in which one player does not know whether the other wants to
    meet."""
    if not 0 < chance < 1:
        raise SettingError(f"got chance={chance}; wanted one between 0 and 1")
    meet, avoid = [[[2, 1], [0, 0]], [[0, 0], [1, 2]]], [[[2, 0], [0, 2]], [[0, 1], [1, 0]]]
    return BayesianGame(
        np.array([[chance, 1 - chance]]), np.array([[meet, avoid]]), "unsure_battle",
        types=(("",), ("would meet", "would avoid")), actions=(("opera", "football"),) * 2,
        source="Osborne, An Introduction to Game Theory (2004), chapter 9",
    ).normal_form()  # fmt: skip
