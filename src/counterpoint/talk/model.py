"""`LanguageModel`: a frozen causal model whose prompts are read once, for all agents and updates.

Start with `read` and `extend`. A prompt is read up to its last token by the bare model, and its
keys and values are kept; agents' adapters act from the last token on, so whatever they learn, what
was read stays true. A decision is then one token long, an answer as long as itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from counterpoint.errors import SettingError
from counterpoint.talk.adapters import Adapter, Place, Routing, Slot, segments
from counterpoint.talk.load import load_model
from counterpoint.talk.tiny import tiny_model

TINY = "tiny"

Messages = tuple[tuple[str, str], ...]
"""A conversation: role (`system`, `user`, `assistant`) and content of each message."""
PARTS = ("layers", "norm", "rotary_emb", "embed_tokens")
"""What a decoder must have to be run layer by layer."""
REMEMBERED = 512
"""Prompts whose keys and values are kept: what an agent is shown may never come again."""


@dataclass(frozen=True)
class Prefix:
    """A prompt without its last token, as the bare model read it. T tokens."""

    keys: tuple[Tensor, ...]
    """[heads, T, D] for each layer."""
    values: tuple[Tensor, ...]
    """[heads, T, D] for each layer."""
    last: int
    """The token that was not read."""


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
        new = torch.ones(n, self.written + n).tril(self.written).bool()
        shape = len(self.start), n
        seen = torch.cat([self.seen[:, None].expand(*shape, -1), new.expand(*shape, -1)], dim=2)
        return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, -torch.inf)[:, None]

    def _joined(self, rows: list[Tensor]) -> Tensor:
        heads, _, d = rows[0].shape
        out = rows[0].new_zeros(len(rows), heads, self.longest + self.room, d)
        for row, x in enumerate(rows):
            out[row, :, : x.shape[1]] = x
        return out


class _Reading:
    """Keeps what one prompt's layers compute."""

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.keys.append(k[0])
        self.values.append(v[0])
        return k, v


