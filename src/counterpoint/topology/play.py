"""`play`: a topology, a batch of items, and members. The whole transcript is kept.

A round goes through the topology's order; the members of one turn speak before any of them is
heard. Then the deciders answer. A member that fails is recorded, and the others go on. `Guards` are
rules of talk for any topology.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats
from counterpoint.errors import ServerError, SettingError
from counterpoint.speakers.speaker import Reply, Request, Speaker
from counterpoint.topology.topology import Topology
from counterpoint.worlds.message.world import Member, MessageContent, Observation, ReceivedMessage


@dataclass(frozen=True, kw_only=True)
class Guards:
    """Rules of talk that can be switched on one by one; none is on by default.

    Raises:
        SettingError: the number of rounds is below 1.
    """

    isolated_drafts: bool = False
    """All members speak at once before any of them has heard anything; then the topology begins."""
    most_rounds: int | None = None
    """Rounds after which talk ends."""
    dissenter: bool = False
    """The last speaker argues for what the others do not favour; it still gives its own answer."""
    fresh_context: bool = False
    """Members hear what was said since they last spoke, and nothing from before."""
    heartbeat: bool = False
    """A member that says nothing is asked once more."""
    outside_judge: bool = False
    """An additional member that hears all, and says nothing, decides."""

    def __post_init__(self) -> None:
        if self.most_rounds is not None and self.most_rounds < 1:
            raise SettingError(f"got most_rounds={self.most_rounds}; wanted at least 1")


@dataclass
class Meter:
    """Counts what the members of a team use."""

    calls: int = 0
    """How often a model was asked."""
    tokens: int = 0
    """Tokens read and written, as far as they are known."""
    asked: int = 0
    """Number of requests."""
    errors: list[str] = field(default_factory=list)
    """The error of each reply that failed."""

    def replies(self, speaker: Speaker, requests: Sequence[Request]) -> list[Reply]:
        """Returns the replies of a speaker, and counts them.

        Raises:
            ServerError: the speaker refuses a request for a reason that holds for all.
        """
        replies = speaker.answer(requests)
        for reply in replies:
            if reply.refused:
                raise ServerError(f"the members got no reply: {reply.error}")
            self.asked += 1
            self.calls += reply.tries
            self.tokens += (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
            if reply.error is not None:
                self.errors.append(reply.error)
        return replies


@dataclass(frozen=True, kw_only=True)
class TalkBudget:
    """What a batch may cost. If it is used up, nobody speaks any more; the deciders answer.

    Raises:
        SettingError: a budget is below 0.
    """

    calls: int | None = None
    """Calls: one member that speaks in one item is one call."""
    tokens: int | None = None
    """Tokens read and written, if a meter counts them."""
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
    """The member who spoke."""
    round: int
    """The round, from 0; -1 is a first draft that was written alone."""
    content: MessageContent | None
    """[B, ...] what the member said; None if it failed."""
    failure: str = ""
    """Why it failed."""
    nudged: int = 0
    """In how many items it was asked again, because it had said nothing."""


@dataclass(frozen=True)
class MemberAnswers:
    """The answers of one member in all items."""

    member: int
    """The member."""
    answers: NDArray[Any]
    """[B] its answers."""
    sure: Floats
    """[B] how sure it is; -inf if it gave no answer."""


@dataclass(frozen=True)
class Transcript:
    """What the members of a team said and answered."""

    topology: Topology
    """The topology as it was played, guards included."""
    turns: tuple[Turn, ...]
    """All turns, in order."""
    votes: tuple[MemberAnswers, ...]
    """The answers of the deciders."""
    alone: tuple[MemberAnswers, ...]
    """The answers of each member before anybody had spoken, if `ask_all` is set."""
    together: tuple[MemberAnswers, ...]
    """The answers of each member in the end, if `ask_all` is set."""
    answers: NDArray[Any]
    """[B] the team's answers."""
    answered: Bools
    """[B] whether any member answered."""
    calls: int
    """How often members were asked to speak or to answer, counted for each item."""
    stopped: str = ""
    """The budget that was used up, if one was."""
    failures: tuple[str, ...] = field(default=())
    """What went wrong: `member 2, round 0: ...`."""


def guarded(topology: Topology, guards: Guards) -> Topology:
    """Returns the topology with the guards that change its edges, its rounds or its decider.

    The outside judge is an additional member with the last number.
    """
    if guards.most_rounds is not None:
        topology = replace(topology, rounds=min(topology.rounds, guards.most_rounds))
    if guards.outside_judge:
        judge = topology.members
        hears = tuple((speaker, judge) for speaker in topology.speakers)
        topology = replace(
            topology, members=judge + 1, edges=topology.edges + hears, decides="member",
            decider=judge,
        )  # fmt: skip
    return topology


def play(
    topology: Topology,
    items: Any,
    count: int,
    members: Sequence[Member[Any]],
    rng: np.random.Generator,
    *,
    guards: Guards | None = None,
    budget: TalkBudget | None = None,
    ask_all: bool = False,
    meter: Meter | None = None,
) -> Transcript:
    """Plays all items side by side and returns the transcript.

    Args:
        topology: for as many members as there are.
        items: a batch of a message world, or anything else that the members understand.
        count: B, the number of items.
        members: one for each seat. An additional one is the outside judge; without it the first
            member judges too.
        rng: draws everything random.
        guards: the rules of talk that are on.
        budget: what the batch may cost.
        ask_all: whether all members answer before anybody has spoken, and in the end. These answers
            are recorded and decide nothing.
        meter: counts the tokens of the members.

    Raises:
        SettingError: there are fewer members than seats.
        ServerError: a model that speaks for members refuses every request.
    """
    guards = guards or Guards()
    played = guarded(topology, guards)
    seats = list(members)
    if played.members == len(seats) + 1:
        seats.append(seats[0])
    if len(seats) < played.members:
        raise SettingError(f"got {len(members)} members for {topology.members} seats")
    game = _Game(played, items, count, seats, rng, guards, budget or TalkBudget(), meter)
    return game.play(ask_all)


