"""The log-probability of tokens, without all logits at once. Start with `log_probs`.

The unembedding is frozen, so the gradient of each log-probability with respect to its hidden state
is a vector that the forward pass can compute. The logits of a few tokens exist at a time, instead
of several copies of all of them, which took most of the memory of a learning pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from counterpoint.lm.memory import Memory
from counterpoint.lm.model import LanguageModel

TOGETHER = 64
"""Tokens whose logits exist at the same time."""
EMPTY_NATS = -100.0
"""The mean log-probability that a text without tokens gets: less than any text has."""


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
                slope = each.exp_().neg_().scatter_add_(1, token[:, None], torch.ones(len(h), 1))
                slopes.append(slope.to(unembedding.dtype) @ unembedding / temperature)
        ctx.save_for_backward(*([torch.cat(slopes)] if slopes else []))
        return torch.cat(nats)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, None, None, None]:
        if not ctx.saved_tensors:
            return None, None, None, None
        (slopes,) = ctx.saved_tensors
        return slopes * upstream[0][:, None].to(slopes.dtype), None, None, None


def mean_log_probability(
    model: LanguageModel, messages: tuple[tuple[str, str], ...], text: str, most_tokens: int
) -> float:
    """Returns the mean log-probability, in nats, of the tokens of an answer.

    Args:
        model: the bare model.
        messages: role and content of each message before the answer.
        text: the answer; an empty one gets `EMPTY_NATS`.
        most_tokens: tokens of the answer that are read.
    """
    tokens = model.spelled(text)[:most_tokens]
    if not tokens:
        return EMPTY_NATS
    prefix = model.read(messages)
    with torch.inference_mode():
        x = model.embed(torch.tensor([[prefix.last, *tokens[:-1]]]))
        hidden = model.extend(x, Memory([prefix]))[0]
        nats = log_probs(hidden, model.unembedding, torch.tensor(tokens), 1.0)
    return float(nats.double().mean())
