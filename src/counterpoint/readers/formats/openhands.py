"""OpenHands: the events of a conversation, one value each, in a list, or in the `history` of a run.

An event is an action or an observation. An agent that delegates hands over to another one, which
acts until the observation of the same kind. Events of the newer SDK have a `kind` such as
`ActionEvent` instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from counterpoint.marks import IMAGE, mark_of
from counterpoint.readers.build import (
    EventFields,
    Line,
    SessionFormat,
    episode,
    finite,
    list_of,
    object_of,
    seconds_of,
)
from counterpoint.readers.content import as_text, error_of, text_of, thought_of
from counterpoint.readers.messages import Facts, facts_of, outsiders
from counterpoint.records import Episode, Json

SOURCES = ("agent", "user", "environment")
RUNNING = -1
"""The exit code of a command that has not ended when its output is taken, such as a server."""
_NOISE = ("thought", "translated_ipython_code", "impl_source", "confirmation_state", "hidden",
          "blocking", "is_input")  # fmt: skip
_QUIET = ("null", "change_agent_state", "agent_state_changed", "recall", "condensation",
          "condensation_request", "system")  # fmt: skip
"""Actions of the program, not of an agent."""


def is_event(value: Any) -> bool:
    """Returns whether a value is an event."""
    return (
        isinstance(value, dict)
        and value.get("source") in SOURCES
        and ("action" in value or "observation" in value or _is_new(value))
    )


def _is_new(value: Mapping[str, Any]) -> bool:
    kind = value.get("kind")
    return isinstance(kind, str) and kind.endswith("Event")


def _is_flat(value: Any) -> bool:
    """Returns whether a value is an event of 2024, which has no source, and arguments beside it."""
    if not isinstance(value, dict) or "source" in value:
        return False
    is_action = bool(value.keys() & {"thought", "wait_for_response", "action_risk"})
    return (isinstance(value.get("action"), str) and is_action) or (
        isinstance(value.get("observation"), str) and "content" in value
    )


def _nested(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns an event of 2024 as later versions write it; a person's message awaits no reply."""
    if not _is_flat(event):
        return event
    rest = {key: each for key, each in event.items()
            if key not in ("action", "observation", "content")}  # fmt: skip
    if "observation" in event:
        return {"source": "agent", "observation": event["observation"],
                "content": event["content"], "extras": rest}  # fmt: skip
    content = {"content": event["content"]} if "content" in event else {}
    is_person = event["action"] == "message" and not event.get("wait_for_response")
    return {"source": "user" if is_person else "agent", "action": event["action"],
            "args": {**content, **rest}}  # fmt: skip


def _unpaired(history: list[Any]) -> list[Any]:
    """Returns a history as a list of events; early versions have pairs of action and observation.

    The observation of nothing, which fills a pair, is left out.
    """
    if not history or not all(isinstance(each, list) and len(each) == 2 for each in history):
        return history
    return [
        each
        for pair in history
        for each in pair
        if not (
            isinstance(each, dict) and "source" not in each and each.get("observation") == "null"
        )
    ]


def is_openhands(value: Any) -> bool:
    """Returns whether a value is an event, a list of events, or a run with a history of events."""
    if isinstance(value, dict) and isinstance(value.get("history"), list):
        value = _unpaired(value["history"])
        if value and all(map(_is_flat, value[:3])):
            return True
    if isinstance(value, list):
        first = value[:3]
        return first != [] and all(map(is_event, first))
    return is_event(value)


def read(lines: Sequence[Line], name: str) -> Iterator[Episode]:
    """Yields an episode for each list of events, and one for all events that stand alone."""
    alone: list[tuple[Any, str]] = []
    for line in lines:
        value = line.value
        if is_event(value):
            alone.append((value, line.where))
            continue
        about = value if isinstance(value, dict) else {}
        events = _unpaired(list_of(about.get("history", value), f"{line.where}, history"))
        pairs = [(each, f"{line.where}, event {i}") for i, each in enumerate(events)]
        own = about.get("instance_id", about.get("id"))
        files = len({each.path for each in lines}) > 1
        base = line.path.stem if files else name
        base = f"{base}-{line.number}" if line.number else base
        yield _Talk(pairs).episode(as_text(own) or base, about)
    if alone:
        if all(isinstance(v.get("id"), int) for v, _ in alone):
            alone.sort(key=lambda pair: pair[0]["id"])
        yield _Talk(alone).episode(name, {})


