"""Who hears whom, in which order, and who decides: a `Topology` is a frozen value.

Start with `make_topology`, which knows a dozen by name; `hops` and `measures` say what one of them
can carry, `orders` who can sit where.
"""

from counterpoint.topology.catalogue import catalogue, make_topology
from counterpoint.topology.measures import Measures, hops, measures
from counterpoint.topology.networks import from_networkx, to_networkx
from counterpoint.topology.orders import orders
from counterpoint.topology.topology import Topology

__all__ = [
    "Measures",
    "Topology",
    "catalogue",
    "from_networkx",
    "hops",
    "make_topology",
    "measures",
    "orders",
    "to_networkx",
]
