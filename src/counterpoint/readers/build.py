"""What readers build episodes with: the types of a format, and `episode`.

A `Format` reads one JSON value: a document, or one line of a file of lines. A `SessionFormat` reads
many values together: the lines of one session, or the spans that several files hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Required, TypedDict

from counterpoint.errors import LogError
from counterpoint.records import KINDS, Episode, Event, Json, Location

OUTSIDE = re.compile(
    r"^(user|human|system|developer|tool|function|environment|observation|computer[_ ]?terminal"
    r"|terminal|shell|code[_ ]?executor|executor|user[_ ]?proxy|admin|chat[_ ]?manager|router)$",
    re.IGNORECASE,
)
"""Names of tools, people or parts of a framework, which are not members of a team unless the log
itself says that they are."""
Reader = Callable[[Any, str, str], list[Episode]]
"""Makes episodes of a value, its place in words for errors, and an id for the episodes."""


class Format(NamedTuple):
    """A format in which one JSON value holds whole episodes."""

    fits: Callable[[Any], bool]
    """Returns whether a JSON value, of any kind, looks like this format."""
    read: Reader
    """Reads a value that fits; raises a LogError that names the place if it is broken."""
    repeats: Callable[[Any, Any], bool] = lambda before, value: False
    """Returns whether a value has all of the value before it, which is then not read."""


class Line(NamedTuple):
    """One JSON value of a log."""

    value: Any
    """A line of a file of lines, an element of a file that is one list, or a whole document."""
    where: str
    """Its place in words, for errors."""
    path: Path
    """The file that holds it."""
    number: str
    """The number of the line or of the element; empty for a whole document."""
    row: int | None = None
    """The number of the line; None for an element and for a whole document."""
    location: Location | None = None
    """Its place in the log, for the result of an audit."""


class LeftOut(NamedTuple):
    """Parts of a log that are in no episode, such as scores of a trace that is not there."""

    what: str
    """The parts in the plural."""
    number: int


class SessionFormat(NamedTuple):
    """A format in which several values make an episode."""

    fits: Callable[[Any], bool]
    """Returns whether a JSON value looks like a line of this format."""
    read: Callable[[Sequence[Line], str], Iterable[Episode | LeftOut]]
    """Makes episodes of the lines that belong together, each of which fits, and of an id for the
    episodes, and counts what is in none; raises a LogError that names the place of a line."""
    scope: Literal["file", "folder"] = "file"
    """Lines of one file, or of all files of one folder, belong together."""
    companions: Callable[[Path], Iterable[Path]] = lambda path: ()
    """Returns other files whose lines belong to those of a file."""


class EventFields(TypedDict, total=False):
    """The fields of an `Event` without its place, as a reader of a foreign log collects them."""

    agent: Required[str]
    kind: Required[str]
    text: str
    to: tuple[str, ...]
    answer: str | None
    reward: Mapping[str, float]
    work: float | None
    tokens: int | None
    meta: Mapping[str, Json]
    tool: str
    call: str
    seconds: float | None
    duration: float | None
    tokens_in: int | None
    cost: float | None
    error: str
    finish: str
    location: Location | None


def episode(
    name: str,
    fields: Sequence[EventFields],
    kind: str,
    outside: Sequence[str] = (),
    *,
    members: Sequence[str] = (),
    run: str = "",
    task: str = "",
    success: float | None = None,
    meta: Mapping[str, Json] | None = None,
    ending: str = "",
    scores: Mapping[str, float] | None = None,
    labels: Mapping[str, Json] | None = None,
    doubts: Sequence[str] = (),
) -> Episode:
    """Returns an episode: it numbers the events, and separates members from tools.

    Args:
        name: the id of the episode.
        fields: the fields of each event, in order.
        kind: the name of the log's format.
        outside: speakers whom the format itself does not count as members.
        members: those whom the format itself counts as members, also if they did nothing. All
            other speakers are separated by their names (`OUTSIDE`).
        run, task, success, meta, ending, scores, labels, doubts: as `Episode` has them.
    """
    events = numbered(fields)
    names = dict.fromkeys([*(event.agent for event in events), *members])
    agents = tuple(
        name
        for name in names
        if name in members or (name not in outside and not OUTSIDE.match(name))
    )
    tools = tuple(name for name in names if name not in agents)
    return Episode(
        name, events, agents, tools, run=run, task=task, success=success,
        meta={"format": kind, **(meta or {})}, ending=ending, scores=scores or {},
        labels=labels or {}, doubts=tuple(doubts),
    )  # fmt: skip


def numbered(fields: Iterable[EventFields]) -> tuple[Event, ...]:
    """Returns the events of a list of fields, which are numbered from 0.

    It is the same as `Event(t=t, **each)` for each, in a fifth of the time: a frozen dataclass
    sets every field by itself, and a large log has millions of events. A field that is absent has
    its default from the class.

    Raises:
        LogError: The kind of an event is none of `KINDS`.
    """
    events = []
    for t, each in enumerate(fields):
        if each["kind"] not in KINDS:
            Event(t=t, **each)  # raises the error
        event = object.__new__(Event)
        own = event.__dict__
        own["t"] = t
        own.update(each)
        own.setdefault("reward", _NOTHING)
        own.setdefault("meta", _NOTHING)
        events.append(event)
    return tuple(events)


_NOTHING: Mapping[str, Any] = {}


def list_of(value: Any, at: str) -> list[Any]:
    """Returns a value that must be a list."""
    if not isinstance(value, list):
        raise LogError(f"{at}: got {type(value).__name__}; wanted a list")
    return value


def object_of(value: Any, at: str) -> Mapping[str, Json]:
    """Returns a value that must be an object."""
    if not isinstance(value, dict):
        raise LogError(f"{at}: got {type(value).__name__}; wanted an object")
    return value


def finite(value: Any) -> float | None:
    """Returns a finite number; None for anything else, truth values too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def count(value: Any) -> int | None:
    """Returns a whole number from 0, which may stand in a text; None for anything else.

    A text has at most the 20 digits of 64 bits: nanoseconds since 1970 have 19.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    number = finite(value)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def seconds_of(value: Any) -> float | None:
    """Returns a time in seconds since 1970, or None if the value is no time.

    Args:
        value: seconds, milliseconds, microseconds or nanoseconds since 1970 as a number or its
            digits (the unit follows from the size), or a date and time in ISO 8601, in UTC if it
            names no other zone.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= 30:
            return _since_1970(float(text))
        try:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    number = finite(value)
    return None if number is None else _since_1970(number)


def _since_1970(number: float) -> float:
    """Returns seconds; 1e11 of them end in the year 5138, so a larger number has a finer unit."""
    for largest, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6)):
        if abs(number) < largest:
            return number / unit
    return number / 1e9
