"""`extract`: one agent takes the facts out of a sentence, another one writes them in a fixed form.

Both write freely. Only the extractor reads the sentence and only the formatter knows the form. A
fifth of the pairs of a person and a city is held out of training, so that the return says whether
the team has learned the form rather than the pairs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from counterpoint.settings import Range
from counterpoint.worlds.kind import cycled
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.split import Split, split_tasks
from counterpoint.worlds.text.world import (
    Ending,
    Message,
    Prompt,
    Statement,
    Task,
    TextSettings,
    TextWorld,
    shared,
)

PEOPLE = (
    "Anna", "Ben", "Carla", "David", "Emma", "Frank", "Grace", "Henry", "Julia", "Karl", "Laura",
    "Martin",
)  # fmt: skip
CITIES = (
    "Rome", "Oslo", "Lima", "Cairo", "Paris", "Tokyo", "Berlin", "Madrid", "London", "Vienna",
    "Boston", "Sydney",
)  # fmt: skip
SENTENCES = (
    "Yesterday {} took the train to {} and slept.",
    "My friend {} has lived in {} since May.",
    "It rained when {} came to {}.",
    "A letter from {} was sent to {} by mistake.",
)

QUESTION, ORDER = "Who is it, and which city?", "Write NAME@PLACE."
EXAMPLES: dict[str, tuple[Message, ...]] = {
    "extractor": (
        ("user", f"On Monday Nina flew to Geneva and stayed there.\n{QUESTION}"),
        ("assistant", "Nina, Geneva"),
    ),
    "formatter": (("user", f"Note: Nina, Geneva\n{ORDER}"), ("assistant", "Nina@Geneva")),
}
"""An earlier answer of each agent: no small model would ever try the form otherwise, and what is
never tried is never paid."""


@dataclass(frozen=True, kw_only=True)
class ExtractSettings(TextSettings):
    """Settings of `extract`."""

    most_tokens: Annotated[int, Range(1, 1024)] = 12
    """Maximum number of tokens that each agent writes."""
    form: Annotated[float, Range(0.0, 1.0)] = 0.5
    """Share of the reward for the form; the rest is for the two facts, each half of it."""
    waste: Annotated[float, Range(0.0, 1e6)] = 0.02
    """Price of each word of the answer that is neither the person nor the city."""
    held_out: Annotated[float, Range(0.0, 1.0)] = 0.2
    """Share of the pairs of a person and a city that training never draws."""


class Extract(TextWorld):
    """The extractor reads a sentence, the formatter its notes alone."""

    name = "extract"
    summary = "an extractor reads a sentence and takes notes; a formatter writes PERSON@CITY"
    agents = ("extractor", "formatter")
    roles = agents
    speaker = "extractor"
    listener = "formatter"
    free = True
    settings_type = ExtractSettings
    settings: ExtractSettings
    split: Split

    def __init__(self, settings: ExtractSettings | None = None) -> None:
        super().__init__(settings)
        self.references = References(0.0, 1.0, "share of the answers that are right")
        self.longest = 2
        pairs = [(person, city) for person in PEOPLE for city in CITIES]
        self.split = split_tasks(pairs, self.settings.held_out)

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return [(*pair, one) for pair, one in self._drawn(rng, self.split.training, count)]

    def held_out_tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return [(*pair, one) for pair, one in self._drawn(rng, self.split.held_out, count)]

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        person, city, sentence = task
        if not history:
            system = "You take short notes."
            return (
                self._prompt("extractor", system, f"{sentence.format(person, city)}\n{QUESTION}"),
            )
        if len(history) == 1:
            system = "You write NAME@PLACE and nothing else."
            return (self._prompt("formatter", system, f"Note: {history[0].text.strip()}\n{ORDER}"),)
        return ()

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        person, city, _ = task
        answer = history[1].text.strip()
        words = re.findall(r"\w+", answer)
        known = (person in words) + (city in words)
        formed = re.fullmatch(r"\w+@\w+", answer) is not None
        wasted = sum(word not in (person, city) for word in words)
        form = self.settings.form
        reward = (1 - form) * known / 2 + form * formed - self.settings.waste * wasted
        return Ending(float(answer == f"{person}@{city}"), shared(reward, history))

    def _prompt(self, agent: str, system: str, user: str) -> Prompt:
        return Prompt(agent, system, user, (), self.settings.most_tokens, EXAMPLES[agent])

    def _drawn(
        self, rng: np.random.Generator, pairs: tuple[Task, ...], count: int
    ) -> list[tuple[Task, str]]:
        return list(zip(cycled(rng, pairs, count), cycled(rng, SENTENCES, count), strict=True))
