"""The arms of a comparison in a text environment: language-model agents, a task each.

What can be known before anything is trained is asked of a team that takes every word alike, and
where it writes freely repeats some of what it is shown: that needs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.comparison.control import untrained_control
from counterpoint.comparison.outcome import Outcome
from counterpoint.comparison.pairs import Pair
from counterpoint.comparison.plan import ExecutionOptions, Plan
from counterpoint.comparison.probe import Probe
from counterpoint.comparison.trainings import train_arms
from counterpoint.credit import Scheme, advantages
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.log import SAME
from counterpoint.records import Decisions
from counterpoint.results.comparison import Control
from counterpoint.train.lora.episodes import Played, any_word, play
from counterpoint.train.lora.learner import credited_by
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.text.world import PLAIN, TextWorld

DEFAULT_SCHEMES = ("mappo_pooled", "happo_per_agent", "group_reward_decoupled", "agent_mean")
"""Pooled, per agent, per agent with memory, and each agent's own mean alone."""
BATCHES = 3
"""How many batches of the untrained team are looked at."""


class Language:
    """A comparison in a text environment.

    Raises:
        UnknownNameError, SettingError, SchemeError, MissingPackageError: as `backend_of`.
    """

    default_seeds = 5
    batch_steps = 1
    axis = LanguagePlan.axis

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.schemes = plan.schemes or DEFAULT_SCHEMES
        for name in self.schemes:
            credited_by(name)
        self.first = LanguagePlan.of(
            plan.world,
            self.schemes[0],
            seed=0,
            budget=plan.budget,
            seconds=plan.seconds,
            given=plan.settings,
            model=plan.model,
        )
        self.budget = self.first.budget
        self.world = self.first.make_world()
        self.agents = tuple(sorted(self.world.agents))

    def training(self, scheme: str, seed: int) -> LanguagePlan:
        """The plan of one arm and seed."""
        return replace(self.first, scheme=scheme, seed=seed)

    def facts(self) -> dict[str, Any]:
        """What the document says of the world."""
        return {
            "world": self.plan.world,
            "summary": self.world.summary,
            "kind": "text",
            "axis": self.axis,
            "references": asdict(self.world.references),
        }

    def config(self) -> dict[str, Any]:
        """What the document says of what was asked for, beside schemes and seeds."""
        return {
            "policy": self.first.model,
            "budget": self.budget,
            "seconds": self.plan.seconds,
            "settings": {**asdict(self.world.settings), **asdict(self.first.language)},
        }

    def train(
        self, pair: Pair, work: ExecutionOptions
    ) -> tuple[dict[str, Outcome], Control | None]:
        """Every scheme trained, and the control."""
        seeds = range(self.plan.seeds or self.default_seeds)
        plans = {(name, seed): self.training(name, seed) for seed in seeds for name in self.schemes}
        found = train_arms(plans, self.budget, work)
        return found, self.control(pair) if self.plan.control else None

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
        """Returns whether decoupling can matter."""
        played = self._untrained(self.world)
        difference = largest_difference(played, pair.schemes)
        if difference <= SAME:
            return Probe("no-op", (), difference)
        log = self._log(played)
        diagnosis = diagnose(log, pair.reference, rng=np.random.default_rng(0))
        return Probe("matters", tuple(sorted(diagnosis.decoupling.conditions)), difference)

    def _untrained(self, world: TextWorld) -> list[Played]:
        rng, told = np.random.default_rng(0), self.first.language
        return [play(world, any_word, rng, told.prompts, told.rollouts) for _ in range(BATCHES)]

    def _log(self, played: Sequence[Played]) -> Decisions:
        columns = {
            name: np.concatenate([batch.columns[name] for batch in played])
            for name in ("prompt", "rollout", "agent", "turn")
        }
        columns["agent"] = np.array(self.agents)[columns["agent"]]
        rewards = np.concatenate([batch.rewards for batch in played])
        steps = np.repeat(np.arange(len(played)), [len(batch.rewards) for batch in played])
        return Decisions(rewards, self.world.components, columns, steps)


def largest_difference(played: Sequence[Played], schemes: Sequence[Scheme]) -> float:
    """Between the advantages of two schemes on the same batches, relative to the largest."""
    one, two = (_advantages(played, scheme) for scheme in schemes)
    largest = max(float(abs(x).max(initial=0.0)) for x in (one, two))
    return float(abs(one - two).max()) / largest if largest > 0 else 0.0


def _advantages(played: Sequence[Played], scheme: Scheme) -> Floats:
    state, found = None, []
    for batch in played:
        credit = advantages(batch.rewards, batch.columns, scheme, state=state)
        state = credit.state
        found.append(credit.values)
    return np.concatenate(found)


def _equally_often(played: Played, agents: int) -> bool:
    count = np.zeros((len(played.tasks), agents), dtype=int)
    np.add.at(count, (played.episode, played.columns["agent"]), 1)
    return bool((count == count[0, 0]).all())
