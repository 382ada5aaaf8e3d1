"""Call the kernel with the arrays of one library, and read the result as NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from counterpoint.credit import Credit, RunningState, Scheme, advantages

KINDS = (
    "numpy",
    pytest.param("torch", marks=pytest.mark.slow),
    pytest.param("jax", marks=pytest.mark.slow),
)
"""For `pytest.mark.parametrize`: the reference always, the others with `-m slow`."""


def credit_of(
    kind: str,
    rewards: np.ndarray,
    labels: dict[str, Any],
    scheme: Scheme,
    state: RunningState | None = None,
) -> Credit:
    """The credit in double precision, computed by `kind`; its values as NumPy."""
    if kind == "torch":
        import torch

        got = advantages(torch.as_tensor(rewards), labels, scheme, state=state)
    elif kind == "jax":
        import jax

        with jax.enable_x64(True):
            got = advantages(jax.numpy.asarray(rewards), labels, scheme, state=state)
    else:
        got = advantages(rewards, labels, scheme, state=state)
    return Credit(np.asarray(got.values), got.state, got.tally)


def few_shapes(kind: str, structure: int) -> int:
    """JAX compiles for each shape: of many structures, take the same few again and again."""
    return structure % 3 if kind == "jax" else structure
