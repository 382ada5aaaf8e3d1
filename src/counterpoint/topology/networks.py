"""networkx in and out: graphs that somebody drew become topologies, and ours can be analysed."""

from __future__ import annotations

from typing import Any

from counterpoint.errors import MissingPackageError, SettingError
from counterpoint.topology.topology import Topology


def to_networkx(topology: Topology) -> Any:
    """A `networkx.DiGraph`: an edge from who speaks to who hears.

    Nodes have the attribute `turn` (or None of who is silent), the graph `rounds`, `decides`,
    `decider` and `name`.

    Raises:
        MissingPackageError: networkx is not installed.
    """
    try:
        import networkx
    except ImportError as error:
        raise MissingPackageError(
            "graphs need networkx, which is not installed: pip install networkx"
        ) from error
    turn_of = {one: t for t, turn in enumerate(topology.order) for one in turn}
    graph = networkx.DiGraph(
        name=topology.name, rounds=topology.rounds, decides=topology.decides,
        decider=topology.decider,
    )  # fmt: skip
    graph.add_nodes_from((i, {"turn": turn_of.get(i)}) for i in range(topology.members))
    graph.add_edges_from(topology.edges)
    return graph


def from_networkx(graph: Any) -> Topology:
    """The topology of a graph; an undirected edge is heard both ways.

    Members are numbered in the order of the graph's nodes. Attributes are those of `to_networkx`;
    without `turn` all speak at once, without `decides` the majority decides.

    Raises:
        SettingError: no nodes, a loop, or attributes that make no topology.
    """
    number = {node: i for i, node in enumerate(graph.nodes)}
    if not number:
        raise SettingError("got a graph without nodes; wanted one for each member")
    ends = [(number[a], number[b]) for a, b in graph.edges]
    if not graph.is_directed():
        ends += [(b, a) for a, b in ends]
    told = graph.graph
    turns: dict[int, list[int]] = {}
    marked = any("turn" in facts for _, facts in graph.nodes(data=True))
    for node, facts in graph.nodes(data=True):
        turn = facts.get("turn") if marked else 0
        if turn is not None:
            turns.setdefault(int(turn), []).append(number[node])
    decider = told.get("decider")
    decider = None if decider is None else number.get(decider, decider)
    return Topology(
        name=str(told.get("name") or "graph"),
        members=len(number),
        edges=tuple(dict.fromkeys(ends)),
        order=tuple(tuple(turns[t]) for t in sorted(turns)),
        rounds=int(told.get("rounds", 1)),
        decides=told.get("decides", "vote" if decider is None else "member"),
        decider=decider,
    )
