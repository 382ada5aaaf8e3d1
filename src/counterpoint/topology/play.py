"""`play`: a topology, a batch of items, and members. Everything that is said is kept.

A round goes through the topology's order; those of one turn speak before any of them is heard.
Then those who decide answer. A member that fails is written down, and its siblings go on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats
from counterpoint.errors import SettingError
from counterpoint.topology.guards import Guards, guarded
from counterpoint.topology.topology import Topology
from counterpoint.worlds.message.world import Member, MessageContent, Observation, ReceivedMessage


class Spending(Protocol):
    """Somebody who counts."""

    calls: int
    """How often anybody was asked."""
    tokens: int
    """Read and written."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a batch may cost. Where it is used up nobody speaks any more; those who decide answer.

    Raises:
        SettingError: a budget below 0.
    """

    calls: int | None = None
    """Turns in items: one member that speaks in one item is one call."""
    tokens: int | None = None
    """Tokens read and written, where members count them."""
    seconds: float | None = None
    """Wall clock."""

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "seconds"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise SettingError(f"got a budget of {name}={value}; wanted 0 or more")


@dataclass(frozen=True)
class Turn:
    """One turn of one member, in all items."""

    member: int
    """Who spoke."""
    round: int
    """In which round, from 0; -1 is a first draft that was written alone."""
    said: MessageContent | None
    """[B, ...] what it said; None where it failed."""
    failure: str = ""
    """Why it failed."""
    nudged: int = 0
    """In how many items it was asked again, because it had said nothing."""


@dataclass(frozen=True)
class Answers:
    """What one member answered in all items."""

    member: int
    """Who."""
    answers: NDArray[Any]
    """[B] its answers."""
    sure: Floats
    """[B] how sure it is; -inf where it gave no answer."""


@dataclass(frozen=True)
class Played:
    """What came of it."""

    topology: Topology
    """As it was played, guards included."""
    turns: tuple[Turn, ...]
    """In order."""
    votes: tuple[Answers, ...]
    """Of those who decide."""
    alone: tuple[Answers, ...]
    """What each member answered before anybody had spoken, where that was asked for."""
    together: tuple[Answers, ...]
    """What each member answered in the end, where that was asked for."""
    answers: NDArray[Any]
    """[B] the team's answers."""
    answered: Bools
    """[B] whether anybody answered."""
    calls: int
    """How often anybody was asked to speak or to answer, items counted one by one."""
    stopped: str = ""
    """Which budget was used up, if one was."""
    failures: tuple[str, ...] = field(default=())
    """What went wrong: `member 2, round 0: ...`."""


def play(
    topology: Topology,
    items: Any,
    count: int,
    members: Sequence[Member[Any]],
    rng: np.random.Generator,
    *,
    guards: Guards | None = None,
    budget: Budget | None = None,
    ask_all: bool = False,
    spending: Spending | None = None,
) -> Played:
    """Play all items side by side.

    Args:
        topology: of as many members as there are.
        items: a batch of a message world, or anything else that the members understand.
        count: B, how many items that is.
        members: who speaks. One more than the topology has is the judge outside; without it the
            judge is of the kind of the first.
        rng: all chance.
        guards: which rules of talk are on.
        budget: what it may cost.
        ask_all: ask everybody for an answer before anybody has spoken, and in the end, for the
            record: these answers decide nothing.
        spending: who counts the tokens of members that cost some.

    Raises:
        SettingError: members and topology do not fit.
    """
    guards = guards or Guards()
    table = guarded(topology, guards)
    seats = list(members)
    if table.members == len(seats) + 1:
        seats.append(seats[0])
    if len(seats) < table.members:
        raise SettingError(f"got {len(members)} members for {topology.members} seats")
    return _Table(table, items, count, seats, rng, guards, budget or Budget(), spending).play(
        ask_all
    )


