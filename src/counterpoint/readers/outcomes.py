"""Tables of outcomes: the scores of one agent, of isolated members and of a team at each task.

A table is CSV with a header, or JSON lines: `task`, `setting` (solo, team, isolated), `score` from
0 to 1, and if known `members` (names with `;` between), `budget` (or `cost`), `answer`. If there is
no setting, one member worked in isolation, and several are a team.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.lines import json_value
from counterpoint.records import Outcome
from counterpoint.settings import split_list

LARGEST = 256 * 2**20


def read_outcomes(path: Path) -> list[Outcome]:
    """Returns the outcome of every row.

    Raises:
        LogError: The file cannot be read, or a row is no outcome; the message names the line.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise LogError(
                f"{path}: got more than {LARGEST // 2**20} MB; wanted a table of outcomes"
            )
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: {error}; wanted a table of outcomes") from None
    rows = _json(path, text) if text.lstrip()[:1] in ("{", "[") else _csv(path, text)
    return [_outcome(where, row) for where, row in rows]


def _json(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}, line {number}"
        if line.strip():
            row = json_value(line.encode(), where)
            if not isinstance(row, dict):
                raise LogError(f"{where}: got no object; wanted an outcome a line")
            yield where, row


def _csv(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    reader = csv.DictReader(text.splitlines())
    columns = set(reader.fieldnames or ())
    if not ({"task", "score"} <= columns and columns & {"setting", "members"}):
        raise LogError(
            f"{path}: got columns {', '.join(reader.fieldnames or ())[:80]}; wanted task, score, "
            "setting or members, and maybe budget, answer"
        )
    for number, row in enumerate(reader, 2):
        yield f"{path}, line {number}", row


def _outcome(where: str, row: Any) -> Outcome:
    for name in ("task", "score"):
        if row.get(name) in (None, ""):
            raise LogError(f"{where}, {name}: got nothing; wanted a value")
    score = _number(where, "score", row["score"])
    if not 0 <= score <= 1:
        raise LogError(f"{where}, score: got {score:g}; wanted a number from 0 to 1")
    members = row.get("members") or ()
    if isinstance(members, str):
        members = split_list(members, ";")
    setting = row.get("setting")
    if setting in (None, ""):
        if not members:
            raise LogError(f"{where}: got neither setting nor members; wanted one of them")
        setting = "isolated" if len(members) == 1 else "team"
    budget = next((row[n] for n in ("budget", "cost") if row.get(n) not in (None, "")), None)
    answer = row.get("answer")
    try:
        budget = None if budget in (None, "") else _number(where, "budget", budget)
        answer = None if answer in (None, "") else str(answer)
        return Outcome(str(row["task"]), str(setting), tuple(map(str, members)), score,
                       budget, answer)  # fmt: skip
    except LogError as error:
        raise LogError(f"{where}: {error}") from None


def _number(where: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise LogError(f"{where}, {name}: got {value!r:.40}; wanted a number") from None
    if not math.isfinite(number):
        raise LogError(f"{where}, {name}: got {value!r:.40}; wanted a finite number")
    return number
