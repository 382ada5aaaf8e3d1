"""`solver_verifier`: sums, and a verifier that is called only when the solver is unsure.

How often each agent speaks depends on the messages, so the agents' rewards have different
distributions. The conditions under which pooled statistics are wrong thus arise without any
setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

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
)

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
UNSURE = "unsure"


@dataclass(frozen=True, kw_only=True)
class SolverVerifierSettings(TextSettings):
    """Settings of `solver_verifier`."""

    largest: Annotated[int, Range(1, 5)] = 3
    """Largest number in a sum, 1 to 5."""
    hidden: Annotated[float, Range(0.0, 1.0)] = 0.5
    """Share of the sums in which the solver cannot read the second number; the verifier can."""
    price: Annotated[float, Range(0.0, 1e6)] = 0.1
    """Price of a call of the verifier, in the reward's unit."""
    calls: Annotated[int, Range(1, 4)] = 2
    """Maximum number of calls of the verifier in an episode."""
    penalty: Literal["team", "local"] = "team"
    """The decisions that pay the price: all decisions of the episode, or only the one that
    called."""


class SolverVerifier(TextWorld):
    """The solver answers, or calls the verifier, which gives its own answer."""

    name = "solver_verifier"
    summary = "a solver adds, and calls a verifier for a price when it is unsure"
    agents = ("solver", "verifier")
    roles = agents
    speaker = "solver"
    settings_type = SolverVerifierSettings
    settings: SolverVerifierSettings

    def __init__(self, settings: SolverVerifierSettings | None = None) -> None:
        super().__init__(settings)
        self.numbers = NUMBERS[: 2 * self.settings.largest + 1]
        self.longest = 2 * self.settings.calls + 1
        random = 1 / len(self.numbers)  # whenever a number is said, each is as likely
        self.references = References(random, 1.0, "share of sums that are right")

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        size = self.settings.largest + 1
        pool = [(NUMBERS[a], NUMBERS[b]) for a in range(size) for b in range(size)]
        unread = rng.random(count) < self.settings.hidden
        drawn = cycled(rng, pool, count)
        return [
            (*pair, "hidden" if no else "plain") for pair, no in zip(drawn, unread, strict=True)
        ]

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        first, second, kind = task
        if len(history) % 2 == 1:
            if history[-1].text != UNSURE:
                return ()
            system = "A solver asks you for help with a sum. Answer with one number."
            user = f"What is {first} plus {second}?"
            return (Prompt("verifier", system, user, self.numbers),)
        shown = second if kind == "plain" else "something"
        advice = f" The verifier says {history[-1].text}." if history else ""
        may_call = len(history) < 2 * self.settings.calls
        how = ", or say unsure to ask the verifier." if may_call else "."
        system = f"You solve sums. Answer with one number{how}"
        words = (*self.numbers, UNSURE) if may_call else self.numbers
        return (Prompt("solver", system, f"What is {first} plus {shown}?{advice}", words),)

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        right = NUMBERS.index(task[0]) + NUMBERS.index(task[1])
        success = float(history[-1].text == NUMBERS[right])
        called = [one.text == UNSURE for one in history]
        local = self.settings.penalty == "local"
        paid = [success - self.settings.price * (one if local else sum(called)) for one in called]
        return Ending(success, tuple((value,) for value in paid))

    def statement(
        self, task: Task, history: tuple[Statement, ...], prompt: Prompt, text: str
    ) -> Statement:
        called = text == UNSURE or prompt.agent == "verifier"
        return Statement(
            prompt.agent, text, to=("verifier", "solver")[len(history) % 2] if called else ""
        )
