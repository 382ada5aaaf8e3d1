"""The topologies by name: `catalogue()` lists them, `make_topology("ring:reach=2", 6)` builds one.

Each is a function of the number of members. What stands behind the colon overrides a default:
`rounds` of all of them, `reach` of a ring, `branches` of a tree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.topology.topology import Topology

Edges = tuple[tuple[int, int], ...]


class Entry(NamedTuple):
    """A topology in the catalogue."""

    build: Callable[..., Topology]
    """Called with the number of members, and its options by name."""
    summary: str
    """One line: who hears whom."""
    source: str
    """Where it comes from."""
    options: tuple[str, ...] = ()
    """What it can be told besides `rounds`, each a whole number."""


def solo(members: int) -> Topology:
    """The first member alone."""
    return Topology("solo", members, (), ((0,),), decides="member", decider=0)


def independent(members: int) -> Topology:
    """All alone, then a vote."""
    return Topology("independent", members, (), (_all(members),))


def best_of_n(members: int) -> Topology:
    """All alone, then whoever is surest."""
    return Topology("best_of_n", members, (), (_all(members),), decides="best")


def chain(members: int) -> Topology:
    """One after the other, each hears the one before; the last decides."""
    line = _all(members)
    return _one_decides("chain", members, tuple(pairwise(line)), _singly(members), members - 1)


def ring(members: int, reach: int = 1) -> Topology:
    """All at once, each hears the `reach` members before it."""
    if not 1 <= reach <= max(1, members - 1):
        raise SettingError(f"got reach={reach} in a ring of {members}; wanted 1 to {members - 1}")
    ends = {((i - k) % members, i) for i in range(members) for k in range(1, reach + 1)}
    edges = tuple(sorted(edge for edge in ends if edge[0] != edge[1]))
    return Topology("ring", members, edges, (_all(members),), rounds=2)


def star(members: int) -> Topology:
    """All speak to the first, who speaks to all, and decides."""
    order = (tuple(range(1, members)), (0,)) if members > 1 else ((0,),)
    return _one_decides("star", members, _both_ways(members), order, 0)


def tree(members: int, branches: int = 2) -> Topology:
    """From the leaves to the first member, who decides."""
    if branches < 1:
        raise SettingError(f"got branches={branches}; wanted at least 1")
    parents = {i: (i - 1) // branches for i in range(1, members)}
    depth = [0] * members
    for child, parent in parents.items():
        depth[child] = depth[parent] + 1
    order = tuple(
        tuple(i for i in range(members) if depth[i] == level) for level in range(max(depth), -1, -1)
    )
    return _one_decides("tree", members, tuple(parents.items()), order, 0)


def complete(members: int) -> Topology:
    """All at once, all hear all, then a vote."""
    return Topology("complete", members, _everybody(members), (_all(members),))


def debate(members: int) -> Topology:
    """As `complete`, in three rounds."""
    return replace(complete(members), name="debate", rounds=3)


def blackboard(members: int) -> Topology:
    """One after the other, each reads all that was said; then a vote."""
    return Topology("blackboard", members, _everybody(members), _singly(members))


def planner_workers(members: int) -> Topology:
    """The first speaks to the others, who speak to it alone; it decides."""
    order = ((0,), tuple(range(1, members))) if members > 1 else ((0,),)
    return _one_decides("planner_workers", members, _both_ways(members), order, 0)


def _all(members: int) -> tuple[int, ...]:
    return tuple(range(members))


def _singly(members: int) -> tuple[tuple[int, ...], ...]:
    return tuple((i,) for i in range(members))


def _everybody(members: int) -> Edges:
    return tuple((a, b) for a in range(members) for b in range(members) if a != b)


def _both_ways(members: int) -> Edges:
    return tuple(edge for i in range(1, members) for edge in ((i, 0), (0, i)))


def _one_decides(
    name: str, members: int, edges: Edges, order: tuple[tuple[int, ...], ...], decider: int
) -> Topology:
    return Topology(name, members, edges, order, decides="member", decider=decider)


_TOPOLOGIES: dict[str, Entry] = {
    "solo": Entry(solo, "one member alone; the others are silent", "the baseline"),
    "independent": Entry(
        independent, "nobody hears anybody; the majority decides",
        "self-consistency, Wang et al., arXiv 2203.11171",
    ),
    "best_of_n": Entry(
        best_of_n, "nobody hears anybody; whoever is surest decides",
        "best of n, Cobbe et al., arXiv 2110.14168",
    ),
    "chain": Entry(
        chain, "each hears the one before; the last decides",
        "chain of agents, Zhang et al., arXiv 2406.02818",
    ),
    "ring": Entry(
        ring, "all at once, each hears its neighbours before it, two rounds; the majority decides",
        "sparse debate, Li et al., arXiv 2406.11776", ("reach",),
    ),
    "star": Entry(
        star, "all speak to one, who decides", "wheel, Bavelas, J. Acoust. Soc. Am. 22 (1950)"
    ),
    "tree": Entry(
        tree, "from the leaves to the root, who decides",
        "hierarchy, Guetzkow and Simon, Management Science 1 (1955)", ("branches",),
    ),
    "complete": Entry(
        complete, "all at once, all hear all, once; the majority decides",
        "all-channel, Leavitt, J. Abnorm. Soc. Psychol. 46 (1951)",
    ),
    "debate": Entry(
        debate, "all at once, all hear all, three rounds; the majority decides",
        "multi-agent debate, Du et al., arXiv 2305.14325",
    ),
    "blackboard": Entry(
        blackboard, "one after the other, each reads all that was said; the majority decides",
        "blackboard, Hayes-Roth, Artificial Intelligence 26 (1985)",
    ),
    "planner_workers": Entry(
        planner_workers, "one speaks to all, then all to it; it decides",
        "orchestrator and workers, Fourney et al., arXiv 2411.04468",
    ),
}  # fmt: skip


def catalogue() -> dict[str, Entry]:
    """Name to `Entry`, in the order in which tables list them."""
    return dict(_TOPOLOGIES)


def make_topology(told: str, members: int) -> Topology:
    """The topology that `told` names: `star`, `debate:rounds=5`, `ring:reach=2:rounds=4`.

    Args:
        told: a name of the catalogue, and options behind colons.
        members: A.

    Raises:
        UnknownNameError: no topology, or no option of it, has that name.
        SettingError: an option that is no whole number, or out of range.
    """
    name, *pairs = told.split(":")
    if name not in _TOPOLOGIES:
        raise UnknownNameError(f"got topology '{name}'; wanted one of {', '.join(_TOPOLOGIES)}")
    entry = _TOPOLOGIES[name]
    if not 1 <= members <= 256:
        raise SettingError(f"got {members} members; wanted 1 to 256")
    options: dict[str, int] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in (known := ("rounds", *entry.options)):
            raise UnknownNameError(f"got option '{key}' of {name}; wanted {', '.join(known)}")
        if not value.isdecimal():
            raise SettingError(f"got {key}={value!r} of {name}; wanted a whole number")
        options[key] = int(value)
    rounds = options.pop("rounds", None)
    made = replace(entry.build(members, **options), name=told)
    return made if rounds is None else replace(made, rounds=rounds)
