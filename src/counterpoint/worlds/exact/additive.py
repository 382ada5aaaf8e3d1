"""`homogeneous` and `unequal_stakes`: everybody always acts, and the reward is a sum of parts.

In `homogeneous` all parts weigh the same, and only the number of agents makes the task hard: the
gradient of one among n is diluted, whatever the normalization. In `unequal_stakes` the parts weigh
from 1 to `ratio`, so the small ones vanish in the large ones' variance until those are learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.settings import Range
from counterpoint.worlds.exact.targets import TargetWorld, accuracies, team_play
from counterpoint.worlds.exact.world import Evaluation, Play, Settings


@dataclass(frozen=True, kw_only=True)
class HomogeneousSettings(Settings):
    """Settings of `homogeneous`."""

    lr: float = 0.3
    agents: Annotated[int, Range(2, 64)] = 8
    """Team size."""


@dataclass(frozen=True, kw_only=True)
class UnequalStakesSettings(Settings):
    """Settings of `unequal_stakes`."""

    agents: Annotated[int, Range(2, 64)] = 8
    """Team size."""
    ratio: Annotated[float, Range(1.0, 1e9)] = 100.0
    """Largest stake over the smallest; those between are evenly spaced in their logarithm."""


class Additive(TargetWorld):
    """Reward = sum over agents of stake x (is it right?), and each term is a component.

    The return is the expected reward as a share of the best, so the reward-weighted return
    is the same number. The difference reward and the agent's own component are the same thing here:
    its own term.
    """

    actions = 4
    baselines = ("counterfactual", "difference", "own_component")
    random, optimal = 0.25, 1.0
    stakes: Floats
    """[A] the reward of each agent's success."""

    def __init__(self, settings: Settings, agents: tuple[str, ...], stakes: Floats) -> None:
        super().__init__(settings)
        self.agents, self.stakes = agents, stakes
        self.slots = tuple((agent, 0) for agent in range(len(agents)))
        self.components = tuple(f"of_{agent}" for agent in agents)

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        answers = self.answers(tasks, chance, probs)
        own = self.stakes * answers.right
        total = own.sum(axis=-1)
        play = team_play(chance["context"], answers, total, self.stakes, total / self.stakes.sum())
        return replace(
            play,
            components=np.broadcast_to(own[..., None, :], (*own.shape, own.shape[-1])),
            signals={**play.signals, "own_component": own},
        )

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        accuracy, share = accuracies(tasks, probs), self.stakes / self.stakes.sum()
        returns = accuracy @ share
        return Evaluation(returns, returns, accuracy, (1 - accuracy) * share)


class Homogeneous(Additive):
    """n equal contributors. Every agent sees a context of its own in every rollout, one of 16.

    The number of contexts and the learning rate were chosen so that the updates to a return of 90%
    are those that were measured: 9 for two agents, 89 for 32.
    """

    name = "homogeneous"
    settings_type = HomogeneousSettings
    summary = "n equal contributors, all always present: the signal of one is diluted"
    source = "ours; the signal-to-noise of one among n additive contributors falls as 1/n"
    contexts = 16
    settings: HomogeneousSettings

    def __init__(self, settings: HomogeneousSettings | None = None) -> None:
        settings = settings or HomogeneousSettings()
        n = settings.agents
        super().__init__(settings, tuple(f"agent_{k}" for k in range(n)), np.full(n, 1.0 / n))

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        shape = (self.prompts, self.rollouts, len(self.slots))
        return {"context": rng.integers(self.contexts, size=shape), "uniforms": rng.random(shape)}


class UnequalStakes(Additive):
    """Stakes from 1 to 100 in one summed reward. A prompt has one of 8 contexts for everybody."""

    name = "unequal_stakes"
    settings_type = UnequalStakesSettings
    summary = "one summed reward in which the largest part is 100 times the smallest"
    source = "ours; the components are those of GDPO, arXiv 2601.05242"
    contexts = 8
    settings: UnequalStakesSettings

    def __init__(self, settings: UnequalStakesSettings | None = None) -> None:
        settings = settings or UnequalStakesSettings()
        stakes = np.geomspace(1.0, settings.ratio, settings.agents)
        digits = [np.format_float_positional(x, 3, fractional=False, trim="-") for x in stakes]
        names = tuple(f"stake_{text}".replace(".", "_") for text in digits)
        if len(set(names)) < len(names):
            names = tuple(f"stake_{k}" for k in range(settings.agents))
        super().__init__(settings, names, stakes)