class LanguageModel:
    """A frozen model with places for adapters.

    Args:
        model: a causal model of Hugging Face's, as Llama, Qwen, Mistral or SmolLM are built.
        tokenizer: its own.
        name: what the user calls it.

    Raises:
        SettingError: the model is built in another way, gives other logits when it is run layer by
            layer, or has no chat template.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        inner: Any = getattr(model, "model", None)
        missing = [part for part in PARTS if not hasattr(inner, part)]
        if missing:
            raise SettingError(
                f"got model '{name}' ({type(model).__name__}), which has no {', '.join(missing)}; "
                "wanted a decoder with model.layers, as Llama, Qwen, Mistral or SmolLM"
            )
        if not getattr(tokenizer, "chat_template", None):
            raise SettingError(f"got model '{name}' without a chat template; wanted one with it")
        self.model, self.tokenizer, self.name = model.eval().requires_grad_(False), tokenizer, name
        self.inner = inner
        self.routing = Routing()
        self._read: dict[Messages, Prefix] = {}
        self.depth = len(self.inner.layers)
        self.dtype: torch.dtype = self.inner.embed_tokens.weight.dtype
        known = inspect.signature(type(self.inner.layers[0]).forward).parameters
        ends = model.generation_config.eos_token_id
        self.end_tokens = frozenset([ends] if isinstance(ends, int) else ends or [])
        """Tokens that end an answer."""
        seen = [model.config.max_position_embeddings, getattr(model.config, "sliding_window", None)]
        self.most_tokens: int = min(filter(None, seen))
        """Tokens that prompt and answer may have together: each sees all those before it."""
        self.ends = torch.tensor(sorted(self.end_tokens), dtype=torch.long)
        self._cache_name = "cache" if "cache" in known else "past_key_values"
        from counterpoint.talk.layered import demand_own_logits  # it needs this module

        demand_own_logits(self)

    def places(self, targets: Sequence[str], layers: int) -> dict[str, Place]:
        """Where adapters can sit: the `targets` of the last so many layers, sizes told."""
        found = {}
        for index in range(self.depth - layers, self.depth):
            for target in targets:
                linear = self._module(index, target)
                linear = linear.linear if isinstance(linear, Slot) else linear
                found[f"layers.{index}.{target}"] = Place(linear.in_features, linear.out_features)
        return found

    def host(self, adapter: Adapter) -> None:
        """Make room for an adapter at each of its places."""
        for name in adapter.down:
            index, target = int(name.split(".")[1]), name.split(".", 2)[2]
            linear = self._module(index, target)
            if not isinstance(linear, Slot):
                self.inner.layers[index].set_submodule(target, Slot(linear, name, self.routing))

    def prompt(self, messages: Messages) -> tuple[int, ...]:
        """The tokens of a prompt, up to where the answer begins."""
        found = self.tokenizer.apply_chat_template(
            [{"role": role, "content": content} for role, content in messages],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
        )
        return tuple(found["input_ids"])

    def spelled(self, word: str) -> list[int]:
        """The tokens of a word at the beginning of an answer."""
        found: list[int] = self.tokenizer.encode(word, add_special_tokens=False)
        return found

    def first_tokens(self, words: Sequence[str]) -> tuple[int, ...]:
        """The token with which each word begins an answer.

        Raises:
            SettingError: two words begin alike.
        """
        found = [self.spelled(word)[0] for word in words]
        for i, token in enumerate(found):
            if token in found[:i]:
                raise SettingError(
                    f"got words '{words[found.index(token)]}' and '{words[i]}', which begin with "
                    f"the same token of {self.name}; wanted words that differ in their first one"
                )
        return tuple(found)

    def read(self, messages: Messages) -> Prefix:
        """A prompt up to its last token, by itself: what comes out does not depend on others."""
        if messages not in self._read:
            while len(self._read) >= REMEMBERED:
                del self._read[next(iter(self._read))]
            self._read[messages] = self._prefix(self.prompt(messages))
        return self._read[messages]

    def embed(self, tokens: Tensor) -> Tensor:
        """[B, n, D] of tokens [B, n]."""
        found: Tensor = self.inner.embed_tokens(tokens)
        return found

    def extend(self, x: Tensor, memory: Memory, first: int = 0, end: int | None = None) -> Tensor:
        """[B, n, D] what the layers from `first` up to `end` make of x [B, n, D] behind `memory`.

        With `end` None all that follow, and the last norm.
        """
        n = x.shape[1]
        where, bias = memory.positions(n), memory.bias(n, x.dtype)
        out = self._run(x, where, bias, memory, first, self.depth if end is None else end)
        if end is not None:
            return out
        memory.written += n if memory.room else 0
        found: Tensor = self.inner.norm(out)
        return found

    @contextmanager
    def adapted(self, adapters: Sequence[Adapter]) -> Iterator[None]:
        """Meanwhile, row b of every batch goes through `adapters[b]`."""
        self.routing.now = segments(adapters)
        try:
            yield
        finally:
            self.routing.now = ()

    @property
    def unembedding(self) -> Tensor:
        """[vocabulary, D] from the last hidden state to logits."""
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    def _prefix(self, prompt: Sequence[int]) -> Prefix:
        if len(prompt) > self.most_tokens:
            raise SettingError(
                f"got a prompt of {len(prompt)} tokens; {self.name} takes at most "
                f"{self.most_tokens}"
            )
        reading = _Reading()
        n = len(prompt) - 1
        with torch.no_grad():
            x = self.inner.embed_tokens(torch.tensor([prompt[:-1]]))
            mask = torch.zeros(1, 1, n, n, dtype=self.dtype)
            mask.masked_fill_(torch.ones(n, n).triu(1).bool(), -torch.inf)
            self._run(x, torch.arange(n)[None], mask, reading, 0, self.depth)
        return Prefix(tuple(reading.keys), tuple(reading.values), prompt[-1])

    def _run(
        self, x: Tensor, where: Tensor, bias: Tensor, cache: Any, first: int, end: int
    ) -> Tensor:
        turned = self.inner.rotary_emb(x, where)
        told = {"attention_mask": bias, "position_embeddings": turned, self._cache_name: cache}
        for block in self.inner.layers[first:end]:
            x = block(x, **told)
        return x

    def _module(self, index: int, target: str) -> Any:
        try:
            return self.inner.layers[index].get_submodule(target)
        except AttributeError:
            raise SettingError(
                f"got model '{self.name}' ({type(self.model).__name__}), whose layers have no "
                f"{target}; wanted one as Llama, Qwen, Mistral or SmolLM"
            ) from None


@lru_cache(maxsize=1)
def open_model(name: str) -> LanguageModel:
    """The model called `name`, in 32-bit floats; the same one again for the same name.

    Args:
        name: `tiny`, or what `find_model` takes: `smollm2`, a folder, a name on the hub.

    Raises:
        MissingPackageError: transformers is not installed.
        ModelError: it is not there, or cannot be loaded.
        SettingError: it is built in a way that cannot be trained here.
    """
    model, tokenizer = tiny_model() if name == TINY else load_model(name, dtype="float32")
    return LanguageModel(model, tokenizer, name)
