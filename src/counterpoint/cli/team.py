"""`counterpoint team run PLAN`: a team at work on a repository, and its result."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from counterpoint.cli.messages import printable, say
from counterpoint.cli.output import print_json, print_result
from counterpoint.cli.results import PAGE
from counterpoint.cli.team_follow import follow
from counterpoint.errors import SettingError, WorkerError
from counterpoint.report import write_report
from counterpoint.report.pages.team import headline
from counterpoint.report.toolkit.numerals import counted, significant
from counterpoint.workers.deliver import PATCH, require_branch
from counterpoint.workers.loop import EPISODES, Progress, run_team
from counterpoint.workers.plan import TopologyName, read_plan
from counterpoint.workers.results import result_of
from counterpoint.workers.sandbox.sandbox import require_ready
from counterpoint.workers.state import TeamState
from counterpoint.workers.strangers import require_sound

DEFAULT_OUT = Path("counterpoint-out", "team")
_STATES = {"taken": "under way", "handed": "to merge", "given_up": "given up"}
_MISSES = {"failed": "failed attempt", "conflicts": "conflict", "lost": "lost attempt"}
_BUDGET = re.compile(r"(?:(tries|seconds|tokens|runs|dollars)=)?(\d+(?:\.\d+)?)")


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
            require_sound(state.queue)
            if self.follow:
                follow(self.where)
            shown = result_of(state)
            page = write_report(shown, self.where)
            print_json(shown) if self.json else print_result(*tables(shown))
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
            document = run_team(folder, tell, trust)
    except (KeyboardInterrupt, SystemExit):
        again = shlex.quote(str(folder))
        say(f"counterpoint: the team is stopped; counterpoint resume {again} continues it")
        raise
    except WorkerError as error:
        say(f"page: {folder / PAGE}")
        say(f"counterpoint: {error}")
        return 1
    if as_json:
        print_json(document)
    else:
        print_result(*tables(document))
        say(f"page: {folder / PAGE}")
        say(f"record: {folder / EPISODES}; counterpoint audit reads it")
        if (folder / PATCH).exists():
            say(f"patch: {folder / PATCH}; git am applies it")
        say(f"result: git fetch {shlex.quote(document['repository'])} main")
        if document["branch"]:
            say(f"branch: {_branch(document, folder)}")
    return 0 if document["verdict"] == "done" else 1


def _branch(document: Mapping[str, Any], folder: Path) -> str:
    """Which branch has the result, or what makes it."""
    if document["over"]:
        return f"{document['branch']}, in your repository; git merge takes it over"
    return (f"{document['branch']} is made when the run is over; counterpoint resume "
            f"{shlex.quote(str(folder))} continues it")  # fmt: skip


def read_budget(told: str) -> dict[str, Any]:
    """Returns `tries=100,seconds=5` as a mapping.

    Raises:
        SettingError: a part has an unknown name, or no number.
    """
    found: dict[str, Any] = {}
    for word in filter(None, told.split(",")):
        match = _BUDGET.fullmatch(word)
        if match is None:
            raise SettingError(f"got budget {word!r}; wanted tries=N, seconds=S, tokens=T, runs=R "
                               "or dollars=D")  # fmt: skip
        name = match[1] or "tries"
        if name in found:
            raise SettingError(f"got two budgets of {name}; wanted each of them once")
        whole = name not in ("seconds", "dollars")
        if whole and "." in match[2]:
            raise SettingError(f"got a budget of {name}={match[2]}; wanted a whole number")
        found[name] = int(match[2][:30]) if whole else float(match[2])
    return found


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A line on standard error that is updated in place, or a line for each change if that is no
    terminal."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("begins") as line:
            yield lambda told: line.update(Text(printable(sentence(told))))
        return
    last, reason = "", ""

    def tell(told: dict[str, Any]) -> None:
        nonlocal last, reason
        if (new := f"{told.get('done', 0)} of {_tasks(told)}, {_misses(told)}") != last:
            last = new
            say(sentence({**told, "reason": told["reason"] if told["reason"] != reason else ""}))
            reason = told["reason"]

    yield tell


def sentence(told: Mapping[str, Any]) -> str:
    """How far a run is, in a line; counts of 0 are left out."""
    now = [f"{told[key]} {word}" for key, word in _STATES.items() if told.get(key)]
    parts = [", ".join([f"{told.get('done', 0)} of {_tasks(told)} tasks done", *now]),
             _misses(told), f"tries: {told['spent']:,}", f"iteration {told['iteration'] + 1}",
             f"last failure: {told['reason']:.200}" if told["reason"] else ""]  # fmt: skip
    return "; ".join(filter(None, parts))


def _misses(told: Mapping[str, Any]) -> str:
    return ", ".join(counted(told[key], noun) for key, noun in _MISSES.items() if told[key])


def _tasks(told: Mapping[str, Any]) -> int:
    return sum(told.get(name, 0) for name in ("open", "taken", "handed", "done", "given_up"))


def tables(document: Mapping[str, Any]) -> list[Any]:
    """The finding in a sentence, the numbers behind it, and the reason of each task left."""
    table = Table(show_header=False, box=SIMPLE_HEAD)
    large, speed = document["large"], document["throughput"]
    rows = [
        ("team", f"{document['name']}: {document['topology']}, "
                 f"{counted(document['workers'], 'worker')}"),
        ("reason", document["verdict"].partition(": ")[2]),
        ("large tasks", large["tasks"] and f"{large['done']} of {large['tasks']} are done"),
        ("attempts", f"{document['attempts']} in all; {_misses(document) or 'none failed'}"),
        ("tries", f"{document['tries']:,}"),
        ("seconds", f"{document['seconds']:.1f}"),
        ("throughput", f"{significant(speed['per_1000_tries'])} tasks for 1,000 tries, "
                       f"{significant(speed['per_minute'])} a minute"),
        ("wasted", _share(document["wasted"], "of the tries, by conflicts and lost attempts")),
        ("tokens", _used(document, "tokens", ",d")),
        ("dollars", _used(document, "dollars", ".2f")),
        ("waiting for locks", _share(document["lock_wait"], "of the workers' time")),
        ("churn", _share(document["churn"], "of added lines are gone in the end")),
    ]  # fmt: skip
    for name, told in rows:
        if told:
            table.add_row(name, Text(told))
    title = headline(document["done"], document["tasks"], document["verdict"])
    left = [Text(f"not done: {one['task']} ({counted(one['attempts'], 'attempt')}): "
                 f"{one['reason']}") for one in document["unfinished"]]  # fmt: skip
    return [Text(title), table, *left]


def _used(document: Mapping[str, Any], name: str, form: str) -> str:
    """What was used, and how many attempts did not report it."""
    count, attempts = document["unknown"][name], document["attempts"]
    if count and count == attempts:
        return "not reported"
    known = f"{document[name]:{form}}"
    return f"{known}; {count} of {counted(attempts, 'attempt')} did not report" if count else known


def _share(value: float | None, of: str) -> str:
    return "not known" if value is None else f"{value:.0%} {of}"
