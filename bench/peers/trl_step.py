"""TRL's GRPOTrainer on the small Qwen2: CPU-seconds a step of 16 completions x 32 tokens.

Runs in an environment of its own (TRL is no dependency of Counterpoint):

    python bench/peers/trl_step.py --steps 60 [--lora]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from typing import Any

import torch
from datasets import Dataset
from small_qwen2 import (
    COMPLETIONS,
    RATE,
    TOKENS,
    TRL_SETTINGS,
    messages,
    moved,
    report,
    reward,
    small_model,
    small_tokenizer,
)
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class Clock(TrainerCallback):
    """CPU time at the end of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.process_time())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lora", action="store_true", help="rank 8 on every linear map")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lengths: list[int] = []
    rewards: list[float] = []

    def paid(completions: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
        lengths.extend(map(len, completion_ids))
        scores = [reward(one[0]["content"]) for one in completions]
        rewards.append(sum(scores) / len(scores))
        return scores

    lora = None
    if options.lora:
        from peft import LoraConfig

        lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=small_model(),
            reward_funcs=paid,
            args=GRPOConfig(
                output_dir=folder,
                per_device_train_batch_size=COMPLETIONS,
                num_generations=COMPLETIONS,
                max_completion_length=TOKENS,
                max_steps=options.steps,
                learning_rate=RATE,
                **TRL_SETTINGS,
                save_strategy="no",
                seed=0,
            ),
            train_dataset=Dataset.from_list(
                [{"prompt": messages(i)} for i in range(options.steps)]
            ),
            processing_class=small_tokenizer(),
            peft_config=lora,
            callbacks=[clock],
        )
        trained = [x for x in trainer.model.parameters() if x.requires_grad]
        before = [x.detach().clone() for x in trained]
        loss = trainer.train().training_loss
    print(
        json.dumps(
            report(
                clock.times,
                tokens=sum(lengths) / options.steps,
                parameters=sum(x.numel() for x in trained),
                moved=moved(before, trained),
                loss=loss,
                first_reward=sum(rewards[:5]) / 5,
                last_reward=sum(rewards[-5:]) / 5,
            )
        )
    )


if __name__ == "__main__":
    main()
