"""CSV to columns: a header line, then one decision in each line.

The reward is in the column `reward`, or its components in `reward.NAME` (or `rewards.NAME`); other
tools' names are in `counterpoint.readers.names`. Empty, `nan`, `null`, `none` and `na` are missing
rewards, `true` and `false` are 1 and 0. The header decides between comma, semicolon and tab.
"""

from __future__ import annotations

import csv
import itertools
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from counterpoint.errors import LogError
from counterpoint.readers.columns import (
    ONE_AGENT,
    REQUIRED,
    Columns,
    Label,
    missing_column,
    number_rollout,
)
from counterpoint.readers.lines import Block, TornLogWarning
from counterpoint.readers.names import ColumnPlan, as_number, kind_of_cell, kinds_of, plan_columns

PEEKED_ROWS = 64
"""The number of rows at the start of a table that decide what its columns mean."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


def read_table(blocks: Iterable[Block], chosen: Mapping[str, str] | None) -> Columns:
    """Returns the columns of all lines; `chosen` has the user's meanings of columns.

    A file without a line end at its end may be torn. An incomplete last record is left out, a
    complete one is kept, and both give a `TornLogWarning`.

    Raises:
        LogError: A column is missing, or a cell is of the wrong kind.
    """
    lines = _Lines(blocks)
    head = list(itertools.islice(lines, PEEKED_ROWS + 1))
    delimiter = max((",", ";", "\t"), key=(head or [""])[0].count)
    rows = csv.reader(itertools.chain(head, lines), delimiter=delimiter, strict=True)
    columns, torn = Columns(), "has no line end, so its last value may be cut"
    read = 0
    try:
        header = [name.strip() for name in next(rows, [])]
        plan = plan_columns(_kinds(header, head, delimiter), chosen)
        labels, rewards = _header(header, plan)
        numbers: Counter[tuple[object, ...]] = Counter()
        read = rows.line_num
        for cells in rows:
            before, read = read, rows.line_num
            if not cells:
                continue
            where = f"line {lines.blank + rows.line_num}"
            if len(cells) != len(header):
                read = before
                raise csv.Error(f"got {len(cells)} cells, and the header has {len(header)}")
            row = {name: _label(where, header[i], name, cells[i]) for name, i in labels.items()}
            row.setdefault("agent", ONE_AGENT)  # in a log of ours the header has both
            if "rollout" not in row:
                number_rollout(row, numbers)
            paid = {name: _reward(where, header[i], cells[i]) for name, i in rewards.items()}
            columns.add(where, row, paid)
    except csv.Error as error:
        # only the last record can be torn: an error before it is an error of the file
        if not (lines.unended and columns.rows) or rows.line_num > read + 1:
            raise LogError(
                f"line {lines.blank + read + 1}: {error}; wanted one record a line"
            ) from error
        torn = "is incomplete and was left out"
    if lines.unended and columns.rows:
        last = lines.blank + rows.line_num
        message = f"line {last}: the last line {torn}; decisions read: {columns.rows}"
        warnings.warn(message, TornLogWarning, stacklevel=3)
    # a label column is of integers if every value is an integer as `str` writes it
    for name, ids in columns.values.items():
        texts = [text for text in ids if isinstance(text, str)]
        if len(texts) == len(ids) and all(_INTEGER.fullmatch(text) for text in texts):
            columns.values[name] = {int(text): ids[text] for text in texts}
    columns.guesses, columns.facts = list(plan.guesses), list(plan.facts)
    columns.writer = plan.writer
    return columns


def _kinds(header: list[str], head: list[str], delimiter: str) -> dict[str, set[str]]:
    """Returns the columns of a table, each with the kinds of its first cells."""
    rows = csv.reader(head, delimiter=delimiter)
    named = (dict(zip(header, map(kind_of_cell, row), strict=False)) for row in rows)
    next(named, None)
    try:
        kinds = kinds_of(itertools.islice(named, PEEKED_ROWS))
    except csv.Error:
        kinds = {}  # the reader of this line raises the error
    return {name: kinds.get(name, set()) for name in header}


def _header(header: list[str], plan: ColumnPlan) -> tuple[dict[str, int], dict[str, int]]:
    """Returns the positions of the labels and of the reward components by name."""
    where = "line 1"
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise LogError(f"{where}: got column {twice!r} twice; wanted each column once")
    at = {name: i for i, name in enumerate(header)}
    sources = dict(plan.sources)
    reward = sources.pop("reward", sources.pop("rewards", None))
    if plan.components and reward is not None:
        raise LogError(f"{where}: got both 'reward' and components of it; wanted one of them")
    if not plan.components and reward is None:
        raise LogError(missing_column(where, "reward", header))
    for name in REQUIRED:
        if name not in sources and not plan.is_foreign:
            raise LogError(missing_column(where, name, header))
    parts = plan.components or {"reward": str(reward)}
    return (
        {name: at[source] for name, source in sources.items()},
        {name: at[source] for name, source in parts.items()},
    )


def _label(where: str, source: str, name: str, cell: str) -> Label | None:
    text = cell.strip()
    if name == "action":
        return text or None
    if not text:
        raise LogError(f"{where}, column '{source}': got an empty cell; wanted a number or text")
    if name != "step":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise LogError(f"{where}, column '{source}': got {text!r}; wanted an integer") from error


def _reward(where: str, name: str, cell: str) -> float:
    text = cell.strip()
    reward = as_number(text)
    if reward is None:
        raise LogError(
            f"{where}, column '{name}': got {text[:60]!r}; wanted a number, or an empty cell where "
            "it is missing"
        )
    if math.isinf(reward):
        raise LogError(f"{where}, column '{name}': got an infinite reward; wanted a finite number")
    return reward


class _Lines(Iterator[str]):
    """Yields the text lines of the blocks from the first on that says something; `blank` counts
    those before it, and `unended` becomes true at a last line without an end."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.unended = False
        self.blank = 0
        self._lines = self._split(blocks)

    def _split(self, blocks: Iterable[Block]) -> Iterator[str]:
        begun = False
        for block in blocks:
            self.unended = block.unended
            ended = block.data if block.unended else block.data[:-1]
            for line in ended.decode(errors="replace").split("\n"):
                begun = begun or bool(line.strip())
                if begun:
                    yield line + "\n"
                else:
                    self.blank += 1

    def __next__(self) -> str:
        return next(self._lines)
