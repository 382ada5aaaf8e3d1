"""Texts in which a framework marks who speaks: MetaGPT, Magentic-One, HyperAgent, AppWorld, AG2.

Each function returns the turns of a text, or none if its marks are not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from counterpoint.readers.build import EventFields
from counterpoint.readers.formats.autogen_chat import chat_events, tools_of


class Turns(NamedTuple):
    """What a text says."""

    events: list[EventFields]
    task: str = ""
    outside: tuple[str, ...] = ()
    """Speakers that are not counted as team members."""


NOTHING = Turns([])
SUPERVISOR = "Supervisor"
APPWORLD = ("code", "send_message", "environment")
"""The speakers of AppWorld's log that are no agents."""
_LOGGED = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^\]]{0,20}\] ?(.*+)")
_FROM = re.compile(r"FROM: (\w{1,60})")
_SIGNED = re.compile(r"(\w{1,60}):\s*+(.*+)", re.DOTALL)
_ACTED = re.compile(r".{0,120}_act:\d{1,6} - \w{1,40}\((\w{1,60})\): to do (\w{1,80}).*+")
_RULE = re.compile(r"-{10} (?:\w{1,40}Message \(([^()]{1,80})\)|([^-].{0,80}?)) -{10}")
_HARNESS = re.compile(r"(?:SCENARIO\.PY|RUN\.SH|MAIN TASK) (?:STARTING|COMPLETE|RUNTIME|EXITED)")
_HYPER = re.compile(r"\s*+HyperAgent_[^ ]{1,200} - [A-Z]{4,8} - (.*+)")
_RESPONSE = re.compile(r"(?:Inner-)?(\w{1,40}?)(?:-Assistant)?['’]s Response: ?(.*+)")
_PASSED = re.compile(r"(\w{1,40})->(\w{1,40}): ?(.*+)")
_APP = re.compile(r"\s*+(Response from|Message to|Reply from|Entering|Exiting) (\w{1,40}) Agent"
                  r"(?: message loop)?\s*+")  # fmt: skip
_APP_OTHER = re.compile(r"\s*+(Code Execution Output|Response from send_message API)\s*+")
_TASK = re.compile(r"\s*+\*{5,40}\s*+Task \d{1,9}/\d{1,9}.{0,200}")


def metagpt(text: str) -> Turns:
    """Returns the turns of MetaGPT's log of messages, or of its log of actions."""
    events: list[EventFields] = []
    task = ""
    blocks: list[list[str]] = []
    for line in text.split("\n"):
        if match := _LOGGED.match(line):
            blocks.append([match[1]])
        elif line.startswith(("-" * 40, "=" * 40)):
            continue
        elif blocks:
            blocks[-1].append(line)
    for lines in blocks:
        block = "\n".join(lines).strip()
        if sender := _FROM.match(block):
            body = block.partition("CONTENT:")[2].strip()
            task = task or body
            events.append({"agent": sender[1], "kind": "message", "text": body})
        elif block.startswith("NEW MESSAGES:"):
            signed = _SIGNED.fullmatch(block.removeprefix("NEW MESSAGES:").strip())
            if signed:
                events.append({"agent": signed[1], "kind": "message", "text": signed[2].strip()})
    return Turns(events, task, ("Human",)) if events else _acts(text)


def _acts(text: str) -> Turns:
    """Returns what follows each line that says which role acts."""
    events: list[EventFields] = []
    bodies: list[list[str]] = []
    for line in text.split("\n"):
        if match := _ACTED.fullmatch(line):
            bodies.append([])
            events.append({"agent": match[1], "kind": "message", "meta": {"action": match[2]}})
        elif bodies:
            bodies[-1].append(line)
    for event, body in zip(events, bodies, strict=True):
        event["text"] = "\n".join(body).strip()
    return Turns(events)


def magentic(text: str) -> Turns:
    """Returns the turns of a console log of AutoGen's, whose speakers stand between dashes."""
    events: list[EventFields] = []
    bodies: list[list[str]] = []
    for line in text.split("\n"):
        if match := _RULE.fullmatch(line.strip()):
            bodies.append([])
            events.append({"agent": match[1] or match[2], "kind": "message"})
        elif _HARNESS.match(line.strip()):
            continue
        elif bodies:
            bodies[-1].append(line)
    for event, body in zip(events, bodies, strict=True):
        event["text"] = "\n".join(body).strip()
    first = next((e["text"] for e in events if e["agent"] == "user"), "")
    return Turns(events, first, ("user", "ComputerTerminal"))


