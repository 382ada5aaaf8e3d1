"""A team is a speaker: `TeamSpeaker(topology, speakers)` answers wherever one agent would.

So a team can sit in any text world, judge, or chat. And `SpokenMember` is one agent of a team that
speaks through a model: an item of a message world becomes a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.speakers.speaker import Message, Reply, Request, Speaker
from counterpoint.topology.guards import Guards
from counterpoint.topology.play import play
from counterpoint.topology.topology import Topology
from counterpoint.worlds.message.world import MessageWorld, Observation

DISSENT = "Argue for what the others do not favour, as well as it can be argued for."
NUDGE = "You said nothing. Tell the others something that they need."


@dataclass
class Meter:
    """What the members of a team have used."""

    calls: int = 0
    """How often a model was asked."""
    tokens: int = 0
    """Read and written, as far as they are known."""
    errors: list[str] = field(default_factory=list)
    """Of each reply that failed."""

    def count(self, replies: Sequence[Reply]) -> None:
        """Add replies."""
        for reply in replies:
            self.calls += reply.tries
            self.tokens += (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
            if reply.error is not None:
                self.errors.append(reply.error)


@dataclass(frozen=True)
class SpokenMember:
    """A member of a team at a message world, who speaks through a model.

    What is legal to tell or to answer is chosen by the model; where the world lists nothing it
    writes freely. A reply that fails is silence, or no answer.
    """

    speaker: Speaker
    """Who produces text."""
    world: MessageWorld[Any]
    """Shows its items in words."""
    instruction: str
    """How it is to behave: the prompt."""
    meter: Meter
    """What it adds what it uses to."""
    tokens: int = 64
    """Most tokens of what it writes freely."""
    temperature: float = 1.0
    """0 takes the likeliest."""

    def speak(self, items: Any, seen: Observation, rng: np.random.Generator) -> NDArray[Any]:
        """[B] text; nothing, and at no cost, where nobody would hear it."""
        if not seen.hearers:
            return self._texts([Reply("")] * len(items))
        ask = f"{self.instruction} Tell the others one thing."
        return self._texts(self._ask(items, seen, rng, ask, "tellings"))

    def answer(
        self, items: Any, seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        """[B] answers as the world counts them, and 0, or -inf where there is none."""
        replies = self._ask(items, seen, rng, f"{self.instruction} Answer now.", "options")
        numbers = [self.world.answer_from(items, i, r.text) for i, r in enumerate(replies)]
        gave = [
            number is not None and reply.error is None
            for number, reply in zip(numbers, replies, strict=True)
        ]
        answers = np.array([0 if number is None else number for number in numbers])
        return answers, np.where(gave, 0.0, -np.inf)

    def _texts(self, replies: Sequence[Reply]) -> NDArray[Any]:
        said = np.empty(len(replies), dtype=object)
        said[:] = ["" if reply.error else reply.text for reply in replies]
        return said

    def _ask(
        self, items: Any, seen: Observation, rng: np.random.Generator, ask: str, choice: str
    ) -> list[Reply]:
        requests = []
        for i in range(len(items)):
            brief = self.world.brief(items, i, seen.member)
            if brief is None:
                raise SettingError(f"{self.world.name} has no words; wanted a world that has")
            told = [
                f"Member {h.member + 1} said: {h.content[i]}" for h in seen.received if h.content[i]
            ]
            own = [f"You said: {said[i]}" for said in seen.own if said[i]]
            dissents = seen.dissents and choice == "tellings"  # it answers as it thinks
            extra = [DISSENT] * dissents + [NUDGE] * seen.nudged
            user = "\n".join([f"You know: {brief.known}", *told, *own, *extra, ask])
            words = getattr(brief, choice)
            requests.append(
                Request(
                    (Message("system", brief.task), Message("user", user)),
                    agent=f"member_{seen.member}",
                    words=words or None,
                    max_tokens=self.tokens,
                    temperature=self.temperature,
                    seed=int(rng.integers(2**62)),
                )
            )
        replies = self.speaker.answer(requests)
        self.meter.count(replies)
        return replies


class TeamSpeaker:
    """A team where one speaker is wanted: each request is put to all members.

    They talk as the topology says, each with what it heard under the prompt, and those who decide
    answer the request itself. Where the request has words a vote counts them; where it is free, a
    vote would count nothing, so a member has to decide.

    Args:
        topology: who hears whom.
        speakers: one for each member.
        guards: which rules of talk are on.
        ask: what a member is told when it is to tell the others something.
        tokens: most tokens of what it tells.
        seed: of the lots.
    """

    def __init__(
        self,
        topology: Topology,
        speakers: Sequence[Speaker],
        *,
        guards: Guards | None = None,
        ask: str = "Do not answer yet. Tell your team in a sentence what you think, and why.",
        tokens: int = 48,
        seed: int = 0,
    ) -> None:
        if len(speakers) != topology.members:
            raise SettingError(f"got {len(speakers)} speakers for {topology.members} seats")
        self.topology, self.guards = topology, guards
        self._seed, self._rng = seed, np.random.default_rng(seed)
        self.meter = Meter()
        self._members = [_Seat(one, self.meter, ask, tokens) for one in speakers]

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in their order; tokens are those of the whole team."""
        replies: list[Reply] = []
        for request in requests:  # one by one, so that each knows what it cost
            before = self.meter.calls, self.meter.tokens
            if request.words is None and self.topology.decides == "vote":
                raise SettingError(
                    "got free text and a vote; wanted a topology in which one decides"
                )
            own = request.seed
            rng = self._rng if own is None else np.random.default_rng([self._seed, own])
            played = play(self.topology, (request,), 1, self._members, rng, guards=self.guards)
            failed = (
                None if played.answered[0] else "; ".join(self.meter.errors[-3:]) or "no answer"
            )
            tokens = self.meter.tokens - before[1]
            replies.append(
                Reply(
                    "" if failed else str(played.answers[0]),
                    tokens,
                    0,
                    tries=self.meter.calls - before[0],
                    error=failed,
                )
            )
        return replies


