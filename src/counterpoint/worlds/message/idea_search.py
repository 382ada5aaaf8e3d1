"""`idea_search`: a landscape with many peaks, and a team that looks for the highest.

If members search alone and the best idea is taken at the end, the team finds a better idea than its
best member, chosen on other items, does. If they exchange their best ideas all the time, they all
climb the same peak. The strongest reference is a single agent with the whole budget that restarts
when it is stuck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats, Ints
from counterpoint.settings import Range
from counterpoint.worlds.message.world import (
    MessageSettings,
    MessageWorld,
    Observation,
    ScriptedPolicy,
)

PROMPTS: dict[str, ScriptedPolicy] = {
    "follow": ScriptedPolicy(
        (1.0, 0.0, 0.0), "moves to the best received idea, whenever that is better than its own"
    ),
    "sceptic": ScriptedPolicy(
        (0.3, 0.0, 0.0), "moves to a better received idea in three of ten cases"
    ),
    "own": ScriptedPolicy((0.0, 0.0, 0.0), "never moves to a received idea"),
    "restart": ScriptedPolicy(
        (0.0, 0.04, 0.0), "never moves to a received idea, and restarts when no step is better"
    ),
}
"""Name to the parameters of a searcher and one line of text. The parameters are the probability to
move to a better idea of another member, the probability to restart at a random idea after a step
without improvement, and the share of steps that change two choices at once."""

LOWEST, HIGHEST = np.zeros(3), np.array([1.0, 0.2, 1.0])
"""[3] the range of each parameter in a search."""


@dataclass(frozen=True, kw_only=True)
class IdeaSearchSettings(MessageSettings):
    """Settings of `idea_search`: the ruggedness of the landscape, and the budget of the team."""

    bits: Annotated[int, Range(2, 14)] = 12
    """Number of yes-or-no choices of an idea, 2 to 14."""
    ruggedness: int = 5
    """Number of other choices on which the value of a choice depends: with 0 the landscape has one
    peak, with more it has many."""
    budget: Annotated[int, Range(1, 100_000)] = 160
    """Number of ideas that the whole team may evaluate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("ruggedness", 0, self.bits - 1)


@dataclass(frozen=True)
class Landscapes:
    """B items."""

    value: Floats
    """[B, 2**bits] the value of each idea, 0 to 1; the best idea has 1."""
    start: Ints
    """[B, A + 1] the idea at which each member begins; the last one is a judge's."""
    bits: int
    """Number of choices of an idea."""
    budget: int
    """Number of ideas that the whole team may evaluate."""

    def __len__(self) -> int:
        return len(self.value)

    def start_of(self, member: int) -> Ints:
        """Returns the idea at which a member begins, [B]."""
        return self.start[:, min(member, self.start.shape[1] - 1)]


class IdeaSearch(MessageWorld[Landscapes]):
    """NK landscapes: each choice is worth a random number that depends on some other choices."""

    name = "idea_search"
    summary = "a landscape of many peaks, in which messages can help or harm a team that searches"
    source = "Kauffman and Levin, J. Theor. Biol. 128 (1987); Lazer and Friedman, ASQ 52 (2007)"
    settings_type = IdeaSearchSettings
    settings: IdeaSearchSettings
    policies = PROMPTS
    scale = "value of the best idea found, relative to the best idea"
    parameter_range = (LOWEST, HIGHEST)

    def draw(self, rng: np.random.Generator, count: int) -> Landscapes:
        bits, depends = self.settings.bits, self.settings.ruggedness
        ideas = np.arange(2**bits)
        on = (ideas[:, None] >> np.arange(bits)) & 1
        value = np.zeros((count, len(ideas)))
        table = rng.random((count, bits, 2 ** (depends + 1)))
        for i in range(bits):
            others = (i + 1 + rng.permutation(bits - 1)[:depends]) % bits
            index = on[:, [i, *others]] @ (1 << np.arange(depends + 1))
            value += table[:, i, :][:, index]
        low, high = value.min(axis=1, keepdims=True), value.max(axis=1, keepdims=True)
        start = rng.integers(len(ideas), size=(count, self.settings.members + 1))
        return Landscapes((value - low) / (high - low), start, bits, self.settings.budget)

    def member_with(self, parameters: tuple[float, ...]) -> Searcher:
        return Searcher(parameters)

    def score(self, items: Landscapes, answers: NDArray[Any]) -> Floats:
        worth: Floats = items.value[np.arange(len(items)), np.asarray(answers, dtype=np.int64)]
        return worth

    def single(
        self, items: Landscapes, prompt: str, turns: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Returns the answers [B] of one searcher with the whole budget; it restarts when stuck."""
        parameters = (0.0, PROMPTS["restart"].values[1], self.parameters(prompt)[2])
        alone = Observation(0, 0, share=1.0)
        message = Searcher(parameters).speak(items, alone, rng)
        return message[:, 0].astype(int)

    def message_text(self, items: Landscapes, content: NDArray[Any], index: int) -> str:
        best = int(content[index, 0])
        return f"The best that I found is {best:0{items.bits}b}, worth {content[index, 1]:.3f}."

    def answer_text(self, items: Landscapes, answer: Any) -> str:
        return f"{int(answer):0{items.bits}b}"


@dataclass(frozen=True)
class Searcher:
    """A member that climbs: it changes one choice, and keeps the better idea.

    A message is [B, 4]: the best idea of the member with its value, and its present idea with its
    value.
    """

    parameters: tuple[float, ...]
    """As in `PROMPTS`."""

    def speak(self, items: Landscapes, seen: Observation, rng: np.random.Generator) -> NDArray[Any]:
        steps = int(items.budget * seen.share)
        rows = np.arange(len(items))
        if seen.own:
            best, at = seen.own[-1][:, 0].astype(int), seen.own[-1][:, 2].astype(int)
        else:
            at = items.start_of(seen.member).copy()
            best, steps = at.copy(), steps - 1  # it has looked at where it begins
        follows, restart, leap = self.parameters
        others, worth = best_heard(seen, len(items))
        goes = (worth > items.value[rows, best]) & (rng.random(len(items)) < follows)
        at, best = np.where(goes, others, at), np.where(goes, others, best)
        for _ in range(steps):
            flip = 1 << rng.integers(items.bits, size=len(items))
            twice = rng.random(len(items)) < leap
            flip ^= twice * (1 << rng.integers(items.bits, size=len(items)))
            new = at ^ flip
            better = items.value[rows, new] > items.value[rows, at]
            anywhere = ~better & (rng.random(len(items)) < restart)
            at = np.where(better, new, at)
            best = np.where(items.value[rows, at] > items.value[rows, best], at, best)
            at = np.where(anywhere, rng.integers(items.value.shape[1], size=len(items)), at)
        return np.stack([best, items.value[rows, best], at, items.value[rows, at]], axis=1)

    def answer(
        self, items: Landscapes, seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        rows = np.arange(len(items))
        own = seen.own[-1][:, 0].astype(int) if seen.own else items.start_of(seen.member)
        others, worth = best_heard(seen, len(items))
        answers = np.where(worth > items.value[rows, own], others, own)
        return answers, items.value[rows, answers]


def best_heard(seen: Observation, count: int) -> tuple[Ints, Floats]:
    """Returns the best idea in the received messages and its value, [B]; -inf if there is none."""
    best, worth = np.zeros(count, dtype=int), np.full(count, -np.inf)
    for message in seen.received:
        better = message.content[:, 1] > worth
        best = np.where(better, message.content[:, 0].astype(int), best)
        worth = np.where(better, message.content[:, 1], worth)
    return best, worth
