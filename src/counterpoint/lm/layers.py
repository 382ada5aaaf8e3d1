"""`PlainLayer`: a decoder layer as Llama, Qwen and Mistral have it, in few operations.

Transformers' own layers are written to be read and to be changed. A token of a small model costs as
much in their calls as in its products. Here a layer is its products and little else: queries and
keys are turned together, heads that share keys are not copied, and each map is called directly. A
model whose layers give other numbers than these is run by its own: see `plain_layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, scaled_dot_product_attention

from counterpoint.lm.adapters import Slot
from counterpoint.lm.memory import Memory, split_attention

ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
NORMS = {"q_norm", "k_norm"}
PARTS = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
"""The parts of a layer, and of its attention without and with norms of queries and keys."""
SAME = 1e-5
"""Outputs that differ by less than this share of the largest one are equal in 32 bits."""


class PlainLayer:
    """A layer, run from its parts.

        h = x + O attention(turn(Q n(x)), turn(K n(x)), V n(x));    h + D (act(G n(h)) U n(h))

    where n is the root mean square norm before each half.

    Args:
        layer: the layer of transformers, whose parts are shared.
        index: its place in the model.
    """

    def __init__(self, layer: Any, index: int) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.index, self.scaling, self.size = index, attention.scaling, attention.head_dim
        self.q, self.k, self.v, self.o = (
            direct(getattr(attention, f"{name}_proj")) for name in "qkvo"
        )
        self.gate, self.up, self.down = map(direct, (mlp.gate_proj, mlp.up_proj, mlp.down_proj))
        self.act = mlp.act_fn
        self.norms = norm_of(layer.input_layernorm), norm_of(layer.post_attention_layernorm)
        self.q_norm, self.k_norm = (
            norm_of(getattr(attention, name, None)) for name in ("q_norm", "k_norm")
        )

    def __call__(
        self, x: Tensor, turns: tuple[Tensor, Tensor], bias: Tensor, cache: Any, *, apart: bool
    ) -> Tensor:
        """Returns [B, n, D], the layer applied to x [B, n, D].

        Args:
            x: its input.
            turns: cosine and sine of positions, each [B, n, size].
            bias: [B, 1, n, T + n] to add to scores.
            cache: takes keys and values of new tokens and returns all; a `Memory` if `apart`.
            apart: whether old keys and values stay where they are: see `split_attention`.
        """
        b, n, _ = x.shape
        normed = self.norms[0](x)
        heads = (b, n, -1, self.size)
        q, k = self.q_norm(self.q(normed).view(heads)), self.k_norm(self.k(normed).view(heads))
        both, count = torch.cat([q, k], dim=2).transpose(1, 2), q.shape[2]
        low, high = both.chunk(2, dim=3)
        cosine, sine = turns[0][:, None], turns[1][:, None]
        both = torch.addcmul(both * cosine, torch.cat([-high, low], dim=3), sine)
        q, k, v = both[:, :count], both[:, count:], self.v(normed).view(heads).transpose(1, 2)
        if apart:
            memory: Memory = cache
            memory.collect(k, v, self.index)
            old = memory.keys[self.index], memory.values[self.index]
            out = split_attention(q, k, v, *old, bias, self.scaling)
        else:
            keys, values = cache.update(k, v, self.index)
            out = scaled_dot_product_attention(
                q, keys, values, attn_mask=bias, scale=self.scaling, enable_gqa=True
            ).transpose(1, 2)
        x = x + self.o(out.reshape(b, n, -1))
        normed = self.norms[1](x)
        return x + self.down(self.act(self.gate(normed)) * self.up(normed))


def direct(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Returns what calls a map without looking for hooks, of which ours have none."""
    call: Callable[[Tensor], Tensor] = module.forward
    return call if type(module) in (nn.Linear, Slot) else module


def norm_of(norm: Any) -> Callable[[Tensor], Tensor]:
    """Returns a root mean square norm; that of None changes nothing."""
    if norm is None:
        return lambda x: x
    weight, eps = norm.weight, norm.variance_epsilon
    size = tuple(weight.shape)
    return lambda x: rms_norm(x, size, weight, eps)


def is_plain(layer: Any) -> bool:
    """Returns whether a layer has the parts of a plain one."""
    parts = {name for name, _ in layer.named_children()}
    if parts != PARTS:
        return False
    inside = {name for name, _ in layer.self_attn.named_children()}
    mlp = {name for name, _ in layer.mlp.named_children()}
    norms = [part for name, part in layer.named_modules() if name.endswith("norm")]
    return (
        inside in (ATTENTION, ATTENTION | NORMS)
        and mlp == {"gate_proj", "up_proj", "down_proj", "act_fn"}
        and all(hasattr(norm, "variance_epsilon") for norm in norms)
        and all(hasattr(layer.self_attn, name) for name in ("scaling", "head_dim"))
    )


def plain_layers(
    layers: Sequence[Any],
    own: Callable[[int, Tensor, Tensor], Tensor],
    turns: tuple[Tensor, Tensor],
) -> list[PlainLayer]:
    """Returns plain layers in place of a model's, or none if they would give other numbers.

    Args:
        layers: the layers of the model.
        own: applies the layer of this place to [1, n, D] under a mask [1, 1, n, n].
        turns: cosine and sine of n positions, each [1, n, size].
    """
    weight = next(layers[0].parameters())
    if weight.dtype != torch.float32 or not all(map(is_plain, layers)):
        return []
    made = [PlainLayer(layer, index) for index, layer in enumerate(layers)]
    n, size = turns[0].shape[1], len(layers[0].input_layernorm.weight)
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(1, n, size, generator=chance).to(weight.device)
    mask = torch.full((1, 1, n, n), -torch.inf, device=weight.device).triu(1)
    with torch.no_grad():
        for index, layer in enumerate(made):  # layers may differ, as in where they turn positions
            wanted, found = own(index, x, mask), layer(x, turns, mask, AllNew(), apart=False)
            if float((found - wanted).abs().max() / wanted.abs().max()) >= SAME:
                return []
    return made


class AllNew:
    """The cache of rows that have no earlier tokens."""

    def update(self, k: Tensor, v: Tensor, _: int) -> tuple[Tensor, Tensor]:
        return k, v