class _Talk:
    """The events of one conversation."""

    def __init__(self, events: Sequence[tuple[Any, str]]) -> None:
        self._fields: list[EventFields] = []
        self._acting = ["agent"]
        self._members: list[str] = []
        self._responses: set[str] = set()
        self._tools: dict[str, str] = {}
        self._quiet: Counter[str] = Counter()
        self._cost = 0.0
        self._ending = ""
        for value, where in events:
            event = _nested(object_of(value, where))
            if event.get("action") == "system":
                args = event.get("args")
                named = args.get("agent_class") if isinstance(args, dict) else None
                if isinstance(named, str) and named and not self._members:
                    self._acting = [named]
            if _is_new(event):
                self._new(event, where)
            elif "observation" in event and event["observation"] is not None:
                self._observation(event, where)
            else:
                self._action(event, where)

    def episode(self, name: str, about: Mapping[str, Any]) -> Episode:
        """Returns the episode; `about` is the run that holds the events."""
        members = list(
            dict.fromkeys(
                [
                    *self._members,
                    *(n for f in self._fields if f["kind"] == "handoff" for n in f.get("to", ())),
                ]
            )
        )
        meta: dict[str, Json] = {}  # fmt: skip
        metrics = about.get("metrics")
        cost = finite(metrics.get("accumulated_cost")) if isinstance(metrics, dict) else None
        if cost is not None or self._cost:
            meta["total_cost"] = self._cost if cost is None else cost
        if self._quiet:
            meta["other_events"] = dict(self._quiet)
        tested = about.get("test_result")
        tested = tested if isinstance(tested, dict) else {}
        success = tested.get("resolved", tested.get("result"))
        first = (f.get("text", "") for f in self._fields if f["agent"] == "user")
        return episode(
            name, self._fields, "openhands", outsiders(self._fields, members), members=members,
            task=as_text(about.get("instruction")) or next(first, ""), meta=meta,
            success=float(success) if isinstance(success, bool) else None,
            ending=error_of(about.get("error")) or self._ending,
        )  # fmt: skip

    def _say(self, each: EventFields, facts: Facts | None = None) -> None:
        fields: EventFields = {**each, **(facts or {})}
        self._fields.append(fields)
        if each["agent"] == self._acting[-1] and each["agent"] not in self._members:
            self._members.append(each["agent"])

    def _facts(self, event: Mapping[str, Any]) -> Facts:
        """Returns time and usage; the usage of a model's response counts once."""
        facts: Facts = {}
        if (seconds := seconds_of(event.get("timestamp"))) is not None:
            facts["seconds"] = seconds
        about = event.get("tool_call_metadata")
        response = about.get("model_response") if isinstance(about, dict) else None
        if isinstance(response, dict):
            key = as_text(response.get("id"))
            if key not in self._responses:
                self._responses.add(key)
                choices = response.get("choices")
                first = choices[0] if isinstance(choices, list) and choices else None
                stop = first.get("finish_reason") if isinstance(first, dict) else None
                facts = {**facts_of({"usage": response.get("usage"), "finish_reason": stop,
                                     "model": response.get("model")}), **facts}  # fmt: skip
        spent = event.get("llm_metrics")
        if isinstance(spent, dict) and (cost := finite(spent.get("accumulated_cost"))) is not None:
            if cost > self._cost:
                facts["cost"] = cost - self._cost
            self._cost = max(self._cost, cost)
        return facts

    def _action(self, event: Mapping[str, Any], where: str) -> None:
        args = event.get("args")
        args = args if isinstance(args, dict) else {}
        kind, source = as_text(event.get("action")), event.get("source")
        who = self._acting[-1] if source == "agent" else str(source)
        if kind in _QUIET:
            if kind == "system":
                self._say({"agent": "system", "kind": "message",
                           "text": as_text(args.get("content"))})  # fmt: skip
            else:
                self._quiet[kind] += 1
            return
        facts = self._facts(event)
        thought = as_text(args.get("thought"))
        if kind == "message":
            text = as_text(args.get("content")) or as_text(event.get("message"))
            text = _with_pictures(text, args)
            self._say({"agent": who, "kind": "message", "text": text}, facts)
            return
        if kind in ("finish", "reject"):
            text = as_text(args.get("final_thought")) or thought or as_text(event.get("message"))
            self._say({"agent": who, "kind": "message", "text": text}, facts)
            self._ending = kind
            return
        about = event.get("tool_call_metadata")
        about = about if isinstance(about, dict) else {}
        call = as_text(about.get("tool_call_id")) or f"event {as_text(event.get('id'))}"
        tool = as_text(about.get("function_name")) or kind or "tool"
        self._tools[call] = tool
        if thought and kind != "think":
            self._say({"agent": who, "kind": "message", "text": thought}, facts)
            facts = {"seconds": facts["seconds"]} if "seconds" in facts else {}
        if kind == "delegate":
            target = as_text(args.get("agent")) or "delegate"
            inputs = args.get("inputs")
            task = inputs.get("task") if isinstance(inputs, dict) else None
            self._say({"agent": who, "kind": "handoff", "to": (target,), "tool": tool,
                       "call": call, "text": as_text(task or inputs)}, facts)  # fmt: skip
            self._acting.append(target)
            return
        kept = {k: v for k, v in args.items() if k not in _NOISE and v not in (None, "", False)}
        text = thought if kind == "think" else _arguments(about, call) or as_text(kept)
        self._say({"agent": who, "kind": "action", "text": text, "tool": tool, "call": call}, facts)

    def _observation(self, event: Mapping[str, Any], where: str) -> None:
        kind, extras = as_text(event.get("observation")), event.get("extras")
        extras = extras if isinstance(extras, dict) else {}
        text = _with_pictures(text_of(event.get("content"), f"{where}, content"), extras)
        facts = self._facts({"timestamp": event.get("timestamp")})
        if kind == "agent_state_changed":
            state = as_text(extras.get("agent_state"))
            reason = as_text(extras.get("reason"))
            if state not in ("", "running", "loading", "init"):
                self._ending = f"{state}: {reason}" if reason else state
        if kind in _QUIET:
            self._quiet[kind] += 1
            return
        about = event.get("tool_call_metadata")
        about = about if isinstance(about, dict) else {}
        call = as_text(about.get("tool_call_id")) or f"event {as_text(event.get('cause'))}"
        tool = self._tools.get(call) or as_text(about.get("function_name")) or kind or "tool"
        if kind == "delegate" and len(self._acting) > 1:
            who = self._acting.pop()
            outputs = extras.get("outputs")
            self._say({"agent": who, "kind": "handoff", "to": (self._acting[-1],), "tool": tool,
                       "call": call, "text": text or as_text(outputs)}, facts)  # fmt: skip
            return
        shell = extras.get("metadata")
        code = finite(shell.get("exit_code")) if isinstance(shell, dict) else None
        code = finite(extras.get("exit_code")) if code is None else code
        if kind == "error":
            facts["error"] = text or "error"
        elif code and code != RUNNING:
            facts["error"] = f"exit code {code:g}"
        self._say({"agent": tool, "kind": "message", "text": text, "tool": tool, "call": call},
                  facts)  # fmt: skip

    def _new(self, event: Mapping[str, Any], where: str) -> None:
        """Adds an event of the newer SDK."""
        kind, source = str(event["kind"]), event.get("source")
        who = self._acting[-1] if source == "agent" else str(source)
        facts = self._facts(event)
        call, tool = as_text(event.get("tool_call_id")), as_text(event.get("tool_name")) or "tool"
        if kind == "MessageEvent":
            inner = event.get("llm_message")
            text = text_of(inner.get("content") if isinstance(inner, dict) else None, where)
            self._say({"agent": who, "kind": "message", "text": text}, facts)
        elif kind == "SystemPromptEvent":
            text = text_of(event.get("system_prompt"), where)
            self._say({"agent": "system", "kind": "message", "text": text}, facts)
        elif kind == "ActionEvent":
            blocks = event.get("thinking_blocks")
            thoughts = (thought_of(b, where) for b in blocks if isinstance(b, dict)) if isinstance(
                blocks, list) else ()  # fmt: skip
            thinking = as_text(event.get("reasoning_content")) or "\n".join(filter(None, thoughts))
            if thinking:
                facts["meta"] = {"thinking": thinking}
            if text := text_of(event.get("thought"), f"{where}, thought"):
                self._say({"agent": who, "kind": "message", "text": text}, facts)
                facts = {"seconds": facts["seconds"]} if "seconds" in facts else {}
            given = event.get("action")
            if tool == "finish":
                message = given.get("message") if isinstance(given, dict) else given
                self._say({"agent": who, "kind": "message", "text": as_text(message)}, facts)
                self._ending = tool
                return
            if isinstance(given, dict):
                given = {k: v for k, v in given.items() if k != "kind"}
            self._tools[call] = tool
            self._say({"agent": who, "kind": "action", "text": as_text(given), "tool": tool,
                       "call": call}, facts)  # fmt: skip
        elif kind in ("ObservationEvent", "AgentErrorEvent", "UserRejectObservation"):
            seen = event.get("observation")
            seen = seen if isinstance(seen, dict) else {"content": seen}
            content = seen.get("content", seen.get("output"))
            text = text_of(content, where) if isinstance(content, list) else as_text(content)
            error = error_of(event.get("error"))
            if seen.get("is_error") is True or error:
                facts["error"] = error or text or "error"
            if (code := finite(seen.get("exit_code"))) and code != RUNNING:
                facts.setdefault("error", f"exit code {code:g}")
            if tool == "finish":
                return
            self._say({"agent": tool, "kind": "message", "text": text or error, "tool": tool,
                       "call": call}, facts)  # fmt: skip
        else:
            if kind == "ConversationErrorEvent":
                self._ending = as_text(event.get("detail")) or kind
            self._quiet[kind] += 1


def _with_pictures(text: str, holder: Mapping[str, Any]) -> str:
    """Returns the text of an event with the marks of the pictures beside it."""
    urls = holder.get("image_urls")
    pictures = [*(urls if isinstance(urls, list) else []), holder.get("screenshot")]
    return "\n".join(filter(None, (text, *(mark_of({"image": p}, IMAGE) for p in pictures if p))))


def _arguments(about: Mapping[str, Any], call: str) -> str:
    """Returns the arguments of a call in the model's response; empty if they are not there."""
    response = about.get("model_response")
    choices = response.get("choices") if isinstance(response, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    for each in calls if isinstance(calls, list) else ():
        if isinstance(each, dict) and each.get("id") == call:
            function = each.get("function")
            if isinstance(function, dict):
                return as_text(function.get("arguments"))
    return ""


FORMAT = SessionFormat(is_openhands, read, "folder")
