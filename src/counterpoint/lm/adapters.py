"""LoRA adapters: one low-rank change of a frozen model for each agent, side by side in one model.

Start with `Adapter`. A batch holds rows of several agents; `Routing` says which rows belong to
which adapter, so that one pass through the frozen layers serves them all. Adapters are written
and read in peft's format, as plain ones or as activated ones: see `reader.Kind`.

Source: Hu et al. 2021, LoRA, eq. 3; Greenewald et al. 2025, Activated LoRA (arXiv:2504.12397).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from counterpoint.runs.checkpoint import arrays_to_bytes
from counterpoint.runs.files import write_atomically

ATTENTION = ("self_attn.q_proj", "self_attn.v_proj")
ALL = (
    *ATTENTION, "self_attn.k_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
    "mlp.down_proj",
)  # fmt: skip
TARGETS = {"attention": ATTENTION, "all": ALL}
"""The linear maps of a layer that an adapter changes, by the name of the choice."""
PREFIX = "base_model.model.model."
"""The text that peft puts before the name of a place."""


class LinearSize(NamedTuple):
    """The numbers of inputs and outputs of a linear map that an adapter changes."""

    inputs: int
    outputs: int


class Adapter(nn.Module):
    """`W x + (alpha / r) B A x` at every place; B starts at 0, so that nothing changes yet.

    Args:
        places: maps the name of each place in the model (`layers.3.self_attn.q_proj`) to its size.
        rank: r.
        alpha: scale of the change.
        generator: draws the first A.
    """

    def __init__(
        self, places: Mapping[str, LinearSize], rank: int, alpha: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.rank, self.alpha = rank, alpha
        self.down: dict[str, nn.Parameter] = {}
        self.up: dict[str, nn.Parameter] = {}
        for name, place in places.items():
            bound = 1 / math.sqrt(place.inputs)
            start = torch.empty(rank, place.inputs).uniform_(-bound, bound, generator=generator)
            self.down[name] = nn.Parameter(start)
            self.up[name] = nn.Parameter(torch.zeros(place.outputs, rank))
            flat = name.replace(".", "_")
            self.register_parameter(f"{flat}_down", self.down[name])
            self.register_parameter(f"{flat}_up", self.up[name])

    def change(self, name: str, x: Tensor) -> Tensor:
        """Returns the change by the adapter of the output of a place, for `x` [..., inputs]."""
        down, up = self.down[name], self.up[name]
        change: Tensor = (x.to(down.dtype) @ down.T) @ up.T
        return (change * self.scale).to(x.dtype)

    @property
    def scale(self) -> float:
        """Returns the factor of the change, alpha / r."""
        return self.alpha / self.rank

    def to_peft(self) -> dict[str, NDArray[np.float32]]:
        """Returns the weights as NumPy arrays, under the names that peft gives them."""
        return {
            f"{PREFIX}{name}.lora_{part}.weight": x[name].detach().cpu().numpy().copy()
            for part, x in (("A", self.down), ("B", self.up))
            for name in x
        }


def lowest_layer(adapters: Iterable[Adapter]) -> int:
    """Returns the first layer in which one of the adapters sits."""
    return min(int(name.split(".")[1]) for adapter in adapters for name in adapter.down)


def save_adapter(
    adapter: Adapter, folder: Path, base: str, opening: Sequence[int]
) -> tuple[Path, Path]:
    """Writes an adapter as peft does, and returns its files.

    `PeftModel.from_pretrained(model, folder)` loads it.

    Args:
        adapter: the adapter to write.
        folder: made if it does not exist.
        base: name or path of the frozen model.
        opening: tokens with which an answer begins, and from the last occurrence of which on an
            activated adapter acts; empty for a plain one.

    Raises:
        OutputError: the files could not be written.
    """
    facts: dict[str, object] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(adapter.down),
        "inference_mode": True,
    }
    if opening:
        facts["alora_invocation_tokens"] = list(opening)
    config = json.dumps(facts, indent=1, sort_keys=True)
    weights, settings = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    write_atomically(weights, arrays_to_bytes(adapter.to_peft()))
    write_atomically(settings, config + "\n")
    return weights, settings


Stack = tuple[Tensor, Tensor, float]
"""Weights of A adapters at a place: downs [A, inputs, r], ups [A, r, outputs], and their factor."""


@dataclass
class Routing:
    """The adapter of each row of a batch, for as long as one pass lasts."""

    now: tuple[tuple[Adapter, int, int], ...] = field(default=())
    """(adapter, first row, row after the last), without gaps; empty if there are no adapters."""
    _kept: dict[str, Stack | None] = field(default_factory=dict)
    _kept_for: object = None

    def stack(self, name: str) -> Stack | None:
        """Returns the joined weights at a place if all adapters are alike, else None.

        Without gradients the weights are joined once for as long as `now` stays the same.
        """
        if torch.is_grad_enabled():
            return self._stack(name)
        # The tuple itself is the key: every pass with other rows makes a new one.
        if self._kept_for is not self.now:
            self._kept, self._kept_for = {}, self.now
        if name not in self._kept:
            self._kept[name] = self._stack(name)
        return self._kept[name]

    def _stack(self, name: str) -> Stack | None:
        one, first, end = self.now[0]
        kind = end - first, one.rank, one.alpha
        for adapter, first, end in self.now:
            if (end - first, adapter.rank, adapter.alpha) != kind or name not in adapter.down:
                return None
        down = torch.stack([adapter.down[name] for adapter, _, _ in self.now])
        up = torch.stack([adapter.up[name] for adapter, _, _ in self.now])
        return down.mT, up.mT, one.scale


def segments(adapters: Sequence[Adapter]) -> tuple[tuple[Adapter, int, int], ...]:
    """Returns the routing of a batch, given the adapter of each row."""
    parts: list[tuple[Adapter, int, int]] = []
    for row, adapter in enumerate(adapters):
        if parts and parts[-1][0] is adapter:
            parts[-1] = (adapter, parts[-1][1], row + 1)
        else:
            parts.append((adapter, row, row + 1))
    return tuple(parts)


class Slot(nn.Module):
    """A linear map of the frozen model, and the changes of the adapters that have it as a place.

    Another team's adapters may sit in more places of the same model than this team's.

    Args:
        linear: the frozen map.
        name: the name of its place.
        routing: the routing of the model.
    """

    def __init__(self, linear: nn.Module, name: str, routing: Routing) -> None:
        super().__init__()
        self.linear, self.name, self.routing = linear, name, routing
        # A module looks up its parts through several dictionaries, which for a small model costs
        # as much as the product. A map without hooks is called directly.
        self.__dict__["frozen"] = linear.forward if type(linear) is nn.Linear else linear

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.__dict__["frozen"](x)
        routing, name = self.routing, self.name
        if not routing.now:
            return y
        stack = routing.stack(name)
        if stack is None:  # adapters differ in rank, in rows or in places: one after the other
            changes = [
                adapter.change(name, x[first:end])
                if name in adapter.down
                else torch.zeros_like(y[first:end])
                for adapter, first, end in routing.now
            ]
            return y + torch.cat(changes)
        # Alike adapters are one batched product, which costs about as much as a single adapter.
        down, up, scale = stack
        count, inputs, _ = down.shape
        shape = y.shape
        flat, whole = x.reshape(count, -1, inputs), y.view(count, -1, shape[-1])
        if y.dtype == up.dtype:
            return torch.baddbmm(whole, torch.bmm(flat, down), up, alpha=scale).view(shape)
        low = torch.bmm(flat.to(up.dtype), down)
        return torch.baddbmm(whole.to(up.dtype), low, up, alpha=scale).view(shape).to(y.dtype)
