"""What a model has read: `Prefix` of one prompt, and `Memory` of the prompts of many rows.

Transformers joins old keys and values with the new ones and attends to both. Here the old ones are
most of what a token attends to: `share_memory` keeps them apart, so that they are not copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

Turns = dict[str | None, tuple[Tensor, Tensor]]
"""Cosine and sine of positions, each [B, n, D], by the kind of layer that turns by them."""
ATTENTION = "counterpoint"
"""The name under which transformers knows our attention."""


@dataclass(frozen=True)
class Prefix:
    """A prompt of T + m tokens of which the first T have been read."""

    keys: dict[int, Tensor]
    """[heads, T, D] by layer."""
    values: dict[int, Tensor]
    """[heads, T, D] by layer."""
    tail: tuple[int, ...]
    """[m] the last tokens, behind which an answer stands: adapters act from them on."""
    hidden: Tensor
    """[m, D] input of the first layer with adapters for the tail; layers below never change."""
    length: int
    """T."""
    shared: tuple[int, ...] = ()
    """The first tokens, if they were read once for all prompts that begin with them."""

    @property
    def tokens(self) -> int:
        """Returns T + m."""
        return self.length + len(self.tail)

    def above(self, first: int) -> Prefix:
        """Returns the prompt with the keys and values of layers `first` and above alone."""
        keys, values = (
            {i: x for i, x in some.items() if i >= first} for some in (self.keys, self.values)
        )
        return replace(self, keys=keys, values=values)

    @property
    def nbytes(self) -> int:
        """Returns the bytes of all keys, values and hidden states."""
        return sum(x.nbytes for x in (*self.keys.values(), *self.values.values(), self.hidden))


class Memory:
    """Keys and values of B rows of earlier tokens, in the form of the layers' cache.

    Args:
        prefixes: one for each row.
        room: tokens that will be written one after the other, each kept for the next; 0 for a
            single pass through which gradients may flow.
        first: layers below it are not kept.
    """

    def __init__(self, prefixes: Sequence[Prefix], room: int = 0, first: int = 0) -> None:
        lengths = [prefix.length for prefix in prefixes]
        self.device = prefixes[0].hidden.device
        self.start = torch.tensor(lengths, device=self.device)
        self.longest, self.room, self.written = max(lengths), room, 0
        self.seen = torch.arange(self.longest, device=self.device) < self.start[:, None]
        self._biases: dict[torch.dtype, Tensor] = {}
        self.turns: Turns | None = None
        """Of each future position, [B, room, D]."""
        self.behind: Reading | None = None
        """Collects the keys and values of new tokens, if they are to be kept."""
        self.graph_bytes: int | None = None
        """Bytes that the graph of a pass behind it keeps beside it, once they were counted."""
        kept = [i for i in prefixes[0].keys if i >= first]
        self.keys = {i: self._joined([p.keys[i] for p in prefixes]) for i in kept}
        self.values = {i: self._joined([p.values[i] for p in prefixes]) for i in kept}

    @property
    def nbytes(self) -> int:
        """Returns the bytes of all keys and values."""
        return sum(x.nbytes for x in (*self.keys.values(), *self.values.values()))

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Returns the layer's keys and values with the new ones [B, heads, n, D] appended."""
        self.collect(k, v, layer)
        if not self.room:
            return torch.cat([self.keys[layer], k], 2), torch.cat([self.values[layer], v], 2)
        # In place: a sequence that grows by copying would copy all keys for every token.
        at = self.longest + self.written
        end = at + k.shape[2]
        self.keys[layer][:, :, at:end], self.values[layer][:, :, at:end] = k, v
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def collect(self, k: Tensor, v: Tensor, layer: int) -> None:
        """Keeps the layer's keys and values of new tokens, if they are wanted."""
        if self.behind is not None:
            self.behind.update(k, v, layer)

    def positions(self, n: int) -> Tensor:
        """Returns [B, n] positions of the next n tokens."""
        return self.start[:, None] + self.written + torch.arange(n, device=self.device)

    def bias(self, n: int, dtype: torch.dtype) -> Tensor:
        """Returns [B, 1, n, T + n] to add to scores: minus infinity where a token may not look."""
        if n == 1:  # it sees all tokens written before it: one bias for all of them
            if dtype not in self._biases:
                size = len(self.start), 1, 1, self.longest + max(self.room, 1)
                whole = torch.zeros(size, device=self.device)
                unseen = ~self.seen[:, None, None]
                whole[..., : self.longest].masked_fill_(unseen, -torch.inf)
                self._biases[dtype] = whole.to(dtype)
            return self._biases[dtype][..., : self.longest + self.written + 1]
        new = torch.ones(n, self.written + n, device=self.device).tril(self.written).bool()
        shape = len(self.start), n
        seen = torch.cat([self.seen[:, None].expand(*shape, -1), new.expand(*shape, -1)], dim=2)
        bias = torch.zeros(seen.shape, dtype=dtype, device=self.device)
        return bias.masked_fill_(~seen, -torch.inf)[:, None]

    def _joined(self, rows: list[Tensor]) -> Tensor:
        heads, _, d = rows[0].shape
        out = rows[0].new_zeros(len(rows), heads, self.longest + self.room, d)
        row = 0
        for _, run in groupby(rows, key=id):  # episodes of one task have one prefix: one copy
            x, count = rows[row], len(list(run))
            out[row : row + count, :, : x.shape[1]] = x
            row += count
        return out


class Reading:
    """Collects the keys and values [B, heads, n, D] of prompts, layer by layer."""

    def __init__(self) -> None:
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.keys[layer], self.values[layer] = k, v
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
        memory.collect(key, value, module.layer_idx)
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
