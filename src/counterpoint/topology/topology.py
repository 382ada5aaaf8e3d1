"""`Topology`: edges, speaking order, rounds, and who decides. Members are numbers from 0.

`measures` and `hops` say what a topology can carry, `orders` lists the seatings that differ, and
networkx graphs come in and go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.optional import needs, pip_line

Decision = Literal["member", "vote", "best"]
"""One member decides; or the majority, and the surest in a tie; or the surest speaker."""

MOST_MEMBERS, MOST_ROUNDS = 256, 10_000
ENUMERABLE = 8
"""The most members whose orders are enumerated; 8 members have 40,320 orders."""


@dataclass(frozen=True)
class Topology:
    """Who hears whom, in which order, how often, and who decides.

    Raises:
        SettingError: an edge or a turn names no member, a member hears itself or speaks twice in a
            round, or nobody can take the decision.
    """

    name: str
    """Its name."""
    members: int
    """A, the number of members, whether they speak or not."""
    edges: tuple[tuple[int, int], ...]
    """(from, to): `to` hears what `from` says."""
    order: tuple[tuple[int, ...], ...]
    """The turns of a round; the members of one turn speak at once."""
    rounds: int = 1
    """How often the team goes through the order."""
    decides: Decision = "vote"
    """The rule of the decision at the end."""
    decider: int | None = None
    """The member who decides, if one does."""

    def __post_init__(self) -> None:
        if not 1 <= self.members <= MOST_MEMBERS:
            raise SettingError(f"got {self.members} members; wanted 1 to {MOST_MEMBERS}")
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise SettingError(f"got {self.rounds} rounds; wanted 1 to {MOST_ROUNDS}")
        if self.decides not in get_args(Decision):
            wanted = ", ".join(get_args(Decision))
            raise SettingError(f"got decides={self.decides!r}; wanted one of {wanted}")
        known = range(self.members)
        for edge in self.edges:
            if edge[0] == edge[1] or not all(end in known for end in edge):
                raise SettingError(f"got edge {edge}; wanted two different members of {known}")
        if len(set(self.edges)) < len(self.edges):
            raise SettingError("got an edge twice; wanted each of them once")
        speak = self.speakers
        if not speak or len(set(speak)) < len(speak) or not all(one in known for one in speak):
            raise SettingError(
                f"got order {self.order}; wanted members of {known}, each at most once in a round"
            )
        if (self.decides == "member") != (self.decider is not None):
            raise SettingError(f"got decides={self.decides!r} and decider={self.decider}; wanted "
                               "a decider where a member decides, and nowhere else")  # fmt: skip
        if self.decider is not None and self.decider not in known:
            raise SettingError(f"got decider {self.decider}; wanted one of {known}")

    @property
    def speakers(self) -> tuple[int, ...]:
        """Returns the members who speak, in the order of a round."""
        return tuple(member for turn in self.order for member in turn)

    @property
    def deciders(self) -> tuple[int, ...]:
        """Returns the members whose answers count: the decider, or all speakers."""
        return self.speakers if self.decider is None else (self.decider,)

    @property
    def turns(self) -> int:
        """Returns how often members speak, in all rounds."""
        return self.rounds * len(self.speakers)

    @property
    def messages(self) -> int:
        """Returns how often a member hears another, in all rounds."""
        speak = set(self.speakers)
        return self.rounds * sum(speaker in speak for speaker, _ in self.edges)

    def heard_by(self, member: int) -> tuple[int, ...]:
        """Returns the members that `member` hears."""
        return tuple(speaker for speaker, hearer in self.edges if hearer == member)

    def seated(self, seats: Sequence[int]) -> Topology:
        """Returns the same topology with other seats: `seats[i]` takes the seat of i.

        Raises:
            SettingError: `seats` is not an order of all members.
        """
        if sorted(seats) != list(range(self.members)):
            raise SettingError(f"got seats {list(seats)}; wanted an order of {range(self.members)}")
        return replace(
            self,
            edges=tuple((seats[a], seats[b]) for a, b in self.edges),
            order=tuple(tuple(seats[one] for one in turn) for turn in self.order),
            decider=None if self.decider is None else seats[self.decider],
        )

    @property
    def shape(self) -> tuple[object, ...]:
        """Returns a value that is equal for topologies which differ only in equal things' order."""
        turns = tuple(tuple(sorted(turn)) for turn in self.order)
        return (
            self.members, tuple(sorted(self.edges)), turns, self.rounds, self.decides, self.decider
        )  # fmt: skip


@dataclass(frozen=True)
class Measures:
    """The numbers that describe a topology."""

    density: float
    """Edges as a share of those of the complete graph, 0 to 1."""
    turns: int
    """How often members speak."""
    messages: int
    """How often a member hears another."""
    depth: int
    """Turns that must wait for each other: the team's time if one turn takes time 1."""
    reach: float
    """Share of pairs (member, decider) in which the member's knowledge reaches the decider."""
    path: float | None
    """Mean number of messages from the first member to the deciders; None if it cannot reach one of
    them. In worlds with an expert, the first member is the expert."""


