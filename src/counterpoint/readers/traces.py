"""Traces to episodes: who spoke, what was called, and nothing twice.

Start with `episodes_of`. A model's span gives the member's texts and calls, a tool's span its
result, an agent's span its answer, unless that repeats what was written inside. A call that both
the model and the tool report is one event, and so is a handoff.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from counterpoint.readers.build import EventFields, LeftOut, episode
from counterpoint.readers.content import ToolCall
from counterpoint.readers.replies import (
    Reply,
    ToolResult,
    decoded,
    json_text,
    question_of,
    reply_of,
    result_text,
    results_of,
)
from counterpoint.readers.scores import Score, Verdicts, verdicts
from counterpoint.readers.spans import Node, Span, Step, conversations
from counterpoint.records import Episode, Json

NAMELESS = "assistant"
"""The member of a trace that names none."""
MOST_PENDING = 64
"""A result is matched with one of so many open calls of its tool."""
HANDOFFS = ("transfer_back_to_", "transfer_to_", "handoff_to_", "delegate_to_")
"""Beginnings of the names of tools that frameworks make for handoffs."""
MISSING: Mapping[str, Json] = {"content": "not captured"}
"""The meta of an event or an episode whose texts were not logged."""


def no_agents(name: str, calls: int) -> str:
    """Returns the doubt about calls of models that no agent's span holds."""
    return (
        f"{calls} calls of models are in no agent's span, so they count as one member, '{name}', "
        "and findings about single members are not reliable. Name the agent on the spans "
        "(gen_ai.agent.name, or a span of the kind AGENT). If there is only one member, say so "
        f'with a mapping: [rename] {json.dumps(name)} = "solver".'
    )


def parts_as_members(parts: str, names: Sequence[str]) -> str:
    """Returns the doubt about a trace whose members are services, or steps of a program."""
    listed = ", ".join(f"'{name}'" for name in names)
    return (
        f"No span names an agent, so {parts} count as members: {listed}. Correct that with a "
        f'mapping: [rename] {json.dumps(names[0])} = "planner", or tools = '
        f"[{json.dumps(names[0])}] for one that is not counted as a team member."
    )


@dataclass(frozen=True)
class About:
    """What a log says about a whole conversation."""

    name: str = ""
    run: str = ""
    task: str = ""
    meta: Mapping[str, Json] | None = None
    ending: str = ""


def episodes_of(
    spans: Sequence[Span],
    kind: str,
    about: Mapping[str, About] | None = None,
    scores: Sequence[Score] = (),
) -> Iterator[Episode | LeftOut]:
    """Yields an episode for each conversation in which an agent, a model or a tool took part.

    Args:
        spans: all spans of the log, in any order.
        kind: the name of the log's format.
        about: trace, or conversation, to what the log says about it.
        scores: the scores of traces, spans and sessions.
    """
    left: dict[str, list[Score]] = {}
    for score in {each.id or i: each for i, each in enumerate(scores)}.values():
        left.setdefault(score.place, []).append(score)
    matched: set[str] = set()
    silent = 0
    for name, steps in conversations(spans).items():
        talk = _Talk(steps)
        if not talk.has_members:
            silent += 1
            continue
        facts = (about or {}).get(name) or (about or {}).get(steps[0][2].span.trace) or About()
        inside = [node.span for *_, node in steps]
        places = dict.fromkeys([name, *(x for span in inside for x in (span.trace, span.id,
                                                                       span.run))])  # fmt: skip
        own = [place for place in places if place in left]
        matched.update(own)
        given = verdicts(score for place in own for score in left[place])
        yield talk.episode(name, kind, facts, given)
    if silent:
        yield LeftOut("traces in which no span is of an agent, a model or a tool", silent)
    if lost := sum(len(each) for place, each in left.items() if place not in matched):
        yield LeftOut("scores whose trace is in no episode", lost)


@dataclass
class _Open:
    """A call whose result has not come yet."""

    call: str
    tool: str
    member: str
    arguments: str
    event: EventFields | None = None
    """The event of the call."""
    is_done: bool = False


