"""GDPO's resolution: how many groups of binary reward vectors a scheme can tell apart.

Every multiset of G reward vectors out of {0, 1}^K is one prompt of a single call; what is counted
are the distinct sorted advantage vectors, before GDPO's whitening of the batch.
"""

from __future__ import annotations

import dataclasses
import json
from itertools import combinations_with_replacement, product
from pathlib import Path

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue

PUBLISHED = json.loads((Path(__file__).parents[1] / "data/gdpo_distinct_counts.json").read_text())
SCHEMES = {
    "grpo": catalogue()["grpo"],
    "grpo_without_std": catalogue()["dr_grpo"],
    "gdpo": dataclasses.replace(catalogue()["gdpo"], whiten="none"),
}
BY_ROLLOUTS = [
    (name, g, 2, PUBLISHED["two_rewards"][name][i])
    for name in SCHEMES
    for i, g in enumerate(PUBLISHED["two_rewards"]["rollouts"])
]
BY_REWARDS = [
    (name, 4, k, PUBLISHED["four_rollouts"][name][i])
    for name in SCHEMES
    for i, k in enumerate(PUBLISHED["four_rollouts"]["rewards"])
]


def distinct_advantages(scheme: Scheme, rollouts: int, components: int) -> int:
    vectors = list(product((0.0, 1.0), repeat=components))
    groups = np.array(list(combinations_with_replacement(vectors, rollouts)))  # [M, G, K]
    prompts = len(groups)
    labels = {
        "prompt": np.repeat(np.arange(prompts), rollouts),
        "rollout": np.tile(np.arange(rollouts), prompts),
    }
    got = advantages(groups.reshape(-1, components), labels, scheme).values
    ranked = np.sort(got.reshape(prompts, rollouts), axis=1)
    return len(np.unique(np.round(ranked, 9) + 0.0, axis=0))  # + 0.0: there is one zero


@pytest.mark.parametrize(("name", "rollouts", "components", "published"), BY_ROLLOUTS + BY_REWARDS)
def test_the_published_number(name: str, rollouts: int, components: int, published: int) -> None:
    assert distinct_advantages(SCHEMES[name], rollouts, components) == published


def test_the_whole_table_is_tested() -> None:
    assert len(BY_ROLLOUTS) == 3 * 8
    assert len(BY_REWARDS) == 3 * 3


def test_two_rollouts_by_hand() -> None:
    """Ten multisets of two vectors out of {00, 01, 10, 11}.

    GRPO sees equal sums (0, 0) or unequal ones (-1, 1). Without the deviation a difference of 1
    and of 2 are two cases. GDPO tells 00 with 01 (one component differs), 00 with 11 (both, the
    same way) and equal or opposite ones (0, 0) apart.
    """
    assert [distinct_advantages(s, 2, 2) for s in SCHEMES.values()] == [2, 3, 3]
