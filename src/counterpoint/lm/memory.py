"""What a model has read, and attention to it: `Prefix` of one prompt, `Memory` of rows of prompts.

Transformers joins old keys and values with the new ones and attends to both. Here the old ones are
frozen, and most of what a token attends to: `share_memory` keeps them apart, so that they are
neither copied nor given a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ATTENTION = "counterpoint"
"""The name under which transformers knows our attention."""
MOST_SCORES = 1 << 21
"""Scores of one layer that may exist at once; beyond it, attention goes tile by tile."""


@dataclass(frozen=True)
class Prefix:
    """A prompt of T + 1 tokens of which the bare model has read the first T."""

    keys: tuple[Tensor, ...]
    """[heads, T, D] for each layer."""
    values: tuple[Tensor, ...]
    """[heads, T, D] for each layer."""
    last: int
    """The token that was not read."""

    @property
    def nbytes(self) -> int:
        """Returns the bytes of all keys and values."""
        return sum(x.nbytes for x in (*self.keys, *self.values))


class Memory:
    """Keys and values of B rows of earlier tokens, in the form of the layers' cache.

    Args:
        prefixes: one for each row.
        room: tokens that will be written one after the other, each kept for the next; 0 for a
            single pass through which gradients may flow.
        first: layers below it are not kept.
    """

    def __init__(self, prefixes: Sequence[Prefix], room: int = 0, first: int = 0) -> None:
        lengths = [prefix.keys[0].shape[1] for prefix in prefixes]
        self.start = torch.tensor(lengths)
        self.longest, self.room, self.written = max(lengths), room, 0
        self.seen = torch.arange(self.longest) < self.start[:, None]
        self._biases: dict[torch.dtype, Tensor] = {}
        self.turns: tuple[Tensor, Tensor] | None = None
        """Cosine and sine of each future position, [B, room, D]."""
        kept = range(first, len(prefixes[0].keys))
        self.keys = {i: self._joined([p.keys[i] for p in prefixes]) for i in kept}
        self.values = {i: self._joined([p.values[i] for p in prefixes]) for i in kept}

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Returns the layer's keys and values with the new ones [B, heads, n, D] appended."""
        if not self.room:
            return torch.cat([self.keys[layer], k], 2), torch.cat([self.values[layer], v], 2)
        # In place: a sequence that grows by copying would copy all keys for every token.
        at = self.longest + self.written
        end = at + k.shape[2]
        self.keys[layer][:, :, at:end], self.values[layer][:, :, at:end] = k, v
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def positions(self, n: int) -> Tensor:
        """Returns [B, n] positions of the next n tokens."""
        return self.start[:, None] + self.written + torch.arange(n)

    def bias(self, n: int, dtype: torch.dtype) -> Tensor:
        """Returns [B, 1, n, T + n] to add to scores: minus infinity where a token may not look."""
        if n == 1:
            return self._bias_of_one(dtype)[..., : self.longest + self.written + 1]
        new = torch.ones(n, self.written + n).tril(self.written).bool()
        shape = len(self.start), n
        seen = torch.cat([self.seen[:, None].expand(*shape, -1), new.expand(*shape, -1)], dim=2)
        return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, -torch.inf)[:, None]

    def _bias_of_one(self, dtype: torch.dtype) -> Tensor:
        """Returns [B, 1, 1, T + room] for one token that sees all tokens written before it."""
        if dtype not in self._biases:
            whole = torch.zeros(len(self.start), 1, 1, self.longest + max(self.room, 1))
            unseen = ~self.seen[:, None, None]
            whole[..., : self.longest].masked_fill_(unseen, -torch.inf)
            self._biases[dtype] = whole.to(dtype)
        return self._biases[dtype]

    def _joined(self, rows: list[Tensor]) -> Tensor:
        heads, _, d = rows[0].shape
        out = rows[0].new_zeros(len(rows), heads, self.longest + self.room, d)
        for row, x in enumerate(rows):
            out[row, :, : x.shape[1]] = x
        return out


class Reading:
    """Collects the keys and values of one prompt, layer by layer."""

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.keys.append(k[0])
        self.values.append(v[0])
        return k, v


def share_memory(model: Any) -> bool:
    """Lets the layers of a model take a `memory`; returns whether their attention allows it."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend(*inputs: Any, memory: Any = None, **options: Any) -> tuple[Tensor, None]:
        if memory is None:
            output: tuple[Tensor, None] = sdpa_attention_forward(*inputs, **options)
            return output
        module, query, key, value, bias = inputs
        old = memory.keys[module.layer_idx], memory.values[module.layer_idx]
        return split_attention(query, key, value, *old, bias, options["scaling"]), None

    now: str = model.config._attn_implementation
    if now != "sdpa":
        return now == ATTENTION
    AttentionInterface.register(ATTENTION, attend)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation(ATTENTION)
    return True


def split_attention(
    query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor, bias: Tensor, by: float
) -> Tensor:
    """Returns [B, n, heads, D] attention of n new tokens to T old ones and to each other.

    Args:
        query: [B, heads, n, D].
        key, value: [B, H, n, D] of the new tokens; each of the H heads serves heads / H queries.
        keys, values: [B, H, T, D] of the old ones.
        bias: [B, 1, n, T + n] to add to the scores.
        by: the factor of the scores.
    """
    b, heads, n, d = query.shape
    t = keys.shape[2]
    # Queries that share a key head stand side by side, so that keys are not repeated.
    q = (query * by).reshape(b, key.shape[1], -1, d)
    scores = torch.cat([q @ keys.mT, q @ key.mT], dim=3).view(b, heads, n, t + n) + bias
    weights = scores.softmax(dim=3).view(*q.shape[:3], t + n)
    out = weights[..., :t] @ values + weights[..., t:] @ value
    return out.view(b, heads, n, d).transpose(1, 2)


def scores_fit(rows: int, heads: int, n: int, t: int) -> bool:
    """Returns whether the scores of n new tokens and t old ones may exist at once."""
    return math.prod((rows, heads, n, t + n)) <= MOST_SCORES
