"""What a judge reads in a question about a mistake, and a reply to it."""

from __future__ import annotations

import json
import re


def events_of(prompt: str) -> list[tuple[int, str]]:
    """Returns the places and authors of the events that a question shows."""
    heads = re.findall(r"^==\w+== event (\d+), (.*)$", prompt, re.M)
    return [(int(t), re.split(r" to | \(", head)[0]) for t, head in heads]


def roster_of(prompt: str) -> list[str]:
    """Returns the members that a question lists."""
    listed = re.search(r"^==(\w+)== members\n(.*?)\n==\1== end of members", prompt, re.M | re.S)
    assert listed
    return listed[2].split("\n")


def blame(member: str | None, event: int | None, mode: str | None = None) -> str:
    """Returns a reply."""
    return json.dumps({"member": member, "event": event, "mode": mode})


def blames_last(prompt: str) -> str:
    """Names the last event of a member."""
    roster = roster_of(prompt)
    t, who = [(t, who) for t, who in events_of(prompt) if who in roster][-1]
    return blame(who, t, "FM-3.1")


def blames_first_listed(prompt: str) -> str:
    """Names whoever is listed first, as a judge with a taste for a place does."""
    who = roster_of(prompt)[0]
    t = next(t for t, author in events_of(prompt) if author == who)
    first_mode = re.search(r"Failure modes:\n(FM-\d\.\d)", prompt)
    assert first_mode
    return blame(who, t, first_mode[1])
