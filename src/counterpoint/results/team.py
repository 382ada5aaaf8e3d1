"""`TeamResult`: the result of a team at work on a repository, with every attempt."""

from __future__ import annotations

from msgspec import field

from counterpoint.results.parts import Part, Result


class TeamBudget(Part, frozen=True, kw_only=True):
    """Limits of the whole team; None is no limit."""

    tries: int | None = None
    seconds: float | None = None
    tokens: int | None = None
    runs: int | None = None
    """Attempts."""
    dollars: float | None = None


class Unreported(Part, frozen=True, kw_only=True):
    """How many attempts did not report what they used; the sums leave them out."""

    tokens: int = 0
    dollars: int = 0


class Throughput(Part, frozen=True, kw_only=True):
    """Tasks merged; None if nothing was tried."""

    per_1000_tries: float | None = None
    per_minute: float | None = None


class LargeTasks(Part, frozen=True, kw_only=True):
    """Tasks that can be edited in more than half as many ways again as the median one."""

    tasks: int
    done: int


class UnfinishedTask(Part, frozen=True, kw_only=True):
    """A task that is not done."""

    task: str
    reason: str
    """The last reason why."""
    attempts: int = 0


class AttemptPart(Part, frozen=True, kw_only=True):
    """One attempt at a task."""

    id: int
    task: str
    worker: str
    status: str
    started: float
    """Seconds from the start of the first attempt, as `ended`."""
    ended: float | None
    """None while it is under way."""
    cost: int
    """Tries."""
    tokens: int | None = None
    dollars: float | None = None
    note: str
    """Why it ended as it did."""
    files: list[str] = field(default_factory=list)
    """Files that it changed."""
    log: list[str] = field(default_factory=list)
    """The last lines of its log."""


class TeamResult(Result, frozen=True, kw_only=True, tag="counterpoint.team/1"):
    """A team at work, under way or over."""

    name: str
    topology: str
    workers: int
    seed: int
    budget: TeamBudget = TeamBudget()
    verdict: str
    """`done`, or the reason why the run has stopped; "" while it is under way."""
    over: bool = False
    """Whether the run has ended, so that `resume` has nothing to do and `branch` is made."""
    branch: str = ""
    """The branch of the plan's repository that gets the result; "" is none."""
    iterations: int
    passing: int
    """Tests that pass at the head."""
    failing: list[str]
    """Tests and tasks that were left at the end of the last iteration."""
    tasks: int
    done: int
    given_up: int
    tries: int
    """Edits, replies of a model or runs of a command."""
    tokens: int | None = None
    dollars: float | None = None
    unknown: Unreported = Unreported()
    seconds: float
    attempts: int
    conflicts: int
    failed: int
    lost: int
    throughput: Throughput
    lock_wait: float | None = None
    """Share of the workers' time that they waited for a lock."""
    serial: float | None = None
    """Share of the work that cannot be done side by side: under the lock on the file that was
    locked longest, or by the merger."""
    wasted: float | None = None
    """Share of the tries that ended in a conflict or were lost."""
    churn: float | None = None
    """Share of the added lines that are gone in the end."""
    unfinished: list[UnfinishedTask] = field(default_factory=list)
    history: list[AttemptPart]
    large: LargeTasks
    repository: str
    """Path of the repository with the result."""
    head: str
    """Commit of the result."""