@dataclass(frozen=True)
class _Seat:
    """One speaker among others who are asked the same."""

    speaker: Speaker
    meter: Meter
    ask: str
    tokens: int

    def speak(
        self, items: Sequence[Request], seen: Observation, rng: np.random.Generator
    ) -> NDArray[Any]:
        if not seen.hearers:
            return np.full(len(items), "", dtype=object)

        def to_tell(request: Request) -> Request:
            return replace(request, words=None, max_tokens=self.tokens, json_schema=None)

        replies = self._asked(items, seen, rng, to_tell, self.ask)
        said = np.empty(len(replies), dtype=object)
        said[:] = ["" if reply.error else reply.text for reply in replies]
        return said

    def answer(
        self, items: Sequence[Request], seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        replies = self._asked(items, seen, rng, lambda request: request, "")
        answers = np.empty(len(replies), dtype=object)
        answers[:] = [reply.text for reply in replies]
        return answers, np.array([-np.inf if reply.error else 0.0 for reply in replies])

    def _asked(
        self,
        items: Sequence[Request],
        seen: Observation,
        rng: np.random.Generator,
        change: Callable[[Request], Request],
        ask: str,
    ) -> list[Reply]:
        requests = []
        for i, request in enumerate(items):
            *before, last = request.messages
            told = [
                f"Member {h.member + 1} says: {h.content[i]}" for h in seen.received if h.content[i]
            ]
            own = [f"You said: {said[i]}" for said in seen.own if said[i]]
            dissents = seen.dissents and bool(ask)  # it answers as it thinks
            extra = [DISSENT] * dissents + [NUDGE] * seen.nudged
            content = "\n".join([last.content, *told, *own, *extra, *([ask] if ask else [])])
            asked = replace(request, messages=(*before, replace(last, content=content)),
                            seed=int(rng.integers(2**62)))  # fmt: skip
            requests.append(change(asked))
        replies = self.speaker.answer(requests)
        self.meter.count(replies)
        return replies
