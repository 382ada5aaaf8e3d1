"""`check_audit`: a conformance suite for audits, yours and ours.

It needs a log with a planted failure, and a clean twin.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from counterpoint.audits.base import LONGEST_QUOTE, MOST_CASES, Audit, Look
from counterpoint.audits.cases import CaseShelf
from counterpoint.records import (
    FOUND,
    NOT_COMPUTABLE,
    NOT_FOUND,
    VERDICTS,
    Case,
    Episode,
    Event,
    Finding,
    Outcome,
)
from counterpoint.testing.batches import attempt, demand

ODD = (
    Episode("nothing", (), ()),
    Episode("one word", (Event(0, "ann", "message", ""),), ("ann",)),
    Episode("tool alone", (Event(0, "shell", "message", "ok"),), (), ("shell",)),
    Episode("silent member", (Event(0, "ann", "message", "Hello?"),), ("ann", "bob")),
    Episode(
        "odd text",
        (
            Event(0, "ann", "message", "日本 👍 \x00 ]["),
            Event(1, "bob", "action", " \n ", meta={"name": None}),
            Event(2, "ann", "answer", "", answer=""),
            Event(3, "", "reward", reward={"proxy": 0.0}),
            Event(4, "bob", "end", work=0.0, tokens=0),
        ),
        ("ann", "bob", ""),
        task="?",
        success=0.5,
    ),
)
"""Episodes that show hardly anything."""


def check_audit(
    audit: Audit[Any],
    planted: Sequence[Episode],
    clean: Sequence[Episode],
    *,
    planted_outcomes: Sequence[Outcome] = (),
    clean_outcomes: Sequence[Outcome] = (),
) -> None:
    """Checks every promise of `counterpoint.audits.Audit`.

    Args:
        audit: the audit.
        planted: a log in which it must find the failure.
        clean: a log in which it may find nothing.
        planted_outcomes, clean_outcomes: their tables of outcomes, for an audit of outcomes.

    Raises:
        ConformanceError: The first broken promise.
    """
    check_description(audit)
    nothing = _findings(audit, [], [], "no episodes")
    demand(bool(nothing), "no finding for no episodes", "a finding that is not computable")
    for finding in nothing:  # what is not known is neither 0 nor "not found"
        got = f"{finding.name} {finding.verdict}, value {finding.value}, from no episodes"
        demand(finding.verdict == NOT_COMPUTABLE, got, "not computable")
    for episode in ODD:
        _findings(audit, [episode], [], f"the episode '{episode.id}'")
    _findings(audit, ODD, [], "odd episodes together")
    check_purity(audit, [*planted, *clean])
    guilty = _findings(audit, planted, planted_outcomes, "the log with the failure")
    hits = [finding.name for finding in guilty if finding.verdict == FOUND]
    demand(bool(hits), "nothing found where the failure was planted", "a finding")
    silent = _findings(audit, clean, clean_outcomes, "the clean log")
    blamed = [finding.name for finding in silent if finding.verdict == FOUND]
    demand(not blamed, f"{', '.join(blamed)} found in the clean log", "nothing found there")
    names = [sorted(each.name for each in findings) for findings in (guilty, silent)]
    demand(names[0] == names[1], f"findings {names[0]} and {names[1]}", "the same names always")
    known = {episode.id for episode in planted}
    for finding in guilty:
        for case in finding.cases:
            got = f"a case of {finding.name} in episode {case.episode!r}"
            demand(case.episode in known, got, "an episode of the log")


def check_description(audit: Audit[Any]) -> None:
    """Checks that --only and --fail-on can take the name, and that the summary is one line."""
    demand(isinstance(audit, Audit), f"{audit!r}", "a counterpoint.audits.Audit")
    name, summary = audit.name, audit.summary
    is_word = isinstance(name, str) and name != "" and not set(name) & set(". ,\n")
    demand(is_word, f"the name {name!r}", "one word without a period or a comma")
    is_line = isinstance(summary, str) and summary.strip() != "" and "\n" not in summary
    demand(is_line, f"the summary {summary!r}", "one line of text")


def check_purity(audit: Audit[Any], episodes: Sequence[Episode]) -> None:
    """Checks that `look` and `conclude` change nothing and give the same result twice."""
    for episode in episodes[:20]:
        before = copy.deepcopy(episode)
        first, second = _look(audit, episode), _look(audit, episode)
        demand(episode == before, f"an episode '{episode.id}' that look changed", "the same")
        demand(repr(first) == repr(second), f"{first!r}, then {second!r}", "one look always")
    rows = [look.row for episode in episodes if (look := _look(audit, episode)) is not None]
    kept = repr(rows)
    with attempt("conclude", "findings"):
        findings, again = audit.conclude(rows, []), audit.conclude(rows, [])
    demand(repr(rows) == kept, "rows that conclude changed", "the same rows")
    demand(repr(findings) == repr(again), f"{findings}, then {again}", "the same findings always")


def _look(audit: Audit[Any], episode: Episode) -> Look[Any] | None:
    """Returns what the audit sees in an episode, and checks that it is a `Look` or None."""
    with attempt(f"look at the episode '{episode.id}'", "a Look or None"):
        look = audit.look(episode)
    if look is None:
        return None
    demand(isinstance(look, Look), f"a look {look!r}", "a counterpoint.audits.Look or None")
    demand(isinstance(look.row, Mapping), f"a row {look.row!r}", "a mapping")
    for name, cases in look.cases.items():
        fine = all(isinstance(case, Case) for case in cases)
        demand(fine, f"the cases of {name!r}: {cases!r}", "a Case each")
    return look


def _findings(
    audit: Audit[Any], episodes: Sequence[Episode], outcomes: Sequence[Outcome], what: str
) -> list[Finding]:
    """Returns the findings, and checks each of them."""
    looks = [look for episode in episodes if (look := _look(audit, episode)) is not None]
    with attempt(f"conclude from {what}", "a list of findings"):
        findings = audit.conclude([look.row for look in looks], outcomes)
    demand(isinstance(findings, list), f"{type(findings).__name__} from {what}", "a list")
    shelf = CaseShelf()
    for look in looks:
        shelf.add(audit.name, look.cases)
    for finding in findings:
        _check_finding(audit, finding)
    lost = {name for _, name in shelf.total} - {each.name for each in findings}
    demand(not lost, f"cases of {', '.join(sorted(lost))}", "a finding of each name")
    twice = [name for name, count in Counter(each.name for each in findings).items() if count > 1]
    demand(not twice, f"two findings called {', '.join(twice)}", "different names")
    findings = [shelf.joined(finding) for finding in findings]
    for finding in findings:
        _check_cases(finding)
    return findings


def _check_finding(audit: Audit[Any], finding: Finding) -> None:
    """Checks that what a finding says is consistent."""
    demand(isinstance(finding, Finding), f"{type(finding).__name__}", "a Finding")
    name, value, verdict = finding.name, finding.value, finding.verdict
    demand(finding.audit == audit.name, f"{name} of audit {finding.audit!r}", f"{audit.name!r}")
    demand(verdict in VERDICTS, f"{name}: verdict {verdict!r}", f"one of {', '.join(VERDICTS)}")
    unknown = verdict == NOT_COMPUTABLE
    got = f"{name}: {verdict}, value {value}, reason {finding.reason!r}"
    demand(unknown == (value is None), got, "a value unless it is not computable")
    because = finding.reason.startswith("not computable because ")
    demand(unknown == because, got, "'not computable because ...' where it is not, and only there")
    demand(bool(finding.reason), got, "a reason in words")
    for field in ("value", "low", "high", "null", "p"):
        number = getattr(finding, field)
        demand(number is None or math.isfinite(number), f"{name}: {field} {number}", "a finite one")
    low, high, p = finding.low, finding.high, finding.p
    ends = f"{name}: interval {low} to {high} of {value}"
    demand((low is None) == (high is None), ends, "both ends or neither")
    if low is not None and high is not None:
        demand(value is not None and low <= value <= high, ends, "the value between its ends")
    demand(p is None or 0 <= p <= 1, f"{name}: p {p}", "a number from 0 to 1")
    demand(isinstance(finding.n, int) and finding.n >= 0, f"{name}: n {finding.n!r}", "a count")
    bare = verdict == NOT_FOUND and finding.null is None
    demand(not bare, f"{name}: {verdict} without a null", "cannot tell")


def _check_cases(finding: Finding) -> None:
    """Checks the cases of a finding."""
    name, cases = finding.name, finding.cases
    demand(len(cases) <= MOST_CASES, f"{name}: {len(cases)} cases", f"at most {MOST_CASES}")
    got = f"{name}: {len(cases)} cases of {finding.cases_total}"
    demand(len(cases) <= finding.cases_total, got, "all of them counted")
    for case in cases:
        kind = f"{name}: a case of type {type(case).__name__}"
        demand(isinstance(case, Case), kind, "a Case")
        length = len(case.quote or "")
        got = f"{name}: a quotation of {length} characters"
        demand(length <= LONGEST_QUOTE, got, f"at most {LONGEST_QUOTE}")
        demand(math.isfinite(case.weight), f"{name}: weight {case.weight}", "a finite one")
