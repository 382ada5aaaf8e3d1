"""Our credit in TRL's own trainer, on a tiny model: run by test_trl_and_comlrl.py.

    python trl_check.py FOLDER

Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import trl
from datasets import Dataset
from small_qwen2 import messages, small_model, small_tokenizer
from trl import GRPOConfig, GRPOTrainer

from counterpoint.credit import advantages, catalogue
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.trl import per_agent_rewards, with_credit


def letters(completions, **_):
    return [sum("a" <= c <= "z" for c in one[0]["content"]) / 16 for one in completions]


def scaled(completions, agent, **_):
    """Agent b is paid ten times as much and more on top."""
    return [10 * x + 5 if who == "b" else x
            for x, who in zip(letters(completions), agent, strict=True)]  # fmt: skip


ROWS = [{"prompt": messages(i // 2), "agent": "ab"[i % 2], "task": i // 2} for i in range(16)]


def made(folder, base, reward, steps, rows=ROWS, **config):
    settings = {
        "save_steps": 2, "logging_steps": 1, "lr_scheduler_type": "constant",
        "per_device_train_batch_size": 8, **config,
    }  # fmt: skip
    return base(
        model=small_model(), reward_funcs=reward, processing_class=small_tokenizer(),
        train_dataset=Dataset.from_list(rows),
        args=GRPOConfig(
            output_dir=str(folder), num_generations=4, max_completion_length=16,
            max_steps=steps, learning_rate=1e-3, use_cpu=True, bf16=False,
            gradient_checkpointing=False, report_to="none", disable_tqdm=True,
            shuffle_dataset=False, seed=0, **settings,
        ),
    )  # fmt: skip


class Noting(GRPOTrainer):
    """Keeps what TRL computed, what came of it, and how long a step took."""

    def _calculate_rewards(self, *args, **kwargs):
        self.paid = super()._calculate_rewards(*args, **kwargs)
        return self.paid


def main() -> None:
    torch.set_num_threads(1)
    folder, document = Path(sys.argv[1]), {"trl": trl.__version__}
    base = with_credit(Noting, "agent_wise", record=folder / "credit.jsonl", check_every=0)
    seen = []

    class Watching(base):
        def _generate_and_score_completions(self, inputs):
            out = super()._generate_and_score_completions(inputs)
            labels = {"prompt": [row["task"] for row in inputs],
                      "rollout": [i % 4 for i in range(len(inputs))],
                      "agent": [row["agent"] for row in inputs]}  # fmt: skip
            wanted = advantages(self.paid.double().numpy()[:, 0], labels, catalogue()["agent_wise"])
            seen.append(float(np.abs(wanted.values - out["advantages"].double().numpy()).max()))
            return out

    trainer = made(folder / "first", Watching, scaled, 4)
    trainer.train()
    document["difference"] = max(seen)
    document["steps"] = len(seen)
    document["metrics"] = sorted({key for row in trainer.state.log_history for key in row
                              if key.startswith("counterpoint/")})  # fmt: skip

    running = with_credit(Noting, "group_reward_decoupled")
    whole = made(folder / "whole", running, scaled, 4)
    whole.train()
    cut = made(folder / "cut", running, scaled, 2)
    cut.train()
    again = made(folder / "cut", running, scaled, 4)
    again.train(resume_from_checkpoint=str(folder / "cut" / "checkpoint-2"))
    document["resumed"] = [again.team_credit.updates, whole.team_credit.updates]
    document["same state"] = again.team_credit.state_dict() == whole.team_credit.state_dict()

    recipe = made(
        folder / "recipe", GRPOTrainer, per_agent_rewards({"a": letters, "b": letters}), 1,
        multi_objective_aggregation="normalize_then_sum",
    )  # fmt: skip
    recipe.train()
    document["recipe"] = sorted(
        key for key in recipe.state.log_history[0] if key.startswith("rewards/")
    )

    both = made(
        folder / "both", with_credit(GRPOTrainer, "agent_wise"),
        per_agent_rewards({"a": letters, "b": letters}), 2,
    )  # fmt: skip
    both.train()
    document["answered for"] = both.team_credit.metrics["counterpoint/advantage_rms/a"]

    credit, updates = TeamCredit("agent_wise", record=folder / "speed.jsonl"), 200
    labels = {"prompt": [0] * 16, "rollout": [*range(8)] * 2, "agent": ["a"] * 8 + ["b"] * 8}
    begun = time.process_time()  # once: reading the clock takes as long as an update
    for _ in range(updates):
        credit(torch.rand(16, 1), labels)
    document["ours ms"] = 1000 * (time.process_time() - begun) / updates
    begun = time.process_time()
    made(folder / "speed", GRPOTrainer, scaled, 10, save_strategy="no").train()
    document["step ms"] = 100 * (time.process_time() - begun)
    print(json.dumps(document))


if __name__ == "__main__":
    main()
