"""`LocalSpeaker`: a language model of this machine as a speaker, with an adapter for each agent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.lm.adapters import Adapter, lowest_layer
from counterpoint.lm.generate import COLDEST, decode_answer, generate
from counterpoint.lm.memory import Memory, Prefix
from counterpoint.lm.model import LanguageModel, Messages
from counterpoint.lm.reader import Kind, Reader, common_prefixes
from counterpoint.speakers.speaker import Reply, Request

TOGETHER = 32
"""Requests whose prompts are in memory, and whose texts are written, side by side."""
Priors = Mapping[tuple[str, tuple[str, ...]], torch.Tensor]


class LocalSpeaker:
    """Answers with a model of this machine.

    In a choice among words, each word has the probability that the model gives to the whole word
    and an end after it. If the agent was trained to choose among the very same words, each has the
    probability that the training gave it.

    Args:
        model: the model that speaks.
        adapters: one for each trained agent; any other agent is the bare model.
        priors: what trained agents subtract from the logits of words: see
            `train.words.WordTeam.priors`.
        seed: of answers to requests that have no seed.
        kind: where the adapters act.
    """

    def __init__(
        self,
        model: LanguageModel,
        adapters: Mapping[str, Adapter] | None = None,
        priors: Priors | None = None,
        seed: int = 0,
        kind: Kind = "activated",
    ) -> None:
        self.model, self.adapters, self.priors = model, adapters or {}, priors or {}
        first = lowest_layer(self.adapters.values()) if self.adapters else 0
        self._reader = Reader(model, kind, first)
        self._rng = np.random.default_rng(seed)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Returns one reply for each request, in their order; some may have an error.

        Free texts are written side by side, and what the prompts of an agent share behind the same
        earlier messages is read once. So the last bits of a probability depend on what is asked
        together: the same requests get the same replies, one of them alone perhaps another text.
        """
        groups: dict[object, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault((request.agent, as_messages(request)[:-1]), []).append(i)
        alike = [i for rows in groups.values() for i in rows]
        replies: dict[int, Reply] = {}
        for i in range(0, len(alike), TOGETHER):
            replies |= self._answered({j: requests[j] for j in alike[i : i + TOGETHER]})
        return [replies[i] for i in range(len(requests))]

    def _answered(self, requests: Mapping[int, Request]) -> dict[int, Reply]:
        """Returns the replies to a few requests, by their number."""
        start = time.monotonic()
        replies: dict[int, Reply] = {}
        free: dict[tuple[str, float], dict[int, Prefix]] = {}
        for i, prefix in self._read_all(requests).items():
            request = requests[i]
            if isinstance(prefix, str):
                replies[i] = Reply("", 0, 0, None, time.monotonic() - start, error=prefix)
            elif request.words is not None:
                word = request.words[self._drawn(request, prefix)]
                replies[i] = Reply(word, prefix.tokens, 1, 0.0, time.monotonic() - start)
            else:
                free.setdefault((request.agent, request.temperature), {})[i] = prefix
        for prefixes in free.values():
            texts = self._written([requests[i] for i in prefixes], list(prefixes.values()))
            seconds = time.monotonic() - start
            for (i, prefix), (text, tokens) in zip(prefixes.items(), texts, strict=True):
                replies[i] = Reply(text, prefix.tokens, tokens, 0.0, seconds)
        return replies

    def probabilities(self, request: Request) -> NDArray[np.float64]:
        """Returns [W] probability of each of the request's words at temperature 1.

        Raises:
            SettingError: the request has no words, or is longer than the model can read.
        """
        if request.words is None:
            raise SettingError("got a request without words; wanted a choice among words")
        with torch.no_grad():
            chances = self._chances(request, self._read(request, 1)).exp().double()
        return np.asarray(chances.cpu().numpy())

    def _read_all(self, requests: Mapping[int, Request]) -> dict[int, Prefix | str]:
        """Returns each prompt as it was read, or why it cannot be; what those of an agent have in
        common behind the same earlier messages is read once."""
        groups: dict[object, list[int]] = {}
        for i, request in requests.items():
            groups.setdefault((request.agent, as_messages(request)[:-1]), []).append(i)
        read: dict[int, Prefix | str] = {}
        for rows in groups.values():
            prompts = {as_messages(requests[i]): None for i in rows}
            if len(prompts) > 1:
                tokens = [self.model.prompt(prompt) for prompt in prompts]
                self._reader.share(common_prefixes([tokens]))
            for i in rows:
                room = requests[i].max_tokens if requests[i].words is None else 1
                try:
                    read[i] = self._read(requests[i], room)
                except SettingError as error:
                    read[i] = str(error)
        return read

    def _drawn(self, request: Request, prefix: Prefix) -> int:
        """Returns which of the request's words the model chooses."""
        with torch.no_grad():
            chances = self._chances(request, prefix)
        heat = request.temperature
        scaled = chances == chances.max() if heat < COLDEST else torch.softmax(chances / heat, 0)
        ends = scaled.double().cpu().numpy().cumsum()
        at = self._rng_of(request).random() * ends[-1]
        return min(int(np.searchsorted(ends, at, side="right")), len(ends) - 1)

    def _written(
        self, requests: Sequence[Request], prefixes: Sequence[Prefix]
    ) -> list[tuple[str, int]]:
        """Returns the texts behind prompts of one agent and temperature, with their tokens."""
        most = [request.max_tokens for request in requests]
        draws = np.zeros((len(requests), max(most)))
        for draw, request in zip(draws, requests, strict=True):
            draw[: request.max_tokens] = self._rng_of(request).random(request.max_tokens)
        answers = generate(self.model, prefixes, self._adapters(requests[0], len(requests)), most,
                           draws, requests[0].temperature)  # fmt: skip
        return [(decode_answer(self.model, one), len(one.tokens)) for one in answers]

    def _rng_of(self, request: Request) -> np.random.Generator:
        return self._rng if request.seed is None else np.random.default_rng(request.seed)

    def _read(self, request: Request, room: int) -> Prefix:
        with torch.no_grad():
            return self._reader.prefixes(
                [as_messages(request)], [room], self._adapters(request, 1)
            )[0]

    def _adapters(self, request: Request, rows: int) -> list[Adapter]:
        adapter = self.adapters.get(request.agent)
        return [] if adapter is None else [adapter] * rows

    def _chances(self, request: Request, prefix: Prefix) -> torch.Tensor:
        """Returns [W] log-probability of each word."""
        words = request.words or ()
        # A trained agent decides by the first token of each word, less its prior.
        prior = self.priors.get((request.agent, words))
        if prior is not None:
            x = self.model.embed(torch.tensor([prefix.tail], device=self.model.device))
            with self.model.adapted(self._adapters(request, 1)):
                hidden = self.model.extend(x, Memory([prefix]))[0, -1]
            tokens = list(self.model.first_tokens(words))
            return torch.log_softmax((self.model.unembedding[tokens] @ hidden) - prior, 0)
        # Otherwise each word is spelled to its end, in one padded batch behind the same prefix.
        end = min(self.model.end_tokens)
        spelled = [[*self.model.spelled(word), end] for word in words]
        longest = max(map(len, spelled))
        device, before = self.model.device, len(prefix.tail) - 1
        padded = torch.tensor(
            [word + [end] * (longest - len(word)) for word in spelled], device=device
        )
        lengths = torch.tensor([[len(word)] for word in spelled], device=device)
        there = torch.arange(longest, device=device) < lengths
        tails = torch.tensor([prefix.tail] * len(words), device=device)
        x = self.model.embed(torch.cat([tails, padded[:, :-1]], dim=1))
        with self.model.adapted(self._adapters(request, len(words))):
            hidden = self.model.extend(x, Memory([prefix] * len(words)))[:, before:]
        logits = (hidden @ self.model.unembedding.T).float()
        each = logits.gather(2, padded[..., None])[..., 0] - logits.logsumexp(dim=2)
        return torch.log_softmax((each * there).sum(dim=1), 0)


def as_messages(request: Request) -> Messages:
    """Returns the messages of a request as a model takes them."""
    return tuple((message.role, message.content) for message in request.messages)
