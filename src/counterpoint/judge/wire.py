"""The reply of a judge: `parse_ranking` and `parse_score` read it, strictly.

Nothing is repaired by guessing. Text around the JSON, an id that was not given, and an id that is
missing or occurs twice are all refused: the judge is asked again, or the reply does not count.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from counterpoint.errors import JudgeError

LONGEST_REPLY = 100_000
"""The most characters of a reply."""
DEEPEST = 3
"""The most brackets inside each other in a ranking."""
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Matches strings; one that is not closed reaches to the end, as a parser reads it."""


def parse_ranking(text: str, ids: Sequence[str]) -> list[list[str]]:
    """Returns the tied sets of `{"ranking": [["best id"], ["tied id", "tied id"], ...]}`, best
    first.

    Args:
        text: the whole reply; only white space may stand around the object.
        ids: the ids that were to be ranked, each once.

    Raises:
        JudgeError: the text is anything else, or does not name every id exactly once.
    """
    if not ids or len(set(ids)) < len(ids):
        raise JudgeError(f"got {len(ids)} ids, {len(set(ids))} different; wanted each once")
    ranking = _only(text, "ranking")
    wanted = 'wanted {"ranking": [["best id"], ["tied id", "tied id"], ...]}'
    if not isinstance(ranking, list) or not ranking:
        raise JudgeError(f"got a ranking of {_kind(ranking)}; {wanted}")
    for tied in ranking:
        if not isinstance(tied, list) or not tied or not all(isinstance(x, str) for x in tied):
            raise JudgeError(f"got a place in the ranking that is no list of ids; {wanted}")
    named = [each for tied in ranking for each in tied]
    unknown = sorted(set(named) - set(ids))
    missing = sorted(set(ids) - set(named))
    if unknown:
        raise JudgeError(f"got {len(unknown)} ids that were not given; wanted only the given ids")
    if missing:
        raise JudgeError(f"got a ranking without {', '.join(missing)}; wanted every given id")
    if len(named) > len(ids):
        twice = sorted({each for each in named if named.count(each) > 1})
        raise JudgeError(f"got {', '.join(twice)} more than once; wanted every given id once")
    return ranking


def parse_score(text: str) -> float:
    """Returns the number in `{"score": 0.7}`, from 0 to 1.

    Raises:
        JudgeError: the text is anything else.
    """
    score = _only(text, "score")
    wanted = 'wanted {"score": number from 0 to 1}'
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise JudgeError(f"got a score of {_kind(score)}; {wanted}")
    if not (math.isfinite(score) and 0 <= score <= 1):
        raise JudgeError(f"got a score out of range; {wanted}")
    return float(score)


def _only(text: str, key: str) -> Any:
    """Returns the value of the one key of the one object that the text is."""
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
    """A JSON object as a list of pairs, so that keys that occur twice are seen."""


def _refuse(name: str) -> Any:
    raise JudgeError(f"got {name} in a reply; wanted JSON, which has no such number")


def _depth(text: str) -> int:
    """Returns the most brackets that are open at once outside of strings; it is counted before any
    parser recurses."""
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
