"""Game trees, and the game in normal form that follows from them. Start with `GameTree`.

A player's strategy has an action at each of its information sets that its own earlier actions do
not rule out (the reduced normal form: strategies that differ only elsewhere are one). Players
remember what they knew and did (perfect recall). Source: Kuhn, Contributions to the Theory of Games
II (1953); von Stengel, Games Econ. Behav. 14 (1996), for sequences of actions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.games.game import MOST_PROFILES, Game

MOST_TERMS = 2_000_000
"""Maximum number of payoffs that are added up, and of actions in all strategies."""


@dataclass(frozen=True)
class InformationSet:
    """Nodes that a player cannot tell apart, or one kind of chance move."""

    player: int
    """Number of the player from 1 on; 0 is chance."""
    number: int
    """Its number among those of the player."""
    name: str
    """Its name; may be empty."""
    actions: tuple[str, ...]
    """Names."""
    chances: tuple[Fraction, ...] = ()
    """Of chance: the chance of each action."""


@dataclass(frozen=True)
class Node:
    """A node of a tree: a move with as many nodes below as actions, or an end."""

    at: InformationSet | None
    """Who moves, and what is known; None at an end."""
    payoffs: tuple[Fraction, ...] = ()
    """[A] what is paid on the way through this node; empty if nothing is."""


@dataclass
class _Player:
    """The sequences of one player's own actions: 0 is the empty one."""

    actions: list[tuple[InformationSet | None, int]] = field(default_factory=lambda: [(None, 0)])
    """Sequence to its last information set and action."""
    sets: list[list[InformationSet]] = field(default_factory=lambda: [[]])
    """Sequence to the information sets that are reached with it and no action since."""
    before: dict[int, int] = field(default_factory=dict)
    """Number of an information set to the sequence before it."""
    after: dict[tuple[int, int], int] = field(default_factory=dict)
    """Number of an information set and action to the sequence that ends with it."""


