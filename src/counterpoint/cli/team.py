"""`counterpoint team run PLAN`: a team at work on a repository, and its result."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import RenderableType
from rich.text import Text

from counterpoint.cli.exits import Exit, kept
from counterpoint.cli.messages import say
from counterpoint.cli.progress import Display
from counterpoint.cli.results import command_line, finish
from counterpoint.errors import DeliveryError, SettingError, WorkerError, choices
from counterpoint.report import write_report
from counterpoint.report.page import PAGE
from counterpoint.report.terminal.parts import misses, team_parts
from counterpoint.report.terminal.tables import text_table
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.safe_text import cut
from counterpoint.results import TeamResult
from counterpoint.runs.lock import is_locked
from counterpoint.settings import number_from, split_list, split_pairs
from counterpoint.workers.loop import EPISODES, Progress, run_team
from counterpoint.workers.memory import log_tail
from counterpoint.workers.plan import TopologyName, read_plan
from counterpoint.workers.queue.rows import AttemptRow, RunBudget
from counterpoint.workers.results import PATCH, require_branch, result_of
from counterpoint.workers.sandbox.sandbox import require_ready
from counterpoint.workers.state import LOCK, TeamState
from counterpoint.workers.strangers import require_valid_queue

DEFAULT_OUT = Path("counterpoint-out", "team")
PAUSE_SECONDS = 0.5
LONGEST_LINE = 48
"""Characters of the last line of a log that the table shows."""
_AT_WORK = ("running", "handed", "merging")
_STATES = {"taken": "under way", "handed": "to merge", "given_up": "given up"}
LIMITS: Mapping[str, type] = {
    "tries": int, "seconds": float, "tokens": int, "runs": int, "dollars": float,
}  # fmt: skip
"""Limits of a budget, and their types."""


@dataclass(frozen=True)
class TeamCommand:
    """Let a team work on a repository until its tests pass.

    `team run PLAN` starts a run. PLAN is a TOML file. It names the repository, the command that
    runs its tests, and the kind of worker: a search for small edits that needs no model, any
    command, or a model behind a server. Each failing test is a task, unless the plan lists tasks.
    Every worker starts with a fresh context, in a sandbox with the files of one commit. Its work is
    merged only if the test of its task passes and no test fails that passed before. The result is
    the branch main of the repository in the folder of the run; --branch fetches it into yours,
    where nothing else changes.

    `team status FOLDER` prints how far a run is and draws its page. `counterpoint resume FOLDER`
    continues a run that was stopped or killed.

    Examples:
      counterpoint team run plan.toml
      counterpoint team run plan.toml --topology planner_workers --workers 4
      counterpoint team run plan.toml --topology flat_locks --budget tries=5000,seconds=600
      counterpoint team run plan.toml --branch mended
      counterpoint team status counterpoint-out/team/solo-1 --follow
    """

    action: Annotated[Literal["run", "status"], tyro.conf.Positional]
    """Start a run, or show one."""
    where: Annotated[Path, tyro.conf.Positional]
    """The plan of a new run, or the folder of a run to show."""
    topology: TopologyName = "solo"
    """The members that merge the work: the one worker; every worker, with locks on files; every
    worker, with conflicts if another one was faster; or one merger for all workers."""
    workers: int | None = None
    """Number of workers; default 1 for solo, 4 for every other topology."""
    budget: Annotated[str, tyro.conf.arg(metavar="tries=N,runs=R,seconds=S,tokens=T,dollars=D")] = (
        ""
    )
    """Limits of the whole team, separated by commas; a bare number limits tries. A try is an edit,
    a reply of a model or one run of a command; a run is an attempt at a task."""
    seed: int = 0
    """Seed of all random choices."""
    out: Path | None = None
    """Folder of the run; default counterpoint-out/team/TOPOLOGY-WORKERS."""
    branch: str | None = None
    """For `run`: the new branch of your repository that gets the result when the run is over."""
    follow: bool = False
    """For `status`: show the work of each worker, until the run is over."""
    json: bool = False
    """Print the result as JSON alone."""

    def run(self) -> int:
        """Does the work or loads it, and prints the result."""
        if self.action == "status":
            state = TeamState.load(self.where)
            require_valid_queue(state.queue)
            if self.follow:
                follow(state)
            result = result_of(state)
            page = write_report(result, self.where)
            finish(result, team_parts, None, self.json)
            say(f"page: {page}")
            return 0
        workers = self.workers
        if workers is None:
            workers = 1 if self.topology == "solo" else 4
        folder = self.out or DEFAULT_OUT / f"{self.topology}-{workers}"
        plan = read_plan(self.where)
        state = TeamState(folder, plan, self.topology, workers, seed=self.seed,
                          branch=self.branch or "", **asdict(read_budget(self.budget)))  # fmt: skip
        if self.branch is not None:
            require_branch(plan.source, self.branch)
        require_ready()
        state.create()
        return work_on(folder, self.json)


def work_on(folder: Path, as_json: bool, trust: bool = False) -> int:
    """Lets the team in a folder work, and prints its result; returns the exit status."""
    undelivered: DeliveryError | None = None
    again = f"the team is stopped; {command_line('resume', folder)} continues it"
    try:
        with kept(again, folder), TeamDisplay() as display:
            result = run_team(folder, display, trust)
    except WorkerError as error:
        say(f"page: {folder / PAGE}")
        say(f"counterpoint: {error}")
        return _status(result_of(TeamState.load(folder)))
    except DeliveryError as error:
        undelivered, result = error, result_of(TeamState.load(folder))
    finish(result, team_parts, None, as_json)
    if not as_json:
        say(f"page: {folder / PAGE}")
        say(f"record: {folder / EPISODES}; counterpoint audit reads it")
        if (folder / PATCH).exists():
            say(f"patch: {folder / PATCH}; git am applies it")
        say(f"result: git fetch {shlex.quote(result.repository)} main")
        if result.branch and undelivered is None:
            say(
                f"branch: {result.branch}, in your repository; git merge takes it over"
                if result.over
                else f"branch: {result.branch} is made when the run is over; counterpoint resume "
                f"{shlex.quote(str(folder))} continues it"
            )
    status = _status(result)
    if status == Exit.NOTHING:
        say(f"counterpoint: no task is done: {result.verdict}")
    if undelivered is not None:
        say(f"counterpoint: {undelivered}")
        return max(status, Exit.PART)
    return status


def _status(result: TeamResult) -> Exit:
    """Returns the exit status of a session that has ended with this result."""
    if result.verdict == "done":
        return Exit.DONE
    return Exit.PART if result.over or result.done else Exit.NOTHING


def read_budget(text: str) -> RunBudget:
    """Returns the limits in `tries=100,seconds=5`.

    Raises:
        SettingError: a part has an unknown name or no number, or a limit allows nothing.
    """
    words = (word if "=" in word else f"tries={word}" for word in split_list(text))
    limits = {}
    for name, value in split_pairs(words, "--budget").items():
        if name not in LIMITS:
            raise SettingError(f"got budget {name!r}{choices(name, LIMITS)}")
        limits[name] = number_from(f"budget of {name}", value, LIMITS[name])
    return RunBudget(**limits)


class TeamDisplay(Display):
    """How far a team is; call it with its progress."""

    def __init__(self) -> None:
        super().__init__()
        self.progress: Progress | None = None
        self._reason = ""  # the last failure that a line has named

    def __call__(self, progress: Progress) -> None:
        last, self.progress = self.progress, progress
        if self.prints_lines and (last is None or _counts(progress) != _counts(last)):
            is_known = progress.reason == self._reason
            say(sentence(replace(progress, reason="") if is_known else progress))
            self._reason = progress.reason

    def drawn(self) -> RenderableType:
        """Returns one line."""
        return Text("begins" if self.progress is None else sentence(self.progress))


class WorkersDisplay(Display):
    """What each worker of a running team does: its task, its seconds, the last line of its log.

    `look` reads the state, since a connection to its database belongs to one thread.
    """

    def __init__(self, state: TeamState) -> None:
        super().__init__()
        self.state, self.table = state, text_table(("worker",), ())
        self.printed: set[tuple[int, str]] = set()

    def look(self) -> None:
        """Reads the state of the team, and prints a line for each attempt that has changed."""
        attempts = [a for a in self.state.queue.attempts() if a.status in _AT_WORK]
        counts, now = self.state.queue.counts(), time.time()
        title = f"{counts.get('done', 0)} of {counted(sum(counts.values()), 'task')} done"
        rows = [(a.worker, a.task, f"{now - a.started:.0f}", self._last(a)) for a in attempts]
        self.table = text_table(("worker", "task", "seconds", "last line"), rows, title=title)
        for attempt in attempts:
            key = (attempt.id, attempt.status)
            if self.prints_lines and key not in self.printed:
                self.printed.add(key)
                say(f"{attempt.worker}: {attempt.task}, {attempt.status}")

    def _last(self, attempt: AttemptRow) -> str:
        """Returns the last line of an attempt's log, cut where it would make the row high."""
        lines = log_tail(self.state.folder, attempt.id, 200).splitlines()
        return cut(lines[-1] if lines else attempt.status, LONGEST_LINE)

    def drawn(self) -> RenderableType:
        """Returns the table of the last look."""
        return self.table


def follow(state: TeamState) -> None:
    """Shows a run until no process runs it."""
    with WorkersDisplay(state) as display:
        while is_locked(state.folder / LOCK):
            display.look()
            time.sleep(PAUSE_SECONDS)


def sentence(progress: Progress) -> str:
    """Returns how far a run is, in a line; counts of 0 are left out."""
    now = [f"{progress.tasks[key]} {word}" for key, word in _STATES.items()
           if progress.tasks.get(key)]  # fmt: skip
    parts = [", ".join([f"{_done(progress)} tasks done", *now]), _misses(progress),
             f"tries: {progress.tries:,}", f"iteration {progress.iteration + 1}",
             f"last failure: {progress.reason:.200}" if progress.reason else ""]  # fmt: skip
    return "; ".join(filter(None, parts))


def _done(progress: Progress) -> str:
    return f"{progress.tasks.get('done', 0)} of {sum(progress.tasks.values())}"


def _counts(progress: Progress) -> tuple[str, str]:
    """Returns what a new line is printed for."""
    return _done(progress), _misses(progress)


def _misses(progress: Progress) -> str:
    return misses(*(progress.attempts.get(status, 0) for status in ("failed", "conflict", "lost")))
