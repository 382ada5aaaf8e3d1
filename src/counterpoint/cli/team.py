"""`counterpoint team run PLAN`: a team at work on a repository, and its result."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.text import Text

from counterpoint.cli.messages import printable, say
from counterpoint.cli.output import print_json, print_result
from counterpoint.cli.results import PAGE
from counterpoint.cli.team_follow import follow
from counterpoint.errors import SettingError, WorkerError
from counterpoint.report import write_report
from counterpoint.report.terminal.team import misses, team_parts
from counterpoint.results import TeamResult, document_of
from counterpoint.settings import number_from, split_list, split_pairs
from counterpoint.workers.deliver import PATCH, require_branch
from counterpoint.workers.loop import EPISODES, Progress, run_team
from counterpoint.workers.plan import TopologyName, read_plan
from counterpoint.workers.results import result_of
from counterpoint.workers.sandbox.sandbox import require_ready
from counterpoint.workers.state import TeamState
from counterpoint.workers.strangers import require_valid_queue

DEFAULT_OUT = Path("counterpoint-out", "team")
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
      counterpoint team run plan.toml                                       one worker, in a loop
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
    """Who merges the work: the one worker; every worker, with locks on files; every worker, with
    conflicts if another one was faster; or one merger for all workers."""
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
    branch: str = ""
    """For `run`: the new branch of your repository that gets the result when the run is over."""
    follow: bool = False
    """For `status`: show the work of each worker, until the run is over."""
    json: bool = False
    """Print the result as JSON alone."""

    def run(self) -> int:
        """Do the work or load it, and print the result."""
        if self.action == "status":
            state = TeamState.load(self.where)
            require_valid_queue(state.queue)
            if self.follow:
                follow(self.where)
            result = result_of(state)
            page = write_report(result, self.where)
            print_json(document_of(result)) if self.json else print_result(*team_parts(result))
            say(f"page: {page}")
            return 0
        workers = self.workers or (1 if self.topology == "solo" else 4)
        folder = self.out or DEFAULT_OUT / f"{self.topology}-{workers}"
        plan = read_plan(self.where)
        state = TeamState(folder, plan, self.topology, workers, seed=self.seed,
                          branch=self.branch, **read_budget(self.budget))  # fmt: skip
        if self.branch:
            require_branch(plan.source, self.branch)
        require_ready()
        state.create()
        return work_on(folder, self.json)


def work_on(folder: Path, as_json: bool, trust: bool = False) -> int:
    """Let the team in a folder work, and print its result."""
    try:
        with shown_progress() as tell:
            result = run_team(folder, tell, trust)
    except (KeyboardInterrupt, SystemExit):
        again = shlex.quote(str(folder))
        say(f"counterpoint: the team is stopped; counterpoint resume {again} continues it")
        raise
    except WorkerError as error:
        say(f"page: {folder / PAGE}")
        say(f"counterpoint: {error}")
        return 1
    if as_json:
        print_json(document_of(result))
    else:
        print_result(*team_parts(result))
        say(f"page: {folder / PAGE}")
        say(f"record: {folder / EPISODES}; counterpoint audit reads it")
        if (folder / PATCH).exists():
            say(f"patch: {folder / PATCH}; git am applies it")
        say(f"result: git fetch {shlex.quote(result.repository)} main")
        if result.branch:
            say(f"branch: {_branch(result, folder)}")
    return 0 if result.verdict == "done" else 1


def _branch(result: TeamResult, folder: Path) -> str:
    """Returns which branch has the result, or what makes it."""
    if result.over:
        return f"{result.branch}, in your repository; git merge takes it over"
    return (f"{result.branch} is made when the run is over; counterpoint resume "
            f"{shlex.quote(str(folder))} continues it")  # fmt: skip


def read_budget(text: str) -> dict[str, Any]:
    """Returns `tries=100,seconds=5` as a mapping.

    Raises:
        SettingError: a part has an unknown name, or no number.
    """
    words = (word if "=" in word else f"tries={word}" for word in split_list(text))
    limits: dict[str, Any] = {}
    for name, value in split_pairs(words, "--budget").items():
        if name not in LIMITS:
            raise SettingError(f"got budget {name!r}; wanted one of {', '.join(LIMITS)}")
        # 30 digits are beyond every limit, and no longer number becomes a float
        limits[name] = number_from(f"budget of {name}", value[:30], LIMITS[name])
    return limits


@contextmanager
def shown_progress() -> Iterator[Callable[[Progress], None]]:
    """A line on standard error that is updated in place, or a line for each change if that is no
    terminal."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("begins") as line:
            yield lambda progress: line.update(Text(printable(sentence(progress))))
        return
    last, reason = "", ""

    def tell(progress: Progress) -> None:
        nonlocal last, reason
        if (new := f"{_done(progress)}, {_misses(progress)}") != last:
            last = new
            known = progress.reason == reason
            say(sentence(replace(progress, reason="") if known else progress))
            reason = progress.reason

    yield tell


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


def _misses(progress: Progress) -> str:
    return misses(*(progress.attempts.get(status, 0) for status in ("failed", "conflict", "lost")))
