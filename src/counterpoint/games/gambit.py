"""Readers of Gambit's files: `.nfg`, with payoffs or with outcomes, and `.efg`, a game tree.

Words, quoted texts, braces and commas are separated first; each message names the line and column.
Source: Gambit, "Game representation formats", https://www.gambit-project.org.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import prod
from typing import NoReturn

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.games.game import MOST_PROFILES, Game
from counterpoint.games.numbers import number_from_text
from counterpoint.games.trees import GameTree, InformationSet, Node

MOST_CHARACTERS = 16_000_000
MOST_PLAYERS = 24
MOST_NODES = 200_000
PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{},]|[^\s{},"]+|"', re.DOTALL)
Payoffs = tuple[Fraction, ...]


class Tokens:
    """The pieces of a file, read one after the other.

    Raises:
        SettingError: the file is too large. So does every method, with line and column, where the
            next piece is another one.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MOST_CHARACTERS:
            raise SettingError(f"got {len(text):,} characters; wanted at most {MOST_CHARACTERS:,}")
        self.text = text
        self.pieces = [(one.group(), one.start()) for one in PIECE.finditer(text)]
        self.at = 0

    def fail(self, wanted: str, back: int = 0) -> NoReturn:
        """Raises the error that the next piece (or one before) is not what is wanted."""
        at = self.at - back
        piece, start = self.pieces[at] if at < len(self.pieces) else ("", len(self.text))
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        got = repr(piece[:40]) if piece else "the end of the file"
        raise SettingError(f"line {line}, column {column}: got {got}; wanted {wanted}")

    @property
    def next(self) -> str:
        """The next piece, which stays; empty at the end."""
        return self.pieces[self.at][0] if self.at < len(self.pieces) else ""

    def skip(self, piece: str) -> bool:
        """Returns whether the next piece is this one, and takes it if so."""
        is_it = self.next == piece
        self.at += is_it
        return is_it

    def expect(self, *pieces: str) -> str:
        """Takes and returns one of these pieces."""
        if (piece := self.next) not in pieces:
            self.fail(" or ".join(pieces))
        self.at += 1
        return piece

    def is_quoted(self) -> bool:
        """Returns whether the next piece is a quoted text."""
        return len(self.next) > 1 and self.next[0] == '"'

    def quoted(self, what: str) -> str:
        """Takes and returns a quoted text, with single spaces."""
        if not self.is_quoted():
            self.fail(f"{what} in quotes")
        text = " ".join(self.next[1:-1].replace('\\"', '"').split())
        if text and not text.isprintable():
            self.fail(f"{what} in printable characters")
        self.at += 1
        return text

    def integer(self, what: str, low: int, high: int) -> int:
        """Takes and returns an integer in a range."""
        piece = self.next
        try:
            value = int(piece) if len(piece) < 20 else high + 1
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            self.fail(f"{what}, {low} to {high:,}")
        self.at += 1
        return value

    def number(self, what: str) -> Fraction:
        """Takes and returns a number, exactly; a comma after it is optional."""
        try:
            value = number_from_text(self.next)
        except SettingError:
            self.fail(f"{what}, such as 3, 0.25 or 1/3")
        self.at += 1
        self.skip(",")
        return value

    def names(self, what: str) -> list[str]:
        """Takes and returns the quoted texts between braces."""
        self.expect("{")
        names = []
        while not self.skip("}"):
            names.append(self.quoted(what))
            self.skip(",")
        return names

    def payoffs(self, players: int) -> Payoffs:
        """Takes and returns a payoff for each player, between braces."""
        self.expect("{")
        values = tuple(self.number(f"payoff {i + 1} of {players}") for i in range(players))
        self.expect("}")
        return values

    def head(self, kind: str, version: str) -> tuple[str, list[str]]:
        """Takes the first line; returns the title and the players."""
        self.expect(kind)
        self.expect(version)
        self.expect("R", "D")
        title = self.quoted("the title")
        players = self.names("a player")
        if not 1 <= len(players) <= MOST_PLAYERS:
            self.fail(f"1 to {MOST_PLAYERS} players before it, not {len(players)}")
        return title, players


def game_of_nfg(text: str, stem: str) -> Game:
    """Returns the game of an `.nfg` file.

    Args:
        text: the file.
        stem: the name of a game without a title.

    Raises:
        SettingError: it is malformed, or the game is too large; the message has the place.
    """
    tokens = Tokens(text)
    title, players = tokens.head("NFG", "1")
    count = len(players)
    tokens.expect("{")
    actions: list[list[str]] = []
    while not tokens.skip("}"):
        if len(actions) == count:
            tokens.fail("} after the strategies of all players")
        if tokens.next == "{":
            actions.append(tokens.names("a strategy"))
            if not actions[-1]:
                tokens.fail("a strategy for each player before it", back=1)
        else:
            size = tokens.integer("a number of strategies", 1, MOST_PROFILES)
            actions.append([str(a + 1) for a in range(size)])
    if len(actions) < count:
        tokens.fail(f"the strategies of {count} players before it", back=1)
    sizes = tuple(map(len, actions))
    if (profiles := prod(sizes)) > MOST_PROFILES:
        raise SettingError(f"got a game of {profiles:,} profiles; wanted at most {MOST_PROFILES:,}")
    if tokens.is_quoted():
        tokens.quoted("the comment")
    if tokens.next == "{":
        rows = _by_outcomes(tokens, count, profiles)
    else:
        rows = [
            tuple(tokens.number(f"payoff {i + 1} of profile {k + 1}") for i in range(count))
            for k in range(profiles)
        ]
    if tokens.next:
        tokens.fail(f"the end of the file after {profiles:,} profiles")
    table = np.empty((profiles, count), dtype=object)
    for k, row in enumerate(rows):
        table[k] = row
    # the strategy of the first player changes fastest
    ordered = table.reshape((*sizes[::-1], count)).transpose((*range(count)[::-1], count))
    return Game(ordered, title or stem, tuple(players), tuple(map(tuple, actions)))


