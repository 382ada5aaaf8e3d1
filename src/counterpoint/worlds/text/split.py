"""`Split`: the tasks of a world in two parts, one to learn from and one to be evaluated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from counterpoint.errors import SettingError

Task = tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Tasks to learn from, and tasks that training never draws."""

    training: tuple[Task, ...]
    held_out: tuple[Task, ...]


def split_tasks(tasks: Sequence[Task], held_out: float, seed: int = 0) -> Split:
    """Returns the different tasks in two parts; their order is kept in both.

    The tasks with the smallest hashes of their own text are held out. So the parts depend neither
    on the order of the tasks nor on the machine, and a task that is added moves few others.

    Args:
        tasks: all of them; equal ones count once.
        held_out: the share of the tasks that is held out, rounded to whole tasks.
        seed: another one gives another split.

    Raises:
        SettingError: one of the parts would be empty.
    """
    different = list(dict.fromkeys(tasks))
    count = round(held_out * len(different))
    if not 0 < count < len(different):
        raise SettingError(
            f"got held_out={held_out:g} of {len(different)} tasks, which leaves "
            f"{len(different) - count} to train on and {count} to evaluate on; wanted at least 1 "
            "of each"
        )
    hashed = {task: sha256(repr((seed, task)).encode()).digest() for task in different}
    out = set(sorted(different, key=hashed.__getitem__)[:count])
    return Split(
        tuple(task for task in different if task not in out),
        tuple(task for task in different if task in out),
    )
