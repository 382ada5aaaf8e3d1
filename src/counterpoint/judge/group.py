"""What is judged: a `Group` of `Candidate`s, runs of one task."""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.errors import JudgeError
from counterpoint.records import Episode


@dataclass(frozen=True)
class Candidate:
    """One run."""

    id: str
    """The run's own id; no judge sees it."""
    episode: Episode
    """What was said and done: what a judge reads."""
    truth: float | None = None
    """How good it is, where somebody knows; only programmatic judges and `judge check` look."""
    author: str = ""
    """Who made it, where that is known: a judge may prefer its own."""


@dataclass(frozen=True)
class Group:
    """Runs of one task, from which a judge says which is better.

    Raises:
        JudgeError: no candidate, or two of one id.
    """

    id: str
    """Unique in its file."""
    task: str
    """What the runs were to do."""
    candidates: tuple[Candidate, ...]
    """[n] in the order of the file."""

    def __post_init__(self) -> None:
        if not self.candidates:
            raise JudgeError(f"got group '{self.id}' without runs; wanted at least one")
        ids = [each.id for each in self.candidates]
        if len(set(ids)) < len(ids):
            twice = next(each for each in ids if ids.count(each) > 1)
            raise JudgeError(f"got run '{twice}' twice in group '{self.id}'; wanted different ids")

    @property
    def ids(self) -> tuple[str, ...]:
        """[n] of the candidates."""
        return tuple(each.id for each in self.candidates)
