"""Two games of convention: agents agree, or learn the meaning of a word, without any hint in the
task.

`schelling`: two agents agree on a colour without talking, each shown the colours in its order.
Source: Schelling 1960, The Strategy of Conflict, chapter 3 (focal points).

`lewis`: a speaker sees an object and sends a word that means nothing yet; a listener guesses.
Source: Lewis 1969, Convention (signalling games).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from counterpoint.settings import Range
from counterpoint.worlds.kind import cycled
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

COLOURS = ("red", "blue", "green", "yellow", "black", "white", "orange", "purple")
PLACES = (
    "a park", "a shop", "a museum", "a station", "a school", "a farm", "a harbour", "a forest",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SchellingSettings(TextSettings):
    """Settings of `schelling`."""

    colours: Annotated[int, Range(2, len(COLOURS))] = 4
    """Number of colours, 2 to 8."""


class Schelling(TextWorld):
    """Both agents choose at once; the team is paid 1 if they choose the same colour."""

    name = "schelling"
    summary = "two agents choose a colour without talking; paid if they choose the same colour"
    source = "Schelling 1960, The Strategy of Conflict, ch. 3"
    agents = ("speaker", "partner")
    roles = agents
    speaker = "speaker"
    settings_type = SchellingSettings
    settings: SchellingSettings

    def __init__(self, settings: SchellingSettings | None = None) -> None:
        super().__init__(settings)
        self.words = COLOURS[: self.settings.colours]
        self.references = References(1 / len(self.words), 1.0, "share of episodes that agree")

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return cycled(rng, [(place,) for place in PLACES], count)

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        if history:
            return ()
        system = (
            "You and a partner who cannot talk must choose the same colour. Answer with one word."
        )
        shown = "You are at {}. The colours are {}. Which colour do you choose?"
        return tuple(
            Prompt(agent, system, shown.format(task[0], ", ".join(self._order(agent))), self.words)
            for agent in self.agents
        )

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        success = float(len({one.text for one in history}) == 1)
        return Ending(success, shared(success, history))

    def _order(self, agent: str) -> tuple[str, ...]:
        """Returns the colours in the order of an agent; the first colours of both agents differ."""
        half = len(self.words) // 2 if agent == "partner" else 0
        return self.words[half:] + self.words[:half]


OBJECTS = ("ball", "key", "cup", "hat", "tree", "fish", "car", "moon")
SIGNALS = COLOURS


@dataclass(frozen=True, kw_only=True)
class LewisSettings(TextSettings):
    """Settings of `lewis`."""

    objects: Annotated[int, Range(2, len(OBJECTS))] = 4
    """Number of objects, and of words, 2 to 8."""


class Lewis(TextWorld):
    """The team is paid 1 if the listener picks the object that the speaker saw."""

    name = "lewis"
    summary = "a speaker names an object with a word that means nothing yet; a listener guesses"
    source = "Lewis 1969, Convention"
    agents = ("speaker", "listener")
    roles = agents
    speaker = "speaker"
    listener = "listener"
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
