"""Plans of trainings, whatever the team: from what somebody typed, or from a run's own file.

Start with `plan_of` and `plan_from`. Whether a world is played step by step or in words is known
by its name, or by the class that the name stands for; what each kind of team needs is imported when
it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.lm.models import find_model
from counterpoint.lm.sources import SOURCES
from counterpoint.runs.status import axis_of
from counterpoint.settings import did_you_mean, settings_from
from counterpoint.train.lora.episodes import any_word, play
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.options import budget_or_default, make_told, measured_often, split_settings
from counterpoint.worlds import catalogue as exact_worlds
from counterpoint.worlds.foreign.names import foreign_code, is_own
from counterpoint.worlds.sequential.catalogue import step_catalogue
from counterpoint.worlds.text.catalogue import KEEPS, make_text, text_catalogue, text_entry
from counterpoint.worlds.text.world import TextWorld

if TYPE_CHECKING:
    from counterpoint.train.lora.plan import LanguagePlan
    from counterpoint.train.ppo.plan import TrainPlan

UPDATES = {"tiny": 150}
"""Updates of a training of language models, by model; `OTHER_UPDATES` of any other."""
OTHER_UPDATES = 100
DEFAULT_MODEL = "tiny"
LANGUAGE = tuple(spec.name for spec in fields(LanguageSettings))
TRIES = 8
"""Batches of four tasks, twice each, in which a world of somebody's own is tried."""


def plan_of(
    world: str,
    scheme: str = "mappo_pooled",
    *,
    seed: int = 0,
    budget: int | None = None,
    seconds: float | None = None,
    given: Mapping[str, Any] | None = None,
    model: str | None = None,
) -> TrainPlan | LanguagePlan:
    """The plan for a world of many steps or a text world, with what was not said filled in.

    Args:
        world: its name.
        scheme: name of a scheme; in worlds of many steps also `counterfactual`.
        seed: of everything.
        budget: steps to play, or updates in text worlds; None takes what a world of its kind gets.
        seconds: end after so many, if that comes first.
        given: settings of the world and of its team.
        model: the language model of a text world; None takes `DEFAULT_MODEL`.

    Raises:
        UnknownNameError: no world, scheme or setting of that name.
        SettingError: a value out of range, or a world that is not trained in this way.
        SchemeError: a scheme that this world or these settings cannot have.
        ModelError: the language model is not here, and cannot be had.
        WorldError: a world of somebody's own that cannot be played.
        MissingPackageError: torch or transformers is not installed.
    """
    given = given or {}
    if world in exact_worlds():
        raise SettingError(
            f"got world '{world}', which is evaluated exactly and learned in seconds; wanted a "
            f"world of many steps or of words, or: counterpoint compare {world}"
        )
    if text_entry(world) is not None:
        return language_plan(world, scheme, seed, budget, seconds, given, model)
    if ":" not in world and world not in step_catalogue():
        known = [*step_catalogue(), *text_catalogue()]
        raise UnknownNameError(
            f"got world '{world}'; wanted one of {', '.join(known)}, or one of somebody else's, as "
            f"package.module:Class{did_you_mean(world, [*known, *exact_worlds()])}"
        )
    no_model(world, model)
    from counterpoint.train.ppo.levels import Crediting
    from counterpoint.train.ppo.plan import TrainPlan

    own, policy = split_settings(world, given)
    made = make_told(world, own)
    made.close()
    budget = budget_or_default(budget, python=made.python)
    if "diagnose_every" not in given:
        policy = measured_often(policy, budget, python=made.python)
    Crediting.of(scheme, made, policy)
    return TrainPlan(world, scheme, seed, budget, seconds, own, policy)


def language_plan(
    world: str,
    scheme: str,
    seed: int,
    budget: int | None,
    seconds: float | None,
    given: Mapping[str, Any],
    model: str | None,
) -> LanguagePlan:
    """The plan for a text world: see `plan_of`."""
    from counterpoint.lm.needs import require_language

    require_language()
    from counterpoint.train.lora.learner import credited_by
    from counterpoint.train.lora.plan import LanguagePlan

    own = {name: value for name, value in given.items() if name not in LANGUAGE}
    made = make_text(world)
    known = [spec.name for spec in fields(made.settings_type)]
    if twice := sorted(set(known) & set(LANGUAGE)):
        raise SettingError(
            f"got world '{world}' with a setting {', '.join(twice)}, as its agents have; "
            "wanted another name for it"
        )
    unknown = sorted(set(own) - set(known))
    if unknown:
        raise UnknownNameError(
            f"got setting {', '.join(unknown)}; world '{world}' has {', '.join(known)}, and its "
            f"agents {', '.join(LANGUAGE)}{did_you_mean(unknown[0], [*known, *LANGUAGE])}"
        )
    if is_own(world):
        tried(make_text(world, own), world)
    credited_by(scheme)
    told = {name: value for name, value in given.items() if name in LANGUAGE}
    language = settings_from(told, LanguageSettings, world)
    name = located(model or DEFAULT_MODEL)
    updates = UPDATES.get(name, OTHER_UPDATES) if budget is None else budget
    return LanguagePlan(world, scheme, name, seed, updates, seconds, own, language)


def located(model: str) -> str:
    """The name of a language model that is here; of a folder, its whole path.

    Raises:
        ModelError: it is not here, and cannot be had.
    """
    if model == DEFAULT_MODEL:
        return model
    folder = find_model(model)
    named = model in SOURCES or not Path(model).expanduser().is_dir()
    return model if named else str(folder.resolve())


def tried(world: TextWorld, name: str) -> None:
    """Play a few episodes by chance, so that a world that cannot be played is found out now.

    Raises:
        WorldError: it cannot; the message has the place in its code.
    """
    with foreign_code(name, "an episode played by chance", KEEPS):
        for seed in range(TRIES):
            play(world, any_word, np.random.default_rng(seed), 4, 2)


def no_model(world: str, model: str | None) -> None:
    """Raises SettingError where a language model is named for a world without words."""
    if model is not None:
        raise SettingError(
            f"got policy '{model}' for world '{world}', whose agents do not speak; wanted one of "
            f"{', '.join(text_catalogue())}, or no --policy"
        )


def plan_from(config: Mapping[str, Any]) -> TrainPlan | LanguagePlan:
    """The plan that a run's configuration describes.

    Raises:
        SettingError: it is none.
        MissingPackageError: torch or transformers is not installed.
    """
    if axis_of(config) == "update":
        from counterpoint.lm.needs import require_language

        require_language()
        from counterpoint.train.lora.plan import LanguagePlan

        return LanguagePlan.from_config(config)
    from counterpoint.train.needs import require_torch

    require_torch()
    from counterpoint.train.ppo.plan import TrainPlan

    return TrainPlan.from_config(config)
