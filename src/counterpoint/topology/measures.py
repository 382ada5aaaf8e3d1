"""What a topology can carry: how far what a member knows can travel, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterpoint.topology.topology import Topology


@dataclass(frozen=True)
class Measures:
    """The numbers that describe a topology."""

    density: float
    """Edges over those of the complete graph, 0 to 1."""
    turns: int
    """How often anybody speaks."""
    messages: int
    """How often anybody is heard by anybody."""
    depth: int
    """Turns that have to wait for each other: what the team takes if speaking takes time 1."""
    reach: float
    """Share of the pairs (member, decider) where what the member knows can get to the decider."""
    path: float | None
    """Mean number of messages from the first member to those who decide; None where it cannot get
    to one of them. The first member is the expert, where the world has one."""


def hops(topology: Topology) -> NDArray[np.float64]:
    """How many messages it takes to bring what i knew in the beginning to j, in the order given.

    Returns:
        [A, A] fewest messages from i to j; 0 to itself, inf where it never gets there.

    Source: foremost journeys in temporal graphs, Bui-Xuan et al., Int. J. Found. Comput. Sci. 14
    (2003); counted in messages here.
    """
    size = topology.members
    found = np.full((size, size), np.inf)
    np.fill_diagonal(found, 0.0)
    for _ in range(min(topology.rounds, size)):  # a longer way than through everybody is not better
        for turn in topology.order:
            said = found[:, list(turn)].copy()
            for column, speaker in enumerate(turn):
                for hearer in (b for a, b in topology.edges if a == speaker):
                    found[:, hearer] = np.minimum(found[:, hearer], said[:, column] + 1)
    return found


def measures(topology: Topology, expert: int = 0) -> Measures:
    """The numbers of one topology.

    Args:
        topology: any.
        expert: whose path is measured.
    """
    size, deciders = topology.members, list(topology.deciders)
    to_deciders = hops(topology)[:, deciders]
    path = float(to_deciders[expert].mean())
    return Measures(
        density=len(topology.edges) / max(1, size * (size - 1)),
        turns=topology.turns,
        messages=topology.messages,
        depth=topology.rounds * len(topology.order),
        reach=float(np.isfinite(to_deciders).mean()),
        path=path if np.isfinite(path) else None,
    )