class _Talk:
    """The events of one conversation."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self.events: list[EventFields] = []
        self.silent: dict[str, None] = {}
        """Members that are declared."""
        self._nameless, self._doubts = _names_without_agents(steps)
        self._begun: dict[Node, int] = {}
        """A span to the number of members' events when it began."""
        self._count = 0
        self._own: dict[str, tuple[int, EventFields]] = {}
        """Member to its last event, and to the number of events of members up to it."""
        self._texts: dict[tuple[str, str], int] = {}
        """Member (or "" for any) and text, to the number of events of members up to it."""
        self._open: dict[str, deque[_Open]] = {}
        self._by_id: dict[str, _Open] = {}
        self._calls: dict[Node, _Open] = {}
        self._covered: set[Node] = set()
        """Models' spans whose output the span around has, too."""
        self._speaker = self._question = self._task = self._ending = ""
        self._needs_question = True
        self._captured = self._missing = False
        for _, is_end, node in steps:
            if is_end:
                self._end(node)
            else:
                self._begin(node)
        if not self._own:
            self._take_steps_as_members()

    @property
    def has_members(self) -> bool:
        """Returns whether anybody took part."""
        return bool(self._own or self.silent)

    def episode(self, name: str, kind: str, about: About, given: Verdicts) -> Episode:
        """Returns the episode of the events."""
        members = dict.fromkeys([*self._own, *self.silent])
        spellings = {_letters(member): member for member in members}
        outside = {"user", "tool"}
        for event in self.events:
            if event["kind"] == "handoff":
                event["to"] = tuple(spellings.get(_letters(to), to) for to in event["to"])
            elif event["agent"] not in self._own and event["agent"] != "user":
                if event["agent"] in members:  # an agent that is called as a tool
                    event["agent"] = "tool"
                outside.add(event["agent"])
        meta = {**(about.meta or {}), **(MISSING if self._missing and not self._captured else {})}
        finishes = [event["finish"] for event in self.events if event.get("finish")]
        return episode(
            name, self.events, kind, sorted(outside), members=list(members),
            run=about.run or next((n.span.run for *_, n in self._steps if n.span.run), ""),
            task=about.task or self._task, success=given.success, scores=given.numbers,
            labels=given.labels, meta=meta, doubts=self._doubts,
            ending=about.ending or self._ending or (finishes[-1] if finishes else ""),
        )  # fmt: skip

    def _member(self, node: Node) -> str:
        if node.member:
            return node.member
        if node.kind != "model" and self._speaker:
            return self._speaker
        return self._nameless.get(node) or self._speaker or NAMELESS

    def _begin(self, node: Node) -> None:
        span = node.span
        self._begun[node] = self._count
        self._ask(node)
        self.silent.update(dict.fromkeys(span.declared))
        if node.kind == "declared":
            self.silent[node.member] = None
        elif node.kind == "handoff":
            self._hand_off(self._member(node), span.to, span)
        elif node.kind == "tool":
            self._use(node)
        elif node.kind == "model":
            self._generate(node)

    def _end(self, node: Node) -> None:
        if node.kind == "tool":
            self._return(node)
        elif node.kind == "guardrail":
            self._result_of(node, "")
        elif node.kind == "agent" or (node.kind == "model" and node.models > 1):
            self._answer(node)
        if node.parent is None and node.span.error and node.kind != "tool":
            self._ending = node.span.error

    def _ask(self, node: Node) -> None:
        """Adds the question of a person: what the topmost span, or else the first model, read."""
        is_top = node.parent is None or not node.parent.binds
        self._needs_question |= node.parent is None
        if not self._needs_question or not (is_top or node.kind == "model"):
            return
        is_work = node.kind in ("tool", "handoff", "guardrail")
        text = "" if is_work else question_of(node.span.input)
        self._needs_question = not (text or node.kind == "model")
        if text and text != self._question:
            self._question = text
            self._task = self._task or text
            self.events.append({"agent": "user", "kind": "message", "text": text,
                                "seconds": node.span.start})  # fmt: skip

    def _generate(self, node: Node) -> None:
        """Adds what a model wrote. Of two spans of one call, the outer one tells."""
        span, around = node.span, node.around
        if around and around.models == 1 and (around in self._covered or _has_output(around)):
            self._covered.add(node)
            return
        if node.models > 1 or (node.models == 1 and not _has_output(node)):
            return
        if node.inner:
            span = _counted(span, node.inner.span, span)
        elif around and around.models == 1:
            span = _counted(span, span, around.span)
        member = self._member(node)
        self._results(results_of(span.input), member)
        self._speak(member, span, reply_of(span.output), span.start)

    def _speak(self, member: str, span: Span, reply: Reply, start: float | None) -> None:
        """Adds texts and calls. The first event has what they used together."""
        self._speaker = member
        self._captured |= span.output is not None
        self._missing |= span.output is None
        first = len(self.events)
        if reply.text or not reply.calls:
            self._add({"agent": member, "kind": "message", "text": reply.text, "seconds": start})
        for call in reply.calls:
            if target := _target(call):
                self._hand_off(member, target, replace(span, tool=call.name, call=call.id))
            else:
                self._call(member, call, start)
        if len(self.events) == first:
            return
        event = self.events[first]
        meta: dict[str, Json] = {**span.meta, **(MISSING if span.output is None else {})}
        if reply.thinking:
            meta["thinking"] = "\n".join(reply.thinking)
        event["meta"] = meta
        event["seconds"], event["duration"] = start, _between(start, span.end)
        event["tokens"] = reply.tokens if span.tokens is None else span.tokens
        event["tokens_in"] = reply.tokens_in if span.tokens_in is None else span.tokens_in
        event["cost"], event["error"] = span.cost, span.error
        event["finish"] = span.finish or reply.finish

    def _add(self, event: EventFields) -> None:
        """Adds an event of a member."""
        self.events.append(event)
        self._count += 1
        self._own[event["agent"]] = self._count, event
        if text := _spelled(event.get("text", "")):
            self._texts[event["agent"], text] = self._texts["", text] = self._count

    def _call(self, member: str, call: ToolCall, start: float | None) -> _Open:
        """Adds a call of a tool."""
        self._add({"agent": member, "kind": "action", "text": call.arguments, "tool": call.name,
                   "call": call.id, "seconds": start})  # fmt: skip
        arguments = _spelled(call.arguments)
        return self._opened(_Open(call.id, call.name, member, arguments, self.events[-1]))

    def _opened(self, opened: _Open) -> _Open:
        self._open.setdefault(opened.tool, deque()).append(opened)
        if opened.call:
            self._by_id[opened.call] = opened
        return opened

    def _hand_off(self, member: str, to: str, span: Span) -> None:
        """Adds a handoff, unless the model's call of it was added before."""
        name = f"-> {_letters(to)}"
        opened = self._match(name, "", member)
        if opened and span.kind != "model":
            opened.is_done = True
            return
        self._add({"agent": member, "kind": "handoff", "to": (to,), "tool": span.tool,
                   "call": span.call, "error": span.error, "seconds": span.start})  # fmt: skip
        if span.kind == "model":
            opened = self._opened(_Open(span.call, name, member, ""))
            self._open.setdefault(span.tool, deque()).append(opened)

    def _match(self, tool: str, call: str, member: str, arguments: str = "") -> _Open | None:
        """Returns the open call that a result belongs to: by its id, or the first of its tool."""
        known = self._by_id.get(call) if call else None
        if known:
            return None if known.is_done else known
        waiting = self._open.get(tool, deque())
        while waiting and waiting[0].is_done:
            waiting.popleft()
        fitting = [each for each in islice(waiting, MOST_PENDING)
                   if not each.is_done and not (each.call and call)]  # fmt: skip
        own = [each for each in fitting if each.member == member] or fitting
        same = [each for each in own if arguments and each.arguments == arguments] or own
        return same[0] if same else None

    def _use(self, node: Node) -> None:
        """Adds the call of a tool, unless its model reported it."""
        span, member = node.span, self._member(node)
        call = ToolCall(span.call, span.tool, json_text(span.input))
        opened = self._match(span.tool, span.call, member, _spelled(call.arguments))
        if opened is None and (target := _target(call)):
            self._hand_off(member, target, span)
            return
        if opened is None:
            opened = self._call(member, call, span.start)
            self._captured |= span.input is not None
            self._missing |= span.input is None
            self.events[-1]["meta"] = MISSING if span.input is None else {}
        elif opened.event and opened.arguments in ("", "{}") and call.arguments:
            opened.event["text"] = call.arguments  # the model's span left them out
        opened.is_done = True
        self._calls[node] = opened

    def _return(self, node: Node) -> None:
        """Adds the result of a tool, unless it is the answer of an agent that was the tool."""
        span, opened = node.span, self._calls.get(node)
        if opened is None or opened.tool.startswith("-> "):
            return
        text = _spelled(result_text(span.output))
        if not (node.has_agents and not span.error and self._is_echo("", text, node)):
            self._result_of(node, opened.call or span.call)

    def _result_of(self, node: Node, call: str) -> None:
        """Adds what a tool or a guardrail returned."""
        span = node.span
        meta = {**span.meta, **(MISSING if span.output is None else {})}
        self.events.append({
            "agent": span.tool, "kind": "message", "text": result_text(span.output), "meta": meta,
            "tool": span.tool, "call": call, "error": span.error, "seconds": span.start,
            "duration": _between(span.start, span.end), "cost": span.cost, "tokens": span.tokens,
            "tokens_in": span.tokens_in,
        })  # fmt: skip

    def _results(self, results: Sequence[ToolResult], member: str) -> None:
        """Adds results that no tool's span has, but the input of the next model."""
        for result in results:
            opened = self._match(result.tool, result.call, member)
            if opened and not opened.is_done:
                self._result(opened, result)

    def _result(self, opened: _Open, result: ToolResult) -> None:
        opened.is_done = True
        if not opened.tool.startswith("-> "):
            self.events.append({"agent": opened.tool, "kind": "message", "text": result.text,
                                "tool": opened.tool, "call": opened.call})  # fmt: skip

    def _is_echo(self, member: str, text: str, node: Node) -> bool:
        """Returns whether a member wrote a text inside a span."""
        return self._texts.get((member, text), 0) > self._begun[node]

    def _answer(self, node: Node) -> None:
        """Adds the answer of an agent, if it is new; what it alone counts is kept in any case."""
        span, member, begun = node.span, self._member(node), self._begun[node]
        reply = reply_of(span.output)
        if self._count == begun:
            self._speak(member, span, reply, span.start)
            return
        place, last = self._own.get(member, (0, {"agent": member, "kind": "message"}))
        is_own, text = place > begun, _spelled(reply.text)
        is_new = text != "" and not self._is_echo(member if is_own else "", text, node)
        if is_own and f" {text} " in f" {_spelled(last.get('text', ''))} ":
            is_new = False
        if node.has_usage:
            span = replace(span, tokens=None, tokens_in=None, cost=None)
        if node.has_error:
            span = replace(span, error="")
        if is_new or (not is_own and (span.has_usage or span.error)):
            reply.calls = []  # they were added inside
            reply.tokens = reply.tokens_in = None
            self._speak(member, span, reply, node.inside or span.start)
        elif is_own:
            last["error"] = last.get("error") or span.error
            for name in ("tokens", "tokens_in", "cost"):
                if last.get(name) is None:
                    last[name] = getattr(span, name)

    def _take_steps_as_members(self) -> None:
        """Takes the innermost steps of a program for members, where nothing else is logged."""
        names: dict[str, None] = {}
        for _, is_end, node in self._steps:
            if is_end and node.kind == "chain" and node.is_leaf and node.span.output is not None:
                self._speak(node.span.name, node.span, reply_of(node.span.output), node.span.start)
                names[node.span.name] = None
        if names:
            self._doubts = (parts_as_members("steps of the program", list(names)),)


