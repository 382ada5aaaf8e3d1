"""How agents answer and learn from it: `WordTeam` chooses among words, `WritingTeam` writes.

Free text is written token by token, and learned from in one pass over the answers: see
`WritingTeam.write` and `WritingTeam.loss`. Where adapters are activated, both share the bare
model's encoding of the prompts, so that a pass is as long as the answers alone.

A choice costs one row a prompt: see `WordTeam.rows_of`. Three things make it fast, and none of
them changes a number. Only the legal words' rows of the unembedding are computed. Every different
prompt is run once however many episodes have it, and the batch is sampled from inside the graph, so
that an update is exactly on-policy. What adapters cannot change is kept: see `lm.reader.Reader`.

What waits for the gradient pass takes a limited number of bytes too, however many prompts an update
has. Beyond the limit, prompts are read again in the gradient pass, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Floats
from counterpoint.lm.adapters import Adapter
from counterpoint.lm.generate import Text, generate, log_probs
from counterpoint.lm.memory import Memory, Prefix
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.reader import KEPT_BYTES, Kept, Kind, Reader, common_prefixes
from counterpoint.lm.saved import SavedBytes, storages_of
from counterpoint.train.lora.seats import Models, readers_of, together
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds.text.world import Prompt

CHOSEN_TOGETHER = 64
"""Prompts of choices that are run side by side."""
CALIBRATED_PROMPTS = 16
"""The most prompts of an agent and its words over which priors are taken."""
SHARED_BY = 64
"""Prompts of an agent by which the prefix that all of its prompts share is judged."""


class Pass(NamedTuple):
    """Some answers that are learned from in one pass, those of an agent one after the other; the
    agents have one model."""

    asks: Sequence[Prompt]
    """[B]."""
    texts: Sequence[Text]
    """[B] what was answered."""
    advantages: Floats
    """[B]."""
    weights: Floats
    """[B] of each token of an answer: see `answers.token_weights`."""
    total: int
    """Decisions in the batch, over which the mean is taken."""
    bare: Sequence[Floats] | None = None
    """[B][n] log-probabilities of the tokens by the bare model: the divergence from it is added to
    the loss, by its weight. None leaves it out."""


class WordTeam:
    """Agents that choose words.

    Args:
        models: the frozen models.
        adapters: of each agent.
        kind: where the adapters act.
        limit: the most bytes of prompts that are kept, and of what waits for the gradient pass.
        recurring: whether prompts come back, so that it pays to keep what was read of them.
        recomputed: see `LanguageModel.adapted`.
    """

    def __init__(
        self,
        models: Models,
        adapters: Mapping[str, Adapter],
        kind: Kind = "activated",
        limit: int = KEPT_BYTES,
        *,
        recurring: bool = True,
        recomputed: bool = False,
    ) -> None:
        self.adapters, self.recomputed, self.limit = adapters, recomputed, limit
        most = limit if recurring else 0
        kept = most * 3 // 4
        self.readers = readers_of(models, adapters, kind, kept, writes=False, recomputed=recomputed)
        """The reader of each agent's model."""
        self.priors: dict[tuple[str, tuple[str, ...]], Tensor] = {}
        """What is subtracted from the words' logits, by agent and words: of all that it has chosen
        among, 0 where nothing was taken out."""
        self._memories = Kept[Memory](most - kept)
        self._first_tokens: dict[tuple[Reader, tuple[str, ...]], tuple[int, ...]] = {}
        self._weights: dict[LanguageModel, frozenset[int]] = {}
        """The storages of the weights of a model and of its adapters."""
        self.forget()

    def forget(self) -> None:
        """Begins a new update: results of the old weights are dropped."""
        self.rows: dict[Prompt, int] = {}
        """Prompt to its row of `probs`."""
        self.probs: list[Floats] = []
        """`[U][W]` probabilities of each row's words."""
        self.parts: list[Tensor] = []
        """Log-probabilities of the first rows, with their graphs."""
        self.dropped: list[list[Prompt]] = []
        """The prompts of the other rows, whose graphs were not kept, by the passes that they were
        computed in."""
        self.graph_bytes = 0
        """Bytes that the graphs of `parts` keep for the gradient."""

    @property
    def entropies(self) -> Floats:
        """[U] entropy of each row, in nats."""
        return np.array([-(p[p > 0] * np.log(p[p > 0])).sum() for p in self.probs])

    def graphs(self) -> Iterator[tuple[slice, Tensor]]:
        """Yields rows since `forget` and the log-probabilities [n, W] of their words, with their
        graph; 0 behind a prompt's words. Graphs that were dropped are computed again, one at a
        time: take the gradient of each before the next."""
        first = 0
        if self.parts:
            widest = max(part.shape[1] for part in self.parts)
            pad = torch.nn.functional.pad
            joined = torch.cat([pad(part, (0, widest - part.shape[1])) for part in self.parts])
            first = len(joined)
            yield slice(0, first), joined
            del joined
            self.parts, self.graph_bytes = [], 0
        for asks in self.dropped:
            yield slice(first, first + len(asks)), self._log_probs(asks)
            first += len(asks)

    def rows_of(self, asks: Sequence[Prompt]) -> list[int]:
        """Returns the row of each prompt; new prompts are computed, those of a model together."""
        every = [ask for ask in dict.fromkeys(asks) if ask not in self.rows]
        # One run of rows for each adapter, and one order for the same prompts every time.
        every.sort(key=lambda ask: ask.place)
        for part in together(every, self.readers, CHOSEN_TOGETHER):
            new = every[part]
            log_probs = self._kept_or_dropped(new)
            for ask, row in zip(new, log_probs.double().exp().cpu().numpy(), strict=True):
                row[len(ask.words) :] = 0.0
                none = torch.zeros(len(ask.words), device=log_probs.device)
                self.priors.setdefault((ask.agent, ask.words), none)
                self.rows[ask] = len(self.probs)
                self.probs.append(row[: len(ask.words)] / row.sum())
        return [self.rows[ask] for ask in asks]

    def _kept_or_dropped(self, asks: list[Prompt]) -> Tensor:
        """Returns the log-probabilities [n, W] of new prompts without their graph, which is kept if
        there is room for it."""
        if torch.is_grad_enabled() and not self.dropped:
            log_probs, nbytes = self._counted(asks)
            if self.graph_bytes + nbytes <= self.limit:
                self.graph_bytes += nbytes
                self.parts.append(log_probs)
                return log_probs.detach()
        else:
            with torch.no_grad():
                log_probs = self._log_probs(asks)
        self.dropped.append(asks)  # and those of all later prompts: rows stay in their order
        return log_probs.detach()

    def _counted(self, asks: list[Prompt]) -> tuple[Tensor, int]:
        """Returns the log-probabilities of new prompts, and the bytes that their graph keeps."""
        memory = self._memories.get(tuple(asks))
        if memory is not None and memory.graph_bytes is not None:  # counting takes time
            return self._log_probs(asks), memory.graph_bytes
        saved = self._saved_by(self.readers[asks[0].agent].model)
        with saved.counting():
            log_probs = self._log_probs(asks, saved)
        memory = self._memories.get(tuple(asks))
        if memory is not None:
            memory.graph_bytes = saved.nbytes
        return log_probs, saved.nbytes

    def _saved_by(self, model: LanguageModel) -> SavedBytes:
        """Returns a count of what a graph keeps beside the weights, which are there in any case."""
        if model not in self._weights:
            adapters = [x for adapter in self.adapters.values() for x in adapter.parameters()]
            self._weights[model] = storages_of([*model.model.parameters(), *adapters])
        return SavedBytes(self._weights[model])

    def _log_probs(self, asks: Sequence[Prompt], saved: SavedBytes | None = None) -> Tensor:
        """Returns the log-probabilities [n, W] of the words of prompts, 0 behind them."""
        logits = self.logits(asks, saved=saved)
        words = torch.tensor([[len(ask.words)] for ask in asks], device=logits.device)
        legal = torch.arange(logits.shape[1], device=logits.device) < words
        log_probs = torch.log_softmax(logits.masked_fill(~legal, -torch.inf), dim=1)
        return log_probs.masked_fill(~legal, 0.0)

    def logits(
        self, asks: Sequence[Prompt], *, adapted: bool = True, saved: SavedBytes | None = None
    ) -> Tensor:
        """Returns [U, W], the logits of the words minus their prior; 0 behind a prompt's words.

        Args:
            asks: different ones, those of an agent one after the other, all of one model.
            adapted: whether adapters act; else what the bare model says, priors left in.
            saved: counts what was read of the prompts, unless it is kept for the next update.
        """
        reader = self.readers[asks[0].agent]
        model, device, rooms = reader.model, reader.model.device, [1] * len(asks)
        adapters = [self.adapters[ask.agent] for ask in asks] if adapted else []
        prefixes = reader.prefixes([ask.messages for ask in asks], rooms, adapters)
        changing, key = reader.kind == "plain" and adapted, tuple(asks)
        memory = None if changing else self._memories.get(key)
        if memory is None:
            memory = Memory(prefixes, first=reader.first)
            if not changing:
                self._memories.keep(key, memory, memory.nbytes)
        if saved is not None:
            for x in (*memory.keys.values(), *memory.values.values()):
                saved.add(x, counts=key not in self._memories)
        hidden = torch.stack([prefix.hidden for prefix in prefixes])
        del prefixes  # the memory has copies
        with model.adapted(adapters, recomputed=self.recomputed):
            out = model.extend(hidden, memory, reader.first)[:, -1]
        first_tokens = [self.first_tokens(reader, ask.words) for ask in asks]
        widest = max(map(len, first_tokens))
        tokens = torch.tensor(
            [words + words[:1] * (widest - len(words)) for words in first_tokens], device=device
        )
        logits = (model.unembedding[tokens] @ out[:, :, None])[..., 0].float()
        if adapted:
            priors = torch.zeros(len(asks), widest, device=device)
            for row, ask in enumerate(asks):
                prior = self.priors.get((ask.agent, ask.words), priors[row, :0])
                priors[row, : len(prior)] = prior
            logits = logits - priors
        return logits

    def first_tokens(self, reader: Reader, words: tuple[str, ...]) -> tuple[int, ...]:
        """Returns the token with which each word begins an answer; each set is looked up once."""
        key = reader, words
        if key not in self._first_tokens:
            self._first_tokens[key] = reader.model.first_tokens(words)
        return self._first_tokens[key]

    def calibrate(self, asks: Sequence[Prompt]) -> None:
        """Takes each word's mean log-probability over `asks` out of its agent's logits."""
        groups: dict[tuple[str, tuple[str, ...]], list[Prompt]] = {}
        for ask in dict.fromkeys(asks):
            groups.setdefault((ask.agent, ask.words), []).append(ask)
        with torch.no_grad():
            for key, members in groups.items():
                each = [self.logits([ask], adapted=False) for ask in members]
                self.priors[key] = torch.log_softmax(torch.cat(each), dim=1).mean(dim=0)


