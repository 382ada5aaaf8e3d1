"""Rewards as they are read: what is kept of them, and what a library with unknown values does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, rewards
from counterpoint.credit.rewards import Rewards
from counterpoint.credit.segments import NUMPY
from counterpoint.errors import RewardError

BARE = Scheme(center="none", scale="none")


class Elsewhere(np.ndarray):
    """An array that must be kept as it is: NumPy would make a plain one of it."""


def test_what_was_given_is_kept_and_nothing_is_marked_missing_where_nothing_is() -> None:
    given = np.array([1, 2, 3], dtype=np.float32)
    read = Rewards.read(given, BARE)
    assert read.given is given
    assert read.missing is None
    assert read.incomplete is None
    gap = Rewards.read([1.0, None, 3.0], BARE)
    assert gap.missing.tolist() == [[False], [True], [False]]


def test_another_library_keeps_its_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    given, other = np.array([1.0, 2.0]).view(Elsewhere), replace(NUMPY, name="other")
    monkeypatch.setattr(rewards, "arrays_of", lambda one: other if one is given else NUMPY)
    assert Rewards.read(given, BARE).given is given
    with pytest.raises(RewardError, match="got rewards of type complex128; wanted real numbers"):
        Rewards.read(np.array([1j]), BARE)


def test_unknown_values_beyond_the_limit_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside `jax.jit` nobody can look whether a reward is infinite."""
    traced = replace(NUMPY, traced=True)
    monkeypatch.setattr(rewards, "arrays_of", lambda one: traced)
    read = Rewards.read(np.array([1.0, np.inf, np.nan, -1e141]), BARE)
    assert read.missing.ravel().tolist() == [False, True, True, True]
    assert Rewards.read(np.array([1.0]), BARE).missing.tolist() == [[False]]


def test_a_missing_component_that_counts_as_zero_is_normalized() -> None:
    """Component 0 is 1, 3: -1, 1. Component 1 is 0, 2: -1, 1; left out, it would be one sample."""
    zero = Scheme(components="normalize_first", scale="none", missing="as_zero")
    got = advantages([[1.0, None], [3.0, 2.0]], {}, zero)
    assert got.values.tolist() == [-2, 2]
    out = replace(zero, missing="leave_out")
    assert advantages([[1.0, None], [3.0, 2.0]], {}, out).values.tolist() == [-1, 1]


def test_a_gate_that_is_only_logged_may_be_infinite() -> None:
    gated = replace(BARE, weights=(1.0, 0.0), conditions=((0, 1, 0.5),))
    got = advantages([[3.0, np.inf], [3.0, -np.inf], [3.0, None], [3.0, 0.5]], {}, gated)
    assert got.values.tolist() == [3, 0, 0, 3]
    assert (got.tally.missing, got.tally.left_out) == (1, 1)
