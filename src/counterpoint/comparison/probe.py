"""Can decoupling matter on a world at all? Asked of rewards alone, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterpoint.credit import Scheme
from counterpoint.diagnose import diagnose
from counterpoint.records import Decisions
from counterpoint.train.arms import labels
from counterpoint.worlds.exact.permuted import in_natural_order
from counterpoint.worlds.exact.world import CHANCE, TASK, World, stack

BATCHES = 40
"""How many batches of the untrained team a probe looks at, spread over the run."""


@dataclass(frozen=True)
class Probe:
    """Whether decoupling can matter, from what the untrained team does."""

    verdict: str
    """`matters`, `no-op` or `cannot tell`."""
    conditions: tuple[str, ...]
    """Conditions under which it matters: C1 to C6."""
    max_difference: float | None = None
    """Largest difference of an advantage between the reference and its decoupled twin on the very
    same batches, relative to the largest; None where statistical tests gave the verdict."""


def probe(world: World, scheme: Scheme, *, seed: int = 0) -> Probe:
    """Returns what a diagnosis of `scheme` says on batches of the untrained team."""
    rng = np.random.default_rng(seed)
    decoupling = diagnose(untrained_log(world, seed=seed), scheme, rng=rng).decoupling
    return Probe(decoupling.verdict, tuple(decoupling.conditions))


def untrained_log(world: World, *, seed: int = 0) -> Decisions:
    """What a team that chooses uniformly is rewarded for, as a log of at most `BATCHES` updates."""
    world = in_natural_order(world)
    tasks = stack([world.tasks(np.random.default_rng([seed, TASK]))])
    chance = np.random.default_rng([seed, CHANCE])
    updates = world.settings.updates
    looked_at = set(np.linspace(0, updates - 1, min(BATCHES, updates)).astype(int).tolist())
    parts = []
    for update in range(updates):
        drawn = world.draw(chance, update)  # chance is one stream: what is skipped is drawn too
        if update in looked_at:
            play = world.play(tasks, stack([drawn]), world.uniform(1))
            rows, columns = labels(world, play.active)
            parts.append((update, play.reward.ravel()[rows], columns))
    columns = {
        name: np.concatenate([columns[name] for _, _, columns in parts])
        for name in parts[0][2]
        if name != "batch"
    }
    columns["agent"] = np.asarray(world.agents)[columns["agent"]]
    rewards = np.concatenate([rewards for _, rewards, _ in parts])
    step = np.concatenate([np.full(len(rewards), update) for update, rewards, _ in parts])
    return Decisions(rewards[:, None], ("reward",), columns, step)
