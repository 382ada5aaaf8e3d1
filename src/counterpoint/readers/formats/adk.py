"""Google's Agent Development Kit: sessions, their events a line, eval sets and their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import (
    Format,
    Line,
    SessionFormat,
    episode,
    finite,
    list_of,
    object_of,
)
from counterpoint.readers.formats.adk_events import Events, field_of, is_content, is_event
from counterpoint.readers.handoffs import text_of
from counterpoint.records import Episode, Json

PASSED, FAILED = 1, 2
"""The values of an evaluation's status, which is 3 where nothing was evaluated."""


def is_session(value: Any) -> bool:
    """Returns whether a value is a session, or the list of its events."""
    events = value.get("events") if isinstance(value, dict) else value
    if not isinstance(events, list) or not events:
        return False
    return all(map(is_event, events[:3]))


def session(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; the authors of events, other than the user, are members."""
    about = value if isinstance(value, dict) else {}
    events = about.get("events") if about else value
    items = [(each, f"{where}, event {i}") for i, each in enumerate(list_of(events, where))]
    app = text_of(field_of(about, "app_name"))
    own = text_of(about.get("id")) or name
    return [_episode(items, own, meta={"app": app} if app else {})]


def _lines(lines: Sequence[Line], name: str) -> list[Episode]:
    """Returns the episode of lines that are each an event, or one episode for each session."""
    sessions: dict[str, list[tuple[Any, str]]] = {}
    for line in lines:
        own = text_of(field_of(line.value, "session_id"))
        sessions.setdefault(own, []).append((line.value, line.where))
    return [_episode(items, own or name) for own, items in sessions.items()]


def _episode(
    items: Sequence[tuple[Any, str]],
    name: str,
    *,
    meta: Mapping[str, Json] | None = None,
    success: float | None = None,
    scores: Mapping[str, float] | None = None,
    doubts: Sequence[str] = (),
) -> Episode:
    log = Events()
    for item, at in items:
        log.add(object_of(item, at), at)
    members = dict.fromkeys(e["agent"] for e in log.events if e["agent"] not in log.outside)
    about = {**(meta or {})}
    if log.left_out:
        about["left_out"] = dict(log.left_out)
    users = (e.get("text", "") for e in log.events if e["agent"].lower() == "user")
    return episode(name, log.events, "adk", tuple(log.outside), members=tuple(members),
                   task=next(users, ""), success=success, scores=scores, meta=about,
                   ending=log.ending, doubts=doubts)  # fmt: skip


def is_eval(value: Any) -> bool:
    """Returns whether a value is an eval set, or the results of one."""
    if not isinstance(value, dict):
        return False
    cases = field_of(value, "eval_cases")
    results = field_of(value, "eval_case_results")
    return (isinstance(cases, list) and field_of(value, "eval_set_id") is not None) or isinstance(
        results, list
    )


def evaluation(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode for each case that has a conversation; its first metric is a score."""
    results = field_of(value, "eval_case_results")
    if isinstance(results, list):
        return [
            _result(object_of(each, f"{where}, result {i}"), f"{where}, result {i}", f"{name}-{i}")
            for i, each in enumerate(results)
        ]
    episodes = []
    for i, each in enumerate(list_of(field_of(value, "eval_cases"), f"{where}, eval_cases")):
        at = f"{where}, case {i}"
        case = object_of(each, at)
        if isinstance(case.get("conversation"), list):
            turns = list_of(case["conversation"], f"{at}, conversation")
            given = field_of(case, "session_input")
            app = text_of(field_of(given, "app_name")) if isinstance(given, dict) else ""
            own = f"{name}-{text_of(field_of(case, 'eval_id')) or i}"
            episodes.append(_turns(turns, at, own, app))
    return episodes


def _result(case: Mapping[str, Json], at: str, name: str) -> Episode:
    """Returns what was run for a case: the events of its session, or else its invocations."""
    own = f"{name}-{text_of(field_of(case, 'eval_id'))}"
    status, scores = field_of(case, "final_eval_status"), {}
    metrics = field_of(case, "overall_eval_metric_results")
    for each in metrics if isinstance(metrics, list) else []:
        score = finite(each.get("score")) if isinstance(each, dict) else None
        if score is not None:
            scores[text_of(field_of(each, "metric_name")) or "score"] = score
    success = {PASSED: 1.0, FAILED: 0.0}.get(status) if isinstance(status, int) else None
    details = field_of(case, "session_details")
    events = details.get("events") if isinstance(details, dict) else None
    if isinstance(events, list) and events:
        items = [(each, f"{at}, event {i}") for i, each in enumerate(events)]
        return _episode(items, own, success=success, scores=scores)
    runs = field_of(case, "eval_metric_result_per_invocation")
    turns = [field_of(each, "actual_invocation") for each in list_of(runs or [], at)
             if isinstance(each, dict)]  # fmt: skip
    return _turns(turns, at, own, "", success, scores)


def _turns(
    turns: Sequence[Json],
    at: str,
    name: str,
    app: str,
    success: float | None = None,
    scores: Mapping[str, float] | None = None,
) -> Episode:
    """Returns the episode of invocations, which name the author of inner responses alone."""
    items: list[tuple[Any, str]] = []
    lead = app or "agent"
    for i, each in enumerate(turns):
        here = f"{at}, invocation {i}"
        turn = object_of(each, here)
        time = field_of(turn, "creation_timestamp")
        user, final = field_of(turn, "user_content"), field_of(turn, "final_response")
        if user is not None:
            items.append(({"author": "user", "content": user, "timestamp": time}, here))
        items += _between(field_of(turn, "intermediate_data"), lead, here)
        if is_content(final):
            items.append(({"author": lead, "content": final}, here))
    doubt = (
        f'An eval set does not name the agent that answers. It is called "{lead}" here. '
        f'If it has another name, say so with a mapping: rename."{lead}" = "name".'
    )
    doubts = (doubt,) if any(item["author"] == lead for item, _ in items) else ()
    return _episode(items, name, success=success, scores=scores, doubts=doubts)


def _between(data: Json, lead: str, at: str) -> list[tuple[Any, str]]:
    """Returns what happened between a question and its answer, as events of a session."""
    if not isinstance(data, dict):
        return []
    items: list[tuple[Any, str]] = []
    events = field_of(data, "invocation_events")
    items += [
        ({**each, "author": text_of(each.get("author")) or lead}, at)
        for each in (events if isinstance(events, list) else [])
        if isinstance(each, dict) and is_content(each.get("content"))
    ]
    uses = field_of(data, "tool_uses")
    results = field_of(data, "tool_responses")
    for key, parts in (("function_call", uses), ("function_response", results)):
        if isinstance(parts, list) and parts:
            content = {"parts": [{key: each} for each in parts]}
            items.append(({"author": lead, "content": content}, at))
    inner = field_of(data, "intermediate_responses")
    for pair in inner if isinstance(inner, list) else []:
        if not isinstance(pair, list) or len(pair) != 2:
            raise LogError(f"{at}, intermediate_responses: got no author and parts")
        author, parts = pair
        items.append(({"author": text_of(author) or lead, "content": {"parts": parts}}, at))
    return items


FORMAT = Format(is_session, session)
EVALUATION = Format(is_eval, evaluation)
EVENTS = SessionFormat(is_event, _lines)
