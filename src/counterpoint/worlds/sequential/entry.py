"""`SequentialEntry`: a sequential environment in the registry."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from counterpoint.settings import settings_from
from counterpoint.worlds.describe import settings_facts
from counterpoint.worlds.kind import Kind, WorldEntry
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import StepWorld, stakes_of


class SequentialEntry(WorldEntry[StepWorld]):
    """A sequential environment in the registry, ours or foreign."""

    kind = Kind.SEQUENTIAL
    takes_arguments: ClassVar[bool] = False
    """Whether settings that are no fields of `settings_type` are arguments of a constructor."""

    def make(
        self, settings: Mapping[str, Any] | None = None, copies: int = 1, seed: int = 0
    ) -> StepWorld:
        """Returns E copies of the environment.

        Args:
            settings: field name to value; text is converted to the field's type.
            copies: E.
            seed: seed of the environment's generator.

        Raises:
            UnknownNameError: the environment has no setting of that name.
            SettingError: a value has a wrong type or is out of range.
            MissingPackageError: the package of a foreign environment is not installed.
            WorldError: a foreign environment cannot be played here.
        """
        world = self.construct(settings, copies, seed)
        stakes_of(world.settings.stakes, world.agents, world.roles)  # refused now, not at a step
        return world

    @abstractmethod
    def construct(self, settings: Mapping[str, Any] | None, copies: int, seed: int) -> StepWorld:
        """Returns the environment, with stakes that are not checked yet."""

    def describe(self) -> dict[str, Any]:
        world = self.make()
        facts = {
            "name": self.name,
            "summary": self.summary,
            "source": self.source,
            "agents": list(world.agents),
            "roles": list(world.roles),
            "horizon": world.horizon,
            "observations": list(world.seen_sizes),
            "actions": [a.size for a in world.actions],
            "continuous": world.actions[0].continuous,
            "components": list(world.components),
            "random": world.references.random,
            "reference": world.references.reference,
            "scale": world.references.scale,
            "settings": settings_facts(self.settings_type),
        }
        world.close()
        return facts


class TwinEntry(SequentialEntry):
    """One of our sequential environments."""

    def __init__(self, world: type[Twin]) -> None:
        super().__init__(world.name, world.settings_type, world.summary, world.source)
        self.world = world

    def construct(self, settings: Mapping[str, Any] | None, copies: int, seed: int) -> StepWorld:
        given = settings_from(settings, self.world.settings_type, self.name)
        return self.world(given, copies=copies, seed=seed)