def _by_outcomes(tokens: Tokens, count: int, profiles: int) -> list[Payoffs]:
    """Returns the payoffs of each profile, which the file has as numbers of outcomes."""
    outcomes: list[Payoffs] = [(Fraction(0),) * count]  # 0 is the outcome that pays nothing
    tokens.expect("{")
    while not tokens.skip("}"):
        tokens.expect("{")
        tokens.quoted("the name of an outcome")
        tokens.skip(",")
        outcomes.append(tuple(
            tokens.number(f"payoff {i + 1} of {count} of outcome {len(outcomes)}")
            for i in range(count)
        ))  # fmt: skip
        tokens.expect("}")
        tokens.skip(",")
    return [
        outcomes[tokens.integer(f"the outcome of profile {k + 1}", 0, len(outcomes) - 1)]
        for k in range(profiles)
    ]


def game_of_efg(text: str, stem: str) -> Game:
    """Returns the reduced normal form of the game tree in an `.efg` file.

    Args:
        text: the file.
        stem: the name of a game without a title.

    Raises:
        SettingError: it is malformed or too large, or a player forgets; the message has the place.
    """
    tokens = Tokens(text)
    title, players = tokens.head("EFG", "2")
    if tokens.is_quoted():
        tokens.quoted("the comment")
    tree = GameTree(title or stem, tuple(players))
    sets: dict[tuple[int, int], InformationSet] = {}
    outcomes: dict[int, Payoffs] = {}
    waiting = 1
    while waiting:
        if len(tree.nodes) == MOST_NODES:
            raise SettingError(
                f"got a tree of more than {MOST_NODES:,} nodes; wanted a smaller one"
            )
        node = _node(tokens, len(players), sets, outcomes)
        tree.nodes.append(node)
        waiting += (len(node.at.actions) if node.at else 0) - 1
    if tokens.next:
        tokens.fail("the end of the file after the last node of the tree")
    return tree.normal_form()


def _node(
    tokens: Tokens,
    players: int,
    sets: dict[tuple[int, int], InformationSet],
    outcomes: dict[int, Payoffs],
) -> Node:
    """Takes and returns a node of the tree."""
    kind = tokens.expect("c", "p", "t")
    tokens.quoted("the name of the node")
    at = None
    if kind != "t":
        player = 0 if kind == "c" else tokens.integer("a player", 1, players)
        at = _information_set(tokens, player, sets)
    number = tokens.integer("the number of an outcome", 0, 10**9)
    if tokens.is_quoted():
        tokens.quoted("the name of an outcome")
    if tokens.next == "{":
        if number == 0:
            tokens.fail("no payoffs for outcome 0, which pays nothing")
        begin = tokens.at
        paid = tokens.payoffs(players)
        if outcomes.setdefault(number, paid) != paid:
            tokens.fail(f"the same payoffs of outcome {number} as before", tokens.at - begin)
    elif number and number not in outcomes:
        tokens.fail(f"the payoffs of outcome {number}")
    return Node(at, outcomes.get(number, ()))


def _information_set(
    tokens: Tokens, player: int, sets: dict[tuple[int, int], InformationSet]
) -> InformationSet:
    """Takes and returns an information set, whose name and actions may be left out if known."""
    number = tokens.integer("the number of an information set", 0, 10**9)
    known = sets.get((player, number))
    name = tokens.quoted("the name of an information set") if tokens.is_quoted() else ""
    if tokens.next != "{":
        return known or tokens.fail(f"the actions of information set {number}")
    begin = tokens.at
    tokens.expect("{")
    actions: list[str] = []
    chances: list[Fraction] = []
    while not tokens.skip("}"):
        actions.append(tokens.quoted("an action"))
        if player == 0:
            chances.append(tokens.number("the chance of an action"))
        else:
            tokens.skip(",")
    made = InformationSet(player, number, name, tuple(actions), tuple(chances))
    back = tokens.at - begin
    if not actions:
        tokens.fail("at least one action", back)
    if player == 0 and (min(chances) < 0 or sum(chances) != 1):
        shown = f"{float(sum(chances)):.9g}"
        tokens.fail(
            f"chances that add up to 1, not {shown} (fractions such as 1/3 are exact)", back
        )
    if known is not None and (known.actions, known.chances) != (made.actions, made.chances):
        tokens.fail(f"the actions of information set {number} as before", back)
    return sets.setdefault((player, number), made)