def calibrated(asks: Sequence[Prompt]) -> list[Prompt]:
    """Returns the prompts over which priors of words are taken: `CALIBRATED_PROMPTS` of each agent
    and set of words, evenly spaced."""
    groups: dict[tuple[str, tuple[str, ...]], list[Prompt]] = {}
    for ask in asks:
        if ask.words:
            groups.setdefault((ask.agent, ask.words), []).append(ask)
    return [
        members[i * len(members) // min(len(members), CALIBRATED_PROMPTS)]
        for members in groups.values()
        for i in range(min(len(members), CALIBRATED_PROMPTS))
    ]


def shared_prefixes_of(model: LanguageModel, asks: Sequence[Prompt]) -> tuple[tuple[int, ...], ...]:
    """Returns the tokens with which the prompts of each agent begin, judged by some of them."""
    groups: dict[str, list[Prompt]] = {}
    for ask in asks:
        groups.setdefault(ask.agent, []).append(ask)
    return common_prefixes(
        [model.prompt(ask.messages) for ask in some[:: -(-len(some) // SHARED_BY)]]
        for some in groups.values()
    )


def choose_words(probs: Floats, uniforms: Any) -> Any:
    """Returns the words at some quantiles: equal uniforms give equal places in the distribution."""
    places = np.searchsorted(probs.cumsum(), uniforms, side="right")
    return np.minimum(places, len(probs) - 1)


def weights_of(
    rows: NDArray[np.int64], words: NDArray[np.int64], values: Floats, shape: tuple[int, int]
) -> Floats:
    """Returns [U, W], the sum of `values` [N] over the decisions for a word at a prompt."""
    out = np.zeros(shape)
    np.add.at(out, (rows, words), values)
    return out


class WritingTeam:
    """Agents that write. The rows of every pass belong to agents of one model.

    Args:
        models: the frozen models.
        adapters: of each agent.
        settings: temperature, passes and how they are cut.
    """

    def __init__(
        self, models: Models, adapters: Mapping[str, Adapter], settings: LanguageSettings
    ) -> None:
        self.adapters, self.settings = adapters, settings
        again = settings.checkpointing
        self.readers = readers_of(
            models, adapters, settings.kind, settings.cache_bytes, recomputed=again
        )
        """The reader of each agent's model."""
        self._waiting = Kept[Prefix](settings.cache_bytes)
        """What was read of prompts since `forget` and waits for the gradient pass."""

    def forget(self) -> None:
        """Begins a new batch: texts of the last one are not learned from any more."""
        self._waiting.clear()

    def write(self, asks: Sequence[Prompt], rng: np.random.Generator) -> list[Text]:
        """Returns an answer to each prompt; those of an agent stand one after the other."""
        parts = self.parts(asks, rng)
        return [text for some, draws in parts for text in self.write_together(some, draws)]

    def parts(
        self, asks: Sequence[Prompt], rng: np.random.Generator
    ) -> list[tuple[Sequence[Prompt], Floats]]:
        """Returns the prompts whose answers are written together, and the quantiles [B, n] at which
        tokens are drawn: see `generate`."""
        some = [asks[part] for part in together(asks, self.readers, self.settings.together)]
        return [
            (part, rng.random((len(part), max(ask.most_tokens for ask in part)))) for part in some
        ]

    def write_together(self, asks: Sequence[Prompt], draws: Floats) -> list[Text]:
        """Returns an answer to each prompt of a part, all written side by side."""
        room = [ask.most_tokens for ask in asks]
        adapters = [self.adapters[ask.agent] for ask in asks]
        reader, temperature = self.readers[asks[0].agent], self.settings.temperature
        with torch.no_grad():
            prefixes = reader.prefixes([ask.messages for ask in asks], room, adapters)
        texts = generate(reader.model, prefixes, adapters, room, draws, temperature, reader.first)
        return [
            replace(text, prefix=self._to_learn_from(ask, text.prefix))
            for ask, text in zip(asks, texts, strict=True)
        ]

    def _to_learn_from(self, ask: Prompt, prefix: Prefix) -> Prefix:
        """Returns what an answer keeps of its prompt, to learn from: no keys and values if they
        are read again."""
        reader = self.readers[ask.agent]
        key, waiting = (reader, ask.messages), self._waiting
        if key not in waiting:
            prefix = prefix.above(self.kept_from(reader))
            if waiting.nbytes + prefix.nbytes > waiting.limit:
                return prefix.above(reader.model.depth)
            waiting.keep(key, prefix, prefix.nbytes)
        return waiting[key]

    def kept_from(self, reader: Reader) -> int:
        """Returns the first layer of which an answer keeps what was read of its prompt, to learn
        from."""
        return reader.model.depth if self.settings.kind == "plain" else reader.first

    def gradient(self, one: Pass) -> dict[str, Tensor]:
        """Returns the gradient of the loss of a pass with respect to the parameters of each adapter
        that takes part in it, as one vector, by the adapter's name: its agent, or `shared`."""
        own = {self.owner(ask.agent): self.adapters[ask.agent] for ask in one.asks}
        every = [list(adapter.parameters()) for adapter in own.values()]
        grads = iter(torch.autograd.grad(self.loss(*one), [x for some in every for x in some]))
        return {
            name: torch.cat([next(grads).flatten() for _ in some])
            for name, some in zip(own, every, strict=True)
        }

    def owner(self, agent: str) -> str:
        """Returns the name of the adapter of an agent."""
        return agent if self.settings.parameters == "separate" else "shared"

    def passes(self, asks: Sequence[Prompt], texts: Sequence[Text]) -> Iterator[slice]:
        """Yields the rows of each pass over answers, by their models and by the settings `rows` and
        `tokens`."""
        most, readers = self.settings, [self.readers[ask.agent] for ask in asks]
        plain, first, longest = most.kind == "plain", 0, 0
        for row, text in enumerate(texts):
            length = len(text.tokens) + (text.prefix.length if plain else 0)
            wider = max(longest, length)
            rows = row - first
            full = rows == most.rows or (rows + 1) * wider > most.tokens
            if rows and (full or readers[row] is not readers[first]):
                yield slice(first, row)
                first, wider = row, length
            longest = wider
        if first < len(asks):
            yield slice(first, len(asks))

    def loss(
        self,
        asks: Sequence[Prompt],
        texts: Sequence[Text],
        advantages: Floats,
        weights: Floats,
        total: int,
        bare: Sequence[Floats] | None = None,
    ) -> Tensor:
        """Returns PPO's clipped loss of some answers, those of an agent one after the other.

        A decision is the whole answer: its log-probability is the sum over its tokens, times the
        weight that `loss_normalization` gives to each of them.

        Args:
            asks: [B].
            texts: [B] what was answered.
            advantages: [B].
            weights: [B] of each token of an answer: see `answers.token_weights`.
            total: decisions in the batch, over which the mean is taken.
            bare: [B][n] log-probabilities of the tokens by the bare model: the divergence from it
                is added, by its weight. None leaves it out.
        """
        settings = self.settings
        device = self.readers[asks[0].agent].model.device
        written = _padded([torch.tensor(text.tokens) for text in texts]).to(device)
        old = _padded([torch.from_numpy(text.log_probs).float() for text in texts]).to(device)
        there = _padded([torch.ones(len(text.tokens)) for text in texts])
        there = (there * torch.from_numpy(weights).float()[:, None]).to(device)
        log_prob = self._log_probs(asks, texts, written)
        change = log_prob - (old if settings.epochs > 1 else log_prob.detach())
        ratio = change.exp()
        value = torch.from_numpy(advantages).float()[:, None].to(device)
        clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
        gain = torch.minimum(ratio * value, clipped * value)
        if bare is not None:
            nats = _padded([torch.from_numpy(each).float() for each in bare])
            gap = nats.to(device) - log_prob
            gain = gain - settings.kl * (gap.exp() - gap - 1)  # Schulman's third estimator
        return -(gain * there).sum() / total

    def bare_log_probs(self, asks: Sequence[Prompt], texts: Sequence[Text]) -> list[Floats]:
        """Returns [B][n], the log-probabilities of the tokens of answers by the bare model."""
        device = self.readers[asks[0].agent].model.device
        written = _padded([torch.tensor(text.tokens) for text in texts]).to(device)
        with torch.no_grad():
            rows = self._log_probs(asks, texts, written, adapted=False).double().cpu().numpy()
        return [row[: len(text.tokens)] for row, text in zip(rows, texts, strict=True)]

    def _log_probs(
        self,
        asks: Sequence[Prompt],
        texts: Sequence[Text],
        written: Tensor,
        *,
        adapted: bool = True,
    ) -> Tensor:
        """Returns [B, n], the log-probabilities of the tokens `written` [B, n]; 0 behind an
        answer's end."""
        model = self.readers[asks[0].agent].model
        hidden, there = self.states(asks, texts, written, adapted=adapted)
        each = log_probs(hidden, model.unembedding, written[there], self.settings.temperature)
        return torch.zeros(written.shape, device=model.device).masked_scatter(there, each)

    def states(
        self,
        asks: Sequence[Prompt],
        texts: Sequence[Text],
        written: Tensor,
        *,
        adapted: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Returns the last hidden state before each of M tokens [M, D], and which places of
        `written` [B, n] have these tokens."""
        reader = self.readers[asks[0].agent]
        model, below = reader.model, [text.hidden for text in texts if text.hidden is not None]
        adapters = [self.adapters[ask.agent] for ask in asks] if adapted else []
        prefixes = [text.prefix for text in texts]
        plain = self.settings.kind == "plain"
        again = [i for i, prefix in enumerate(prefixes) if plain or not prefix.keys]
        if again:
            prompts = [asks[i].messages for i in again]
            rooms = [len(texts[i].tokens) for i in again]
            acting = [adapters[i] for i in again] if adapted else []
            for i, prefix in zip(again, reader.prefixes(prompts, rooms, acting), strict=True):
                prefixes[i] = prefix
        first = reader.first if len(below) == len(texts) else 0
        tails = torch.tensor([prefix.tail for prefix in prefixes], device=model.device)
        x = _padded(below) if first else model.embed(torch.cat([tails, written[:, :-1]], dim=1))
        memory = Memory(prefixes, first=first)
        with model.adapted(adapters, recomputed=self.settings.checkpointing):
            hidden = model.extend(x, memory, first)[:, tails.shape[1] - 1 :]
        lengths = torch.tensor([[len(text.tokens)] for text in texts], device=model.device)
        there = torch.arange(written.shape[1], device=model.device) < lengths
        return hidden[there], there


def _padded(rows: list[Tensor]) -> Tensor:
    """Returns [B, n, ...] of tensors [n_b, ...], with 0 behind the end of each."""
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
