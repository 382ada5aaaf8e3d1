"""Keys and values of what a model has read: `Prefix` of one prompt, `Memory` of rows of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prefix:
    """A prompt without its last token, as the bare model read it. T tokens."""

    keys: tuple[Tensor, ...]
    """[heads, T, D] for each layer."""
    values: tuple[Tensor, ...]
    """[heads, T, D] for each layer."""
    last: int
    """The token that was not read."""

    @property
    def nbytes(self) -> int:
        """Of all keys and values."""
        return sum(x.nbytes for x in (*self.keys, *self.values))


class Memory:
    """Keys and values of what came before, for B rows: what the model's layers call their cache.

    Args:
        prefixes: of the rows.
        room: tokens that will be written one after the other, each kept for the next; 0 for a
            single pass that gradients may flow through.
        first: layers below are not kept.
    """

    def __init__(self, prefixes: Sequence[Prefix], room: int = 0, first: int = 0) -> None:
        lengths = [prefix.keys[0].shape[1] for prefix in prefixes]
        self.start = torch.tensor(lengths)
        self.longest, self.room, self.written = max(lengths), room, 0
        self.seen = torch.arange(self.longest) < self.start[:, None]
        self._biases: dict[torch.dtype, Tensor] = {}
        self.turns: tuple[Tensor, Tensor] | None = None
        """Cosine and sine of each position that is to come, [B, room, D]."""
        kept = range(first, len(prefixes[0].keys))
        self.keys = {i: self._joined([p.keys[i] for p in prefixes]) for i in kept}
        self.values = {i: self._joined([p.values[i] for p in prefixes]) for i in kept}

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """The layer's keys and values with the new ones [B, heads, n, D] behind them."""
        if not self.room:
            return torch.cat([self.keys[layer], k], 2), torch.cat([self.values[layer], v], 2)
        at = self.longest + self.written
        end = at + k.shape[2]
        self.keys[layer][:, :, at:end], self.values[layer][:, :, at:end] = k, v
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def positions(self, n: int) -> Tensor:
        """[B, n] of the next n tokens."""
        return self.start[:, None] + self.written + torch.arange(n)

    def bias(self, n: int, dtype: torch.dtype) -> Tensor:
        """[B, 1, n, T + n] what is added to attention: minus infinity where nothing may be seen."""
        if n == 1:
            return self._bias_of_one(dtype)[..., : self.longest + self.written + 1]
        new = torch.ones(n, self.written + n).tril(self.written).bool()
        shape = len(self.start), n
        seen = torch.cat([self.seen[:, None].expand(*shape, -1), new.expand(*shape, -1)], dim=2)
        return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, -torch.inf)[:, None]

    def _bias_of_one(self, dtype: torch.dtype) -> Tensor:
        """[B, 1, 1, T + room] of one token that sees all that was written before it."""
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
    """Keeps what one prompt's layers compute."""

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.keys.append(k[0])
        self.values.append(v[0])
        return k, v
