"""The loop: plan, work, judge, and again, until there is nothing to do or nothing left to spend.

This process only starts others and waits: every turn is a process of its own, which begins with
nothing but the files of the run. Any of them can be killed, this one too. Start with `run_team`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from counterpoint.errors import WorkerError
from counterpoint.readers.episodes import encode
from counterpoint.report.page import write_report
from counterpoint.results import TeamResult, document_of
from counterpoint.runs.files import sweep_partial, write_atomically
from counterpoint.runs.lock import Lock
from counterpoint.workers.keys import passed_variables
from counterpoint.workers.queue.queue import REPEATED_FAILURES
from counterpoint.workers.results import deliver_result, episode_of, result_of
from counterpoint.workers.sandbox.sandbox import SandboxInputs, require_ready, run
from counterpoint.workers.state import LOCK, TeamState
from counterpoint.workers.strangers import require_trusted, require_valid_queue
from counterpoint.workers.turn import IN_VAIN, NOTHING, POLL_SECONDS

RESULT, EPISODES = "result.json", "episodes.jsonl"
FAILURES_IN_A_ROW = 5
"""Turns that fail one after the other, for each worker, before the loop gives up."""

TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """The progress of a run."""

    tasks: Mapping[str, int]
    """Status to how many tasks have it."""
    attempts: Mapping[str, int]
    """Status to how many attempts have it."""
    tries: int
    """Tries that all attempts have spent."""
    iteration: int
    """Number of the iteration, from 0."""
    reason: str
    """Why the last attempt failed; "" if none did."""


@dataclass
class _Members:
    """The processes that are under way."""

    state: TeamState
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    failed: int = 0
    begun: float = field(default_factory=time.time)
    """When this session began, in seconds since 1970."""
    started: float = field(default_factory=time.monotonic)
    """The same on the clock that nobody sets, by which the budget of seconds is counted."""
    noted: float = -TICK_SECONDS

    def live(self) -> None:
        """Notes once in half a second that this session is alive: if it is killed, this counts."""
        if self.seconds - self.noted > TICK_SECONDS:
            self.noted = self.seconds
            self.state.queue.tick(self.begun, self.seconds)

    @property
    def seconds(self) -> float:
        """Seconds since this session began."""
        return time.monotonic() - self.started

    def start(self, role: str, member: str) -> None:
        line = [sys.executable, "-m", "counterpoint.workers.turn", str(self.state.folder), role]
        line += [member, str(os.getpid())]
        log = self.state.folder / "members.log"
        with log.open("ab") as file:
            self.running[member] = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def ended(self) -> list[tuple[str, int]]:
        """Returns which members have ended, with the exit status, and gives back what they held."""
        gone = [(m, p.returncode) for m, p in self.running.items() if p.poll() is not None]
        for member, status in gone:
            del self.running[member]
            if status in (0, NOTHING):
                self.failed = 0
                continue
            self.failed += 1
            queue = self.state.queue
            how = f"signal {-status}" if status < 0 else f"status {status}"
            in_vain = str(queue.fact("stopped", how)) if status == IN_VAIN else ""
            why = in_vain or f"the process of the attempt ended with {how}"
            queue.release(member, self.state.repository.contains, why)
            queue.log("loop", "message", f"{member} ended with {how}", status=status)
            if in_vain:
                raise WorkerError(in_vain)
        if self.failed > FAILURES_IN_A_ROW * (self.state.workers + 1):
            log = self.state.folder / "members.log"
            last = " | ".join(log.read_text("utf-8", "replace").strip().splitlines()[-2:])
            raise WorkerError(f"{self.failed} turns failed one after the other; the last lines of "
                              f"{log} are: {last[:300]}")  # fmt: skip
        return gone

    def stop(self) -> None:
        """Kills everybody at work, and gives back what they held."""
        members, self.running = self.running, {}
        for process in members.values():
            process.kill()
        for process in members.values():
            process.wait()
        contains, why = self.state.repository.contains, "the run ended during the attempt"
        # nobody is left; the merger, which holds attempts of others, may have been killed too
        self.state.queue.recover(contains, everybody=True, why=why)


def run_team(
    folder: Path, on_progress: Callable[[Progress], None] | None = None, trust: bool = False
) -> TeamResult:
    """Lets the team in a folder work until it is done, and returns its result.

    The same call again resumes the run, however it ended.

    Args:
        folder: the folder of the run.
        on_progress: called with the progress about twice a second.
        trust: whether a run that was not started here gets what its plan takes from this machine.

    Raises:
        RunError: there is no team, or one that was not started here and is not trusted.
        SettingError: a variable of the plan's `pass_env` is not in the environment.
        BusyError: another process runs it.
        MissingPackageError: there is no sandbox for agents' code.
        WorkerError: a turn fails for a reason that no other turn can mend (a server that refuses
            the key, tests that never ran), or turns fail again and again. The reason is stored, and
            the same call resumes the run once it is mended.
        DeliveryError: the run is over, and its branch cannot be made.
        OutputError: the folder of the run cannot be written to any more.
    """
    state = TeamState.load(folder)
    require_trusted(state.folder, state.plan, state.seal, trust)
    require_valid_queue(state.queue)
    require_ready()
    passed_variables(state.plan)
    lock = Lock(folder / LOCK)
    queue, members = state.queue, _Members(state)
    try:
        queue.recover(state.repository.contains, everybody=True)
        queue.close_session()  # of a session that was killed
        queue.put("stopped", "")
        queue.tick(members.begun, members.seconds)
        queue.log("loop", "message", "begins")
        if swept := state.repository.sweep() + sweep_partial(folder):
            queue.log("loop", "message", f"half-written files of killed members removed: {swept}")
        try:
            _set_up(state)
            _loop(state, members, on_progress or (lambda progress: None))
        except WorkerError as error:
            queue.put("stopped", str(error))
            raise
        finally:
            members.stop()
            queue.tick(members.begun, members.seconds)
            queue.close_session()
            result = result_of(state)
            write_report(result, state.folder)
            write_atomically(state.folder / RESULT, json.dumps(document_of(result)))
            write_atomically(state.folder / EPISODES, encode(episode_of(state)))
        if queue.fact("verdict"):
            deliver_result(state)
        return result
    finally:
        lock.release()


def _set_up(state: TeamState) -> None:
    """Runs the plan's `setup` if it has one and that was not done yet."""
    plan, repository = state.plan, state.repository
    if not plan.setup or repository.setup:
        return
    state.queue.log("loop", "message", "runs setup")
    inputs = SandboxInputs(env=plan.env, readable=plan.readable_folders, network=plan.setup_network)
    ended = run(["/bin/sh", "-c", plan.setup], repository.content(repository.head()),
                plan.worker_limits, inputs, collect=False, keep_setup=True)  # fmt: skip
    if ended.status != 0:
        why = ended.stopped or ended.tail(300)
        raise WorkerError(f"setup failed ({why or f'status {ended.status}'})")
    repository.keep_setup(ended.setup)


