"""`TopologyResult`: topologies x prompts, compared; `TopologySearchResult`: the best of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec import field

from counterpoint.results.parts import Part, Result, Settings, expect
from counterpoint.stats.estimate import Estimate
from counterpoint.stats.variance import SOURCES

REFERENCES = ("mean", "best_member", "oracle", "single_agent")
"""The references of a team: the mean of its members alone; the best of them, chosen on other items;
an oracle that chooses the best of them for each item; and one agent with all information of the
team and as many calls."""


class SeedEstimate(Part, frozen=True, kw_only=True):
    """A number with its 95% interval over seeds.

    It is an interquartile mean for a score and a mean for a difference; `iqm` and `value` are the
    same number.
    """

    iqm: float
    value: float
    low: float
    high: float
    n: int


class TopologyPart(Part, frozen=True, kw_only=True):
    """A topology; its members are numbers from 0."""

    name: str
    members: int
    edges: tuple[tuple[int, int], ...]
    """(from, to)"""
    order: tuple[tuple[int, ...], ...]
    """`[turns][members who speak in it]`"""
    rounds: int
    decides: Literal["member", "vote", "best"]
    decider: int | None = None


class MeasuredTopology(Part, frozen=True, kw_only=True):
    """A topology, and its measures."""

    density: float
    """Edges over those of the complete graph, 0 to 1."""
    turns: int
    messages: int
    depth: int
    """Turns that wait for each other."""
    reach: float
    """Share of the pairs (member, decider) where what the member knows can get to the decider."""
    path: float | None = None
    """Mean number of messages from the first member to those who decide; None if there is no way
    to one of them."""
    topology: TopologyPart


class TopologyScore(SeedEstimate, frozen=True, kw_only=True):
    """The score of a topology, as a mean over prompts and orders."""

    by_prompt: dict[str, SeedEstimate]
    orders: int
    order_scores: list[float]
    """[orders]"""
    calls: float
    """Turns and answers an item."""
    shape: MeasuredTopology
    gap: dict[str, SeedEstimate]
    """Name of a reference to the score of the team minus that of the reference."""


class VarianceShare(Part, frozen=True, kw_only=True):
    """A share of the variance of the scores, with its interval over seeds."""

    value: float
    low: float
    high: float
    chance: float
    """The mean share where scores are shuffled over the cells of each seed."""


class BestCell(SeedEstimate, frozen=True, kw_only=True):
    """The best topology and prompt, with a score on seeds on which it was not chosen."""

    topology: str
    prompt: str


class TopologyResult(Result, frozen=True, kw_only=True, tag="counterpoint.topology/1"):
    """The scores of every topology x prompt on the same items, and the shares of their variance."""

    world: str
    summary: str
    """The world, in a sentence."""
    scale: str
    """The meaning of a score, in words."""
    settings: Settings
    """Settings of the world."""
    members: int
    seeds: int
    items: int
    """Items of each seed."""
    model: str | None = None
    """The model that reads and speaks for the members; None for the members of the world."""
    guards: dict[str, bool | int | None]
    """Name of a guard to whether it is on, or to its number."""
    prompts: dict[str, str]
    """Name of a prompt to the behaviour of members under it."""
    ways: dict[str, list[float]]
    """Topology to the parameters of its trained members."""
    scores: dict[str, TopologyScore]
    shares: dict[str, VarianceShare] | None = None
    """A share for each of `SOURCES`; None if they are not computable."""
    why_no_shares: str | None = None
    references: dict[str, SeedEstimate]
    """A score for each of `REFERENCES`."""
    best: BestCell
    gap: dict[str, SeedEstimate]
    """The best less each of `REFERENCES`."""
    lost: int = 0
    """Requests to the model that got no reply, which count as silence or as no answer."""
    why_lost: str = ""
    """Why the first of them got none."""
    config: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        expect(bool(self.scores), "scores", "at least one topology")
        for name, score in self.scores.items():
            path = f"scores.{name}"
            expect(bool(score.order_scores), f"{path}.order_scores", "at least one")
            _require_names(score.by_prompt, f"{path}.by_prompt", self.prompts)
            _require_names(score.gap, f"{path}.gap", REFERENCES)
        if self.shares is None:
            reason = self.why_no_shares is not None
            expect(reason, "why_no_shares", "the reason why there are no shares")
        else:
            _require_names(self.shares, "shares", SOURCES)
        _require_names(self.references, "references", REFERENCES)
        _require_names(self.gap, "gap", REFERENCES)


class Winner(Part, frozen=True, kw_only=True):
    """The candidate that won a search."""

    topology: str
    prompt: str
    order: list[list[int]]
    """`[turns][members who speak in it]`"""
    shape: TopologyPart | None = None
    """The topology, with its order; None in a result of an earlier version."""


class SearchCell(Part, frozen=True, kw_only=True):
    """A topology and a prompt of a search, in the order that came farthest."""

    topology: str
    prompt: str
    rounds: int
    """Number of rounds that it played; the winner played all of them."""
    score: Estimate
    """Score in its last round, over the items of that round; the ends of one item are 0 and 1."""


class SearchRound(Part, frozen=True, kw_only=True):
    """One round of successive halving."""

    candidates: int
    items: int
    """Items that each candidate played."""
    best: float
    """The highest score."""


class TopologySearchResult(Result, frozen=True, kw_only=True, tag="counterpoint.topology_search/1"):
    """The best topology, order and prompt that a fixed number of items finds."""

    world: str
    winner: Winner
    searched: float
    """Score of the winner while it was chosen, which is biased upwards."""
    fresh: Estimate
    """Score of the winner on fresh items."""
    rounds: list[SearchRound]
    budget: int
    """Items that all candidates together may play."""
    spent: int
    """Items that they played."""
    scale: str = ""
    """The meaning of a score, in words."""
    cells: list[SearchCell] = field(default_factory=list)
    """Topology x prompt, the winner first and then by rounds and score; empty in a result of an
    earlier version."""
    lost: int = 0
    """Requests to the model that got no reply, which count as silence or as no answer."""
    why_lost: str = ""
    """Why the first of them got none."""
    config: Settings = field(default_factory=dict)


def _require_names(names: Collection[str], path: str, wanted: Collection[str]) -> None:
    expect(set(wanted) <= set(names), path, f"one for each of {', '.join(wanted)}")
