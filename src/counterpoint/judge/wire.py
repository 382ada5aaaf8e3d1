"""What a judge writes: `parse_ranking` and `parse_score` read it, strictly.

Nothing is repaired by guessing. A judge that did not say exactly what was asked for said nothing,
and is asked again or does not count; text around the JSON, an id that was not given, an id that is
missing or stands there twice are all refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from counterpoint.errors import JudgeError

LONGEST_REPLY = 100_000
"""Characters; a longer reply is no verdict."""
DEEPEST = 3
"""Brackets inside each other in a ranking."""
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Strings; one that is not closed goes on to the end, as a parser takes it."""


def parse_ranking(text: str, ids: Sequence[str]) -> list[list[str]]:
    """The tied sets that `{"ranking": [["best id"], ["tied id", "tied id"], ...]}` says, best
    first.

    Args:
        text: the whole reply; only white space may stand around the object.
        ids: who was to be ranked, each once.

    Raises:
        JudgeError: the text is anything else, or does not name every id exactly once.
    """
    if not ids or len(set(ids)) < len(ids):
        raise JudgeError(f"got {len(ids)} ids, {len(set(ids))} different; wanted each once")
    found = _only(text, "ranking")
    wanted = 'wanted {"ranking": [["best id"], ["tied id", "tied id"], ...]}'
    if not isinstance(found, list) or not found:
        raise JudgeError(f"got a ranking of {_kind(found)}; {wanted}")
    for tied in found:
        if not isinstance(tied, list) or not tied or not all(isinstance(x, str) for x in tied):
            raise JudgeError(f"got a place in the ranking that is no list of ids; {wanted}")
    named = [each for tied in found for each in tied]
    unknown = sorted(set(named) - set(ids))
    missing = sorted(set(ids) - set(named))
    if unknown:
        raise JudgeError(f"got {len(unknown)} ids that were not given; wanted only the given ids")
    if missing:
        raise JudgeError(f"got a ranking without {', '.join(missing)}; wanted every given id")
    if len(named) > len(ids):
        twice = sorted({each for each in named if named.count(each) > 1})
        raise JudgeError(f"got {', '.join(twice)} more than once; wanted every given id once")
    return found


def parse_score(text: str) -> float:
    """The number that `{"score": 0.7}` says, from 0 to 1.

    Raises:
        JudgeError: the text is anything else.
    """
    found = _only(text, "score")
    wanted = 'wanted {"score": number from 0 to 1}'
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise JudgeError(f"got a score of {_kind(found)}; {wanted}")
    if not (math.isfinite(found) and 0 <= found <= 1):
        raise JudgeError(f"got a score out of range; {wanted}")
    return float(found)


def _only(text: str, key: str) -> Any:
    """The value of the one key of the one object that the text is."""
    if not isinstance(text, str):
        raise JudgeError(f"got {type(text).__name__} for a reply; wanted text")
    if len(text) > LONGEST_REPLY:
        raise JudgeError(f"got a reply of {len(text)} characters; wanted at most {LONGEST_REPLY}")
    if _depth(text) > DEEPEST:
        raise JudgeError(f"got brackets nested {_depth(text)} deep; wanted at most {DEEPEST}")
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_refuse)
    except JudgeError:
        raise
    except ValueError as error:
        raise JudgeError(f"got a reply that is no JSON ({error}); wanted one JSON object") from None
    if not isinstance(pairs, _Pairs):
        raise JudgeError(f"got {_kind(pairs)}; wanted a JSON object")
    if [name for name, _ in pairs] != [key]:
        raise JudgeError(f'got other keys than "{key}" alone; wanted an object with that one key')
    return pairs[0][1]


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written: keys that come twice are seen."""


def _refuse(name: str) -> Any:
    raise JudgeError(f"got {name} in a reply; wanted JSON, which has no such number")


def _depth(text: str) -> int:
    """Most brackets open at once outside of strings, before any parser recurses."""
    now = most = 0
    for each in _STRINGS.sub("", text):
        if each in "[{":
            now += 1
            most = max(most, now)
        elif each in "]}":
            now -= 1
    return most


def _kind(value: Any) -> str:
    if isinstance(value, _Pairs):
        return "an object"
    return {list: "a list", str: "text", type(None): "null"}.get(type(value), repr(value)[:40])
