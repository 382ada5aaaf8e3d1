"""Attention to what was read before, kept apart from what is new. `share_memory` turns it on.

Transformers joins old keys and values with the new ones and attends to both. Old ones are frozen
here, and most of what is seen: kept apart they are neither copied nor given a gradient.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

NAME = "counterpoint"
MOST_SCORES = 1 << 21
"""Scores of one layer that may be held at once; above it old and new are joined, tile by tile."""


def share_memory(model: Any) -> bool:
    """Let a model's layers take a `memory`, if they attend in the usual way; whether they do."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend(*told: Any, memory: Any = None, **named: Any) -> tuple[Tensor, None]:
        if memory is None:
            found: tuple[Tensor, None] = sdpa_attention_forward(*told, **named)
            return found
        module, query, key, value, bias = told
        old = memory.keys[module.layer_idx], memory.values[module.layer_idx]
        return apart(query, key, value, *old, bias, named["scaling"]), None

    now: str = model.config._attn_implementation
    if now != "sdpa":
        return now == NAME
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True


def apart(
    query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor, bias: Tensor, by: float
) -> Tensor:
    """[B, n, heads, D] what n new tokens get from T old ones and from each other.

    Args:
        query: [B, heads, n, D].
        key, value: [B, H, n, D] of the new tokens; each of them serves heads / H queries.
        keys, values: [B, H, T, D] of the old ones.
        bias: [B, 1, n, T + n] added to the scores.
        by: what scores are multiplied by.
    """
    b, heads, n, d = query.shape
    t = keys.shape[2]
    q = (query * by).reshape(b, key.shape[1], -1, d)
    scores = torch.cat([q @ keys.mT, q @ key.mT], dim=3).view(b, heads, n, t + n) + bias
    weights = scores.softmax(dim=3).view(*q.shape[:3], t + n)
    out = weights[..., :t] @ values + weights[..., t:] @ value
    return out.view(b, heads, n, d).transpose(1, 2)


def fits(rows: int, heads: int, n: int, t: int) -> bool:
    """Whether the scores of n new tokens and t old ones may be held at once."""
    return math.prod((rows, heads, n, t + n)) <= MOST_SCORES
