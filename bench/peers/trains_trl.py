"""TRL's GRPOTrainer on the team of bench/trainers.py.

    python bench/peers/trains_trl.py --out FOLDER --seeds 0 1

A step is one task: eight completions to the prompt of each agent. TRL's own way takes the eight of
one prompt together, which are of one agent.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from own_rewards import OWN, RATE, STATEFUL, Training, question, run
from small_qwen2 import TRL_SETTINGS, small_model, small_tokenizer
from small_team import ADAM_EPSILON, ROLES, ROLLOUTS, TOKENS
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from counterpoint.integrations.trl import STATE, with_credit

HOOKS = {"pooled": "mappo_pooled", "per agent": "agent_wise", "adaptive": "adaptive"}


class Ticks(TrainerCallback):
    """Notes the end of each step."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.training.ticked()


def made(base: Any, seed: int, updates: int, training: Training, folder: str, **more: Any) -> Any:
    """Returns a trainer of the team."""

    def rewarded(completions: Sequence[str], agent: Sequence[str], **_: Any) -> list[float]:
        return training.rewards(completions, agent)

    rows = [
        {"prompt": question(step, role), "task": step, "agent": role}
        for step in range(updates)
        for role in ROLES
    ]
    return base(
        model=small_model(seed),
        reward_funcs=rewarded,
        args=GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=len(ROLES) * ROLLOUTS,
            num_generations=ROLLOUTS,
            max_completion_length=TOKENS,
            max_steps=updates,
            learning_rate=RATE,
            **TRL_SETTINGS,
            adam_epsilon=ADAM_EPSILON,
            loss_type="dr_grpo",
            temperature=1.0,
            shuffle_dataset=False,
            seed=seed,
            **more,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=small_tokenizer(),
        callbacks=[Ticks(training)],
    )


def train(scheme: str, seed: int, updates: int, training: Training) -> None:
    base = GRPOTrainer if scheme == OWN else with_credit(GRPOTrainer, HOOKS[scheme])
    with tempfile.TemporaryDirectory() as folder:
        made(base, seed, updates, training, folder, save_strategy="no").train()


def resume(folder: Path) -> tuple[Any, Any]:
    seen: list[Any] = []

    class Resumed(with_credit(GRPOTrainer, STATEFUL)):  # type: ignore[misc]
        def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
            super()._load_optimizer_and_scheduler(checkpoint)
            seen.append(self.team_credit.state_dict())

    first = made(Resumed, 0, 2, Training(), str(folder), save_steps=2)
    first.train()
    saved = json.loads((folder / "checkpoint-2" / STATE).read_text("utf-8"))
    assert saved == first.team_credit.state_dict()
    made(Resumed, 0, 4, Training(), str(folder), save_steps=2).train(resume_from_checkpoint=True)
    return saved, seen[-1]


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    run("TRL", ("trl", "transformers", "torch"), train, resume)
