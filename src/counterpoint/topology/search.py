"""`search_topologies`: the best topology, order and prompt at a fixed budget of items.

Successive halving: all candidates play the same few items, the better half plays on with twice as
many, until one is left. What it scored while it was chosen is too good, so it is measured again on
items that nobody has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.results.topology import SearchRound, TopologySearchResult, Winner
from counterpoint.stats import bootstrap_interval, means, wilson_interval
from counterpoint.topology.design import Plan
from counterpoint.topology.members import TRAINED, Ways, seats_of, trained_ways
from counterpoint.topology.play import play
from counterpoint.topology.topology import Topology

HALVING, FRESH = 5, 6
"""Streams of what a search plays, and of what its winner is measured on."""


@dataclass(frozen=True)
class Candidate:
    """One cell of the design."""

    name: str
    """The topology, as `make_topology` takes it."""
    topology: Topology
    """The same, with its order."""
    prompt: str
    """How the members behave."""


def search_topologies(
    plan: Plan, budget: int, *, on_progress: Callable[[int, int], None] | None = None
) -> TopologySearchResult:
    """Returns the winner, what it scored while it was chosen, and what it scores on fresh items.

    Args:
        plan: the candidates: every topology x order x prompt; the winner is measured on
            `seeds` times `items` in the end.
        budget: items that all candidates together may play.
        on_progress: takes how many rounds are over, and of how many.

    Raises:
        SettingError: a budget of less than one item for each candidate and round.

    Source: Karnin, Koren and Somekh, Almost optimal exploration in multi-armed bandits (2013).
    """
    ways: Mapping[str, Ways] = {}
    if TRAINED in plan.levels():
        ways = trained_ways(plan.world, plan.settings, plan.topologies, plan.guards, None)
    alive = [
        Candidate(name, topology, prompt)
        for name in plan.topologies
        for topology in plan.seatings(name)
        for prompt in plan.levels()
    ]
    halvings = max(1, ceil(log2(len(alive))))
    if budget < len(alive) * halvings:
        raise SettingError(
            f"got a budget of {budget} items for {len(alive)} candidates and {halvings} rounds; "
            f"wanted at least {len(alive) * halvings}"
        )
    spent, history = 0, []
    average = np.zeros(len(alive))
    for number in range(halvings):
        count = budget // (halvings * len(alive))
        scores = [_scores(plan, one, ways, [HALVING, number], count) for one in alive]
        spent += count * len(alive)
        average = np.array([one.mean() for one in scores])
        history.append(SearchRound(candidates=len(alive), items=count, best=float(average.max())))
        keep = np.argsort(-average, kind="stable")[: max(1, ceil(len(alive) / 2))]
        alive, average = [alive[i] for i in keep], average[keep]
        if on_progress:
            on_progress(number + 1, halvings)
    winner = alive[0]
    fresh = _scores(plan, winner, ways, [FRESH], plan.seeds * plan.items)
    estimate = (
        wilson_interval(int(fresh.sum()), len(fresh))
        if np.isin(fresh, (0, 1)).all()
        else bootstrap_interval(fresh, rng=np.random.default_rng(0), statistic=means)
    )
    return TopologySearchResult(
        version=__version__,
        world=plan.world,
        winner=Winner(topology=winner.name, prompt=winner.prompt,
                      order=[list(turn) for turn in winner.topology.order]),
        searched=float(average[0]),
        fresh=estimate,
        rounds=history,
        budget=budget,
        spent=spent,
    )  # fmt: skip


def _scores(
    plan: Plan, one: Candidate, ways: Mapping[str, Ways], stream: list[int], count: int
) -> Floats:
    """[count] what a candidate scores on the items of a stream."""
    world = plan.make()
    items = world.draw(np.random.default_rng(stream), count)
    seats = seats_of(world, plan.model, plan.base_url)
    members = seats.members(one.prompt, ways.get(one.name))
    rng = np.random.default_rng([*stream, 1])
    played = play(one.topology, items, count, members, rng, guards=plan.guards)
    won: Floats = world.score(items, played.answers) * played.answered
    return won
