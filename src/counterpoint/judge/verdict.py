"""Rewards from a ranking, and the reasons why there may be none. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.judge.modes import Ranking
from counterpoint.judge.present import CANARIES, TWIN, Sheet
from counterpoint.judge.reading import LONGEST
from counterpoint.results.ranking import Unseen
from counterpoint.settings import require, require_choices


@dataclass(frozen=True)
class RankSettings:
    """Settings of the questions to a judge, and of the rewards from its rankings.

    Raises:
        SettingError: a value is out of range.
    """

    mode: Literal["listwise", "pairwise", "swiss", "adaptive", "pointwise"] = "listwise"
    """Questions: the whole group, all pairs, rounds of pairs, the least certain pairs, or single
    runs."""
    orders: int = 2
    """How often each question is asked, every second time backwards."""
    calls: int = 0
    """The most calls for a group, without repairs and canaries; 0 allows what the mode needs."""
    aggregate: Literal["bradley_terry", "plackett_luce", "borda"] = "bradley_terry"
    """How many rankings become one."""
    rewards: Literal["ranks", "scores"] = "ranks"
    """Rewards are evenly spaced by rank, or follow the strengths."""
    shrink: bool = False
    """Whether rewards are multiplied by the reliability; measurements showed no faster learning."""
    least: float = 0.0
    """A group is void if its reliability is not above this."""
    canaries: Literal["strict", "relaxed", "none"] = "strict"
    """Relaxed, for weak judges: only a canary above all runs makes a group void."""
    credit: Literal["team", "agents", "both"] = "team"
    """Whether runs are ranked, or the agents inside each run, or both."""
    repairs: int = 2
    """How often a reply that cannot be read is asked for again."""
    criteria: str = ""
    """The criteria of a good run, in words, for judges that read text."""
    longest: int = LONGEST
    """The most characters of a run that a judge reads; more are cut out of its middle, visibly."""
    reasoning: bool = False
    """Whether a judge that reads text reads the reasoning of the members too."""
    seed: int = 0
    """The seed of orders, ids, fences, canaries' places, and a judge's own random choices."""

    def __post_init__(self) -> None:
        require("orders", self.orders, 1, 64)
        require("calls", self.calls, 0, 1_000_000)
        require("least", self.least, 0.0, 1.0)
        require("repairs", self.repairs, 0, 100)
        require("longest", self.longest, 2, 10_000_000)
        require("seed", self.seed, 0, 2**31 - 1)
        require_choices(self)
        if self.calls and self.calls < self.orders:
            raise SettingError(
                f"got calls={self.calls} and orders={self.orders}; wanted at least one question in "
                "all its orders"
            )


@dataclass(frozen=True)
class Verdict:
    """The result for one group."""

    group: str
    """The group's id."""
    ranking: tuple[tuple[str, ...], ...] = ()
    """Tied sets of run ids, best first; empty if the group is void."""
    void: str = ""
    """Why there are no rewards; empty if there are."""
    reliability: float | None = None
    """How far orders of the same runs agreed, 0 to 1; None if no set was ranked twice."""
    rewards: Mapping[str, float] = field(default_factory=dict)
    """Reward by run id, with mean 0; empty if the group is void."""
    strengths: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """Strength and its 95% interval by run id; see `aggregate.py`."""
    agents: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Reward by run id and agent, if the judge ranked the agents of each run."""
    calls: int = 0
    """How often the judge was asked, with repairs and canaries."""
    repaired: int = 0
    """Replies that could not be read and were asked for again."""
    lost: int = 0
    """Questions without any reply: such a verdict is not stored."""
    tokens: int | None = 0
    """Tokens read and written by the judge; None if nobody counted."""
    cost_dollars: float | None = 0.0
    """The cost; None if the price is not known."""
    unseen: Mapping[str, Unseen] = field(default_factory=dict)
    """What the judge does not read, by run id."""


def rank_rewards(places: Sequence[Sequence[int]], n: int) -> Floats:
    """Returns [n] rewards by rank: evenly spaced from 1 (best) to -1; ties share their mean.

    Args:
        places: tied sets of all n items, best first.
        n: number of items, at least two.
    """
    rewards, above = np.zeros(n), 0
    for tied in places:
        rewards[list(tied)] = 1 - 2 * (above + (len(tied) - 1) / 2) / (n - 1)
        above += len(tied)
    return rewards


def score_rewards(values: Floats) -> Floats:
    """Returns [n] rewards by strength: mean 0, standard deviation 1; all 0 if all are equal."""
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))


def broken_canary(sheet: Sheet, ranking: Sequence[Sequence[str]], strict: bool = True) -> str:
    """Returns which canary shows that a reply cannot be trusted; empty if none does.

    A canary shows it if it stands above more than half of the runs, and a twin if it stands at the
    opposite end from its original, with at least three runs between. If not strict, only a canary
    above all runs does.

    Args:
        sheet: the question.
        ranking: the reply, tied sets of labels, best first.
        strict: False for weak judges.
    """
    place = {label: rank for rank, tied in enumerate(ranking) for label in tied}
    runs = [s for s in sheet.shown if not s.canary]
    limit = len(runs) / 2 if strict else len(runs) - 0.5
    for shown in sheet.shown:
        if shown.canary == TWIN and strict:
            first = next(s for s in runs if s.candidate is shown.candidate)
            ends = sorted((place[first.label], place[shown.label]))
            between = sum(ends[0] < place[s.label] < ends[1] for s in runs)
            if between == len(runs) - 1 > 2:
                return "a copy of a run was put at the other end from it"
        elif shown.canary in CANARIES:
            beaten = sum(place[s.label] > place[shown.label] for s in runs)
            if beaten > limit:
                return f"{CANARIES[shown.canary]} was put above {beaten} of {len(runs)} runs"
    return ""


def without_canaries(sheet: Sheet, ranking: Sequence[Sequence[str]]) -> Ranking:
    """Returns the reply without its canaries: tied sets of the group's candidates, as indices."""
    index = {id(each): i for i, each in enumerate(sheet.candidates)}
    labels = {s.label: index[id(s.candidate)] for s in sheet.shown if not s.canary and s.candidate}
    tied = (tuple(labels[label] for label in each if label in labels) for each in ranking)
    return tuple(each for each in tied if each)
