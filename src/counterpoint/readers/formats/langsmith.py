"""LangSmith: runs, nested by `child_runs`, flat with `parent_run_id`, or as its SDKs send them.

A value is a run, a list of runs, `{"runs": [...]}`, or a batch `{"post": [...], "patch": [...]}`,
in which a patch completes the run of the same id. The nodes of LangGraph that call a model are
members, by the names in the runs' metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.attributes import Facts, node_of, number_of, step_kind
from counterpoint.readers.build import LeftOut, Line, SessionFormat, count, finite, seconds_of
from counterpoint.readers.replies import decoded, first_of, reply_of
from counterpoint.readers.scores import Score
from counterpoint.readers.spans import Kind, Span
from counterpoint.readers.traces import About, episodes_of
from counterpoint.records import Episode

KINDS: Mapping[str, Kind] = {
    "llm": "model", "tool": "tool", "retriever": "tool", "chain": "chain", "agent": "agent",
    "prompt": "other", "parser": "other", "embedding": "other",
}  # fmt: skip
"""LangSmith's type of a run to the kind of a span."""


HOLDERS = ("runs", "traces", "post", "patch")
"""The fields of an object that hold runs."""


def is_langsmith(value: Any) -> bool:
    """Returns whether a value is a run, or holds runs."""
    if isinstance(value, list):
        return value != [] and all(map(_is_run, value[:20]))
    if not isinstance(value, dict):
        return False
    for name in HOLDERS:
        runs = value.get(name)
        if isinstance(runs, list) and runs:
            return any(map(_is_run, runs[:20]))
    return _is_run(value)


def _is_run(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("run_type"), str)
        and bool(value.keys() & {"inputs", "outputs", "child_runs", "parent_run_id", "trace_id"})
    )


def _runs(value: Any, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yields the runs of a value, each with its place; runs inside another one get its ids."""
    if isinstance(value, dict) and not isinstance(value.get("run_type"), str):
        parts = [(name, value[name]) for name in HOLDERS if value.get(name)]
    else:
        parts = [("", value if isinstance(value, list) else [value])]
    todo: list[tuple[Any, str]] = []
    for name, runs in parts:
        if not isinstance(runs, list):
            raise LogError(f"{where}, {name}: got {type(runs).__name__}; wanted a list of runs")
        todo += [(run, f"{where}, {name or 'run'} {i}" if len(runs) > 1 or name else where)
                 for i, run in enumerate(runs)]  # fmt: skip
    while todo:
        run, at = todo.pop(0)
        if not isinstance(run, dict):
            raise LogError(f"{at}: got {type(run).__name__}; wanted an object")
        inner = run.get("child_runs") or []
        if not isinstance(inner, list):
            raise LogError(f"{at}, child_runs: got {type(inner).__name__}; wanted a list")
        order = run.get("dotted_order")  # it ends in the run's id, which a patch may not repeat
        own = order.rpartition("Z")[2] if isinstance(order, str) else ""
        known = {**run, "id": str(run.get("id") or own or at)}
        known["trace_id"] = str(run.get("trace_id") or known["id"])
        todo += [
            ({**each, "parent_run_id": known["id"], "trace_id": known["trace_id"]}
             if isinstance(each, dict) else each, f"{at}, child {i}")
            for i, each in enumerate(inner)
        ]  # fmt: skip
        yield known, at


def _read(lines: Sequence[Line], name: str) -> Iterator[Episode | LeftOut]:
    runs: dict[str, dict[str, Any]] = {}
    for line in lines:
        for run, _ in _runs(line.value, line.where):
            earlier = runs.get(run["id"], {})
            runs[run["id"]] = {**earlier, **{key: each for key, each in run.items()
                                             if each is not None and each != {}}}  # fmt: skip
    about = {run["trace_id"]: _about(run) for run in runs.values() if not run.get("parent_run_id")}
    scores = [score for run in runs.values() for score in _feedback(run)]
    return episodes_of([_span(run) for run in runs.values()], "langsmith", about, scores)


def _metadata(run: Mapping[str, Any]) -> Facts:
    extra = run.get("extra")
    inner = extra.get("metadata") if isinstance(extra, dict) else None
    outer = run.get("metadata")
    return Facts({**(outer if isinstance(outer, dict) else {}),
                  **(inner if isinstance(inner, dict) else {})})  # fmt: skip


def _about(run: Mapping[str, Any]) -> About:
    """Returns what the topmost run says about its trace: its project and its thread."""
    facts = _metadata(run)
    meta = {key: run[key] for key in ("session_name", "tags") if run.get(key)}
    return About(run=facts.text(("thread_id", "session_id", "conversation_id")),
                 meta={**meta, "name": run.get("name")} if run.get("name") else meta)  # fmt: skip


def _feedback(run: Mapping[str, Any]) -> Iterator[Score]:
    """Yields the mean of each kind of feedback on a run."""
    feedback = run.get("feedback_stats")
    for name, each in feedback.items() if isinstance(feedback, dict) else ():
        if isinstance(each, dict) and (value := finite(each.get("avg"))) is not None:
            yield Score(str(run["id"]), name, value)


def _span(run: Mapping[str, Any]) -> Span:
    facts = _metadata(run)
    name = run["name"] if isinstance(run.get("name"), str) and run["name"] else "run"
    kind = KINDS.get(str(run.get("run_type")), "other")
    node, own = node_of(facts), facts.text(("lc_agent_name",))
    if kind == "chain":
        kind = "agent" if own == name and own else step_kind(name, facts)
    output, given = run.get("outputs"), run.get("inputs")
    call = facts.text(("tool_call_id",))
    if kind == "tool":
        results = reply_of(output).results
        call = call or (results[0].call if results else "")
        if isinstance(given, dict) and set(given) == {"input"}:
            given = given["input"]
    error = run.get("error")
    extra = decoded(run.get("usage_metadata"))
    usage = extra if isinstance(extra, dict) else {}
    parent = run.get("parent_run_id")
    return Span(
        id=run["id"],
        trace=run["trace_id"],
        parent=parent if isinstance(parent, str) else "",
        kind=kind,
        name=name,
        agent=node if kind in ("model", "agent") else "",
        tool=name if kind == "tool" else "",
        call=call,
        start=seconds_of(run.get("start_time")),
        end=seconds_of(run.get("end_time")),
        input=given,
        output=output,
        tokens=count(first_of({**usage, **run}, ("completion_tokens", "output_tokens"))),
        tokens_in=count(first_of({**usage, **run}, ("prompt_tokens", "input_tokens"))),
        cost=number_of(run.get("total_cost")),
        error=error if isinstance(error, str) else "",
    )


FORMAT = SessionFormat(is_langsmith, _read, scope="folder")
