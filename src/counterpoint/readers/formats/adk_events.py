"""Events of Google's Agent Development Kit: an author, and a content of parts.

`Events` turns them into events of an episode. Keys are in camel case or in snake case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterpoint.errors import LogError
from counterpoint.marks import mark_of
from counterpoint.readers.build import EventFields, count, list_of, object_of, seconds_of
from counterpoint.readers.handoffs import handoff_target, text_of
from counterpoint.records import Json

OK = ("", "OUTCOME_OK")
"""The outcomes of code that has run without an error."""
_QUIET = ("text", "thought", "thought_signature", "thoughtSignature")
"""The fields of a part that are nothing which it holds beside its text."""


def field_of(value: Mapping[str, Json], name: str) -> Json:
    """Returns a field by its name in snake case, or by the same name in camel case."""
    if value.get(name) is not None:
        return value[name]
    first, *rest = name.split("_")
    return value.get(first + "".join(map(str.capitalize, rest)))


def is_content(value: Any) -> bool:
    """Returns whether a value is a content: parts with a role."""
    return isinstance(value, dict) and isinstance(value.get("parts"), list)


def is_event(value: Any) -> bool:
    """Returns whether a value is an event: an author, and a content or what else one may have."""
    if not isinstance(value, dict) or not isinstance(value.get("author"), str):
        return False
    return is_content(value.get("content")) or (
        field_of(value, "invocation_id") is not None
        and ("actions" in value or field_of(value, "error_code") is not None)
    )


@dataclass
class Events:
    """The events of a session, collected one by one."""

    events: list[EventFields] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    outside: set[str] = field(default_factory=set)
    """Authors of tools' results, and the user."""
    ending: str = ""
    _tools: dict[str, str] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _handed: set[tuple[str, str]] = field(default_factory=set)
    """Invocation and target of each handoff that a call has made."""

    def add(self, event: Mapping[str, Json], at: str) -> None:
        """Adds an event: its texts, its calls and results of tools, and its handoff."""
        author = event.get("author")
        if not isinstance(author, str) or not author:
            raise LogError(f"{at}, author: got {type(author).__name__}; wanted text")
        if event.get("partial") is True:
            self.left_out["parts of streams"] += 1
            return
        own = (text_of(event.get("id")), text_of(event.get("content")))
        if own[0] and own in self._seen:  # a session that was resumed
            self.left_out["events that came again"] += 1
            return
        self._seen.add(own)
        base: EventFields = {"agent": author, "kind": "message",
                             "seconds": seconds_of(event.get("timestamp"))}  # fmt: skip
        if author.lower() == "user":
            self.outside.add(author)
        invocation = text_of(field_of(event, "invocation_id"))
        content = event.get("content")
        parts = object_of(content, f"{at}, content").get("parts") if content else []
        made = self._parts(list_of(parts or [], f"{at}, parts"), base, at, invocation)
        actions = event.get("actions")
        actions = actions if isinstance(actions, dict) else {}
        target = text_of(field_of(actions, "transfer_to_agent"))
        if target and (invocation, target) not in self._handed:
            made.append({**base, "kind": "handoff", "to": (target,)})
        if actions.get("escalate") is True:
            self.ending = "escalate"
        error = " ".join(filter(None, (text_of(field_of(event, "error_code")),
                                       text_of(field_of(event, "error_message")))))  # fmt: skip
        if error and not made:
            made.append({**base})
        if made:
            self._facts(made[0], event, error)
        self.events += made

    def _facts(self, first: EventFields, event: Mapping[str, Json], error: str) -> None:
        """Writes what counts once for an event into the first that was made of it."""
        usage = field_of(event, "usage_metadata")
        if isinstance(usage, dict):
            produced = [count(field_of(usage, name))
                        for name in ("candidates_token_count", "thoughts_token_count")]  # fmt: skip
            known = [each for each in produced if each is not None]
            first["tokens"] = sum(known) if known else None
            first["tokens_in"] = count(field_of(usage, "prompt_token_count"))
        first["finish"] = text_of(field_of(event, "finish_reason"))
        if error:
            first["error"] = error

    def _parts(
        self, parts: Sequence[Any], base: EventFields, at: str, invocation: str
    ) -> list[EventFields]:
        """Returns the events of the parts of a content; neighbouring texts are one message."""
        made: list[EventFields] = []
        thoughts: list[str] = []
        texts: list[str] = []

        def say() -> None:
            if texts:
                made.append({**base, "text": "".join(texts)})
                texts.clear()

        for each in parts:
            part = object_of(each, f"{at}, parts")
            call, result = field_of(part, "function_call"), field_of(part, "function_response")
            code, output = (
                field_of(part, "executable_code"),
                field_of(part, "code_execution_result"),
            )
            if isinstance(call, dict):
                say()
                made.append(self.call(call, base, invocation))
            elif isinstance(result, dict):
                say()
                made.append(self.result(result, base))
            elif isinstance(code, dict):
                say()
                made.append({**base, "kind": "action", "tool": "code_executor",
                             "text": text_of(code.get("code"))})  # fmt: skip
            elif isinstance(output, dict):
                say()
                outcome = text_of(output.get("outcome"))
                self.outside.add("code_executor")
                made.append({**base, "agent": "code_executor", "tool": "code_executor",
                             "text": text_of(output.get("output")),
                             "error": "" if outcome in OK else outcome})  # fmt: skip
            elif isinstance(text := part.get("text"), str) and text:
                (thoughts if part.get("thought") is True else texts).append(text)
            elif any(value and name not in _QUIET for name, value in part.items()):
                texts.append(mark_of(part))
        say()
        if thoughts:
            made = made or [{**base}]
            made[0]["meta"] = {"thinking": "".join(thoughts)}
        return made

    def call(self, call: Mapping[str, Json], base: EventFields, invocation: str) -> EventFields:
        """Returns a call of a tool, which is a handoff if the tool transfers to an agent."""
        tool, number = text_of(call.get("name")) or "tool", text_of(call.get("id"))
        self._tools[number] = tool
        event: EventFields = {**base, "kind": "action", "tool": tool, "call": number,
                              "text": text_of(call.get("args"))}  # fmt: skip
        if target := handoff_target(tool, call.get("args")):
            event["kind"], event["to"] = "handoff", (target,)
            self._handed.add((invocation, target))
        return event

    def result(self, result: Mapping[str, Json], base: EventFields) -> EventFields:
        """Returns the result of a tool, whose author is the tool."""
        number, response = text_of(result.get("id")), result.get("response")
        tool = text_of(result.get("name")) or self._tools.get(number) or "tool"
        self.outside.add(tool)
        error = ""
        if isinstance(response, dict):
            error = text_of(response.get("error") or response.get("error_message"))
            if set(response) == {"result"}:
                response = response["result"]
        return {**base, "agent": tool, "tool": tool, "call": number, "text": text_of(response),
                "error": error}  # fmt: skip
