"""`LanguageModel`: a frozen causal model that reads each prompt once, for all agents and updates.

Start with `read` and `extend`. The bare model reads a prompt up to its last token, and its keys and
values are kept. The adapters of agents act from the last token on, so that these keys and values
stay valid whatever an adapter learns. A decision then costs one token, an answer its own length.

`Prefix` is what the model has read of one prompt, and `Memory` joins the prefixes of many rows.
Transformers joins old keys and values with the new ones and attends to both. Here the old ones are
frozen, and most of what a token attends to: `share_memory` keeps them apart, so that they are
neither copied nor given a gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from counterpoint.errors import SettingError
from counterpoint.lm.adapters import Adapter, LinearSize, Routing, Slot, segments
from counterpoint.lm.models import load_model
from counterpoint.lm.tiny import tiny_model

ATTENTION = "counterpoint"
"""The name under which transformers knows our attention."""
MOST_SCORES = 1 << 21
"""Scores of one layer that may exist at once; beyond it, attention goes tile by tile."""
TINY = "tiny"

Messages = tuple[tuple[str, str], ...]
"""A conversation: role (`system`, `user`, `assistant`, `tool`) and content of each message."""
PARTS = ("layers", "norm", "rotary_emb", "embed_tokens")
"""The parts that a decoder must have to be run layer by layer."""
REMEMBERED = 512
"""Prompts whose keys and values are kept; the oldest go first."""
REMEMBERED_BYTES = 1 << 27
"""The most memory that these keys and values take."""


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
        if n == 1:  # it sees all tokens written before it: one bias for all of them
            if dtype not in self._biases:
                whole = torch.zeros(len(self.start), 1, 1, self.longest + max(self.room, 1))
                unseen = ~self.seen[:, None, None]
                whole[..., : self.longest].masked_fill_(unseen, -torch.inf)
                self._biases[dtype] = whole.to(dtype)
            return self._biases[dtype][..., : self.longest + self.written + 1]
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


class LanguageModel:
    """A frozen model with places for adapters.

    Args:
        model: a causal model of Hugging Face's, as Llama, Qwen, Mistral or SmolLM are built.
        tokenizer: the tokenizer of the model.
        name: the name by which the user knows the model.

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
        self.template: Mapping[str, object] = {}
        """Arguments of the chat template: see `with_template`."""
        self.forget_prompts()
        self.depth = len(self.inner.layers)
        self.dtype: torch.dtype = self.inner.embed_tokens.weight.dtype
        known = inspect.signature(type(self.inner.layers[0]).forward).parameters
        ends = model.generation_config.eos_token_id
        self.end_tokens = frozenset([ends] if isinstance(ends, int) else ends or [])
        """Tokens that end an answer."""
        # A sliding window would forget tokens of the prompt, which adapters count on.
        seen = [model.config.max_position_embeddings, getattr(model.config, "sliding_window", None)]
        self.most_tokens: int = min(filter(None, seen))
        """The most tokens of prompt and answer together: each token sees all those before it."""
        self.ends = torch.tensor(sorted(self.end_tokens), dtype=torch.long)
        self._cache_name = "cache" if "cache" in known else "past_key_values"
        self._shares = share_memory(model)
        self._heads: int = model.config.num_attention_heads
        demand_own_logits(self)

    def places(self, targets: Sequence[str], layers: int) -> dict[str, LinearSize]:
        """Returns where adapters can sit: the `targets` of the last `layers` layers."""
        places = {}
        for index in range(self.depth - layers, self.depth):
            for target in targets:
                linear = self._module(index, target)
                linear = linear.linear if isinstance(linear, Slot) else linear
                places[f"layers.{index}.{target}"] = LinearSize(
                    linear.in_features, linear.out_features
                )
        return places

    def host(self, adapter: Adapter) -> None:
        """Puts a `Slot` at each place of an adapter."""
        for name in adapter.down:
            index, target = int(name.split(".")[1]), name.split(".", 2)[2]
            linear = self._module(index, target)
            if not isinstance(linear, Slot):
                self.inner.layers[index].set_submodule(target, Slot(linear, name, self.routing))

    def prompt(self, messages: Messages) -> tuple[int, ...]:
        """Returns the tokens of a prompt, up to the beginning of the answer."""
        encoded = self.tokenizer.apply_chat_template(
            [{"role": role, "content": content} for role, content in messages],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            **self.template,
        )
        return tuple(encoded["input_ids"])

    def spelled(self, word: str) -> list[int]:
        """Returns the tokens of a word at the beginning of an answer."""
        tokens: list[int] = self.tokenizer.encode(word, add_special_tokens=False)
        return tokens

    def first_tokens(self, words: Sequence[str]) -> tuple[int, ...]:
        """Returns the token with which each word begins an answer.

        Raises:
            SettingError: two words begin with the same token.
        """
        tokens = [self.spelled(word)[0] for word in words]
        for i, token in enumerate(tokens):
            if token in tokens[:i]:
                raise SettingError(
                    f"got words '{words[tokens.index(token)]}' and '{words[i]}', which begin with "
                    f"the same token of {self.name}; wanted words that differ in their first one"
                )
        return tuple(tokens)

    def forget_prompts(self) -> None:
        """Drops all that was read, for instance since the template reads prompts in another way."""
        self._read: dict[Messages, Prefix] = {}
        self._bytes = 0

    def read(self, messages: Messages) -> Prefix:
        """Returns a prompt, read up to its last token, independently of other prompts."""
        if messages not in self._read:
            prefix = self._prefix(self.prompt(messages))
            self._bytes += prefix.nbytes
            while self._read and (len(self._read) >= REMEMBERED or self._bytes > REMEMBERED_BYTES):
                self._bytes -= self._read.pop(next(iter(self._read))).nbytes
            self._read[messages] = prefix
        return self._read[messages]

    def embed(self, tokens: Tensor) -> Tensor:
        """Returns [B, n, D] embeddings of tokens [B, n]."""
        embedded: Tensor = self.inner.embed_tokens(tokens)
        return embedded

    def extend(self, x: Tensor, memory: Memory, first: int = 0, end: int | None = None) -> Tensor:
        """Returns [B, n, D]: layers `first` to `end` applied to x [B, n, D] behind `memory`.

        If `end` is None, all later layers and the last norm are applied.
        """
        n, end_or_depth = x.shape[1], self.depth if end is None else end
        bias, turns = memory.bias(n, x.dtype), self._turns(x, memory)
        out = self._run(x, turns, bias, memory, first, end_or_depth)
        if end is not None:
            return out
        memory.written += n if memory.room else 0
        normed: Tensor = self.inner.norm(out)
        return normed

    @contextmanager
    def adapted(self, adapters: Sequence[Adapter]) -> Iterator[None]:
        """Sends row b of every batch through `adapters[b]` meanwhile."""
        self.routing.now = segments(adapters)
        try:
            yield
        finally:
            self.routing.now = ()

    @property
    def unembedding(self) -> Tensor:
        """Returns [vocabulary, D] weights from the last hidden state to logits."""
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    def _prefix(self, prompt: Sequence[int]) -> Prefix:
        if len(prompt) > self.most_tokens:
            raise SettingError(
                f"got a prompt of {len(prompt)} tokens; {self.name} takes at most "
                f"{self.most_tokens}"
            )
        reading = Reading()
        n = len(prompt) - 1
        with torch.no_grad():
            x = self.inner.embed_tokens(torch.tensor([prompt[:-1]]))
            mask = torch.zeros(1, 1, n, n, dtype=self.dtype)
            mask.masked_fill_(torch.ones(n, n).triu(1).bool(), -torch.inf)
            turns = self.inner.rotary_emb(x, torch.arange(n)[None])
            self._run(x, turns, mask, reading, 0, self.depth)
        return Prefix(tuple(reading.keys), tuple(reading.values), prompt[-1])

    def _turns(self, x: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Returns cosine and sine of the positions of x."""
        at, n = memory.written, x.shape[1]
        if n > 1:
            turns: tuple[Tensor, Tensor] = self.inner.rotary_emb(x, memory.positions(n))
            return turns
        if memory.turns is None:  # tokens come one by one: all their positions at once are cheaper
            ahead = memory.start[:, None] + torch.arange(max(memory.room, 1))
            memory.turns = self.inner.rotary_emb(x, ahead)
        cosine, sine = memory.turns
        return cosine[:, at : at + 1], sine[:, at : at + 1]

    def _run(
        self,
        x: Tensor,
        turns: tuple[Tensor, Tensor],
        bias: Tensor,
        cache: Any,
        first: int,
        end: int,
    ) -> Tensor:
        options = {"attention_mask": bias, "position_embeddings": turns, self._cache_name: cache}
        if self._shares and isinstance(cache, Memory) and not cache.room:
            rows, n, _ = x.shape
            # The scores of all heads and tokens exist at once in our attention.
            if rows * self._heads * n * (cache.longest + n) <= MOST_SCORES:
                options |= {"memory": cache, self._cache_name: None}
        for block in self.inner.layers[first:end]:
            x = block(x, **options)
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
    """Returns the model called `name`, in 32-bit floats; the last one is kept.

    Args:
        name: `tiny`, or what `find_model` takes: `smollm2`, a folder, a name on the hub.

    Raises:
        MissingPackageError: transformers is not installed.
        ModelError: the model is not there, or cannot be loaded.
        SettingError: the model is built in a way that cannot be trained here.
    """
    model, tokenizer = tiny_model() if name == TINY else load_model(name, dtype="float32")
    return LanguageModel(model, tokenizer, name)


PROBE = (("user", "Which word do you choose: red, blue or green?"),)
"""The prompt behind which logits are compared."""
SAME = 1e-3
"""Logits that differ by less than this share of the largest one are equal in 32 bits."""


def demand_own_logits(model: LanguageModel) -> None:
    """Raises an error unless the layers, run one after the other, give the model's own logits.

    Raises:
        SettingError: the logits differ, or the layers cannot be run; the message says why.
    """
    try:
        tokens, prefix = torch.tensor([model.prompt(PROBE)]), model.read(PROBE)
        with torch.no_grad():
            last = model.embed(tokens[:, -1:])
            ours = model.extend(last, Memory([prefix]))[0, 0] @ model.unembedding.T
            theirs = model.model(input_ids=tokens).logits[0, -1]
        off = float((ours - theirs).abs().max() / theirs.abs().max())
        allowed = max(SAME, 8 * torch.finfo(model.dtype).eps)
        why = "" if off <= allowed else f"their logits are off by {off:.2g}"
    except (TypeError, RuntimeError, ValueError, AttributeError, KeyError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
    if why:
        raise SettingError(
            f"got model '{model.name}' ({type(model.model).__name__}), whose layers cannot be run "
            f"one after the other ({why}); wanted one as Llama, Qwen, Mistral or SmolLM"
        )
