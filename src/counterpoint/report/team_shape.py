"""The parts of a saved team that its page reads, with their types."""

from __future__ import annotations

from msgspec import Struct, field


class AttemptShape(Struct):
    """One attempt at a task."""

    id: int
    task: str
    worker: str
    status: str
    started: float
    """Seconds from the first start of all."""
    ended: float | None
    cost: int
    note: str
    files: list[str] = field(default_factory=list)
    tokens: int | None = None
    dollars: float | None = None
    log: list[str] = field(default_factory=list)
    """The last lines of its log."""


class UnfinishedShape(Struct):
    """One task that is not done."""

    task: str
    reason: str


class TeamShape(Struct):
    """A team at work, under way or over."""

    name: str
    topology: str
    workers: int
    seed: int
    verdict: str
    tasks: int
    done: int
    tries: int
    seconds: float
    attempts: int
    conflicts: int
    failed: int
    lost: int
    repository: str
    head: str
    history: list[AttemptShape]
    version: str = ""
    tokens: int | None = None
    dollars: float | None = None
    unknown: dict[str, int] = field(default_factory=dict)
    unfinished: list[UnfinishedShape] = field(default_factory=list)
    budget: dict[str, float | None] = field(default_factory=dict)
