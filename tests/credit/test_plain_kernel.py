"""The kernel against plain loops: every field of a `Scheme`, alone and in company."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from array_kinds import credit_of
from plain_kernel import plain_advantages

from counterpoint.credit import Scheme, advantages
from counterpoint.errors import SchemeError

FIELDS: dict[str, tuple[Any, ...]] = {
    "center_by": ((), ("prompt",), ("agent",), ("prompt", "agent"), ("role", "context"), ("turn",)),
    "transform": ("identity", "identity", "identity", "rank"),
    "rollout_reward": ("mean", "mean", "sum", "last", "to_go"),
    "gamma": (1.0, 0.5),
    "center": ("mean", "mean", "leave_one_out", "none"),
    "baseline_floor": (None, None, 0.4037),
    "scale": ("std", "std", "mean", "none"),
    "ddof": (0, 0, 1),
    "epsilon": (0.0, 0.25),
    "scale_of": ("centered", "raw"),
    "components": ("sum_first", "normalize_first"),
    "weights": (None, None, (1.0, 0.0), (2.0, -0.5)),
    "weigh_by": ("fixed", "fixed", "deviation"),
    "conditions": ((), (), ((1, 0, 0.5),)),
    "weighting": ("step", "trajectory"),
    "floor": (0.0, 0.0, 0.6037),
    "shrink": (0.0, 0.0, 2.0),
    "min_count": (0, 0, 3),
    "group_weight": ("none", "none", "none", "entropy"),
    "group_strength": (1.0, 0.5),
    "agreement": (0.0, 0.0, 0.3, 1.0),
    "clip": (0.0, 0.0, 0.8037),
    "singleton": ("zero", "raw"),
    "constant": ("zero", "unscaled"),
    "missing": ("leave_out", "as_zero"),
    "whiten": ("none", "none", "batch"),
    "whiten_weighting": (None, None, "step", "trajectory"),
}
"""What is drawn for each field; words that are named twice are drawn more often."""


def drawn(rng: np.random.Generator) -> Scheme:
    """A scheme with about half of its fields drawn; those that contradict each other again."""
    while True:
        chosen = {f: v[rng.integers(len(v))] for f, v in FIELDS.items() if rng.random() < 0.5}
        if rng.random() < 0.5:
            by = FIELDS["center_by"]
            chosen["scale_by"] = by[rng.integers(len(by))]
        try:
            scheme = Scheme(**chosen)
        except SchemeError:
            continue
        rates = scheme.components == "normalize_first" and scheme.rollout_reward in ("mean", "last")
        if scheme.group_weight == "none" or rates:  # sums are no success rates
            return scheme


def batch(rng: np.random.Generator, scheme: Scheme) -> tuple[list[list], dict[str, list]]:
    """Rewards of two components in quarters, some missing, and the labels of an uneven team."""
    rows = [
        {"batch": b, "prompt": p, "rollout": r, "agent": agent, "role": agent % 2, "turn": turn,
         "context": f"game {p % 2}"}
        for b in range(rng.integers(1, 3))
        for p in range(rng.integers(1, 4))
        for r in range(rng.integers(1, 5))
        for agent in range(rng.integers(1, 4))
        for turn in range(rng.integers(1, 3))
    ]  # fmt: skip
    rows = [rows[i] for i in rng.permutation(len(rows))]
    success = scheme.group_weight != "none"
    paid = rng.integers(0 if success else -2, 2 if success else 5, (len(rows), 2)) / (
        1 if success else 4
    )
    paid[rng.random(paid.shape) < rng.choice([0.0, 0.3])] = np.nan
    if rng.random() < 0.3:  # one reward a rollout
        ids = [(row["batch"], row["prompt"], row["rollout"]) for row in rows]
        paid = np.array([paid[ids.index(one)] for one in ids])
    rewards = [[None if np.isnan(r) else float(r) for r in row] for row in paid]
    if rng.random() < 0.3 and scheme.components == "sum_first":
        rewards = [[0.0 if r is None else r for r in row] for row in rewards]
    return rewards, {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("seed", range(20))
def test_twenty_schemes_a_seed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(20):
        scheme = drawn(rng)
        rewards, labels = batch(rng, scheme)
        values, tally = plain_advantages(rewards, labels, scheme)
        got = advantages(rewards, labels, scheme)
        np.testing.assert_allclose(got.values, values, rtol=1e-9, atol=1e-9, err_msg=f"{scheme}")
        assert +Counter(asdict(got.tally)) == tally, scheme


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torch", "jax"])
@pytest.mark.parametrize("seed", range(100, 103))
def test_other_libraries_too(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(40 if kind == "torch" else 8):
        scheme = drawn(rng)
        rewards, labels = batch(rng, scheme)
        values, tally = plain_advantages(rewards, labels, scheme)
        got = credit_of(kind, np.array(rewards, dtype=float), labels, scheme)
        np.testing.assert_allclose(got.values, values, rtol=1e-9, atol=1e-9, err_msg=f"{scheme}")
        assert +Counter(asdict(got.tally)) == tally, scheme
