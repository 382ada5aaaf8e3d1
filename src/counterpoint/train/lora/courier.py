"""`Courier`: carries texts between two processes, and what was read of their prompts once a batch.

To send the keys and values of a prompt takes a few hundredths of the time that reading it takes.
With plain adapters a prompt is read anew in every pass, and is not sent.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Floats
from counterpoint.lm.generate import Text
from counterpoint.lm.memory import Prefix
from counterpoint.lm.model import Messages
from counterpoint.worlds.text.world import Prompt

Bytes = NDArray[np.uint8]


class Sent(NamedTuple):
    """A text on its way; tensors are bytes, since NumPy knows no bfloat16."""

    tokens: tuple[int, ...]
    log_probs: Floats
    below: Bytes | None
    """`Text.hidden`."""
    tail: tuple[int, ...]
    length: int
    keys: dict[int, Bytes]
    """Of the prompt, by layer; empty if the other process has them."""
    values: dict[int, Bytes]
    hidden: Bytes | None
    """`Prefix.hidden`, or None if the other process has it."""


class Courier:
    """One end of a line between two processes; the other end has a `Courier` as well.

    Args:
        like: a tensor of the models' type, where this process has the models.
        readers: of each agent's model in this process, to tell the models apart.
        prompts: whether what was read of prompts is sent.
    """

    def __init__(self, like: Tensor, readers: Mapping[str, Hashable], *, prompts: bool) -> None:
        self.like, self.readers, self.prompts = like, readers, prompts
        self.prefixes: dict[tuple[Hashable, Messages], Prefix] = {}
        """The prompts of this batch that both ends have."""

    def forget(self) -> None:
        """Begins a new batch; the other end has to begin it too before anything is sent."""
        self.prefixes.clear()

    def sent(self, asks: Sequence[Prompt], texts: Sequence[Text]) -> list[Sent]:
        """Returns answers [B] to prompts [B] as they are sent."""
        out = []
        for ask, text in zip(asks, texts, strict=True):
            prefix, keys, values = text.prefix, dict[int, Bytes](), dict[int, Bytes]()
            read = self.readers[ask.agent], ask.messages
            new = self.prompts and read not in self.prefixes
            if new:
                self.prefixes[read] = prefix
                keys = {i: as_bytes(x) for i, x in prefix.keys.items()}
                values = {i: as_bytes(x) for i, x in prefix.values.items()}
            below = None if text.hidden is None else as_bytes(text.hidden)
            hidden = as_bytes(prefix.hidden) if new else None
            facts = prefix.tail, prefix.length
            out.append(Sent(text.tokens, text.log_probs, below, *facts, keys, values, hidden))
        return out

    def received(self, asks: Sequence[Prompt], texts: Sequence[Sent], process: int) -> list[Text]:
        """Returns answers [B] to prompts [B] that the other end has sent.

        Args:
            asks: [B].
            texts: [B] as they were sent.
            process: the number of the other process.
        """
        out = []
        for ask, text in zip(asks, texts, strict=True):
            read = self.readers[ask.agent], ask.messages
            if text.hidden is not None:
                self.prefixes[read] = Prefix(
                    {i: self._tensor(x) for i, x in text.keys.items()},
                    {i: self._tensor(x) for i, x in text.values.items()},
                    text.tail,
                    self._tensor(text.hidden),
                    text.length,
                )
            unread = Prefix({}, {}, text.tail, self.like[:0], text.length)
            prefix = self.prefixes[read] if self.prompts else unread
            below = None if text.below is None else self._tensor(text.below)
            out.append(Text(prefix, text.tokens, text.log_probs, below, process))
        return out

    def _tensor(self, x: Bytes) -> Tensor:
        return torch.from_numpy(x.copy()).view(self.like.dtype).to(self.like.device)


def as_bytes(x: Tensor) -> Bytes:
    """Returns the bytes [..., D x size] of a tensor [..., D]."""
    out: Bytes = x.contiguous().view(torch.uint8).cpu().numpy()
    return out
