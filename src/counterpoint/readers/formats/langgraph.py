"""LangGraph: the messages of a state, the states of a stream, or its updates, which name the nodes.

An element of a stream is an update `{node: state}` or a state, or a list of a namespace, a mode and
one of them, as `stream` yields it with subgraphs or several modes; with `version="v2"` it is a
dict of `type`, `ns` and `data`. Each state of a run has the messages of those before it. A message
of the mode `messages` is a list of a chunk and its metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from counterpoint.readers.build import Format, Line, SessionFormat, episode
from counterpoint.readers.formats.langchain import (
    Messages,
    content_text,
    is_message,
    role_of,
    same,
    unwrapped,
)
from counterpoint.readers.handoffs import text_of
from counterpoint.readers.messages import messages_in
from counterpoint.records import Episode, Json

UNNAMED_NODES = (
    "Messages carry no name, because a node of LangGraph does not sign what it says. All of them "
    "count as one member, so findings about single members are not reliable. Log the list of what "
    "graph.stream(..., stream_mode='updates') yields, which names the nodes. If there is only one "
    """member, say so with a mapping: rename.assistant = "solver"."""
)
"""What is uncertain about the messages of a state without names."""
NO_STEPS_LEFT = "Sorry, need more steps to process this request."
"""What a prebuilt agent of LangGraph says in place of an answer when its limit of steps is near."""
STATES = ("values", "state", "output", "channel_values")
"""Keys under which a snapshot keeps its state."""


def _state(value: Any) -> list[Any]:
    """Returns the messages of a state, or of the state in a snapshot.

    In a stream with subgraphs, the states of the graph itself stand behind an empty namespace.
    """
    value = _plain(value)
    if isinstance(value, list) and len(value) == 2 and value[0] == []:
        return _state(value[1])
    if parts := messages_in(value):
        return parts
    if isinstance(value, dict):
        for key in STATES:
            if parts := messages_in(value.get(key)) if isinstance(value.get(key), dict) else []:
                return parts
    return []


def is_langgraph(value: Any) -> bool:
    """Returns whether a value is LangChain's messages, plain or serialized."""
    messages = _state(value)
    return bool(messages) and is_message(messages[0]) and not is_chunk(value)


def langgraph(value: Any, where: str, name: str) -> list[Episode]:
    """Returns the messages of a state as one episode.

    A node does not sign its messages. All members without a name are counted as one member, and
    the episode has that as a doubt.
    """
    log = Messages()
    for i, item in enumerate(_state(value)):
        log.add(item, f"{where}, message {i}")
    return [_episode(log, name, "langgraph")]


def _episode(log: Messages, name: str, kind: str) -> Episode:
    log.finish()
    ending = _cut_short(log)
    people = (e.get("text", "") for e in log.events if e["agent"] in ("user", "human"))
    # even with tools in between: a state does not say which node spoke
    doubts = (UNNAMED_NODES,) if log.unnamed > 1 else ()
    left_out = dict(log.left_out)
    return episode(name, log.events, kind, tuple(log.outside - log.members.keys()),
                   members=tuple(log.members), task=next(people, ""), ending=ending,
                   meta={"left_out": left_out} if left_out else None, doubts=doubts)  # fmt: skip


def _cut_short(log: Messages) -> str:
    """Takes the sentence of an agent without steps from the end, and returns it as the ending."""
    last = log.events[-1] if log.events else None
    if last is None or last.get("text") != NO_STEPS_LEFT or last["kind"] != "message":
        return ""
    name = last["agent"]
    log.events.pop()
    if all(event["agent"] != name for event in log.events):
        log.members.pop(name, None)
    log.unnamed -= name == "assistant"
    return "recursion limit reached"


def repeats(before: Any, value: Any) -> bool:
    """Returns whether a state is a later one of the same run."""
    one, other = _state(before), _state(value)
    last = one[-1] if one else None
    has_id = isinstance(last, dict) and isinstance(unwrapped(last).get("id"), str)
    return same(one, other) and (has_id or len(one) < len(other))


