"""Worlds in words by name: `text_catalogue()` lists them, `make_text` builds one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from counterpoint.errors import UnknownNameError
from counterpoint.worlds.given import did_you_mean, settings_from
from counterpoint.worlds.lewis import Lewis, LewisSettings
from counterpoint.worlds.relay import Relay, RelaySettings
from counterpoint.worlds.schelling import Schelling, SchellingSettings
from counterpoint.worlds.solver_verifier import SolverVerifier, SolverVerifierSettings
from counterpoint.worlds.text import TextSettings, TextWorld


class TextEntry(NamedTuple):
    """A text world in the catalogue."""

    world: type[TextWorld]
    """Called with the settings."""
    settings: type[TextSettings]
    """The settings that it takes; each field has a docstring."""
    summary: str
    """One line: what happens there."""
    source: str
    """Where the idea comes from."""


_WORLDS: tuple[tuple[type[TextWorld], type[TextSettings]], ...] = (
    (Schelling, SchellingSettings),
    (Lewis, LewisSettings),
    (SolverVerifier, SolverVerifierSettings),
    (Relay, RelaySettings),
)


def text_catalogue() -> dict[str, TextEntry]:
    """Name to `TextEntry`, in the order in which tables list them."""
    return {
        world.name: TextEntry(world, settings, world.summary, world.source)
        for world, settings in _WORLDS
    }


def make_text(name: str, settings: Mapping[str, Any] | None = None) -> TextWorld:
    """The text world called `name`.

    Args:
        name: one of `text_catalogue()`.
        settings: field name to value; text is converted to the field's type.

    Raises:
        UnknownNameError: no world, or no setting of it, has that name.
        SettingError: a value of a wrong type or out of range.
    """
    worlds = text_catalogue()
    if name not in worlds:
        raise UnknownNameError(
            f"got world '{name}'; wanted one of {', '.join(worlds)}{did_you_mean(name, worlds)}"
        )
    return worlds[name].world(settings_from(settings, worlds[name].settings, name))
