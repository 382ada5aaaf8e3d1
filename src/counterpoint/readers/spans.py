"""Spans of traces: a tree, and its steps in order.

Start with `Span`, which the format of a tracer makes, and `conversations`. Steps are sorted by
time, but a span begins after the span around it, and ends after all that is inside. `traces` makes
an episode of the steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from counterpoint.records import Json

Kind = Literal["agent", "model", "tool", "handoff", "guardrail", "chain", "declared", "other"]
"""An agent's run, a call of a model, a call of a tool, a handoff, a guardrail's check, a step of a
program (a node, a task), the declaration of an agent, or anything else."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """One span, in the words that all tracers share."""

    id: str
    """Unique in its trace; empty where the log has none."""
    trace: str
    parent: str = ""
    kind: Kind = "other"
    name: str = ""
    """The name of the span, for errors and for agents without another name."""
    agent: str = ""
    """The member that the span itself names."""
    owner: str = ""
    """The service that wrote it."""
    tool: str = ""
    call: str = ""
    to: str = ""
    """The member that a handoff goes to."""
    start: float | None = None
    end: float | None = None
    input: Any = None
    """What went in: what a model read, the arguments of a tool."""
    output: Any = None
    """What came out; None if it was not captured."""
    tokens: int | None = None
    tokens_in: int | None = None
    cost: float | None = None
    error: str = ""
    finish: str = ""
    conversation: str = ""
    """The conversation that it belongs to, if it says so."""
    run: str = ""
    declared: tuple[str, ...] = ()
    """Members that it names beside its own."""
    is_step: bool = False
    """Whether an agent's span that names no agent is a step of the agent around it."""
    meta: Mapping[str, Json] = field(default_factory=dict)

    @property
    def has_usage(self) -> bool:
        """Returns whether it counts tokens or costs."""
        return (self.tokens, self.tokens_in, self.cost) != (None, None, None)


@dataclass(eq=False)
class Node:
    """A span in its tree, with what follows from its place."""

    span: Span
    parent: Node | None
    kind: Kind
    member: str = ""
    """The agent whose span holds it, or that it names; empty if none does."""
    holder: str = ""
    """The name of the nearest step of a program around it."""
    conversation: str = ""
    """The conversation; empty if neither it nor a span around it names one."""
    binds: bool = False
    """Whether it or a span around it belongs to the work of an agent."""
    key: float = -math.inf
    """The time by which its beginning is sorted: never before its parent's."""
    top: float = -math.inf
    """The latest time inside; its end is sorted by it."""
    models: int = 0
    """Number of models' spans directly inside a model's span."""
    inner: Node | None = None
    """The last of them."""
    around: Node | None = None
    """The model's span that a model's span is a part of."""
    nearest: Node | None = None
    """The nearest agent, model or tool around, itself included; steps between do not count."""
    of_agent: bool = False
    """Whether the nearest agent or tool, itself included, is an agent."""
    has_agents: bool = False
    """Whether a span inside is an agent's."""
    has_usage: bool = False
    """Whether a span inside counts tokens or costs."""
    has_error: bool = False
    """Whether a span inside has an error."""
    is_orphan: bool = False
    """Whether the span around it, or around one of those, is not in the log."""
    is_leaf: bool = True
    """Whether no step, agent, model or tool is inside."""
    inside: float | None = None
    """The time at which the last span inside ended."""


Step = tuple[float, bool, Node]
"""The time of a step, whether it is the end of a span, and the span."""
_MOMENT = re.compile(r"([\w.-]{1,200})\.(start|success|finish|error)-\d{1,9}")
"""The name of a span that BeeAI writes for a moment of a call, such as `tool.maps.start-3`."""


def conversations(spans: Sequence[Span]) -> dict[str, list[Step]]:
    """Returns the steps of each conversation: the beginnings and ends of its spans, in order.

    A conversation is what the topmost span of agents' work names, or else the trace.
    """
    traces: dict[str, dict[str, Span]] = {}
    for i, span in enumerate(spans):
        known = traces.setdefault(span.trace, {})
        # of a span that was exported twice, the last export is the complete one
        known[span.id or f"span {i}"] = span if span.id else replace(span, id=f"span {i}")
    talks: dict[str, list[Step]] = {}
    for trace, spans_of_trace in traces.items():
        steps = list(_steps(_whole_calls(spans_of_trace)))
        names = dict.fromkeys(node.conversation for *_, node in steps if node.conversation)
        # what names no conversation belongs to the only one of its trace
        rest = next(iter(names)) if len(names) == 1 else trace
        for step in steps:
            talks.setdefault(step[2].conversation or rest, []).append(step)
    for each in talks.values():
        each.sort(key=lambda step: step[0])  # stable: at the same time, the tree's order holds
    return talks


