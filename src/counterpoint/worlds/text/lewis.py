"""`lewis`: a speaker sees an object and sends a word that means nothing yet; a listener guesses.

Source: Lewis 1969, Convention (signalling games).
"""

from __future__ import annotations

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
    cycled,
    shared,
)

OBJECTS = ("ball", "key", "cup", "hat", "tree", "fish", "car", "moon")
SIGNALS = ("red", "blue", "green", "yellow", "black", "white", "orange", "purple")


@dataclass(frozen=True, kw_only=True)
class LewisSettings(TextSettings):
    """A signalling game."""

    objects: Annotated[int, Range(2, len(OBJECTS))] = 4
    """Objects, and words to name them with, 2 to 8."""


class Lewis(TextWorld):
    """The team is paid 1 where the listener picks the object that the speaker saw."""

    name = "lewis"
    summary = "a speaker names an object with a word that means nothing yet; a listener guesses"
    source = "Lewis 1969, Convention"
    agents = ("speaker", "listener")
    roles = agents
    speaker = "speaker"
    settings_type = LewisSettings
    settings: LewisSettings

    def __init__(self, settings: LewisSettings | None = None) -> None:
        super().__init__(settings)
        self.objects, self.signals = (
            OBJECTS[: self.settings.objects],
            SIGNALS[: self.settings.objects],
        )
        self.references = References(1 / len(self.objects), 1.0, "share of objects guessed")

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return cycled(rng, [(thing,) for thing in self.objects], count)

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        system = "You and a partner play a game of signals. Answer with one word."
        if not history:
            shown = f"You see a {task[0]}. Which word do you send: {', '.join(self.signals)}?"
            return (Prompt("speaker", system, shown, self.signals),)
        if len(history) == 1:
            shown = f"You hear {history[0].text}. What was seen: {', '.join(self.objects)}?"
            return (Prompt("listener", system, shown, self.objects),)
        return ()

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        success = float(history[1].text == task[0])
        return Ending(success, shared(success, history))

    def statement(
        self, task: Task, history: tuple[Statement, ...], prompt: Prompt, text: str
    ) -> Statement:
        return Statement(prompt.agent, text, to="" if history else "listener")
