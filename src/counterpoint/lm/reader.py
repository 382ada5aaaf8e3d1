"""`Reader`: reads the prompts of a team, and keeps what adapters cannot change, up to a limit.

Where adapters act decides what that is. A plain adapter acts on every token, so that what the
layers above the first one with adapters make of a prompt is computed anew in every pass. An
activated one acts from the opening of the answer on: everything before it is read once. Prompts are
read one by one on a CPU, where a batch is hardly faster and would change the last bits of a number
with what else is read.

Source: Greenewald et al. 2025, Activated LoRA (arXiv:2504.12397).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeVar

from counterpoint.lm.adapters import Adapter
from counterpoint.lm.memory import Prefix
from counterpoint.lm.model import Encoded, LanguageModel, Messages

KEPT_BYTES = 1 << 28
"""The most memory that prompts take that were read before."""
READ_TOGETHER = 1 << 14
"""Tokens that are read side by side where a batch is faster."""

Kind = Literal["plain", "activated", "last_token"]
"""The tokens on which adapters act: all, those from the opening of the answer on, or those from the
last token of the prompt on."""
Value = TypeVar("Value")


class Kept(dict[object, Value]):
    """Values up to a limit of bytes; the oldest go first.

    Args:
        limit: the most bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self.nbytes = limit, 0
        self.sizes: dict[object, int] = {}
        """Bytes of each."""

    def keep(self, key: object, value: Value, nbytes: int) -> None:
        """Keeps a value, unless it alone is beyond the limit."""
        if nbytes > self.limit:
            return
        while self and self.nbytes + nbytes > self.limit:
            oldest = next(iter(self))  # a dict keeps the order of insertion
            del self[oldest]
            self.nbytes -= self.sizes.pop(oldest)
        self[key], self.sizes[key] = value, nbytes
        self.nbytes += nbytes


class Reader:
    """Reads prompts for adapters of one kind.

    Args:
        model: the frozen model.
        kind: where the adapters act.
        first: the first layer with adapters.
        writes: whether agents write behind prompts, for which all layers must be known; the layers
            from `first` on suffice to choose.
        limit: the most bytes of prompts that are kept.
        recomputed: see `LanguageModel.adapted`.
    """

    def __init__(
        self,
        model: LanguageModel,
        kind: Kind = "last_token",
        first: int = 0,
        *,
        writes: bool = True,
        limit: int = KEPT_BYTES,
        recomputed: bool = False,
    ) -> None:
        self.model, self.kind, self.first, self.recomputed = model, kind, first, recomputed
        self.lowest = 0 if writes else first
        """The first layer whose keys and values are kept."""
        self.kept = Kept[Prefix](limit)
        self.tail = len(model.opening) if kind == "activated" else 1

    def prefixes(
        self, prompts: Sequence[Messages], rooms: Sequence[int], adapters: Sequence[Adapter] = ()
    ) -> list[Prefix]:
        """Returns prompts that were read up to their tail.

        Gradients flow through what a plain adapter makes of them, if they are on.

        Args:
            prompts: [B].
            rooms: [B] the most tokens of the answer to each.
            adapters: [B] of each row; none for the bare model.

        Raises:
            SettingError: a prompt and the answer to it are longer than the model can read.
        """
        if self.kind != "plain" or not adapters:
            return self._read(prompts, rooms, low=False)
        place: dict[tuple[Messages, int], int] = {}
        for i, (prompt, adapter) in enumerate(zip(prompts, adapters, strict=True)):
            place.setdefault((prompt, id(adapter)), i)
        some = list(place.values())
        lows = self._read([prompts[i] for i in some], [rooms[i] for i in some], low=True)
        with self.model.adapted([adapters[i] for i in some], recomputed=self.recomputed):
            # Layers cannot be run on no token: a prompt of one is read, and nothing of it is kept.
            before = [low.hidden[: max(1, low.length)] for low in lows]
            read = self.model.adapt(before, self.first)
        made = {
            i: Prefix(
                low.keys | {k: x[row, :, : low.length] for k, x in read.keys.items()},
                low.values | {k: x[row, :, : low.length] for k, x in read.values.items()},
                low.tail,
                low.hidden[-1:],
                low.length,
            )
            for row, (i, low) in enumerate(zip(some, lows, strict=True))
        }
        rows = zip(prompts, map(id, adapters), strict=True)
        return [made[place[row]] for row in rows]

    def _read(
        self, prompts: Sequence[Messages], rooms: Sequence[int], *, low: bool
    ) -> list[Prefix]:
        """Returns what the bare model makes of prompts; below the first layer with adapters alone
        if `low`, and then with the hidden states of all their tokens."""
        room = dict.fromkeys(prompts, 0)
        for prompt, most in zip(prompts, rooms, strict=True):
            room[prompt] = max(room[prompt], most)
        found = {prompt: self.kept[low, prompt] for prompt in room if (low, prompt) in self.kept}
        new = {prompt: self.model.prompt(prompt) for prompt in room if prompt not in found}
        for prompt, most in room.items():
            tokens = len(new[prompt]) if prompt in new else found[prompt].tokens
            self.model.demand_room(tokens, most)
        for some in self._batches(new):
            end = self.first if low else None
            read = self.model.encode([new[prompt] for prompt in some], self.first, end)
            for prompt, encoded in zip(some, read, strict=True):
                found[prompt] = prefix = self._prefix(encoded, low=low)
                self.kept.keep((low, prompt), prefix, prefix.nbytes)
        return [found[prompt] for prompt in prompts]

    def _prefix(self, read: Encoded, *, low: bool) -> Prefix:
        n = len(read.tokens) - self.tail
        return Prefix(
            {i: x[:, :n] for i, x in read.keys.items() if i >= self.lowest},
            {i: x[:, :n] for i, x in read.values.items() if i >= self.lowest},
            read.tokens[n:],
            read.hidden if low else read.hidden[n:].clone(),  # not a view of all tokens
            n,
        )

    def _batches(self, new: Mapping[Messages, tuple[int, ...]]) -> Iterator[list[Messages]]:
        """Yields the prompts that are read side by side."""
        if self.model.device.type == "cpu":
            yield from ([prompt] for prompt in new)
            return
        batch: list[Messages] = []
        for prompt in sorted(new, key=lambda prompt: len(new[prompt])):
            if batch and (len(batch) + 1) * len(new[prompt]) > READ_TOGETHER:
                yield batch
                batch = []
            batch.append(prompt)
        if batch:
            yield batch
