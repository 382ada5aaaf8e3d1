"""Who hears whom, in which order, and who decides: a `Topology` is a frozen value.

Start with `make_topology`, which knows a dozen of them by name. `hops` and `measures` say what a
topology can carry, `orders` who can sit where, `nearest_topologies` what a graph is like.
`play` lets a team talk under a topology, `design` compares topologies, and `search` finds
the best.
"""

from counterpoint.topology.catalogue import TOPOLOGIES, make_topology
from counterpoint.topology.nearest import Nearest, nearest_topologies
from counterpoint.topology.topology import (
    Measures,
    Topology,
    from_networkx,
    hops,
    measures,
    orders,
    to_networkx,
)

__all__ = [
    "Measures", "Nearest", "TOPOLOGIES", "Topology", "from_networkx", "hops", "make_topology",
    "measures", "nearest_topologies", "orders", "to_networkx",
]  # fmt: skip
