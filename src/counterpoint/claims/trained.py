"""Teams of the exact worlds, trained for a claim: every scheme meets the same seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.base import ClaimPlan, outcome
from counterpoint.diagnose.kept import LOW, kept_in_each
from counterpoint.results.claims import Outcome
from counterpoint.train.tabular.learner import Training, train
from counterpoint.train.tabular.telemetry import improvable_at
from counterpoint.worlds.registry import find_world

WAYS: Mapping[str, str] = {
    "mappo_pooled": "pooled",
    "mappo_per_agent": "per agent",
    "group_reward_decoupled": "running per agent",
    "adaptive": "adaptive",
    "gdpo": "per component",
    "difference": "difference reward",
    "counterfactual": "counterfactual baseline",
}
"""Scheme or baseline to its name in tables."""


class Trainings:
    """Trainings with the seeds of a plan; the same one is done once."""

    def __init__(self, plan: ClaimPlan) -> None:
        self.seeds = plan.seeds
        self._done: dict[str, Training] = {}

    def of(self, world: str, scheme: str, **settings: object) -> Training:
        """Returns the training of a scheme in a world with these settings."""
        key = f"{world} {scheme} {sorted(settings.items())}"
        if key not in self._done:
            self._done[key] = train(find_world(world).make(settings), scheme, self.seeds)
        return self._done[key]

    def ends(self, world: str, scheme: str, **settings: object) -> Floats:
        """Returns [S] the return at the end."""
        return self.of(world, scheme, **settings).returns[:, -1]

    def outcomes(self, world: str, ways: tuple[str, ...], **settings: object) -> list[Outcome]:
        """Returns the return at the end of each way."""
        return [outcome(WAYS[way], self.ends(world, way, **settings)) for way in ways]


def collapsed(training: Training) -> np.ndarray:
    """Returns [S] whether a training, looked at alone, shows an agent that lost its signal."""
    kept = kept_in_each(training.evidence, improvable_at(training.accuracy))
    return np.asarray((kept.high < LOW).any(axis=-1))
