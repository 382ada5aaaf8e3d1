"""A working team on the disk: everything that any of its members starts from.

team.json       plan, topology, workers, budget, seed: written once
repo.git        the repository, bare; the branch main is the result
queue.sqlite    tasks, attempts, locks, events
logs/           output of each attempt, and notes/, what members noted for themselves
result.json     what came of it, and episodes.jsonl, the record that audits read
lock            held while a process runs the team
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from shlex import quote

import msgspec

from counterpoint import __version__
from counterpoint.errors import RunError, SettingError, choices
from counterpoint.machine.files import read_ordinary
from counterpoint.runs.files import make_folder, remove, write_atomically
from counterpoint.runs.lock import Lock
from counterpoint.workers.gate.gate import Gate
from counterpoint.workers.keys import passed_variables, without_secrets
from counterpoint.workers.plan import TOPOLOGIES, WorkPlan, parse_plan
from counterpoint.workers.queue.queue import Queue
from counterpoint.workers.queue.rows import RunBudget
from counterpoint.workers.repository.files import LINK, File, escaped_path
from counterpoint.workers.repository.repository import Repository
from counterpoint.workers.sandbox.readable import require_readable
from counterpoint.workers.strangers import folder_seal, require_plain_folder

TEAM, QUEUE, REPOSITORY, LOCK = "team.json", "queue.sqlite", "repo.git", "lock"
SCHEMA = "counterpoint.team/1"


@dataclass(frozen=True)
class TeamState:
    """A team in its folder.

    Raises:
        SettingError: no such topology, fewer than one worker, or a budget below 1.
    """

    folder: Path
    """The folder of the run; a relative path is made absolute at once."""
    plan: WorkPlan
    topology: str
    """One of `TOPOLOGIES`."""
    workers: int
    """Number of workers."""
    # the limits of `RunBudget`, for all attempts together
    tries: int | None = None
    seconds: float | None = None
    tokens: int | None = None
    seed: int = 0
    """Seed of all random choices."""
    runs: int | None = None
    dollars: float | None = None
    seal: str = ""
    """The proof that it was started in this folder; see `strangers.folder_seal`."""
    branch: str = ""
    """The new branch of the plan's repository that has the result in the end; "" is none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.absolute())  # git runs in other folders
        if self.topology not in TOPOLOGIES:
            ending = choices(self.topology, TOPOLOGIES)
            raise SettingError(f"got topology '{self.topology}'{ending}")
        if not 1 <= self.workers <= 64:
            raise SettingError(f"got {self.workers} workers; wanted 1 to 64")
        if self.topology == "solo" and self.workers != 1:
            raise SettingError(f"got {self.workers} workers of topology solo; wanted 1")
        self.budget  # noqa: B018  (it checks its limits)

    def create(self) -> None:
        """Stores the team for the first time, with a copy of the repository.

        The values of secrets in the plan are not written: they go into the environment of this
        process, where its workers find them, and `resume` needs them there.

        Raises:
            RunError: there is something already, or git cannot copy the repository.
            BusyError: another process begins a run there.
            SettingError: what `pass_env` names is not in the environment, a readable folder would
                open this machine, or the notes are at a place that no worker may write to.
        """
        self._require_new()
        plan, secrets = without_secrets(self.plan)
        os.environ.update(secrets)
        passed_variables(plan)
        for folder in plan.readable_folders:
            require_readable(folder)
        was_there = self.folder.exists()
        make_folder(self.folder)
        lock = Lock(self.folder / LOCK)
        try:
            self._require_new()  # another process may have begun a run in the meantime
            try:
                self._build(plan)
            except BaseException:
                with contextlib.suppress(OSError):
                    for path in list(self.folder.iterdir()):
                        remove(path)  # all of it is ours: the folder was empty, and is locked
                    if not was_there:
                        self.folder.rmdir()
                raise
        finally:
            lock.release()

    def _require_new(self) -> None:
        """Checks that the folder holds nothing but the lock, if anything."""
        if (self.folder / TEAM).exists():
            raise RunError(f"{self.folder} holds a run already, with the plan it was started with: "
                           f"continue it with counterpoint resume {quote(str(self.folder))}, or "
                           "name another folder with --out")  # fmt: skip
        if self.folder.exists() and any(path.name != LOCK for path in self.folder.iterdir()):
            raise RunError(f"{self.folder} is not empty; name another folder with --out")

    def _build(self, plan: WorkPlan) -> None:
        """Copies the repository, and stores the team with a plan that holds no secret."""
        Repository.copy(self.plan.source, self.folder / REPOSITORY)
        self._require_notes()
        self.queue.put("base", self.repository.head())
        facts = {f.name: getattr(self, f.name) for f in fields(self)
                 if f.name not in ("folder", "plan")}  # fmt: skip
        document = {"schema": SCHEMA, "version": __version__, **facts, "plan": asdict(plan),
                    "seal": folder_seal(self.folder)}  # fmt: skip
        write_atomically(self.folder / TEAM, json.dumps(document, indent=2))

    def _require_notes(self) -> None:
        """Checks that workers can write the plan's notes."""
        content = self.repository.content(self.repository.head())
        path = content.prefix + self.plan.notes
        known = content.entries.get(path)
        why = Gate(self.plan, content).why_not(path, File(b"")) if self.plan.notes else ""
        if why or (known and known.mode == LINK):
            raise SettingError(f"got notes {self.plan.notes!r}: {why or 'it is a link'}; wanted a "
                               "file that workers may write")  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> TeamState:
        """Returns the team that lives in a folder.

        Raises:
            RunError: there is none, or what it says is damaged.
        """
        require_plain_folder(folder)
        try:
            document = json.loads(read_ordinary(folder / TEAM))
            plan = parse_plan(document.pop("plan"), str(folder / TEAM))
            if document.pop("schema") != SCHEMA:
                raise RunError(f"{folder} holds a run of another version")
            document.pop("version")
            if unknown := sorted(set(document) - {f.name for f in fields(cls)}):
                raise ValueError(f"got {', '.join(unknown)}")
            return msgspec.convert({**document, "folder": folder, "plan": plan}, cls)
        except RunError:
            raise
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
                msgspec.MsgspecError) as error:  # fmt: skip
            raise RunError(f"{escaped_path(str(folder))} holds no run of a team, or it is damaged "
                           f"({escaped_path(str(error))})") from error  # fmt: skip

    @property
    def budget(self) -> RunBudget:
        """Returns what all may spend together."""
        return RunBudget(self.tries, self.seconds, self.tokens, self.runs, self.dollars)

    @cached_property
    def queue(self) -> Queue:
        """Returns the queue of the team."""
        return Queue(self.folder / QUEUE)

    @cached_property
    def repository(self) -> Repository:
        """Returns the repository of the team."""
        return Repository(self.folder / REPOSITORY, self.plan.author)
