"""A saved audit is read, drawn, and refused in one line where it is damaged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mutations import is_shown, mutations, saved, with_value

from counterpoint.audits import audit
from counterpoint.errors import LogError
from counterpoint.records import FOUND, Episode, Event, Place
from counterpoint.report import render
from counterpoint.results import AuditResult, document_of, encode, read_result

KINDS = ("audit", "audit_outcomes")


def adds_only_nulls(new: Any, old: Any) -> bool:
    """Returns whether a document equals an earlier one, but for new keys with null."""
    if isinstance(old, dict):
        return all(adds_only_nulls(new[key], old[key]) for key in old) and all(
            new[key] is None for key in new.keys() - old.keys()
        )
    if isinstance(old, list):
        return all(adds_only_nulls(a, b) for a, b in zip(new, old, strict=True))
    return bool(new == old)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_audit_encodes_to_an_equal_document(kind: str) -> None:
    document = saved(kind)
    assert adds_only_nulls(json.loads(encode(read_result(document))), document)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_or_one_line_comes_of_every_change_of_one_value(kind: str) -> None:
    document = saved(kind)
    assert is_shown(document)
    shown = [is_shown(changed) for changed in mutations(document)]
    assert 0 < sum(shown) < len(shown)


def test_a_verdict_that_there_is_not_is_refused_with_its_path() -> None:
    document = with_value(saved("audit"), ("findings", 1, "verdict"), "lost")
    with pytest.raises(LogError, match=r"found or clear or .* - at `\$.findings\[1\].verdict`"):
        render(document)


def test_an_audit_has_types() -> None:
    result = read_result(saved("audit"))
    assert isinstance(result, AuditResult)
    loop = result.findings[0]
    assert (loop.audit, loop.name, loop.verdict, loop.n) == ("stuck", "message_loop", FOUND, 2)
    assert loop.evidence[0].times == 3
    (timeline, _) = result.timelines
    assert (timeline.messages[0].sender, timeline.messages[0].count) == ("ann", 3)
    assert timeline.events[0].what == "other"


def test_what_audit_returns_is_what_is_saved() -> None:
    """Two episodes in which ann says the same three times; bob is idle in between."""
    said = "this very sentence comes again and again, word for word"
    events = tuple(
        Event(t, "bob" if t % 2 else "ann", "message", "ok" if t % 2 else said, ("bob",))
        for t in range(6)
    )
    episodes = [Episode(f"e{i}", events, ("ann", "bob"), success=0.5) for i in range(2)]
    result = audit(episodes, only=("stuck",), source="log.jsonl")
    loop = next(f for f in result.findings if f.name == "message_loop")
    assert loop.evidence == tuple(Place(f"e{i}", 4, "ann", said, times=3) for i in range(2))
    assert [mark.what for mark in result.timelines[0].events] == ["message", "idle"] * 3
    assert (result.episodes, result.agents, result.events) == (2, 2, 12)
    assert (result.source, result.format, result.formats) == ("log.jsonl", "?", {"?": 2})
    assert read_result(json.loads(json.dumps(document_of(result), allow_nan=False))) == result
