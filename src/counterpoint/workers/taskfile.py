"""Tasks from a file that a plan names: TOML, JSON, or JSON by the line. Start with `read_tasks`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from counterpoint.errors import SettingError


def read_tasks(path: Path) -> list[dict[str, Any]]:
    """Returns the tasks in a file, each with an id: its own, its title, or `task-N` by its place.

    `.toml` has `[[task]]` tables, `.json` a list of objects (or an object with such a list as
    `task` or `tasks`), `.jsonl` an object a line.

    Raises:
        SettingError: it cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".toml":
            told: Any = tomllib.loads(text)
        elif path.suffix == ".jsonl":
            told = [json.loads(line) for line in text.split("\n") if line.strip()]
        elif path.suffix == ".json":
            told = json.loads(text)
        else:
            raise SettingError(f"got tasks in {path}; wanted a .toml, .json or .jsonl file")
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, SettingError):
            raise
        why = getattr(error, "strerror", None) or error
        raise SettingError(f"could not read the tasks in {path} ({why})") from error
    if isinstance(told, dict):
        unknown = sorted(set(told) - {"task", "tasks"})
        if unknown:
            raise SettingError(f"got {', '.join(unknown)} in {path}; wanted task or tasks")
        if len(told) > 1:
            raise SettingError(f"got both task and tasks in {path}; wanted one list")
        told = next(iter(told.values()), [])
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise SettingError(f"got no list of tasks in {path}; wanted objects with a title")
    if not told:
        raise SettingError(f"got no tasks in {path}; wanted at least one")
    return [{"id": str(one.get("title") or f"task-{n}"), **one} for n, one in enumerate(told, 1)]


def require_order(depends: Mapping[str, Sequence[str]]) -> None:
    """Return where every task can be done after those that it depends on.

    Args:
        depends: id of each task to the ids of those that have to be done before.

    Raises:
        SettingError: a task depends on one that there is not, or in the end on itself.
    """
    for name, before in depends.items():
        unknown = sorted({one for one in before if one not in depends})
        if unknown:
            raise SettingError(f"got depends_on = {unknown} of task {name!r}; wanted ids of tasks")
    try:
        TopologicalSorter(depends).prepare()
    except CycleError as error:
        circle = " -> ".join(map(str, error.args[1]))
        raise SettingError(f"got tasks that depend on each other in a circle: {circle}") from None
