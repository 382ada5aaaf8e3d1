"""`all_hands`: the team is paid only if everybody is right, so most groups of rollouts are dead.

With success p each, a rollout succeeds with q = p^n, and a group of G rollouts has no variance, so
no signal, with probability q^G + (1 - q)^G: nearly always in a large team that is untrained. The
success bits of the agents are there as components; they are more information than the reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.settings import Range
from counterpoint.worlds.exact.targets import TargetWorld, accuracies
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, chosen


@dataclass(frozen=True, kw_only=True)
class AllHandsSettings(Settings):
    """Settings of `all_hands`."""

    updates: int = 400
    lr: float = 0.1
    agents: Annotated[int, Range(2, 32)] = 6
    """Team size."""


class AllHands(TargetWorld):
    """Reward 1 if all agents are right, else 0. A batch has 16 prompts x 8 rollouts.

    A prompt has one of 16 contexts for everybody; each agent has 3 actions, one of them right.
    `reward` is the team's reward alone, and that is what a scheme that sums first is given; the
    `components` are the agents' success bits, for schemes that normalize first, and an agent's own
    bit is its `own_component`. The number of actions and the learning rate were chosen so that the
    updates to a return of 90% are those that were measured.
    """

    name = "all_hands"
    settings_type = AllHandsSettings
    summary = "the team is paid only if everybody is right: most groups have no variance"
    source = "ours; the components are those of GDPO, arXiv 2601.05242"
    contexts, actions, prompts = 16, 3, 16
    baselines = ("counterfactual", "difference", "own_component")
    optimal = 1.0
    settings: AllHandsSettings

    def __init__(self, settings: AllHandsSettings | None = None) -> None:
        super().__init__(settings)
        self.agents = tuple(f"agent_{k}" for k in range(self.settings.agents))
        self.slots = tuple((agent, 0) for agent in range(len(self.agents)))
        self.components = tuple(f"{agent}_is_right" for agent in self.agents)
        self.random = self.actions ** -float(len(self.agents))

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        answers = self.answers(tasks, chance, probs)
        bits = answers.right.astype(np.float64)
        missed = len(self.agents) - bits.sum(axis=-1, keepdims=True)
        rest = (missed - (1 - bits) == 0).astype(np.float64)  # all the others are right
        success = (missed == 0).astype(np.float64)
        return Play(
            context=chance["context"],
            action=answers.action,
            active=np.ones(bits.shape, dtype=bool),
            reward=np.broadcast_to(success, bits.shape),
            outcome=success[..., 0],
            components=np.broadcast_to(bits[..., None, :], (*bits.shape, bits.shape[-1])),
            signals={
                "counterfactual": rest * answers.chance,
                "difference": rest * bits,
                "own_component": bits,
            },
        )

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        right = chosen(probs, tasks["target"])  # [S, A, C]
        returns = right.prod(axis=1).mean(axis=-1)
        agents = range(len(self.agents))
        perfect = [np.delete(right, k, axis=1).prod(axis=1).mean(axis=-1) for k in agents]
        regret = np.stack(perfect, axis=-1) - returns[:, None]
        return Evaluation(returns, returns, accuracies(tasks, probs), regret)
