"""The plan of a team at work: a TOML file, checked once.

    repository = "."                       # a git repository, or a folder that becomes one
    tests = "python3 -m pytest -q --junitxml={results} {tests}"

    [worker]
    kind = "search"                        # search | command | model

Paths are relative to the file. Start with `read_plan`; `read_task_file` reads tasks from a file of
their own, and `require_usual` checks every value, whatever its key.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import msgspec

from counterpoint.errors import CounterpointError, SettingError, choices
from counterpoint.workers.repository.files import escaped_path, refused
from counterpoint.workers.sandbox.sandbox import Limits

TopologyName = Literal["solo", "flat_locks", "flat_optimistic", "planner_workers"]
TOPOLOGIES: tuple[str, ...] = get_args(TopologyName)
"""How a team is organized: one worker; workers that lock the files they change; workers that learn
of conflicts at the merge; or workers whose work one merger merges."""
LEASE_MARGIN = 60.0
"""Seconds of a lease beyond the attempt itself: writing files, testing, merging."""
LARGEST = 1 << 53
"""Numbers of a plan are below this, so that every part of a run can hold their sums."""
AUTHOR = re.compile(r"[ .,:;\"'\\]*+[^<>\x00-\x20.,:;\"'\\][^<>\x00-\x1f]*+<[^<>\x00-\x20]{1,200}>")
"""A name with something besides marks and space, which git leaves out, and an address."""
Kind = TypeVar("Kind")
_VARIABLE = re.compile(r"[^=]+")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class WorkerPlan:
    """The kind of worker, and its settings."""

    kind: Literal["search", "command", "model"] = "search"
    """`search` tries edits until the test passes; `command` is any program; `model` a language
    model behind a server, which is shown files and writes them anew."""
    command: str = ""
    """A `command` worker runs this shell line in the sandbox, in a copy of the repository. `{task}`
    becomes the text of the task, `{test}` the test that has to pass; TASK.md has both too."""
    network: bool = False
    """Whether a `command` worker shares the machine's network, for example to reach a model. It can
    then send what it can read; the rest of the sandbox stays as it is."""
    pass_env: tuple[str, ...] = ()
    """Variables of your environment that a `command` worker gets, such as keys. Their values are
    never written, do not reach the tests, and are hidden in its output."""
    minutes: float | None = None
    """Wall clock of one attempt; None means that `seconds` under [limits] holds."""
    model: str = ""
    """Name of the model of a `model` worker."""
    base_url: str = ""
    """Address of the OpenAI-compatible server of a `model` worker."""
    most_tokens: int = 2048
    """Maximum of tokens in one reply of a `model` worker."""
    dollars_per_million: tuple[float, float] | None = None
    """Prices of prompt tokens and of completion tokens of a `model` worker; None is unknown."""
    tries: int = 200
    """Maximum of tries in one attempt: edits, replies, or runs of a command."""
    think_seconds: float = 0.0
    """Wait of a `search` worker before each edit, which stands for the time of a model."""
    choose: Literal["priority", "payoff"] = "priority"
    """The open task that a worker takes: the first by priority, or one of the size that had the
    most merges for its cost so far."""


@dataclass(frozen=True)
class TaskPlan:
    """One task that the plan lists."""

    id: str
    """Unique."""
    text: str = ""
    """Text of the task for the worker."""
    test: str = ""
    """The test that has to pass."""
    files: tuple[str, ...] = ()
    """Files to work on."""
    priority: int = 0
    """Tasks with the highest priority are taken first."""
    title: str = ""
    """Title of the task; in a file of tasks it is also the id if there is no `id`."""
    depends_on: tuple[str, ...] = ()
    """Ids of the tasks that have to be done first."""
    check: str = ""
    """A command that has to exit with status 0 in the sandbox, besides the test."""


@dataclass(frozen=True, kw_only=True)
class WorkPlan:
    """The work of a team: its repository, tests, tasks, worker and limits.

    Raises:
        SettingError: a value is out of range, or two values contradict each other.
    """

    repository: str
    """A git repository, whose HEAD is copied, or any other folder. It is never written to."""
    tests: str
    """The command that runs the tests in the sandbox. `{results}` is the file for their results in
    JUnit's XML; without it the command prints TAP. `{tests}` is replaced by the tests to run."""
    name: str = "team"
    """Name of the run."""
    protected: tuple[str, ...] = ("tests/*", "test/*", "*/tests/*", "test_*.py", "*_test.py",
                                  "conftest.py", "*/conftest.py")  # fmt: skip
    """Patterns of tests that workers may not change; such changes are listed, but not taken. A
    pattern without "/" is the name of a file or folder at any depth; one with "/" holds below any
    folder."""
    protect_runner: bool = True
    """Whether everything that decides how tests are run is protected too, besides `protected`, and
    results count only if the runner is unchanged."""
    new_tests: bool = False
    """Whether workers may add test files. They count from the planner's next turn on."""
    setup: str = ""
    """A command that is run once, in the sandbox, before everything else: every later sandbox has
    what it leaves in `/setup`. `/setup/bin`, `/setup/venv/bin` and `/setup/node_modules/.bin` come
    first in `PATH`."""
    setup_network: bool = False
    """Whether `setup` shares the machine's network, for example to install packages."""
    readable: tuple[str, ...] = ()
    """Folders of this machine that can be read in the sandbox."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of the environment in the sandbox. A name like that of a key (`..._API_KEY`,
    `..._TOKEN`) is treated as in `pass_env`."""
    worker: WorkerPlan = field(default_factory=WorkerPlan)
    """The kind of worker, and its settings."""
    task: tuple[TaskPlan, ...] = ()
    """The listed tasks. If there are none, each failing test is a task. `tasks = "FILE"` in a plan
    adds those of a file (`read_task_file`)."""
    from_tests: bool = False
    """Whether each failing test is a task besides those that are listed."""
    limits: Limits = field(default_factory=Limits)
    """Limits of code in the sandbox."""
    lease_seconds: float = 300.0
    """Duration of a lease, which is never shorter than an attempt may take."""
    conflicts: Literal["again", "agent"] = "again"
    """The way out of a conflict with the work of another worker: the task is done `again` from the
    new head; or an `agent` does it, with the patch of the earlier attempt in its task."""
    attempts: int = 4
    """Failed attempts at a task before it is given up; the next iteration opens it again."""
    iterations: int = 20
    """Maximum of iterations."""
    notes: str = ""
    """A file in the repository in which a worker leaves notes for its next attempt. It survives
    from one fresh context to the next, even if the attempt fails."""
    author: str = ""
    """Author of the commits, `Name <mail>`; if it is empty, each member commits under its name."""
    message: str = ""
    """Message of a commit: `{task}` is the id of the task, `{title}` its title."""
    folder: str = ""
    """Folder of the plan; paths are relative to it. It is made absolute at once."""

    def __post_init__(self) -> None:
        require_usual(self)
        object.__setattr__(self, "folder", str(Path(self.folder).absolute()))
        if not self.tests.strip():
            raise SettingError("got no tests; wanted the command that runs them")
        for name, least in (("attempts", 1), ("iterations", 1), ("lease_seconds", 0.1)):
            if not getattr(self, name) >= least:
                raise SettingError(f"got {name}={getattr(self, name)}; wanted at least {least}")
        if self.author and not AUTHOR.fullmatch(self.author):
            raise SettingError(f"got author {self.author!r}; wanted one such as 'Name <mail>'")
        if self.message and not self.message.strip():
            raise SettingError("got a message of space alone; wanted words, or no message")
        if self.notes and (why := refused(self.notes)):
            raise SettingError(f"got notes {self.notes!r}: {why}; wanted a path in the repository")
        worker = self.worker
        if worker.minutes is not None and not 0 < worker.minutes <= 1440:
            raise SettingError(f"got minutes={worker.minutes}; wanted more than 0, at most 1440")
        if worker.tries < 1 or worker.think_seconds < 0:
            raise SettingError(
                "got a worker with tries below 1 or think_seconds below 0; wanted more"
            )
        if worker.kind == "command" and not worker.command:
            raise SettingError('got a worker of kind "command" without its command')
        if worker.kind == "model" and not (worker.model and worker.base_url):
            raise SettingError('got a worker of kind "model"; wanted its model and base_url')
        if worker.most_tokens < 1 or min(worker.dollars_per_million or (0.0,)) < 0:
            raise SettingError("got a model that writes less than one token, or is paid for it")
        if not all(one.id for one in self.task):
            raise SettingError("got a task with the id ''; wanted a name of its own for each")
        if len({one.id for one in self.task}) < len(self.task):
            raise SettingError("got two tasks with the same id; wanted a different id for each")
        require_order({one.id: one.depends_on for one in self.task})
        for command in (self.tests, self.setup, worker.command, *(one.check for one in self.task)):
            try:
                shlex.split(command)
            except ValueError as error:
                raise SettingError(
                    f"got command {command!r} ({error}); wanted a shell line"
                ) from None

    @property
    def source(self) -> Path:
        """Returns the repository."""
        return (Path(self.folder) / self.repository).resolve()

    @property
    def worker_limits(self) -> Limits:
        """Returns what a worker may use: the limits, with its own time."""
        minutes = self.worker.minutes
        return self.limits if minutes is None else replace(self.limits, seconds=60 * minutes)

    @property
    def lease(self) -> float:
        """Returns the seconds of a lease: at least as long as a worker may work at a task."""
        return max(self.lease_seconds, self.worker_limits.seconds + LEASE_MARGIN)

    @property
    def readable_folders(self) -> tuple[Path, ...]:
        """Returns the folders that can be read in the sandbox."""
        return tuple((Path(self.folder) / each).absolute() for each in self.readable)


