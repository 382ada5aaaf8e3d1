"""Endings: answers that are cut off, limits, errors, and errors to which nobody reacts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from counterpoint.audits.base import Audit, Look, case_of, share, unknown
from counterpoint.audits.calls import is_error, results
from counterpoint.audits.cues import is_broken, is_limit
from counterpoint.records import Case, Episode, Event, Finding, Outcome

NAME = "endings"
TOLERATED = 0.05
"""The share of episodes in which a sound team may end so."""
CUT = {"length", "max_tokens", "max_output_tokens", "max_length", "model_length", "token_limit"}
"""Why a model stopped, in lower case, if its text is cut off."""
REACTS = (
    "error", "fail", "unable", "cannot", "can't", "could not", "couldn't", "sorry", "retry", "try",
    "again", "instead", "issue", "problem", "wrong", "missing", "not found", "fix", "exception",
    "invalid", "denied", "unavailable",
)  # fmt: skip
"""Words of a message that speaks of an error, in lower case."""
WORD = re.compile(r"\w{5,40}")
LONGEST = 2000
"""The most characters of an error and of the answer to it that are compared."""
SHARES = (
    ("cut_answer", "a model stopped at its limit of tokens, so that a text is cut off",
     "the log does not say why models stop"),
    ("limit", "a limit of turns, time or tokens ended the episode",
     "the log does not say how episodes end"),
    ("broken_off", "an error ended the episode", "the log does not say how episodes end"),
    ("ignored_error", "a call failed, and its member goes on without a word about it",
     "the log has no results of calls"),
)  # fmt: skip


class EndingRow(TypedDict):
    """What is kept of an episode: what the log tells of it, and what is seen."""

    able: frozenset[str]
    cases: frozenset[str]


def look(episode: Episode) -> Look[EndingRow] | None:
    """Returns how an episode and its texts end, and which errors had no consequence."""
    if not episode.events:
        return None
    members = set(episode.agents)
    mine = [event for event in episode.events if event.agent in members]
    returned = results(episode)
    able = set[str]()
    if any(event.finish for event in mine):
        able.add("cut_answer")
    if episode.ending:
        able |= {"limit", "broken_off"}
    if returned and episode.meta.get("content") != "not captured":
        able.add("ignored_error")
    cut = [event for event in mine if event.finish.lower() in CUT]
    cases = {
        "cut_answer": [case_of(episode, [e.t], 1.0, f"cut off: {e.finish}") for e in cut],
        "limit": _ended(episode, is_limit(episode.ending)),
        "broken_off": _ended(episode, is_broken(episode.ending) and not is_limit(episode.ending)),
        "ignored_error": ignored(episode, mine, returned) if "ignored_error" in able else [],
    }
    seen = frozenset(name for name, some in cases.items() if some)
    return Look({"able": frozenset(able), "cases": seen}, cases)


def conclude(rows: Sequence[EndingRow], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns the shares of episodes with cut texts, limits, errors and ignored errors."""
    if not rows:
        return [unknown(NAME, name, "no episode has an event") for name, _, _ in SHARES]
    findings = []
    for name, reason, none in SHARES:
        able = [row for row in rows if name in row["able"]]
        hits = sum(name in row["cases"] for row in able)
        finding = share(NAME, name, hits, len(able), TOLERATED, reason, none=none, seen=len(rows))
        findings.append(finding)
    return findings


def _ended(episode: Episode, is_so: bool) -> list[Case]:
    if not is_so:
        return []
    what = f"ends with: {' '.join(episode.ending.split())[:80]}"
    return [case_of(episode, [episode.events[-1].t], 1.0, what)]


def ignored(episode: Episode, mine: Sequence[Event], returned: Mapping[int, Event]) -> list[Case]:
    """Returns where a call fails and the next thing that its member does is to go on regardless.

    Another call is a reaction, also after a message, and so is a message that speaks of the error
    or has one of its longer words. Nothing at all is none: the log may end there.
    """
    following: dict[str, tuple[Event, Event | None]] = {}
    cases = list[Case]()
    for event in reversed(mine):
        result = returned.get(event.t)
        after, then = following.get(event.agent, (None, None))
        following[event.agent] = event, after
        if result is None or after is None or not is_error(result):
            continue
        if after.kind not in ("message", "answer") or not after.text.strip():
            continue
        if then is not None and then.kind == "action":
            continue
        both = result.text if result.error in result.text else f"{result.error} {result.text}"
        error, text = both[:LONGEST], after.text[:LONGEST]
        if any(word in text.lower() for word in REACTS):
            continue
        words = {word.casefold() for word in WORD.findall(error)}
        if any(word.casefold() in words for word in WORD.findall(text)):
            continue
        what = f"{event.tool or 'a call'} failed ({' '.join(error.split())[:60]}), no reaction"
        cases.append(case_of(episode, [event.t, after.t], 1.0, what))
    return cases[::-1]


AUDIT = Audit(NAME, "cut answers, limits, errors, and errors that nobody reacts to", look, conclude)
