"""CSV to columns: a header line, then one decision a line.

The reward is in the column `reward`, or its components in `reward.NAME` (or `rewards.NAME`).
Empty, `nan`, `null`, `none` and `na` are missing rewards. Comma, semicolon or tab, by the header.
"""

from __future__ import annotations

import csv
import itertools
import math
import re
import warnings
from collections.abc import Iterable, Iterator

from counterpoint.errors import LogError
from counterpoint.readers.columns import REQUIRED, Columns, Label, missing
from counterpoint.readers.lines import Block, TornLogWarning

ALIASES = {"prompt_id": "prompt", "answer": "action"}
"""Column names that mean another column, where that other one is not there."""

KNOWN = ("prompt", "rollout", "agent", "role", "turn", "context", "step", "action")
"""Columns that are read, besides the rewards; others are ignored."""

MISSING = frozenset(("", "nan", "null", "none", "na"))
"""How a missing reward may be written, in any case."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


def read_table(blocks: Iterable[Block]) -> Columns:
    """Read every line into columns.

    A file that does not end with a line end may be torn: an incomplete last record is left out, a
    complete one is kept, and either way a `TornLogWarning` says so.

    Raises:
        LogError: a missing column or a cell of the wrong kind, with the line and the column.
    """
    lines = _Lines(blocks)
    first = next(lines, "")
    delimiter = max((",", ";", "\t"), key=first.count)
    rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    columns, torn = Columns(), "has no line end, so its last value may be cut"
    read = 0
    try:
        header = [name.strip() for name in next(rows, [])]
        labels, rewards = _header(header)
        read = rows.line_num
        for cells in rows:
            before, read = read, rows.line_num
            if not cells:
                continue
            where = f"line {rows.line_num}"
            if len(cells) != len(header):
                read = before
                raise csv.Error(f"got {len(cells)} cells, and the header has {len(header)}")
            columns.add(
                where,
                {name: _label(where, name, cells[i]) for name, i in labels.items()},
                {name: _reward(where, header[i], cells[i]) for name, i in rewards.items()},
            )
    except csv.Error as error:
        if not (lines.unended and columns.rows) or rows.line_num > read + 1:
            raise LogError(f"line {read + 1}: {error}; wanted one record a line") from error
        torn = "is incomplete and was left out"
    if lines.unended and columns.rows:
        message = f"line {rows.line_num}: the last line {torn}; decisions read: {columns.rows}"
        warnings.warn(message, TornLogWarning, stacklevel=4)
    _as_integers(columns)
    return columns


def _header(header: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Where the labels and the reward components are: name to position."""
    where = "line 1"
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise LogError(f"{where}: got column {twice!r} twice; wanted each column once")
    at = {name: i for i, name in enumerate(header)}
    for alias, name in ALIASES.items():
        if alias in at:
            at.setdefault(name, at[alias])
    labels = {name: at[name] for name in KNOWN if name in at}
    rewards = {
        name.partition(".")[2]: i
        for name, i in at.items()
        if name.startswith(("reward.", "rewards.")) and name.partition(".")[2]
    }
    if rewards and "reward" in at:
        raise LogError(f"{where}: got both 'reward' and components of it; wanted one of them")
    if not rewards and "reward" not in at:
        raise LogError(missing(where, "reward"))
    for name in REQUIRED:
        if name not in labels:
            raise LogError(missing(where, name))
    return labels, rewards or {"reward": at["reward"]}


def _label(where: str, name: str, cell: str) -> Label | None:
    text = cell.strip()
    if name == "action":
        return text or None
    if not text:
        raise LogError(f"{where}, column '{name}': got an empty cell; wanted a number or text")
    if name != "step":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise LogError(f"{where}, column 'step': got {text!r}; wanted an integer") from error


def _reward(where: str, name: str, cell: str) -> float:
    text = cell.strip()
    if text.lower() in MISSING:
        return math.nan
    try:
        reward = float(text) if "_" not in text else None
    except ValueError:
        reward = None
    if reward is None:
        raise LogError(
            f"{where}, column '{name}': got {text[:60]!r}; wanted a number, or an empty cell where "
            "it is missing"
        )
    if math.isinf(reward):
        raise LogError(f"{where}, column '{name}': got an infinite reward; wanted a finite number")
    return reward


def _as_integers(columns: Columns) -> None:
    """Turn label columns whose every value is an integer as `str` writes it into integers."""
    for name, ids in columns.values.items():
        texts = [text for text in ids if isinstance(text, str)]
        if len(texts) == len(ids) and all(_INTEGER.fullmatch(text) for text in texts):
            columns.values[name] = {int(text): ids[text] for text in texts}


class _Lines(Iterator[str]):
    """The text lines of the blocks; `unended` is true from the unended last line on."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.unended = False
        self._lines = self._split(blocks)

    def _split(self, blocks: Iterable[Block]) -> Iterator[str]:
        for block in blocks:
            self.unended = block.unended
            ended = block.data if block.unended else block.data[:-1]
            for line in ended.decode(errors="replace").split("\n"):
                yield line + "\n"

    def __next__(self) -> str:
        return next(self._lines)