def read_plan(path: Path) -> WorkPlan:
    """Returns the plan in a TOML file.

    Raises:
        SettingError: it cannot be read, is no TOML, or has a key or value that does not fit.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingError(f"could not read {path} ({why}); wanted a TOML file") from error
    if isinstance(named := document.pop("tasks", None), str):
        listed = document.get("task", [])
        tasks = read_task_file(path.absolute().parent / named)
        document["task"] = [*listed, *tasks] if isinstance(listed, list) else listed
    elif named is not None:
        raise SettingError(f"got tasks = {named!r} in {path}; wanted the name of a file")
    return parse_plan({**document, "folder": str(path.absolute().parent)}, str(path))


def parse_plan(document: Mapping[str, object], where: str) -> WorkPlan:
    """Returns the plan of plain values.

    Raises:
        SettingError: a key is unknown, or a value does not fit; the message names it.
    """
    _require_known(document, WorkPlan, where)
    return _converted(dict(document), WorkPlan, where)


def _converted(document: object, kind: type[Kind], where: str) -> Kind:
    """Returns plain values as a value of a type.

    Raises:
        SettingError: one does not fit; the message names it.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, CounterpointError):
            raise error.__cause__ from None
        raise SettingError(f"{where}: {error}") from None


def _require_known(table: Mapping[str, object], kind: type, where: str) -> None:
    """Checks that all keys of a table and of the tables in it are known.

    Raises:
        SettingError: one is not; the message lists those that are.
    """
    names = [spec.name for spec in fields(kind)]
    if unknown := sorted(set(table) - set(names)):
        raise SettingError(f"got {', '.join(unknown)} in {where}{choices(unknown[0], names)}")
    if kind is not WorkPlan:
        return
    listed = table.get("task")
    tables = [(table.get("worker"), WorkerPlan, "[worker]"),
              (table.get("limits"), Limits, "[limits]"),
              *((one, TaskPlan, "[[task]]")
                for one in (listed if isinstance(listed, list) else ()))]  # fmt: skip
    for value, inner_kind, name in tables:
        if isinstance(value, dict):
            _require_known(value, inner_kind, f"{where}, {name}")