def _loop(state: TeamState, members: _Members, report: Callable[[Progress], None]) -> None:
    queue = state.queue
    if queue.fact("verdict"):
        return None
    while True:
        _run_alone(members, "plan", "planner")
        _work(state, members, report)
        late, alike = _time_is_up(state, members), _repeated_failure(state, members.begun)
        _run_alone(members, "judge", "judge")
        report(_progress(state))
        if late and not queue.fact("verdict"):
            queue.put("verdict", "the budget of seconds is used up")
        if alike and queue.fact("verdict") != "done":
            queue.put("verdict", "")  # it is no verdict on the tasks: a resumed run goes on
            why = f"{REPEATED_FAILURES} attempts in a row failed the same way: {alike}"
            return queue.put("stopped", why)
        if queue.fact("verdict"):
            return None


def _run_alone(members: _Members, role: str, member: str) -> None:
    """Runs one turn while nobody else works, again if it fails."""
    while True:
        members.start(role, member)
        while members.running[member].poll() is None:
            members.live()
            time.sleep(POLL_SECONDS)
        if all(status == 0 for _, status in members.ended()):
            return


def _work(state: TeamState, members: _Members, report: Callable[[Progress], None]) -> None:
    """Runs turns of workers and of the merger until nothing is open and nothing is under way.

    Once a budget is used up, no attempt begins, and those that have begun are brought to their end:
    they are paid for. Only the budget of seconds ends them too. Nobody works on when this returns,
    so the head that the judge tests is the result.
    """
    queue = state.queue
    names = [f"worker_{i + 1}" for i in range(state.workers)]
    shown = 0.0
    while True:
        members.live()
        members.ended()
        if _time_is_up(state, members):
            # what is merging has passed its tests, and is the head in a moment
            if not members.running or all(a.status != "merging" for a in queue.attempts()):
                return members.stop()
            time.sleep(POLL_SECONDS)
            continue
        spent_all = state.budget.used_up(queue.spent()) or _repeated_failure(state, members.begun)
        open_now = 0 if spent_all else queue.ready()
        handed = queue.counts().get("handed", 0)
        if handed and "merger" not in members.running:
            members.start("merge", "merger")
        for name in [n for n in names if n not in members.running][:open_now]:
            members.start("work", name)
        if not members.running and not open_now and not handed:
            return None
        if time.monotonic() - shown > 0.5:
            shown = time.monotonic()
            report(_progress(state))
        time.sleep(POLL_SECONDS)


def _time_is_up(state: TeamState, members: _Members) -> bool:
    """Returns whether the sessions have lasted as long as the budget of seconds allows."""
    seconds = state.queue.fact("seconds", 0.0) + members.seconds
    return state.seconds is not None and seconds >= state.seconds


def _repeated_failure(state: TeamState, begun: float) -> str:
    """Returns the reason for which the newest attempts all failed, or ""."""
    # a search may be right that small edits are not enough for one task after the other
    return "" if state.plan.worker.kind == "search" else state.queue.repeated_failure(begun)


def _progress(state: TeamState) -> Progress:
    queue = state.queue
    return Progress(queue.counts(), queue.outcomes(), queue.spent().tries,
                    queue.fact("iteration", 0), queue.last_reason())  # fmt: skip