def _names_without_agents(steps: Sequence[Step]) -> tuple[dict[Node, str], tuple[str, ...]]:
    """Returns the members of models' spans that no agent holds, and what is uncertain about it."""
    nodes = [node for _, is_end, node in steps
             if not is_end and node.kind == "model" and not node.member]  # fmt: skip
    agents = {node.member for *_, node in steps if node.kind == "agent"}
    if len(agents) == 1 and all(node.is_orphan for node in nodes):
        return dict.fromkeys(nodes, *agents), ()  # the spans between them are not in the log
    outer = [node for node in nodes if node.around is None]
    services = list(dict.fromkeys(node.span.owner for node in nodes if node.span.owner))
    if len(services) > 1:
        names = {node: node.span.owner or node.holder or NAMELESS for node in nodes}
        return names, (parts_as_members("services", services),)
    holders = list(dict.fromkeys(node.holder for node in nodes))
    if len(holders) > 1 and all(holders):
        return {node: node.holder for node in nodes}, (
            parts_as_members("the steps around calls of models", holders),
        )
    name = services[0] if services else NAMELESS
    return dict.fromkeys(nodes, name), (no_agents(name, len(outer)),) if len(outer) > 1 else ()


def _has_output(node: Node) -> bool:
    return node.span.output is not None


