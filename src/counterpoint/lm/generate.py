"""Free text from a local model: `generate` draws it, `log_probs` says how likely it was.

The unembedding is frozen, so the gradient of each log-probability with respect to its hidden state
is a vector that the forward pass can compute. The logits of a few tokens exist at a time, instead
of several copies of all of them, which took most of the memory of a learning pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.lm.adapters import Adapter
from counterpoint.lm.memory import Memory, Prefix
from counterpoint.lm.model import LanguageModel, Messages
from counterpoint.lm.reader import Reader

TOGETHER = 64
"""Tokens whose logits exist at the same time."""
EMPTY_NATS = -100.0
"""The mean log-probability that a text without tokens gets: less than any text has."""
COLDEST = 1e-30
"""A lower temperature counts as 0: dividing by it leaves the range of 32-bit floats."""


@dataclass(frozen=True)
class Text:
    """An answer in free text."""

    prefix: Prefix
    """The prompt before the answer."""
    tokens: tuple[int, ...]
    """The tokens of the answer, with the token that ends it unless it was cut off."""
    log_probs: NDArray[np.float64]
    """[n] log-probability of each token as it was drawn, in nats."""
    hidden: Tensor | None = field(default=None, compare=False, repr=False)
    """[m - 1 + n, D] input of layer `kept` for the prompt's tail of m tokens and all of the answer
    but its last token; or None."""
    process: int = field(default=0, compare=False, repr=False)
    """The number of the process that wrote it; 0 is this one."""


def generate(
    model: LanguageModel,
    prefixes: Sequence[Prefix],
    adapters: Sequence[Adapter],
    most_tokens: Sequence[int],
    uniforms: NDArray[np.float64],
    temperature: float = 1.0,
    kept: int = 0,
) -> list[Text]:
    """Returns an answer behind each of B prefixes.

    Args:
        model: the model that writes.
        prefixes: [B] prompts that were read.
        adapters: [B] adapters, equal ones in consecutive rows; empty for the bare model.
        most_tokens: [B] tokens after which an answer is cut off.
        uniforms: [B, n] in [0, 1): the quantile at which each token is drawn.
        temperature: of the distribution; 0 takes the most likely token.
        kept: if not 0, the output of the layers below it is kept in `Text.hidden`.
    """
    below: list[Tensor] = []
    with torch.inference_mode():
        memory = Memory(prefixes, room=max(most_tokens) + len(prefixes[0].tail) - 1)

        def logits(tokens: Tensor) -> Tensor:
            x = model.embed(tokens)
            if kept:
                x = model.extend(x, memory, 0, kept)
                below.append(x)
            return (model.extend(x, memory, kept)[:, -1] @ model.unembedding.T).float()

        tails = torch.tensor([prefix.tail for prefix in prefixes], device=model.device)
        with model.adapted(adapters):
            tokens, nats = _drawn(logits, tails, model.ends, most_tokens, uniforms, temperature)
    # Rows go on beside each other until the last has ended; what stands behind an end is -1.
    lengths = (tokens >= 0).sum(axis=1).tolist()
    hidden, before = torch.cat(below, dim=1) if kept else None, len(prefixes[0].tail) - 1
    return [
        Text(
            prefix,
            tuple(tokens[row, :n].tolist()),
            nats[row, :n].copy(),
            None if hidden is None else hidden[row, : before + n],
        )
        for row, (prefix, n) in enumerate(zip(prefixes, lengths, strict=True))
    ]


def decode_answer(model: LanguageModel, text: Text) -> str:
    """Returns the answer as a string, without the token that ends it."""
    kept = [token for token in text.tokens if token not in model.end_tokens]
    answer: str = model.tokenizer.decode(kept, skip_special_tokens=True)
    return answer


def _drawn(
    logits_after: Callable[[Tensor], Tensor],
    tails: Tensor,
    ends: Tensor,
    most_tokens: Sequence[int],
    uniforms: NDArray[np.float64],
    temperature: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns [B, n] tokens, -1 after an answer's end, and the log-probability of each."""
    device = tails.device
    greedy, room = temperature < COLDEST, torch.tensor(most_tokens, device=device)
    quantiles = torch.from_numpy(uniforms).to(device)
    ended = torch.zeros(len(tails), dtype=torch.bool, device=device)
    tokens, probabilities, written = [], [], tails
    for step in range(max(most_tokens)):
        logits = logits_after(written)
        if not greedy and temperature != 1:
            logits = logits / temperature
        probs = torch.softmax(logits, dim=1)
        if greedy:
            now = logits.argmax(dim=1)
        else:
            # The inverse of the distribution function, scaled since rounded sums are not 1.
            total = probs.double().cumsum(dim=1)
            at = quantiles[:, step, None] * total[:, -1:]
            now = torch.searchsorted(total, at, right=True)[:, 0]
            now = now.clamp(max=probs.shape[1] - 1)
        written = now[:, None]
        tokens.append(torch.where(ended, -1, now))
        probabilities.append(probs.gather(1, now[:, None]))
        ended = ended | torch.isin(now, ends) | (step + 1 >= room)
        if bool(ended.all()):
            break
    nats = torch.cat(probabilities, 1).log().double()
    return torch.stack(tokens, 1).cpu().numpy(), nats.cpu().numpy()


def log_probs(hidden: Tensor, unembedding: Tensor, tokens: Tensor, temperature: float) -> Tensor:
    """Returns [M] log-probability of each token, in nats. Its gradient reaches `hidden` alone.

        log p_m = (u[token_m] . h_m - log sum_v exp(u_v . h_m / T) T) / T

    Args:
        hidden: [M, D] the last hidden state before each token.
        unembedding: [V, D] frozen weights.
        tokens: [M] tokens.
        temperature: T, by which logits are divided.
    """
    nats: Tensor = _LogProbs.apply(hidden, unembedding, tokens, temperature)
    return nats


class _LogProbs(torch.autograd.Function):
    """d log p_m / d h_m = sum_v ([v = token_m] - p(v)) u_v / T is computed forward, [M, D]."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, unembedding: Tensor, tokens: Tensor, temperature: float
    ) -> Tensor:
        nats, slopes = [], []
        for h, token in zip(hidden.split(TOGETHER), tokens.split(TOGETHER), strict=True):
            logits = (h @ unembedding.T).float() / temperature
            each = logits.log_softmax(dim=1)
            nats.append(each.gather(1, token[:, None])[:, 0])
            if ctx.needs_input_grad[0]:
                # One less p(token) before rounding: its difference from 1 may be very small.
                here = torch.ones(len(h), 1, device=h.device)
                slope = each.exp_().neg_().scatter_add_(1, token[:, None], here)
                slopes.append(slope.to(unembedding.dtype) @ unembedding / temperature)
        ctx.save_for_backward(*([torch.cat(slopes)] if slopes else []))
        return torch.cat(nats)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, None, None, None]:
        if not ctx.saved_tensors:
            return None, None, None, None
        (slopes,) = ctx.saved_tensors
        return slopes * upstream[0][:, None].to(slopes.dtype), None, None, None


def mean_log_probability(reader: Reader, messages: Messages, text: str, most_tokens: int) -> float:
    """Returns the mean log-probability, in nats, of the tokens of an answer.

    Args:
        reader: of the bare model.
        messages: role and content of each message before the answer.
        text: the answer; an empty one gets `EMPTY_NATS`.
        most_tokens: tokens of the answer that are read.
    """
    model = reader.model
    tokens = model.spelled(text)[:most_tokens]
    if not tokens:
        return EMPTY_NATS
    (prefix,) = reader.prefixes([messages], [len(tokens)])
    with torch.inference_mode():
        x = model.embed(torch.tensor([[*prefix.tail, *tokens[:-1]]], device=model.device))
        hidden = model.extend(x, Memory([prefix]))[0, len(prefix.tail) - 1 :]
        chosen = torch.tensor(tokens, device=model.device)
        nats = log_probs(hidden, model.unembedding, chosen, 1.0)
    return float(nats.double().mean())
