"""`answered`: the opinions of a judge on many questions, from a store of replies where they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from counterpoint.judge.judges import Opinion, Question
from counterpoint.speakers.cache import Replies, StoredReply

FORMAT = "counterpoint.verdict/1"
Q = TypeVar("Q", bound=Question)
Asked = TypeVar("Asked", bound=Question, contravariant=True)


class _Kept(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What a store has of an opinion, as a list."""

    text: str
    tokens: int | None
    cost_dollars: float | None


class Answerer(Protocol[Asked]):
    """A judge of one kind of questions; see `Judge`."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns what decides its opinions besides the question."""

    @property
    def at_once(self) -> int:
        """Returns how many questions it takes at a time."""

    def judge(self, sheets: Sequence[Asked]) -> list[Opinion]:
        """Returns one opinion for each question, in their order."""


def answered(
    judge: Answerer[Q], questions: Sequence[Q], store: Replies | None
) -> Iterator[tuple[dict[int, Opinion], bool]]:
    """Yields the opinions on some questions by their places, and whether the judge was asked now.

    The opinions that the store keeps come first, all together. The judge is asked about the others
    in parts of `at_once`, each when it is taken from the iterator, and each is kept before it is
    yielded: whoever stops taking stops asking, and little is lost if the process dies.

    Args:
        judge: answers the questions.
        questions: what is asked.
        store: keeps replies, but no errors and none that does not last; None keeps nothing.
    """
    facts = dict(judge.facts)
    keys = [digest([FORMAT, facts, q.kind, q.prompt, q.seed]) for q in questions]
    kept = store.read_values(set(keys), _Kept) if store else {}
    if kept:
        places = [i for i, key in enumerate(keys) if key in kept]
        yield {i: Opinion(*msgspec.structs.astuple(kept[keys[i]])) for i in places}, False
    new = [i for i, key in enumerate(keys) if key not in kept]
    for first in range(0, len(new), judge.at_once):
        part = new[first : first + judge.at_once]
        opinions = dict(zip(part, judge.judge([questions[i] for i in part]), strict=True))
        if store:
            given = {i: each for i, each in opinions.items() if each.error is None and each.lasting}
            store.write({keys[i]: as_stored([o.text, o.tokens, o.cost_dollars])
                         for i, o in given.items()})  # fmt: skip
        yield opinions, True


def digest(content: list[object]) -> str:
    """Returns the key of something in a store."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def as_stored(content: object) -> StoredReply:
    """Returns JSON as a store keeps it."""
    return StoredReply(json.dumps(content), None, None)