def _counted(span: Span, inner: Span, outer: Span) -> Span:
    """Returns a model's span with the counts of the inner span of the call, or of the outer one."""
    return replace(
        span,
        tokens=outer.tokens if inner.tokens is None else inner.tokens,
        tokens_in=outer.tokens_in if inner.tokens_in is None else inner.tokens_in,
        cost=outer.cost if inner.cost is None else inner.cost,
        error=outer.error or inner.error,
        finish=outer.finish or inner.finish,
    )


def _target(call: ToolCall) -> str:
    """Returns the member that a call of a handoff's tool goes to, or an empty text."""
    name = call.name.casefold()
    start = next((start for start in HANDOFFS if name.startswith(start)), "")
    if not start:
        return ""
    arguments: Any = decoded(call.arguments)
    if name == "transfer_to_agent":
        named = arguments.get("agent_name") if isinstance(arguments, dict) else None
        return named if isinstance(named, str) else ""
    return call.name[len(start) :]


def _letters(name: str) -> str:
    """Returns a name without what tools' names cannot have."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(end - start, 0.0)


def _spelled(text: str) -> str:
    """Returns a text in one spelling: without its spaces, or the order of its keys."""
    inner = decoded(text)
    if inner is not text:
        try:
            return json.dumps(inner, sort_keys=True)
        except (ValueError, RecursionError):
            return text
    return " ".join(text.split())
