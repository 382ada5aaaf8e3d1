"""`counterpoint team run PLAN`: a team at work on a repository, and what came of it."""

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

from counterpoint.cli.output import print_json, print_result, printable, say
from counterpoint.cli.results import PAGE
from counterpoint.cli.team_follow import follow
from counterpoint.errors import SettingError, WorkerError
from counterpoint.report import write_report
from counterpoint.report.numerals import counted
from counterpoint.team.deliver import PATCH, require_branch
from counterpoint.team.loop import EPISODES, Progress, run_team
from counterpoint.team.plan import TopologyName, read_plan
from counterpoint.team.results import result_of
from counterpoint.team.sandbox import require_ready
from counterpoint.team.state import TeamState
from counterpoint.team.strangers import require_sound

DEFAULT_OUT = Path("counterpoint-out", "team")
_BUDGET = re.compile(r"(?:(tries|seconds|tokens|runs|dollars)=)?(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class TeamCommand:
    """Let a team work on a repository until its tests pass.

    PLAN is a TOML file: the repository, the command that runs its tests, and who works: a search
    for edits that needs no model, any command, or a model behind a server. Each failing test is a
    task, unless the plan lists tasks. Every turn starts from nothing, in a sandbox with the files
    of one commit; what it makes is merged only if no test that passed fails. Your repository is
    never written to: the result is the branch main of the repository in the run's folder.

    `status` shows a run, under way or over, and draws its page; `counterpoint resume FOLDER` goes
    on with one.

    Examples:
      counterpoint team run plan.toml                                       one agent, in a loop
      counterpoint team run plan.toml --topology planner_workers --workers 4
      counterpoint team run plan.toml --topology flat_locks --budget tries=5000,seconds=600
      counterpoint team run plan.toml --branch mended
      counterpoint team status counterpoint-out/team/solo-1 --follow
    """

    action: Annotated[Literal["run", "status"], tyro.conf.Positional]
    """What to do."""
    where: Annotated[Path, tyro.conf.Positional]
    """The plan, or the folder of a run."""
    topology: TopologyName = "solo"
    """One worker; equals who lock the files that they change; equals who find out in the end that
    somebody was faster; or workers who hand their work up to one who merges."""
    workers: int | None = None
    """How many; default 1 of a solo, else 4."""
    budget: Annotated[str, tyro.conf.arg(metavar="tries=N,runs=R,seconds=S,tokens=T,dollars=D")] = (
        ""
    )
    """What all may spend together, with commas between; a bare number is tries. A try is an edit, a
    reply or a run of a command; a run is an attempt at a task."""
    seed: int = 0
    """Of all chance."""
    out: Path | None = None
    """Folder of the run; default counterpoint-out/team/TOPOLOGY-WORKERS."""
    branch: str = ""
    """Of `run`: the new branch of your repository that the result is fetched into in the end."""
    follow: bool = False
    """Of `status`: show who works at what, until the run is over."""
    json: bool = False
    """Print the result as JSON alone."""

    def run(self) -> int:
        """Work, print."""
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
    """Let the team in a folder work, and print what came of it."""
    try:
        with shown_progress() as tell:
            document = run_team(folder, tell, trust)
    except (KeyboardInterrupt, SystemExit):
        again = shlex.quote(str(folder))
        say(f"counterpoint: the team is stopped; counterpoint resume {again} goes on")
        raise
    except WorkerError as error:
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
    return 0 if document["verdict"] == "done" else 1


def read_budget(told: str) -> dict[str, Any]:
    """`tries=100,seconds=5` as a mapping.

    Raises:
        SettingError: one is no number of anything.
    """
    found: dict[str, Any] = {}
    for word in filter(None, told.split(",")):
        match = _BUDGET.fullmatch(word)
        if match is None:
            raise SettingError(f"got budget {word!r}; wanted tries=N, seconds=S, tokens=T, runs=R "
                               "or dollars=D")  # fmt: skip
        name = match[1] or "tries"
        whole = name not in ("seconds", "dollars")
        found[name] = int(float(match[2])) if whole else float(match[2])
    return found


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A line on standard error that is written anew; where that is no terminal, a line a change."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("begins") as line:
            yield lambda told: line.update(Text(printable(sentence(told))))
        return
    last = ""

    def tell(told: dict[str, Any]) -> None:
        nonlocal last
        if (new := f"{told.get('done', 0)} of {_tasks(told)}, {_misses(told)}") != last:
            last = new
            say(sentence(told))

    yield tell


def sentence(told: Mapping[str, Any]) -> str:
    """How far it is, in a line."""
    at_work, handed = told.get("taken", 0), told.get("handed", 0)
    return (
        f"{told.get('done', 0)} of {_tasks(told)} done, {at_work} under way, {handed} to merge, "
        f"{told.get('given_up', 0)} given up; {_misses(told)}; {told['spent']} tries, "
        f"iteration {told['iteration'] + 1}"
        + (f"; last failure: {told['reason']:.200}" if told["reason"] else "")
    )


def _misses(told: Mapping[str, Any]) -> str:
    return f"{told['failed']} failed, {told['conflicts']} in conflict, {told['lost']} lost"


def _tasks(told: Mapping[str, Any]) -> int:
    return sum(told.get(name, 0) for name in ("open", "taken", "handed", "done", "given_up"))


def tables(document: Mapping[str, Any]) -> list[Any]:
    """What came of it."""
    table = Table(show_header=False, box=SIMPLE_HEAD)
    large, speed = document["large"], document["throughput"]
    rows = [
        ("verdict", document["verdict"] or "not over"),
        ("tasks done", f"{document['done']} of {document['tasks']}, {large['done']} of "
                       f"{large['tasks']} large ones"),
        ("tries", f"{document['tries']} in {counted(document['attempts'], 'attempt')}"),
        ("seconds", f"{document['seconds']:.1f}"),
        ("throughput", f"{_number(speed['per_1000_tries'])} tasks in 1,000 tries, "
                       f"{_number(speed['per_minute'])} a minute"),
        ("conflicts", f"{document['conflicts']}, {_share(document['wasted'])} of the tries"),
        ("failed, lost", f"{document['failed']}, {document['lost']}"),
        ("tokens", _used(document, "tokens", ",d")),
        ("dollars", _used(document, "dollars", ".2f")),
        ("waiting for locks", f"{_share(document['lock_wait'])} of the workers' time"),
        ("lines made in vain", _share(document["churn"])),
    ]  # fmt: skip
    for name, told in rows:
        table.add_row(name, Text(str(told)))
    title = (f"{document['name']}: {document['topology']}, "
             f"{counted(document['workers'], 'worker')}: "
             f"{document['done']} of {document['tasks']} done")  # fmt: skip
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


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0%}"
