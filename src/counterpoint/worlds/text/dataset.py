"""Tasks from a file: `TaskSetWorld` is a text world whose tasks are lines of JSON or text files.

A class of your own names the fields that it wants of each line and says what the agents are asked;
`tasks_from` says where the tasks are, `held_out` how many are kept for the evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.settings import Range
from counterpoint.worlds.kind import cycled
from counterpoint.worlds.text.split import Split, split_tasks
from counterpoint.worlds.text.world import Task, TextSettings, TextWorld

ENDINGS = (".txt", ".md")
"""The endings of the files of a folder that are tasks."""
OF_FILES = ("text", "name")
"""The fields of a task that is a text file."""
MOST_BYTES = 1 << 28
"""The most bytes of a file, or of all files of a folder."""


@dataclass(frozen=True, kw_only=True)
class TaskSetSettings(TextSettings):
    """Settings of a world whose tasks are in a file."""

    tasks_from: str = ""
    """The tasks: a file with a JSON object a line, or a folder of .txt and .md files."""
    held_out: Annotated[float, Range(0.0, 1.0)] = 0.2
    """Share of the tasks that training never draws and the evaluation plays."""
    split_seed: int = 0
    """Another one holds out other tasks."""


@dataclass(frozen=True)
class TaskSet:
    """Tasks that were read."""

    tasks: tuple[Task, ...]
    """Different ones, in the order of the file: the fields of each."""
    sha256: str
    """SHA-256 of what was read."""
    repeated: int = 0
    """Number of tasks that were there already and are left out."""


class TaskSetWorld(TextWorld):
    """A text world whose tasks are read; a task has the `fields` of its line.

    Raises:
        SettingError: there are no tasks, a line is wrong, or a part of the split would be empty.
    """

    fields: ClassVar[tuple[str, ...]]
    """The fields of a task, such as `question` and `answer`; of a text file `text` and `name`."""
    built_in: ClassVar[tuple[Task, ...]] = ()
    """Tasks to play where `tasks_from` is empty."""
    settings_type = TaskSetSettings
    settings: TaskSetSettings
    split: Split

    def __init__(self, settings: TaskSetSettings | None = None) -> None:
        super().__init__(settings)
        self.task_set = self._task_set()
        try:
            self.split = split_tasks(
                self.task_set.tasks, self.settings.held_out, self.settings.split_seed
            )
        except SettingError as error:
            raise SettingError(f"{error} (tasks_from={self.settings.tasks_from})") from None

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        return cycled(rng, self.split.training, count)

    def _task_set(self) -> TaskSet:
        if self.settings.tasks_from or not self.built_in:
            return read_tasks(self.settings.tasks_from, self.fields)
        return TaskSet(self.built_in, sha256(repr(self.built_in).encode()).hexdigest())


def read_tasks(place: str, fields: tuple[str, ...]) -> TaskSet:
    """Returns the tasks of a file of JSON lines, or of a folder of text files.

    Args:
        place: the file or the folder.
        fields: those of each task, in this order; a number or truth value becomes text.

    Raises:
        SettingError: the place cannot be read, has no task, or a line is no object with all fields;
            the message has the line's number.
    """
    path = Path(place).expanduser()
    if not place or not path.exists():
        got = f"got tasks_from={place!r}, which is not there" if place else "got no tasks"
        raise SettingError(
            f"{got}; wanted --set tasks_from=FILE with a JSON object a line "
            f"({', '.join(fields)}), or a folder of {' and '.join(ENDINGS)} files"
        )
    try:
        digest, tasks = (_folder if path.is_dir() else _lines)(path, fields)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"could not read tasks_from={place} ({error})") from None
    if not tasks:
        raise SettingError(f"got tasks_from={place}, which has no task; wanted at least 2")
    different = tuple(dict.fromkeys(tasks))
    return TaskSet(different, digest, len(tasks) - len(different))


def _lines(path: Path, fields: tuple[str, ...]) -> tuple[str, list[Task]]:
    """Returns the SHA-256 and the tasks of a file of JSON lines."""
    _demand_size(path.stat().st_size, path)
    content = path.read_bytes()
    tasks = []
    for number, line in enumerate(content.decode("utf-8-sig").split("\n"), 1):
        if line.strip():
            tasks.append(_task(line, fields, f"{path} line {number}"))
    return sha256(content).hexdigest(), tasks


def _folder(path: Path, fields: tuple[str, ...]) -> tuple[str, list[Task]]:
    """Returns the SHA-256 of names and texts, and the tasks of a folder."""
    if strange := sorted(set(fields) - set(OF_FILES)):
        raise SettingError(
            f"got tasks_from={path}, a folder, whose files have no field {', '.join(strange)}; "
            f"wanted a file with a JSON object a line, or a world with fields {OF_FILES}"
        )
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
    _demand_size(sum(file.stat().st_size for file in files), path)
    digest, tasks = sha256(), list[Task]()
    for file in files:
        content = file.read_bytes()
        digest.update(repr((file.name, content)).encode())
        try:
            file.name.encode()
            values = {"name": file.stem, "text": content.decode("utf-8-sig").strip()}
        except UnicodeError as error:
            raise SettingError(f"got {str(file)!r}, which is no text in UTF-8 ({error})") from None
        if not values["text"]:
            raise SettingError(f"got {file}, which is empty; wanted the text of a task")
        tasks.append(tuple(values[field] for field in fields))
    return digest.hexdigest(), tasks


def _task(line: str, fields: tuple[str, ...], where: str) -> Task:
    """Returns the fields of a line."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SettingError(f"got {where}, which is no JSON ({error})") from None
    if not isinstance(values, dict):
        raise SettingError(f"got {where}, a {type(values).__name__}; wanted a JSON object")
    return tuple(_text(values, field, where) for field in fields)


def _text(values: dict[str, object], field: str, where: str) -> str:
    """Returns a field of a line as text."""
    if field not in values:
        there = ", ".join(map(str, values)) or "none"
        raise SettingError(f"got {where} without the field {field}; it has {there}")
    value = values[field]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise SettingError(
            f"got {where} with {field}={json.dumps(value):.40}; wanted a text that is not empty"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SettingError(
            f"got {where} with {field}={json.dumps(value):.40}, half of a character ({error}); "
            "wanted whole ones"
        ) from None
    return value


def _demand_size(nbytes: int, path: Path) -> None:
    if nbytes > MOST_BYTES:
        raise SettingError(
            f"got tasks_from={path} of {nbytes:,} bytes; wanted at most {MOST_BYTES:,}"
        )


def describe_split(world: TextWorld) -> Iterator[str]:
    """Yields a sentence about how many tasks are held out, and what was left out of a file."""
    if world.split is None:
        return
    place = ""
    if isinstance(world, TaskSetWorld):
        place = f"{world.settings.tasks_from or world.name}: "
        if world.task_set.repeated:
            yield f"{place}{world.task_set.repeated} repeated tasks are left out"
    yield (
        f"{place}{len(world.split.training)} of the tasks are for training, "
        f"{len(world.split.held_out)} held out for the evaluation"
    )
