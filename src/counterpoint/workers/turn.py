"""One turn of one member, in a process of its own that starts from nothing but the files of a run.

    python -m counterpoint.workers.turn RUN ROLE MEMBER PARENT

Whatever kills it, the others go on: what it held is given back, and what it had not finished is
done anew. `plan` lists what is to be done, `work` does one task, `merge` merges what was handed up,
`judge` decides whether to go on.

Workers land work side by side, so the tests that have to pass belong to a commit, never to a
moment: `head_and_passing` reads both as one. The set is stored before its commit becomes the head.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from counterpoint.errors import (
    BusyError,
    CounterpointError,
    MissingPackageError,
    OutputError,
    SettingError,
    WorkerError,
)
from counterpoint.workers.gate.checks import Results, check_failure, run_tests
from counterpoint.workers.gate.gate import restore_protected, without_new_tests
from counterpoint.workers.members import ABSENT, IGNORED, do_task, locate, refused_text
from counterpoint.workers.memory import AttemptLog, store_notes, with_last_failure, with_notes
from counterpoint.workers.queue.queue import BREAKS, Claim, choose_apart, choose_by_payoff
from counterpoint.workers.queue.rows import TeamTask
from counterpoint.workers.repository.files import escaped_path
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.state import TeamState

NOTHING = 3
"""Exit status of a worker that found no open task."""
IN_VAIN = 4
"""Exit status of a turn that would fail again for the same reason: the loop stops."""
POLL_SECONDS = 0.02


def main(words: Sequence[str]) -> int:
    """Takes one turn, and returns its exit status."""
    folder, role, member, parent = words
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: no orphan works on
    if os.getppid() != int(parent):
        return 1
    state = TeamState.load(Path(folder))
    try:
        return {"plan": plan, "work": work, "merge": merge, "judge": judge}[role](state, member)
    except BusyError as lost:
        state.queue.log(member, "action", f"gives up: {lost}")
        return 0
    except (CounterpointError, OSError) as error:
        sys.stderr.write(f"{member}: {error}\n")
        state.queue.log(member, "action", f"fails: {error}", error=str(error))
        if isinstance(error, WorkerError | SettingError | MissingPackageError):
            state.queue.put("stopped", str(error))
            return IN_VAIN
        return 1


def plan(state: TeamState, member: str) -> int:
    """Adds what is to be done to the queue: the plan's tasks, or each test that fails.

    Raises:
        WorkerError: the tests do not run, and never did.
    """
    queue, config, head = state.queue, state.plan, state.repository.head()
    content = state.repository.content(head)
    results = record_tests(state, head)
    if results.problem:
        if queue.fact("first") is None:
            raise WorkerError(f"the tests do not run: {results.problem}")
        return _no_tests(state, member, results)
    queue.put("planned", head)
    if queue.fact("first") is None:
        queue.put("first", {"passed": len(results.passed), "failed": sorted(results.failed)})
    tasks = [TeamTask(**{**vars(t), "text": t.text or t.title or t.id}) for t in config.task
             if t.check or not (t.test and t.test in results.passed)]  # fmt: skip
    if config.from_tests or not config.task:
        failed = sorted(results.failed - {task.test for task in config.task})
        where = _locations(state, member, content, failed)
        for test in failed:
            files, size = where.get(test, ((), 1))
            tasks.append(TeamTask(test, f"Make the test {test} pass.", test, files, size=size))
    new = queue.add(tasks, config.attempts)
    again = queue.reopen([t.id for t in tasks], config.attempts)
    queue.log(member, "message", f"{len(tasks)} tasks, {new} of them new, {again} opened again",
              "workers", tasks=[t.id for t in tasks])  # fmt: skip
    return 0


def _locations(
    state: TeamState, member: str, content: Content, tests: Sequence[str]
) -> dict[str, tuple[tuple[str, ...], int]]:
    """Returns where new tests run, for `search` alone, and logs those that it cannot take."""
    known = {task.id for task in state.queue.tasks()}
    new = [test for test in tests if test not in known]
    where = locate(state.plan, content, new) if state.plan.worker.kind == "search" else {}
    cannot = [escaped_path(test) for test, (files, _) in where.items() if not files]
    if cannot:
        state.queue.log(member, "action", f"search cannot take {len(cannot)} of {len(new)} new "
                        f"tasks: {', '.join(cannot)[:300]}", tasks=cannot)  # fmt: skip
    return where


def _no_tests(state: TeamState, member: str, results: Results) -> int:
    """Logs that tests which ran before do not run now; the turn fails, and is taken again."""
    why = f"the tests do not run: {results.problem}"
    state.queue.log(member, "action", why, error=results.problem)
    sys.stderr.write(f"{why}\n")
    return 1


def work(state: TeamState, member: str) -> int:
    """Takes one task, does it in a sandbox, and lands it or hands it up."""
    queue, config = state.queue, state.plan
    choose = choose_by_payoff if config.worker.choose == "payoff" else None
    if state.topology == "planner_workers":
        choose = choose_apart
    reserve = 1 if config.worker.kind == "command" else config.worker.tries
    claim = queue.claim(member, lease_seconds=config.lease, reserve=reserve,
                        budget=state.budget, choose=choose)  # fmt: skip
    if claim is None:
        return NOTHING
    if state.topology == "flat_locks":
        _take_locks(state, claim)
    base, passed = head_and_passing(state)
    if claim.task.test and claim.task.test in passed and not claim.task.check:
        queue.end_needless(claim)
        return 0
    # others may have used it up while this attempt waited for its locks
    if used_up := state.budget.used_up(queue.spent(), reserved=True):
        queue.note(claim, tokens=0, dollars=0.0)
        queue.failed(claim, "lost", f"the budget of {used_up} was used up before it began")
        return 0
    keep = tuple(sorted(passed))
    claim = with_last_failure(state, claim)
    repository = state.repository
    content = with_notes(state, member, repository.content(base))
    made = do_task(config, claim.task, content, keep, claim.reserved,
                   state.seed * 100_003 + claim.attempt,
                   on_output=AttemptLog(state, claim.attempt).write)  # fmt: skip
    made = store_notes(state, member, made, content)
    note = "; ".join(filter(None, [refused_text(made, without=IGNORED), made.note]))[:500]
    queue.note(claim, base=base, cost=made.cost, note=note,
               tokens=made.usage.tokens, dollars=made.usage.dollars)  # fmt: skip
    # a budget on a number that is unknown cannot hold, and a malformed file of usage is a mistake;
    # a command that has no such file is only counted
    unknown = [name for name in ("tokens", "dollars") if getattr(made.usage, name) is None]
    limited = [name for name in unknown if getattr(state, name) is not None]
    if limited or (unknown and made.usage.problem not in ("", ABSENT)):
        why = made.usage.problem or "the plan names no price"
        queue.log(member, "action", f"unknown {' and '.join(unknown)}: {why}", unknown=unknown)
    if made.refused:
        queue.log(member, "action", refused_text(made),
                  refused=[escaped_path(path) for path in sorted(made.refused)])  # fmt: skip
    changes = {**dict.fromkeys(made.removed), **made.files}
    tree = repository.changed_tree(base, changes) if changes else ""
    if not changes or tree == repository.tree(base):
        queue.failed(claim, "failed", note or "the attempt changed nothing")
        return 0
    commit = repository.commit(tree, (base,), _message(state, claim), member)
    changed = [escaped_path(path) for path in repository.changed(base, commit)]
    queue.note(claim, made=commit, files=changed)
    queue.log(member, "action", f"edits {', '.join(changed)[:500]}", task=claim.task.id,
              name="edit", note=made.note[:200])  # fmt: skip
    if state.topology == "planner_workers":
        queue.hand_over(claim, commit)
        queue.log(member, "message", f"{claim.task.id} is done", "planner")
    else:
        land(state, claim, commit, base)
    return 0


def merge(state: TeamState, member: str) -> int:
    """Merges everything that was handed up, one after the other."""
    for claim, attempt in state.queue.handed():
        begun = time.monotonic()
        land(state, claim, attempt.made, attempt.base)
        state.queue.count("merge_seconds", time.monotonic() - begun)
    return 0


def judge(state: TeamState, member: str) -> int:
    """Runs all tests on the head, and decides whether to go on."""
    queue = state.queue
    results = record_tests(state, state.repository.head())
    if results.problem:
        return _no_tests(state, member, results)
    queue.mark_done(results.passed)
    tasks = queue.tasks()
    wanted = {task.test for task in tasks if task.test}
    undone = {task.id for task in tasks
              if task.status != "done" and (task.check or not task.test)}  # fmt: skip
    failing = sorted((wanted - results.passed) | undone)
    before = queue.fact("failing")
    queue.put("failing", failing)
    iteration = queue.fact("iteration", 0) + 1
    used_up = state.budget.used_up(queue.spent())
    if not failing:
        verdict = "done"
    elif used_up:
        verdict = f"the budget of {used_up} is used up"
    elif before is not None and len(failing) >= len(before):
        verdict = "the last iteration gained nothing"
    elif iteration >= state.plan.iterations:
        verdict = "the plan allows no more iterations"
    else:
        verdict = ""
    queue.put("iteration", iteration)
    queue.put("verdict", verdict)
    queue.log(member, "message", f"{len(failing)} tasks left: {verdict or 'go on'}", "planner",
              verdict=verdict)  # fmt: skip
    return 0


def land(state: TeamState, claim: Claim, commit: str, base: str) -> None:
    """Makes a commit part of the head: merged, tested, and only if the head is still the same."""
    queue, repository = state.queue, state.repository
    while True:
        head, required = head_and_passing(state)
        new = commit
        if head != base:
            # optimistic concurrency refuses a file that both changed, not only the same lines
            if state.topology == "flat_optimistic":
                clash = {*repository.changed(base, head)} & {*repository.changed(base, commit)}
                if clash:
                    why = f"another worker changed {', '.join(sorted(clash))}"
                    return queue.failed(claim, "conflict", why)
            merged = repository.merge(head, commit)
            if merged.tree is None:
                why = f"another worker changed the same lines of {', '.join(merged.conflicts)}"
                return queue.failed(claim, "conflict", why)
            tree = restore_protected(state.plan, repository, head, merged.tree)
            new = repository.commit(tree, (head,), _message(state, claim), "merge")
        planned = queue.fact("planned", base)
        content = without_new_tests(state.plan, repository.content(new), planned)
        results = run_tests(state.plan, content, files=tests_of_tasks(state))
        broken = sorted(required - results.passed)
        why = results.problem
        if broken or (claim.task.test and claim.task.test not in results.passed):
            why = why or f"{BREAKS} {', '.join(broken) or claim.task.test}"
        if why := why or check_failure(state.plan, claim.task.check, content):
            return queue.failed(claim, "failed" if head == base else "conflict", why[:500])
        queue.renew(claim, state.plan.lease)
        queue.record_passing(new, results.passed)  # before anybody can see it as the head
        queue.merging(claim, new, head)
        if repository.advance(new, head):
            queue.merged(claim)
            return queue.forget_passing(head)
        queue.forget_passing(new)


def _take_locks(state: TeamState, claim: Claim) -> None:
    """Waits for locks on the files of a task, or on the whole repository if none are known."""
    begun = time.monotonic()
    paths = claim.task.files or ("*",)
    while not state.queue.lock(claim, paths):
        time.sleep(POLL_SECONDS)
        state.queue.renew(claim, state.plan.lease)
    waited = time.monotonic() - begun
    state.queue.note(claim, waited=waited)
    if waited > 2 * POLL_SECONDS:
        state.queue.log("locks", "action", f"{claim.task.id} waited {waited:.2f} s", seconds=waited)


def _message(state: TeamState, claim: Claim) -> str:
    """Returns the message of a commit, as the plan words it."""
    task = claim.task
    if state.plan.message:
        values = {"{title}": task.title or task.id, "{task}": task.id}
        return re.sub(r"\{(?:title|task)\}", lambda match: values[match[0]], state.plan.message)
    return f"{claim.task.id}\n\nTask: {claim.task.id}\nAttempt: {claim.attempt}"


def head_and_passing(state: TeamState) -> tuple[str, frozenset[str]]:
    """Returns the head, and the names of the tests that pass at this commit.

    Raises:
        WorkerError: nobody has tested the head yet, and its tests do not run.
    """
    while True:
        head = state.repository.head()
        passed = state.queue.passing(head)
        if passed is not None:
            return head, passed
        if state.repository.head() != head:
            continue  # another worker landed a commit in between, and the old set is gone
        results = record_tests(state, head)
        if results.problem:
            raise WorkerError(f"the tests do not run: {results.problem}")
        return head, results.passed


def record_tests(state: TeamState, commit: str) -> Results:
    """Runs all tests on a commit, writes down which of them pass, and returns the results."""
    results = run_tests(state.plan, state.repository.content(commit), files=tests_of_tasks(state))
    if not results.problem:
        state.queue.record_passing(commit, results.passed)
    return results


def tests_of_tasks(state: TeamState) -> frozenset[str]:
    """Returns the tests of all tasks; some may be files that could not be imported."""
    return frozenset(task.test for task in state.queue.tasks() if task.test)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OutputError as full:
        sys.exit(str(full))
