"""`nearest_topologies`: which named topologies a measured graph of members is like.

Order, rounds and who decides cannot be seen in a graph, so topologies with the same edges are one
shape here: `star` and `planner_workers`, or `complete`, `debate` and `blackboard`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.topology.catalogue import TOPOLOGIES, make_topology
from counterpoint.topology.topology import ENUMERABLE


class Nearest(NamedTuple):
    """The named topologies of one shape, and how far a graph is from it."""

    names: tuple[str, ...]
    """In the order of the catalogue."""
    missing: int
    """Number of edges of the shape that the graph does not have, in the best seating."""
    extra: int
    """Number of edges of the graph that the shape does not have."""


class _Shape(NamedTuple):
    names: tuple[str, ...]
    seated: NDArray[np.intp]
    """[seatings, edges] the place of each edge in the flat matrix of pairs."""


@lru_cache(maxsize=4096)
def nearest_topologies(members: int, edges: frozenset[tuple[int, int]]) -> tuple[Nearest, ...]:
    """Returns the shapes with the fewest edges to add or to remove; several if they are as near.

    Every seating of the members is tried, so the distance is exact.

    Args:
        members: A.
        edges: (from, to): `to` hears what `from` says.

    Raises:
        SettingError: there are fewer than two members, or too many to enumerate their seatings.
    """
    if not 2 <= members <= ENUMERABLE:
        raise SettingError(f"got {members} members; wanted 2 to {ENUMERABLE}")
    has_edge = np.zeros(members * members, dtype=bool)
    has_edge[[a * members + b for a, b in edges]] = True
    shapes = []
    for names, seated in _shapes(members):
        shared = int(has_edge[seated].sum(axis=1).max())
        shapes.append(Nearest(names, seated.shape[1] - shared, len(edges) - shared))
    least = min(shape.missing + shape.extra for shape in shapes)
    return tuple(shape for shape in shapes if shape.missing + shape.extra == least)


@lru_cache(maxsize=ENUMERABLE)
def _shapes(members: int) -> tuple[_Shape, ...]:
    """Returns the shapes of the named topologies with their default options, in each seating."""
    seats = np.array(list(permutations(range(members))), dtype=np.intp)
    shapes: dict[int, _Shape] = {}
    for name in TOPOLOGIES:
        edges = make_topology(name, members).edges
        a, b = ([edge[end] for edge in edges] for end in (0, 1))
        seated = seats[:, a] * members + seats[:, b]
        # 8 x 8 pairs are the 64 bits of a number: seatings with the same edges are one, and so are
        # topologies with the same least number
        bits = np.bitwise_or.reduce(np.uint64(1) << seated.astype(np.uint64), axis=1)
        different, places = np.unique(bits, return_index=True)
        known = shapes.get(int(different[0]), _Shape((), seated[places]))
        shapes[int(different[0])] = known._replace(names=(*known.names, name))
    return tuple(shapes.values())
