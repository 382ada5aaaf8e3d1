"""`read_game`: a game of somebody's own out of a JSON file, perhaps a Bayesian one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.games.bayesian import BayesianGame
from counterpoint.games.game import Game

MOST_BYTES = 64_000_000


def read_game(path: Path) -> Game:
    """The game in a JSON file.

    `{"payoffs": [[[3, 3], [0, 5]], [[5, 0], [1, 1]]]}`, and where known `name`, `players`,
    `actions`. The innermost list has a payoff for each player. With `prior`, a chance for each
    profile of types, it is a Bayesian game, whose payoffs have an axis for each player's types
    before those of actions; what is returned is its normal form: see `bayesian`.

    Raises:
        SettingError: it cannot be read, or is no game.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SettingError(f"{path} has more than {MOST_BYTES:,} bytes; wanted a game")
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(f"could not read {path} ({error}); wanted a game in JSON") from None
    if not isinstance(told, dict) or "payoffs" not in told:
        raise SettingError(f'got {path} without "payoffs"; wanted a game in JSON')
    known = ("payoffs", "name", "players", "actions", "source", "prior", "types")
    if unknown := sorted(set(told) - set(known)):
        raise SettingError(f"got {', '.join(unknown)} in {path}; wanted {', '.join(known)}")
    name, source = _text(told.get("name", path.stem)), _text(told.get("source", ""))
    players, actions = _texts(told.get("players")), _lists(told.get("actions"))
    if "prior" in told:
        types = _lists(told.get("types"))
        return BayesianGame(
            told["prior"], told["payoffs"], name, players, types, actions, source
        ).normal_form()
    try:
        payoffs = np.array(told["payoffs"], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise SettingError(f"got payoffs in {path} that are no table of numbers") from None
    return Game(payoffs, name, players, actions, source)


def _text(told: Any) -> str:
    """A name that can be shown.

    Raises:
        SettingError: it is none.
    """
    if not isinstance(told, str) or not (told.isprintable() or not told):
        raise SettingError(f"got a name {told!r}; wanted printable text")
    return told


def _texts(told: Any) -> tuple[str, ...]:
    """[n] names; empty where there are none."""
    if not isinstance(told, list | None):
        raise SettingError(f"got names {told!r}; wanted a list of texts")
    return tuple(_text(one) for one in told or ())


def _lists(told: Any) -> tuple[tuple[str, ...], ...]:
    """[A][n] names; empty where there are none."""
    if not isinstance(told, list | None):
        raise SettingError(f"got names {told!r}; wanted a list of lists of texts")
    return tuple(_texts(one if one is not None else []) for one in told or ())
