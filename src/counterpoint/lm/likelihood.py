"""How likely the tokens of answers are, without all logits at once. Start with `log_probs`;
`mean_log_probability` is of a whole answer.

The unembedding is frozen, so the gradient of each log-probability with respect to its hidden state
is a vector that can be made on the way forward. Logits of a few tokens exist at a time, in place of
several copies of those of all, which took most of a learning pass's memory.
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
"""What a text without tokens is said to have: less than any text has."""


def log_probs(hidden: Tensor, unembedding: Tensor, tokens: Tensor, temperature: float) -> Tensor:
    """[M] log-probability of each token, in nats; its gradient reaches `hidden` alone.

        log p_m = (u[token_m] . h_m - log sum_v exp(u_v . h_m / T) T) / T

    Args:
        hidden: [M, D] the last hidden state before each token.
        unembedding: [V, D] frozen.
        tokens: [M].
        temperature: T, by which logits are divided.
    """
    found: Tensor = _LogProbs.apply(hidden, unembedding, tokens, temperature)
    return found


class _LogProbs(torch.autograd.Function):
    """d log p_m / d h_m = sum_v ([v = token_m] - p(v)) u_v / T, kept as [M, D]."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, unembedding: Tensor, tokens: Tensor, temperature: float
    ) -> Tensor:
        told, slopes = [], []
        for h, token in zip(hidden.split(TOGETHER), tokens.split(TOGETHER), strict=True):
            logits = (h @ unembedding.T).float() / temperature
            each = logits.log_softmax(dim=1)
            told.append(each.gather(1, token[:, None])[:, 0])
            if ctx.needs_input_grad[0]:
                # One less p(token) before rounding: its difference from 1 may be very small.
                slope = each.exp_().neg_().scatter_add_(1, token[:, None], torch.ones(len(h), 1))
                slopes.append(slope.to(unembedding.dtype) @ unembedding / temperature)
        ctx.save_for_backward(*([torch.cat(slopes)] if slopes else []))
        return torch.cat(told)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, None, None, None]:
        if not ctx.saved_tensors:
            return None, None, None, None
        (slopes,) = ctx.saved_tensors
        return slopes * upstream[0][:, None].to(slopes.dtype), None, None, None


def mean_log_probability(
    model: LanguageModel, messages: tuple[tuple[str, str], ...], text: str, most_tokens: int
) -> float:
    """The mean log-probability of a text's tokens as the answer to a conversation, in nats.

    Args:
        model: the bare model.
        messages: role and content of what stands before.
        text: the answer; an empty one has `EMPTY_NATS`.
        most_tokens: of the answer that are read.
    """
    tokens = model.spelled(text)[:most_tokens]
    if not tokens:
        return EMPTY_NATS
    prefix = model.read(messages)
    with torch.inference_mode():
        x = model.embed(torch.tensor([[prefix.last, *tokens[:-1]]]))
        hidden = model.extend(x, Memory([prefix]))[0]
        told = log_probs(hidden, model.unembedding, torch.tensor(tokens), 1.0)
    return float(told.double().mean())
