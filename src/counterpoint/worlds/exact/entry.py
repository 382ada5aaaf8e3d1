"""`ExactEntry`: an exact world in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.settings import settings_from
from counterpoint.worlds.describe import settings_facts
from counterpoint.worlds.exact.world import World
from counterpoint.worlds.kind import Kind, WorldEntry


class ExactEntry(WorldEntry[World]):
    """An exact world in the registry."""

    kind = Kind.EXACT

    def __init__(self, world: type[World]) -> None:
        super().__init__(world.name, world.settings_type, world.summary, world.source)
        self.world = world

    def make(self, settings: Mapping[str, Any] | None = None) -> World:
        return self.world(settings_from(settings, self.world.settings_type, self.name))

    def describe(self) -> dict[str, Any]:
        world = self.make()
        return {
            "name": self.name,
            "summary": self.summary,
            "source": self.source,
            "agents": list(world.agents),
            "components": list(world.components),
            "baselines": list(world.baselines),
            "random": world.random,
            "optimal": world.optimal,
            "control": dict(world.control) if world.control else None,
            "settings": settings_facts(self.settings_type),
        }
