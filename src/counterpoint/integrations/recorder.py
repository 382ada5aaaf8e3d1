"""`Recorder` writes the rewards, agents and groups of another package's training as a log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from counterpoint.arrays import Array, Columns, Floats
from counterpoint.errors import LabelError, OutputError
from counterpoint.integrations.draws import with_turns
from counterpoint.records import LABELS
from counterpoint.runs.files import write_atomically
from counterpoint.settings import NOT_JSON

LONGEST = 1_000_000
"""The number of bytes at the end of a file that are searched for its last line."""


class Recorder:
    """Adds the rows of each update to a file of JSON lines.

    Args:
        path: the file; its folder is made, and rows that it has already stay.
        components: [K] names of the reward components, if there are several.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path, components: tuple[str, ...] = ()) -> None:
        self.path, self.components = path, components
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.was_there = _mended(path)
            """Whether the file had rows before."""
            self._turns = not self.was_there or _has_turns(path)
        except OSError as error:
            raise self._failed(error) from error

    def add(self, step: int, rewards: Floats, labels: Columns, trainer: str = "") -> None:
        """Writes the rows of one update.

        Args:
            step: the number of the update.
            rewards: [N, K]; NaN is missing.
            labels: name to [N] values, `rollout` among them; without `prompt` or `agent` all rows
                have the same one. `action` is the action that was taken, if the trainer knows it.
            trainer: the trainer, one of `counterpoint.records.TRAINERS`, which each row names: the
                first rows of a log may be removed. An empty text is left out.
        """
        n, k = rewards.shape
        columns: dict[str, Sequence[Any]] = {"prompt": [0] * n, "agent": ["policy"] * n}
        columns |= {
            name: plain_values(labels[name]) for name in (*LABELS, "action") if name in labels
        }
        columns = with_turns(columns)  # all rows of a log have the same columns
        if not self._turns:  # a log that an older version began
            del columns["turn"]
        paid = [[None if value != value else value for value in row] for row in rewards.tolist()]
        if k == 1 and not self.components:
            columns["reward"] = [value for (value,) in paid]
        else:
            names = self.components or tuple(f"reward_{i}" for i in range(k))
            columns["rewards"] = [dict(zip(names, row, strict=True)) for row in paid]
        if trainer:
            columns["trainer"] = [trainer] * n
        rows = [
            {"step": step, **dict(zip(columns, row, strict=True))}
            for row in zip(*columns.values(), strict=True)
        ]
        try:
            with self.path.open("ab") as file:
                file.write(msgspec.json.Encoder().encode_lines(rows))
        except (TypeError, UnicodeEncodeError) as error:
            raise LabelError(f"got labels that a log cannot hold ({error})") from error
        except OSError as error:
            raise self._failed(error) from error

    def go_back(self, step: int) -> None:
        """Removes the rows of this update and of later ones, and a torn last line.

        A training that resumes from a checkpoint repeats these updates.
        """
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise self._failed(error) from error
        kept = [line for line in lines if _before(line, step)]
        if len(kept) < len(lines):
            write_atomically(self.path, b"".join(kept))

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"could not write {self.path} ({error.strerror or error}); give record another file"
        )


def _has_turns(path: Path) -> bool:
    """Returns whether the first row of a log has a turn, or cannot be read."""
    with path.open("rb") as file:
        try:
            return "turn" in msgspec.json.decode(file.readline(LONGEST), type=dict[str, object])
        except NOT_JSON:
            return True


def on_host(values: Array) -> Array:
    """Returns a torch tensor as a NumPy array, floats as float64; other values as they are."""
    if not hasattr(values, "detach"):
        return values
    values = values.detach().cpu()
    return (values.double() if values.is_floating_point() else values).numpy()


def as_table(rewards: Array) -> Floats:
    """Returns rewards of any kind as a new array [N, K] of float64; None is NaN."""
    table = np.array(on_host(rewards), dtype=np.float64)
    return table[:, None] if table.ndim == 1 else table


def plain_values(column: Array) -> list[Any]:
    """Returns a column [N] as values that a log can hold; booleans become text."""
    values = column if isinstance(column, list) else np.asarray(on_host(column)).tolist()
    items = [value.item() if hasattr(value, "item") else value for value in values]
    return [str(item) if isinstance(item, bool) else item for item in items]


def _mended(path: Path) -> bool:
    """Makes a missing file, removes a torn last line, and returns whether the file has rows."""
    with path.open("ab") as file:
        size = file.tell()
    with path.open("r+b") as file:
        file.seek(max(0, size - LONGEST))
        end = file.read()
        if end and not end.endswith(b"\n"):  # a kill amid a write left half a row
            whole = size - len(end) + end.rfind(b"\n") + 1
            if end[end.rfind(b"\n") + 1 :].startswith(b'{"step":'):
                file.truncate(whole)
                return whole > 0
            file.seek(size)
            file.write(b"\n")
    return size > 0


def _before(line: bytes, step: int) -> bool:
    try:
        return line.endswith(b"\n") and int(msgspec.json.decode(line)["step"]) < step
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return False
