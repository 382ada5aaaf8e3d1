"""`TextEntry`: a text environment in the registry; `own_entry`: one of somebody's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from counterpoint.errors import WorldError
from counterpoint.settings import settings_from
from counterpoint.worlds.describe import settings_facts
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.kind import Kind, WorldEntry
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.world import TextSettings, TextWorld

KEEPS = "a TextWorld that keeps its interface"
"""What is wanted of a class of somebody's own."""


class TextEntry(WorldEntry[TextWorld]):
    """A text environment in the registry.

    Args:
        world: its class.
        own_name: `package.module:Class` of a class that is not ours; empty if it is.
    """

    kind = Kind.TEXT

    def __init__(self, world: type[TextWorld], own_name: str = "") -> None:
        summary = getattr(world, "summary", "")
        super().__init__(own_name or world.name, world.settings_type, summary, world.source)
        self.world, self.is_own = world, bool(own_name)

    def make(self, settings: Mapping[str, Any] | None = None) -> TextWorld:
        """Returns the environment.

        Raises:
            UnknownNameError: it has no setting of that name.
            SettingError: a value has a wrong type or is out of range.
            WorldError: the constructor of somebody's own fails, or its world is not complete.
        """
        given = settings_from(settings, self.world.settings_type, self.name)
        if not self.is_own:
            return self.world(given)
        with foreign_code(self.name, "its constructor", KEEPS):
            world = self.world(given)
        _check(world, self.name)
        return world

    def describe(self) -> dict[str, Any]:
        world = self.make()
        return {
            "name": self.name,
            "summary": world.summary,
            "source": world.source,
            "agents": list(world.agents),
            "roles": list(world.roles),
            "speaker": world.speaker,
            "answers": "free text" if world.free else "words",
            "longest": world.longest,
            "components": list(world.components),
            "random": world.references.random,
            "reference": world.references.reference,
            "scale": world.references.scale,
            "settings": settings_facts(world.settings_type),
        }


def own_entry(name: str, world: type[TextWorld]) -> TextEntry:
    """Returns the entry of a class of somebody's own, called `package.module:Class`.

    Raises:
        WorldError: its `settings_type` is no dataclass of settings.
    """
    settings = world.settings_type
    if not (is_dataclass(settings) and issubclass(settings, TextSettings)):
        raise WorldError(
            f"got world '{name}' whose settings_type is {settings!r}; "
            "wanted a dataclass that derives from TextSettings"
        )
    return TextEntry(world, name)


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
