"""Which of the settings somebody gave are the world's, and which the policies'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.settings import did_you_mean, settings_from
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.catalogue import make_steps, step_catalogue
from counterpoint.worlds.sequential.world import StepSettings, StepWorld

BUDGET, PYTHON_BUDGET = 100_000, 20_000
"""Steps of a training in a world in NumPy, and in one that is stepped in Python."""
MEASUREMENTS = 40
"""Measurements of gradients that a short training should have: the first verdict on collapse comes
with the tenth."""

POLICY = tuple(spec.name for spec in fields(PolicySettings))


def split_settings(world: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], PolicySettings]:
    """The settings of a world of many steps, and those of the policies that learn in it.

    No field of a world of ours is called like a field of `PolicySettings`. Of a foreign world every
    other name is an argument of its constructor, which says itself what it does not know.

    Args:
        world: name of the world, as for `make_steps`.
        given: name to value; text is converted to the type of the policy's field.

    Raises:
        UnknownNameError: neither the world nor the policies have a setting of that name.
        SettingError: a value of a wrong type or out of range.
    """
    policy = {name: value for name, value in given.items() if name in POLICY}
    rest = {name: value for name, value in given.items() if name not in POLICY}
    entry = step_catalogue().get(world)
    if entry is not None:
        own = [spec.name for spec in fields(entry.settings)]
        unknown = sorted(set(rest) - set(own))
        if unknown:
            raise UnknownNameError(
                f"got setting {', '.join(unknown)}; world '{world}' has {', '.join(own)}, and its "
                f"policies {', '.join(POLICY)}{did_you_mean(unknown[0], [*own, *POLICY])}"
            )
    return rest, settings_from(policy, PolicySettings, world)


def make_told(world: str, own: Mapping[str, Any]) -> StepWorld:
    """The world with its settings; what a foreign one refuses may be meant for the policies.

    Raises:
        CounterpointError: as `make_steps`.
    """
    try:
        return make_steps(world, own)
    except SettingError as error:
        ours = {spec.name for spec in fields(StepSettings)}
        hints = [did_you_mean(name, POLICY) for name in own if name not in ours]
        raise SettingError(f"{error}{next(filter(None, hints), '')}") from error


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
