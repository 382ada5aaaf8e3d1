"""The calls of an episode: what each returned, which are the same, and which hand over the turn."""

from __future__ import annotations

import re
from collections.abc import Mapping

from counterpoint.records import Episode, Event

VOLATILE_KEY = re.compile(
    r"(\"(?:request_?id|call_?id|trace_?id|span_?id|session_?id|idempotency_?key|nonce|uuid"
    r"|timestamp|created_at)\"\s{0,9}:\s{0,9})(?:\"[^\"]{0,200}\"|[\d.]{1,30})",
    re.IGNORECASE,
)
"""An argument that differs between two calls that are the same: the id of a request, or a time."""
VOLATILE = re.compile(
    r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)",
    re.IGNORECASE,
)
"""An id or a time anywhere in a text."""
WAITS = re.compile(r"\b(sleep|wait)", re.IGNORECASE)
HANDOFF = re.compile(
    r"(?:transfer|hand_?off|handover|delegate|route)_(?:back_)?to_(\w{1,80})", re.IGNORECASE
)
"""A tool that passes the turn to another member."""
FAILED = re.compile(r"\W{0,3}(?:error|exception|traceback|fatal|failed|failure)\b", re.IGNORECASE)
"""The start of a tool's message about an error."""
NAME = re.compile(r"_?agent$|[^\w]|_", re.IGNORECASE)
LONGEST, LONGEST_RESULT = 2000, 400
"""The most characters of a call, and of a result, that are compared."""


def results(episode: Episode) -> Mapping[int, Event]:
    """Returns the place of each action to the message of its tool, where the log has it."""
    members = set(episode.agents)
    waiting: dict[str, int] = {}
    last: int | None = None
    returned_by_call: dict[int, Event] = {}
    for event in episode.events:
        if event.kind == "action":
            last = event.t
            if event.call:
                waiting[event.call] = event.t
        elif event.agent not in members and event.kind == "message":
            at = waiting.get(event.call) if event.call else last
            if at is not None:
                returned_by_call.setdefault(at, event)
        else:
            last = None
    return returned_by_call


def same_call(event: Event) -> tuple[str, str]:
    """Returns the tool and the arguments of a call, without what changes from call to call."""
    return event.tool, steady(event.text[:LONGEST])


def same_result(event: Event | None) -> str:
    """Returns the text of a result, without what changes from call to call; "" if there is none."""
    return "" if event is None else steady((event.error or event.text)[:LONGEST_RESULT])


def steady(text: str) -> str:
    """Returns a text with single spaces, and without ids of requests and times."""
    text = " ".join(text.split())
    if '"' in text:
        text = VOLATILE_KEY.sub(r"\1", text)
    return VOLATILE.sub("", text) if text.count("-") > 1 else text


def is_error(event: Event) -> bool:
    """Returns whether a result of a tool is an error."""
    return bool(event.error) or FAILED.match(event.text) is not None


def is_wait(event: Event) -> bool:
    """Returns whether a call does nothing but wait."""
    return WAITS.search(event.tool) is not None or WAITS.search(event.text[:200]) is not None


def handed_to(event: Event) -> str:
    """Returns to whom an event passes the turn; "" if it is no handoff."""
    if event.kind == "handoff":
        return event.to[0] if event.to else ""
    match = HANDOFF.search(event.tool) if event.kind == "action" and event.tool else None
    return match[1] if match else ""


def plain(name: str) -> str:
    """Returns a member's name as tools spell it: `Refund Agent` and `refund` are the same."""
    return NAME.sub("", name).casefold() or name
