"""The protocol of a judge, and the format of its replies, which `parse_ranking` reads strictly.

Nothing is repaired by guessing. Text around the JSON, an id that was not given, and an id that is
missing or occurs twice are all refused: the judge is asked again, or the reply does not count.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from counterpoint.errors import JudgeError
from counterpoint.judge.aggregate import tied_sets
from counterpoint.judge.present import Sheet
from counterpoint.speakers.speaker import sum_known

LONGEST_REPLY = 100_000
"""The most characters of a reply."""
DEEPEST = 3
"""The most brackets inside each other in a ranking."""
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Matches strings; one that is not closed reaches to the end, as a parser reads it."""


@dataclass(frozen=True)
class Opinion:
    """The reply of a judge to a sheet, not yet parsed."""

    text: str
    """The reply, in the wire format if the judge keeps to it; empty if `error` is set."""
    tokens: int | None = 0
    """Tokens read and written; None if nobody counted."""
    cost_dollars: float | None = 0.0
    """The cost; None if the price is not known."""
    error: str | None = None
    """Why there is no text."""
    refused: bool = False
    """Whether every other question would fail too: the key, the address or the model is wrong."""
    asked: bool = True
    """Whether the judge was asked at all."""
    lasting: bool = True
    """Whether the words of the question decide it, so that a store may keep it for them."""


class Question(Protocol):
    """A question in words, which a language model can answer."""

    @property
    def kind(self) -> str:
        """Returns what is asked, in one word."""

    @property
    def prompt(self) -> str:
        """Returns the whole question."""

    @property
    def seed(self) -> int:
        """Returns the seed of the judge's own random choices."""

    @property
    def reply_schema(self) -> dict[str, object]:
        """Returns the JSON schema of a reply."""


class Judge(Protocol):
    """Ranks or scores the candidates on a sheet."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns the facts on which its opinions depend besides the sheet; they identify the
        judge."""

    @property
    def at_once(self) -> int:
        """Returns how many groups it is asked about side by side, and how many sheets it takes at a
        time: so many opinions are lost if the process dies."""

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet, in their order.

        Raises:
            CounterpointError: the judge cannot be used at all, or cannot judge such candidates.
        """


class CountedJudge:
    """A judge that counts what it is asked in this process, and what that costs.

    Once it has refused a question for a reason that holds for all, it is not asked any more.
    """

    def __init__(self, judge: Judge) -> None:
        self.inner, self.at_once, self.calls = judge, judge.at_once, 0
        self.error = ""
        """Why the first question without a reply got none."""
        self.refusal = ""
        """Why it is not asked any more; empty while it is."""
        self.replies = self.lost = 0
        """Questions that got a reply, and those that got none."""
        self.tokens: int | None = 0
        self.cost_dollars: float | None = 0.0

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns what decides its opinions besides the sheet."""
        return self.inner.facts

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet, and counts them."""
        if self.refusal:
            self.lost += len(sheets)
            return [Opinion("", error=self.refusal, refused=True, asked=False) for _ in sheets]
        opinions = self.inner.judge(sheets)
        for each in opinions:
            self.calls += each.asked
            self.replies += each.error is None
            self.lost += each.error is not None
            self.error = self.error or each.error or ""
            if each.refused:
                self.refusal = self.refusal or f"not asked: {each.error}"
            self.tokens = sum_known(self.tokens, each.tokens)
            self.cost_dollars = sum_known(self.cost_dollars, each.cost_dollars)
        return opinions


def written(sheet: Sheet, scores: Sequence[float], width: float = 0.0) -> str:
    """Returns the reply of a judge that gives these scores.

    Args:
        sheet: the question.
        scores: [n] scores of the texts on the sheet; higher is better.
        width: scores that are no farther apart, one from the next, are tied.
    """
    if sheet.kind == "score":
        return json.dumps({"score": min(max(float(scores[0]), 0.0), 1.0)})
    places = tied_sets(np.asarray(scores, dtype=float), width)
    return json.dumps({"ranking": [[sheet.labels[i] for i in tied] for tied in places]})


def parse_ranking(text: str, ids: Sequence[str]) -> list[list[str]]:
    """Returns the tied sets, best first, of `{"ranking": [["best"], ["tied", "tied"], ...]}`.

    Args:
        text: the whole reply; only white space may stand around the object.
        ids: the ids that were to be ranked, each once.

    Raises:
        JudgeError: the text is anything else, or does not name every id exactly once.
    """
    if not ids or len(set(ids)) < len(ids):
        raise JudgeError(f"got {len(ids)} ids, {len(set(ids))} different; wanted each once")
    ranking = parse_object(text, ["ranking"])["ranking"]
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
    score = parse_object(text, ["score"])["score"]
    wanted = 'wanted {"score": number from 0 to 1}'
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise JudgeError(f"got a score of {_kind(score)}; {wanted}")
    if not (math.isfinite(score) and 0 <= score <= 1):
        raise JudgeError(f"got a score out of range; {wanted}")
    return float(score)


def parse_object(text: str, keys: Sequence[str]) -> dict[str, Any]:
    """Returns the values of the one object that the text is.

    Args:
        text: the whole reply; only white space may stand around the object.
        keys: the keys that it has, each once, in any order.

    Raises:
        JudgeError: the text is anything else.
    """
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
    if sorted(name for name, _ in pairs) != sorted(keys):
        wanted = " and ".join(f'"{key}"' for key in keys)
        raise JudgeError(f"got other keys than {wanted}; wanted an object with each of them once")
    return dict(pairs)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as a list of pairs, so that keys that occur twice are seen."""


def _refuse(name: str) -> Any:
    raise JudgeError(f"got {name} in a reply; wanted JSON, which has no such number")


def _depth(text: str) -> int:
    """Returns the most brackets open at once outside of strings; a deep text never reaches a
    parser."""
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
