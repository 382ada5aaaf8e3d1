"""Tables of outcomes: the scores of one agent, of isolated members and of a team at each task.

A table is CSV with a header (separated by commas, semicolons or tabs), JSON lines or a JSON list,
also in gzip: `task`, `setting` (solo, team, isolated), `score` from 0 to 1, and if known `members`
(names with `;` between), `cost`, `answer`. `budget` is an earlier name of `cost`. If there is no
setting, one member worked in isolation, and several are a team.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.amounts import LARGEST_NUMBER
from counterpoint.readers.lines import TornLogWarning, json_value
from counterpoint.readers.packed import read_at_most, unpacked
from counterpoint.readers.walk import Note
from counterpoint.records import Outcome
from counterpoint.settings import split_list

LARGEST = 256 * 2**20
SEPARATORS = (",", ";", "\t")
COSTS = ("cost", "budget")


def warn_torn(line: str) -> None:
    """Warns that a last line may be cut."""
    warnings.warn(line, TornLogWarning, stacklevel=4)


def read_outcomes(path: Path, note: Note = warn_torn) -> list[Outcome]:
    """Returns the outcome of every row.

    Args:
        path: the table.
        note: called with a line if the last row may be cut.

    Raises:
        LogError: The file cannot be read, or a row is no outcome; the message names the line.

    Warns:
        TornLogWarning: The last line of a CSV has no end: its last value may be cut.
    """
    try:
        with path.open("rb") as file:
            data = read_at_most(unpacked(file), LARGEST + 1)
        if len(data) > LARGEST:
            raise LogError(f"got more than {LARGEST // 2**20} MB")
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, LogError) as error:
        raise LogError(f"{path}: {error}; wanted a table of outcomes") from None
    rows = _json(path, text) if text.lstrip()[:1] in ("{", "[") else _csv(path, text, note)
    return [_outcome(where, row) for where, row in rows]


def _json(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path}, line {number}"
        if line.strip():
            row = json_value(line.encode(), where)
            if not isinstance(row, dict):
                raise LogError(f"{where}: got no object; wanted an outcome a line")
            yield where, row


def _csv(path: Path, text: str, note: Note) -> Iterator[tuple[str, Mapping[str, object]]]:
    header = text.partition("\n")[0]
    separator = max(SEPARATORS, key=header.count)
    reader, begins = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 1
    try:
        columns = [" ".join(name.split()) for name in next(reader, [])]
        if not ({"task", "score"} <= set(columns) and {"setting", "members"} & set(columns)):
            raise LogError(
                f"{path}: got columns {', '.join(columns)[:80] or 'without names'}; wanted task, "
                "score, setting or members, and maybe cost, answer"
            )
        if len(set(columns)) < len(columns):
            raise LogError(f"{path}: got a column twice in {', '.join(columns)[:80]}; wanted once")
        begins = 2
        for cells in reader:
            where, begins = f"{path}, line {reader.line_num}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                wanted = (
                    f"a cell with {separator!r} in quotation marks"
                    if len(cells) > len(columns)
                    else "a cell for each, which may be empty"
                )
                raise LogError(
                    f"{where}: got {len(cells)} cells in {len(columns)} columns; wanted {wanted}"
                )
            yield where, dict(zip(columns, cells, strict=True))
        if not text.endswith(("\n", "\r")):
            note(f"{path}: the last line has no line end, so its last value may be cut")
    except csv.Error as error:
        raise LogError(
            f"{path}, row from line {begins} on: {error}; wanted CSV, with quotation marks in pairs"
        ) from None


def _outcome(where: str, row: Mapping[str, Any]) -> Outcome:
    for name in ("task", "score"):
        if row.get(name) in (None, ""):
            raise LogError(f"{where}, {name}: got nothing; wanted a value")
    members = row.get("members") or ()
    if isinstance(members, str):
        members = split_list(members, ";")
    if not isinstance(members, list | tuple):
        raise LogError(f"{where}, members: got {members!r:.40}; wanted names with ; between")
    setting = row.get("setting")
    if setting in (None, ""):
        if not members:
            raise LogError(f"{where}: got neither setting nor members; wanted one of them")
        setting = "isolated" if len(members) == 1 else "team"
    given = {name: row[name] for name in COSTS if row.get(name) not in (None, "")}
    for name, value in given.items():
        if isinstance(value, bool):  # Python takes it for 0 or 1
            raise LogError(f"{where}, {name}: got {value}; wanted a number")
    costs = {_number(where, name, value) for name, value in given.items()}
    if len(costs) > 1:
        raise LogError(f"{where}: got a cost and another budget; wanted cost alone")
    cost = next(iter(costs), None)
    if cost is not None and cost != 0 and not cost >= 1 / LARGEST_NUMBER:
        raise LogError(f"{where}, cost: got {cost:g}; wanted 0, or a number from 1e-100 on")
    score, answer = _number(where, "score", row["score"]), row.get("answer")
    try:
        return Outcome(_name(row["task"]), str(setting), tuple(map(_name, members)), score, cost,
                       None if answer in (None, "") else str(answer))  # fmt: skip
    except LogError as error:
        raise LogError(f"{where}: {error}") from None


def _name(value: object) -> str:
    """Returns the name of a task or a member: 1 and 1.0 are one, and spaces at the ends none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip(" \t")


def _number(where: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise LogError(f"{where}, {name}: got {value!r:.40}; wanted a number") from None
    if not abs(number) <= LARGEST_NUMBER:
        raise LogError(f"{where}, {name}: got {value!r:.40}; wanted a number up to 1e100")
    return number
