"""`Game`: a game in normal form. Axis letters: A players, M_i actions of player i."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError

MOST_PROFILES = 200_000
"""Profiles of actions that a game may have."""
LARGEST = 1e100


@dataclass(frozen=True, eq=False)
class Game:
    """A game in normal form: the payoff of each player for each profile of actions.

    Raises:
        SettingError: payoffs of a wrong shape, or that are not finite, or a game that is too large.
    """

    payoffs: Floats
    """[M_1, ..., M_A, A] the payoff of each player for each profile."""
    name: str = "game"
    """Its name."""
    players: tuple[str, ...] = ()
    """[A] names."""
    actions: tuple[tuple[str, ...], ...] = ()
    """`[A][M_i]` names."""
    source: str = ""
    """Its source."""
    fractions: Mapping[tuple[int, ...], tuple[Fraction, ...]] | None = None
    """Profile to exact payoffs, where `payoffs` are rounded ones; None takes those as written."""

    def __post_init__(self) -> None:
        try:
            payoffs = np.array(self.payoffs, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise SettingError(f"got payoffs that are no table of numbers ({error})") from None
        if payoffs.ndim < 2 or payoffs.shape[-1] != payoffs.ndim - 1 or 0 in payoffs.shape:
            raise SettingError(
                f"got payoffs of shape {payoffs.shape}; wanted [actions of each player, players]: "
                "with two players [rows, columns, 2]"
            )
        if payoffs[..., 0].size > MOST_PROFILES:
            raise SettingError(
                f"got a game of {payoffs[..., 0].size:,} profiles; wanted at most {MOST_PROFILES:,}"
            )
        if not np.isfinite(payoffs).all():
            raise SettingError("got a payoff that is not finite; wanted numbers")
        if np.abs(payoffs).max() > LARGEST:
            raise SettingError(f"got a payoff beyond {LARGEST:.0e}; wanted smaller ones")
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
        object.__setattr__(self, "players", tuple(map(str, players)))
        object.__setattr__(self, "actions", tuple(tuple(map(str, names)) for names in actions))

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
        """Returns the payoffs of each profile as fractions of decimals as written."""
        if self.fractions is not None:
            return self.fractions
        return {
            profile: tuple(as_fraction(float(v)) for v in self.payoffs[profile])
            for profile in np.ndindex(self.sizes)
        }

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


def as_fraction(value: float) -> Fraction:
    """Returns the fraction that a decimal means: 0.1 is a tenth."""
    return Fraction(repr(value))


def bimatrix(first: Any, second: Any, **names: Any) -> Game:
    """Returns the game of two matrices of payoffs [rows, columns].

    Raises:
        SettingError: they are none, or of different shapes.
    """
    try:
        a, b = np.array(first, dtype=float), np.array(second, dtype=float)
    except (TypeError, ValueError) as error:
        raise SettingError(f"got payoffs that are no table of numbers ({error})") from None
    if a.ndim != 2 or a.shape != b.shape:
        raise SettingError(
            f"got matrices of shapes {a.shape} and {b.shape}; wanted two of one shape"
        )
    return Game(np.stack([a, b], axis=-1), **names)
