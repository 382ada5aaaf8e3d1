"""Worlds of one or a few steps by name: `catalogue()` lists them, `make` builds one.

Those of many steps are in `stepwise.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from counterpoint.errors import UnknownNameError
from counterpoint.settings import did_you_mean, settings_from
from counterpoint.worlds.exact.additive import (
    Homogeneous,
    HomogeneousSettings,
    UnequalStakes,
    UnequalStakesSettings,
)
from counterpoint.worlds.exact.all_hands import AllHands, AllHandsSettings
from counterpoint.worlds.exact.boat_race import BoatRace, BoatRaceSettings
from counterpoint.worlds.exact.gathering import Gathering, GatheringSettings
from counterpoint.worlds.exact.idle_then_needed import IdleThenNeeded, IdleThenNeededSettings
from counterpoint.worlds.exact.on_call import OnCall, OnCallSettings
from counterpoint.worlds.exact.planner_worker import PlannerWorker, PlannerWorkerSettings
from counterpoint.worlds.exact.regions import Regions, RegionsSettings
from counterpoint.worlds.exact.variable_calls import VariableCalls, VariableCallsSettings
from counterpoint.worlds.exact.world import Settings, World
from counterpoint.worlds.sequential.catalogue import step_catalogue


class Entry(NamedTuple):
    """A world in the catalogue."""

    world: type[World]
    """Called with the settings, or with None for the defaults."""
    settings: type[Settings]
    """The settings that it takes; each field has a docstring."""
    summary: str
    """One line: what happens there."""
    source: str
    """Where the idea comes from."""


_WORLDS: tuple[tuple[type[World], type[Settings]], ...] = (
    (Regions, RegionsSettings),
    (AllHands, AllHandsSettings),
    (OnCall, OnCallSettings),
    (UnequalStakes, UnequalStakesSettings),
    (VariableCalls, VariableCallsSettings),
    (IdleThenNeeded, IdleThenNeededSettings),
    (PlannerWorker, PlannerWorkerSettings),
    (Homogeneous, HomogeneousSettings),
    (Gathering, GatheringSettings),
    (BoatRace, BoatRaceSettings),
)


def catalogue() -> dict[str, Entry]:
    """Name to `Entry`, in the order in which tables list them."""
    return {
        world.name: Entry(world, settings, world.summary, world.source)
        for world, settings in _WORLDS
    }


def make(name: str, settings: Mapping[str, Any] | None = None) -> World:
    """The world called `name`.

    Args:
        name: one of `catalogue()`.
        settings: field name to value; text is converted to the field's type (`scale="10"`).

    Raises:
        UnknownNameError: no world, or no setting of it, has that name.
        SettingError: a value of a wrong type or out of range.
    """
    worlds = catalogue()
    if name not in worlds:
        many = ", which has many steps" if ":" in name or name in step_catalogue() else ""
        raise UnknownNameError(
            f"got world '{name}'{many}; wanted one of {', '.join(worlds)}"
            f"{did_you_mean(name, worlds)}"
        )
    return worlds[name].world(settings_from(settings, worlds[name].settings, name))
