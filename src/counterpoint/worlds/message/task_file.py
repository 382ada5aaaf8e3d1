"""`tasks:PATH`: hidden profiles in words from a file, in the format of HiddenBench.

A JSON list, or JSON lines, of objects with `description`, `shared_information` (a list of texts),
`hidden_information` (a list: one text a member), `possible_answers` and the right one as
`correct_answer`; `name` or `id` names a task.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import LogError, SettingError
from counterpoint.machine.files import read_ordinary
from counterpoint.settings import GivenSettings, settings_from
from counterpoint.worlds.kind import (
    Kind,
    SettingFacts,
    WorldEntry,
    WorldFacts,
    cycled,
    facts_from,
)
from counterpoint.worlds.message.hidden_profile import PROMPTS
from counterpoint.worlds.message.world import Brief, MessageSettings, MessageWorld

MOST_BYTES = 64_000_000
"""Maximum number of bytes of a file of tasks."""
RIGHT = ("correct_answer", "answer", "gold")
"""Keys that may hold the right answer."""


@dataclass(frozen=True)
class HiddenProfileTask:
    """One hidden profile in words."""

    name: str
    """The name of the task."""
    description: str
    """The task of the team."""
    shared: tuple[str, ...]
    """What all know."""
    hidden: tuple[str, ...]
    """[A] the private information of each member."""
    options: tuple[str, ...]
    """The answers to choose among."""
    right: int
    """The right answer."""


class TaskFile(MessageWorld[Sequence[HiddenProfileTask]]):
    """Tasks of a file; a team is as large as a task has pieces of hidden information.

    Args:
        path: of the file.
        settings: which size of team is played; None takes the one size that all tasks have.

    Raises:
        LogError: the file cannot be read, or a task lacks something; the message says which.
        SettingError: no task is for a team of that size, or they differ and none was chosen.
    """

    name = "tasks"
    summary = "hidden profiles in words, from a file"
    source = "the format of HiddenBench, Li et al., arXiv 2505.11556"
    policies = PROMPTS
    scale = "share of tasks with the right answer"

    def __init__(self, path: str, settings: MessageSettings | None = None) -> None:
        tasks = read_task_file(path)
        counts = sizes_of(tasks)
        if settings is None and len(counts) == 1:
            settings = MessageSettings(members=next(iter(counts)))
        if settings is None or settings.members not in counts:
            got = f"members={settings.members}" if settings else "tasks for teams of several sizes"
            there = ", ".join(f"{size} members ({count})" for size, count in counts.items())
            raise SettingError(f"got {got}; wanted one of {there}")
        super().__init__(settings)
        self.all = [task for task in tasks if len(task.hidden) == settings.members]

    def draw(self, rng: np.random.Generator, count: int) -> list[HiddenProfileTask]:
        """Returns tasks, each about equally often, whose private information is shuffled."""
        return [
            replace(task, hidden=tuple(task.hidden[i] for i in rng.permutation(len(task.hidden))))
            for task in cycled(rng, self.all, count)
        ]

    def score(self, items: Sequence[HiddenProfileTask], answers: NDArray[Any]) -> Floats:
        return np.array(
            [float(task.right == answer) for task, answer in zip(items, answers, strict=True)]
        )

    def answer_text(self, items: Sequence[HiddenProfileTask], answer: Any) -> str:
        return f"option {int(answer) + 1}"

    def brief(self, items: Sequence[HiddenProfileTask], index: int, member: int) -> Brief:
        task = items[index]
        own = task.hidden[member : member + 1] if member >= 0 else task.hidden
        return Brief(task.description, "\n".join([*task.shared, *own]), task.options)


def sizes_of(tasks: Sequence[HiddenProfileTask]) -> dict[int, int]:
    """Returns the number of tasks for teams of each size, the smallest first."""
    return dict(sorted(Counter(len(task.hidden) for task in tasks).items()))


def read_task_file(path: str) -> list[HiddenProfileTask]:
    """Returns the tasks of a file.

    Raises:
        LogError: it cannot be read, or a task lacks something; the message says which.
    """
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise LogError(f"{path} has more than {MOST_BYTES:,} bytes; wanted a file of tasks")
        text = read_ordinary(Path(path)).decode("utf-8")
    except (OSError, ValueError) as error:
        raise LogError(f"could not read {path} ({error})") from error
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        rows = [_line(line, f"{path}, line {number}")
                for number, line in enumerate(text.split("\n"), 1) if line.strip()]  # fmt: skip
    if isinstance(rows, Mapping):
        is_task = "hidden_information" in rows
        lists = (value for value in rows.values() if isinstance(value, list))
        rows = [rows] if is_task else next(lists, [])
    if not isinstance(rows, list) or not rows:
        raise LogError(f"got no task in {path}; wanted a list of them")
    return [_task(row, f"{path}, task {i + 1}") for i, row in enumerate(rows)]


def _line(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LogError(f"{where}: neither JSON nor JSON lines ({error})") from None


def _task(row: Any, where: str) -> HiddenProfileTask:
    if not isinstance(row, Mapping):
        raise LogError(f"got {type(row).__name__} in {where}; wanted an object")
    lists = {}
    for key, least in (
        ("shared_information", 0),
        ("hidden_information", 1),
        ("possible_answers", 2),
    ):
        value = row.get(key)
        if (
            not isinstance(value, list)
            or len(value) < least
            or not all(isinstance(one, str) for one in value)
        ):
            raise LogError(f"got {key} = {value!r} in {where}; wanted a list of texts")
        lists[key] = tuple(" ".join(one.split()) for one in value)
    options = lists["possible_answers"]
    right = next((row[key] for key in RIGHT if key in row), None)
    right = " ".join(right.split()) if isinstance(right, str) else right
    if right not in options or len(set(options)) < len(options):
        raise LogError(f"got right answer {right!r} in {where}; wanted one of {options}, each once")
    return HiddenProfileTask(
        str(row.get("name") or row.get("id") or where), str(row.get("description") or ""),
        lists["shared_information"], lists["hidden_information"], options, options.index(right),
    )  # fmt: skip


TASKS = "tasks:"
"""The prefix of the path of a file of tasks."""


class MessageFacts(WorldFacts, frozen=True, kw_only=True):
    """The facts about a message environment."""

    members: int
    prompts: dict[str, str]
    scale: str
    command: str
    settings: dict[str, SettingFacts]


class MessageEntry(WorldEntry[MessageWorld[Any]]):
    """A message environment in the registry."""

    kind, command = Kind.MESSAGE, "topology"

    def __init__(self, world: type[MessageWorld[Any]], name: str = "") -> None:
        super().__init__(name or world.name, world.settings_type, world.summary, world.source)
        self.world = world

    def make(self, settings: GivenSettings | None = None) -> MessageWorld[Any]:
        return self.world(settings_from(settings, self.world.settings_type, self.name))

    def describe(self) -> MessageFacts:
        world = self.make()
        command = f"counterpoint {self.command} {self.name}"
        return facts_from(
            MessageFacts, world, self, members=world.settings.members, command=command
        )


class TaskFileEntry(MessageEntry):
    """`tasks:PATH`: a file of tasks, as HiddenBench writes them."""

    def __init__(self, name: str) -> None:
        super().__init__(TaskFile, name)

    def make(self, settings: GivenSettings | None = None) -> MessageWorld[Any]:
        """Returns the environment.

        Raises:
            UnknownNameError, SettingError: as for every entry.
            LogError: the file cannot be read.
        """
        given = settings_from(settings, TaskFile.settings_type, self.name) if settings else None
        return TaskFile(self.name.removeprefix(TASKS), given)
