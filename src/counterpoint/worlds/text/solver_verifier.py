"""`solver_verifier`: sums, and a verifier who is called only when the solver is unsure.

How often each agent speaks depends on what was said, so the agents' rewards are samples of
different things: the conditions under which pooled statistics are wrong arise by themselves here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from counterpoint.settings import require
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.world import Ask, Ending, Said, Task, TextSettings, TextWorld, cycled

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
UNSURE = "unsure"


@dataclass(frozen=True, kw_only=True)
class SolverVerifierSettings(TextSettings):
    """Sums, and help that has a price."""

    largest: int = 3
    """Largest number in a sum, 1 to 5."""
    hidden: float = 0.5
    """Share of the sums in which the solver cannot read the second number; the verifier can."""
    price: float = 0.1
    """What a call of the verifier costs, in the reward's unit."""
    calls: int = 2
    """Most calls of the verifier in an episode."""
    penalty: Literal["team", "local"] = "team"
    """Who pays the price: every decision of the episode, or the one that called."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("largest", self.largest, 1, 5)
        require("hidden", self.hidden, 0.0, 1.0)
        require("price", self.price, 0.0, 1e6)
        require("calls", self.calls, 1, 4)


class SolverVerifier(TextWorld):
    """The solver answers, or calls the verifier, who tells the sum as far as it has learned to."""

    name = "solver_verifier"
    summary = "a solver adds, and calls a verifier for a price when it is unsure"
    agents = ("solver", "verifier")
    roles = agents
    speaker = "solver"
    settings_type = SolverVerifierSettings

    def __init__(self, settings: SolverVerifierSettings | None = None) -> None:
        self.told = settings or SolverVerifierSettings()
        super().__init__(self.told)
        self.numbers = NUMBERS[: 2 * self.told.largest + 1]
        self.longest = 2 * self.told.calls + 1
        random = 1 / len(self.numbers)  # whenever a number is said, each is as likely
        self.references = References(random, 1.0, "share of sums that are right")

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        size = self.told.largest + 1
        pool = [(NUMBERS[a], NUMBERS[b]) for a in range(size) for b in range(size)]
        unread = rng.random(count) < self.told.hidden
        drawn = cycled(rng, pool, count)
        return [
            (*pair, "hidden" if no else "plain") for pair, no in zip(drawn, unread, strict=True)
        ]

    def asks(self, task: Task, said: tuple[Said, ...]) -> tuple[Ask, ...]:
        first, second, kind = task
        if len(said) % 2 == 1:
            if said[-1].text != UNSURE:
                return ()
            return (
                Ask(
                    "verifier",
                    "A solver asks you for help with a sum. Answer with one number.",
                    f"What is {first} plus {second}?",
                    self.numbers,
                ),
            )
        shown = second if kind == "plain" else "something"
        told = f" The verifier says {said[-1].text}." if said else ""
        may_call = len(said) < 2 * self.told.calls
        return (
            Ask(
                "solver",
                "You solve sums. Answer with one number"
                + (", or say unsure to ask the verifier." if may_call else "."),
                f"What is {first} plus {shown}?{told}",
                (*self.numbers, UNSURE) if may_call else self.numbers,
            ),
        )

    def ending(self, task: Task, said: tuple[Said, ...]) -> Ending:
        right = NUMBERS.index(task[0]) + NUMBERS.index(task[1])
        success = float(said[-1].text == NUMBERS[right])
        called = [one.text == UNSURE for one in said]
        local = self.told.penalty == "local"
        paid = [success - self.told.price * (one if local else sum(called)) for one in called]
        return Ending(success, tuple((value,) for value in paid))

    def heard(self, task: Task, said: tuple[Said, ...], ask: Ask, text: str) -> Said:
        called = text == UNSURE or ask.agent == "verifier"
        return Said(ask.agent, text, to=("verifier", "solver")[len(said) % 2] if called else "")
