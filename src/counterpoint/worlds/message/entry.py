"""`MessageEntry`: a message environment in the registry; `TaskFileEntry`: one from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.settings import settings_from
from counterpoint.worlds.describe import settings_facts
from counterpoint.worlds.kind import Kind, WorldEntry
from counterpoint.worlds.message.task_file import TaskFile
from counterpoint.worlds.message.world import MessageWorld

TASKS = "tasks:"
"""What stands before the path of a file of tasks."""


class MessageEntry(WorldEntry[MessageWorld[Any]]):
    """A message environment in the registry."""

    kind, command = Kind.MESSAGE, "topology"

    def __init__(self, world: type[MessageWorld[Any]], name: str = "") -> None:
        super().__init__(name or world.name, world.settings_type, world.summary, world.source)
        self.world = world

    def make(self, settings: Mapping[str, Any] | None = None) -> MessageWorld[Any]:
        return self.world(settings_from(settings, self.world.settings_type, self.name))

    def describe(self) -> dict[str, Any]:
        world = self.make()
        return {
            "name": self.name,
            "summary": self.summary,
            "source": self.source,
            "members": world.settings.members,
            "prompts": dict(world.prompts),
            "scale": world.scale,
            "command": f"counterpoint {self.command} {self.name}",
            "settings": settings_facts(self.settings_type),
        }


class TaskFileEntry(MessageEntry):
    """`tasks:PATH`: a file of tasks, as HiddenBench writes them."""

    def __init__(self, name: str) -> None:
        super().__init__(TaskFile, name)

    def make(self, settings: Mapping[str, Any] | None = None) -> MessageWorld[Any]:
        """Returns the environment.

        Raises:
            UnknownNameError: it has no setting of that name.
            SettingError: a value has a wrong type or is out of range.
            LogError: the file cannot be read.
        """
        given = settings_from(settings, TaskFile.settings_type, self.name)
        return TaskFile(self.name.removeprefix(TASKS), given)
