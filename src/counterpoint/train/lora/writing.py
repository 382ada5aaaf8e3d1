"""Free text: written token by token, and learned from in one pass over the answers.

Start with `WritingTeam.write` and `WritingTeam.loss`. Both share the bare model's encoding of the
prompts, so that a pass is as long as the answers alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from counterpoint.arrays import Floats
from counterpoint.lm.adapters import Adapter
from counterpoint.lm.generate import Text, generate
from counterpoint.lm.likelihood import log_probs
from counterpoint.lm.model import LanguageModel, Memory
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds.text.world import Prompt

WRITTEN_TOGETHER = 32
"""Answers that are written side by side."""


class WritingTeam:
    """Agents that write.

    Args:
        model: the frozen model.
        adapters: of each agent.
        settings: temperature, passes and how they are cut.
    """

    def __init__(
        self, model: LanguageModel, adapters: Mapping[str, Adapter], settings: LanguageSettings
    ) -> None:
        self.model, self.adapters, self.settings = model, adapters, settings
        places = [name for adapter in adapters.values() for name in adapter.down]
        self.first = min(int(name.split(".")[1]) for name in places)
        """The first layer that has adapters: what those below make of a token never changes."""

    def write(self, asks: Sequence[Prompt], rng: np.random.Generator) -> list[Text]:
        """Returns an answer to each prompt; those of an agent stand one after the other."""
        settings, texts = self.settings, list[Text]()
        for first in range(0, len(asks), WRITTEN_TOGETHER):
            some = asks[first : first + WRITTEN_TOGETHER]
            room = [ask.most_tokens for ask in some]
            texts += generate(
                self.model,
                [self.model.read(ask.messages) for ask in some],
                [self.adapters[ask.agent] for ask in some],
                room,
                rng.random((len(some), max(room))),
                settings.temperature,
                self.first,
            )
        return texts

    def loss(
        self,
        asks: Sequence[Prompt],
        texts: Sequence[Text],
        advantages: Floats,
        total: int,
        *,
        kl: bool = True,
    ) -> Tensor:
        """Returns PPO's clipped loss of some answers, those of an agent one after the other.

        A decision is the whole answer: its log-probability is the sum over its tokens, divided by
        how many there could have been, so that the length of an answer is not rewarded.

        Args:
            asks: [B].
            texts: [B] what was answered.
            advantages: [B].
            total: decisions in the batch, over which the mean is taken.
            kl: whether the divergence from the bare model is added, by its weight.
        """
        settings = self.settings
        written = _padded([torch.tensor(text.tokens) for text in texts])
        old = _padded([torch.from_numpy(text.log_probs).float() for text in texts])
        there = _padded([torch.ones(len(text.tokens)) for text in texts])
        there = there / torch.tensor([[float(ask.most_tokens)] for ask in asks])
        log_prob = self._log_probs(asks, texts, written)
        change = log_prob - (old if settings.epochs > 1 else log_prob.detach())
        ratio = change.exp()
        value = torch.from_numpy(advantages).float()[:, None]
        clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
        gain = torch.minimum(ratio * value, clipped * value)
        if kl and settings.kl:
            with torch.no_grad():
                bare = self._log_probs(asks, texts, written, adapted=False)
            gap = bare - log_prob
            gain = gain - settings.kl * (gap.exp() - gap - 1)  # Schulman's third estimator
        return -(gain * there).sum() / total

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
        model, below = self.model, [text.hidden for text in texts if text.hidden is not None]
        lasts = torch.tensor([[text.prefix.last] for text in texts])
        first = self.first if len(below) == len(texts) else 0
        x = _padded(below) if first else model.embed(torch.cat([lasts, written[:, :-1]], dim=1))
        memory = Memory([text.prefix for text in texts], first=first)
        with model.adapted([self.adapters[ask.agent] for ask in asks] if adapted else []):
            hidden = model.extend(x, memory, first)
        lengths = torch.tensor([[len(text.tokens)] for text in texts])
        there = torch.arange(written.shape[1]) < lengths
        each = log_probs(
            hidden[there], model.unembedding, written[there], self.settings.temperature
        )
        return torch.zeros(written.shape).masked_scatter(there, each)


def _padded(rows: list[Tensor]) -> Tensor:
    """Returns [B, n, ...] of tensors [n_b, ...], with 0 behind the end of each."""
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
