"""`debate`: two debaters each know one half of the evidence about a claim, a judge knows none.

A claim names a person and a colour, and is true if both are right. The first debater knows the
person, the second one the colour; each says one word, in turn, and the judge decides by their
words. So no agent can do it alone: each debater must learn to report what it knows, and the judge
to believe only what both support. A fifth of the claims is held out of training.

Source of the form: Irving et al. 2018, AI safety via debate (arXiv:1805.00899), section 2. There
the debaters compete; here all are paid alike, for the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np

from counterpoint.settings import Range
from counterpoint.worlds.kind import cycled
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

PEOPLE = ("Anna", "Ben", "Carla", "David", "Emma", "Frank", "Grace", "Henry")
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "pink")
THINGS = ("car", "boat", "hat", "door", "lamp", "kite", "book", "cup")
DEBATERS = ("first", "second")
SUPPORT = ("yes", "no")
VERDICTS = ("true", "false")


@dataclass(frozen=True, kw_only=True)
class DebateSettings(TextSettings):
    """Settings of `debate`."""

    rounds: Annotated[int, Range(1, 3)] = 1
    """Number of times that each debater speaks before the verdict, 1 to 3."""
    held_out: Annotated[float, Range(0.0, 1.0)] = 0.2
    """Share of the claims that training never draws."""


class Debate(TextWorld):
    """Two debaters speak in turn, then the judge decides; all are paid 1 if it is right."""

    name = "debate"
    summary = "two debaters know half of the evidence each; a judge decides by their words"
    source = "Irving et al. 2018, AI safety via debate (arXiv:1805.00899), sec. 2"
    agents = (*DEBATERS, "judge")
    roles = ("debater", "debater", "judge")
    speaker = "first"
    listener = "second"
    settings_type = DebateSettings
    settings: DebateSettings
    split: Split

    def __init__(self, settings: DebateSettings | None = None) -> None:
        super().__init__(settings)
        self.references = References(0.5, 1.0, "share of verdicts that are right")
        self.longest = 2 * self.settings.rounds + 1
        claims = list(product(PEOPLE, COLOURS, THINGS))
        self.split = split_tasks(claims, self.settings.held_out)

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return self._with_evidence(rng, cycled(rng, self.split.training, count))

    def held_out_tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return self._with_evidence(rng, cycled(rng, self.split.held_out, count))

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        person, colour, thing, who, which = task
        claim = f"Claim: {person} bought the {colour} {thing}."
        if len(history) == 2 * self.settings.rounds + 1:
            return ()
        if len(history) == 2 * self.settings.rounds:
            system = "You judge claims. A claim is true if both debaters support it."
            asked = f"{claim} Is it true or false?"
            return (conversation("judge", system, asked, history, words=VERDICTS),)
        agent = DEBATERS[len(history) % 2]
        known = f"{who} bought it." if agent == "first" else f"The {thing} is {which}."
        system = "You debate claims. Answer with one word."
        asked = f"Evidence: {known}\n{claim} Does the evidence support it, yes or no?"
        return (conversation(agent, system, asked, history, words=SUPPORT),)

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        person, colour, _, who, which = task
        success = float(history[-1].text == VERDICTS[(person, colour) != (who, which)])
        return Ending(success, shared(success, history))

    def statement(
        self, task: Task, history: tuple[Statement, ...], prompt: Prompt, text: str
    ) -> Statement:
        at, last = len(history), 2 * self.settings.rounds - 1
        to = "" if at > last else "judge" if at == last else DEBATERS[(at + 1) % 2]
        return Statement(prompt.agent, text, to=to)

    def _with_evidence(self, rng: np.random.Generator, claims: list[Task]) -> list[Task]:
        """Returns claims with what happened: half are true, of the others each part is wrong in
        two thirds."""
        tasks: list[Task] = []
        for person, colour, thing in claims:
            wrong = 0 if rng.random() < 0.5 else int(rng.integers(1, 4))
            who = _other(rng, PEOPLE, person) if wrong & 1 else person
            which = _other(rng, COLOURS, colour) if wrong & 2 else colour
            tasks.append((person, colour, thing, who, which))
        return tasks


def _other(rng: np.random.Generator, names: tuple[str, ...], name: str) -> str:
    """Returns one of the other names."""
    return str(rng.choice([one for one in names if one != name]))
