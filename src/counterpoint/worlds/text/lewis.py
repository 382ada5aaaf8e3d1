"""`lewis`: a speaker sees an object and sends a word that means nothing yet; a listener guesses.

Source: Lewis 1969, Convention (signalling games).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterpoint.settings import require
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.world import (
    Ask,
    Ending,
    Said,
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

    objects: int = 4
    """Objects, and words to name them with, 2 to 8."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("objects", self.objects, 2, len(OBJECTS))


class Lewis(TextWorld):
    """The team is paid 1 where the listener picks the object that the speaker saw."""

    name = "lewis"
    summary = "a speaker names an object with a word that means nothing yet; a listener guesses"
    source = "Lewis 1969, Convention"
    agents = ("speaker", "listener")
    roles = agents
    speaker = "speaker"
    settings_type = LewisSettings

    def __init__(self, settings: LewisSettings | None = None) -> None:
        self.told = settings or LewisSettings()
        super().__init__(self.told)
        self.objects, self.signals = OBJECTS[: self.told.objects], SIGNALS[: self.told.objects]
        self.references = References(1 / len(self.objects), 1.0, "share of objects guessed")

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return cycled(rng, [(thing,) for thing in self.objects], count)

    def asks(self, task: Task, said: tuple[Said, ...]) -> tuple[Ask, ...]:
        system = "You and a partner play a game of signals. Answer with one word."
        if not said:
            shown = f"You see a {task[0]}. Which word do you send: {', '.join(self.signals)}?"
            return (Ask("speaker", system, shown, self.signals),)
        if len(said) == 1:
            shown = f"You hear {said[0].text}. What was seen: {', '.join(self.objects)}?"
            return (Ask("listener", system, shown, self.objects),)
        return ()

    def ending(self, task: Task, said: tuple[Said, ...]) -> Ending:
        success = float(said[1].text == task[0])
        return Ending(success, shared(success, said))

    def heard(self, task: Task, said: tuple[Said, ...], ask: Ask, text: str) -> Said:
        return Said(ask.agent, text, to="" if said else "listener")
