"""How many requests a comparison of topologies makes, and about how long they will take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.topology.design import ITEMS, Design, TopologyPlan, lay_out
from counterpoint.topology.play import play
from counterpoint.worlds.message.world import Observation

FEW = 100
"""Requests that are begun without a word."""
TRIED = 8
"""Items of the requests whose time is taken."""


@dataclass(frozen=True)
class Duration:
    """What a comparison will ask of its model."""

    requests: int
    seconds: float | None
    """From the time that a few requests took, a batch of messages and one of answers; None where
    one of them got no reply, or where there are few in all."""


@dataclass
class _Counted:
    """A member that counts what is asked of it."""

    said: int = 0
    answered: int = 0

    def speak(self, items: Any, seen: Observation, rng: np.random.Generator) -> NDArray[Any]:
        self.said += len(items) * bool(seen.hearers)
        return np.full(len(items), "something", dtype=object)

    def answer(
        self, items: Any, seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        self.answered += len(items)
        return np.zeros(len(items), dtype=int), np.zeros(len(items))


def expected_duration(plan: TopologyPlan) -> Duration:
    """Returns what a comparison with a model will take.

    Raises:
        ServerError: the model refuses to answer.
        CounterpointError: the plan does not fit its world, or the model cannot be used.
    """
    design = lay_out(plan)
    said, answered = _asked(design)
    count = plan.seeds * plan.items
    if count * (said + answered) < FEW:
        return Duration(count * (said + answered), None)
    seats = design.seats()
    tried = min(TRIED, plan.items)
    items = design.world.draw(np.random.default_rng([0, ITEMS]), tried)
    member, rng = seats.members(design.prompts[0], None)[0], np.random.default_rng(0)
    begun = time.monotonic()
    member.speak(items, Observation(0, 0), rng)
    spoken = time.monotonic()
    member.answer(items, Observation(0, 0), rng)
    ended = time.monotonic()
    each = said * (spoken - begun) + answered * (ended - spoken)
    return Duration(count * (said + answered), None if seats.meter.errors else count * each / tried)


def _asked(design: Design) -> tuple[int, int]:
    """Returns how many messages and answers an item of one seed takes, in all cells."""
    size, one = design.world.settings.members, _Counted()
    item = [None]
    for name, _, _, order in design.cells:
        play(design.seatings[name][order], item, 1, [one] * size, np.random.default_rng(0),
             guards=design.plan.guards)  # fmt: skip
    # each member alone, and one with everything that answers as often
    return one.said, one.answered + 2 * size * len(design.prompts)
