"""Who&When: the history of a failed run, with people's labels."""

from __future__ import annotations

import re
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, Format, episode, list_of
from counterpoint.records import Episode

_ROLE = re.compile(r"([^()]++)\(([^)]*+)\)")


def who_and_when(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; `name` or `role` has the speaker: `Orchestrator (-> WebSurfer)`."""
    events: list[EventFields] = []
    for i, message in enumerate(list_of(value.get("history"), f"{where}, history")):
        at = f"{where}, history {i}"
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise LogError(f"{at}: got no content; wanted an object with role and content")
        who = message.get("name") or message.get("role")
        if not isinstance(who, str):
            raise LogError(f"{at}: got neither name nor role; wanted one")
        event: EventFields = {"agent": who, "kind": "message", "text": message["content"]}
        if match := _ROLE.fullmatch(who):
            event["agent"] = match[1].rstrip() or match[1]
            to = match[2].removeprefix("->").strip()
            if match[2].startswith("->") and to:
                event["to"] = (to,)
            else:
                event["meta"] = {"note": match[2]}
        events.append(event)
    right = value.get("is_correct", value.get("is_corrected"))
    reasons = ("mistake_agent", "mistake_step", "mistake_reason", "mistake_type")
    prompts = value.get("system_prompt")
    roster = tuple(prompts) if isinstance(prompts, dict) else ()  # a prompt for each member
    labels = {name: value[name] for name in reasons if name in value}
    meta = {"gold": value.get("ground_truth"), "level": value.get("level"),
            "question": value.get("question_ID")}  # fmt: skip
    success = None if right is None else float(bool(right))
    outside = ("Computer_terminal", "ComputerTerminal", "human")
    members = [who for who in roster if who not in outside]
    return [episode(name, events, "who_and_when", outside, members=members, meta=meta,
                    task=str(value["question"]), success=success, labels=labels)]  # fmt: skip


FORMAT = Format(
    lambda value: isinstance(value, dict) and "history" in value and "question" in value,
    who_and_when,
)
