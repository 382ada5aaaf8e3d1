"""Teams of message environments, played for a claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.base import ClaimPlan
from counterpoint.topology.design import SeedScores, SeedTask, TopologyPlan, lay_out, references

ITEMS = 60


@dataclass(frozen=True)
class Talks:
    """The scores of every topology under every prompt, seed by seed."""

    scores: Mapping[str, Floats]
    """Topology to [S, P]; the mean over orders."""
    prompts: tuple[str, ...]
    best_member: Floats
    """[S, P] the member that is best alone, chosen on one half of the items."""
    one_agent: Floats
    """[S, P] one agent with all that the team has."""
    calls: Mapping[str, float]
    """Topology to calls for an item."""

    def at(self, topology: str, prompt: str) -> Floats:
        """Returns [S] the score of a topology under a prompt."""
        return self.scores[topology][:, self.prompts.index(prompt)]

    def table(self, topologies: tuple[str, ...]) -> Floats:
        """Returns [topologies, S, P]."""
        return np.stack([self.scores[name] for name in topologies])


def talks(plan: ClaimPlan, world: str, items: int = ITEMS, **settings: object) -> Talks:
    """Plays all topologies under all prompts, with the seeds of a plan."""
    design = TopologyPlan(world, seeds=plan.count, items=items, settings=settings)
    seeds: list[SeedScores] = [SeedTask(design, seed, {})(_nothing) for seed in plan.seeds]
    against = references(seeds)
    return Talks(
        {name: np.stack([one.scores[name].mean(axis=1) for one in seeds])
         for name in design.topologies},
        lay_out(design).prompts,
        against["best_member"],
        against["single_agent"],
        seeds[0].calls,
    )  # fmt: skip


def _nothing(message: object = None, /) -> None:
    """Takes no notice of progress."""
