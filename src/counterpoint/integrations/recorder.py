"""`Recorder`: rewards, agents and groups of a peer's training, as a log of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import LabelError, OutputError
from counterpoint.integrations.draws import occurrences, with_turns
from counterpoint.records import LABELS
from counterpoint.runs.files import write_atomically

ENCODER = msgspec.json.Encoder()
LONGEST = 1_000_000
"""Bytes at the end of a file in which its last line is looked for."""


class Recorder:
    """Adds the rows of each update to a file of JSON lines.

    Args:
        path: the file; its folder is made, and rows that are there stay.
        components: [K] names, where rewards have several.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path, components: tuple[str, ...] = ()) -> None:
        self.path, self.components = path, components
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.was_there = _mended(path)
            """Whether it had rows before."""
            self._turns = not self.was_there or _has_turns(path)
        except OSError as error:
            raise self._failed(error) from error

    def add(self, step: int, rewards: NDArray[np.float64], labels: Mapping[str, Any]) -> None:
        """Write the rows of one update.

        Args:
            step: number of the update.
            rewards: [N, K]; NaN is missing.
            labels: name to [N] values; one prompt and one agent, where they are not given. `action`
                is what was decided, where the trainer says it.
        """
        n = len(rewards)
        columns: dict[str, list[Any]] = {"prompt": [0] * n, "agent": ["policy"] * n}
        columns |= {name: plain(labels[name]) for name in (*LABELS, "action") if name in labels}
        if "rollout" not in columns:
            columns["rollout"] = occurrences(columns["prompt"], columns["agent"])
        columns = with_turns(columns)  # all rows of a log have the same columns
        if not self._turns:  # a log that an older version began
            del columns["turn"]
        paid = [
            [None if value != value else value for value in column] for column in rewards.T.tolist()
        ]
        if len(paid) == 1 and not self.components:
            columns["reward"] = paid[0]
        else:
            names = self._names(len(paid))
            columns["rewards"] = [
                dict(zip(names, row, strict=True)) for row in zip(*paid, strict=True)
            ]
        keys = ("step", *columns)
        rows = [dict(zip(keys, (step, *row), strict=True))
                for row in zip(*columns.values(), strict=True)]  # fmt: skip
        try:
            lines = ENCODER.encode_lines(rows)
        except (TypeError, UnicodeEncodeError) as error:
            raise LabelError(f"got labels that a log cannot hold ({error})") from error
        try:
            with self.path.open("ab") as file:
                file.write(lines)
        except OSError as error:
            raise self._failed(error) from error

    def go_back(self, step: int) -> None:
        """Take off the rows of this update and of later ones, and a torn last line.

        A training that goes on from a checkpoint does these updates again.
        """
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise self._failed(error) from error
        kept = [line for line in lines if _before(line, step)]
        if len(kept) < len(lines):
            write_atomically(self.path, b"".join(kept))

    def _names(self, count: int) -> tuple[str, ...]:
        return self.components or tuple(f"reward_{k}" for k in range(count))

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"could not write {self.path} ({error.strerror or error}); give record another file"
        )


def _has_turns(path: Path) -> bool:
    """Whether the first row of a log says its turn, or cannot be read."""
    with path.open("rb") as file:
        try:
            return "turn" in msgspec.json.decode(file.readline(LONGEST), type=dict[str, Any])
        except msgspec.MsgspecError:
            return True


def as_table(rewards: Any) -> NDArray[np.float64]:
    """[N, K] float64 of rewards of any kind, the caller's to keep; None is NaN."""
    if hasattr(rewards, "detach"):
        rewards = rewards.detach().cpu().double().numpy()
    table = np.array(rewards, dtype=np.float64)
    return table[:, None] if table.ndim == 1 else table


def plain(column: Any) -> list[Any]:
    """[N] values that a log holds, of a list, an array or a tensor; True is a name there."""
    if hasattr(column, "detach"):
        column = column.detach().cpu().numpy()
    found: list[Any] = np.asarray(column).tolist() if not isinstance(column, list) else column
    items = [one.item() if hasattr(one, "item") else one for one in found]
    return [str(one) if isinstance(one, bool) else one for one in items]


def _mended(path: Path) -> bool:
    """Make the file where it is missing, and take off a last line that a kill cut short; whether it
    has rows."""
    with path.open("ab") as file:
        size = file.tell()
    with path.open("r+b") as file:
        file.seek(max(0, size - LONGEST))
        end = file.read()
        if end and not end.endswith(b"\n"):
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