def _in_order(value: Sequence[Any]) -> list[Any]:
    """Returns the states from the first; a history of snapshots has the newest first."""
    states = [each for each in value if _state(each)]
    return states[::-1] if len(_state(states[0])) > len(_state(states[-1])) else states


def is_values(value: Any) -> bool:
    """Returns whether a value is the states of one run: each repeats the messages before it."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return False
    known = [each for each in value if is_langgraph(each)]
    if len(known) < 2 or len(known) + 1 < len(value):  # the state before a run is empty
        return False
    return all(same(_state(a), _state(b)) for a, b in pairwise(_in_order(value)))


def values(value: Any, where: str, name: str) -> list[Episode]:
    """Returns the episode of the last state, which has the messages of all others."""
    log = Messages()
    states = _in_order(value)
    log.left_out["states that the last one repeats"] = len(states) - 1
    for i, item in enumerate(_state(states[-1])):
        log.add(item, f"{where}, message {i}")
    return [_episode(log, name, "langgraph")]


class Update(NamedTuple):
    """What a node has written."""

    path: tuple[str, ...]
    """The nodes whose subgraphs it belongs to, outermost first."""
    node: str
    messages: list[Any]
    where: str


def _updates_of(element: Any, where: str) -> Iterator[Update]:
    """Yields the updates in an element of a stream; there are none in other modes."""
    path, mode, payload = _parts(element)
    if mode == "updates" and isinstance(payload, dict):
        for node, part in payload.items():
            if node != "__interrupt__":
                parts = [m for each in (part if isinstance(part, list) else [part])
                         for m in _messages(each)]  # fmt: skip
                yield Update(path, node, parts, f"{where}, node {node}")


def _plain(element: Any) -> Any:
    """Returns an element of a stream of version 2 as one of version 1; others as they are."""
    if isinstance(element, dict) and isinstance(element.get("type"), str) and "data" in element:
        path, mode, payload = element.get("ns"), element["type"], element["data"]
        if isinstance(path, list):
            return [path, payload] if mode == "values" else [path, mode, payload]
    return element


def _parts(element: Any) -> tuple[tuple[str, ...], str, Any]:
    """Returns the nodes of the namespace, the mode and the payload of an element of a stream."""
    element = _plain(element)
    if not isinstance(element, list) or not 2 <= len(element) <= 3:
        return (), "updates", element
    first, last = element[0], element[-1]
    path: tuple[str, ...] = ()
    if isinstance(first, list) and all(isinstance(each, str) for each in first):
        path = tuple(each.partition(":")[0] for each in first)
    mode = next((each for each in element[:-1] if isinstance(each, str)), "updates")
    return path, mode, last


def _messages(part: Any) -> list[Any]:
    """Returns the messages of a node's update, which has a list, one message, or none."""
    if isinstance(part, dict) and isinstance(part.get("update"), dict):
        part = part["update"]  # a Command
    messages = part.get("messages") if isinstance(part, dict) else None
    return messages if isinstance(messages, list) else [] if messages is None else [messages]


def is_update(value: Any) -> bool:
    """Returns whether a value is an element of a stream, in which a node has written messages."""
    _, mode, payload = _parts(value)
    if mode != "updates" or not isinstance(payload, dict) or not payload:
        return False
    if isinstance(value, dict) and "messages" in value:
        return False  # a state
    parts = list(_updates_of(value, ""))
    return all(part is None or isinstance(part, dict | list) for part in payload.values()) and any(
        u.messages and is_message(u.messages[0]) for u in parts
    )


def is_updates(value: Any) -> bool:
    """Returns whether a value is a list of what `graph.stream` yields."""
    if not isinstance(value, list) or not value:
        return False
    if not all(_may_stream(each) for each in value):
        return False
    return any(is_update(each) for each in value)


