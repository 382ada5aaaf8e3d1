"""`check_reader`: a conformance suite for formats of logs, yours and ours.

It needs a few values of the format as JSON has them. Each value is damaged in every place. The
reader must read it, or raise an error that names the place.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.readers.build import Format, LeftOut, Line, SessionFormat
from counterpoint.readers.episodes import decode, encode
from counterpoint.readers.formats.catalogue import FORMATS, format_of
from counterpoint.records import Episode
from counterpoint.testing.batches import attempt, demand

WHERE = "log.json, line 3"
PLAIN: tuple[Any, ...] = (
    None, True, 0, 1.5, "", "text", [], {}, [None], [1], [[]], [{}], {"a": 1}, {"": None},
)  # fmt: skip
"""JSON values that are no log of any format."""
DAMAGE: tuple[Any, ...] = (None, "x", 7, -1.5, True, [], {}, [None], {"a": 1})
"""Values that replace a value in a damaged log."""
MOST_DAMAGED = 5_000
"""The most damaged copies of all samples together."""


def check_reader(kind: Format | SessionFormat, samples: Sequence[Any], members: int = 2) -> None:
    """Checks every promise of `counterpoint.readers.Format` or `SessionFormat`.

    Args:
        kind: the format.
        samples: values of the format, as JSON has them. A sample of a `SessionFormat` is the list
            of the values of a session.
        members: the number of members that an episode of each sample has at least.

    Raises:
        ConformanceError: The first broken promise.
    """
    demand(isinstance(kind, Format | SessionFormat), f"{kind!r}",
           "a counterpoint.readers.Format or SessionFormat")  # fmt: skip
    demand(len(samples) > 0, "no sample", "a value of the format")
    check_recognition(kind, samples)
    for sample in samples:
        check_episodes(kind, sample, members)
    check_damage(kind, samples)


def check_recognition(kind: Format | SessionFormat, samples: Sequence[Any]) -> None:
    """Checks that only values of the format fit, and no other format reads them first."""
    for value in PLAIN:
        demand(_fits(kind, value) is False, f"a fit with {value!r}", "False: it is no log")
    for i, sample in enumerate(samples):
        before = copy.deepcopy(sample)
        demand(_fits(kind, sample) is True, f"no fit with sample {i}", "True")
        demand(sample == before, f"a sample {i} that was changed", "the same value afterwards")
        values = sample if isinstance(kind, SessionFormat) else [sample]
        first = next(filter(None, map(format_of, values)), None)
        is_own = first is None or (first in FORMATS and FORMATS[first] == kind)
        demand(is_own, f"sample {i}, which the format {first} reads first", "no other fit before")


def check_episodes(kind: Format | SessionFormat, sample: Any, members: int = 2) -> None:
    """Checks that episodes are complete, can be written as our records, and are the same twice."""
    before = copy.deepcopy(sample)
    first, second = _read(kind, sample), _read(kind, sample)
    demand(sample == before, "a value that reading changed", "the same value afterwards")
    demand(len(first) > 0, "no episode", "at least one")
    for episode in first:
        _check_episode(episode)
    demand(first == second, "other episodes the second time", "the same episodes")
    ids = [episode.id for episode in first]
    demand(len(set(ids)) == len(ids), f"episodes {ids}", "different ids")
    most = max(len(episode.agents) for episode in first)
    demand(most >= members, "one member" if most == 1 else f"{most} members", f"{members} or more")


def check_damage(kind: Format | SessionFormat, samples: Sequence[Any]) -> None:
    """Checks that a damaged value is read, does not fit, or gives a LogError with the place."""
    left = MOST_DAMAGED
    for sample in samples:
        for path, value in damaged(sample):
            if left == 0:
                return
            left -= 1
            if _fits(kind, value) is not True:
                continue
            try:
                _read(kind, copy.deepcopy(value), f"a value damaged at {path}")
            except LogError as error:
                got = f"the error {str(error)!r} for a value damaged at {path}"
                demand(WHERE in str(error), got, f"one that names {WHERE!r}")
                demand("\n" not in str(error), got, "one line")


def damaged(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Yields copies of a JSON value with one damage each, and its path."""
    for other in DAMAGE:
        yield path, copy.deepcopy(other)
    if isinstance(value, dict):
        for key in value:
            rest = {name: inner for name, inner in value.items() if name != key}
            yield f"{path}.{key}", rest
            for at, inner in damaged(value[key], f"{path}.{key}"):
                yield at, {**value, key: inner}
    if isinstance(value, list):
        for i, each in enumerate(value):
            yield f"{path}[{i}]", value[:i] + value[i + 1 :]
            for at, inner in damaged(each, f"{path}[{i}]"):
                yield at, [*value[:i], inner, *value[i + 1 :]]


def _fits(kind: Format | SessionFormat, value: Any) -> bool:
    """Returns whether a format takes a value, or a line of a session, to be its own."""
    is_session = isinstance(kind, SessionFormat) and isinstance(value, list) and value != []
    with attempt(f"fits({str(value)[:60]})", "True or False for any JSON value"):
        fits = [kind.fits(each) for each in (value if is_session else [value])]
    return fits[0] if len(fits) == 1 else any(fits)


def _read(kind: Format | SessionFormat, value: Any, what: str = "a sample") -> list[Episode]:
    """Returns the episodes, and checks that each can be written as our records and read again."""
    with attempt(f"reading {what}", "episodes or a LogError", (LogError,)):
        if isinstance(kind, SessionFormat):
            values = value if isinstance(value, list) else [value]
            values = [each for each in values if kind.fits(each)]
            lines = [Line(each, WHERE, Path("log.json"), str(i)) for i, each in enumerate(values)]
            read = kind.read(lines, "log-3")
            episodes = [each for each in read if not isinstance(each, LeftOut)]
        else:
            episodes = kind.read(value, WHERE, "log-3")
    demand(isinstance(episodes, list), f"{type(episodes).__name__} from {what}", "a list")
    for episode in episodes:
        demand(isinstance(episode, Episode), f"{type(episode).__name__} from {what}", "an Episode")
        demand("format" in episode.meta, f"meta {episode.meta} from {what}", "a format in it")
        with attempt(f"writing an episode of {what} as our records", "what JSON can hold"):
            line = encode(episode)
            again = encode(decode(msgspec.json.decode(line), WHERE))
        demand(again == line, f"{again!r} of {what}, read again as {line!r}", "the same episode")
    return episodes


def _check_episode(episode: Episode) -> None:
    """Checks that events are in order, and each speaker is either a member or a tool."""
    agents, tools, name = episode.agents, episode.tools, episode.meta["format"]
    demand(isinstance(name, str) and name != "", f"the format {name!r} in meta", "its name")
    places = [event.t for event in episode.events]
    demand(places == list(range(len(places))), f"events at {places}", "t from 0, one by one")
    speakers = dict.fromkeys(event.agent for event in episode.events)
    strangers = [name for name in speakers if name not in (*agents, *tools)]
    demand(not strangers, f"speakers {strangers}", "each of them in agents or in tools")
    both = sorted(set(agents) & set(tools))
    demand(not both, f"{both} in agents and in tools", "either")
    order = [name for name in speakers if name in agents]
    in_order = [name for name in agents if name in order] == order
    demand(in_order, f"agents {agents}", f"the order of their first event, {order}")
    success = episode.success
    is_share = success is None or (isinstance(success, float) and 0 <= success <= 1)
    demand(is_share, f"success {success!r}", "None or a float from 0 to 1")
