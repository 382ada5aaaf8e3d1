"""Plans of trainings, from arguments (`plan_of`) or from a run's own file (`plan_from_config`).

`PLANS` has the class of the plans of each kind of world in which teams are trained step by step.
Their packages (torch, transformers) are optional, so that each module is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from counterpoint.optional import require_language, require_torch
from counterpoint.results.parts import Settings
from counterpoint.runs.status import axis_of
from counterpoint.train.loop import TrainConfig
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world


def _policies() -> type[TrainConfig]:
    require_torch()
    from counterpoint.train.ppo.plan import TrainPlan

    return TrainPlan


def _language_models() -> type[TrainConfig]:
    require_language()
    from counterpoint.train.lora.plan import LanguagePlan

    return LanguagePlan


PLANS: Mapping[Kind, Callable[[], type[TrainConfig]]] = {
    Kind.SEQUENTIAL: _policies,
    Kind.TEXT: _language_models,
}
"""The type of plan of each kind of world."""


def plan_of(
    world: str,
    scheme: str = "mappo_pooled",
    *,
    seed: int = 0,
    budget: int | None = None,
    seconds: float | None = None,
    given: Settings | None = None,
    model: str | None = None,
) -> TrainConfig:
    """Returns the plan for a sequential or a text environment, with defaults filled in.

    Args:
        world: its name.
        scheme: name of a scheme; in sequential environments also `counterfactual`.
        seed: of everything.
        budget: steps to play, or updates in text environments; None takes the default of the kind.
        seconds: end after so many, if that comes first.
        given: settings of the world and of its team.
        model: the language model of a text environment; None takes the tiny one.

    Raises:
        UnknownNameError: no world of these kinds, no scheme or no setting has that name.
        SettingError: a value out of range.
        SchemeError: a scheme that this world or these settings cannot have.
        ModelError: the language model is not here, and cannot be had.
        WorldError: a world of somebody's own that cannot be played.
        MissingPackageError: torch or transformers is not installed.
    """
    plan_type = PLANS[find_world(world, *PLANS).kind]()
    plan = plan_type.of(world, scheme, budget, given or {}, model)
    return replace(plan, seed=seed, seconds=seconds)


def kind_of_run(config: Settings) -> Kind:
    """Returns the kind of world in which a run trains, by its configuration alone."""
    return Kind.TEXT if axis_of(config) == "update" else Kind.SEQUENTIAL


def plan_from_config(config: Settings) -> TrainConfig:
    """Returns the plan that a run's configuration describes.

    Raises:
        SettingError: it describes none.
        MissingPackageError: torch or transformers is not installed.
    """
    return PLANS[kind_of_run(config)]().from_config(config)
