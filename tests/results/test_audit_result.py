"""A saved audit is read, drawn, and refused in one line where it is damaged."""

from __future__ import annotations

import json

import pytest
from mutations import is_shown, mutations, saved, with_value

from counterpoint.audits import audit
from counterpoint.errors import LogError
from counterpoint.records import CANNOT_TELL, FOUND, NOT_FOUND, Case, Episode, Event
from counterpoint.report import render
from counterpoint.results import AuditResult, document_of, encode, read_result

KINDS = ("audit", "audit_outcomes", "audit_cases", "audit_judge")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_of_a_saved_audit_is_saved_and_read_again(kind: str) -> None:
    read = read_result(saved(kind))
    assert read_result(json.loads(encode(read))) == read


def test_the_evidence_of_an_earlier_version_is_its_cases() -> None:
    document = saved("audit")
    read = read_result(document)
    assert isinstance(read, AuditResult)
    for old, new in zip(document["findings"], read.findings, strict=True):
        assert [p["quote"] for p in old["evidence"] if "t" in p] == [
            case.quote for case in new.cases if case.event is not None
        ]
        assert new.cases_total == len(old["evidence"])
    wide = {"low": 0.0, "high": 0.03, "null": 0.05, "verdict": "clear"}
    document["findings"][0] |= wide
    read = read_result(document)
    assert isinstance(read, AuditResult)
    assert read.findings[0].verdict == NOT_FOUND


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_page_or_one_line_comes_of_every_change_of_one_value(kind: str) -> None:
    document = saved(kind)
    assert is_shown(document)
    shown = [is_shown(changed) for changed in mutations(document)]
    assert 0 < sum(shown) < len(shown)


def test_a_verdict_that_there_is_not_is_refused_with_its_path() -> None:
    document = with_value(saved("audit"), ("findings", 1, "verdict"), "lost")
    with pytest.raises(
        LogError, match=r"found or cannot tell or .* - at `\$.findings\[1\].verdict`"
    ):
        render(document)


def test_a_page_or_one_line_comes_of_changes_of_what_a_judge_says() -> None:
    document = saved("audit_judge")
    parts = mutations({"judge": document["judge"]})
    shown = [is_shown({**document, "judge": None, **part}) for part in parts]
    assert 0 < sum(shown) < len(shown)


def test_a_verdict_about_a_judge_that_there_is_not_is_refused_with_its_path() -> None:
    where = ("judge", "agreements", 0, "verdict")
    with pytest.raises(LogError, match=r"at `\$.judge.agreements\[0\].verdict`"):
        render(with_value(saved("audit_judge"), where, "not_computable"))


def test_an_audit_has_types() -> None:
    result = read_result(saved("audit"))
    assert isinstance(result, AuditResult)
    loop = result.findings[0]
    assert (loop.audit, loop.name, loop.verdict, loop.n) == ("stuck", "message_loop", FOUND, 2)
    assert loop.cases[0].times == 3
    assert [(case.event, case.weight) for case in loop.cases] == [(7, 3), (7, 3)]
    waiting = result.findings[2]  # 0 of 2: nobody can tell
    assert (waiting.verdict, waiting.cases_total) == (CANNOT_TELL, 0)
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
    loop = next(f for f in result.findings if f.name == "loop")
    what = "ann repeats itself for 3 turns"
    assert loop.cases == tuple(
        Case(f"e{i}", 4, "ann", said, 3, what, first=0, times=3) for i in range(2)
    )
    assert loop.cases_total == 2
    assert [mark.what for mark in result.timelines[0].events] == ["message", "idle"] * 3
    assert (result.episodes, result.agents, result.events) == (2, 2, 12)
    assert (result.source, result.format, result.formats) == ("log.jsonl", "?", {"?": 2})
    assert read_result(json.loads(json.dumps(document_of(result), allow_nan=False))) == result
