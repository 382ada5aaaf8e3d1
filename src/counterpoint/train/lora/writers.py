"""`Writers`: free text that is written and learned from by several processes, with equal results.

The main process draws all chance, and cuts the work into parts that do not depend on how many
processes there are: answers that are written together, and passes over answers. It sends the
adapters' weights with every call and adds the gradients of passes in their order. Each process has
a copy of the frozen model and computes with one thread, so that one machine gives the same bits for
any number of them.

What was read of a prompt stays in the process that read it: reading a prompt alone gives the same
bits anywhere, so another process that needs it reads it again. What is sent of an answer are its
tokens and the hidden states below the first layer with adapters, which were computed one by one as
it was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Floats
from counterpoint.errors import WorkerError
from counterpoint.lm.adapters import TARGETS, Adapter
from counterpoint.lm.arguments import with_template
from counterpoint.lm.generate import Text
from counterpoint.lm.memory import Prefix
from counterpoint.lm.model import LanguageModel, Messages, open_model
from counterpoint.runs.remote import Here, Remote, remote
from counterpoint.train.adam import Adam, as_vector, configure_threads
from counterpoint.train.device import device_of
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import Pass, WritingTeam
from counterpoint.worlds.text.world import Prompt

Gradient = dict[str, Tensor]
"""Maps the name of an adapter to the gradient of its parameters as one vector."""


def open_team_model(name: str, settings: LanguageSettings) -> LanguageModel:
    """Returns the frozen model of a team: see `open_model`."""
    model = open_model(name, device_of(settings.device).type, settings.dtype)
    model.end_answers(settings.answer_end)
    return with_template(model, settings.template)


def new_adapters(
    model: LanguageModel, settings: LanguageSettings, agents: Sequence[str], seed: int
) -> dict[str, Adapter]:
    """Returns untrained adapters that the model hosts, by agent, or one as `shared`."""
    layers = min(settings.layers, model.depth)
    places = model.places(TARGETS[settings.targets], layers)
    own: dict[str, Adapter] = {}
    for name in agents if settings.parameters == "separate" else ("shared",):
        # The start of an adapter depends on its name, not on the order of the agents.
        number = int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:7], "big")
        chance = torch.Generator().manual_seed(number)
        adapter = Adapter(places, settings.rank, settings.alpha, chance).to(model.device)
        model.host(adapter)
        own[name] = adapter
    return own


class Sent(NamedTuple):
    """A text on its way between processes."""

    tokens: tuple[int, ...]
    log_probs: Floats
    hidden: NDArray[np.uint8] | None
    """The bytes of `Text.hidden`."""
    tail: tuple[int, ...]
    length: int
    """Of the prompt: see `Prefix`."""


class WritingShare:
    """What one process does of a team's work.

    Args:
        team: that writes here.
        weights: maps each adapter's name to its parameters as one vector.
    """

    def __init__(self, team: WritingTeam, weights: Mapping[str, Tensor]) -> None:
        self.team, self.weights = team, weights
        self.prefixes: dict[Messages, Prefix] = {}
        """What was read here of the prompts of the texts of this batch."""

    def forget(self) -> None:
        """Begins a new batch: texts of the last one are not learned from any more."""
        self.prefixes.clear()

    def write(self, parts: Sequence[tuple[Sequence[Prompt], Floats]]) -> list[list[Text]]:
        """Returns the answers of each part: see `WritingTeam.write_together`."""
        written = [self.team.write_together(asks, draws) for asks, draws in parts]
        if self.team.settings.kind != "plain":
            for (asks, _), texts in zip(parts, written, strict=True):
                for ask, text in zip(asks, texts, strict=True):
                    self.prefixes[ask.messages] = text.prefix
        return written

    def gradients(self, passes: Sequence[Pass]) -> Iterator[Gradient]:
        """Yields the gradient of each pass: see `WritingTeam.gradient`."""
        return (self.team.gradient(self._whole(one)) for one in passes)

    def bare_log_probs(self, passes: Sequence[Pass]) -> list[list[Floats]]:
        """Returns those of each pass: see `WritingTeam.bare_log_probs`."""
        whole = map(self._whole, passes)
        return [self.team.bare_log_probs(one.asks, one.texts) for one in whole]

    def served(self, method: str, weights: Mapping[str, Any], first: bool, parts: Any) -> list[Any]:
        """Does a part of the work for another process.

        Args:
            method: of this class.
            weights: of all adapters, by their names.
            first: whether a new batch begins.
            parts: what the method is given; texts in it are `Sent`.
        """
        for name, vector in weights.items():
            self.weights[name].copy_(torch.from_numpy(vector))
        if first:
            self.forget()
        if method == "write":
            return [[sent(text) for text in texts] for texts in self.write(parts)]
        like = self.team.model.unembedding
        passes = [
            one._replace(texts=[received(text, like, 0) for text in one.texts]) for one in parts
        ]
        if method == "bare_log_probs":
            return self.bare_log_probs(passes)
        return [
            {name: vector.numpy() for name, vector in each.items()}
            for each in self.gradients(passes)
        ]

    def close(self) -> None:
        """Does nothing: the process ends."""

    def _whole(self, one: Pass) -> Pass:
        """Returns a pass whose texts have what was read of their prompts.

        With plain adapters, it is read anew in every pass anyway.
        """
        if self.team.settings.kind == "plain":
            return one
        texts = []
        for ask, text in zip(one.asks, one.texts, strict=True):
            if text.prefix.keys:
                texts.append(text)
                continue
            if ask.messages not in self.prefixes:
                rooms = [len(text.tokens)]
                self.prefixes[ask.messages] = self.team.reader.prefixes([ask.messages], rooms)[0]
            texts.append(replace(text, prefix=self.prefixes[ask.messages]))
        return one._replace(texts=texts)


@dataclass(frozen=True)
class ShareMaker:
    """Makes a `WritingShare` in another process."""

    model: str
    """The name of the frozen model."""
    settings: LanguageSettings
    agents: tuple[str, ...]

    def __call__(self) -> WritingShare:
        configure_threads()
        model = open_team_model(self.model, self.settings)
        own = new_adapters(model, self.settings, self.agents, 0)
        weights = {name: as_vector([adapter]) for name, adapter in own.items()}
        adapters = {name: own.get(name) or own["shared"] for name in self.agents}
        return WritingShare(WritingTeam(model, adapters, self.settings), weights)


class Writers:
    """The processes of a team that writes; other ones than this start when they are needed first.

    Args:
        team: that writes here.
        adams: maps each adapter's name to its optimizer.
        processes: how many, this one among them.
    """

    def __init__(self, team: WritingTeam, adams: Mapping[str, Adam], processes: int) -> None:
        self.team, self.adams, self.processes = team, adams, processes
        self.here = WritingShare(team, {})
        self._hosts: list[Remote] = []
        self._new: set[int] = set()
        """The processes that do not know yet that a new batch has begun."""

    def forget(self) -> None:
        """Begins a new batch: texts of the last one are not learned from any more."""
        self.here.forget()
        self._new = set(range(self.processes))

    def write(self, asks: Sequence[Prompt], rng: np.random.Generator) -> list[Text]:
        """Returns an answer to each prompt: see `WritingTeam.write`."""
        parts = self.team.parts(asks, rng)
        hands = [list(range(len(parts)))[at :: self.processes] for at in range(self.processes)]
        found: list[list[Text]] = self._done("write", parts, hands)
        return [text for texts in found for text in texts]

    def gradients(self, passes: Sequence[Pass]) -> Iterator[Gradient]:
        """Yields the gradient of each pass, in their order: see `WritingTeam.gradient`."""
        if self.processes == 1:  # one at a time, as a small model has small gradients alone
            return self.here.gradients(passes)
        return iter(self._done("gradients", passes, self._dealt(passes)))

    def bare_log_probs(self, passes: Sequence[Pass]) -> list[list[Floats]]:
        """Returns those of each pass: see `WritingTeam.bare_log_probs`."""
        return self._done("bare_log_probs", passes, self._dealt(passes))

    def close(self) -> None:
        """Ends the other processes; they start again when they are needed."""
        for host in self._hosts[1:]:
            host.close()
        self._hosts = []

    def _dealt(self, passes: Sequence[Pass]) -> list[list[int]]:
        """Returns the passes of each process: equally many, if possible those over its answers."""
        hands: list[list[int]] = [[] for _ in range(self.processes)]
        most = -(-len(passes) // self.processes)
        for number, one in enumerate(passes):
            wrote = Counter(text.process for text in one.texts)
            free = [process for process, hand in enumerate(hands) if len(hand) < most]
            hands[max(free, key=lambda process: wrote[process])].append(number)
        return hands

    def _done(self, method: str, parts: Sequence[Any], hands: list[list[int]]) -> list[Any]:
        """Returns what a method of `WritingShare` makes of each part, in their order.

        Raises:
            WorkerError: a process died.
        """
        if not self._hosts:
            made = ShareMaker(self.team.model.name, self.team.settings, tuple(self.team.adapters))
            others = range(1, self.processes)
            executor = self.team.settings.executor
            self._hosts = [Here(self.here), *(remote(made, executor) for _ in others)]
        at_work = [at for at, hand in enumerate(hands) if hand]
        weights = {name: adam.weights.cpu().numpy() for name, adam in self.adams.items()}
        found: list[Any] = [None] * len(parts)
        try:
            for at in at_work:
                mine = [parts[number] for number in hands[at]]
                if at == 0:
                    self._hosts[0].ask(method, mine)
                else:
                    self._hosts[at].ask(
                        "served", method, weights, at in self._new, [*map(_sent, mine)]
                    )
                    self._new.discard(at)
            for at in at_work:
                answers = list(self._hosts[at].answer())
                if at:
                    answers = [self._received(answer, at) for answer in answers]
                for number, answer in zip(hands[at], answers, strict=True):
                    found[number] = answer
        except WorkerError as error:
            self.close()
            raise WorkerError(
                f"got no answer from process {at + 1} of {self.processes} that write: {error}; "
                "wanted it alive: give it more memory, or take fewer processes; counterpoint "
                "resume goes on from the last checkpoint"
            ) from error
        except BaseException:
            self.close()  # or a later call would get the answers to this one
            raise
        return found

    def _received(self, answer: Any, process: int) -> Any:
        """Returns what another process answered for one part, as this one has it."""
        if isinstance(answer, dict):
            device = self.team.model.device
            return {name: torch.from_numpy(x).to(device) for name, x in answer.items()}
        like = self.team.model.unembedding
        return [received(one, like, process) if isinstance(one, Sent) else one for one in answer]


def sent(text: Text) -> Sent:
    """Returns a text as it is sent: without what was read of its prompt."""
    hidden = text.hidden
    there = None if hidden is None else hidden.contiguous().view(torch.uint8).cpu().numpy()
    return Sent(text.tokens, text.log_probs, there, text.prefix.tail, text.prefix.length)


def received(text: Sent, like: Tensor, process: int) -> Text:
    """Returns a text of another process; its prompt has no keys and values.

    Args:
        text: as it was sent.
        like: a tensor of the model's type, where it is.
        process: the number of the process.
    """
    hidden = None
    if text.hidden is not None:
        hidden = torch.from_numpy(text.hidden.copy()).view(like.dtype).to(like.device)
    prefix = Prefix({}, {}, text.tail, like[:0], text.length)
    return Text(prefix, text.tokens, text.log_probs, hidden, process)


def _sent(part: Any) -> Any:
    """Returns a part of the work as it is sent."""
    if not isinstance(part, Pass):
        return part
    texts: list[Any] = [sent(text) for text in part.texts]
    return part._replace(texts=texts)
