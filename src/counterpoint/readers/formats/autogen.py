"""AutoGen AgentChat and AutoGen core: messages with a source and a type, and saved states.

A value is the list of messages, a task's result, the saved state of a team or an agent, or one
message (a line of a stream).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterpoint.errors import LogError
from counterpoint.marks import IMAGE, mark_of
from counterpoint.readers.build import (
    OUTSIDE,
    EventFields,
    Format,
    Line,
    SessionFormat,
    count,
    episode,
    list_of,
    object_of,
    seconds_of,
)
from counterpoint.readers.handoffs import handoff_target, matched, text_of
from counterpoint.readers.messages import messages_in
from counterpoint.records import Episode, Json

LEFT_OUT = {
    "ModelClientStreamingChunkEvent": "chunks of streams",
    "UserInputRequestedEvent": "requests for a person's input",
}
"""Types whose events are no turns, and how they are counted in the episode's meta."""
WRAPPERS = ("task_result", "team_result", "result")
"""Keys under which a program keeps the result of a task."""
ROUTING = ("SelectSpeakerEvent", "SelectorEvent")
CODE_TOOL = "code_executor"
DOUBTFUL = ("admin", "human_proxy", "customer", "client")
"""Sources, in lower case, that may be agents or people: they count, and the log has a doubt."""


def is_message(value: Any) -> bool:
    """Returns whether a value is one message of AutoGen's."""
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if kind == "FunctionExecutionResultMessage":
        return "content" in value
    if not isinstance(value.get("source"), str):
        return False
    return "content" in value or _is_typed(value)


def _is_typed(value: Any) -> bool:
    kind = value.get("type")
    return isinstance(kind, str) and kind.split("[")[0].endswith(("Event", "Message"))


def _messages(value: Any) -> list[Any]:
    """Returns the messages of a list, a result, or a saved state."""
    if not isinstance(value, dict):
        return messages_in(value)
    for key in WRAPPERS:
        if isinstance(value.get(key), dict):
            return _messages(value[key])
    if isinstance(context := value.get("llm_context"), dict):
        return messages_in(context)
    if isinstance(states := value.get("agent_states"), dict):
        return _thread(states)
    return messages_in(value)


def _thread(states: Mapping[str, Json]) -> list[Any]:
    """Returns the messages that the manager of a saved team keeps."""
    for state in states.values():
        if isinstance(state, dict) and isinstance(thread := state.get("message_thread"), list):
            return thread
    return []


def _roster(value: Any) -> list[str]:
    """Returns the members of a saved team, whose states hold the state of an agent."""
    states = value.get("agent_states") if isinstance(value, dict) else None
    if not isinstance(states, dict):
        return []
    return [
        key.split("/")[0]
        for key, state in states.items()
        if isinstance(state, dict) and "agent_state" in state
    ]


def is_autogen(value: Any) -> bool:
    """Returns whether a value has messages of AutoGen's, directly or in a result or a state."""
    try:
        first = [m for m in _messages(value)[:5] if not _is_system(m)][:3]
    except RecursionError:
        return False
    return first != [] and all(map(is_message, first))


def _is_system(message: Any) -> bool:
    return isinstance(message, dict) and message.get("type") == "SystemMessage"


