"""`search_topologies`: the best topology, order and prompt at a fixed budget of items.

It is found by successive halving: all cells play the same few items, and the better half plays
twice as many, until one is left. The score of the winner while it was chosen is too high, so it is
measured again on fresh items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import ceil, log2

import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.results.topology import (
    SearchCell,
    SearchRound,
    TopologyPart,
    TopologySearchResult,
    Winner,
)
from counterpoint.stats import bootstrap_interval, means, wilson_interval
from counterpoint.stats.estimate import Estimate
from counterpoint.topology.design import TopologyPlan, demand_replies, lay_out
from counterpoint.topology.play import play
from counterpoint.topology.topology import Topology

HALVING, FRESH = 5, 6
"""Random streams of the rounds of a search, and of the last measurement of its winner."""


@dataclass(frozen=True)
class SearchCandidate:
    """One cell of the design."""

    name: str
    """The topology, as `make_topology` takes it."""
    topology: Topology
    """The same topology, with its order."""
    prompt: str
    """How the members behave."""


def search_topologies(
    plan: TopologyPlan, budget: int, *, on_progress: Callable[[int, int], None] | None = None
) -> TopologySearchResult:
    """Returns the winner, its score while it was chosen, and its score on fresh items.

    Args:
        plan: the cells: every topology x order x prompt. The winner is measured on `seeds` times
            `items` in the end.
        budget: items that all cells together may play.
        on_progress: called with the number of finished rounds and the total.

    Raises:
        SettingError: the budget is less than one item for each cell and round.
        CounterpointError: the plan does not fit its world, or the speaker cannot be used.

    Source: Karnin, Koren and Somekh, Almost optimal exploration in multi-armed bandits (2013).
    """
    design = lay_out(plan)
    alive = [
        SearchCandidate(name, topology, prompt)
        for name, seatings in design.seatings.items()
        for topology in seatings
        for prompt in design.prompts
    ]
    halvings = max(1, ceil(log2(len(alive))))
    if budget < len(alive) * halvings:
        raise SettingError(
            f"got a budget of {budget} items for {len(alive)} candidates and {halvings} rounds; "
            f"wanted at least {len(alive) * halvings}"
        )
    parameters = design.trained(None)
    world, seats = design.world, design.seats()
    last: dict[tuple[str, str], SearchCell] = {}

    def scores(cell: SearchCandidate, stream: list[int], count: int) -> Floats:
        """Returns [count] scores of a cell on the items of a stream."""
        items = world.draw(np.random.default_rng(stream), count)
        members = seats.members(cell.prompt, parameters.get(cell.name))
        rng = np.random.default_rng([*stream, 1])
        transcript = play(cell.topology, items, count, members, rng, guards=plan.guards)
        won: Floats = world.score(items, transcript.answers) * transcript.answered
        return won

    spent, history = 0, []
    average = np.zeros(len(alive))
    for number in range(halvings):
        count = budget // (halvings * len(alive))
        played = [scores(cell, [HALVING, number], count) for cell in alive]
        average = np.array([each.mean() for each in played])
        farthest: dict[tuple[str, str], int] = {}  # the best order of each topology and prompt
        for i in np.argsort(-average, kind="stable"):
            farthest.setdefault((alive[i].name, alive[i].prompt), int(i))
        for (name, prompt), i in farthest.items():
            last[name, prompt] = SearchCell(
                topology=name, prompt=prompt, rounds=number + 1, score=_mean_score(played[i])
            )
        spent += count * len(alive)
        history.append(SearchRound(candidates=len(alive), items=count, best=float(average.max())))
        keep = np.argsort(-average, kind="stable")[: max(1, ceil(len(alive) / 2))]
        alive, average = [alive[i] for i in keep], average[keep]
        if on_progress:
            on_progress(number + 1, halvings)
    winner = alive[0]
    chosen = (winner.name, winner.prompt)
    fresh = _mean_score(scores(winner, [FRESH], plan.seeds * plan.items))
    demand_replies(seats.meter.errors, seats.meter.asked)
    ranked = sorted(
        last.items(), key=lambda each: (each[0] != chosen, -each[1].rounds, -each[1].score.value)
    )
    return TopologySearchResult(
        version=__version__,
        world=plan.world,
        winner=Winner(topology=winner.name, prompt=winner.prompt,
                      order=[list(turn) for turn in winner.topology.order],
                      shape=TopologyPart(**asdict(winner.topology))),
        searched=float(average[0]),
        fresh=fresh,
        rounds=history,
        budget=budget,
        spent=spent,
        scale=world.scale,
        cells=[cell for _, cell in ranked],
        lost=len(seats.meter.errors),
        why_lost=next(iter(seats.meter.errors), ""),
        config={"world": plan.world, "settings": dict(plan.settings)},
    )  # fmt: skip


def _mean_score(scores: Floats) -> Estimate:
    """Returns the mean score of items with its interval; one item alone may have any score."""
    if np.isin(scores, (0, 1)).all():
        return wilson_interval(int(scores.sum()), len(scores))
    if len(scores) < 2:
        return Estimate(float(scores.mean()), 0.0, 1.0, len(scores))
    return bootstrap_interval(scores, rng=np.random.default_rng(0), statistic=means)
