"""Which of the settings somebody gave are the world's, and which the policies'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.settings import did_you_mean, settings_from
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import worlds
from counterpoint.worlds.sequential.world import SequentialEntry, StepSettings, StepWorld

BUDGET, PYTHON_BUDGET = 100_000, 20_000
"""Steps of a training in a world in NumPy, and in one that is stepped in Python."""
MEASUREMENTS = 40
"""Measurements of gradients that a short training should have: the first verdict on collapse comes
with the tenth."""

POLICY = tuple(spec.name for spec in fields(PolicySettings))


def split_settings(
    entry: SequentialEntry, given: Mapping[str, Any]
) -> tuple[dict[str, Any], PolicySettings]:
    """Returns the settings of a sequential environment, and those of the policies that learn in it.

    No field of an environment of ours is called like a field of `PolicySettings`. Of a foreign one
    every other name is an argument of its constructor, which says itself what it does not know.

    Args:
        entry: the environment.
        given: name to value; text is converted to the type of the policy's field.

    Raises:
        UnknownNameError: neither the environment nor the policies have a setting of that name.
        SettingError: a value of a wrong type or out of range.
    """
    policy = {name: value for name, value in given.items() if name in POLICY}
    rest = {name: value for name, value in given.items() if name not in POLICY}
    own = [spec.name for spec in fields(entry.settings_type)]
    unknown = sorted(set(rest) - set(own))
    if unknown and not entry.takes_arguments:
        raise UnknownNameError(
            f"got setting {', '.join(unknown)}; world '{entry.name}' has {', '.join(own)}, and its "
            f"policies {', '.join(POLICY)}{did_you_mean(unknown[0], [*own, *POLICY])}"
        )
    return rest, settings_from(policy, PolicySettings, entry.name)


def make_with_hints(entry: SequentialEntry, own: Mapping[str, Any]) -> StepWorld:
    """Returns the environment; a setting that a foreign one refuses may be one of the policies.

    Raises:
        CounterpointError: as `SequentialEntry.make`.
    """
    try:
        return entry.make(own)
    except SettingError as error:
        ours = {spec.name for spec in fields(StepSettings)}
        hints = [did_you_mean(name, POLICY) for name in own if name not in ours]
        raise SettingError(f"{error}{next(filter(None, hints), '')}") from error


def refuse_model(world: str, model: str | None) -> None:
    """Raises SettingError if a language model is named for a world whose agents do not speak."""
    if model is not None:
        raise SettingError(
            f"got policy '{model}' for world '{world}', whose agents do not speak; wanted one of "
            f"{', '.join(entry.name for entry in worlds(Kind.TEXT))}, or no --policy"
        )


def budget_or_default(budget: int | None, *, python: bool) -> int:
    """The budget in steps, or what a world of this kind gets."""
    if budget is None:
        return PYTHON_BUDGET if python else BUDGET
    if budget < 1:
        raise SettingError(f"got budget={budget}; wanted at least 1 step")
    return budget


def measured_often(policy: PolicySettings, budget: int, *, python: bool) -> PolicySettings:
    """The same settings, measuring gradients more often where the budget is small."""
    full = policy.filled(python=python)
    often = max(1, -(-budget // (full.copies * full.steps)) // MEASUREMENTS)
    return replace(policy, diagnose_every=min(policy.diagnose_every, often))