def _whole_calls(known: Mapping[str, Span]) -> Mapping[str, Span]:
    """Returns the spans of a trace, with the moments of a call as one span.

    A later moment belongs to the first start of the same call that has no such moment yet.
    """
    calls = [
        (match[1], match[2], span)
        for span in known.values()
        if span.kind in ("tool", "model") and (match := _MOMENT.fullmatch(span.name))
    ]
    if not any(moment == "start" for _, moment, _ in calls):
        return known
    whole: dict[str, Span] = {}
    lacking: dict[tuple[str, str], list[str]] = {}
    joined: dict[str, str] = {}
    for what, moment, span in sorted(calls, key=lambda call: call[2].start or 0.0):
        if moment == "start":
            named = what.removeprefix("tool.") if span.tool == span.name else span.tool
            whole[span.id] = replace(span, tool=named)
            for later in ("success", "finish", "error"):
                lacking.setdefault((what, later), []).append(span.id)
        elif starts := lacking.get((what, moment)):
            joined[span.id] = first = starts.pop(0)
            whole[first] = _merged(whole[first], span)
    return {
        key: replace(whole.get(key, span), parent=joined.get(span.parent, span.parent))
        for key, span in known.items()
        if key not in joined
    }


def _merged(one: Span, other: Span) -> Span:
    """Returns a span with what a later one of the same call adds."""
    ends = [span.end for span in (one, other) if span.end is not None]
    return replace(
        one, end=max(ends, default=None),
        output=other.output if one.output is None else one.output,
        tokens=other.tokens if one.tokens is None else one.tokens,
        tokens_in=other.tokens_in if one.tokens_in is None else one.tokens_in,
        cost=other.cost if one.cost is None else one.cost,
        error=one.error or other.error, finish=one.finish or other.finish,
    )  # fmt: skip


def _steps(known: Mapping[str, Span]) -> Iterator[Step]:
    """Yields the steps of a trace in the order of its tree."""
    children: dict[str, list[Span]] = {}
    roots: list[Span] = []
    for span in known.values():
        is_root = span.parent not in known
        (roots if is_root else children.setdefault(span.parent, [])).append(span)
    seen: set[str] = set()
    for root in (*_by_start(roots), *known.values()):  # spans in a circle have no root
        todo: list[Span | Node] = [root]
        open_nodes: list[Node] = []
        while todo:
            next_one = todo.pop()
            if isinstance(next_one, Node):
                _leave(open_nodes.pop())
                yield next_one.top, True, next_one
            elif next_one.id not in seen:
                seen.add(next_one.id)
                node = _enter(next_one, open_nodes[-1] if open_nodes else None)
                yield node.key, False, node
                open_nodes.append(node)
                todo += [node, *reversed(_by_start(children.get(node.span.id, [])))]


def _by_start(spans: list[Span]) -> list[Span]:
    """Returns spans by their start, or as in the log if one has none."""
    if any(span.start is None for span in spans):
        return spans
    return sorted(spans, key=lambda span: span.start or 0.0)


def _enter(span: Span, parent: Node | None) -> Node:
    """Returns the node of a span, and tells the nodes around it of its kind."""
    kind = span.kind
    if kind == "agent" and span.is_step and parent and parent.of_agent:
        kind = "chain"
    is_orphan = parent.is_orphan if parent else span.parent != ""
    node = Node(span, parent, kind, is_orphan=is_orphan)
    if kind in ("agent", "declared") or span.agent:
        node.member = span.agent or span.name
    elif parent:
        node.member = parent.member
    if parent:
        node.holder = parent.span.name if parent.kind == "chain" else parent.holder
        node.conversation, node.binds = parent.conversation, parent.binds
        node.key = max(parent.key, parent.top if span.start is None else span.start)
    elif span.start is not None:
        node.key = span.start
    if not node.binds:
        node.conversation = node.conversation or span.conversation
        node.binds = kind in ("agent", "model", "tool", "handoff", "guardrail")
    node.top = node.key
    around = parent.nearest if parent else None
    if kind == "model" and around and around.kind == "model":
        around.models, around.inner, node.around = around.models + 1, node, around
    node.nearest = node if kind in ("agent", "model", "tool") else around
    node.of_agent = kind == "agent" or (kind != "tool" and parent is not None and parent.of_agent)
    return node


def _leave(node: Node) -> None:
    """Tells the parent of a node what was inside."""
    if node.span.end is not None:
        node.top = max(node.top, node.span.end)
    parent = node.parent
    if parent:
        parent.top = max(parent.top, node.top)
        parent.has_agents |= node.has_agents or node.kind == "agent"
        parent.has_usage |= node.has_usage or node.span.has_usage
        parent.has_error |= node.has_error or bool(node.span.error)
        parent.is_leaf &= node.is_leaf and node.kind in ("other", "declared")
        if node.top > -math.inf:
            parent.inside = node.top if parent.inside is None else max(parent.inside, node.top)
