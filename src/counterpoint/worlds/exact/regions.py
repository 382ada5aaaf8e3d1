"""`regions`: a quiet pair of agents and a loud one share a reward but never an episode.

Every rollout happens in a stable or in a volatile region. The stable pair acts in the one, the
volatile pair in the other, and each rollout has one team reward. The volatile region's rewards and
noise are `scale` times larger, so statistics pooled over both pairs are those of the volatile pair.
The quiet pair keeps 1 / scale of its signal, and gets an offset that does not depend on its
actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from counterpoint.arrays import Bools, Floats, NamedArrays
from counterpoint.errors import SettingError
from counterpoint.settings import Range
from counterpoint.worlds.exact.targets import TargetWorld, accuracies, team_play
from counterpoint.worlds.exact.world import Evaluation, Play, Settings

NOISE = {"stable": 0.1, "volatile": 1.0}
"""Standard deviation of a rollout's reward noise, before the region's scale."""


@dataclass(frozen=True, kw_only=True)
class RegionsSettings(Settings):
    """Settings of `regions`."""

    scale: Annotated[float, Range(1e-6, 1e6)] = 10.0
    """Factor on the rewards and the noise in the volatile region."""
    participation: Literal["by_region", "everyone"] = "by_region"
    """The agents that act: the region's own agents, or all agents in every rollout (the null
    control)."""
    drawn: Literal["per_prompt", "in_rollout"] = "per_prompt"
    """Whether the rollouts of a prompt share a region, or each draws its own."""
    agents: Annotated[int, Range(2, 64)] = 4
    """Team size, an even number: half of them stable, half volatile."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.agents % 2:
            raise SettingError(f"got agents={self.agents}; wanted an even number: half per region")


class Regions(TargetWorld):
    """Stable and volatile agents, one team reward.

    A batch has 8 prompts x 8 rollouts. A prompt has one of 8 contexts, seen by the whole team, and
    a region by a fair coin. Each agent has 4 actions, one of them right; which one depends on the
    agent, the context and the seed. With c the share of acting agents that are right, the reward
    is c + .1 e in the stable region and scale (c + e) in the volatile one, e ~ N(0, 1).

    With all agents present the region decides only how noisy a rollout is: the reward is c + .1 e
    or c + scale e. Every agent then acts in every rollout and receives the same rewards, so that
    statistics by agent and statistics of all agents are the same numbers.

    The return is the share of the optimum, with equal weights for the regions; the reward-weighted
    return weights the regions by their rewards, as the sum of rewards does.
    """

    name = "regions"
    settings_type = RegionsSettings
    summary = "quiet agents share one reward, and no episode, with agents of a volatile region"
    source = "ours, after the published observation that pooled statistics drown a quiet agent"
    contexts, actions = 8, 4
    baselines = ("counterfactual", "difference")
    control: ClassVar[Mapping[str, str | float]] = {"participation": "everyone"}
    random, optimal = 0.25, 1.0
    settings: RegionsSettings

    def __init__(self, settings: RegionsSettings | None = None) -> None:
        super().__init__(settings)
        half = self.settings.agents // 2
        pairs = [(region, i) for region in ("stable", "volatile") for i in range(half)]
        self.agents = tuple(f"{region}_{i}" for region, i in pairs)
        self.slots = tuple((agent, 0) for agent in range(len(self.agents)))
        self.volatile = np.array([region == "volatile" for region, _ in pairs])

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        p, g, slots = self.prompts, self.rollouts, len(self.slots)
        regions = (p, 1) if self.settings.drawn == "per_prompt" else (p, g)
        return {
            "volatile": np.broadcast_to(rng.random(regions) < 0.5, (p, g)),
            "context": np.broadcast_to(rng.integers(self.contexts, size=(p, 1, 1)), (p, g, slots)),
            "noise": rng.standard_normal((p, g)),
            "uniforms": rng.random((p, g, slots)),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        context, volatile = chance["context"], chance["volatile"]
        answers = self.answers(tasks, chance, probs)
        scale, noise = self._loudness(volatile)
        active = np.ones_like(answers.right)
        if self.settings.participation == "by_region":
            active = volatile[..., None] == self.volatile
        weight = scale[..., None] * active / active.sum(axis=-1, keepdims=True)
        reward = (weight * answers.right).sum(axis=-1) + noise * chance["noise"]
        return team_play(context, answers, reward, weight, reward / scale, active)

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        accuracy = accuracies(tasks, probs)
        stable = accuracy[:, ~self.volatile].mean(axis=-1)
        volatile = accuracy[:, self.volatile].mean(axis=-1)
        loud = 1.0 if self.settings.participation == "everyone" else self.settings.scale
        return Evaluation(
            returns=(stable + volatile) / 2,
            weighted_returns=(stable + loud * volatile) / (1 + loud),
            accuracy=accuracy,
            regret=(1 - accuracy) / len(self.agents),
        )

    def _loudness(self, volatile: Bools) -> tuple[Floats, Floats]:
        """Returns the scale of the reward and the deviation of the noise, [S, P, G]."""
        loud = self.settings.scale
        noise = np.where(volatile, loud * NOISE["volatile"], NOISE["stable"])
        if self.settings.participation == "everyone":
            return np.ones(volatile.shape), noise
        return np.where(volatile, loud, 1.0), noise
