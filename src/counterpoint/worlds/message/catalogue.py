"""Message worlds by name: `message_catalogue()` lists them, `make_message` builds one.

`tasks:PATH` is a file of tasks that somebody has, as HiddenBench writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.errors import UnknownNameError
from counterpoint.settings import did_you_mean, settings_from
from counterpoint.worlds.message.hidden_profile import HiddenProfile
from counterpoint.worlds.message.idea_search import IdeaSearch
from counterpoint.worlds.message.task_file import TaskFile
from counterpoint.worlds.message.world import MessageWorld

_WORLDS: tuple[type[MessageWorld[Any]], ...] = (HiddenProfile, IdeaSearch)
TASKS = "tasks:"
"""What stands before the path of a file of tasks."""


def message_catalogue() -> dict[str, type[MessageWorld[Any]]]:
    """Name to world, in the order in which tables list them."""
    return {world.name: world for world in _WORLDS}


def make_message(name: str, settings: Mapping[str, Any] | None = None) -> MessageWorld[Any]:
    """The message world called `name`.

    Args:
        name: one of `message_catalogue()`, or `tasks:PATH`.
        settings: field name to value; text is converted to the field's type.

    Raises:
        UnknownNameError: no world, or no setting of it, has that name.
        SettingError: a value of a wrong type or out of range.
        LogError: a file of tasks that cannot be read.
    """
    if name.startswith(TASKS):
        return TaskFile(
            name.removeprefix(TASKS), settings_from(settings, TaskFile.settings_type, name)
        )
    worlds = message_catalogue()
    if name not in worlds:
        raise UnknownNameError(
            f"got world '{name}'; wanted one of {', '.join(worlds)}, or {TASKS}PATH: worlds in "
            f"which a topology says who hears whom{did_you_mean(name, worlds)}"
        )
    world = worlds[name]
    return world(settings_from(settings, world.settings_type, name))