def hops(topology: Topology) -> NDArray[np.float64]:
    """Returns [A, A] the fewest messages that bring what i knew at first to j, in this order.

    Returns:
        the number of messages; 0 to itself, inf if it never arrives.

    Source: foremost journeys in temporal graphs, Bui-Xuan et al., Int. J. Found. Comput. Sci. 14
    (2003); counted in messages here.
    """
    size = topology.members
    fewest = np.full((size, size), np.inf)
    np.fill_diagonal(fewest, 0.0)
    for _ in range(min(topology.rounds, size)):  # a longer way than through everybody is not better
        for turn in topology.order:
            # Members of one turn speak at once: none of them passes on what another says in it.
            sent = fewest[:, list(turn)].copy()
            for column, speaker in enumerate(turn):
                for hearer in (b for a, b in topology.edges if a == speaker):
                    fewest[:, hearer] = np.minimum(fewest[:, hearer], sent[:, column] + 1)
    return fewest


def measures(topology: Topology, expert: int = 0) -> Measures:
    """Returns the numbers that describe one topology.

    Args:
        topology: any topology.
        expert: the member whose path is measured.
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


def orders(
    topology: Topology, most: int | None = None, rng: np.random.Generator | None = None
) -> tuple[Topology, ...]:
    """Returns the topology in every seating that differs from the others.

    A team in which all hear all at once has one order, a star has one for each hub, and a chain has
    A!.

    Args:
        topology: any topology; its own order comes first.
        most: the most orders that are returned; others are left out at random.
        rng: draws the orders that stay; without it, the first ones stay.

    Raises:
        SettingError: there are too many members to enumerate their orders, and no `most`.
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
    seatings = tuple(different.values())
    if most is None or len(seatings) <= most:
        return seatings
    if rng is None:
        return seatings[:most]
    kept = sorted(rng.permutation(len(seatings) - 1)[: most - 1] + 1)
    return (seatings[0], *(seatings[i] for i in kept))


def _drawn(topology: Topology, most: int, rng: np.random.Generator) -> tuple[Topology, ...]:
    different = {topology.shape: topology}
    for seats in islice(iter(lambda: rng.permutation(topology.members).tolist(), None), 20 * most):
        if len(different) == most:
            break
        seated = topology.seated(seats)
        different.setdefault(seated.shape, seated)
    return tuple(different.values())


def to_networkx(topology: Topology) -> Any:
    """Returns a `networkx.DiGraph` with an edge from each speaker to its hearers.

    Nodes have the attribute `turn` (None if the member is silent); the graph has `rounds`,
    `decides`, `decider` and `name`.

    Raises:
        MissingPackageError: networkx is not installed.
    """
    with needs("a graph", pip_line("graphs")):
        import networkx
    turn_of = {one: t for t, turn in enumerate(topology.order) for one in turn}
    graph = networkx.DiGraph(
        name=topology.name, rounds=topology.rounds, decides=topology.decides,
        decider=topology.decider,
    )  # fmt: skip
    graph.add_nodes_from((i, {"turn": turn_of.get(i)}) for i in range(topology.members))
    graph.add_edges_from(topology.edges)
    return graph


def from_networkx(graph: Any) -> Topology:
    """Returns the topology of a graph; an undirected edge is heard both ways.

    Members are numbered in the order of the graph's nodes. Attributes are those of `to_networkx`.
    If no node has `turn`, all speak at once; if the graph has no `decides`, the majority decides.

    Raises:
        SettingError: the graph has no nodes, or has a loop, or its attributes make no topology.
    """
    number = {node: i for i, node in enumerate(graph.nodes)}
    if not number:
        raise SettingError("got a graph without nodes; wanted one for each member")
    ends = [(number[a], number[b]) for a, b in graph.edges]
    if not graph.is_directed():
        ends += [(b, a) for a, b in ends]
    attributes = graph.graph
    turns: dict[int, list[int]] = {}
    # Without any mark all speak at once; with marks, an unmarked member is silent.
    marked = any("turn" in facts for _, facts in graph.nodes(data=True))
    for node, facts in graph.nodes(data=True):
        turn = facts.get("turn") if marked else 0
        if turn is not None:
            turns.setdefault(int(turn), []).append(number[node])
    decider = attributes.get("decider")
    decider = None if decider is None else number.get(decider, decider)
    return Topology(
        name=str(attributes.get("name") or "graph"),
        members=len(number),
        edges=tuple(dict.fromkeys(ends)),
        order=tuple(tuple(turns[t]) for t in sorted(turns)),
        rounds=int(attributes.get("rounds", 1)),
        decides=attributes.get("decides", "vote" if decider is None else "member"),
        decider=decider,
    )
