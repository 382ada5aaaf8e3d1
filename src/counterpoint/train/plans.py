"""Plans of trainings, whatever the team: from what somebody typed, or from a run's own file.

Start with `plan_of` and `plan_from`. Whether a world is played step by step or in words is known
by its name alone; what each kind of team needs is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.train.language_settings import LanguageSettings
from counterpoint.train.options import budget_or_default, make_told, measured_often, split_settings
from counterpoint.worlds import catalogue as exact_worlds
from counterpoint.worlds.given import did_you_mean, settings_from
from counterpoint.worlds.texts import make_text, text_catalogue

if TYPE_CHECKING:
    from counterpoint.train.language_training import LanguagePlan
    from counterpoint.train.training import TrainPlan

UPDATES = {"tiny": 150}
"""Updates of a training of language models, by model; `OTHER_UPDATES` of any other."""
OTHER_UPDATES = 100
DEFAULT_MODEL = "tiny"
LANGUAGE = tuple(spec.name for spec in fields(LanguageSettings))


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
        MissingPackageError: torch or transformers is not installed.
    """
    given = given or {}
    if world in text_catalogue():
        return language_plan(world, scheme, seed, budget, seconds, given, model)
    if world in exact_worlds():
        raise SettingError(
            f"got world '{world}', which is evaluated exactly and learned in seconds; wanted a "
            f"world of many steps or of words, or: counterpoint compare {world}"
        )
    no_model(world, model)
    from counterpoint.train.levels import Crediting
    from counterpoint.train.training import TrainPlan

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
    from counterpoint.talk.needs import require_language

    require_language()
    from counterpoint.train.language import credited_by
    from counterpoint.train.language_training import LanguagePlan

    own = {name: value for name, value in given.items() if name not in LANGUAGE}
    entry = text_catalogue()[world]
    known = [spec.name for spec in fields(entry.settings)]
    unknown = sorted(set(own) - set(known))
    if unknown:
        raise UnknownNameError(
            f"got setting {', '.join(unknown)}; world '{world}' has {', '.join(known)}, and its "
            f"agents {', '.join(LANGUAGE)}{did_you_mean(unknown[0], [*known, *LANGUAGE])}"
        )
    make_text(world, own)
    credited_by(scheme)
    told = {name: value for name, value in given.items() if name in LANGUAGE}
    language = settings_from(told, LanguageSettings, world)
    name = model or DEFAULT_MODEL
    updates = UPDATES.get(name, OTHER_UPDATES) if budget is None else budget
    return LanguagePlan(world, scheme, name, seed, updates, seconds, own, language)


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
    if config.get("world") in text_catalogue():
        from counterpoint.talk.needs import require_language

        require_language()
        from counterpoint.train.language_training import LanguagePlan

        return LanguagePlan.from_config(config)
    from counterpoint.train.needs import require_torch

    require_torch()
    from counterpoint.train.training import TrainPlan

    return TrainPlan.from_config(config)
