"""verl's own estimators beside the catalogue's entries for them: run by test_verl.py.

    python verl_estimators_check.py

Prints one JSON line: for each pair the largest difference, over 200 batches of uneven groups with
one token an answer (verl whitens tokens).
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import torch
from verl.trainer.config import AlgoConfig
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

from counterpoint.credit import advantages, catalogue

ENTRIES = catalogue()
PAIRS = {
    "grpo": (ENTRIES["verl"], {"config": AlgoConfig()}),
    "grpo without deviation": (
        replace(ENTRIES["dr_grpo"], singleton="raw"),
        {"norm_adv_by_std_in_grpo": False},
    ),
    "rloo": (replace(ENTRIES["rloo"], singleton="raw"), {}),
    "rloo_vectorized": (ENTRIES["rloo"], {}),
    "opo": (replace(ENTRIES["opo"], singleton="raw"), {}),
    "reinforce_plus_plus_baseline": (replace(ENTRIES["reinforce_plus_plus_baseline"], ddof=1), {}),
    "reinforce_plus_plus": (
        replace(ENTRIES["reinforce_plus_plus"], ddof=1),
        {"config": AlgoConfig(gamma=1.0)},
    ),
}


def theirs(name: str, rewards: np.ndarray, uids: np.ndarray, more: dict) -> np.ndarray:
    paid = torch.tensor(rewards, dtype=torch.float32)[:, None]
    estimator = ADV_ESTIMATOR_REGISTRY[name.split(" ")[0]]
    values, _ = estimator(
        token_level_rewards=paid, response_mask=torch.ones_like(paid), index=uids, **more
    )
    return values[:, 0].numpy()


def largest(name: str) -> float:
    scheme, more = PAIRS[name]
    far = 0.0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        uids = np.repeat(np.arange(4), rng.integers(2, 6, 4))
        rewards = rng.integers(0, 4, len(uids)) / 4 + rng.normal(size=len(uids)) * (seed % 2)
        labels = {"prompt": uids, "rollout": np.arange(len(uids))}
        ours = advantages(rewards.astype(np.float32), labels, scheme).values
        far = max(far, float(abs(ours - theirs(name, rewards, uids.astype(object), more)).max()))
    return far


print(json.dumps({name: largest(name) for name in PAIRS}))