def require_usual(plan: Any) -> None:
    """Checks that all values of a plan can be used.

    Raises:
        SettingError: a text has NUL or half of a surrogate pair in it, a number is not finite or is
            not below 2**53 in size, or a variable of the environment has no possible name.
    """
    for path, value in _values(plan, ""):
        if isinstance(value, str) and (match := _NO_TEXT.search(value)):
            raise SettingError(f"got {match[0]!r} in {path}; wanted text without it")
        if isinstance(value, int | float) and not abs(value) < LARGEST:  # NaN is not
            raise SettingError(f"got {path}={value!s:.24}; wanted a finite number below 2**53")
    for name in plan.env:
        if not _VARIABLE.fullmatch(name):
            raise SettingError(f"got {escaped_path(name)!r} in env; wanted the name of a variable")


def _values(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yields each value of a plan with its place: `worker.tries`, `task[3].id`."""
    if is_dataclass(value):
        for name, inner in vars(value).items():
            yield from _values(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _values(name, path)
            yield from _values(inner, path)
    elif isinstance(value, tuple | list):
        for n, inner in enumerate(value, 1):
            yield from _values(inner, f"{path}[{n}]")
    else:
        yield path, value


def read_task_file(path: Path) -> list[TaskPlan]:
    """Returns the tasks in a file, each with an id: its own, its title, or `task-N` by its place.

    `.toml` has `[[task]]` tables, `.json` a list of objects (or an object with such a list as
    `task` or `tasks`), `.jsonl` an object a line.

    Raises:
        SettingError: it cannot be read, or holds something else.
    """
    parsers: Mapping[str, Callable[[str], object]] = {
        ".toml": tomllib.loads, ".json": json.loads,
        ".jsonl": lambda text: [json.loads(line) for line in text.split("\n") if line.strip()],
    }  # fmt: skip
    if path.suffix not in parsers:
        raise SettingError(f"got tasks in {path}; wanted a .toml, .json or .jsonl file")
    try:
        document = parsers[path.suffix](path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingError(f"could not read the tasks in {path} ({why})") from error
    if isinstance(document, dict):
        if unknown := sorted(set(document) - {"task", "tasks"}):
            raise SettingError(f"got {', '.join(unknown)} in {path}; wanted task or tasks")
        if len(document) > 1:
            raise SettingError(f"got both task and tasks in {path}; wanted one list")
        document = next(iter(document.values()), [])
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        raise SettingError(f"got no list of tasks in {path}; wanted objects with a title")
    if not document:
        raise SettingError(f"got no tasks in {path}; wanted at least one")
    for n, row in enumerate(document, 1):
        row.setdefault("id", str(row.get("title") or f"task-{n}"))
        _require_known(row, TaskPlan, str(path))
    return _converted(document, list[TaskPlan], str(path))


def require_order(depends: Mapping[str, Sequence[str]]) -> None:
    """Checks that every task (by its id) can be done after those that it depends on.

    Raises:
        SettingError: a task depends on one that there is not, or in the end on itself.
    """
    for name, before in depends.items():
        unknown = sorted({one for one in before if one not in depends})
        if unknown:
            raise SettingError(f"got depends_on = {unknown} of task {name!r}; wanted ids of tasks")
    try:
        TopologicalSorter(depends).prepare()
    except CycleError as error:
        circle = " -> ".join(map(str, error.args[1]))
        raise SettingError(f"got tasks that depend on each other in a circle: {circle}") from None
