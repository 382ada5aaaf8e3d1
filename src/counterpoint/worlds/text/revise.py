"""`revise`: a solver writes a list, a verifier says what is wrong with it, the solver writes again.

All write freely. The solver knows only a part of what the list needs, the verifier all of it, and
the verifier's list never counts: what is missing must pass through its feedback. The solver reads
its own earlier list as its own turn of the conversation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from counterpoint.settings import Range
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.conversation import conversation
from counterpoint.worlds.text.relay import THINGS
from counterpoint.worlds.text.world import (
    Ending,
    Prompt,
    Statement,
    Task,
    TextSettings,
    TextWorld,
    shared,
)


@dataclass(frozen=True, kw_only=True)
class ReviseSettings(TextSettings):
    """Settings of `revise`."""

    things: Annotated[int, Range(2, 4)] = 2
    """Number of words that the list needs, 2 to 4; the solver knows one of them."""
    rounds: Annotated[int, Range(1, 3)] = 1
    """Number of times that the verifier answers and the solver writes again, 1 to 3."""
    most_tokens: Annotated[int, Range(1, 1024)] = 12
    """Maximum number of tokens that each agent writes in a turn."""
    waste: Annotated[float, Range(0.0, 1e6)] = 0.02
    """Price of each word of the last list that is not needed, in the reward's unit."""


class Revise(TextWorld):
    """The solver writes, the verifier answers, the solver writes again; the last list is paid."""

    name = "revise"
    summary = "a solver writes a list; a verifier says what is missing; the solver revises it"
    agents = ("solver", "verifier")
    roles = agents
    speaker = "solver"
    listener = "verifier"
    free = True
    settings_type = ReviseSettings
    settings: ReviseSettings

    def __init__(self, settings: ReviseSettings | None = None) -> None:
        super().__init__(settings)
        self.references = References(0.0, 1.0, "share of the words on the last list")
        self.longest = 2 * self.settings.rounds + 1

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        drawn = [rng.choice(len(THINGS), self.settings.things, replace=False) for _ in range(count)]
        return [tuple(THINGS[i] for i in chosen) for chosen in drawn]

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        limit = self.settings.most_tokens
        if len(history) == self.longest:
            return ()
        if len(history) % 2:
            system = "You check lists and say what is missing."
            asked = f"The list needs {' and '.join(task)}. Say what is missing."
            return (conversation("verifier", system, asked, history, most_tokens=limit),)
        system = "You write short lists, one thing a line."
        asked = f"Write a list with {task[0]}."
        then = "Write the whole list again."
        return (conversation("solver", system, asked, history, then=then, most_tokens=limit),)

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        answer = re.findall(r"[a-z]+", history[-1].text.lower())
        success = len(set(task) & set(answer)) / len(task)
        wasted = sum(word not in task for word in answer)
        return Ending(success, shared(success - self.settings.waste * wasted, history))

    def statement(
        self, task: Task, history: tuple[Statement, ...], prompt: Prompt, text: str
    ) -> Statement:
        last = len(history) == self.longest - 1
        to = "" if last else ("verifier", "solver")[len(history) % 2]
        return Statement(prompt.agent, text, to=to)
