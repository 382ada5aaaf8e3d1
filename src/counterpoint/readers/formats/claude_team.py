"""Claude Code: the main agent and its subagents, and who hands over to whom.

Start with `Team`. The main agent calls a subagent with the tool `Task` (now `Agent`). The call is a
handoff to the subagent. Its result is the subagent's answer, or a handoff back if the log has what
the subagent did.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterpoint.readers.build import EventFields, finite
from counterpoint.readers.content import Content, ToolCall, ToolResult, content_of, usage_of
from counterpoint.readers.messages import Facts, LoggedMessage, fields_of

MAIN = "main"
"""The name of the agent that a person talks to."""
HANDOFFS = ("Task", "Agent")
"""The tools that start a subagent."""
_AGENT_ID = re.compile(r"agentId: ([\w-]++)")


@dataclass
class Entry:
    """One line of a session that says something."""

    number: int
    role: str
    agent: str
    """Id of the subagent; empty for the main agent."""
    content: Any
    where: str
    facts: Facts
    time: float | None
    message: str
    """Id of the model call; several lines may share it, and repeat its usage."""
    uuid: str
    parent: str
    parent_call: str
    """Id of the call that started the subagent, if the line has it."""
    named: str
    """The name of the agent, if the line has it."""
    result: Mapping[str, Any]
    """What the program knows of the result of a tool."""
    parts: Content | None = None

    @property
    def holds_results(self) -> bool:
        """Returns whether it holds results of tools."""
        return bool(self.parts and self.parts.results)


class Team:
    """The agents of one session.

    Args:
        entries: the session's lines, in order of time; their contents are parsed here.
        types: the file of a subagent, without its suffix, to the type of the subagent.
    """

    def __init__(self, entries: Sequence[Entry], types: Mapping[str, str]) -> None:
        self._entries = entries
        self._calls: dict[str, tuple[ToolCall, str]] = {}  # handoffs: the call, and who calls
        self._agent_of: dict[str, str] = {}  # call to the id of the subagent
        for entry in entries:
            entry.parts = content_of(entry.content, entry.where)
        self._split_sidechains()
        self._link()
        self._name(types)

    @property
    def main(self) -> str:
        """Returns the name of the main agent."""
        return self._names.get("", MAIN)

    @property
    def members(self) -> list[str]:
        """Returns the names of all agents."""
        return list(dict.fromkeys([*self._names.values(), *self._silent.values()]))

    def _split_sidechains(self) -> None:
        """Gives the lines of older versions, which name no subagent, one id for each chain."""
        chain: dict[str, str] = {}
        chains = 0
        for entry in self._entries:
            if entry.parent_call:
                entry.agent = f"call {entry.parent_call}"
                self._agent_of[entry.parent_call] = entry.agent
            elif entry.agent == "sidechain":
                chains += entry.parent not in chain
                entry.agent = chain.get(entry.parent, f"sidechain-{chains}")
                chain[entry.uuid] = entry.agent

    def _link(self) -> None:
        """Finds which subagent each handoff started."""
        prompts: dict[str, str] = {}
        for entry in self._entries:
            assert entry.parts is not None
            if entry.role == "assistant":
                for call in entry.parts.calls:
                    if call.name in HANDOFFS:
                        self._calls[call.id] = (call, entry.agent)
            elif entry.agent and entry.parts.text:
                prompts.setdefault(entry.agent, entry.parts.text.strip())
            for result in entry.parts.results:
                if result.call_id in self._calls:
                    known = entry.result.get("agentId")
                    match = _AGENT_ID.search(result.text)
                    if isinstance(known, str) or match:
                        self._agent_of[result.call_id] = (
                            known if isinstance(known, str) else match[1] if match else ""
                        )
        free = dict.fromkeys([e.agent for e in self._entries if e.agent])
        for agent in self._agent_of.values():
            free.pop(agent, None)
        open_calls = [call for call, _ in self._calls.values() if call.id not in self._agent_of]
        waiting: dict[str, list[str]] = {}
        for call in open_calls:
            waiting.setdefault(_prompt(call).strip(), []).append(call.id)
        for agent in list(free):
            if calls := waiting.get(prompts.get(agent, "")):
                self._agent_of[calls.pop(0)] = agent
                free.pop(agent)
        left = [call for call in open_calls if call.id not in self._agent_of]
        if len(left) == len(free) == 1:  # one call and one subagent: they belong together
            self._agent_of[left[0].id] = next(iter(free))
        elif len(self._calls) == len(self._agent_of) == 1:
            only = next(iter(self._agent_of.values()))
            for entry in self._entries:  # lines that name no subagent are the only one's
                if entry.agent.startswith("sidechain-"):
                    entry.agent = only

    def _name(self, types: Mapping[str, str]) -> None:
        """Names each agent: by its own name, the type in its call or file, or its id."""
        call_of = {agent: call for call, agent in self._agent_of.items()}
        used: Counter[str] = Counter()
        self._names: dict[str, str] = {}
        for entry in self._entries:
            if entry.agent in self._names:
                continue
            name = entry.named or (MAIN if not entry.agent else "")
            start = self._calls.get(call_of.get(entry.agent, ""))
            if not name and start:
                name = _type(start[0])
            name = name or types.get(f"agent-{entry.agent}", "") or f"agent-{entry.agent}"
            self._names[entry.agent] = _numbered(name, used)
        self._silent: dict[str, str] = {}  # call to a subagent of which the log has no lines
        for id_, (call, _) in self._calls.items():
            if self._agent_of.get(id_) not in self._names:
                self._silent[id_] = _numbered(_type(call) or "agent", used)

    def _target(self, call: str) -> str:
        return self._silent.get(call) or self._names[self._agent_of[call]]

    def fields(self) -> list[EventFields]:
        """Returns the fields of all events, in order."""
        usage: dict[str, Facts] = {}  # the last line of a model call has its whole usage
        for entry in self._entries:
            if entry.message:
                usage[entry.message] = {**usage.get(entry.message, {}), **entry.facts}
        fields: list[EventFields] = []
        called: dict[str, str] = {}
        last_text: dict[str, str] = {}
        for entry in self._entries:
            assert entry.parts is not None
            name, parts, facts = self._names[entry.agent], entry.parts, entry.facts
            if entry.message:
                own = usage.pop(entry.message, None)
                kept = {key: facts[key] for key in ("seconds", "location") if key in facts}
                facts = {**(own or {}), **kept}  # type: ignore[typeddict-item]
            handed = [r for r in parts.results if r.call_id in self._calls]
            message = LoggedMessage(
                entry.role, name if entry.role == "assistant" else "", parts.text, parts.calls,
                results=tuple(r for r in parts.results if r not in handed),
                thinking=parts.thinking, facts=facts,
            )  # fmt: skip
            if not (handed and not message.text and not message.results):
                if entry.role == "user" and entry.agent and parts.text and not parts.results:
                    fields += self._order(entry, message)
                else:
                    fields += self._turned(fields_of([message], called))
            if entry.role == "assistant" and parts.text:
                last_text[name] = parts.text
            fields += [self._back(r, entry, last_text) for r in handed]
        return fields

    def _turned(self, fields: list[EventFields]) -> list[EventFields]:
        """Returns the fields; calls of subagents become handoffs."""
        for each in fields:
            if each["kind"] == "action" and (known := self._calls.get(each.get("call", ""))):
                each["kind"], each["text"] = "handoff", _prompt(known[0])
                each["to"] = (self._target(known[0].id),)
        return fields

    def _order(self, entry: Entry, message: LoggedMessage) -> list[EventFields]:
        """Returns what a subagent gets to read; the handoff already has its first prompt."""
        call = next((c for c, a in self._agent_of.items() if a == entry.agent), "")
        if call in self._calls:
            start, caller = self._calls[call]
            if message.text.strip() == _prompt(start).strip():
                return []
            name = self._names.get(caller, MAIN)
        else:
            name = self.main
        message.name = name
        return [{**each, "to": (self._names[entry.agent],)} for each in fields_of([message])]

    def _back(self, result: ToolResult, entry: Entry, last: Mapping[str, str]) -> EventFields:
        """Returns the event of a handoff's result."""
        call, caller = self._calls[result.call_id]
        about, target = entry.result, self._target(call.id)
        each: EventFields = {"agent": target, "kind": "message", "text": result.text,
                             "to": (self._names.get(caller, MAIN),), "tool": call.name,
                             "call": call.id, "seconds": entry.time}  # fmt: skip
        if result.error:
            each["error"] = result.error
        if (ms := finite(about.get("totalDurationMs"))) is not None:
            each["duration"] = ms / 1000
        if about.get("isAsync") is True or about.get("status") == "async_launched":
            return {**each, "agent": call.name, "to": ()}  # it goes on in the background
        if call.id in self._silent:
            usage = usage_of(about.get("usage"))
            each["tokens"], each["tokens_in"] = usage.tokens, usage.tokens_in
            return each
        each["kind"] = "handoff"
        # the result repeats the answer, which the log has as the subagent's own message
        if last.get(target) and result.text.startswith(last[target]):
            each["text"] = ""
        return each


def _numbered(name: str, used: Counter[str]) -> str:
    used[name] += 1
    return name if used[name] == 1 else f"{name}-{used[name]}"


def _type(call: ToolCall) -> str:
    """Returns the type of the subagent that a call starts."""
    given = _arguments(call)
    return next((given[k] for k in ("name", "subagent_type", "description")
                 if isinstance(given.get(k), str) and given[k]), "")  # fmt: skip


def _prompt(call: ToolCall) -> str:
    prompt = _arguments(call).get("prompt")
    return prompt if isinstance(prompt, str) else call.arguments


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        given = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}
