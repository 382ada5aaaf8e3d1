"""Worlds in words by name: `text_catalogue()` lists ours, `make_text` builds any.

A name with a colon is that of your own: `package.module:Class`, where the class is a `TextWorld`.
Its module is imported when the name is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, NamedTuple

from counterpoint.errors import UnknownNameError, WorldError
from counterpoint.settings import did_you_mean, settings_from
from counterpoint.worlds.foreign.names import foreign_code, imported, is_own
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.lewis import Lewis
from counterpoint.worlds.text.relay import Relay
from counterpoint.worlds.text.schelling import Schelling
from counterpoint.worlds.text.solver_verifier import SolverVerifier
from counterpoint.worlds.text.world import TextSettings, TextWorld

KEEPS = "a TextWorld that keeps its interface"
"""What is wanted of a class of somebody's own."""


class TextEntry(NamedTuple):
    """A text world by name."""

    world: type[TextWorld]
    """Called with the settings."""
    settings: type[TextSettings]
    """The settings that it takes; each field has a docstring."""
    summary: str
    """One line: what happens there."""
    source: str
    """Where the idea comes from."""


_WORLDS: tuple[type[TextWorld], ...] = (Schelling, Lewis, SolverVerifier, Relay)


def text_catalogue() -> dict[str, TextEntry]:
    """Name to `TextEntry`, in the order in which tables list them."""
    return {world.name: _entry(world) for world in _WORLDS}


def text_entry(name: str) -> TextEntry | None:
    """The text world called `name`, or None where no text world is called so.

    Args:
        name: one of `text_catalogue()`, or `package.module:Class`.

    Raises:
        UnknownNameError: it is of the second kind, and there is no such module or class.
        MissingPackageError: a package that its module needs is not installed.
        WorldError: its module fails when it is imported, or the class is not complete.
    """
    if not is_own(name):
        return text_catalogue().get(name)
    found = imported(name)
    if not (isinstance(found, type) and issubclass(found, TextWorld)):
        return None
    settings = found.settings_type
    if not (is_dataclass(settings) and issubclass(settings, TextSettings)):
        raise WorldError(
            f"got world '{name}' whose settings_type is {settings!r}; "
            "wanted a dataclass that derives from TextSettings"
        )
    return _entry(found)


def make_text(name: str, settings: Mapping[str, Any] | None = None) -> TextWorld:
    """The text world called `name`.

    Args:
        name: one of `text_catalogue()`, or `package.module:Class`.
        settings: field name to value; text is converted to the field's type.

    Raises:
        UnknownNameError: no world, or no setting of it, has that name.
        SettingError: a value of a wrong type or out of range.
        MissingPackageError, WorldError: as `text_entry`.
    """
    entry = text_entry(name)
    if entry is None:
        known = text_catalogue()
        raise UnknownNameError(
            f"got world '{name}'; wanted one of {', '.join(known)}, or a TextWorld of your own, as "
            f"package.module:Class{did_you_mean(name, known)}"
        )
    told = settings_from(settings, entry.settings, name)
    if not is_own(name):
        return entry.world(told)
    with foreign_code(name, "its constructor", KEEPS):
        world = entry.world(told)
    _check(world, name)
    return world


def _entry(world: type[TextWorld]) -> TextEntry:
    return TextEntry(world, world.settings_type, getattr(world, "summary", ""), world.source)


def _check(world: TextWorld, name: str) -> None:
    """Raises WorldError unless the world has what every text world must have."""
    wanted = ("name", "summary", "agents", "roles", "speaker", "references", "settings")
    if missing := [what for what in wanted if not hasattr(world, what)]:
        raise WorldError(f"got world '{name}' without {', '.join(missing)}; wanted {KEEPS}")
    agents = tuple(world.agents)
    names = all(isinstance(agent, str) and agent for agent in agents)
    if not agents or not names or len(set(agents)) < len(agents):
        raise WorldError(f"got world '{name}' with agents {agents}; wanted different names")
    if len(world.roles) != len(agents) or world.speaker not in agents:
        raise WorldError(
            f"got world '{name}' with roles {tuple(world.roles)} and speaker {world.speaker!r} for "
            f"agents {agents}; wanted a role for each agent, and one of them as the speaker"
        )
    if not isinstance(world.references, References) or not world.components:
        raise WorldError(
            f"got world '{name}' with references {world.references!r} and components "
            f"{world.components!r}; wanted References(random, reference, scale), and their names"
        )