@dataclass
class GameTree:
    """A game tree with chance moves and information sets.

    Raises:
        SettingError: see `normal_form`.
    """

    name: str
    """Its name."""
    players: tuple[str, ...]
    """[A] names."""
    nodes: list[Node] = field(default_factory=list)
    """The nodes: each before those below it, and all below an action before those of the next."""

    def normal_form(self) -> Game:
        """Returns the reduced normal form, with exact payoffs expected over chance.

        Raises:
            SettingError: a player forgets what it knew or did, or the game is too large.
        """
        known = [_Player() for _ in self.players]
        paid = self._paid(known)
        sizes, works = zip(*map(_count, known), strict=True)
        if prod(sizes) > MOST_PROFILES or max(works) > MOST_TERMS:
            shown = " x ".join("very many" if n > MOST_PROFILES else f"{n:,}" for n in sizes)
            raise SettingError(
                f"got a tree with {shown} strategies; wanted at most {MOST_PROFILES:,} profiles, "
                "and fewer information sets in a row"
            )
        plans = [_plans(player) for player in known]
        having: list[dict[int, list[int]]] = []
        for own in plans:
            places: dict[int, list[int]] = {0: list(range(len(own)))}
            for k, plan in enumerate(own):
                for sequence in plan:
                    places.setdefault(sequence, []).append(k)
            having.append(places)
        terms = sum(
            prod(len(places[s]) for places, s in zip(having, ends, strict=True)) for ends in paid
        )
        if terms * len(self.players) > MOST_TERMS:
            raise SettingError(
                f"got a tree whose normal form adds up {terms * len(self.players):,} payoffs; "
                f"wanted at most {MOST_TERMS:,}"
            )
        tables: list[NDArray[np.object_]] = [np.full(sizes, Fraction(0)) for _ in self.players]
        for ends, values in paid.items():
            which = np.ix_(*(places[s] for places, s in zip(having, ends, strict=True)))
            for table, value in zip(tables, values, strict=True):
                if value:
                    table[which] += value
        names = tuple(
            tuple(_named(player, plan) for plan in own)
            for player, own in zip(known, plans, strict=True)
        )
        return Game(np.stack(tables, axis=-1), self.name, self.players, names)

    def _paid(self, known: list[_Player]) -> dict[tuple[int, ...], list[Fraction]]:
        """Returns the payoffs at the ends, times their chances, by the sequence of each player."""
        paid: dict[tuple[int, ...], list[Fraction]] = {}
        count = len(self.players)
        nothing = (Fraction(0),) * count
        # chance, payoffs and sequences on the way to the nodes that follow; the next one is last
        waiting = [(Fraction(1), nothing, (0,) * count)]
        for node in self.nodes:
            chance, total, ends = waiting.pop()
            if node.payoffs:
                total = tuple(a + b for a, b in zip(total, node.payoffs, strict=True))
            if node.at is None:
                sums = paid.setdefault(ends, [Fraction(0)] * count)
                for i, value in enumerate(total):
                    sums[i] += chance * value
                continue
            below = []
            for action in range(len(node.at.actions)):
                if node.at.player == 0:
                    below.append((chance * node.at.chances[action], total, ends))
                    continue
                moved = self._moved(known, node.at, action, ends)
                below.append((chance, total, moved))
            waiting += below[::-1]
        return paid

    def _moved(
        self, known: list[_Player], at: InformationSet, action: int, ends: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Returns the sequences of the players after an action."""
        own = known[at.player - 1]
        begin = ends[at.player - 1]
        if own.before.setdefault(at.number, begin) != begin:
            raise SettingError(
                f"{self.players[at.player - 1] or at.player} does not remember at information set "
                f"{at.name or at.number} what it did before (imperfect recall); wanted a tree with "
                "perfect recall"
            )
        if (at.number, action) not in own.after:
            if action == 0:
                own.sets[begin].append(at)
            own.after[(at.number, action)] = len(own.actions)
            own.actions.append((at, action))
            own.sets.append([])
        sequence = own.after[(at.number, action)]
        return (*ends[: at.player - 1], sequence, *ends[at.player :])


def _count(player: _Player) -> tuple[int, int]:
    """Returns the number of a player's strategies, and of the partial ones on the way to them; at
    most one above the limit."""
    counts, work = [1] * len(player.actions), 0
    # a sequence is longer than those before it, so that the last ones come first
    for sequence in reversed(range(len(player.actions))):
        for at in player.sets[sequence]:
            choices = sum(counts[player.after[(at.number, a)]] for a in range(len(at.actions)))
            counts[sequence] = min(counts[sequence] * choices, MOST_PROFILES + 1)
            work = min(work + choices + counts[sequence], MOST_TERMS + 1)
    return counts[0], work


def _plans(player: _Player) -> list[tuple[int, ...]]:
    """Returns the strategies of a player, as the sequences that agree with them."""
    # a partial strategy is () or (sequence, more, still more), which share what they have in common
    plans: list[list[Any]] = [[()] for _ in player.actions]
    for sequence in reversed(range(len(player.actions))):
        for at in player.sets[sequence]:
            after = [player.after[(at.number, a)] for a in range(len(at.actions))]
            choices = [(s, rest) for s in after for rest in plans[s]]
            for s in after:
                plans[s] = []
            plans[sequence] = [(s, b, a) for a, (s, b) in product(plans[sequence], choices)]
    listed, total = [], 0
    for plan in plans[0]:
        sequences, waiting = [], [plan]
        while waiting:
            if part := waiting.pop():
                sequences.append(part[0])
                waiting += part[1:]
        total += len(sequences)
        if total > MOST_TERMS:
            raise SettingError(
                f"got a tree whose strategies have more than {MOST_TERMS:,} actions in all; wanted "
                "a smaller one"
            )
        listed.append(tuple(sequences))
    return listed


def _named(player: _Player, plan: tuple[int, ...]) -> str:
    """Returns a strategy in words: the action, or `information set: action` for several sets."""
    steps = [player.actions[sequence] for sequence in sorted(plan)]
    words = [(at, at.actions[action]) for at, action in steps if at is not None]
    if len(player.before) == 1:
        return words[0][1] or str(steps[0][1] + 1)
    return ", ".join(f"{at.name or at.number}: {name}" for at, name in words) or "no choice"
