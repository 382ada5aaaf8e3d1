"""Comparisons in a text environment: language-model agents, a task for each training.

Controls and probes before any training use a random team. It chooses every word with equal
probability, and repeats some words of its prompt if it writes freely. It needs no model.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.comparison.backend import TrainedComparison
from counterpoint.comparison.decoupling import (
    Pair,
    Probe,
    relative_difference,
    untrained_control,
    untrained_log,
)
from counterpoint.comparison.plan import Plan
from counterpoint.credit import advantages
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.log import SAME
from counterpoint.results.comparison import Control, References
from counterpoint.train.lora.episodes import PlayedBatch, play_episodes, random_replies
from counterpoint.train.lora.learner import text_scheme
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.text.world import PLAIN, TextWorld

DEFAULT_SCHEMES = (
    "mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "agent_mean", "adaptive",
)  # fmt: skip
"""Pooled, per agent, per agent with memory, a per-agent mean alone, and adaptive."""
BATCHES = 3
"""Batches of the untrained team that are examined."""


class TextComparison(TrainedComparison):
    """A comparison in a text environment.

    Raises:
        UnknownNameError, SettingError, SchemeError, MissingPackageError: as `backend_of`.
    """

    axis, kind = "update", "text"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.schemes = plan.schemes or DEFAULT_SCHEMES
        for name in self.schemes:
            text_scheme(name)
        first = LanguagePlan.of(plan.world, self.schemes[0], plan.budget, plan.settings, plan.model)
        self.first = replace(first, seconds=plan.seconds)
        self.budget, self.notes = self.first.budget, self.first.notes
        self.world = self.first.make_world()
        self.agents = tuple(sorted(self.world.agents))
        self.world_name, self.summary = plan.world, self.world.summary
        self.references = References(**asdict(self.world.references))
        self.model = self.first.model
        self.settings = {**asdict(self.world.settings), **asdict(self.first.language)}

    def check(self) -> tuple[str, ...]:
        return find_world(self.plan.world, Kind.TEXT).check(self.first.world_settings)

    def training(self, scheme: str, seed: int) -> LanguagePlan:
        return replace(self.first, scheme=scheme, seed=seed)

    def control(self, pair: Pair) -> Control | None:
        """Returns the control: with the same reward for all, decoupling must change no advantage.

        None if agents do not all speak equally often: arithmetic does not say so then.
        """
        entry = find_world(self.plan.world, Kind.TEXT)
        apart = entry.make({**self.first.world_settings, **PLAIN})
        played = self._untrained(apart)
        for batch in played:
            turns = np.zeros((len(batch.tasks), len(self.agents)), dtype=int)
            np.add.at(turns, (batch.episode, batch.columns["agent"]), 1)
            if (turns != turns[0, 0]).any():
                return None
        setting = "speaker_scale=1, speaker_offset=0, speaker_noise=0"
        return untrained_control(setting, _difference(played, pair))

    def probe(self, pair: Pair) -> Probe:
        played = self._untrained(self.world)
        difference = _difference(played, pair)
        if difference <= SAME:
            return Probe("no-op", (), difference)
        names = ("prompt", "rollout", "agent", "turn")
        batches = [(step, batch.rewards, {name: batch.columns[name] for name in names})
                   for step, batch in enumerate(played)]  # fmt: skip
        log = untrained_log(batches, self.agents, self.world.components)
        diagnosis = diagnose(log, pair.reference, rng=np.random.default_rng(0))
        return Probe("matters", tuple(sorted(diagnosis.decoupling.conditions)), difference)

    def _untrained(self, world: TextWorld) -> list[PlayedBatch]:
        rng, settings = np.random.default_rng(0), self.first.language
        return [
            play_episodes(world, random_replies, rng, settings.prompts, settings.rollouts)
            for _ in range(BATCHES)
        ]


def _difference(played: list[PlayedBatch], pair: Pair) -> float:
    """Returns the largest difference of an advantage between the twins, relative to the largest."""
    values: list[Floats] = []
    for scheme in pair.schemes:
        state, parts = None, []
        for batch in played:
            credit = advantages(batch.rewards, batch.columns, scheme, state=state)
            state = credit.state
            parts.append(credit.values)
        values.append(np.concatenate(parts))
    return relative_difference(*values)
