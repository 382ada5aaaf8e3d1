"""`Topology`: edges, speaking order, rounds, who decides. Members are numbers from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from counterpoint.errors import SettingError

Decision = Literal["member", "vote", "best"]
"""Who decides: one member; the majority of those who spoke, the surest where there are as many; or
whoever is surest of an answer."""

MOST_MEMBERS, MOST_ROUNDS = 256, 10_000


@dataclass(frozen=True)
class Topology:
    """Who hears whom, in which order, how often, and who decides.

    Raises:
        SettingError: an edge or a turn of nobody, a member who hears itself, or who speaks twice in
            a round, or a decision that no one can take.
    """

    name: str
    """What it is called."""
    members: int
    """A, the members of the team, whether they speak or not."""
    edges: tuple[tuple[int, int], ...]
    """(from, to): `to` hears what `from` says."""
    order: tuple[tuple[int, ...], ...]
    """A round, turn by turn: who speaks in it. Those of one turn speak at once, and hear each other
    in the next."""
    rounds: int = 1
    """How often the order is gone through."""
    decides: Decision = "vote"
    """Who decides in the end."""
    decider: int | None = None
    """The member who decides, where one does."""

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
        """Who speaks, in the order of a round."""
        return tuple(member for turn in self.order for member in turn)

    @property
    def deciders(self) -> tuple[int, ...]:
        """Whose answers count: the decider, or all who speak."""
        return self.speakers if self.decider is None else (self.decider,)

    @property
    def turns(self) -> int:
        """How often anybody speaks, in all rounds."""
        return self.rounds * len(self.speakers)

    @property
    def messages(self) -> int:
        """How often anybody is heard by anybody, in all rounds."""
        speak = set(self.speakers)
        return self.rounds * sum(speaker in speak for speaker, _ in self.edges)

    def heard_by(self, member: int) -> tuple[int, ...]:
        """Whom `member` hears."""
        return tuple(speaker for speaker, hearer in self.edges if hearer == member)

    def seated(self, seats: Sequence[int]) -> Topology:
        """The same topology with other people in it: `seats[i]` sits where i sat.

        Raises:
            SettingError: `seats` is no order of all members.
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
        """The same for two topologies that differ in nothing but the order of equal things."""
        turns = tuple(tuple(sorted(turn)) for turn in self.order)
        return (
            self.members, tuple(sorted(self.edges)), turns, self.rounds, self.decides, self.decider
        )  # fmt: skip
