"""`TalkTally`: who turns to whom in a log, and which topology that is.

A message without a receiver has been read by all members, or by one whom the log does not name. So
each episode is measured under both readings, and the nearest named topology is told only if they
agree.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from counterpoint.records import Episode, Event
from counterpoint.results.audit import NearShape, Talk, TalkReading, TalkShape
from counterpoint.topology import Nearest, Topology, hops, nearest_topologies
from counterpoint.topology.topology import ENUMERABLE

MOST_PAIRS = 200
"""The most pairs of members whose talk is listed."""
NAMED, BY_ALL = "named receivers alone", "all members read messages without a receiver"
SPEAKS = ("message", "answer")
Edges = frozenset[tuple[int, int]]


class Measured(NamedTuple):
    """The numbers of one episode under one reading."""

    density: float
    centralization: float | None
    reach: float
    hops: float | None
    nearest: tuple[Nearest, ...]


@lru_cache(maxsize=4096)
def measured(members: int, edges: Edges) -> Measured:
    """Returns the measures of a graph in which each member speaks as often as it takes.

    Centralization is Freeman's of degrees (Social Networks 1, 1979): the sum of the differences to
    the largest degree, over (A - 1)(A - 2), with degrees in the undirected graph.

    Args:
        members: A, from 2 to `ENUMERABLE`.
        edges: (from, to), numbers of members.
    """
    everybody = (tuple(range(members)),)
    fewest = hops(Topology("measured", members, tuple(edges), everybody, rounds=members))
    ways = fewest[~np.eye(members, dtype=bool)]
    arrived = ways[np.isfinite(ways)]
    degree = Counter(end for pair in {tuple(sorted(edge)) for edge in edges} for end in pair)
    most = max(degree.values(), default=0)
    centralization = None
    if members > 2:
        spread = sum(most - degree[member] for member in range(members))
        centralization = spread / ((members - 1) * (members - 2))
    return Measured(
        density=len(edges) / len(ways),
        centralization=centralization,
        reach=len(arrived) / len(ways),
        hops=float(arrived.mean()) if len(arrived) else None,
        nearest=nearest_topologies(members, edges),
    )


class TalkTally:
    """Counts of who turns to whom, over all episodes."""

    def __init__(self) -> None:
        self.pairs: Counter[tuple[str, str, str]] = Counter()
        self.counts: Counter[str] = Counter()
        self.of_reading: dict[str, list[Measured]] = {NAMED: [], BY_ALL: []}

    def add(self, episode: Episode) -> None:
        """Counts an episode."""
        members = set(episode.agents)
        mine = [event for event in episode.events if event.agent in members]
        self._count_pairs(mine, members)
        if len(episode.agents) < 2:
            return
        if len(episode.agents) > ENUMERABLE:
            self.counts["too large"] += 1
            return
        number = {name: i for i, name in enumerate(episode.agents)}
        named, to_all = set[tuple[int, int]](), set[int]()
        for event in mine:
            if event.kind not in (*SPEAKS, "handoff"):
                continue
            sender = number[event.agent]
            if event.to:
                self.counts["addressed"] += 1
                named |= {(sender, number[to]) for to in event.to if to in number}
            elif event.kind in SPEAKS and event.text.strip():
                self.counts["unaddressed"] += 1
                to_all.add(sender)
        by_all = {(sender, other) for sender in to_all for other in number.values()}
        for reading, ends in ((NAMED, named), (BY_ALL, named | by_all)):
            if edges := frozenset((a, b) for a, b in ends if a != b):
                self.of_reading[reading].append(measured(len(number), edges))

    def _count_pairs(self, mine: list[Event], members: set[str]) -> None:
        """Counts pairs by name, by a handoff, and by having the next turn."""
        before = None
        pairs: list[tuple[str, str, str]] = []
        for event in mine:
            way = "handoff" if event.kind == "handoff" else "message"
            pairs += [(event.agent, to, way) for to in event.to if to in members]
            if before is not None:
                pairs.append((before, event.agent, "follow"))
            before = event.agent
        for pair in pairs:
            if pair[0] != pair[1] and (pair in self.pairs or len(self.pairs) < 20 * MOST_PAIRS):
                self.pairs[pair] += 1

    def talks(self) -> list[Talk]:
        """Returns who turns to whom, the most frequent first."""
        pairs = dict.fromkeys((sender, receiver) for sender, receiver, _ in self.pairs)
        talks = [
            Talk(sender=one, receiver=other, messages=self.pairs[one, other, "message"],
                 handoffs=self.pairs[one, other, "handoff"],
                 follows=self.pairs[one, other, "follow"])
            for one, other in pairs
        ]  # fmt: skip
        talks.sort(key=lambda t: (-t.messages - t.handoffs, -t.follows, t.sender, t.receiver))
        return talks[:MOST_PAIRS]

    def shape(self) -> TalkShape | None:
        """Returns the topology of the log; None if no episode has two members."""
        addressed, unaddressed = self.counts["addressed"], self.counts["unaddressed"]
        if not self.of_reading[BY_ALL] and not self.counts["too large"]:
            return None
        names = (NAMED, BY_ALL) if unaddressed else (NAMED,)
        readings = [_reading(name, each) for name in names if (each := self.of_reading[name])]
        nearest, reason = _agreed(readings)
        return TalkShape(addressed=addressed, unaddressed=unaddressed,
                         too_large=self.counts["too large"], readings=readings, nearest=nearest,
                         reason=reason)  # fmt: skip


def _reading(name: str, episodes: list[Measured]) -> TalkReading:
    shapes: defaultdict[tuple[str, ...], list[Nearest]] = defaultdict(list)
    for each in episodes:
        for shape in each.nearest:
            shapes[shape.names].append(shape)
    central = [each.centralization for each in episodes if each.centralization is not None]
    ways = [each.hops for each in episodes if each.hops is not None]
    rows = [
        NearShape(names=list(names), episodes=len(some),
                  missing=float(np.mean([shape.missing for shape in some])),
                  extra=float(np.mean([shape.extra for shape in some])))
        for names, some in shapes.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: -row.episodes)
    return TalkReading(
        assumption=name, episodes=len(episodes),
        density=float(np.mean([each.density for each in episodes])),
        centralization=float(np.mean(central)) if central else None,
        reach=float(np.mean([each.reach for each in episodes])),
        hops=float(np.mean(ways)) if ways else None, nearest=rows,
    )  # fmt: skip


def _agreed(readings: list[TalkReading]) -> tuple[list[str], str]:
    """Returns the topologies that all readings say, or none and the reason."""
    if not readings:
        return [], "no team has two to eight members who talk"
    if readings[0].assumption != NAMED:
        return [], "no message names a member as its receiver"
    for reading in readings:
        first, *rest = reading.nearest
        if 2 * first.episodes <= reading.episodes or any(
            each.episodes == first.episodes for each in rest
        ):
            return [], f"no shape alone is the nearest one in most episodes ({reading.assumption})"
    names = [reading.nearest[0].names for reading in readings]
    if names[0] != names[-1]:
        return [], "messages without a receiver could be for all members, or for one of them"
    return names[0], ""
