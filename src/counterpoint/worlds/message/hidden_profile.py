"""`hidden_profile`: shared clues point to the wrong option, private clues to the right one.

The team is right only if private clues reach the member that decides, within the bits that a
message has. Start with `HiddenProfile.draw`. `ScriptedMember` is a member without
a model: five numbers decide which of its clues it tells. A search over these numbers stands for
the optimization of a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.errors import SettingError
from counterpoint.settings import Range
from counterpoint.worlds.message.world import (
    Brief,
    MessageSettings,
    MessageWorld,
    Observation,
    ScriptedPolicy,
)

PARAMETERS = ("unshared", "side", "relay", "opinion", "trust")
"""The parameters of a member. The first three are preferences in nats: for a clue that not all
members have, for a clue that supports its favourite, and for a clue from a message. The fourth is
above 0 if a message begins with its opinion. The fifth is the number of clues that the opinion of
another member counts for."""

LOWEST, HIGHEST = np.array([-6.0, -6.0, -6.0, -1.0, 0.0]), np.array([6.0, 6.0, 6.0, 1.0, 3.0])
"""[5] the range of each parameter in a search."""


PROMPTS: dict[str, ScriptedPolicy] = {
    "naive": ScriptedPolicy(
        (0.0, 1.0, -1.0, 1.0, 1.0),
        "tells any clue, rather for its favourite, and its opinion; an opinion heard counts as a "
        "clue",
    ),
    "opinion": ScriptedPolicy(
        (0.0, 2.0, -1.0, 1.0, 2.0),
        "argues for its favourite; an opinion heard counts as two clues",
    ),
    "facts": ScriptedPolicy((0.0, 0.0, 0.0, -1.0, 0.0), "tells any clue, and no opinion"),
    "optimal": ScriptedPolicy(
        (6.0, 0.0, 0.0, -1.0, 0.0),
        "tells clues that not all have, its own or those it was told, and no opinion",
    ),
}


@dataclass(frozen=True)
class Profiles:
    """B items of N clues, the members that have each clue, and the right option."""

    option: Ints
    """[B, N] the option that a clue is about."""
    private: Bools
    """[N] whether a clue is private: not all members have it."""
    options: int
    """O, the number of options."""
    right: Ints
    """[B] the option with the largest number of clues for it, less those against it."""
    flips: Ints
    """[B, A + 1, N] -1 where a member reads the opposite of what is written, else 1."""
    has: Bools
    """[A + 1, N] whether a member has the clue; the last row is that of a judge, which has the
    shared clues."""
    sign: Ints
    """[B, N] the text of the clue: 1 speaks for the option, -1 against it."""

    def __len__(self) -> int:
        return len(self.right)

    def read(self, member: int) -> Ints:
        """Returns the clues of a member as it reads them, [B, N]; 0 for a clue that it does not
        have."""
        row = min(member, len(self.has) - 1)
        read: Ints = self.sign * self.flips[:, row] * self.has[row]
        return read


@dataclass(frozen=True)
class ScriptedMember:
    """A member that adds up its own clues and those in the messages that it received.

    A message is [B, N + 1]: 1 or -1 for each clue in it, as its author reads it, and in the last
    column the option that the author favours, counted from 1. 0 means that the message says nothing
    of it.
    """

    parameters: tuple[float, ...]
    """The numbers of `PARAMETERS`."""
    bits: int
    """The size of a message, in bits."""
    clue_bits: int
    """The bits of a clue."""
    opinion_bits: int
    """The bits of an opinion."""

    def speak(self, items: Profiles, seen: Observation, rng: np.random.Generator) -> NDArray[Any]:
        unshared, side, relay, opinion, _ = self.parameters
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
            before = sum(
                (content[:, :-1] != 0 for content in seen.own), np.zeros(known.shape, dtype=int)
            )
            score[(known == 0) | (before > 0)] = -np.inf
            chosen = np.argsort(-score, axis=1)[:, :room]
            rows = np.arange(len(known))[:, None]
            can = np.isfinite(score[rows, chosen])
            message[rows, chosen] = np.where(can, known[rows, chosen], 0)
        if tells:
            message[:, -1] = favourite + 1
        return message

    def answer(
        self, items: Profiles, seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        worth = self.worth(items, seen, self.known(items, seen))
        ranked = np.sort(worth, axis=1)
        return _best(worth, rng), ranked[:, -1] - ranked[:, -2]

    def known(self, items: Profiles, seen: Observation) -> Ints:
        """Returns each clue as the member reads it, or as most others told it, [B, N]."""
        own = items.read(seen.member)
        reports = sum(
            (message.content[:, :-1].astype(int) for message in seen.received), np.zeros_like(own)
        )
        return np.where(own != 0, own, np.sign(reports))

    def worth(self, items: Profiles, seen: Observation, known: Ints) -> Floats:
        """Returns the evidence for each option, [B, O]: clues, and the opinions of others."""
        last = {message.member: message.content[:, -1] for message in seen.received}
        trust = self.parameters[4]
        return np.stack([
            (known * (items.option == o)).sum(axis=1)
            + trust * sum((opinion == o + 1 for opinion in last.values()), np.zeros(len(known)))
            for o in range(items.options)
        ], axis=1)  # fmt: skip


def _best(worth: Floats, rng: np.random.Generator) -> Ints:
    """Returns the index of the largest value of each row, [B]; a random one of equal values."""
    best: Ints = np.argmax(worth + rng.random(worth.shape) * 1e-6, axis=1)
    return best


OPTIONS = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gwen", "Hugo")
TRAITS = (
    ("is on time", "is late"), ("keeps promises", "breaks promises"), ("listens", "interrupts"),
    ("writes clearly", "writes badly"), ("learns fast", "learns slowly"),
    ("stays calm", "panics"), ("plans ahead", "forgets plans"), ("shares credit", "takes credit"),
    ("checks facts", "guesses"), ("is patient", "is impatient"), ("is honest", "lies"),
    ("helps others", "ignores others"), ("finishes work", "leaves work undone"),
    ("asks questions", "never asks"), ("is careful", "is careless"), ("is polite", "is rude"),
    ("is well read", "is ill informed"), ("saves money", "wastes money"),
    ("admits mistakes", "hides mistakes"), ("is tidy", "is messy"),
)  # fmt: skip
"""The texts of clues about an option: for it, and against it."""

TRIES = 200
"""Maximum number of batches that are drawn, since some settings hardly ever give a hidden
profile."""


@dataclass(frozen=True, kw_only=True)
class HiddenProfileSettings(MessageSettings):
    """Settings of `hidden_profile`: the number of clues of each member, and the size of a
    message."""

    options: Annotated[int, Range(2, len(OPTIONS))] = 3
    """Number of options among which the team chooses, 2 to 8."""
    shared: Annotated[int, Range(1, 100)] = 5
    """Number of clues that all members have."""
    private: Annotated[int, Range(0, 50)] = 3
    """Number of clues that each member alone has."""
    expert: Annotated[float, Range(0.0, 10.0)] = 2.0
    """Factor on the number of private clues of the first member."""
    bias: Annotated[float, Range(0.0, 1.0)] = 0.7
    """Share of the clues that point where they should: the shared ones away from the right option,
    the private ones to it. The others point to a random option."""
    misread: Annotated[float, Range(0.0, 0.5)] = 0.05
    """Probability that a member reads a clue as its opposite."""
    bits: Annotated[int, Range(0, 10_000)] = 24
    """The size of a message, in bits. A clue takes the bits that distinguish it from all other
    clues, and one more; an opinion takes the bits that distinguish the options."""


class HiddenProfile(MessageWorld[Profiles]):
    """The team chooses an option; every clue speaks for one option or against it."""

    name = "hidden_profile"
    summary = "shared clues point to the wrong option, private clues to the right one"
    source = "Stasser and Titus, J. Pers. Soc. Psychol. 48 (1985); HiddenBench, arXiv 2505.11556"
    settings_type = HiddenProfileSettings
    settings: HiddenProfileSettings
    policies = PROMPTS
    scale = "share of items in which the right option is chosen"
    parameter_range = (LOWEST, HIGHEST)

    def __init__(self, settings: HiddenProfileSettings | None = None) -> None:
        super().__init__(settings)
        given = self.settings
        counts = [round(given.private * given.expert)] + [given.private] * (given.members - 1)
        owner = np.repeat(np.arange(-1, given.members), [given.shared, *counts])
        self.has = (owner == np.arange(given.members + 1)[:, None]) | (owner == -1)
        self.private = owner >= 0
        self.clue_bits = ceil(log2(len(owner))) + 1 if len(owner) > 1 else 1
        self.opinion_bits = ceil(log2(given.options))

    def draw(self, rng: np.random.Generator, count: int) -> Profiles:
        size, options = len(self.private), self.settings.options
        kept: list[tuple[Ints, Ints, Ints]] = []
        for _ in range(TRIES):  # most items do not mislead: four times as many are drawn
            right = rng.integers(options, size=(4 * count, 1))
            decoy = (right + rng.integers(1, options, size=right.shape)) % options
            towards = np.where(self.private, right, decoy)
            away = np.where(self.private, decoy, right)
            sign = rng.choice((-1, 1), size=(4 * count, size))
            meant = rng.random(sign.shape) < self.settings.bias
            anywhere = rng.integers(options, size=sign.shape)
            option = np.where(meant, np.where(sign > 0, towards, away), anywhere)
            fits = _only_best(tally(option, sign, options), right[:, 0])
            fits &= _only_best(tally(option, sign * ~self.private, options), decoy[:, 0])
            kept.append((option[fits], sign[fits], right[fits, 0]))
            if sum(len(one[2]) for one in kept) >= count:
                break
        else:
            raise SettingError(
                "got settings under which what all know hardly ever misleads; wanted more private "
                "clues, fewer shared ones, or a bias nearer to 1"
            )
        option, sign, right = (np.concatenate(part)[:count] for part in zip(*kept, strict=True))
        shape = (count, self.settings.members + 1, size)
        flips = np.where(rng.random(shape) < self.settings.misread, -1, 1)
        return Profiles(option, self.private, options, right, flips, self.has, sign)

    def member_with(self, parameters: tuple[float, ...]) -> ScriptedMember:
        return ScriptedMember(parameters, self.settings.bits, self.clue_bits, self.opinion_bits)

    def score(self, items: Profiles, answers: NDArray[Any]) -> Floats:
        right: Floats = (np.asarray(answers) == items.right).astype(np.float64)
        return right

    def single(
        self, items: Profiles, prompt: str, turns: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Returns the answers [B] of one agent: the majority of its readings of all clues.

        It misreads clues like any member, but needs no messages.
        """
        votes = np.zeros((len(items.right), items.options))
        for _ in range(turns):
            flips = np.where(rng.random(items.sign.shape) < self.settings.misread, -1, 1)
            worth = tally(items.option, items.sign * flips, items.options)
            best = np.argmax(worth + rng.random(worth.shape) / 2, axis=1)
            votes[np.arange(len(best)), best] += 1
        return np.asarray(np.argmax(votes + rng.random(votes.shape) / 2, axis=1))

    def message_text(self, items: Profiles, content: NDArray[Any], index: int) -> str:
        clues = [
            self._sentence(items, index, int(n), int(content[index, n]))
            for n in np.flatnonzero(content[index, :-1])
        ]
        opinion = int(content[index, -1])
        return " ".join([*clues, f"I favour {OPTIONS[opinion - 1]}."] if opinion else clues)

    def answer_text(self, items: Profiles, answer: Any) -> str:
        return OPTIONS[int(answer)]

    def brief(self, items: Profiles, index: int, member: int) -> Brief:
        known = items.sign[index] if member < 0 else items.read(member)[index]
        clues = tuple(
            self._sentence(items, index, int(n), int(known[n])) for n in np.flatnonzero(known)
        )
        options = OPTIONS[: items.options]
        task = (
            f"Your team hires one of {', '.join(options)}: the one with most good points and "
            "fewest bad ones. Each of you knows something that the others do not."
        )
        return Brief(task, " ".join(clues), options, clues)

    def _sentence(self, items: Profiles, index: int, clue: int, sign: int) -> str:
        good, bad = TRAITS[clue % len(TRAITS)]
        return f"{OPTIONS[items.option[index, clue]]} {good if sign > 0 else bad}."


def tally(option: Ints, sign: Ints, options: int) -> Floats:
    """Returns the number of clues for each option minus those against it, [B, O]."""
    return np.stack([(sign * (option == o)).sum(axis=1) for o in range(options)], axis=1) * 1.0


def _only_best(worth: Floats, which: Ints) -> Bools:
    others = worth.copy()
    rows = np.arange(len(which))
    others[rows, which] = -np.inf
    best: Bools = worth[rows, which] > others.max(axis=1)
    return best
