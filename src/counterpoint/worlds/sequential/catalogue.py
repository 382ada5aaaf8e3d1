"""Worlds of many steps by name: `step_catalogue()` lists ours, `make_steps` builds any.

A name with a colon is foreign: `mpe2:simple_tag_v3`, or `your_package.module:YourEnv`. Packages of
foreign worlds are imported when one of them is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from counterpoint.errors import UnknownNameError
from counterpoint.settings import did_you_mean, settings_from
from counterpoint.worlds.foreign.names import FAMILIES
from counterpoint.worlds.sequential.foraging import Foraging, ForagingSettings
from counterpoint.worlds.sequential.repeated_game import RepeatedGame, RepeatedGameSettings
from counterpoint.worlds.sequential.speaker_listener import SpeakerListener, SpeakerListenerSettings
from counterpoint.worlds.sequential.spread import Spread, SpreadSettings
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import StepSettings, StepWorld, stakes_of


class StepEntry(NamedTuple):
    """A world of many steps in the catalogue."""

    world: type[Twin]
    """Called with the settings (None: the defaults), `copies` and `seed`."""
    settings: type[StepSettings]
    """The settings that it takes; each field has a docstring."""
    summary: str
    """One line: what happens there."""
    source: str
    """Where the world comes from."""


_WORLDS: tuple[tuple[type[Twin], type[StepSettings]], ...] = (
    (Spread, SpreadSettings),
    (SpeakerListener, SpeakerListenerSettings),
    (Foraging, ForagingSettings),
    (RepeatedGame, RepeatedGameSettings),
)


def step_catalogue() -> dict[str, StepEntry]:
    """Name to `StepEntry`, in the order in which tables list them."""
    return {
        world.name: StepEntry(world, settings, world.summary, world.source)
        for world, settings in _WORLDS
    }


def make_steps(
    name: str, settings: Mapping[str, Any] | None = None, copies: int = 1, seed: int = 0
) -> StepWorld:
    """The world called `name`, E copies of it.

    Args:
        name: one of `step_catalogue()`, or the name of a foreign world.
        settings: field name to value; text is converted to the field's type. Of foreign worlds:
            `reward`, and whatever else is a keyword argument of their constructor.
        copies: E.
        seed: of the world's generator.

    Raises:
        UnknownNameError: no world, or no setting of it, has that name.
        SettingError: a value of a wrong type or out of range.
        MissingPackageError: the package of a foreign world is not installed.
        WorldError: what the name stands for cannot be played here.
    """
    if ":" in name:
        from counterpoint.worlds.foreign.world import make_foreign

        world: StepWorld = make_foreign(name, settings, copies, seed)
    else:
        worlds = step_catalogue()
        if name not in worlds:
            known = [*worlds, *(family.pattern for family in FAMILIES)]
            raise UnknownNameError(
                f"got world '{name}'; wanted one of {', '.join(known)}{did_you_mean(name, worlds)}"
            )
        entry = worlds[name]
        told = settings_from(settings, entry.settings, name)
        world = entry.world(told, copies=copies, seed=seed)
    stakes_of(world.settings.stakes, world.agents, world.roles)  # told now, not at the first step
    return world
