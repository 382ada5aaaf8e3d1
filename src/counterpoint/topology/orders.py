"""Who can sit where: every seating of a topology that is not another one's twin."""

from __future__ import annotations

from itertools import islice, permutations

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.topology.topology import Topology

ENUMERABLE = 8
"""Most members whose orders are counted out; 8 have 40,320."""


def orders(
    topology: Topology, most: int | None = None, rng: np.random.Generator | None = None
) -> tuple[Topology, ...]:
    """The topology with its members in every seating that makes a difference.

    A team where all hear all at once has one order; a star has one for each hub, a chain A!.

    Args:
        topology: any; its own order comes first.
        most: how many at most; the others are left out at random.
        rng: what they are drawn with; without it the first ones are taken.

    Raises:
        SettingError: too many members to count their orders, and no `most`.
    """
    if topology.members > ENUMERABLE:
        if most is None:
            raise SettingError(
                f"got {topology.members} members; wanted at most {ENUMERABLE}, or a limit"
            )
        return _drawn(topology, most, rng or np.random.default_rng(0))
    different: dict[tuple[object, ...], Topology] = {}
    for seats in permutations(range(topology.members)):
        seated = topology.seated(seats)
        different.setdefault(seated.shape, seated)
    found = tuple(different.values())
    if most is None or len(found) <= most:
        return found
    if rng is None:
        return found[:most]
    kept = sorted(rng.permutation(len(found) - 1)[: most - 1] + 1)
    return (found[0], *(found[i] for i in kept))


def _drawn(topology: Topology, most: int, rng: np.random.Generator) -> tuple[Topology, ...]:
    different = {topology.shape: topology}
    for seats in islice(iter(lambda: rng.permutation(topology.members).tolist(), None), 20 * most):
        if len(different) == most:
            break
        seated = topology.seated(seats)
        different.setdefault(seated.shape, seated)
    return tuple(different.values())
