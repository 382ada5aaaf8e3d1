"""ChatDev: the text log of a run, in which a line with a time opens a block.

A block of a member starts with its role and what it is about in two stars, such as
`Programmer: **Programmer<->Tester on : Test, turn 0**`; all others are of the framework.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, Format, count, episode
from counterpoint.records import Episode, Json

_STAMP = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) [A-Z]{4,8}\] ")
_TURN = re.compile(r"([A-Z][\w '&/-]{1,60}): \*\*(.{1,300})\*\*\s*+")
_PHASE = re.compile(r" on : (\w++), turn (\d++)")
_FIELD = re.compile(
    r"\| \*\*(assistant_role_name|user_role_name|task_prompt)\*\* \| (.{1,2000}) \|"
)
_GIVEN = re.compile(r"^\*\*task_prompt\*\*: (.{1,2000})$", re.MULTILINE)
"""The task in the first block; a phase that improves it has another one."""
_USAGE = re.compile(r"(prompt_tokens|completion_tokens|cost): \$?([\d.]{1,20})")
_FACT = re.compile(r"\*\*(\w{1,40})\*\*=([^ \n]{1,40})")
TESTS = "tests"
"""The speaker of reports of tests, which the framework runs."""
CHAIN = "chat chain"
"""The speaker of the prompts that start a phase: the framework writes them in a role's name."""


def is_chatdev(value: Any) -> bool:
    """Returns whether a value is the text of a log, whose first lines have ChatDev's marks."""
    if not isinstance(value, str) or not _STAMP.match(value.lstrip("\ufeff \r\n")):
        return False
    head = value[:4096]
    return "**[" in head or "<->" in head


def chatdev(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode: what each role said, with the tokens that were counted for it."""
    episode_of_log = transcript(value, name, "chatdev")
    if not episode_of_log.events:
        raise LogError(f"{where}: got a log of ChatDev in which no role speaks; wanted one turn")
    return [episode_of_log]


def transcript(
    text: str,
    name: str,
    kind: str,
    labels: Mapping[str, Json] | None = None,
    meta: Mapping[str, Json] | None = None,
) -> Episode:
    """Returns the episode of the text of a log; it has no event if no role speaks."""
    events: list[EventFields] = []
    roster: dict[str, None] = {}
    left_out: Counter[str] = Counter()
    facts: dict[str, str] = {}
    usages: deque[dict[str, str]] = deque()  # both sides may be asked before either turn is logged
    has_turned = False
    task, started = "", None
    for stamp, block in _blocks(text):
        seconds = _seconds(stamp)
        started = seconds if started is None else started
        first, _, rest = block.partition("\n")
        if first.startswith("**[Preprocessing]**") and (wanted := _GIVEN.search(block)):
            task = task or wanted[1].strip()
        match = _TURN.fullmatch(first.rstrip())
        if match and match[1] == "System":
            left_out["settings of the framework"] += 1
            for key, field in _FIELD.findall(block):
                if key == "task_prompt":
                    task = task or field
                else:
                    roster.setdefault(field)
        elif match:
            event = _turn(match[1], match[2], rest.strip())
            event["seconds"] = None if seconds is None or started is None else seconds - started
            if "Start Chat" in match[2]:
                roster.setdefault(match[1])
                event["agent"] = CHAIN
            elif usages:
                usage, has_turned = usages.popleft(), True
                event["tokens"] = count(usage.get("completion_tokens"))
                event["tokens_in"] = count(usage.get("prompt_tokens"))
                event["cost"] = _number(usage.get("cost"))
            events.append(event)
        elif first.startswith("**[OpenAI_Usage_Info Receive]**"):
            if has_turned and usages:
                left_out["calls of models whose turn is not in the log"] += len(usages)
                usages.clear()
            has_turned = False
            usages.append(dict(_USAGE.findall(block)))
        elif first.startswith("**[Test Reports]**"):
            events.append({"agent": TESTS, "kind": "message", "tool": TESTS, "text": rest.strip()})
        elif first.startswith("**[Post Info]**"):
            facts.update(_FACT.findall(block))
        elif first.startswith("**["):
            left_out["reports of the framework"] += 1
    if usages:
        left_out["calls of models whose turn is not in the log"] += len(usages)
    speakers = dict.fromkeys(e["agent"] for e in events if e["agent"] not in (TESTS, CHAIN))
    about = dict(meta or {})
    if facts:
        about["post_info"] = facts
    if left_out:
        about["left_out"] = dict(left_out)
    ending = "finished" if facts else ""
    return episode(name, events, kind, (TESTS, CHAIN), members=tuple(speakers | roster), task=task,
                   meta=about, ending=ending, labels=labels)  # fmt: skip


def _blocks(text: str) -> Sequence[tuple[str, str]]:
    """Returns the time and the text of each block; a turn without a time is a block too."""
    blocks: list[tuple[str, list[str]]] = []
    stamp = ""
    for line in text.split("\n"):
        if match := _STAMP.match(line):
            stamp = match[1]
            blocks.append((stamp, [line[match.end() :]]))
        elif (turn := _TURN.fullmatch(line.rstrip())) and ("turn " in turn[2] or "[" in turn[2]):
            blocks.append((stamp, [line]))
        elif blocks:
            blocks[-1][1].append(line)
    return [(stamp, "\n".join(lines)) for stamp, lines in blocks]


def _turn(who: str, about: str, text: str) -> EventFields:
    """Returns the event of a turn; the prompt in brackets before the text is in `meta`."""
    event: EventFields = {"agent": who, "kind": "message", "text": text}
    meta: dict[str, Json] = {}
    if phase := _PHASE.search(about):
        meta = {"phase": phase[1], "turn": int(phase[2][:9])}
    if text.startswith("[") and "]\n\n" in text and "You are" in text:
        prompt, _, reply = text.partition("]\n\n")
        event["text"] = reply.strip()
        meta["prompt"] = prompt[1:]
    pair = about.partition(" on :")[0].split("<->")
    others = tuple(name.strip() for name in pair if name.strip() != who)
    if len(pair) == 2 and len(others) == 1:
        event["to"] = others
    if meta:
        event["meta"] = meta
    return event


def _seconds(stamp: str) -> float | None:
    """Returns a time as the log writes it: year, day, month; other logs have month and day."""
    for layout in ("%Y-%d-%m %H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(stamp, layout).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


FORMAT = Format(is_chatdev, chatdev)
