"""`LanguageModel`: a frozen causal model whose layers are run one by one. Start with `encode`.

The layers below the first one with adapters, and the tokens before the first one on which adapters
act, never change while adapters learn: what the bare model makes of them is kept by a
`reader.Reader`. Whatever follows is an `extend`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from counterpoint.errors import SettingError
from counterpoint.lm.adapters import Adapter, LinearSize, Routing, Slot, segments
from counterpoint.lm.files import model_stamp
from counterpoint.lm.layers import PlainLayer, norm_of, plain_layers
from counterpoint.lm.memory import Memory, Prefix, Reading, Turns, share_memory
from counterpoint.lm.models import find_model, load_model
from counterpoint.lm.template import AnswerEnd, ChatTemplate
from counterpoint.lm.tiny import tiny_model

MOST_SCORES = 1 << 21
"""Scores of one layer that may exist at once; beyond it, attention goes tile by tile."""
TINY = "tiny"
OPEN: dict[tuple[str, str, str, tuple[object, ...]], LanguageModel] = {}
"""The models that are kept open, by name, device, type of numbers and the sizes and times of their
files: see `open_models`."""

Messages = tuple[tuple[str, str], ...]
"""A conversation: role (`system`, `user`, `assistant`, `tool`) and content of each message."""
PARTS = ("layers", "norm", "rotary_emb", "embed_tokens")
"""The parts that a decoder must have to be run layer by layer."""


@dataclass(frozen=True)
class Encoded:
    """What the bare model makes of a prompt of L tokens."""

    tokens: tuple[int, ...]
    """[L]."""
    hidden: Tensor
    """[L, D] input of layer `first`."""
    keys: dict[int, Tensor]
    """[heads, L, D] of each layer that was run."""
    values: dict[int, Tensor]
    """[heads, L, D] of each layer that was run."""


class LanguageModel:
    """A frozen model with places for adapters.

    Args:
        model: a causal model of Hugging Face's, as Llama, Qwen, Mistral or SmolLM are built.
        tokenizer: the tokenizer of the model.
        name: the name by which the user knows the model.

    Raises:
        SettingError: the model is built in another way, gives other logits when it is run layer by
            layer, or has a chat template that cannot be used.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        inner: Any = getattr(model, "model", None)
        missing = [part for part in PARTS if not hasattr(inner, part)]
        if missing:
            raise SettingError(
                f"got model '{name}' ({type(model).__name__}), which has no {', '.join(missing)}; "
                "wanted a decoder with model.layers, as Llama, Qwen, Mistral or SmolLM"
            )
        self.template = ChatTemplate(tokenizer, name, inner.embed_tokens.weight.shape[0])
        self.model, self.tokenizer, self.name = model.eval().requires_grad_(False), tokenizer, name
        self.inner = inner
        self.routing = Routing()
        self._recomputed = False
        self.depth = len(self.inner.layers)
        self.dtype: torch.dtype = self.inner.embed_tokens.weight.dtype
        self.device: torch.device = self.inner.embed_tokens.weight.device
        known = inspect.signature(type(self.inner.layers[0]).forward).parameters
        about_end = self.end_answers("turn")
        self.notes = self.template.notes + about_end
        """Sentences about the model that its user should know."""
        # A sliding window would forget tokens of the prompt, which adapters count on.
        seen = [model.config.max_position_embeddings, getattr(model.config, "sliding_window", None)]
        self.most_tokens: int = min(filter(None, seen))
        """The most tokens of prompt and answer together: each token sees all those before it."""
        self._cache_name = "cache" if "cache" in known else "past_key_values"
        turns = inspect.signature(type(self.inner.rotary_emb).forward).parameters
        of_layers = "layer_type" in turns
        self._turned: tuple[str | None, ...] = tuple(
            model.config.layer_types[i] if of_layers else None for i in range(self.depth)
        )
        """The kind of each layer, if kinds of layers turn positions in different ways."""
        self._shares = share_memory(model)
        self._heads: int = model.config.num_attention_heads
        self._plain = self._plain_layers()
        """Layers that are run from their parts; none where the model's own have to be called."""
        self.opening = self._opening()
        """The tokens that the template puts before an answer: every prompt ends with them."""
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
                if self._plain:
                    self._plain[index] = PlainLayer(self.inner.layers[index], index)

    def prompt(self, messages: Messages, *, opened: bool = True) -> tuple[int, ...]:
        """Returns the tokens of a prompt, up to the beginning of the answer.

        Args:
            messages: the conversation.
            opened: whether the `opening` of an answer stands at the end.
        """
        return self.template.tokens(messages, opened=opened)

    def end_answers(self, by: AnswerEnd) -> tuple[str, ...]:
        """Decides which tokens end an answer; returns a sentence if not all are configured ones.

        Args:
            by: see `AnswerEnd`.
        """
        ends = self.template.ends(self.model.generation_config.eos_token_id, by)
        self.end_tokens = ends.tokens
        """Tokens that end an answer."""
        self.ends = torch.tensor(sorted(ends.tokens), dtype=torch.long, device=self.device)
        return ends.notes

    def demand_room(self, tokens: int, room: int) -> None:
        """Raises an error unless a prompt and the longest answer to it can be read.

        Args:
            tokens: of the prompt.
            room: the most tokens that the answer may have.

        Raises:
            SettingError: together they are longer than the context or the sliding window.
        """
        if tokens + room > self.most_tokens:
            answer = f" and an answer of up to {room}" if room else ""
            raise SettingError(
                f"got a prompt of {tokens} tokens{answer}; {self.name} takes at most "
                f"{self.most_tokens} together: shorten them, or take a model that reads more"
            )

    def spelled(self, word: str) -> list[int]:
        """Returns the tokens of a word at the beginning of an answer."""
        tokens: list[int] = self.tokenizer.encode(word, add_special_tokens=False)
        return tokens

    def first_tokens(self, words: Sequence[str]) -> tuple[int, ...]:
        """Returns the token with which each word begins an answer.

        Raises:
            SettingError: two words begin with the same token.
        """
        spelled = [self.spelled(word) for word in words]
        if [] in spelled:
            word = words[spelled.index([])]
            raise SettingError(f"got the word {word!r}, which has no token of {self.name}")
        tokens = [some[0] for some in spelled]
        for i, token in enumerate(tokens):
            if token in tokens[:i]:
                shown = self.tokenizer.convert_ids_to_tokens(token)
                wanted = "words whose first tokens differ, or free text"
                if self.name == TINY:
                    wanted = (
                        "words whose first tokens differ (only common English words are whole "
                        "tokens of the tiny model), or another model (smollm2), or free text"
                    )
                raise SettingError(
                    f"got words '{words[tokens.index(token)]}' and '{words[i]}', which begin with "
                    f"the same token of {self.name} ({shown!r}); wanted {wanted}"
                )
        return tuple(tokens)

    def encode(
        self,
        prompts: Sequence[tuple[int, ...]],
        first: int,
        end: int | None = None,
        shared: Prefix | None = None,
    ) -> list[Encoded]:
        """Returns what layers 0 to `end` of the bare model make of prompts, read side by side.

        Args:
            prompts: [B] tokens of each.
            first: the layer whose input is returned.
            end: the layer after the last that is run, at least `first`; None runs all.
            shared: tokens with which all of the prompts begin, as these layers have read them.
        """
        start, end_or_depth = (shared.length if shared else 0), self.depth if end is None else end
        longest = max(map(len, prompts))
        padded = torch.tensor(
            [prompt[start:] + prompt[-1:] * (longest - len(prompt)) for prompt in prompts],
            device=self.device,
        )
        reading, behind = Reading(), [shared] * len(prompts) if shared else []
        with torch.no_grad():
            low = self._ahead(self.embed(padded), reading, 0, first, behind)
            self._ahead(low, reading, first, end_or_depth, behind)

        def part(x: Tensor, row: int, before: Tensor | None) -> Tensor:
            mine = x[row, ..., : len(prompts[row]) - start, :]
            if before is not None:
                return torch.cat([before, mine], dim=-2)
            # Rows of a batch are copied, so that keeping one does not keep the others.
            return mine if len(prompts) == 1 else mine.clone()

        keys, values = (shared.keys, shared.values) if shared else ({}, {})
        return [
            Encoded(
                prompt,
                part(low, row, shared.hidden if shared else None),
                {i: part(x, row, keys.get(i)) for i, x in reading.keys.items()},
                {i: part(x, row, values.get(i)) for i, x in reading.values.items()},
            )
            for row, prompt in enumerate(prompts)
        ]

    def read(self, messages: Messages) -> Prefix:
        """Returns a prompt that the bare model has read up to its last token."""
        prompt = self.prompt(messages)
        self.demand_room(len(prompt), 0)
        (read,) = self.encode([prompt], 0)
        n = len(prompt) - 1
        return Prefix(
            {i: x[:, :n] for i, x in read.keys.items()},
            {i: x[:, :n] for i, x in read.values.items()},
            prompt[n:],
            read.hidden[n:],
            n,
        )

    def adapt(self, lows: Sequence[Tensor], first: int, behind: Sequence[Prefix] = ()) -> Reading:
        """Returns keys and values [B, heads, T, D] of layers `first` and above, for which gradients
        may flow; what stands behind the end of a shorter row means nothing.

        Args:
            lows: [B] tensors [T_b, D], inputs of layer `first`.
            first: the first layer with adapters.
            behind: [B] what stands before each row; none for the beginnings of prompts.
        """
        reading = Reading()
        padded = torch.nn.utils.rnn.pad_sequence(list(lows), batch_first=True)
        self._ahead(padded, reading, first, self.depth, behind)
        return reading

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
        normed: Tensor = (norm_of(self.inner.norm) if self._plain else self.inner.norm)(out)
        return normed

    @contextmanager
    def adapted(self, adapters: Sequence[Adapter], *, recomputed: bool = False) -> Iterator[None]:
        """Sends row b of every batch through `adapters[b]` meanwhile.

        Args:
            adapters: [B]; none for the bare model.
            recomputed: whether what a layer computes is not kept for the gradient but computed
                again, which takes less memory and more time.
        """
        self.routing.now, self._recomputed = segments(adapters), recomputed
        try:
            yield
        finally:
            self.routing.now, self._recomputed = (), False

    @property
    def unembedding(self) -> Tensor:
        """Returns [vocabulary, D] weights from the last hidden state to logits."""
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    def with_template(self, arguments: Mapping[str, object]) -> LanguageModel:
        """Returns the model whose chat template gets these arguments; everything else is shared."""
        other = copy.copy(self)
        other.template = copy.copy(self.template)
        other.template.arguments = arguments
        other.opening = other._opening()
        return other

    def invocation(self, kind: str) -> tuple[int, ...]:
        """Returns the tokens from whose last occurrence on adapters of a `reader.Kind` act; none
        for those that act on every token."""
        return {"plain": (), "activated": self.opening, "last_token": self.opening[-1:]}[kind]

    def _opening(self) -> tuple[int, ...]:
        """Returns what the template adds to a prompt before an answer, or its last token if it adds
        nothing."""
        whole, bare = self.prompt(PROBE), self.prompt(PROBE, opened=False)
        return whole[len(bare) :] if whole[: len(bare)] == bare != whole else whole[-1:]

    def _ahead(
        self, x: Tensor, reading: Reading, first: int, end: int, behind: Sequence[Prefix]
    ) -> Tensor:
        """Applies layers `first` to `end` to x [B, n, D], tokens that stand `behind` others or, if
        there are none, begin B rows."""
        n = x.shape[1]
        if first == end:
            return x
        if behind:
            memory = Memory(behind, first=first)
            memory.behind = reading
            return self.extend(x, memory, first, end)
        mask = torch.zeros(1, 1, n, n, dtype=x.dtype, device=x.device)
        later = torch.ones(n, n, device=x.device).triu(1).bool()
        mask.masked_fill_(later, -torch.inf)
        turns = self._rotary(x, torch.arange(n, device=x.device)[None])
        return self._run(x, turns, mask, reading, first, end)

    def _rotary(self, x: Tensor, positions: Tensor) -> Turns:
        """Returns cosine and sine of positions [B, n], by kind of layer."""
        return {
            kind: self.inner.rotary_emb(x, positions, *([] if kind is None else [kind]))
            for kind in dict.fromkeys(self._turned)
        }

    def _turns(self, x: Tensor, memory: Memory) -> Turns:
        """Returns cosine and sine of the positions of x."""
        at, n = memory.written, x.shape[1]
        if n > 1:
            return self._rotary(x, memory.positions(n))
        if memory.turns is None:  # tokens come one by one: all their positions at once are cheaper
            ahead = memory.start[:, None] + torch.arange(max(memory.room, 1), device=x.device)
            memory.turns = self._rotary(x, ahead)
        return {
            kind: (cosine[:, at : at + 1], sine[:, at : at + 1])
            for kind, (cosine, sine) in memory.turns.items()
        }

    def _run(
        self,
        x: Tensor,
        turns: Turns,
        bias: Tensor,
        cache: Any,
        first: int,
        end: int,
    ) -> Tensor:
        options, apart = {"attention_mask": bias, self._cache_name: cache}, False
        if self._shares and isinstance(cache, Memory) and not cache.room:
            rows, n, _ = x.shape
            # The scores of all heads and tokens exist at once in our attention.
            if rows * self._heads * n * (cache.longest + n) <= MOST_SCORES:
                options |= {"memory": cache, self._cache_name: None}
                apart = True
        now = self.routing.now

        def apply(layer: int, x: Tensor) -> Any:
            turned = turns[self._turned[layer]]
            if self._plain:
                return self._plain[layer](x, turned, bias, cache, apart=apart)
            return self.inner.layers[layer](x, position_embeddings=turned, **options)

        def again(layer: int, x: Tensor) -> Any:
            before, self.routing.now = self.routing.now, now
            try:
                return apply(layer, x)
            finally:
                self.routing.now = before

        recomputed = self._recomputed and torch.is_grad_enabled()
        for layer in range(first, end):
            if recomputed:
                x = checkpoint(again, layer, x, use_reentrant=False)
            else:
                x = apply(layer, x)
        return x

    def _plain_layers(self) -> list[PlainLayer]:
        """Returns plain layers if they give the numbers of the model's own."""
        x = self.embed(torch.arange(3, device=self.device)[None])
        (turned, *others) = self._rotary(x, torch.arange(3, device=self.device)[None]).values()

        def own(index: int, x: Tensor, mask: Tensor) -> Tensor:
            options = {"attention_mask": mask, self._cache_name: None}
            out: Tensor = self.inner.layers[index](x, position_embeddings=turned, **options)
            return out

        return [] if others else plain_layers(self.inner.layers, own, turned)

    def _module(self, index: int, target: str) -> Any:
        try:
            return self.inner.layers[index].get_submodule(target)
        except AttributeError:
            raise SettingError(
                f"got model '{self.name}' ({type(self.model).__name__}), whose layers have no "
                f"{target}; wanted one as Llama, Qwen, Mistral or SmolLM"
            ) from None


