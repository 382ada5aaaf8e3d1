"""`Columns`: the readers add one decision at a time, and hand out `Decisions` at the end.

Each different label value is kept once, with an integer in each row. A million rows that repeat a
long prompt therefore take only the memory of the integers.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import LogError
from counterpoint.records import LABELS, Decisions

Label = int | float | str

Decision = tuple[Mapping[str, Label | None], Mapping[str, float]]
"""One row: its labels, and its rewards by component."""

REQUIRED = ("rollout", "agent")
"""Labels that every record must have; a log without `prompt` is of one prompt."""

ONE_AGENT = "agent"
"""The name of the agent in a log that has only one."""

_SHOWN = 12

WIDEST_TEXT = 64
"""Columns whose longest text is longer than this become object arrays."""


class Columns:
    """Columns that grow row by row: rewards by component (NaN where missing), labels by id."""

    def __init__(self) -> None:
        self.rows = 0
        self.rewards: dict[str, array[float]] = {}
        self.ids: dict[str, array[int]] = {}
        self.values: dict[str, dict[Label | None, int]] = {}
        self.guesses: list[str] = []
        self.facts: list[str] = []
        self.writer = ""

    def add(
        self, where: str, labels: Mapping[str, Label | None], rewards: Mapping[str, float]
    ) -> None:
        """Appends one decision; `where` is the place of its record, for errors.

        Raises:
            LogError: A label of earlier records is missing here, or the reverse.
        """
        if not self.rows:
            for name in REQUIRED:
                if name not in labels:
                    raise LogError(missing_column(where, name, [*labels, *rewards]))
            self.ids = {name: array("q") for name in labels}
            self.values = {name: {} for name in labels}
        elif labels.keys() != self.ids.keys():
            self._refuse(where, labels)
        for name, value in labels.items():
            known = self.values[name]
            self.ids[name].append(known.setdefault(value, len(known)))
        if self.rewards and ("reward" in rewards) != ("reward" in self.rewards):
            raise LogError(
                f"{where}: got {', '.join(rewards)} where earlier records have "
                f"{', '.join(self.rewards)}; wanted 'reward' in all of them, or named 'rewards' in "
                "all of them"
            )
        for name, reward in rewards.items():
            if name not in self.rewards:
                self.rewards[name] = array("d", [np.nan]) * self.rows
            self.rewards[name].append(reward)
        self.rows += 1
        # a component that this row does not have: its column must keep the length of the others
        if len(rewards) != len(self.rewards):
            for column in self.rewards.values():
                if len(column) < self.rows:
                    column.append(np.nan)

    def decisions(self) -> Decisions:
        """Returns the columns as arrays.

        Raises:
            LogError: There is no record, or none has a reward.
        """
        if not self.rows:
            raise LogError("got an empty log; wanted at least one record")
        if not self.rewards:
            raise LogError("got no reward in any record; wanted 'reward' or 'rewards'")
        columns = {
            name: _array(list(self.values[name]))[np.asarray(ids, dtype=np.int64)]
            for name, ids in self.ids.items()
        }
        columns.setdefault("prompt", np.zeros(self.rows, dtype=np.int64))
        step, action = columns.pop("step", None), columns.pop("action", None)
        if step is not None and step.dtype != np.int64:
            raise LogError("got a 'step' that is no 64-bit integer; wanted the training update")
        rewards = np.stack([np.asarray(column) for column in self.rewards.values()], axis=1)
        absent = dict(zip(map(printable, self.rewards), np.isnan(rewards).sum(axis=0), strict=True))
        missing = [f"{name} in {count:,}" for name, count in absent.items() if count]
        rows = f"missing rewards of {self.rows:,} rows: {', '.join(missing[:_SHOWN])}"
        return Decisions(
            rewards=rewards,
            components=tuple(self.rewards),
            labels={name: columns[name] for name in LABELS if name in columns},
            step=step,
            action=action,
            notices=(*self.guesses, *self.facts, *([rows] if missing else [])),
            writer=self.writer,
        )

    def _refuse(self, where: str, labels: Mapping[str, Label | None]) -> None:
        for name in self.ids:
            if name not in labels:
                raise LogError(missing_column(where, name, list(labels)))
        extra = next(name for name in labels if name not in self.ids)
        raise LogError(
            f"{where}, column '{extra}': got a value, and the records before have none; wanted the "
            "same columns in every record"
        )


def number_rollout(labels: dict[str, Label | None], numbers: Counter[tuple[object, ...]]) -> None:
    """Gives a row without a rollout the number of rows before it that have the same labels."""
    key = tuple(value for name, value in labels.items() if name != "action")
    labels["rollout"] = numbers[key]
    numbers[key] += 1


def missing_column(where: str, name: str, there: Sequence[str]) -> str:
    """Returns the message for a missing column, with the columns that the record has."""
    return (
        f"{where}: got no column '{name}' among {list_names(there) or 'no columns'}; wanted "
        "rollout, agent and reward (or rewards) in every record, and any other column in all "
        f"records or in none; --columns NAME={name} reads a column of another name"
    )


def list_names(names: Sequence[str]) -> str:
    """Returns names as a message shows them: the first dozen, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def printable(name: str) -> str:
    """Returns a foreign name as a message shows it: short, and on one line."""
    name = name if len(name) <= 60 else name[:57] + "..."
    return name if name.isprintable() else repr(name)[1:-1]


def _array(values: list[Label | None]) -> NDArray[Any]:
    """Returns distinct values as an array of integers, of short text, or of objects.

    A text that ends with NUL stays an object: NumPy takes it for padding, and "a" and "a\\0" for
    one name.
    """
    if all(type(value) is int and -(2**63) <= value < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    if all(
        type(value) is str and len(value) <= WIDEST_TEXT and value[-1:] != "\0" for value in values
    ):
        return np.array(values, dtype=np.str_)
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects
