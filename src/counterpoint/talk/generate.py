"""Free text from a local model, token by token. Start with `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from counterpoint.talk.adapters import Adapter
from counterpoint.talk.model import LanguageModel, Memory, Prefix

COLDEST = 1e-30
"""A temperature below it is 0: dividing by it leaves the range of 32-bit floats."""


@dataclass(frozen=True)
class Text:
    """An answer in free text."""

    prefix: Prefix
    """The prompt before it."""
    tokens: tuple[int, ...]
    """What was written, with the token that ends it where it was not cut off."""
    log_probs: NDArray[np.float64]
    """[n] of each token as it was drawn, in nats."""


def generate(
    model: LanguageModel,
    prefixes: Sequence[Prefix],
    adapters: Sequence[Adapter],
    most_tokens: Sequence[int],
    uniforms: NDArray[np.float64],
    temperature: float = 1.0,
) -> list[Text]:
    """An answer behind each of B prefixes.

    Args:
        model: who writes.
        prefixes: [B].
        adapters: [B], those that are the same one after the other; empty for the bare model.
        most_tokens: [B] tokens after which an answer is cut off.
        uniforms: [B, n] in [0, 1): the quantile at which each token is drawn.
        temperature: of the distribution; 0 takes the likeliest token.
    """
    with torch.no_grad():
        tokens, told = _drawn(model, prefixes, adapters, most_tokens, uniforms, temperature)
    lengths = (tokens >= 0).sum(axis=1)
    return [
        Text(prefix, tuple(row[:n].tolist()), values[:n].copy())
        for prefix, row, values, n in zip(prefixes, tokens, told, lengths, strict=True)
    ]


def written(model: LanguageModel, text: Text) -> str:
    """The words of an answer, without the token that ends it."""
    kept = [token for token in text.tokens if token not in model.end_tokens]
    found: str = model.tokenizer.decode(kept, skip_special_tokens=True)
    return found


def _drawn(
    model: LanguageModel,
    prefixes: Sequence[Prefix],
    adapters: Sequence[Adapter],
    most_tokens: Sequence[int],
    uniforms: NDArray[np.float64],
    temperature: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """[B, n] tokens, -1 behind an answer's end, and the log-probability of each."""
    greedy = temperature < COLDEST
    longest, room = max(most_tokens), torch.tensor(most_tokens)
    memory = Memory(prefixes, room=longest)
    now = torch.tensor([prefix.last for prefix in prefixes])
    quantiles = torch.from_numpy(uniforms)
    ended = torch.zeros(len(prefixes), dtype=torch.bool)
    tokens, log_probs = [], []
    with model.adapted(adapters):
        for step in range(longest):
            hidden = model.extend(model.embed(now[:, None]), memory)[:, 0]
            logits = (hidden @ model.unembedding.T).float()
            probs = torch.softmax(logits / (1.0 if greedy else temperature), dim=1)
            if greedy:
                now = logits.argmax(dim=1)
            else:
                total = probs.double().cumsum(dim=1)
                at = quantiles[:, step, None] * total[:, -1:]
                now = torch.searchsorted(total, at, right=True)[:, 0]
                now = now.clamp(max=probs.shape[1] - 1)
            tokens.append(torch.where(ended, -1, now))
            log_probs.append(probs.gather(1, now[:, None])[:, 0].log())
            ended = ended | torch.isin(now, model.ends) | (step + 1 >= room)
            if bool(ended.all()):
                break
    return torch.stack(tokens, 1).numpy(), torch.stack(log_probs, 1).double().numpy()