class _Table:
    """One batch while it is played."""

    def __init__(
        self,
        topology: Topology,
        items: Any,
        count: int,
        members: Sequence[Member[Any]],
        rng: np.random.Generator,
        guards: Guards,
        budget: Budget,
        spending: Spending | None,
    ) -> None:
        self.topology, self.items, self.count, self.members = topology, items, count, members
        self.rng, self.guards, self.budget, self.spending = rng, guards, budget, spending
        self.begun, self.calls = time.monotonic(), 0
        self.heard: dict[int, list[ReceivedMessage]] = {i: [] for i in range(topology.members)}
        self.own: dict[int, list[MessageContent]] = {i: [] for i in range(topology.members)}
        self.turns: list[Turn] = []
        self.failures: list[str] = []
        self.hearers = {
            i: tuple(b for a, b in topology.edges if a == i) for i in range(topology.members)
        }
        drafted = len(topology.speakers) * guards.isolated_drafts
        self.share = 1.0 / (topology.turns + drafted)

    def play(self, ask_all: bool) -> Played:
        everybody = range(self.topology.members) if ask_all else ()
        alone = self._answers(everybody, -1)
        stopped = self._talk()
        together = self._answers(everybody, self.topology.rounds)
        votes = self._answers(self.topology.deciders, self.topology.rounds)
        answers, answered = decide(votes, self.topology.decides, self.count, self.rng)
        return Played(
            self.topology, tuple(self.turns), votes, alone, together, answers, answered, self.calls,
            stopped, tuple(self.failures),
        )  # fmt: skip

    def _talk(self) -> str:
        """Why talk ended early, or nothing."""
        if self.guards.isolated_drafts and (stopped := self._turn(self.topology.speakers, -1)):
            return stopped
        for number in range(self.topology.rounds):
            for speakers in self.topology.order:
                if stopped := self._turn(speakers, number):
                    return stopped
        return ""

    def _turn(self, speakers: Sequence[int], number: int) -> str:
        made: list[Turn] = []
        for member in speakers:
            if stopped := self._used_up():
                return stopped
            made.append(self._speak(member, number))
        for member in speakers if self.guards.fresh_context else ():
            self.heard[member].clear()
        for turn in made:
            self.turns.append(turn)
            if turn.said is None:
                continue
            self.own[turn.member].append(turn.said)
            for hearer in self.hearers[turn.member]:
                self.heard[hearer].append(ReceivedMessage(turn.member, max(number, 0), turn.said))
        return ""

    def _speak(self, member: int, number: int) -> Turn:
        seen, again = self._seen(member, number), 0
        try:
            said = self._ask(member, seen)
            if self.guards.heartbeat and (quiet := silent(said)).any():
                again = int(quiet.sum())
                second = self._ask(member, self._seen(member, number, nudged=True))
                said = np.where(quiet.reshape(-1, *[1] * (said.ndim - 1)), second, said)
                self.calls += again - self.count
        except Exception as error:  # whatever a member does, its siblings go on
            self.failures.append(f"member {member}, round {number}: {error}")
            return Turn(member, number, None, f"{type(error).__name__}: {error}", again)
        return Turn(member, number, said, "", again)

    def _ask(self, member: int, seen: Observation) -> MessageContent:
        self.calls += self.count
        said = np.asarray(self.members[member].speak(self.items, seen, self.rng))
        if said.shape[:1] != (self.count,):
            raise SettingError(f"got words of shape {said.shape} for {self.count} items")
        return said

    def _answers(self, who: Sequence[int], number: int) -> tuple[Answers, ...]:
        found = []
        for member in who:
            self.calls += self.count
            try:
                answers, sure = self.members[member].answer(
                    self.items, self._seen(member, number), self.rng
                )
                if np.shape(answers) != (self.count,) or np.shape(sure) != (self.count,):
                    raise SettingError(f"got {np.shape(answers)} answers for {self.count} items")
            except Exception as error:  # as above
                self.failures.append(f"member {member}, answer: {error}")
                continue
            found.append(Answers(member, np.asarray(answers), np.asarray(sure, dtype=np.float64)))
        return tuple(found)

    def _seen(self, member: int, number: int, nudged: bool = False) -> Observation:
        dissents = self.guards.dissenter and member == self.topology.speakers[-1]
        return Observation(
            member, number, tuple(self.heard[member]), tuple(self.own[member]), self.share,
            dissents, nudged, len(self.hearers[member]),
        )  # fmt: skip

    def _used_up(self) -> str:
        spent = {
            "calls": self.calls,
            "tokens": self.spending.tokens if self.spending else 0,
            "seconds": time.monotonic() - self.begun,
        }
        for name, value in spent.items():
            most = getattr(self.budget, name)
            if most is not None and value >= most:
                return name
        return ""


def silent(said: MessageContent) -> Bools:
    """[B] where nothing was said: empty text, or zeros alone."""
    flat = said.reshape(len(said), -1)
    said_something = np.array(flat != ("" if said.dtype.kind in "OU" else 0), dtype=bool)
    return np.asarray(~said_something.any(axis=1))


def decide(
    votes: Sequence[Answers], how: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], Bools]:
    """The team's answers [B], and [B] whether anybody gave one.

    Args:
        votes: of those who decide.
        how: `vote`: what most say, among as many whoever is surer, then by lot. Else whoever is
            surest.
        count: B.
        rng: the lots.
    """
    if not votes:
        return np.full(count, None, dtype=object), np.zeros(count, dtype=bool)
    answers = np.stack([vote.answers for vote in votes])
    sure = np.stack([vote.sure for vote in votes])
    gave = sure > -np.inf
    lots = rng.random(sure.shape)
    if how != "vote":
        rank = np.lexsort((lots, sure), axis=0)[-1]
        return answers[rank, np.arange(count)], np.asarray(gave.any(axis=0))
    values, which = np.unique(answers, return_inverse=True)
    which = which.reshape(answers.shape)
    counts = np.zeros((len(values), count))
    surest = np.full((len(values), count), -np.inf)
    items = np.arange(count)
    for row, given, certain in zip(which, gave, sure, strict=True):
        counts[row, items] += given
        surest[row, items] = np.maximum(surest[row, items], certain)
    order = np.lexsort((rng.random(counts.shape), surest, counts), axis=0)[-1]
    return values[order], np.asarray(gave.any(axis=0))
