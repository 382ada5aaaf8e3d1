"""Which array library a call is computed in: told by the type of the rewards, without importing."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from counterpoint.credit import segments
from counterpoint.credit.segments import NUMPY, arrays_of, is_traced


def array_of(module: str) -> Any:
    """An array of a class that says it comes from `module`."""
    return type("Array", (), {"__module__": module})()


@pytest.mark.parametrize(
    ("module", "door"),
    [
        ("torch", "_torch"),
        ("torch.nn.parameter", "_torch"),
        ("jax", "_jax"),
        ("jax._src.interpreters.partial_eval", "_jax"),
        ("jaxlib._jax", "_jax"),
        ("torchvision.tensors", None),
        ("pandas.core.series", None),
    ],
)
def test_the_module_of_the_rewards_decides(
    module: str, door: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_torch", "_jax"):
        monkeypatch.setattr(segments, name, lambda rewards, name=name: (name, rewards))
    rewards = array_of(module)
    assert arrays_of(rewards) == ((door, rewards) if door else NUMPY)


def test_only_a_tracer_has_unknown_values(monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = type(array_of("jax"))
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(core=SimpleNamespace(Tracer=tracer)))
    assert is_traced(tracer())
    assert not is_traced(np.ones(1))
    monkeypatch.delitem(sys.modules, "jax")
    assert not is_traced(tracer())


def test_counts_are_plain_numbers_unless_values_are_unknown() -> None:
    mask = np.array([True, False, True])
    assert NUMPY.count(mask) == 2
    assert type(NUMPY.count(mask)) is int
    assert type(replace(NUMPY, traced=True).count(mask)) is np.int64