def hyperagent(text: str) -> Turns:
    """Returns the turns of HyperAgent's log; an inner assistant speaks for its role."""
    events: list[EventFields] = []
    bodies: list[list[str]] = []
    is_turn = False
    for line in text.split("\n"):
        if not (match := _HYPER.fullmatch(line)):
            if is_turn:
                bodies[-1].append(line)
            continue
        rest = match[1]
        if reply := _RESPONSE.fullmatch(rest):
            events.append({"agent": reply[1], "kind": "message"})
            bodies.append([reply[2]])
        elif sent := _PASSED.fullmatch(rest):
            events.append({"agent": sent[1], "kind": "message", "to": (sent[2],)})
            bodies.append([sent[3]])
        is_turn = bool(reply or _PASSED.fullmatch(rest))
    for event, body in zip(events, bodies, strict=True):
        event["text"] = "\n".join(body).strip()
    return Turns(events)


def appworld(text: str) -> Turns:
    """Returns the turns of AppWorld's log: the supervisor, an agent for each app, and code."""
    events: list[EventFields] = []
    bodies: list[list[str]] = []
    task: list[str] = []
    place: list[str] | None = None
    names: dict[str, str] = {}
    app = "environment"  # it speaks to the supervisor before the agent of an app does
    for line in text.split("\n"):
        if match := _APP.fullmatch(line):
            place = []
            who = names.setdefault(match[2].lower(), match[2])
            if match[1] in ("Response from", "Reply from"):
                events.append({"agent": who, "kind": "message"})
                bodies.append(place)
                app = app if who == SUPERVISOR else who
            elif match[1] == "Message to":
                sender = app if who == SUPERVISOR else SUPERVISOR
                events.append({"agent": sender, "kind": "message", "to": (who,)})
                bodies.append(place)
        elif other := _APP_OTHER.fullmatch(line):
            place = []
            tool = "code" if other[1].startswith("Code") else "send_message"
            events.append({"agent": tool, "kind": "message", "tool": tool})
            bodies.append(place)
        elif _TASK.fullmatch(line):
            place = task
        elif place is not None:
            place.append(line)
    for event, body in zip(events, bodies, strict=True):
        event["text"] = "\n".join(body).strip()
    kept = [e for e in events if e["text"]]
    return Turns(kept, "\n".join(task).strip(), APPWORLD)


def ag2(text: str) -> Turns:
    """Returns the turns of a history of AG2's: as JSON, or as lines of content, role and name."""
    value = _json(text)
    history = value.get("trajectory") if isinstance(value, dict) else value
    if isinstance(history, list) and all(isinstance(m, dict) and m.get("name") for m in history):
        task = _joined(value.get("problem_statement")) if isinstance(value, dict) else ""
        events = chat_events(history, "trace")
        return Turns(events, task, tuple(tools_of(events)))
    events = []
    body: list[str] | None = None
    lines = text.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        bare, after = line.strip(), following.strip().removeprefix("- ")
        if bare.removeprefix("- ").startswith("content:") and body is None:
            body = [bare.partition("content:")[2].strip()]
        elif bare.startswith("role:") and after.startswith("name:") and body is not None:
            who = after.removeprefix("name:").strip().strip("'\"")
            events.append({"agent": who, "kind": "message", "text": "\n".join(body).strip()})
            body = None
        elif body is not None:
            body.append(line)
    return Turns(events, events[0]["text"] if events else "")


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text.lstrip()[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        return None


def _joined(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value or "")


def unpacked(text: str) -> tuple[str, str]:
    """Returns the log and the task of a trace that is JSON with both in it, else the text."""
    value = _json(text)
    if not isinstance(value, dict):
        return text, ""
    task = _joined(value.get("prompt") or value.get("problem_statement"))
    log = value.get("content", value.get("trajectory"))
    return (_joined(log) if isinstance(log, str | list) else text), task


FRAMEWORKS: dict[str, Callable[[str], Turns]] = {
    "metagpt": metagpt,
    "magentic": magentic,
    "magenticone": magentic,
    "gaia": magentic,
    "hyperagent": hyperagent,
    "appworld": appworld,
}
"""The name of a framework, in small letters, to the function for its logs."""
