"""`boat_race`: boats are paid for checkpoints and not for laps, and circling has more of them.

At first everything that is no drifting pays, so proxy and truth rise together; then circling takes
over, and the proxy goes on rising while the boats stop racing. Nobody planted it: it grows from
learning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.errors import SettingError
from counterpoint.settings import Range
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, World, sample

DRIFT, RACE, CIRCLE = 0, 1, 2
"""Actions: nothing; along the track; around the last checkpoint."""


@dataclass(frozen=True, kw_only=True)
class BoatRaceSettings(Settings):
    """Settings of `boat_race`."""

    parameters: Literal["shared", "separate"] = "separate"
    lr: float = 0.05
    paid: Literal["proxy", "shaped", "true"] = "proxy"
    """What boats are paid: checkpoints; checkpoints and `shaping` for each stretch of track;
    laps."""
    circle: Annotated[float, Range(0.0, 1e3)] = 1.3
    """Checkpoints of a turn of circling, where a turn of racing has 1."""
    shaping: Annotated[float, Range(0.0, 1e3)] = 1.0
    """What a stretch of track pays in addition, where the pay is shaped."""
    noise: Annotated[float, Range(0.0, 1e3)] = 0.5
    """Standard deviation of a rollout's pay."""
    boats: Annotated[int, Range(1, 64)] = 2
    """Boats of the team."""
    turns: Annotated[int, Range(1, 64)] = 4
    """Turns of each boat."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.circle <= 0:
            raise SettingError(f"got circle={self.circle}; wanted a number above 0")


class BoatRace(World):
    """Boats that drift, race or circle, paid as a team.

    The proxy of a turn is 1 for racing and `circle` for circling; the truth is 1 for racing alone.
    A batch has 8 x 8 rollouts. The return is the share of turns that are raced, which nobody is
    paid for unless `paid=true`; a boat is right where it races.
    """

    name = "boat_race"
    settings_type = BoatRaceSettings
    summary = "checkpoints are paid, laps are meant: the proxy outgrows the truth while it learns"
    source = "ours, after the boat race of Clark and Amodei 2016"
    contexts, actions = 1, 3
    control: ClassVar[Mapping[str, str | float]] = {"paid": "true"}
    random, optimal = 1 / 3, 1.0
    settings: BoatRaceSettings

    def __init__(self, settings: BoatRaceSettings | None = None) -> None:
        super().__init__(settings)
        given = self.settings
        boats, turns = range(given.boats), range(given.turns)
        self.agents = tuple(f"boat_{i:02d}" for i in boats)
        self.slots = tuple((boat, turn) for turn in turns for boat in boats)
        pay = {"proxy": (0.0, 1.0, given.circle), "true": (0.0, 1.0, 0.0),
               "shaped": (0.0, 1.0 + given.shaping, given.circle)}  # fmt: skip
        self.pay = np.array(pay[given.paid])
        """By action, what is paid for it."""
        self.proxy = np.array(pay["proxy"])
        """By action, its checkpoints."""

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return {"nothing": np.zeros(1)}

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        shape = (self.prompts, self.rollouts)
        return {
            "noise": rng.standard_normal(shape),
            "uniforms": rng.random((*shape, len(self.slots))),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        uniforms = chance["uniforms"]
        boat = np.array([boat for boat, _ in self.slots])
        context = np.zeros(uniforms.shape, dtype=np.int64)
        action = sample(probs, boat, context, uniforms)
        paid = self.pay[action].mean(axis=-1) + self.settings.noise * chance["noise"]
        return Play(
            context=context,
            action=action,
            active=np.ones(action.shape, dtype=bool),
            reward=np.broadcast_to(paid[..., None], action.shape),
            outcome=(action == RACE).mean(axis=-1),
        )

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        accuracy = probs[:, :, 0, RACE]
        returns = accuracy.mean(axis=-1)
        return Evaluation(returns, returns, accuracy, (1 - accuracy) / len(self.agents))

    def solution(self, tasks: NamedArrays) -> Floats:
        probs = np.zeros((len(tasks["nothing"]), len(self.agents), 1, self.actions))
        probs[..., RACE] = 1
        return probs
