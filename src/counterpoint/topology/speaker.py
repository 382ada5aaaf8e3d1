"""A team is a speaker: `TeamSpeaker(topology, speakers)` answers wherever one agent would.

So a team can take part in any text environment, judge, or chat. `SpokenMember` is one agent of a
team that speaks through a model: an item of a message world becomes a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.speakers.speaker import Message, Reply, Request, Speaker
from counterpoint.topology.play import Guards, Meter, play
from counterpoint.topology.topology import Topology
from counterpoint.worlds.message.world import MessageWorld, Observation

DISSENT = "Argue for what the others do not favour, as well as it can be argued for."
NUDGE = "You said nothing. Tell the others something that they need."


@dataclass(frozen=True)
class SpokenMember:
    """A member of a team in a message world that speaks through a model.

    The model chooses among the legal messages or answers of the world; if the world lists none, it
    writes freely. A reply that fails is silence, or no answer.
    """

    speaker: Speaker
    """Produces the text."""
    world: MessageWorld[Any]
    """Shows its items as text."""
    instruction: str
    """The prompt: how the member is to behave."""
    meter: Meter
    """Counts what the member uses."""
    tokens: int = 64
    """The most tokens of free text."""
    temperature: float = 1.0
    """0 takes the most likely token."""

    def speak(self, items: Any, seen: Observation, rng: np.random.Generator) -> NDArray[Any]:
        """Returns [B] text; empty, and at no cost, if nobody would hear it."""
        if not seen.hearers:
            return np.full(len(items), "", dtype=object)
        ask = f"{self.instruction} Tell the others one thing."
        return _texts(self._replies(items, seen, rng, ask, "tellings"))

    def answer(
        self, items: Any, seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        """Returns [B] answers as the world counts them, and 0, or -inf if there is no answer."""
        replies = self._replies(items, seen, rng, f"{self.instruction} Answer now.", "options")
        numbers = [self.world.answer_from(items, i, r.text) for i, r in enumerate(replies)]
        gave = [
            number is not None and reply.error is None
            for number, reply in zip(numbers, replies, strict=True)
        ]
        answers = np.array([0 if number is None else number for number in numbers])
        return answers, np.where(gave, 0.0, -np.inf)

    def _replies(
        self, items: Any, seen: Observation, rng: np.random.Generator, ask: str, choice: str
    ) -> list[Reply]:
        requests = []
        for i in range(len(items)):
            brief = self.world.brief(items, i, seen.member)
            if brief is None:
                raise SettingError(f"{self.world.name} has no words; wanted a world that has")
            dissents = seen.dissents and choice == "tellings"  # it answers as it thinks
            talk = _talk(seen, i, "said", dissents)
            user = "\n".join([f"You know: {brief.known}", *talk, ask])
            requests.append(
                Request(
                    (Message("system", brief.task), Message("user", user)),
                    agent=f"member_{seen.member}",
                    words=getattr(brief, choice) or None,
                    max_tokens=self.tokens,
                    temperature=self.temperature,
                    seed=int(rng.integers(2**62)),
                )
            )
        return self.meter.replies(self.speaker, requests)


class TeamSpeaker:
    """A team as one speaker: each request goes to all members.

    The members talk as the topology says, with the messages that each has heard below the prompt.
    Then the deciders answer the request itself. If the request has words, a vote can decide; free
    text needs a member that decides.

    Args:
        topology: who hears whom.
        speakers: one for each member.
        guards: the rules of talk that are on.
        ask: the instruction to tell the others something.
        tokens: the most tokens of a message to the others.
        seed: of random choices among tied answers.
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
        """Returns one reply for each request, in their order, with the whole team's tokens."""
        replies: list[Reply] = []
        for request in requests:  # one by one, so that the cost of each is known
            calls, tokens = self.meter.calls, self.meter.tokens
            if request.words is None and self.topology.decides == "vote":
                raise SettingError(
                    "got free text and a vote; wanted a topology in which one decides"
                )
            own = request.seed
            rng = self._rng if own is None else np.random.default_rng([self._seed, own])
            transcript = play(self.topology, (request,), 1, self._members, rng, guards=self.guards)
            error = None
            if not transcript.answered[0]:
                error = "; ".join(self.meter.errors[-3:]) or "no answer"
            text = "" if error else str(transcript.answers[0])
            replies.append(
                Reply(text, self.meter.tokens - tokens, 0, tries=self.meter.calls - calls,
                      error=error)
            )  # fmt: skip
        return replies


@dataclass(frozen=True)
class _Seat:
    """One speaker of a team whose members all get the same request."""

    speaker: Speaker
    meter: Meter
    ask: str
    tokens: int

    def speak(
        self, items: Sequence[Request], seen: Observation, rng: np.random.Generator
    ) -> NDArray[Any]:
        if not seen.hearers:
            return np.full(len(items), "", dtype=object)
        free = [
            replace(request, words=None, max_tokens=self.tokens, json_schema=None)
            for request in items
        ]
        return _texts(self._replies(free, seen, rng, self.ask))

    def answer(
        self, items: Sequence[Request], seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        replies = self._replies(items, seen, rng, "")
        answers = np.empty(len(replies), dtype=object)
        answers[:] = [reply.text for reply in replies]
        return answers, np.array([-np.inf if reply.error else 0.0 for reply in replies])

    def _replies(
        self, items: Sequence[Request], seen: Observation, rng: np.random.Generator, ask: str
    ) -> list[Reply]:
        requests = []
        for i, request in enumerate(items):
            *before, last = request.messages
            talk = _talk(seen, i, "says", seen.dissents and bool(ask))  # it answers as it thinks
            content = "\n".join([last.content, *talk, *([ask] if ask else [])])
            requests.append(
                replace(request, messages=(*before, replace(last, content=content)),
                        seed=int(rng.integers(2**62)))
            )  # fmt: skip
        return self.meter.replies(self.speaker, requests)


def _talk(seen: Observation, item: int, verb: str, dissents: bool) -> list[str]:
    """Returns the lines of one item's prompt that say what was said so far, and how to go on."""
    received = [
        f"Member {m.member + 1} {verb}: {m.content[item]}" for m in seen.received if m.content[item]
    ]
    own = [f"You said: {content[item]}" for content in seen.own if content[item]]
    return [*received, *own, *[DISSENT] * dissents, *[NUDGE] * seen.nudged]


def _texts(replies: Sequence[Reply]) -> NDArray[Any]:
    """Returns [B] texts of replies; a reply that failed is empty."""
    texts = np.empty(len(replies), dtype=object)
    texts[:] = ["" if reply.error else reply.text for reply in replies]
    return texts
