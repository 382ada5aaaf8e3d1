"""Files of games: JSON, and Gambit's `.nfg` and `.efg`. Start with `read_game`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from counterpoint.errors import SettingError
from counterpoint.games.bayesian import BayesianGame
from counterpoint.games.gambit import game_of_efg, game_of_nfg
from counterpoint.games.game import Game, bimatrix
from counterpoint.games.numbers import MOST_DIGITS, number_from_text

MOST_BYTES = 64_000_000
KEYS = ("payoffs", "A", "B", "name", "players", "actions", "source", "prior", "types")


def read_game(path: Path) -> Game:
    """Returns the game in a file; of a Bayesian game or a game tree its normal form.

    - JSON: `{"payoffs": [[[3, 3], [0, 5]], [[5, 0], [1, 1]]]}`, where the innermost list has a
      payoff for each player, or two matrices `{"A": [[3, 0], [5, 1]], "B": [[3, 5], [0, 1]]}`.
      Optional are `name`, `players`, `actions` and `source`. With `prior`, the chance of each
      profile of types, the game is Bayesian. Then payoffs have an axis for the types of each player
      before those of actions.
    - Gambit's `.nfg` with payoffs or with outcomes, and `.efg`, which is reduced to normal form.

    Numbers are exact: integers of any size, decimals, and fractions as text ("1/3").

    Raises:
        SettingError: the file cannot be read, or is no game; the message has the place.
    """
    try:
        if path.exists() and not path.is_file():
            raise SettingError(f"{path} is no ordinary file; wanted a game")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise SettingError(f"{path} has more than {MOST_BYTES:,} bytes; wanted a game")
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise SettingError(f"could not read {path} ({error}); wanted a game") from None
    try:
        return _read(text, path)
    except SettingError as error:
        raise SettingError(f"could not read {path}: {error}") from None


def _read(text: str, path: Path) -> Game:
    start = text.lstrip()[:3].upper()
    suffix = path.suffix.lower()
    if suffix == ".nfg" or start == "NFG":
        return game_of_nfg(text, path.stem)
    if suffix == ".efg" or start == "EFG":
        return game_of_efg(text, path.stem)
    try:
        document = json.loads(text, parse_float=number_from_text, parse_constant=number_from_text,
                              parse_int=_integer,
                              object_pairs_hook=_once)  # fmt: skip
    except RecursionError:
        raise SettingError("lists are nested too deeply; wanted a game in JSON") from None
    except SettingError:
        raise
    except ValueError as error:
        raise SettingError(f"{error}; wanted a game in JSON, .nfg or .efg") from None
    return _of_document(document, path.stem)


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= MOST_DIGITS else int(number_from_text(digits))


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the pairs of an object, of which no name may come twice."""
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingError(f"got {', '.join(map(repr, twice))} twice; wanted each name once")
    return dict(pairs)


def _of_document(document: Any, stem: str) -> Game:
    matrices = isinstance(document, dict) and "A" in document and "B" in document
    if not isinstance(document, dict) or ("payoffs" in document) == matrices:
        raise SettingError('wanted either "payoffs", or "A" and "B", in an object')
    if unknown := sorted(set(document) - set(KEYS)):
        raise SettingError(f"got {', '.join(map(repr, unknown))}; wanted {', '.join(KEYS)}")
    name, source = _text(document.get("name", stem)), _text(document.get("source", ""))
    players, actions = _texts(document.get("players")), _lists(document.get("actions"))
    if matrices:
        if extra := sorted({"prior", "types"} & set(document)):
            raise SettingError(f"got {', '.join(extra)} with two matrices; wanted payoffs with it")
        return bimatrix(document["A"], document["B"], name=name, players=players, actions=actions,
                        source=source)  # fmt: skip
    if extra := sorted({"A", "B"} & set(document)):
        raise SettingError(f"got {extra[0]} beside payoffs; wanted either")
    if "prior" in document:
        types = _lists(document.get("types"))
        return BayesianGame(
            document["prior"], document["payoffs"], name, players, types, actions, source
        ).normal_form()
    if "types" in document:
        raise SettingError("got types without a prior; wanted both")
    return Game(document["payoffs"], name, players, actions, source)


def _text(value: Any) -> str:
    """Returns a name that can be shown."""
    if not isinstance(value, str) or not (value.isprintable() or not value):
        raise SettingError(f"got a name {str(value)[:40]!r}; wanted printable text")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    """Returns names, [n]; empty if there are none."""
    if not isinstance(values, list | None):
        raise SettingError(f"got names {str(values)[:40]!r}; wanted a list of texts")
    return tuple(_text(one) for one in values or ())


def _lists(values: Any) -> tuple[tuple[str, ...], ...]:
    """Returns names, `[A][n]`; empty if there are none."""
    if not isinstance(values, list | None):
        raise SettingError(f"got names {str(values)[:40]!r}; wanted a list of lists of texts")
    return tuple(_texts(one if one is not None else []) for one in values or ())
