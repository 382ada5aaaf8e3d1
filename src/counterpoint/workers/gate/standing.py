"""What the head of a team is worth: the commit and the tests that pass at it, read as one.

Workers land work side by side, so the tests that have to pass belong to a commit, never to a
moment. The set is written down before its commit becomes the head. Start with `standing`.
"""

from __future__ import annotations

from counterpoint.errors import WorkerError
from counterpoint.workers.gate.checks import Results, run_tests
from counterpoint.workers.state import TeamState


def standing(state: TeamState) -> tuple[str, frozenset[str]]:
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
        results = tested(state, head)
        if results.problem:
            raise WorkerError(f"the tests do not run: {results.problem}")
        return head, results.passed


def tested(state: TeamState, commit: str) -> Results:
    """Runs all tests on a commit, writes down which of them pass, and returns the results."""
    results = run_tests(state.plan, state.repository.content(commit), files=tasks_of(state))
    if not results.problem:
        state.queue.passes(commit, results.passed)
    return results


def tasks_of(state: TeamState) -> frozenset[str]:
    """Returns the tests of all tasks; some may be files that could not be imported."""
    return frozenset(task.test for task in state.queue.tasks() if task.test)