def _may_stream(element: Any) -> bool:
    """Returns whether a value may be an element of a stream, in any mode."""
    _, mode, payload = _parts(element)
    if mode != "updates":
        return True
    return (
        isinstance(payload, dict)
        and bool(payload)
        and all(part is None or isinstance(part, dict | list) for part in payload.values())
    )


def updates(value: Any, where: str, name: str) -> list[Episode]:
    """Returns the messages of all updates; a member without a name gets the name of its node."""
    return [_stream([(each, f"{where}, update {i}") for i, each in enumerate(value)], name)]


def is_element(value: Any) -> bool:
    """Returns whether a value is an element of a stream: an update, or a chunk of a message."""
    return is_update(value) or is_chunk(value)


def _lines(lines: Sequence[Line], name: str) -> list[Episode]:
    if all(is_chunk(line.value) for line in lines):
        return chunks([line.value for line in lines], lines[0].where, name)
    return [_stream([(line.value, line.where) for line in lines], name)]


def _stream(elements: Sequence[tuple[Any, str]], name: str) -> Episode:
    """Returns the episode of a stream.

    A subgraph in which one node speaks is a member, called after the node that holds it; in one
    with several such nodes, these are the members.
    """
    parts = [update for element, at in elements for update in _updates_of(element, at)]
    speakers: dict[tuple[str, ...], set[str]] = {}
    for update in parts:
        if any(isinstance(m, dict) and role_of(unwrapped(m)) == "assistant"
               for m in update.messages):  # fmt: skip
            speakers.setdefault(update.path, set()).add(update.node)
    log = Messages()
    other = sum(_parts(element)[1] != "updates" for element, _ in elements)
    if other:
        log.left_out["elements of other stream modes"] = other
    for update in parts:
        alone = update.path and len(speakers.get(update.path, ())) == 1
        node = update.path[-1] if alone else update.node
        for item in update.messages:
            log.add(item, update.where, node)
    return _episode(log, name, "langgraph updates")


def _chunk(element: Any) -> Any:
    """Returns the chunk and its metadata in an element of the mode `messages`."""
    _, mode, payload = _parts(element)
    return payload if mode == "messages" else element


def is_chunk(value: Any) -> bool:
    """Returns whether a value is an element of the mode `messages`: a chunk and its metadata."""
    value = _chunk(value)
    return (
        isinstance(value, list)
        and len(value) == 2
        and is_message(value[0])
        and isinstance(value[1], dict)
        and "langgraph_node" in value[1]
    )


def is_chunks(value: Any) -> bool:
    """Returns whether a value is a list of chunks with their metadata."""
    return isinstance(value, list) and value != [] and all(map(is_chunk, value[:3]))


def chunks(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode in which the chunks of each message are one message."""
    whole: dict[str, tuple[dict[str, Json], str, str]] = {}
    for i, each in enumerate(value):
        at = f"{where}, chunk {i}"
        if not is_chunk(each):
            continue
        first, about = _chunk(each)
        message = unwrapped(first)
        own = text_of(message.get("id")) or at
        text = content_text(message.get("content"), at)
        if own not in whole:
            whole[own] = ({**message, "content": text}, text_of(about.get("langgraph_node")), at)
            continue
        before = whole[own][0]
        merged = {**before, "content": str(before["content"]) + text}
        for key in ("tool_calls", "usage_metadata", "response_metadata"):
            if message.get(key):
                merged[key] = message[key]
        whole[own] = (merged, *whole[own][1:])
    log = Messages()
    for message, node, at in whole.values():
        log.add(message, at, node)
    return [_episode(log, name, "langgraph messages")]


FORMAT = Format(is_langgraph, langgraph, repeats)
VALUES = Format(is_values, values)
UPDATES = Format(is_updates, updates)
CHUNKS = Format(is_chunks, chunks)
LINES = SessionFormat(is_element, _lines)
