"""The outputs of a team: its result, a record of every event, a patch, and a new branch.

The branch is made in the user's own repository: `require_branch` checks it before a run, and
`deliver_result` makes it afterwards.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from counterpoint import __version__
from counterpoint.errors import DeliveryError, RunError, SettingError
from counterpoint.records import Episode, Event
from counterpoint.results.team import (
    AttemptPart,
    LargeTasks,
    TeamBudget,
    TeamResult,
    Throughput,
    UnfinishedTask,
    Unreported,
)
from counterpoint.runs.files import write_atomically
from counterpoint.workers.memory import log_tail
from counterpoint.workers.queue.queue import LARGE
from counterpoint.workers.queue.rows import AttemptRow, TaskRow
from counterpoint.workers.repository.git import (
    enclosing_repository,
    first_line,
    git,
    try_git,
)
from counterpoint.workers.state import REPOSITORY, TeamState

PATCH = "result.patch"


def result_of(state: TeamState) -> TeamResult:
    """Returns the result of a team so far."""
    queue, repository = state.queue, state.repository
    passing = queue.passing(repository.head())  # folders of earlier versions hold one list instead
    attempts, tasks = queue.attempts(), queue.tasks()
    done = [task for task in tasks if task.status == "done"]
    seconds, spent = queue.seconds(), queue.spent()
    worked = sum(a.ended - a.started for a in attempts if a.ended)
    cost = sum(a.cost for a in attempts)
    wasted = sum(a.cost for a in attempts if a.status in ("conflict", "lost"))
    sizes = sorted(task.size for task in tasks)
    edge = LARGE * sizes[len(sizes) // 2] if sizes else 0.0
    large = [task for task in tasks if task.size > edge]
    merged = [a for a in attempts if a.status == "merged"]
    added = sum(repository.lines(a.parent, a.landed)[0] for a in merged)
    first = min(merged, key=lambda a: a.ended or 0.0, default=None)
    kept = repository.lines(first.parent, repository.head())[0] if first else 0
    begun = min((a.started for a in attempts), default=0.0)
    history = [
        AttemptPart(
            id=a.id, task=a.task, worker=a.worker, status=a.status, started=a.started - begun,
            ended=a.ended and a.ended - begun, cost=a.cost, tokens=a.tokens, dollars=a.dollars,
            note=a.note, files=list(a.files), log=log_tail(state.folder, a.id).splitlines(),
        )
        for a in attempts
    ]  # fmt: skip

    def count(status: str) -> int:
        return sum(a.status == status for a in attempts)

    return TeamResult(
        version=__version__, name=state.plan.name, topology=state.topology,
        workers=state.workers, seed=state.seed, budget=TeamBudget(**vars(state.budget)),
        verdict=queue.fact("verdict") or queue.fact("stopped", ""),
        over=bool(queue.fact("verdict")),
        branch=state.branch,
        iterations=queue.fact("iteration", 0),
        passing=len(queue.fact("passing", []) if passing is None else passing),
        failing=queue.fact("failing", []),
        tasks=len(tasks),
        done=len(done),
        given_up=sum(task.status == "given_up" for task in tasks),
        tries=cost, tokens=spent.tokens, dollars=spent.dollars,
        unknown=Unreported(tokens=spent.unknown_tokens, dollars=spent.unknown_dollars),
        seconds=seconds,
        attempts=len(attempts),
        conflicts=count("conflict"), failed=count("failed"), lost=count("lost"),
        throughput=Throughput(per_1000_tries=1000 * len(done) / cost if cost else None,
                              per_minute=60 * len(done) / seconds if seconds else None),
        lock_wait=sum(a.waited for a in attempts) / worked if worked else None,
        serial=_serial(state, attempts, worked),
        wasted=wasted / cost if cost else None,
        churn=1 - kept / added if added else None,
        unfinished=unfinished(tasks, attempts),
        history=history,
        large=LargeTasks(tasks=len(large), done=sum(task.status == "done" for task in large)),
        repository=str(state.folder / REPOSITORY), head=repository.head(),
    )  # fmt: skip


def unfinished(tasks: Sequence[TaskRow], attempts: Sequence[AttemptRow]) -> list[UnfinishedTask]:
    """Returns the tasks that are not done, each with its last reason and number of attempts."""
    rows = []
    left = {task.id: task for task in tasks if task.status != "done"}
    for task in left.values():
        of = [a for a in attempts if a.task == task.id]
        notes = [a.note for a in of if a.status in ("failed", "conflict", "lost")]
        waits = [name for name in task.depends_on if name in left]
        begun = "handed over, not merged" if task.status == "handed" else "under way"
        reason = notes[-1] if notes else begun if of else "not tried"
        if waits and not notes:
            reason = f"waits for {', '.join(waits)}"
        rows.append(UnfinishedTask(task=task.id, reason=reason, attempts=len(of)))
    return rows


def _serial(state: TeamState, attempts: Sequence[AttemptRow], worked: float) -> float | None:
    """Returns the share of the work that waits for one lock, or for the merger."""
    if state.topology == "planner_workers":
        merging = float(state.queue.fact("merge_seconds", 0.0))
        return merging / (worked + merging) if worked else None
    if state.topology != "flat_locks" or not worked:
        return None
    held: dict[str, float] = {}
    for attempt in attempts:
        for path in attempt.expected:
            held[path] = held.get(path, 0.0) + attempt.held
    waited = sum(attempt.waited for attempt in attempts)
    return max(held.values(), default=0.0) / max(worked - waited, 1e-9)


def episode_of(state: TeamState) -> Episode:
    """Returns all events as one episode for the audits."""
    rows = state.queue.events()
    begun = rows[0].at if rows else 0.0
    events = []
    for t, row in enumerate(rows):
        work = 1.0 if row.kind in ("action", "answer") else None
        events.append(
            Event(t, row.agent, row.kind, row.text, (row.hearer,) if row.hearer else (), work=work,
                  meta=row.meta, seconds=row.at - begun)
        )  # fmt: skip
    tasks = state.queue.tasks()
    done = sum(task.status == "done" for task in tasks)
    tools = tuple(name for name in ("loop", "locks") if any(e.agent == name for e in events))
    agents = tuple(dict.fromkeys(e.agent for e in events if e.agent not in tools))
    return Episode(
        state.plan.name, tuple(events), agents, tools, run=f"{state.topology}-{state.workers}",
        task=state.plan.name, success=done / len(tasks) if tasks else None,
        meta={"format": "counterpoint", "topology": state.topology},
    )  # fmt: skip


def require_branch(source: Path, branch: str) -> None:
    """Checks that a branch of this name can be made in the repository of a plan.

    Raises:
        SettingError: the name is no name of a branch, it exists or means something else, git
            cannot make it, or there is no git repository.
    """
    place = enclosing_repository(source)
    if place is None:
        raise SettingError(f"got --branch with {source}, which is no git repository; wanted one")
    checked = try_git("check-ref-format", "--branch", branch)
    if checked.returncode or checked.stdout.decode(errors="replace").rstrip("\n") != branch:
        raise SettingError(f"got --branch {branch!r}; wanted a name that git takes for a branch")
    heads = git("-C", str(place[0]), "for-each-ref", "--format=%(refname)", "refs/heads").decode(
        errors="replace"
    )
    for name in (line.removeprefix("refs/heads/") for line in heads.splitlines()):
        if name == branch:
            raise SettingError(f"got --branch {branch}, which exists already; wanted a new one")
        if name.startswith(f"{branch}/") or branch.startswith(f"{name}/"):
            raise SettingError(f"got --branch {branch}, beside which git cannot keep the branch "
                               f"{name}; wanted another name")  # fmt: skip
    read = try_git("-C", str(place[0]), "rev-parse", "--verify", "--quiet", branch)
    if not read.returncode:  # such as @, or the name of a tag
        raise SettingError(f"got --branch {branch}, by which git means something else already: a "
                           "merge would not take the branch; wanted another name")  # fmt: skip
    # a branch that is made and not kept: the name may be too long, or another git at work there
    trial = f"start\ncreate refs/heads/{branch} HEAD\nprepare\nabort\n".encode()
    made = try_git("-C", str(place[0]), "update-ref", "--stdin", data=trial)
    if made.returncode:
        why = first_line(made.stderr)
        raise SettingError(f"got --branch {branch:.60}, which git cannot make ({why:.200})")


def deliver_result(state: TeamState) -> None:
    """Writes the patch of a run that is over, and makes its branch if the user wants one.

    Nothing but this branch changes in the user's repository, and no hook of it runs.

    Raises:
        DeliveryError: the branch cannot be made, because it points elsewhere by now, say.
    """
    repository, head = state.repository, state.repository.head()
    base = state.queue.fact("base")
    if base and base != head:
        write_atomically(state.folder / PATCH, repository.patch(base, head))
    if not state.branch:
        return
    place = enclosing_repository(state.plan.source)
    if place is None:
        raise DeliveryError(f"{state.plan.source} is no git repository any more: no branch is made")
    branch = f"refs/heads/{state.branch}"
    ended = try_git("-C", str(place[0]), "rev-parse", "--verify", "--quiet", branch)
    if ended.stdout.decode().strip() == head:
        return
    try:
        git("-c", "protocol.file.allow=always", "-C", str(place[0]), "fetch", "--quiet",
            "--no-tags", "--no-write-fetch-head",
            "--no-auto-maintenance", "--no-recurse-submodules", str(repository.path),
            f"refs/heads/main:{branch}")  # fmt: skip
    except RunError as error:
        if ended.returncode == 0:  # resuming would not help
            raise DeliveryError(
                f"the branch {state.branch:.60} has been made by somebody else meanwhile; the "
                f"result is kept: git fetch {shlex.quote(str(repository.path))} main:ANOTHER"
            ) from error
        raise DeliveryError(
            f"{error}; the result is kept: counterpoint resume {shlex.quote(str(state.folder))} "
            f"makes the branch {state.branch:.60}"
        ) from error
