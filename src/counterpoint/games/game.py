"""`Game`: a game in normal form. Axis letters: A players, M_i actions of player i."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.numbers import (
    as_floats,
    as_fraction,
    as_fractions,
    exact_table,
    table_shape,
)

MOST_PROFILES = 200_000
"""Profiles of actions that a game may have."""
LARGEST = 1e100


def told_apart(names: Sequence[object]) -> tuple[str, ...]:
    """Returns names, [n], with the place after those that several have: `stay #1`, `stay #2`."""
    texts = tuple(map(str, names))
    often = Counter(texts)
    apart = tuple(f"{x} #{i}".strip() if often[x] > 1 else x for i, x in enumerate(texts, 1))
    if len(set(apart)) == len(apart):
        return apart
    return tuple(f"{x} #{i}" for i, x in enumerate(texts, 1))


@dataclass(frozen=True, eq=False)
class Game:
    """A game in normal form: the payoff of each player for each profile of actions.

    Raises:
        SettingError: payoffs of a wrong shape, or that are not finite, or a game that is too large.
    """

    payoffs: Floats
    """[M_1, ..., M_A, A] the payoff of each player for each profile, in floating point. They are
    given as an array, or as nested lists of integers, decimals, fractions or text such as 1/3."""
    name: str = "game"
    """Its name."""
    players: tuple[str, ...] = ()
    """[A] names."""
    actions: tuple[tuple[str, ...], ...] = ()
    """`[A][M_i]` names."""
    source: str = ""
    """Its source."""
    fractions: Mapping[tuple[int, ...], tuple[Fraction, ...]] | None = None
    """Profile to exact payoffs, where floating point may round them; None takes `payoffs` as
    written: 0.1 is a tenth."""

    def __post_init__(self) -> None:
        shape = table_shape(self.payoffs, "payoffs")
        if len(shape) < 2 or shape[-1] != len(shape) - 1 or 0 in shape:
            raise SettingError(
                f"got payoffs of shape {shape}; wanted [actions of each player, players]: "
                "with two players [rows, columns, 2]"
            )
        if (profiles := prod(shape[:-1])) > MOST_PROFILES:
            raise SettingError(
                f"got a game of {profiles:,} profiles; wanted at most {MOST_PROFILES:,}"
            )
        table = exact_table(self.payoffs, "payoffs")
        payoffs = as_floats(table)
        if np.isnan(payoffs).any() or (table.dtype != object and np.isinf(payoffs).any()):
            raise SettingError("got a payoff that is not finite; wanted numbers")
        if np.abs(payoffs).max() > LARGEST:
            raise SettingError(f"got a payoff beyond {LARGEST:.0e}; wanted smaller ones")
        if table.dtype == object and self.fractions is None:
            rows = table.reshape(-1, shape[-1])
            object.__setattr__(self, "fractions", {
                profile: tuple(row)
                for profile, row in zip(np.ndindex(shape[:-1]), rows, strict=True)
            })  # fmt: skip
        payoffs.flags.writeable = False
        object.__setattr__(self, "payoffs", payoffs)
        count, sizes = payoffs.shape[-1], payoffs.shape[:-1]
        players = self.players or tuple(f"player {i + 1}" for i in range(count))
        actions = self.actions or tuple(tuple(str(a) for a in range(size)) for size in sizes)
        if len(players) != count or tuple(map(len, actions)) != sizes:
            raise SettingError(
                f"got names of {len(players)} players and {tuple(map(len, actions))} actions for "
                f"{count} players with {sizes} actions"
            )
        object.__setattr__(self, "players", told_apart(players))
        object.__setattr__(self, "actions", tuple(map(told_apart, actions)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Returns the number of actions of each player, [A]."""
        return self.payoffs.shape[:-1]

    @property
    def count(self) -> int:
        """Returns the number of players, A."""
        return int(self.payoffs.shape[-1])

    @cached_property
    def exact(self) -> Mapping[tuple[int, ...], tuple[Fraction, ...]]:
        """Returns the payoffs of each profile, exactly."""
        if self.fractions is not None:
            return self.fractions
        return {
            profile: tuple(as_fraction(float(v)) for v in self.payoffs[profile])
            for profile in np.ndindex(self.sizes)
        }

    @cached_property
    def is_rounded(self) -> bool:
        """Returns whether floating point cannot tell all payoffs as they were written."""
        return self.fractions is not None and any(
            as_fraction(float(near)) != value
            for profile, values in self.fractions.items()
            for near, value in zip(self.payoffs[profile], values, strict=True)
        )

    def expected(self, strategies: Sequence[Floats]) -> Floats:
        """Returns expected payoffs if players mix independently, [A]."""
        value = self.payoffs
        for strategy in strategies:
            value = np.tensordot(np.asarray(strategy, dtype=np.float64), value, axes=(0, 0))
        return np.asarray(value)

    def deviations(self, strategies: Sequence[Floats]) -> list[Floats]:
        """Returns the payoff of each action of each player against the strategies of the others,
        `[A][M_i]`."""
        values = []
        for player in range(self.count):
            value = np.moveaxis(self.payoffs[..., player], player, -1)
            for other, strategy in enumerate(strategies):
                if other != player:
                    value = np.tensordot(np.asarray(strategy, dtype=float), value, axes=(0, 0))
            values.append(np.asarray(value))
        return values

    def gain(self, strategies: Sequence[Floats]) -> Floats:
        """Returns the gain of each player by its best deviation, [A]; 0 at an equilibrium."""
        best = np.array([values.max() for values in self.deviations(strategies)])
        return np.asarray(np.maximum(0.0, best - self.expected(strategies)))


def bimatrix(first: Any, second: Any, **names: Any) -> Game:
    """Returns the game of two matrices of payoffs [rows, columns].

    Raises:
        SettingError: they are none, or of different shapes.
    """
    shapes = table_shape(first, "A"), table_shape(second, "B")
    if len(shapes[0]) != 2 or shapes[0] != shapes[1]:
        raise SettingError(
            f"got matrices of shapes {shapes[0]} and {shapes[1]}; wanted two of one shape"
        )
    if (profiles := prod(shapes[0])) > MOST_PROFILES:
        raise SettingError(f"got a game of {profiles:,} profiles; wanted at most {MOST_PROFILES:,}")
    tables = [exact_table(first, "A"), exact_table(second, "B")]
    if any(table.dtype == object for table in tables):
        tables = [as_fractions(table) for table in tables]
    return Game(np.stack(tables, axis=-1), **names)


def normalized(game: Game) -> Game:
    """Returns the game with the payoffs of each player from 0 to 1, in floating point.

    Differences are taken exactly, so that small ones between large payoffs survive.
    """
    columns = []
    for player in range(game.count):
        values = [payoffs[player] for payoffs in game.exact.values()]
        low = min(values)
        spread = max(values) - low or Fraction(1)
        columns.append(np.array([float((value - low) / spread) for value in values]))
    return Game(np.stack(columns, axis=-1).reshape(game.payoffs.shape), game.name)