@dataclass
class _Game:
    """One batch while it is played."""

    topology: Topology
    items: Any
    count: int
    members: Sequence[Member[Any]]
    rng: np.random.Generator
    guards: Guards
    budget: TalkBudget
    meter: Meter | None

    def __post_init__(self) -> None:
        topology, everybody = self.topology, range(self.topology.members)
        self.begun, self.calls = time.monotonic(), 0
        self.received: dict[int, list[ReceivedMessage]] = {i: [] for i in everybody}
        self.own: dict[int, list[MessageContent]] = {i: [] for i in everybody}
        self.turns: list[Turn] = []
        self.failures: list[str] = []
        self.hearers = {i: tuple(b for a, b in topology.edges if a == i) for i in everybody}
        drafted = len(topology.speakers) * self.guards.isolated_drafts
        self.share = 1.0 / (topology.turns + drafted)

    def play(self, ask_all: bool) -> Transcript:
        everybody = range(self.topology.members) if ask_all else ()
        alone = self._answers(everybody, -1)
        stopped = self._talk()
        together = self._answers(everybody, self.topology.rounds)
        votes = self._answers(self.topology.deciders, self.topology.rounds)
        answers, answered = team_answers(votes, self.topology.decides, self.count, self.rng)
        return Transcript(
            self.topology, tuple(self.turns), votes, alone, together, answers, answered, self.calls,
            stopped, tuple(self.failures),
        )  # fmt: skip

    def _talk(self) -> str:
        """Plays all turns, and returns the budget that ended them early, if one did."""
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
            if stopped := self._exhausted():
                return stopped
            made.append(self._speak(member, number))
        for member in speakers if self.guards.fresh_context else ():
            self.received[member].clear()
        for turn in made:
            self.turns.append(turn)
            if turn.content is None:
                continue
            self.own[turn.member].append(turn.content)
            for hearer in self.hearers[turn.member]:
                self.received[hearer].append(
                    ReceivedMessage(turn.member, max(number, 0), turn.content)
                )
        return ""

    def _speak(self, member: int, number: int) -> Turn:
        again = 0
        try:
            content = self._ask(member, self._seen(member, number))
            if self.guards.heartbeat and (quiet := silent(content)).any():
                again = int(quiet.sum())
                second = self._ask(member, self._seen(member, number, nudged=True))
                content = np.where(quiet.reshape(-1, *[1] * (content.ndim - 1)), second, content)
                # All items were asked again in one batch; only the silent ones count.
                self.calls += again - self.count
        except ServerError:  # its siblings could not speak either
            raise
        except Exception as error:  # whatever a member does, its siblings go on
            self.failures.append(f"member {member}, round {number}: {error}")
            return Turn(member, number, None, f"{type(error).__name__}: {error}", again)
        return Turn(member, number, content, "", again)

    def _ask(self, member: int, seen: Observation) -> MessageContent:
        self.calls += self.count
        content = np.asarray(self.members[member].speak(self.items, seen, self.rng))
        if content.shape[:1] != (self.count,):
            raise SettingError(f"got words of shape {content.shape} for {self.count} items")
        return content

    def _answers(self, who: Sequence[int], number: int) -> tuple[MemberAnswers, ...]:
        given = []
        for member in who:
            self.calls += self.count
            try:
                answers, sure = self.members[member].answer(
                    self.items, self._seen(member, number), self.rng
                )
                if np.shape(answers) != (self.count,) or np.shape(sure) != (self.count,):
                    raise SettingError(f"got {np.shape(answers)} answers for {self.count} items")
            except ServerError:
                raise
            except Exception as error:  # as above
                self.failures.append(f"member {member}, answer: {error}")
                continue
            certain = np.asarray(sure, dtype=np.float64)
            given.append(MemberAnswers(member, np.asarray(answers), certain))
        return tuple(given)

    def _seen(self, member: int, number: int, nudged: bool = False) -> Observation:
        dissents = self.guards.dissenter and member == self.topology.speakers[-1]
        return Observation(
            member, number, tuple(self.received[member]), tuple(self.own[member]), self.share,
            dissents, nudged, len(self.hearers[member]),
        )  # fmt: skip

    def _exhausted(self) -> str:
        spent = {
            "calls": self.calls,
            "tokens": self.meter.tokens if self.meter else 0,
            "seconds": time.monotonic() - self.begun,
        }
        for name, value in spent.items():
            most = getattr(self.budget, name)
            if most is not None and value >= most:
                return name
        return ""


def silent(content: MessageContent) -> Bools:
    """Returns [B] whether a message is empty: no text, or zeros alone."""
    flat = content.reshape(len(content), -1)
    filled = np.array(flat != ("" if content.dtype.kind in "OU" else 0), dtype=bool)
    return np.asarray(~filled.any(axis=1))


def team_answers(
    votes: Sequence[MemberAnswers], how: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], Bools]:
    """Returns [B] the team's answers, and [B] whether any member gave one.

    Args:
        votes: the answers of the deciders.
        how: `vote` takes the most frequent answer; a tie goes to the surer voters, then to a random
            one. Any other value takes the surest answer.
        count: B.
        rng: breaks ties.
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
    # Votes for each value [V, B] and the surest of its voters; random numbers break what is left.
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
