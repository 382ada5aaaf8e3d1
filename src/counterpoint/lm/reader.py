"""`Reader`: reads the prompts of a team, and keeps what adapters cannot change, up to a limit.

Where adapters act decides what that is. A plain adapter acts on every token, so that what the
layers above the first one with adapters make of a prompt is computed anew in every pass. An
activated one acts from the opening of the answer on: everything before it is read once. Prompts are
read one by one on a CPU, where a batch is hardly faster and would change the last bits of a number
with what else is read.

Prompts of an agent begin alike: instructions, examples. Prefixes that they share are read once, if
they are known beforehand, whatever else is read: the bits of a prompt depend on its tokens alone.

Source: Greenewald et al. 2025, Activated LoRA (arXiv:2504.12397).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import torch
from torch import Tensor

from counterpoint.lm.adapters import Adapter
from counterpoint.lm.memory import Prefix
from counterpoint.lm.model import Encoded, LanguageModel, Messages

KEPT_BYTES = 1 << 28
"""The most memory that prompts take that were read before."""
SHARED_BYTES = 1 << 28
"""The most memory that prefixes take that `Reader.share` keeps."""
READ_TOGETHER = 1 << 14
"""Tokens that are read side by side where a batch is faster."""
SHORTEST_SHARED = 8
"""Tokens below which it is not worth while to read a shared prefix by itself."""

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

    def clear(self) -> None:
        """Drops all values."""
        super().clear()
        self.sizes.clear()
        self.nbytes = 0


class Reader:
    """Reads prompts for adapters of one kind.

    Args:
        model: the frozen model.
        kind: where the adapters act.
        first: the first layer with adapters.
        writes: whether agents write behind prompts, for which all layers must be known; the layers
            from `first` on suffice to choose.
        kept: prompts that were read; readers of several models may share it, and its limit. None
            takes one of `KEPT_BYTES`.
        recomputed: see `LanguageModel.adapted`.
    """

    def __init__(
        self,
        model: LanguageModel,
        kind: Kind = "last_token",
        first: int = 0,
        *,
        writes: bool = True,
        kept: Kept[Prefix] | None = None,
        recomputed: bool = False,
    ) -> None:
        self.model, self.kind, self.first, self.recomputed = model, kind, first, recomputed
        self.lowest = 0 if writes else first
        """The first layer whose keys and values are kept."""
        self.kept = Kept[Prefix](KEPT_BYTES) if kept is None else kept
        self.shared_prefixes: tuple[tuple[int, ...], ...] = ()
        """Tokens with which many prompts begin: see `common_prefixes`."""
        self._shared: dict[tuple[bool, tuple[int, ...]], Prefix] = {}
        self.tail = len(model.opening) if kind == "activated" else 1

    def share(self, prefixes: Sequence[tuple[int, ...]]) -> None:
        """Reads these tokens once for all prompts that begin with them, behind what was shared
        before of their first tokens; the newest `SHARED_BYTES` are kept.

        The bits of a prompt then depend on what was shared before it too.
        """
        for tokens in prefixes:
            if (False, tokens) not in self._shared:
                behind = self._shared_by(tokens)
                before = self._read_shared(behind, low=False) if behind else None
                (read,) = self.model.encode([tokens], self.first, None, before)
                self._shared[False, tokens] = Prefix(
                    read.keys, read.values, (), read.hidden, len(tokens)
                )
                self.shared_prefixes += (tokens,)
            while (
                len(self._shared) > 1
                and sum(x.nbytes for x in self._shared.values()) > SHARED_BYTES
            ):
                oldest = next(iter(self._shared))
                del self._shared[oldest]
                self.shared_prefixes = tuple(x for x in self.shared_prefixes if x != oldest[1])

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
        read = self._adapted(lows, [adapters[i] for i in some])
        made = {
            i: Prefix(
                low.keys | keys, low.values | values, low.tail, low.hidden[-1:].clone(), low.length
            )
            for i, low, (keys, values) in zip(some, lows, read, strict=True)
        }
        rows = zip(prompts, map(id, adapters), strict=True)
        return [made[place[row]] for row in rows]

    def _adapted(
        self, lows: Sequence[Prefix], adapters: Sequence[Adapter]
    ) -> list[tuple[dict[int, Tensor], dict[int, Tensor]]]:
        """Returns what the layers with adapters make of each prompt before its tail: keys and
        values [heads, T, D], by layer."""
        out: dict[int, tuple[dict[int, Tensor], dict[int, Tensor]]] = {}
        for shares in (False, True):
            rows = [i for i, low in enumerate(lows) if bool(low.shared) == shares]
            if not rows:
                continue
            mine = [adapters[i] for i in rows]
            behind = self._behind([lows[i].shared for i in rows], mine) if shares else []
            # Layers cannot be run on no token: a prompt of one is read, and nothing of it is kept.
            rest = [lows[i].hidden[len(lows[i].shared) : max(1, lows[i].length)] for i in rows]
            with self.model.adapted(mine, recomputed=self.recomputed):
                read = self.model.adapt(rest, self.first, behind)

            def part(x: Tensor, row: int, length: int, before: Tensor | None) -> Tensor:
                if before is None:
                    return x[row, :, :length]
                return torch.cat([before, x[row, :, : length - before.shape[1]]], dim=1)

            for row, i in enumerate(rows):
                keys, values = (behind[row].keys, behind[row].values) if shares else ({}, {})
                n = lows[i].length
                out[i] = (
                    {k: part(x, row, n, keys.get(k)) for k, x in read.keys.items()},
                    {k: part(x, row, n, values.get(k)) for k, x in read.values.items()},
                )
        return [out[i] for i in range(len(lows))]

    def _behind(
        self, prefixes: Sequence[tuple[int, ...]], adapters: Sequence[Adapter]
    ) -> list[Prefix]:
        """Returns the shared prefix of each row, as the layers with its adapter read it."""
        rows = list(zip(prefixes, map(id, adapters), strict=True))
        place = {row: i for i, row in reversed(list(enumerate(rows)))}
        some = sorted(place.values())
        lows = [self._read_shared(prefixes[i], low=True).hidden for i in some]
        with self.model.adapted([adapters[i] for i in some], recomputed=self.recomputed):
            read = self.model.adapt(lows, self.first)
        made = {
            rows[i]: Prefix(
                {k: x[row, :, : len(low)] for k, x in read.keys.items()},
                {k: x[row, :, : len(low)] for k, x in read.values.items()},
                (), low[:0], len(low),
            )
            for row, (i, low) in enumerate(zip(some, lows, strict=True))
        }  # fmt: skip
        return [made[row] for row in rows]

    def _read_shared(self, tokens: tuple[int, ...], *, low: bool) -> Prefix:
        """Returns a shared prefix as the bare model reads it, with the hidden states of all its
        tokens."""
        if (low, tokens) not in self._shared:
            (read,) = self.model.encode([tokens], self.first, self.first if low else None)
            prefix = Prefix(read.keys, read.values, (), read.hidden, len(tokens))
            self._shared[low, tokens] = prefix
        return self._shared[low, tokens]

    def _shared_by(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the longest shared prefix of a prompt that leaves a token before its tail."""
        fit = [
            x for x in self.shared_prefixes
            if len(x) < len(tokens) - self.tail and tokens[: len(x)] == x
        ]  # fmt: skip
        return max(fit, key=len, default=())

    def _read(
        self, prompts: Sequence[Messages], rooms: Sequence[int], *, low: bool
    ) -> list[Prefix]:
        """Returns what the bare model makes of prompts; below the first layer with adapters alone
        if `low`, and then with the hidden states of all their tokens."""
        room = dict.fromkeys(prompts, 0)
        for prompt, most in zip(prompts, rooms, strict=True):
            room[prompt] = max(room[prompt], most)
        keys = {prompt: (self.model, low, prompt) for prompt in room}
        found = {prompt: self.kept[key] for prompt, key in keys.items() if key in self.kept}
        new = {prompt: self.model.prompt(prompt) for prompt in room if prompt not in found}
        for prompt, most in room.items():
            tokens = len(new[prompt]) if prompt in new else found[prompt].tokens
            self.model.demand_room(tokens, most)
        for some, shared in self._batches(new):
            end = self.first if low else None
            before = self._read_shared(shared, low=low) if shared else None
            read = self.model.encode([new[prompt] for prompt in some], self.first, end, before)
            for prompt, encoded in zip(some, read, strict=True):
                found[prompt] = prefix = self._prefix(encoded, shared, low=low)
                self.kept.keep(keys[prompt], prefix, prefix.nbytes)
        return [found[prompt] for prompt in prompts]

    def _prefix(self, read: Encoded, shared: tuple[int, ...], *, low: bool) -> Prefix:
        n = len(read.tokens) - self.tail
        return Prefix(
            {i: x[:, :n] for i, x in read.keys.items() if i >= self.lowest},
            {i: x[:, :n] for i, x in read.values.items() if i >= self.lowest},
            read.tokens[n:],
            read.hidden if low else read.hidden[n:].clone(),  # not a view of all tokens
            n,
            shared,
        )

    def _batches(
        self, new: Mapping[Messages, tuple[int, ...]]
    ) -> Iterator[tuple[list[Messages], tuple[int, ...]]]:
        """Yields the prompts that are read side by side, and the prefix that they share."""
        shared_by = {prompt: self._shared_by(tokens) for prompt, tokens in new.items()}
        if self.model.device.type == "cpu":
            yield from (([prompt], shared) for prompt, shared in shared_by.items())
            return
        for shared in dict.fromkeys(shared_by.values()):
            batch: list[Messages] = []
            mine = [prompt for prompt in new if shared_by[prompt] == shared]
            for prompt in sorted(mine, key=lambda prompt: len(new[prompt])):
                if batch and (len(batch) + 1) * len(new[prompt]) > READ_TOGETHER:
                    yield batch, shared
                    batch = []
                batch.append(prompt)
            yield batch, shared


def common_prefixes(groups: Iterable[Sequence[tuple[int, ...]]]) -> tuple[tuple[int, ...], ...]:
    """Returns the tokens with which all prompts of a group begin, for each group of different
    prompts where it is worth while.

    Args:
        groups: tokens of prompts, those of each agent in a group.
    """
    found = []
    for prompts in groups:
        first, last = min(prompts, default=()), max(prompts, default=())
        same = 0
        while same < min(len(first), len(last)) and first[same] == last[same]:
            same += 1
        if first != last and same >= SHORTEST_SHARED:
            found.append(first[:same])
    return tuple(dict.fromkeys(found))
