"""`Backend`: how the worlds of one kind are trained and evaluated in a comparison."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from counterpoint.comparison.decoupling import Pair, Probe
from counterpoint.comparison.outcome import SchemeOutcome
from counterpoint.comparison.plan import ExecutionOptions, Plan
from counterpoint.results.comparison import Control, References
from counterpoint.results.parts import Settings


class Backend(ABC):
    """A comparison with its world made, for one kind of world."""

    default_seeds: ClassVar[int]
    kind: ClassVar[Literal["exact", "steps", "text"]]
    """Name of the kind of world in the result."""
    axis: ClassVar[Literal["update", "step"]]
    """What the budget counts."""
    plan: Plan
    world_name: str
    summary: str
    """What the world is, in one line."""
    references: References
    """Returns to compare with."""
    agents: tuple[str, ...]
    schemes: tuple[str, ...]
    """Names of the schemes to compare, the defaults filled in."""
    settings: Settings
    """Every setting of the world and of its team, the defaults filled in."""
    model: str | None = None
    """The language model whose adapters are trained; None if agents do not speak."""
    budget: int | None = None
    """What each training may spend; None if a setting of the world says so."""
    batch_steps: int = 1
    """How much of the budget one update spends."""

    @property
    def seeds(self) -> range:
        """The seeds of every scheme."""
        return range(self.plan.seeds or self.default_seeds)

    @abstractmethod
    def train(
        self, pair: Pair, options: ExecutionOptions
    ) -> tuple[dict[str, SchemeOutcome], Control | None]:
        """Trains every scheme; returns the outcome of each, and the control."""

    @abstractmethod
    def probe(self, pair: Pair) -> Probe:
        """Returns whether decoupling can matter."""
