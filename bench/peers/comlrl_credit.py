"""CoMLRL's four estimators beside ours, on tiny models that learn to write small letters.

    PYTHONPATH=src:bench/peers .venv/peers-language/bin/python bench/peers/comlrl_credit.py \\
        --out counterpoint-out/bench/comlrl_credit.json

Two agents of their own parameters, a prompt a step, 8 joint samples of 16 tokens. `team` pays both
the mean of their shares of small letters, as CoMLRL does; `apart` pays each its own, agent 1 ten
times as much and 5 on top. The printed number is the share of small letters in the last quarter.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from comlrl.trainers.reinforce import (
    MAGRPOConfig,
    MAGRPOTrainer,
    MAREINFORCEConfig,
    MAREINFORCETrainer,
    MAReMaxConfig,
    MAReMaxTrainer,
    MARLOOConfig,
    MARLOOTrainer,
)
from datasets import Dataset
from small_qwen2 import messages, small_model, small_tokenizer

from counterpoint.integrations.comlrl import SplitRewards, attach
from counterpoint.stats import bootstrap_interval, means

os.environ.setdefault("WANDB_MODE", "disabled")
THEIRS = {
    "MAGRPO": (MAGRPOTrainer, MAGRPOConfig),
    "MARLOO": (MARLOOTrainer, MARLOOConfig),
    "MAReMax": (MAReMaxTrainer, MAReMaxConfig),
    "MAREINFORCE": (MAREINFORCETrainer, MAREINFORCEConfig),
}
ARMS = {
    "team": [("MAGRPO", True, ""), ("MARLOO", True, ""), *((name, False, "") for name in THEIRS),
             ("MAGRPO", False, "agent_wise"), ("MAGRPO", False, "group_reward_decoupled")],
    "apart": [("MAGRPO", True, ""), ("MAGRPO", False, ""), ("MAGRPO", False, "mappo_pooled"),
              ("MAGRPO", False, "agent_wise"), ("MAGRPO", False, "group_reward_decoupled")],
}  # fmt: skip
"""Trainer, whether CoMLRL normalizes, our scheme."""
TOKENS, ANSWERS = 16, 8


def share(text: str) -> float:
    return sum("a" <= one <= "z" for one in text) / TOKENS


def run(paid: str, trainer: str, normalize: bool, scheme: str, seed: int, steps: int) -> list[Any]:
    """Returns [steps, 2] the mean share of small letters of each agent."""
    torch.manual_seed(seed)
    random.seed(seed)
    tokenizer, rewards = small_tokenizer(), []

    def team(*texts: Any, batch_items: Any = None) -> list[float]:
        rewards.append([share(one[0]) for one in texts])
        return [float(np.mean(rewards[-1]))]

    def apart(*texts: Any, batch_items: Any = None) -> list[float]:
        rewards.append([share(one[0]) for one in texts])
        return [rewards[-1][0], 10 * rewards[-1][1] + 5]

    def shown(item: Any) -> str:
        return tokenizer.apply_chat_template(messages(item["step"]), tokenize=False,
                                             add_generation_prompt=True)  # fmt: skip

    made, config = THEIRS[trainer]
    task_trainer = made(
        agents=[small_model(seed), small_model(seed + 500)], num_agents=2, tokenizer=tokenizer,
        reward_func=team if paid == "team" else SplitRewards(apart), formatters=shown,
        train_dataset=Dataset.from_list([{"step": i} for i in range(steps)]),
        args=config(
            num_train_epochs=1, agent_learning_rate=1e-3, num_generations=ANSWERS,
            max_new_tokens=TOKENS, temperature=1.0, top_p=1.0, top_k=0, num_turns=1,
            eval_interval=0, rollout_buffer_size=1, train_batch_size=1, agent_devices="cpu",
            advantage_normalization=normalize,
        ),
    )  # fmt: skip
    task_trainer.verbose = False
    if scheme:
        attach(task_trainer, scheme, check_every=0)
    task_trainer.train()
    return np.array(rewards).reshape(steps, ANSWERS, 2).mean(axis=1).tolist()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=80)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    print(
        "| paid | trainer | normalization | both | agent 0 | agent 1 |\n|---|---|---|---|---|---|"
    )
    for paid, arms in ARMS.items():
        for trainer, normalize, scheme in arms:
            curves = np.array([run(paid, trainer, normalize, scheme, seed, options.steps)
                               for seed in range(options.seeds)])  # fmt: skip
            last = curves[:, -options.steps // 4 :].mean(axis=1)
            shown = []
            for values in (last.mean(axis=1), last[:, 0], last[:, 1]):
                e = bootstrap_interval(values, rng=np.random.default_rng(0), statistic=means)
                shown.append(f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]")
            name = scheme or ("CoMLRL's default" if normalize else "off")
            results[f"{paid}, {trainer}, {name}"] = curves.tolist()
            print(f"| {paid} | {trainer} | {name} | {' | '.join(shown)} |", flush=True)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
