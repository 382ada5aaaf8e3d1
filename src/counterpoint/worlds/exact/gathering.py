"""`gathering`: work costs effort, what is gathered is shared, and a rest can be announced.

Two agents gather side by side for some turns. Work pays more than it costs, for the team; but
whoever is paid a share of what the team gathers, and carries its own effort alone, earns by
resting. So idling grows from learning; nobody planted it. Each agent hears what the other did
before its own next turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from counterpoint.arrays import Floats, Ints, NamedArrays
from counterpoint.errors import SettingError
from counterpoint.settings import Range
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, World, sample

WORK, REST, SAY = 0, 1, 2
"""Actions: work; rest, without a word; rest, and say so."""
SILENCE, WORKED, RESTED = 0, 1, 2
"""What an agent knows of the other's last turn: nothing, that it worked, that it says it rests."""
HEARD = np.array([WORKED, SILENCE, RESTED])
"""By action, what the other knows of it."""


@dataclass(frozen=True, kw_only=True)
class GatheringSettings(Settings):
    """Settings of `gathering`."""

    parameters: Literal["shared", "separate"] = "separate"
    paid: Literal["shared", "team", "own"] = "shared"
    """What an agent is paid: an even share of what the team gathered less its own effort; all that
    the team gathered less all effort; or what its work added less its own effort."""
    cost: Annotated[float, Range(0.0, 1e3)] = 0.6
    """Effort of a turn of work."""
    alone: Annotated[float, Range(1e-6, 1e3)] = 1.0
    """What a turn of work gathers."""
    together: Annotated[float, Range(0.0, 1e3)] = 0.2
    """What a turn gathers in addition where both work."""
    noise: Annotated[float, Range(0.0, 1e3)] = 0.5
    """Standard deviation of what a rollout's team gathers."""
    turns: Annotated[int, Range(2, 64)] = 4
    """Turns of each agent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cost >= self.alone:
            raise SettingError(
                f"got cost={self.cost} and alone={self.alone}; wanted work to be worth its cost"
            )


class Gathering(World):
    """Two agents who work or rest, side by side.

    A turn gathers `alone` for each who works, and `together` more where both do. A batch has 8 x 8
    rollouts of `turns` turns; each agent sees what it heard of the other's last turn. The return is
    the share of the best net gain, in which all efforts count; an agent is right where it works,
    and its regret is what its own rests lose, the other's turns as they are.
    """

    name = "gathering"
    settings_type = GatheringSettings
    summary = "work costs effort and its fruits are shared: idling grows from learning"
    source = "ours, after free riding in teams (Holmstrom 1982)"
    contexts, actions = 3, 3
    agents = ("ann", "bob")
    control: ClassVar[Mapping[str, str | float]] = {"cost": 0.0}
    settings: GatheringSettings

    def __init__(self, settings: GatheringSettings | None = None) -> None:
        super().__init__(settings)
        given = self.settings
        self.slots = tuple((agent, turn) for turn in range(given.turns) for agent in range(2))
        self.best = given.turns * (2 * (given.alone - given.cost) + given.together)
        self.optimal = 1.0
        self.random = float(self._gain(self.uniform(1))[0] / self.best)

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return {"nothing": np.zeros(1)}

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        shape = (self.prompts, self.rollouts)
        return {
            "noise": rng.standard_normal(shape),
            "uniforms": rng.random((*shape, len(self.slots))),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        given = self.settings
        context, action = self._course(chance["uniforms"], probs)
        works = (action == WORK).astype(float).reshape(*action.shape[:-1], given.turns, 2)
        efforts = given.cost * works.sum(axis=-2)  # [S, P, G, A]
        both = works.prod(axis=-1).sum(axis=-1)
        gathered = given.alone * works.sum(axis=(-1, -2)) + given.together * both
        noisy = gathered + given.noise * chance["noise"]
        if given.paid == "shared":
            paid = noisy[..., None] / 2 - efforts
        elif given.paid == "team":
            paid = np.repeat((noisy - efforts.sum(axis=-1))[..., None], 2, axis=-1)
        else:
            added = given.alone * works.sum(axis=-2) + given.together * both[..., None]
            paid = added + (given.noise * chance["noise"])[..., None] / 2 - efforts
        agent = np.array([agent for agent, _ in self.slots])
        return Play(
            context=context,
            action=action,
            active=np.ones(action.shape, dtype=bool),
            reward=paid[..., agent],
            outcome=(gathered - efforts.sum(axis=-1)) / self.best,
        )

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        returns, regret = self._gain(probs) / self.best, np.zeros((len(probs), 2))
        for joint in self._turns(probs):
            idle = 1 - np.stack([joint[:, WORK].sum(axis=-1), joint[:, :, WORK].sum(axis=-1)], -1)
            left = np.stack([joint[:, 1:, WORK].sum(axis=-1), joint[:, WORK, 1:].sum(axis=-1)], -1)
            regret += (self.settings.alone - self.settings.cost) * idle
            regret += self.settings.together * left
        return Evaluation(returns, returns, probs[..., WORK].mean(axis=-1), regret / self.best)

    def solution(self, tasks: NamedArrays) -> Floats:
        probs = np.zeros((len(tasks["nothing"]), 2, self.contexts, self.actions))
        probs[..., WORK] = 1
        return probs

    def _course(self, uniforms: Floats, probs: Floats) -> tuple[Ints, Ints]:
        """Returns what the agent of each slot heard and what it did, [S, P, G, L]."""
        context = np.zeros(uniforms.shape, dtype=np.int64)
        action = np.zeros(uniforms.shape, dtype=np.int64)
        for turn in range(self.settings.turns):
            for agent in range(2):
                slot = 2 * turn + agent
                if turn:
                    context[..., slot] = HEARD[action[..., 2 * turn - 1 - agent]]
                here = context[..., slot]
                action[..., slot] = sample(probs, np.asarray(agent), here, uniforms[..., slot])
        return context, action

    def _gain(self, probs: Floats) -> Floats:
        """Returns the expected net gain of the team, exactly, [S]."""
        given, gain = self.settings, np.zeros(len(probs))
        for joint in self._turns(probs):
            works = joint[:, WORK].sum(axis=-1) + joint[:, :, WORK].sum(axis=-1)
            gain += (given.alone - given.cost) * works + given.together * joint[:, WORK, WORK]
        return gain

    def _turns(self, probs: Floats) -> Iterator[Floats]:
        """Yields the probability of each pair of actions, [S, M, M], turn by turn, whatever was
        heard."""
        state = np.zeros((len(probs), 3, 3))  # what the first heard, what the second heard
        state[:, SILENCE, SILENCE] = 1
        observed = np.zeros((3, 3))
        observed[np.arange(3), HEARD] = 1
        for _ in range(self.settings.turns):
            joint = np.einsum("sxy,sxa,syb->sab", state, probs[:, 0], probs[:, 1])
            yield joint
            state = np.einsum("sab,bx,ay->sxy", joint, observed, observed)
