"""What an executor runs: a `Task`, and how it tells of its progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from counterpoint.runs.watch import Watch

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Advance(Protocol):
    """Called by a task after each unit of its work."""

    def __call__(self, message: Mapping[str, Any] | None = None, /) -> None:
        """Count a unit, and perhaps tell the caller something small, such as a point of a curve."""


class Task(Protocol[Result_co]):
    """A picklable callable: a module-level function, or a frozen dataclass with `__call__`."""

    def __call__(self, advance: Advance, /) -> Result_co:
        """Do the work; the result."""


class Executor(Protocol):
    """Runs all tasks, tells `watch` what it hears of them, and returns their results in order."""

    def __call__(
        self, tasks: Sequence[Task[Result]], workers: int | None, watch: Watch, /
    ) -> list[Result]:
        """The results. Raises the first error of a task, or WorkerError."""
