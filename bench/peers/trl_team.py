"""TRL's GRPOTrainer with our credit on the task of bench/team_peers.py; prints curves as JSON.

A step is a batch of one task: eight completions to the prompt of each agent. TRL has one model, so
that both agents share its parameters.

    python bench/peers/trl_team.py --seeds 3 --steps 80 --lr 0.005 [--lora]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from small_qwen2 import TRL_SETTINGS, small_model, small_tokenizer
from small_team import (
    ADAM_EPSILON,
    ROLES,
    ROLLOUTS,
    TOKENS,
    Curve,
    lora_config,
    prompt,
    sharpened,
    team_reward,
)
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from counterpoint.integrations.trl import with_credit


class Ticks(TrainerCallback):
    """Notes the end of each step."""

    def __init__(self, curve: Curve) -> None:
        self.curve = curve

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.curve.ticked()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--lora", action="store_true", help="rank 8 on every linear map")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    print(json.dumps([curve_of(seed, options) for seed in range(options.seeds)]))


def curve_of(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Returns the curve of one training."""
    curve = Curve()

    def paid(
        completions: Sequence[Any], completion_ids: Sequence[list[int]], agent: Sequence[str],
        **_: Any,
    ) -> list[float]:  # fmt: skip
        """Pays rollout g of both agents the reward of their joint answer g."""
        curve.tokens += sum(map(len, completion_ids))
        by_role: dict[str, list[str]] = {role: [] for role in ROLES}
        for role, one in zip(agent, completions, strict=True):
            by_role[role].append(one[0]["content"])
        scores = [team_reward(*pair) for pair in zip(*by_role.values(), strict=True)]
        curve.scored(scores)
        count = dict.fromkeys(ROLES, -1)
        values = []
        for role in agent:
            count[role] += 1
            values.append(scores[count[role]])
        return values

    peft_config = None
    if options.lora:
        from peft import LoraConfig

        peft_config = lora_config(LoraConfig)
    rows = [
        {"prompt": prompt(step, role), "task": step, "agent": role}
        for step in range(options.steps)
        for role in ROLES
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer = with_credit(GRPOTrainer, "agent_wise", check_every=0)(
            model=sharpened(small_model(seed)),
            reward_funcs=paid,
            args=GRPOConfig(
                output_dir=folder,
                per_device_train_batch_size=len(ROLES) * ROLLOUTS,
                num_generations=ROLLOUTS,
                max_completion_length=TOKENS,
                max_steps=options.steps,
                learning_rate=options.lr,
                **TRL_SETTINGS,
                adam_epsilon=ADAM_EPSILON,
                loss_type="dr_grpo",
                temperature=1.0,
                shuffle_dataset=False,
                save_strategy="no",
                seed=seed,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=small_tokenizer(),
            peft_config=peft_config,
            callbacks=[Ticks(curve)],
        )
        trained = sum(x.numel() for x in trainer.model.parameters() if x.requires_grad)
        trainer.train()
    return curve.document(parameters=trained)


if __name__ == "__main__":
    main()
