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
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.reader import Kind, Reader
from counterpoint.speakers.speaker import Reply, Request

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
        """Returns one reply for each request, in their order; some may have an error."""
        return [self._reply(request) for request in requests]

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

    def _reply(self, request: Request) -> Reply:
        start, seed = time.monotonic(), request.seed
        rng = self._rng if seed is None else np.random.default_rng(seed)
        try:
            prefix = self._read(request, request.max_tokens if request.words is None else 1)
        except SettingError as error:
            return Reply("", 0, 0, None, time.monotonic() - start, error=str(error))
        read = prefix.tokens
        if request.words is not None:
            with torch.no_grad():
                chances = self._chances(request, prefix)
            heat = request.temperature
            greedy = heat < COLDEST
            scaled = chances == chances.max() if greedy else torch.softmax(chances / heat, 0)
            weights = scaled.double().cpu().numpy()
            at = rng.random() * weights.sum()
            word = min(int(np.searchsorted(weights.cumsum(), at, side="right")), len(weights) - 1)
            text, count = request.words[word], 1
        else:
            most, draws = request.max_tokens, rng.random((1, request.max_tokens))
            answer = generate(self.model, [prefix], self._adapters(request, 1), [most], draws,
                              request.temperature)[0]  # fmt: skip
            text, count = decode_answer(self.model, answer), len(answer.tokens)
        return Reply(text, read, count, 0.0, time.monotonic() - start)

    def _read(self, request: Request, room: int) -> Prefix:
        messages = tuple((m.role, m.content) for m in request.messages)
        with torch.no_grad():
            return self._reader.prefixes([messages], [room], self._adapters(request, 1))[0]

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
