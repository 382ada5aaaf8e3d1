"""`debate`: two debaters each know one half of the evidence about a claim, a judge knows none.

A claim names a person and a colour, and is true if both are right. The first debater has evidence
about the person, the second one about the colour; each says one word, in turn, and the judge
decides by their words. So no agent can do it alone: each debater must learn to report what its
evidence says, and the judge to believe only what both support. A fifth of the claims is held out of
training.

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
EVIDENCE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "first": (
        (
            "{person} paid for it.",
            "{person} has the receipt.",
            "A friend saw {person} buy it.",
            "{person} took it home.",
        ),
        (
            "{person} was abroad that day.",
            "{person} had no money.",
            "Somebody else paid for it, not {person}.",
            "{person} never went to the shop.",
        ),
    ),
    "second": (
        (
            "The {thing} in the picture is {colour}.",
            "The box of the {thing} says {colour}.",
            "There is {colour} paint on the {thing}.",
            "A friend saw the {thing}, and it is {colour}.",
        ),
        (
            "The shop has no {colour} {thing}.",
            "The {thing} has another colour, not {colour}.",
            "They never made a {colour} {thing}.",
            "The {thing} was not {colour} when it was sold.",
        ),
    ),
}
"""What each debater may know: sentences that support the claim, and sentences that refute it."""
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
        person, colour, thing, *evidence = task
        claim = f"Claim: {person} bought the {colour} {thing}."
        if len(history) == 2 * self.settings.rounds + 1:
            return ()
        if len(history) == 2 * self.settings.rounds:
            system = "You judge claims. A claim is true if both debaters support it."
            asked = f"{claim} Is it true or false?"
            return (conversation("judge", system, asked, history, words=VERDICTS),)
        agent, known = DEBATERS[len(history) % 2], evidence[len(history) % 2]
        known = known.format(person=person, colour=colour, thing=thing)
        system = "You debate claims. Answer with one word."
        asked = f"{claim}\nEvidence: {known}\nDoes the evidence support the claim, yes or no?"
        return (conversation(agent, system, asked, history, words=SUPPORT),)

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        known = zip(DEBATERS, task[3:], strict=True)
        true = all(sentence in EVIDENCE[agent][0] for agent, sentence in known)
        success = float(history[-1].text == VERDICTS[0 if true else 1])
        return Ending(success, shared(success, history))

    def statement(
        self, task: Task, history: tuple[Statement, ...], prompt: Prompt, text: str
    ) -> Statement:
        at, last = len(history), 2 * self.settings.rounds - 1
        to = "" if at > last else "judge" if at == last else DEBATERS[(at + 1) % 2]
        return Statement(prompt.agent, text, to=to)

    def _with_evidence(self, rng: np.random.Generator, claims: list[Task]) -> list[Task]:
        """Returns claims with a sentence for each debater: half are true, of the others each part
        is refuted in two thirds."""
        tasks: list[Task] = []
        for claim in claims:
            wrong = 0 if rng.random() < 0.5 else int(rng.integers(1, 4))
            first = str(rng.choice(EVIDENCE["first"][wrong & 1]))
            tasks.append((*claim, first, str(rng.choice(EVIDENCE["second"][wrong >> 1]))))
        return tasks
