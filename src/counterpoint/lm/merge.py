"""A plain adapter merged into its model: one model that needs nothing else. Start with
`merge_adapter`.

An activated adapter leaves a part of the tokens as they are, so that no weights are equal to it.

Source: Hu et al. 2021, LoRA, section 4.1.
"""

from __future__ import annotations

from typing import Any

import torch

from counterpoint.lm.adapters import Adapter


def merge_adapter(model: Any, adapter: Adapter, dtype: str = "") -> None:
    """Changes a model of transformers to W + (alpha / r) B A at every place of the adapter.

    The sum is computed in 32-bit floats, and rounded once.

    Args:
        model: the base model as transformers loads it, without slots.
        adapter: a plain adapter of this model.
        dtype: of all parameters afterwards, such as `float32`; "" keeps the model's.
    """
    with torch.no_grad():
        wanted: torch.dtype = getattr(torch, dtype) if dtype else model.dtype
        merged = {
            f"model.{name}.weight": adapter.scale * (adapter.up[name].float() @ down.float())
            for name, down in adapter.down.items()
        }
        weights = {name: model.get_parameter(name) for name in merged}
        for name, weight in weights.items():
            merged[name] += weight.float()
        model.to(wanted)
        for name, weight in weights.items():
            weight.data = merged[name].to(wanted)
