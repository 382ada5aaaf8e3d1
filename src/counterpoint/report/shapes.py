"""The parts of saved populations and topologies, with their types.

Only what the pages read is listed here; other parts are let through. `shape_checks.require_shape`
holds a document against them.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Valued(Struct):
    """An estimate with its interval."""

    value: float
    low: float
    high: float


class Believed(Struct):
    """An interquartile mean without an interval."""

    iqm: float


class Middle(Believed):
    """An interquartile mean with its interval."""

    low: float
    high: float


class Spent(Middle):
    """One point of an arm's curve."""

    budget: float
    spent: float


class PopulationArm(Struct):
    """A population, or one learner."""

    members: int
    champion: Middle
    believed: Believed
    curse: Valued
    spent: float
    curve: list[Spent]
    diversity: float | None = None
    against: list[list[float]] | None = None
    elo: list[float] | None = None


class Crossover(Struct):
    """From which budget on a population is better."""

    rival: str
    why: str
    budget: float | None = None
    low: float | None = None
    high: float | None = None


class PopulationShape(Struct):
    """`counterpoint.population/1`."""

    world: str
    source: str
    budget: float
    repeats: int
    settings: dict[str, Any]
    arms: dict[str, PopulationArm]
    optimum: float | None = None
    crossover: Crossover | None = None
    against_single: dict[str, Valued] = field(default_factory=dict)


class Drawn(Struct):
    """A topology."""

    name: str
    members: int
    edges: list[tuple[int, int]]
    order: list[list[int]]
    rounds: int
    decides: str
    decider: int | None = None


class Layout(Struct):
    """A topology with what is known of its shape."""

    topology: Drawn
    depth: int
    path: float | None = None


class Gaps(Struct):
    """A team less what it is measured against."""

    mean: Valued
    best_member: Valued
    oracle: Valued
    single_agent: Valued


class Score(Middle):
    """How good a topology is."""

    by_prompt: dict[str, Believed]
    orders: int
    order_scores: list[float]
    calls: float
    shape: Layout
    gap: Gaps


class Share(Valued):
    """A share of the variance, and that by chance."""

    chance: float


class Best(Valued):
    """The best topology and prompt."""

    topology: str
    prompt: str


class TopologyShape(Struct):
    """`counterpoint.topology/1`."""

    world: str
    summary: str
    scale: str
    seeds: int
    settings: dict[str, Any]
    guards: dict[str, Any]
    prompts: dict[str, Any]
    ways: dict[str, Any]
    scores: dict[str, Score]
    best: Best
    gap: Gaps
    shares: dict[str, Share] | None = None
    why_no_shares: str | None = None
