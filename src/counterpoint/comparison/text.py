"""Comparisons in a text environment: language-model agents, a task for each training.

Questions before any training are answered by a team that takes every word alike, and repeats some
words of its prompt where it writes freely: that needs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.comparison.backend import Backend
from counterpoint.comparison.decoupling import Pair, Probe, relative_difference, untrained_control
from counterpoint.comparison.outcome import SchemeOutcome
from counterpoint.comparison.plan import ExecutionOptions, Plan
from counterpoint.comparison.trainings import train_arms
from counterpoint.credit import Scheme, advantages
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.log import SAME
from counterpoint.records import Decisions
from counterpoint.results.comparison import Control, References
from counterpoint.train.lora.episodes import PlayedBatch, play_episodes, random_replies
from counterpoint.train.lora.learner import text_scheme
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.text.world import PLAIN, TextWorld

DEFAULT_SCHEMES = ("mappo_pooled", "happo_per_agent", "group_reward_decoupled", "agent_mean")
"""Pooled, per agent, per agent with memory, and each agent's own mean alone."""
BATCHES = 3
"""Batches of the untrained team that are examined."""


class TextComparison(Backend):
    """A comparison in a text environment.

    Raises:
        UnknownNameError, SettingError, SchemeError, MissingPackageError: as `backend_of`.
    """

    default_seeds = 5
    axis, kind = "update", "text"
    budget: int

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.schemes = plan.schemes or DEFAULT_SCHEMES
        for name in self.schemes:
            text_scheme(name)
        first = LanguagePlan.of(plan.world, self.schemes[0], plan.budget, plan.settings, plan.model)
        self.first = replace(first, seconds=plan.seconds)
        self.budget = self.first.budget
        self.world = self.first.make_world()
        self.agents = tuple(sorted(self.world.agents))
        self.world_name, self.summary = plan.world, self.world.summary
        self.references = References(**asdict(self.world.references))
        self.model = self.first.model
        self.settings = {**asdict(self.world.settings), **asdict(self.first.language)}

    def training(self, scheme: str, seed: int) -> LanguagePlan:
        """Returns the plan of one arm and seed."""
        return replace(self.first, scheme=scheme, seed=seed)

    def train(
        self, pair: Pair, options: ExecutionOptions
    ) -> tuple[dict[str, SchemeOutcome], Control | None]:
        plans = {
            (name, seed): self.training(name, seed) for seed in self.seeds for name in self.schemes
        }
        outcomes = train_arms(plans, self.budget, options)
        return outcomes, self.control(pair) if self.plan.control else None

    def control(self, pair: Pair) -> Control | None:
        """Returns the control: with the same reward for all, decoupling must change no advantage.

        None where agents do not all speak equally often: arithmetic does not say so then.
        """
        entry = find_world(self.plan.world, Kind.TEXT)
        apart = entry.make({**self.first.world_settings, **PLAIN})
        played = self._untrained(apart)
        if not all(_equally_often(batch, len(self.agents)) for batch in played):
            return None
        setting = "speaker_scale=1, speaker_offset=0, speaker_noise=0"
        return untrained_control(setting, largest_difference(played, pair.schemes))

    def probe(self, pair: Pair) -> Probe:
        played = self._untrained(self.world)
        difference = largest_difference(played, pair.schemes)
        if difference <= SAME:
            return Probe("no-op", (), difference)
        log = self._log(played)
        diagnosis = diagnose(log, pair.reference, rng=np.random.default_rng(0))
        return Probe("matters", tuple(sorted(diagnosis.decoupling.conditions)), difference)

    def _untrained(self, world: TextWorld) -> list[PlayedBatch]:
        rng, settings = np.random.default_rng(0), self.first.language
        return [
            play_episodes(world, random_replies, rng, settings.prompts, settings.rollouts)
            for _ in range(BATCHES)
        ]

    def _log(self, played: Sequence[PlayedBatch]) -> Decisions:
        columns = {
            name: np.concatenate([batch.columns[name] for batch in played])
            for name in ("prompt", "rollout", "agent", "turn")
        }
        columns["agent"] = np.array(self.agents)[columns["agent"]]
        rewards = np.concatenate([batch.rewards for batch in played])
        steps = np.repeat(np.arange(len(played)), [len(batch.rewards) for batch in played])
        return Decisions(rewards, self.world.components, columns, steps)


def largest_difference(played: Sequence[PlayedBatch], schemes: Sequence[Scheme]) -> float:
    """Returns the largest difference of the advantages of two schemes on the same batches, relative
    to the largest."""
    one, two = (_advantages(played, scheme) for scheme in schemes)
    return relative_difference(one, two)


def _advantages(played: Sequence[PlayedBatch], scheme: Scheme) -> Floats:
    state, values = None, []
    for batch in played:
        credit = advantages(batch.rewards, batch.columns, scheme, state=state)
        state = credit.state
        values.append(credit.values)
    return np.concatenate(values)


def _equally_often(played: PlayedBatch, agents: int) -> bool:
    count = np.zeros((len(played.tasks), agents), dtype=int)
    np.add.at(count, (played.episode, played.columns["agent"]), 1)
    return bool((count == count[0, 0]).all())
