"""`revise`: a solver writes a list, a verifier says what is wrong with it, the solver writes again.

All write freely. The solver knows only a part of what the list needs, the verifier all of it, and
the verifier's list never counts: what is missing must pass through its feedback. The solver reads
its own earlier list as its own turn of the conversation. A fifth of the lists is held out of
training.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import permutations
from typing import Annotated

import numpy as np

from counterpoint.settings import Range
from counterpoint.worlds.kind import cycled
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.conversation import conversation
from counterpoint.worlds.text.relay import THINGS
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

MISSING, AGAIN = "Say what is missing.", "Write the whole list again."
EXAMPLES: dict[str, tuple[Message, ...]] = {
    "solver": (
        ("user", "Write a list with salt."),
        ("assistant", "salt"),
        ("user", f"verifier: moon\n{AGAIN}"),
        ("assistant", "salt, moon"),
    ),
    "verifier": (
        ("user", f"The list needs salt and moon. {MISSING}\nsolver: salt"),
        ("assistant", "moon"),
    ),
}
"""Earlier answers of each agent, which show the form."""


@dataclass(frozen=True, kw_only=True)
class ReviseSettings(TextSettings):
    """Settings of `revise`."""

    things: Annotated[int, Range(2, 4)] = 2
    """Number of words that the list needs, 2 to 4; the solver knows one of them."""
    rounds: Annotated[int, Range(1, 3)] = 1
    """Number of times that the verifier answers and the solver writes again, 1 to 3."""
    most_tokens: Annotated[int, Range(1, 1024)] = 8
    """Maximum number of tokens that each agent writes in a turn."""
    waste: Annotated[float, Range(0.0, 1e6)] = 0.02
    """Price of each word of the last list that is not needed, in the reward's unit."""
    held_out: Annotated[float, Range(0.0, 1.0)] = 0.2
    """Share of the lists that training never draws."""


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
    split: Split

    def __init__(self, settings: ReviseSettings | None = None) -> None:
        super().__init__(settings)
        self.references = References(0.0, 1.0, "share of the words on the last list")
        self.longest = 2 * self.settings.rounds + 1
        lists = list(permutations(THINGS, self.settings.things))
        self.split = split_tasks(lists, self.settings.held_out)

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return cycled(rng, self.split.training, count)

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        limit = self.settings.most_tokens
        if len(history) == self.longest:
            return ()
        agent = ("solver", "verifier")[len(history) % 2]
        system = "You write short lists."
        asked = f"Write a list with {task[0]}."
        if agent == "verifier":
            system = "You check lists."
            asked = f"The list needs {' and '.join(task)}. {MISSING}"
        then, examples = AGAIN if agent == "solver" else "", EXAMPLES[agent]
        return (
            conversation(
                agent, system, asked, history, then=then, examples=examples, most_tokens=limit
            ),
        )

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
