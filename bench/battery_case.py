"""One log of the battery to be drawn, and what an honest reader should conclude from it.

A `Truth` follows from how the log was made, by the meaning of the
causes and never by a detector's thresholds; what is planted is far stronger than any reasonable
threshold and its healthy twin far weaker (`tests/diagnose/test_battery.py` measures both on the
files). Where two readings are honest, both are accepted, and the comment beside says why:

DEAD (dead groups): most decisions that could still gain have no advantage.
DROWNED (variance mismatch): the scale is shared with others whose rewards vary far more.
OFFSET (baseline offset): the mean that is subtracted is far from this agent's own.
SPIKY (advantage spikes): running statistics lag behind the rewards.
DILUTED (credit noise): an agent's own choices explain little of its reward; needs actions.
LAZY (no exploration): an agent always chooses the same; needs actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from battery_files import Columns
from battery_world import Floats, World

Rng = np.random.Generator
Causes = tuple[str | None, ...]

NONE: Causes = (None,)
NAMES = (
    "planner",
    "coder",
    "tester",
    "critic",
    "searcher",
    "writer",
    "router",
    "judge",
    "agent_0",
    "agent_1",
    "worker-a",
    "worker-b",
    "p0",
    "p1",
    "left",
    "right",
)

BATCH = ("mappo_pooled", "mappo_per_agent", "agent_wise", "grpo", "agent_mean")
"""Schemes without memory that a team may be trained with."""
BY_PROMPT = ("grpo", "dr_grpo", "rloo", "gdpo", "rank", "lite_ppo")
"""Schemes that compare the rollouts of one prompt."""


@dataclass(frozen=True)
class Truth:
    """What an honest reader concludes from a log."""

    causes: Mapping[str, Causes] = field(default_factory=dict)
    """Agent to the causes that are right for it; None is no cause."""
    others: Causes = NONE
    """What is right for every other agent."""
    verdicts: tuple[str, ...] = ()
    """Right verdicts about decoupling; empty where several are honest."""
    fault: str = ""
    """What is wrong with the log itself, one of `FAULTS`; empty where nothing is."""
    silent: bool = False
    """Whether no scheme may be recommended."""


@dataclass(frozen=True)
class Case:
    """One log to be drawn and judged."""

    kind: str
    world: World
    scheme: str
    truth: Truth
    updates: int = 20
    rate: float = 0.1
    """Step size while the log is written: small, so that the log stays what was planted."""
    seed: int = 0
    actions: bool = False
    stepless: bool = False
    """Whether the log has no `step` column (its prompts are new in every update)."""
    promptless: bool = False
    """Whether the log has no `prompt` column, as logs of games have none."""
    spoil: Callable[[Columns], Columns] | None = None
    """What breaks the log after it was drawn."""

    @property
    def healthy(self) -> bool:
        """Returns whether nothing is planted."""
        return not self.truth.causes and self.truth.others == NONE and not self.truth.fault


FAULTS = (
    "repeated keys",
    "repeated rows",
    "constant",
    "missing",
    "last row",
    "groups of one",
    "one component",
    "agent constant",
    "agent missing",
)
"""What may be wrong with a log, in our words."""


def spread(rng: Rng, agents: int, contexts: int, low: float = 0.3, high: float = 0.65) -> Floats:
    """Returns skills [A, C]: tasks differ in difficulty, agents a little."""
    task = rng.uniform(low + 0.05, high - 0.05, contexts)
    return np.clip(task + rng.uniform(-0.05, 0.05, (agents, contexts)), low, high)


def team(rng: Rng, count: int) -> tuple[str, ...]:
    """Names of a team."""
    if count > len(NAMES):
        return tuple(f"agent_{k:02d}" for k in range(count))
    return tuple(str(name) for name in rng.choice(NAMES, count, replace=False))


def world(rng: Rng, count: int, /, *, low: float = 0.3, high: float = 0.65, **knobs: Any) -> World:
    """Returns a healthy team of ordinary size, in which `knobs` replace settings."""
    contexts = int(knobs.pop("contexts", rng.integers(4, 7)))
    names = knobs.pop("agents", None) or team(rng, count)
    drawn = {
        "prompts": int(rng.integers(3, contexts + 1)),
        "rollouts": int(rng.choice([8, 10, 12, 16])),
        "targets": int(rng.integers(10**6)),
        "fresh": bool(rng.random() < 0.5),
        "actions": int(rng.integers(3, 6)),
    }
    skill = knobs.pop("skill", None)
    skill = spread(rng, count, contexts, low, high) if skill is None else skill
    return World(names, skill, **(drawn | knobs))


def pick(rng: Rng, names: tuple[str, ...]) -> str:
    """Returns one of the names."""
    return str(rng.choice(names))
