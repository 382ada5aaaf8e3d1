"""`Writers`: free text that is written and learned from by several processes, with equal results.

The main process draws all chance, and cuts the work into parts that do not depend on how many
processes there are: answers that are written together, and passes over answers. It sends the
adapters' weights with every call and adds the gradients of passes in their order. Each process has
copies of the frozen models and computes with one thread, so that one machine gives the same bits
for any number of them.

Each process that writes reads its prompts. What it has read goes to another process only with an
answer that is learned from there: see `courier.Courier`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.arrays import Floats
from counterpoint.errors import WorkerError
from counterpoint.lm.adapters import TARGETS, Adapter
from counterpoint.lm.arguments import with_template
from counterpoint.lm.generate import Text
from counterpoint.lm.model import TINY, LanguageModel, open_models
from counterpoint.runs.remote import Here, Remote, remote
from counterpoint.train.adam import Adam, as_vector, configure_threads
from counterpoint.train.device import device_of
from counterpoint.train.lora.courier import Courier
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import Pass, WritingTeam
from counterpoint.worlds.text.world import Prompt

Part = tuple[Sequence[Prompt], Floats]
"""Prompts whose answers are written together, and the quantiles at which tokens are drawn."""
Gradient = dict[str, Tensor]
"""Maps the name of an adapter to the gradient of its parameters as one vector."""


def open_team_models(
    names: Mapping[str, str], settings: LanguageSettings
) -> dict[str, LanguageModel]:
    """Returns the frozen model of each agent: see `open_models`.

    Args:
        names: of the model of each agent.
        settings: where the models are, what ends an answer, and arguments of their templates.
    """
    opened = open_models(tuple(names.values()), device_of(settings.device).type, settings.dtype)
    for model in opened.values():
        model.end_answers(settings.answer_end)
    models = {name: with_template(model, settings.template) for name, model in opened.items()}
    return {agent: models[name] for agent, name in names.items()}


def new_adapters(
    models: Mapping[str, LanguageModel], settings: LanguageSettings, seed: int
) -> dict[str, Adapter]:
    """Returns untrained adapters that the models host, by agent, or one as `shared`.

    Args:
        models: of each agent.
        settings: of the adapters.
        seed: of their first weights.
    """
    own: dict[str, Adapter] = {}
    if settings.parameters == "shared":
        models = {"shared": next(iter(models.values()))}
    for name, model in models.items():
        fit = settings.on(tiny=model.name == TINY)
        places = model.places(TARGETS[fit.targets], min(fit.layers, model.depth))
        # The start of an adapter depends on its name, not on the order of the agents.
        number = int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:7], "big")
        chance = torch.Generator().manual_seed(number)
        adapter = Adapter(places, settings.rank, settings.alpha, chance).to(model.device)
        model.host(adapter)
        own[name] = adapter
    return own


class WritingShare:
    """What one process does of a team's work.

    Args:
        team: that writes here.
        weights: maps each adapter's name to its parameters as one vector.
    """

    def __init__(self, team: WritingTeam, weights: Mapping[str, Tensor]) -> None:
        self.team, self.weights = team, weights
        self.courier = courier_of(team)
        """The line to the main process, of a share elsewhere."""

    def write(self, parts: Sequence[Part]) -> list[list[Text]]:
        """Returns the answers of each part: see `WritingTeam.write_together`."""
        return [self.team.write_together(asks, draws) for asks, draws in parts]

    def gradients(self, passes: Sequence[Pass]) -> Iterator[Gradient]:
        """Yields the gradient of each pass: see `WritingTeam.gradient`."""
        return map(self.team.gradient, passes)

    def bare_log_probs(self, passes: Sequence[Pass]) -> list[list[Floats]]:
        """Returns those of each pass: see `WritingTeam.bare_log_probs`."""
        return [self.team.bare_log_probs(one.asks, one.texts) for one in passes]

    def served(self, method: str, weights: Mapping[str, Any], first: bool, parts: Any) -> list[Any]:
        """Does a part of the work for another process.

        Args:
            method: of this class.
            weights: of all adapters, by their names.
            first: whether a new batch begins.
            parts: what the method is given; texts in it are `courier.Sent`.
        """
        for name, vector in weights.items():
            self.weights[name].copy_(torch.from_numpy(vector))
        if first:
            self.team.forget()
            self.courier.forget()
        if method == "write":
            written = self.write(parts)
            pairs = zip(parts, written, strict=True)
            return [self.courier.sent(asks, texts) for (asks, _), texts in pairs]
        passes = [
            one._replace(texts=self.courier.received(one.asks, one.texts, 0)) for one in parts
        ]
        if method == "bare_log_probs":
            return self.bare_log_probs(passes)
        return [
            {name: vector.numpy() for name, vector in each.items()}
            for each in self.gradients(passes)
        ]

    def close(self) -> None:
        """Does nothing: the process ends."""


@dataclass(frozen=True)
class ShareMaker:
    """Makes a `WritingShare` in another process."""

    models: Mapping[str, str]
    """The name of the frozen model of each agent."""
    settings: LanguageSettings
    shared_prefixes: Mapping[str, tuple[tuple[int, ...], ...]]
    """Of the reader of each agent: see `Reader.shared_prefixes`."""

    @classmethod
    def of(cls, team: WritingTeam) -> ShareMaker:
        """Returns what makes shares of a team."""
        readers = team.readers.items()
        names = {agent: reader.model.name for agent, reader in readers}
        return cls(
            names, team.settings, {agent: reader.shared_prefixes for agent, reader in readers}
        )

    def __call__(self) -> WritingShare:
        configure_threads()
        models = open_team_models(self.models, self.settings)
        own = new_adapters(models, self.settings, 0)
        weights = {name: as_vector([adapter]) for name, adapter in own.items()}
        adapters = {name: own.get(name) or own["shared"] for name in models}
        team = WritingTeam(models, adapters, self.settings)
        for name, reader in team.readers.items():
            reader.shared_prefixes = self.shared_prefixes[name]
        return WritingShare(team, weights)


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
        self._couriers = [courier_of(team) for _ in range(processes)]
        """The lines to the other processes, by their number."""
        self._new: set[int] = set()
        """The processes that do not know yet that a new batch has begun."""

    def forget(self) -> None:
        """Begins a new batch: texts of the last one are not learned from any more."""
        self._new = set(range(self.processes))
        self.team.forget()
        for courier in self._couriers:
            courier.forget()

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
        for courier in self._couriers:
            courier.forget()

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
            made = ShareMaker.of(self.team)
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
                    continue
                mine = [self._sent(part, at) for part in mine]
                self._hosts[at].ask("served", method, weights, at in self._new, mine)
                self._new.discard(at)
            for at in at_work:
                for number, answer in zip(hands[at], self._hosts[at].answer(), strict=True):
                    found[number] = self._received(answer, parts[number], at) if at else answer
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

    def _sent(self, part: Any, at: int) -> Any:
        """Returns a part of the work as it is sent."""
        if not isinstance(part, Pass):
            return part
        texts: list[Any] = self._couriers[at].sent(part.asks, part.texts)
        return part._replace(texts=texts)

    def _received(self, answer: Any, part: Any, at: int) -> Any:
        """Returns what another process answered for a part, as this one has it."""
        if isinstance(answer, dict):
            device = self.team.readers[part.asks[0].agent].model.device
            return {name: torch.from_numpy(x.copy()).to(device) for name, x in answer.items()}
        return (
            answer if isinstance(part, Pass) else self._couriers[at].received(part[0], answer, at)
        )


def courier_of(team: WritingTeam) -> Courier:
    """Returns an end of a line between two processes that have a copy of this team."""
    like = next(iter(team.readers.values())).model.unembedding
    return Courier(like, team.readers, prompts=team.settings.kind != "plain")
