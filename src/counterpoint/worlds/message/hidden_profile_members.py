"""Members of `hidden_profile` without a model: what they tell is a choice among what they know.

A `Teller` is five numbers, its `Ways`. Named ones are the prompts of the world; a search over them
is what optimizing a prompt is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.worlds.message.world import Seen

WAYS = ("unshared", "side", "relay", "opinion", "trust")
"""What the numbers of a member's ways are: how much rather it tells a clue that not all have; one
that speaks for its favourite; one that it was told itself, all in nats; whether a message begins
with its opinion (above 0); and how many clues the opinion of another is worth to it."""

LOWEST, HIGHEST = np.array([-6.0, -6.0, -6.0, -1.0, 0.0]), np.array([6.0, 6.0, 6.0, 1.0, 3.0])
"""[5] the range in which ways are searched."""


class Ways(NamedTuple):
    """A named way to behave."""

    values: tuple[float, ...]
    """The numbers of `WAYS`."""
    about: str
    """One line."""


PROMPTS: dict[str, Ways] = {
    "naive": Ways((0.0, 1.0, -1.0, 1.0, 1.0), "tells any clue, rather for its favourite, and its "
                  "opinion; an opinion heard counts as a clue"),
    "opinion": Ways((0.0, 2.0, -1.0, 1.0, 2.0), "argues for its favourite; an opinion heard counts "
                    "as two clues"),
    "facts": Ways((0.0, 0.0, 0.0, -1.0, 0.0), "tells any clue, and no opinion"),
    "optimal": Ways((6.0, 0.0, 0.0, -1.0, 0.0), "tells clues that not all have, its own or those "
                    "it was told, and no opinion"),
}  # fmt: skip


@dataclass(frozen=True)
class Clues(ABC):
    """B items of N clues, as far as a member looks at them."""

    option: Ints
    """[B, N] the option that a clue is about."""
    private: Bools
    """[N] whether a clue is not everybody's."""
    options: int
    """O, how many options there are."""

    @abstractmethod
    def read(self, member: int) -> Ints:
        """[B, N] the member's own clues as it reads them, 0 where it has none."""


@dataclass(frozen=True)
class Teller:
    """A member that knows what it has read and what it was told, and adds it up.

    A message is [B, N + 1]: 1 or -1 for each clue that it tells, as its author has it, and in the
    last column the option that it favours, from 1; 0 is nothing.
    """

    ways: tuple[float, ...]
    """The numbers of `WAYS`."""
    bits: int
    """What a message holds."""
    clue_bits: int
    """What a clue takes."""
    opinion_bits: int
    """What an opinion takes."""

    def speak(self, items: Clues, seen: Seen, rng: np.random.Generator) -> NDArray[Any]:
        unshared, side, relay, opinion, _ = self.ways
        own, known = items.read(seen.member), self.known(items, seen)
        worth = self.worth(items, seen, known)
        favourite = _best(worth, rng)
        if seen.dissents:
            worth[np.arange(len(worth)), favourite] = -np.inf
            favourite, side = _best(worth, rng), 6.0
        tells = opinion > 0 and self.bits >= self.opinion_bits
        room = (self.bits - self.opinion_bits * tells) // self.clue_bits
        message = np.zeros((len(known), known.shape[1] + 1), dtype=np.int8)
        if room > 0:
            for_it = np.where(items.option == favourite[:, None], known, -known)
            score = unshared * items.private + side * for_it + relay * (own == 0)
            score = score + rng.gumbel(size=known.shape)
            before = sum((said[:, :-1] != 0 for said in seen.own), np.zeros(known.shape, dtype=int))
            score[(known == 0) | (before > 0)] = -np.inf
            chosen = np.argsort(-score, axis=1)[:, :room]
            rows = np.arange(len(known))[:, None]
            can = np.isfinite(score[rows, chosen])
            message[rows, chosen] = np.where(can, known[rows, chosen], 0)
        if tells:
            message[:, -1] = favourite + 1
        return message

    def answer(
        self, items: Clues, seen: Seen, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        worth = self.worth(items, seen, self.known(items, seen))
        ranked = np.sort(worth, axis=1)
        return _best(worth, rng), ranked[:, -1] - ranked[:, -2]

    def known(self, items: Clues, seen: Seen) -> Ints:
        """[B, N] each clue as the member has it: by its own reading, or by what most told it."""
        own = items.read(seen.member)
        told = sum((heard.said[:, :-1].astype(int) for heard in seen.heard), np.zeros_like(own))
        return np.where(own != 0, own, np.sign(told))

    def worth(self, items: Clues, seen: Seen, known: Ints) -> Floats:
        """[B, O] what speaks for each option, by its clues and by what others favour."""
        last = {heard.member: heard.said[:, -1] for heard in seen.heard}
        trust = self.ways[4]
        return np.stack([
            (known * (items.option == o)).sum(axis=1)
            + trust * sum((opinion == o + 1 for opinion in last.values()), np.zeros(len(known)))
            for o in range(items.options)
        ], axis=1)  # fmt: skip


def _best(worth: Floats, rng: np.random.Generator) -> Ints:
    """[B] the best of each row; among equals by lot."""
    best: Ints = np.argmax(worth + rng.random(worth.shape) * 1e-6, axis=1)
    return best
