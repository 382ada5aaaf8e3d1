"""Small teams of the tiny model: their learners, and what is left of some updates."""

from __future__ import annotations

import torch

from counterpoint.lm.model import open_model
from counterpoint.train.loop import one_update
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.plan import LanguagePlan, LanguageTrainer
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.series import CollapseMonitor
from counterpoint.worlds import find_world

SMALL = {
    "prompts": 2,
    "rollouts": 8,
    "lr": 0.01,
    "entropy": 0.05,
    "entropy_end": None,
    "temperature": 1.0,
}
"""What tests are worked out for, whatever the defaults are."""
SHORT = {"relay": {"most_tokens": 3, "things": 1, "waste": 0.3}}
"""Settings of worlds under which an update is short, and everybody is paid something."""


def settings(world, **changes):
    """Settings of a small team, nothing left to defaults."""
    return LanguageSettings(**{**SMALL, **changes}).filled(tiny=True, free=world.free)


def make_short(name, **given):
    """A world whose episodes are short."""
    return find_world(name).make({**SHORT.get(name, {}), **given})


def small_learner(world, scheme="mappo_per_agent", seed=1, budget=10, **changes):
    """A learner in a world, or in the one of that name."""
    world = make_short(world) if isinstance(world, str) else world
    return LanguageLearner(
        open_model("tiny"), world, scheme, settings(world, **changes), seed, budget
    )


def small_plan(world, scheme="mappo_per_agent", *, given=None, **changes):
    """The plan of a short training."""
    language = LanguageSettings(**{**SMALL, **changes.pop("language", {})})
    told = {"seed": 1, "budget": 4, "episodes": 16, **changes}
    return LanguagePlan(
        world, scheme, model="tiny", world_settings={**SHORT.get(world, {}), **(given or {})},
        language=language, **told,
    )  # fmt: skip


def trained(learner, updates):
    """Rows of so many updates, and every byte of the adapters after them."""
    team, rows = LanguageTrainer(None, learner), []
    watch = CollapseMonitor(learner.agents)
    for _ in range(updates):
        rows.append(one_update(team, watch, rows))
    return rows, weights(learner)


def often_ending(model, monkeypatch):
    """Lets every third token of a model end an answer, so that answers differ in length."""
    ends = torch.arange(0, len(model.unembedding), 3)
    monkeypatch.setattr(model, "ends", ends)
    monkeypatch.setattr(model, "end_tokens", frozenset(ends.tolist()))
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", ends.tolist())  # for plans


def weights(learner):
    """Every byte of every adapter, by its name."""
    return {name: adam.weights.numpy().tobytes() for name, adam in learner.adams.items()}
