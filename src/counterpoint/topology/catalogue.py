"""The topologies by name: `make_topology("ring:reach=2", 6)` builds one of `TOPOLOGIES`.

Each is a function of the number of members. Options behind colons override defaults: `rounds` of
all topologies, `reach` of a ring, `branches` of a tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from counterpoint.errors import SettingError, UnknownNameError, choices
from counterpoint.settings import number_from, split_pairs
from counterpoint.topology.topology import MOST_MEMBERS, Topology

Edges = tuple[tuple[int, int], ...]


class TopologyEntry(NamedTuple):
    """A topology in the catalogue."""

    build: Callable[..., Topology]
    """Called with the number of members, and its options by name."""
    summary: str
    """One line: who hears whom."""
    source: str
    """The paper that describes it."""
    options: tuple[str, ...] = ()
    """Its options besides `rounds`, each a whole number."""


def solo(members: int) -> Topology:
    """Returns a team in which the first member alone speaks."""
    return Topology("solo", members, (), ((0,),), decides="member", decider=0)


def independent(members: int) -> Topology:
    """Returns a team in which every member answers alone; the majority decides."""
    return Topology("independent", members, (), (tuple(range(members)),))


def best_of_n(members: int) -> Topology:
    """Returns a team in which every member answers alone; the surest decides."""
    return Topology("best_of_n", members, (), (tuple(range(members)),), decides="best")


def chain(members: int) -> Topology:
    """Returns a team in which each member hears the one before it; the last decides."""
    edges = tuple(pairwise(range(members)))
    return Topology("chain", members, edges, _singly(members), decides="member",
                    decider=members - 1)  # fmt: skip


def ring(members: int, reach: int = 1) -> Topology:
    """Returns a team in which all speak at once, and each hears the `reach` members before it."""
    if not 1 <= reach <= max(1, members - 1):
        raise SettingError(f"got reach={reach} in a ring of {members}; wanted 1 to {members - 1}")
    ends = {((i - k) % members, i) for i in range(members) for k in range(1, reach + 1)}
    edges = tuple(sorted(edge for edge in ends if edge[0] != edge[1]))
    return Topology("ring", members, edges, (tuple(range(members)),), rounds=2)


def star(members: int) -> Topology:
    """Returns a team in which all speak to the first member, who speaks to all, and decides."""
    order = (tuple(range(1, members)), (0,)) if members > 1 else ((0,),)
    return Topology("star", members, _both_ways(members), order, decides="member", decider=0)


def tree(members: int, branches: int = 2) -> Topology:
    """Returns a team in which members speak from the leaves to the first member, who decides."""
    if branches < 1:
        raise SettingError(f"got branches={branches}; wanted at least 1")
    parents = {i: (i - 1) // branches for i in range(1, members)}
    depth = [0] * members
    for child, parent in parents.items():
        depth[child] = depth[parent] + 1
    order = tuple(
        tuple(i for i in range(members) if depth[i] == level) for level in range(max(depth), -1, -1)
    )
    return Topology("tree", members, tuple(parents.items()), order, decides="member", decider=0)


def complete(members: int) -> Topology:
    """Returns a team in which all speak at once and hear all; the majority decides."""
    return Topology("complete", members, _everybody(members), (tuple(range(members)),))


def debate(members: int) -> Topology:
    """Returns `complete` with three rounds."""
    return replace(complete(members), name="debate", rounds=3)


def blackboard(members: int) -> Topology:
    """Returns a team whose members speak one by one, and read all; the majority decides."""
    return Topology("blackboard", members, _everybody(members), _singly(members))


def planner_workers(members: int) -> Topology:
    """Returns a team in which the first speaks to the others, who speak to it alone; it decides."""
    order = ((0,), tuple(range(1, members))) if members > 1 else ((0,),)
    edges = _both_ways(members)
    return Topology("planner_workers", members, edges, order, decides="member", decider=0)


def _singly(members: int) -> tuple[tuple[int, ...], ...]:
    return tuple((i,) for i in range(members))


def _everybody(members: int) -> Edges:
    return tuple((a, b) for a in range(members) for b in range(members) if a != b)


def _both_ways(members: int) -> Edges:
    return tuple(edge for i in range(1, members) for edge in ((i, 0), (0, i)))


TOPOLOGIES: Mapping[str, TopologyEntry] = {
    "solo": TopologyEntry(solo, "one member alone; the others are silent", "the baseline"),
    "independent": TopologyEntry(
        independent, "nobody hears anybody; the majority decides",
        "self-consistency, Wang et al., arXiv 2203.11171",
    ),
    "best_of_n": TopologyEntry(
        best_of_n, "nobody hears anybody; whoever is surest decides",
        "best of n, Cobbe et al., arXiv 2110.14168",
    ),
    "chain": TopologyEntry(
        chain, "each hears the one before; the last decides",
        "chain of agents, Zhang et al., arXiv 2406.02818",
    ),
    "ring": TopologyEntry(
        ring, "all at once, each hears its neighbours before it, two rounds; the majority decides",
        "sparse debate, Li et al., arXiv 2406.11776", ("reach",),
    ),
    "star": TopologyEntry(
        star, "all speak to one, who decides", "wheel, Bavelas, J. Acoust. Soc. Am. 22 (1950)"
    ),
    "tree": TopologyEntry(
        tree, "from the leaves to the root, who decides",
        "hierarchy, Guetzkow and Simon, Management Science 1 (1955)", ("branches",),
    ),
    "complete": TopologyEntry(
        complete, "all at once, all hear all, once; the majority decides",
        "all-channel, Leavitt, J. Abnorm. Soc. Psychol. 46 (1951)",
    ),
    "debate": TopologyEntry(
        debate, "all at once, all hear all, three rounds; the majority decides",
        "multi-agent debate, Du et al., arXiv 2305.14325",
    ),
    "blackboard": TopologyEntry(
        blackboard, "one after the other, each reads all that was said; the majority decides",
        "blackboard, Hayes-Roth, Artificial Intelligence 26 (1985)",
    ),
    "planner_workers": TopologyEntry(
        planner_workers, "one speaks to all, then all to it; it decides",
        "orchestrator and workers, Fourney et al., arXiv 2411.04468",
    ),
}  # fmt: skip
"""The topologies by name, in the order in which tables list them."""


def parse_topology(text: str) -> tuple[TopologyEntry, dict[str, int]]:
    """Returns the entry that a text names, and its options: `ring:reach=2:rounds=4`.

    Raises:
        UnknownNameError: no topology, or no option of it, has that name.
        SettingError: an option is no whole number.
    """
    name, *pairs = text.split(":")
    if name not in TOPOLOGIES:
        ending = choices(name, TOPOLOGIES, "counterpoint topology")
        raise UnknownNameError(f"got topology '{name}'{ending}")
    entry = TOPOLOGIES[name]
    options: dict[str, int] = {}
    for key, value in split_pairs(pairs, f"topology {name}").items():
        if key not in (known := ("rounds", *entry.options)):
            raise UnknownNameError(f"got option '{key}' of {name}{choices(key, known)}")
        options[key] = number_from(f"{key} of {name}", value, int)
    return entry, options


def make_topology(text: str, members: int) -> Topology:
    """Returns the topology that a text names: `star`, `debate:rounds=5`, `ring:reach=2:rounds=4`.

    Args:
        text: a name in `TOPOLOGIES`, and options behind colons.
        members: A.

    Raises:
        UnknownNameError: no topology, or no option of it, has that name.
        SettingError: an option is no whole number, or something is out of range.
    """
    entry, options = parse_topology(text)
    if not 1 <= members <= MOST_MEMBERS:
        raise SettingError(f"got {members} members; wanted 1 to {MOST_MEMBERS}")
    rounds = options.pop("rounds", None)
    topology = replace(entry.build(members, **options), name=text)
    return topology if rounds is None else replace(topology, rounds=rounds)
