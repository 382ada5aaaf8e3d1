"""What a judge's words are worth: rewards from an order, and why there may be none. Pure
functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.judge.modes import Ranking
from counterpoint.judge.present import CANARIES, TWIN, Sheet


@dataclass(frozen=True)
class Verdict:
    """What came of one group."""

    group: str
    """The group's id."""
    ranking: tuple[tuple[str, ...], ...] = ()
    """Tied sets of run ids, best first; empty where the group is void."""
    void: str = ""
    """Why there are no rewards; empty where there are."""
    reliability: float | None = None
    """How far orders of the same runs agreed, 0 to 1; None where nothing was ranked twice."""
    rewards: Mapping[str, float] = field(default_factory=dict)
    """By run id, mean 0; empty where the group is void."""
    strengths: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """By run id: strength and its 95% interval; see `aggregate.py`."""
    agents: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By run id, by agent: what the judge made of each member of a run, where it was asked."""
    calls: int = 0
    """How often the judge was asked, repairs and canaries included."""
    repaired: int = 0
    """Replies that could not be read and were asked for again."""
    lost: int = 0
    """Questions that brought no reply at all: such a verdict is not kept for another time."""
    tokens: int | None = 0
    """Read and written by the judge; None where nobody counted."""
    cost_dollars: float | None = 0.0
    """None where the price is not known."""


def rank_rewards(places: Sequence[Sequence[int]], n: int) -> Floats:
    """[n] rewards by rank alone: evenly spaced from 1 (best) to -1 (worst), ties share their mean.

    Args:
        places: tied sets of all n items, best first.
        n: items, at least two.
    """
    rewards, above = np.zeros(n), 0
    for tied in places:
        rewards[list(tied)] = 1 - 2 * (above + (len(tied) - 1) / 2) / (n - 1)
        above += len(tied)
    return rewards


def score_rewards(values: Floats) -> Floats:
    """[n] rewards by strength: mean 0, standard deviation 1; all 0 where all are equal."""
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))


def compromised(sheet: Sheet, ranking: Sequence[Sequence[str]], strict: bool = True) -> str:
    """Which canary betrays that a reply is not to be trusted; empty where none does.

    A canary without an answer that stands above more than half of the runs, or a twin that stands
    at the other end than its original, with three runs or more between. Not strict: a canary above
    all runs, alone.

    Args:
        sheet: the question.
        ranking: the reply, tied sets of labels, best first.
        strict: False for judges known to be weak.
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


def of_runs(sheet: Sheet, ranking: Sequence[Sequence[str]]) -> Ranking:
    """The reply without its canaries: tied sets of the group's candidates, by their place in it."""
    index = {id(each): i for i, each in enumerate(sheet.candidates)}
    labels = {s.label: index[id(s.candidate)] for s in sheet.shown if not s.canary and s.candidate}
    tied = (tuple(labels[label] for label in each if label in labels) for each in ranking)
    return tuple(each for each in tied if each)