def autogen(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode: texts and results of tools are messages, calls are actions."""
    values = _messages(value)
    items = [(item, f"{where}, message {i}") for i, item in enumerate(values)]
    result = (
        next((value[key] for key in WRAPPERS if isinstance(value.get(key), dict)), value)
        if isinstance(value, dict)
        else value
    )
    if isinstance(value, list) and is_result(values[-1]):  # a stream ends with its result
        items, result = items[:-1], values[-1]
    stop = result.get("stop_reason") if isinstance(result, dict) else None
    return [_episode(items, name, text_of(stop), _roster(value))]


def _lines(lines: Sequence[Line], name: str) -> list[Episode]:
    """Returns the episodes of the lines of streams; a task's result ends an episode."""
    episodes: list[Episode] = []
    items: list[tuple[Any, str]] = []
    for line in lines:
        if not is_result(line.value):
            items.append((line.value, line.where))
            continue
        if items:  # the result repeats what the stream has yielded
            stop = text_of(line.value.get("stop_reason"))
            episodes.append(_episode(items, f"{name}-{line.number}", stop, []))
            items = []
        else:
            episodes += autogen(line.value, line.where, f"{name}-{line.number}")
    return [*episodes, _episode(items, name, "", [])] if items else episodes


def is_result(value: Any) -> bool:
    """Returns whether a value is the result of a task, with which a stream ends."""
    return isinstance(value, dict) and "stop_reason" in value and is_autogen(value)


def _episode(
    items: Sequence[tuple[Any, str]], name: str, ending: str, roster: Sequence[str]
) -> Episode:
    log = _Log()
    for item, at in items:
        log.add(object_of(item, at), at)
    return log.episode(name, ending, roster)


@dataclass
class _Log:
    """Events of a conversation, collected message by message."""

    events: list[EventFields] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    tools: dict[str, str] = field(default_factory=dict)
    """Id of a call to its tool."""
    seen: set[tuple[str, str]] = field(default_factory=set)
    thoughts: dict[str, str] = field(default_factory=dict)
    """Source to the thought that its next message belongs to."""
    talks: dict[str, None] = field(default_factory=dict)
    """Sources that do more than to choose speakers or to stop the team, in order."""

    def add(self, message: Mapping[str, Json], at: str) -> None:
        """Adds what a message says."""
        kind = str(message.get("type") or "").split("[")[0]
        if kind in LEFT_OUT:
            self.left_out[LEFT_OUT[kind]] += 1
            return
        own = (text_of(message.get("id")), text_of(message.get("content")))
        if own[0] and own in self.seen:  # a team that was resumed
            self.left_out["messages that came again"] += 1
            return
        self.seen.add(own)
        if kind == "FunctionExecutionResultMessage" and "source" not in message:
            source = ""
        elif kind == "SystemMessage":
            source = "system"
        elif isinstance(found := message.get("source"), str):
            source = found
        else:
            raise LogError(f"{at}: got no source; wanted source, content and type")
        base: EventFields = {"agent": source, "kind": "message",
                             "seconds": seconds_of(message.get("created_at"))}  # fmt: skip
        content = message.get("content")
        if kind == "ThoughtEvent":
            self.thoughts[source] = text_of(content)
            return
        if kind in ROUTING or kind == "StopMessage":
            names = content if isinstance(content, list) else [content]
            to = tuple(str(each) for each in names if each) if kind in ROUTING else ()
            routing: EventFields = {**base, "kind": "handoff" if to else "message", "to": to,
                                    "text": "" if to else text_of(content)}  # fmt: skip
            events = [routing]
        elif kind == "MemoryQueryEvent":
            parts = content if isinstance(content, list) else [content]
            texts = [text_of(p.get("content") if isinstance(p, dict) else p) for p in parts]
            events = [{**base, "agent": "memory", "tool": "memory", "to": (source,),
                       "text": "\n".join(texts)}]  # fmt: skip
        elif kind == "CodeGenerationEvent":
            events = [{**base, "kind": "action", "tool": CODE_TOOL, "text": text_of(content)}]
        elif kind == "CodeExecutionEvent":
            events = [self._execution(base, object_of(message.get("result"), f"{at}, result"))]
        else:
            events = self._spoken(base, message, content, at)
        if source and (kind not in (*ROUTING, "StopMessage") or _usage(message)):
            self.talks.setdefault(source)
        self._finish(events, message, source)

    def _finish(self, events: list[EventFields], message: Mapping[str, Json], source: str) -> None:
        """Keeps the events; what counts once for the message stands in the first."""
        thought = text_of(message.get("thought")) or self.thoughts.pop(source, "")
        if events:
            first = events[0]
            if usage := _usage(message):
                first["tokens"] = count(usage.get("completion_tokens"))
                first["tokens_in"] = count(usage.get("prompt_tokens"))
            if thought:
                first["meta"] = {**first.get("meta", {}), "thinking": thought}
        self.events += events

    def _spoken(
        self, base: EventFields, message: Mapping[str, Json], content: object, at: str
    ) -> list[EventFields]:
        """Returns the events of a message with a text, an object, or parts."""
        if isinstance(target := message.get("target"), str) and target:
            base["to"] = (target,)
        if str(message.get("type")) == "HandoffMessage":
            base["kind"] = "handoff"
            if isinstance(context := message.get("context"), list) and context:
                self.left_out["messages that a handoff repeats"] += len(context)
        if isinstance(content, str):
            return [{**base, "text": content}]
        if isinstance(content, dict):
            return [{**base, "text": text_of(content)}]
        if content is None and "content" in message:
            return [base]
        parts = list_of(content, f"{at}, content")
        events: list[EventFields] = []
        texts: list[str] = []
        for part in parts:
            if isinstance(part, dict) and "name" in part and "arguments" in part:
                events.append(self._call(base, part))
            elif isinstance(part, dict) and ("call_id" in part or "is_error" in part):
                events.append(self._result(base, part))
            else:
                texts.append(_part(part))
        if texts or not parts:
            events.insert(0, {**base, "text": "\n".join(texts)})
        return events

    def _call(self, base: EventFields, part: Mapping[str, Json]) -> EventFields:
        tool, call = text_of(part["name"]), text_of(part.get("id"))
        self.tools[call] = tool
        return {**base, "kind": "action", "tool": tool, "call": call,
                "text": text_of(part["arguments"])}  # fmt: skip

    def _result(self, base: EventFields, part: Mapping[str, Json]) -> EventFields:
        call, text = text_of(part.get("call_id")), text_of(part.get("content"))
        tool = text_of(part.get("name")) or self.tools.get(call) or "tool"
        error = text if part.get("is_error") is True else ""
        return {"agent": tool, "kind": "message", "text": text, "tool": tool, "call": call,
                "error": error, "seconds": base.get("seconds")}  # fmt: skip

    def _execution(self, base: EventFields, result: Mapping[str, Json]) -> EventFields:
        code, text = result.get("exit_code"), text_of(result.get("output"))
        failed = code not in (0, None)
        return {**base, "agent": CODE_TOOL, "tool": CODE_TOOL, "text": text,
                "error": f"exit code {text_of(code)}" if failed else ""}  # fmt: skip

    def episode(self, name: str, ending: str, roster: Sequence[str]) -> Episode:
        """Returns the episode; those who only choose speakers or stop the team are not counted."""
        for source, thought in self.thoughts.items():  # nothing came after them
            self.events.append({"agent": source, "kind": "message", "meta": {"thinking": thought}})
            self.talks.setdefault(source)
        tools = {event["agent"] for event in self.events if event.get("tool")
                 and event["kind"] == "message"}  # fmt: skip
        speakers = [
            who
            for who in self.talks
            if (not OUTSIDE.match(who) or who.lower() in DOUBTFUL) and who not in tools
        ]
        members = list(dict.fromkeys([*speakers, *roster]))
        self._hand_over(members)
        outside = [e["agent"] for e in self.events if e["agent"] not in members]
        doubts = [
            f'"{who}" counts as a member. If it is a person, say so with a mapping: '
            f'tools = ["{who}"].'
            for who in speakers
            if who.lower() in DOUBTFUL
        ]
        left_out = dict(self.left_out)
        task = next((e.get("text", "") for e in self.events if e["agent"].lower() == "user"), "")
        return episode(name, self.events, "autogen", outside, members=members, task=task,
                       ending=ending, meta={"left_out": left_out} if left_out else None,
                       doubts=doubts)  # fmt: skip

    def _hand_over(self, members: Sequence[str]) -> None:
        """Makes calls of `transfer_to_NAME` handoffs, if the log has no messages for them."""
        if any(e["kind"] == "handoff" and e["agent"] in members for e in self.events):
            return
        for event in self.events:
            tool = event.get("tool", "")
            if event["kind"] == "action" and (target := handoff_target(tool, event.get("text"))):
                event["kind"], event["to"] = "handoff", (matched(target, members),)


def _usage(message: Mapping[str, Json]) -> Mapping[str, Json]:
    usage = message.get("models_usage")
    return usage if isinstance(usage, dict) else {}


def _part(part: object) -> str:
    """Returns a text part as it is, and the mark of an image."""
    if isinstance(part, dict) and "data" in part:
        return mark_of(part, IMAGE)
    return text_of(part)


FORMAT = Format(is_autogen, autogen)
LINES = SessionFormat(
    lambda value: (is_message(value) and _is_typed(value)) or is_result(value), _lines
)
