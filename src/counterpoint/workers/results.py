"""The result of a team at work: a document of numbers, and the record of every event."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from typing import Any

from counterpoint import __version__
from counterpoint.records import Episode, Event
from counterpoint.workers.memory import log_tail
from counterpoint.workers.queue.choice import LARGE
from counterpoint.workers.state import REPOSITORY, SCHEMA, TeamState


def result_of(state: TeamState) -> dict[str, Any]:
    """Returns the document of schema `counterpoint.team/1`.

    `over` says whether the run has ended, so that `resume` has nothing to do and `branch` is made.
    `throughput` is tasks merged for each 1,000 tries and for each minute. `serial` is the share of
    the work that cannot be done side by side: under the lock on the file that was locked longest,
    or by the merger; None if it is not known. `lock_wait` is the share of the
    workers' time that they waited for a lock, `wasted` the share of tries that ended in a conflict
    or were lost, `churn` the share of added lines that are gone in the end. `large` are tasks that
    can be edited in half as many ways again as the median one. `unknown` counts the attempts that
    reported no tokens or dollars: the sums leave them out. `unfinished` has the last reason of
    each task that is not done, `history` every attempt, with the end of its log.
    """
    queue, repository = state.queue, state.repository
    attempts, tasks = queue.attempts(), queue.tasks()
    done = [task for task in tasks if task["status"] == "done"]
    seconds, spent = queue.seconds(), queue.spent()
    ended = [a for a in attempts if a["ended"]]
    worked = sum(a["ended"] - a["started"] for a in ended) or 0.0
    cost = sum(a["cost"] or 0 for a in attempts)
    wasted = sum(a["cost"] or 0 for a in attempts if a["status"] in ("conflict", "lost"))
    sizes = sorted(task["size"] for task in tasks)
    edge = LARGE * sizes[len(sizes) // 2] if sizes else 0.0
    large = [task for task in tasks if task["size"] > edge]
    merged = [a for a in attempts if a["status"] == "merged"]
    added = sum(repository.lines(a["parent"], a["landed"])[0] for a in merged)
    first = min(merged, key=lambda a: a["ended"], default=None)
    kept = repository.lines(first["parent"], repository.head())[0] if first else 0

    def count(status: str) -> int:
        return sum(a["status"] == status for a in attempts)

    return {
        "schema": SCHEMA,
        "version": __version__,
        "name": state.plan.name,
        "topology": state.topology,
        "workers": state.workers,
        "seed": state.seed,
        "budget": dataclasses.asdict(state.budget),
        "verdict": queue.fact("verdict") or queue.fact("stopped", ""),
        "over": bool(queue.fact("verdict")),
        "branch": state.branch,
        "iterations": queue.fact("iteration", 0),
        "passing": len(_passing(state)),
        "failing": queue.fact("failing", []),
        "tasks": len(tasks),
        "done": len(done),
        "given_up": sum(task["status"] == "given_up" for task in tasks),
        "tries": cost,
        "tokens": spent.tokens,
        "dollars": spent.dollars,
        "unknown": {"tokens": spent.unknown_tokens, "dollars": spent.unknown_dollars},
        "seconds": seconds,
        "attempts": len(attempts),
        "conflicts": count("conflict"),
        "failed": count("failed"),
        "lost": count("lost"),
        "throughput": {
            "per_1000_tries": 1000 * len(done) / cost if cost else None,
            "per_minute": 60 * len(done) / seconds if seconds else None,
        },
        "lock_wait": sum(a["waited"] or 0.0 for a in attempts) / worked if worked else None,
        "serial": _serial(state, attempts, tasks, worked),
        "wasted": wasted / cost if cost else None,
        "churn": 1 - kept / added if added else None,
        "unfinished": unfinished(tasks, attempts),
        "history": history(state, attempts),
        "large": {"tasks": len(large), "done": sum(task["status"] == "done" for task in large)},
        "repository": str(state.folder / REPOSITORY),
        "head": repository.head(),
    }


def history(state: TeamState, attempts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every attempt: who tried what and when, what it cost, why it ended, the end of its log."""
    begun = min((a["started"] for a in attempts), default=0.0)
    return [
        {
            "id": a["id"], "task": a["task"], "worker": a["worker"], "status": a["status"],
            "started": a["started"] - begun, "ended": a["ended"] and a["ended"] - begun,
            "cost": a["cost"] or 0, "tokens": a["tokens"], "dollars": a["dollars"],
            "note": a["note"] or "", "files": json.loads(a["files"] or "[]"),
            "log": log_tail(state.folder, a["id"]).splitlines(),
        }
        for a in attempts
    ]  # fmt: skip


def unfinished(tasks: list[dict[str, Any]], attempts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tasks that are not done, each with its last reason and how often it was tried."""
    rows = []
    left = {task["id"]: task for task in tasks if task["status"] != "done"}
    for task in left.values():
        of = [a for a in attempts if a["task"] == task["id"]]
        notes = [a["note"] for a in of if a["status"] in ("failed", "conflict", "lost")]
        waits = [name for name in json.loads(task["depends"]) if name in left]
        reason = notes[-1] if notes else "under way" if of else "not tried"
        if waits and not notes:
            reason = f"waits for {', '.join(waits)}"
        rows.append({"task": task["id"], "reason": reason, "attempts": len(of)})
    return rows


def _passing(state: TeamState) -> Collection[str]:
    """The tests that pass at the head; folders of earlier versions hold one list of the run."""
    passed = state.queue.passing(state.repository.head())
    return state.queue.fact("passing", []) if passed is None else passed


def _serial(
    state: TeamState, attempts: list[dict[str, Any]], tasks: list[dict[str, Any]], worked: float
) -> float | None:
    """The share of the work that waits for one lock, or for the one who merges."""
    if state.topology == "planner_workers":
        merging = float(state.queue.fact("merge_seconds", 0.0))
        return merging / (worked + merging) if worked else None
    if state.topology != "flat_locks" or not worked:
        return None
    files = {task["id"]: json.loads(task["files"]) for task in tasks}
    held: dict[str, float] = {}
    for attempt in attempts:
        for path in files[attempt["task"]]:
            held[path] = held.get(path, 0.0) + (attempt["held"] or 0.0)
    waited = sum(attempt["waited"] or 0.0 for attempt in attempts)
    return max(held.values(), default=0.0) / max(worked - waited, 1e-9)


def episode_of(state: TeamState) -> Episode:
    """Everything that happened, as one episode for the audits."""
    rows = state.queue.events()
    begun = rows[0]["at"] if rows else 0.0
    events = []
    for t, row in enumerate(rows):
        meta = {**row["meta"], "seconds": row["at"] - begun}
        work = 1.0 if row["kind"] in ("action", "answer") else None
        events.append(
            Event(t, row["agent"], row["kind"], row["text"],
                  (row["hearer"],) if row["hearer"] else (), work=work, meta=meta)
        )  # fmt: skip
    tasks = state.queue.tasks()
    done = sum(task["status"] == "done" for task in tasks)
    tools = tuple(name for name in ("loop", "locks") if any(e.agent == name for e in events))
    agents = tuple(dict.fromkeys(e.agent for e in events if e.agent not in tools))
    return Episode(
        state.plan.name, tuple(events), agents, tools, run=f"{state.topology}-{state.workers}",
        task=state.plan.name, success=done / len(tasks) if tasks else None,
        meta={"format": "counterpoint", "topology": state.topology},
    )  # fmt: skip
