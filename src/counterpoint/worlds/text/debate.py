"""`debate`: two debaters each know one review of a hotel, a judge knows none.

A hotel is good if its food and its rooms are; at most one of the two is bad. The first debater has
a review of the food, the second one of the rooms; each says good or bad, and the judge decides by
their last words. So no agent can do it alone: each debater must learn to report what its review
says, and the judge to believe only what both support. A fifth of the words that the reviews use is
held out of training.

Source of the form: Irving et al. 2018, AI safety via debate (arXiv:1805.00899), section 2. There
the debaters compete; here all are paid alike, for the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np

from counterpoint.settings import Range
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.conversation import conversation
from counterpoint.worlds.text.split import Split, split_tasks
from counterpoint.worlds.text.world import (
    Ending,
    Prompt,
    Statement,
    Task,
    TextSettings,
    TextWorld,
    shared,
)

HOTELS = ("Lion", "Crown", "Star", "Swan", "Bear", "Eagle", "Rose", "Castle")
REVIEWS = {"first": "The food at the {} was {}.", "second": "The rooms at the {} were {}."}
"""The review of each debater, of a hotel and a word."""
PRAISE = {
    "first": (
        "delicious", "fresh", "tasty", "excellent", "superb", "wonderful", "perfect", "lovely",
        "great", "amazing",
    ),
    "second": (
        "clean", "comfortable", "beautiful", "spotless", "pleasant", "cosy", "elegant", "charming",
        "modern", "nice",
    ),
}  # fmt: skip
"""Words of good reviews; no word is used in reviews of both debaters."""
BLAME = {
    "first": (
        "awful", "stale", "disgusting", "terrible", "burnt", "horrible", "bland", "rotten",
        "nasty", "dreadful",
    ),
    "second": (
        "dirty", "broken", "filthy", "smelly", "ugly", "dusty", "shabby", "damp", "stained",
        "uncomfortable",
    ),
}  # fmt: skip
"""Words of bad reviews."""
DEBATERS = ("first", "second")
VERDICTS = ("good", "bad")


@dataclass(frozen=True, kw_only=True)
class DebateSettings(TextSettings):
    """Settings of `debate`."""

    rounds: Annotated[int, Range(1, 3)] = 1
    """Number of times that each debater speaks before the verdict, 1 to 3."""
    held_out: Annotated[float, Range(0.0, 1.0)] = 0.2
    """Share of the words of good reviews, and of bad ones, that training never draws."""


class Debate(TextWorld):
    """Two debaters speak at once, then the judge decides; all are paid 1 if it is right."""

    name = "debate"
    summary = "two debaters know one review of a hotel each; a judge decides by their words"
    source = "Irving et al. 2018, AI safety via debate (arXiv:1805.00899), sec. 2"
    agents = (*DEBATERS, "judge")
    roles = ("debater", "debater", "judge")
    speaker = "first"
    listener = "judge"
    settings_type = DebateSettings
    settings: DebateSettings
    split: Split

    def __init__(self, settings: DebateSettings | None = None) -> None:
        super().__init__(settings)
        self.references = References(0.5, 1.0, "share of verdicts that are right")
        self.longest = 2 * self.settings.rounds + 1
        training, held_out = [], []
        for agent in DEBATERS:
            halves = [
                split_tasks([(word,) for word in words[agent]], self.settings.held_out)
                for words in (PRAISE, BLAME)
            ]
            training.append([word for half in halves for (word,) in half.training])
            held_out.append([word for half in halves for (word,) in half.held_out])
        self.split = Split(claims(*training), claims(*held_out))

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return self._drawn(rng, self.split.training, count)

    def held_out_tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return self._drawn(rng, self.split.held_out, count)

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        if len(history) == self.longest:
            return ()
        system, question = "You rate hotels.", f"Is the {task[0]} good or bad?"
        if len(history) == self.longest - 1:
            food, rooms = (one.text for one in history[-2:])
            shown = f"{question[:-1]} if its food is {food} and its rooms are {rooms}?"
            return (Prompt("judge", system, shown, VERDICTS),)
        asked: list[Prompt] = []
        for agent, word in zip(DEBATERS, task[1:], strict=True):
            review = f"{REVIEWS[agent].format(task[0], word)}\n{question}"
            # In each round both speak at once, so that an agent hears the other after itself.
            turns = sorted(enumerate(history), key=lambda at: (at[0] // 2, at[1].agent != agent))
            heard = [one for _, one in turns]
            asked.append(conversation(agent, system, review, heard, words=VERDICTS))
        return tuple(asked)

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        success = float(history[-1].text == VERDICTS[1 if any(blamed(task)) else 0])
        return Ending(success, shared(success, history))

    def statement(
        self, task: Task, history: tuple[Statement, ...], prompt: Prompt, text: str
    ) -> Statement:
        if prompt.agent == "judge":
            return Statement(prompt.agent, text)
        last = len(history) >= self.longest - 3
        other = DEBATERS[prompt.agent == DEBATERS[0]]
        return Statement(prompt.agent, text, to="judge" if last else other)

    def _drawn(self, rng: np.random.Generator, tasks: Sequence[Task], count: int) -> list[Task]:
        """Returns tasks of which half are of good hotels; of the others, one part is bad."""
        pools: dict[tuple[bool, ...], list[Task]] = {}
        for task in tasks:
            pools.setdefault(blamed(task), []).append(task)
        drawn: list[Task] = []
        for _ in range(count):
            bad = int(rng.integers(4))  # its food, its rooms, or nothing
            pool = pools[bad == 0, bad == 1]
            drawn.append(pool[int(rng.integers(len(pool)))])
        return drawn


def claims(food: Sequence[str], rooms: Sequence[str]) -> tuple[Task, ...]:
    """Returns every hotel with every two words that do not both blame."""
    return tuple(task for task in product(HOTELS, food, rooms) if not all(blamed(task)))


def blamed(task: Task) -> tuple[bool, ...]:
    """Returns whether the review of each debater is a bad one."""
    return tuple(word in BLAME[agent] for agent, word in zip(DEBATERS, task[1:], strict=True))
