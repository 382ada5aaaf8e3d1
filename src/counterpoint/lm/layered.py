"""Whether a model that is run layer by layer gives what it gives itself: asked before it is used.

Some models scale, cap or bias what is taken over here as it is. Their numbers would be wrong, and
nothing else would show it.
"""

from __future__ import annotations

import torch

from counterpoint.errors import SettingError
from counterpoint.lm.model import LanguageModel, Memory

PROBE = (("user", "Which word do you choose: red, blue or green?"),)
"""The prompt behind which logits are compared."""
SAME = 1e-3
"""Logits that differ by less than this share of the largest one are the same in 32 bits."""


def demand_own_logits(model: LanguageModel) -> None:
    """Return where the model's layers, one after the other, are the model.

    Raises:
        SettingError: they are not; it says why.
    """
    try:
        off = _difference(model)
        allowed = max(SAME, 8 * torch.finfo(model.dtype).eps)
        why = "" if off <= allowed else f"their logits are off by {off:.2g}"
    except (TypeError, RuntimeError, ValueError, AttributeError, KeyError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
    if why:
        raise SettingError(
            f"got model '{model.name}' ({type(model.model).__name__}), whose layers cannot be run "
            f"one after the other ({why}); wanted one as Llama, Qwen, Mistral or SmolLM"
        )


def _difference(model: LanguageModel) -> float:
    """The largest between logits behind `PROBE`, as a share of the largest logit."""
    tokens, prefix = torch.tensor([model.prompt(PROBE)]), model.read(PROBE)
    with torch.no_grad():
        last = model.embed(tokens[:, -1:])
        found = model.extend(last, Memory([prefix]))[0, 0] @ model.unembedding.T
        wanted = model.model(input_ids=tokens).logits[0, -1]
    return float((found - wanted).abs().max() / wanted.abs().max())