def open_model(name: str, device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """Returns the model called `name`: see `open_models`."""
    return open_models((name,), device, dtype)[name]


def open_models(
    names: Sequence[str], device: str = "cpu", dtype: str = "float32"
) -> dict[str, LanguageModel]:
    """Returns models by their names, each of them opened once. Those of the last call are kept, so
    that the next team that has them does not load them again, unless their files have changed.

    Args:
        names: each `tiny`, or what `find_model` takes: `smollm2`, a folder, a name on the hub.
        device: where torch keeps them.
        dtype: of their parameters; adapters have 32-bit floats in any case.

    Raises:
        MissingPackageError: transformers is not installed.
        ModelError: a model is not there, or cannot be loaded.
        SettingError: a model is built in a way that cannot be trained here.
    """
    wanted = [(name, device, dtype, _stamp(name)) for name in dict.fromkeys(names)]
    for other in set(OPEN) - set(wanted):
        OPEN.pop(other, None)
    found = {key: OPEN.get(key) or _opened(*key[:3]) for key in wanted}
    OPEN.update(found)
    return {key[0]: model for key, model in found.items()}


def _stamp(name: str) -> tuple[object, ...]:
    return () if name == TINY else model_stamp(find_model(name))


def _opened(name: str, device: str, dtype: str) -> LanguageModel:
    model, tokenizer = tiny_model() if name == TINY else load_model(name, dtype=dtype)
    placed: Any = model
    return LanguageModel(placed.to(device, getattr(torch, dtype)), tokenizer, name)


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
        tokens = torch.tensor([model.prompt(PROBE)], device=model.device)
        prefix = model.read(PROBE)
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
