"""`relay`: one agent writes a note about the words that are needed; another reads the note and
answers.

Both write freely. The reward is the share of the needed words in the answer, minus a price for each
other word. So a team learns to say the needed words and no others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from counterpoint.settings import Range
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.world import (
    Ending,
    Prompt,
    Statement,
    Task,
    TextSettings,
    TextWorld,
    shared,
)

THINGS = (
    "apple", "river", "tiger", "piano", "bread", "candle", "ladder", "garden",
    "pepper", "window", "rocket", "island", "hammer", "violin", "button", "carpet",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RelaySettings(TextSettings):
    """Settings of `relay`."""

    things: Annotated[int, Range(1, 4)] = 2
    """Number of words to pass on, 1 to 4."""
    most_tokens: Annotated[int, Range(1, 1024)] = 12
    """Maximum number of tokens that each agent writes."""
    waste: Annotated[float, Range(0.0, 1e6)] = 0.02
    """Price of each word of the answer that is not needed, in the reward's unit."""


class Relay(TextWorld):
    """The planner sees the words, the answerer sees the note alone."""

    name = "relay"
    summary = "a planner writes a note about words that only it sees; an answerer lists them"
    agents = ("planner", "answerer")
    roles = agents
    speaker = "planner"
    listener = "answerer"
    free = True
    settings_type = RelaySettings
    settings: RelaySettings

    def __init__(self, settings: RelaySettings | None = None) -> None:
        super().__init__(settings)
        self.references = References(0.0, 1.0, "share of the words passed on")
        self.longest = 2

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        drawn = [rng.choice(len(THINGS), self.settings.things, replace=False) for _ in range(count)]
        return [tuple(THINGS[i] for i in chosen) for chosen in drawn]

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        limit = self.settings.most_tokens
        if not history:
            shown = f"Write a note that says we need {' and '.join(task)}."
            return (Prompt("planner", "You write short notes.", shown, most_tokens=limit),)
        if len(history) == 1:
            shown = f"{history[0].text.strip()}\nWhat do we need?"
            return (Prompt("answerer", "You answer with a few words.", shown, most_tokens=limit),)
        return ()

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        answer = re.findall(r"[a-z]+", history[1].text.lower())
        success = len(set(task) & set(answer)) / len(task)
        wasted = sum(word not in task for word in answer)
        return Ending(success, shared(success - self.settings.waste * wasted, history))
