"""CoMLRL's MAGRPO on the team of bench/trainers.py.

    python bench/peers/trains_comlrl.py --out FOLDER --seeds 0 1

Each agent has a model of its own. CoMLRL pays all agents the mean of their rewards; that is its own
way, and `SplitRewards` pays each agent its own.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("WANDB_MODE", "disabled")

import torch
from comlrl.trainers.reinforce import MAGRPOConfig, MAGRPOTrainer
from datasets import Dataset
from own_rewards import OWN, RATE, STATEFUL, Training, own_reward, question, run
from small_qwen2 import COMLRL_SETTINGS, small_model, small_tokenizer
from small_team import ROLES, ROLLOUTS, TOKENS, share

from counterpoint.integrations.comlrl import SplitRewards, attach

HOOKS = {"pooled": "mappo_pooled", "per agent": "agent_wise", "adaptive": "adaptive"}


def made(seed: int, updates: int, training: Training, epochs: int = 1) -> Any:
    """Returns a trainer of the team, whose advantages are CoMLRL's own."""
    tokenizer, scores = small_tokenizer(), list[list[float]]()

    class Timed(MAGRPOTrainer):
        """Notes the end of each step."""

        def _train_step_returns(self, batch_item: Any, **named: Any) -> Any:
            scores.clear()
            returns = super()._train_step_returns(batch_item, **named)
            training.scored({role: [one[i] for one in scores] for i, role in enumerate(ROLES)})
            training.ticked()
            return returns

    def rewarded(*texts: list[str], batch_items: Any = None) -> list[float]:
        scores.append([share(role, one[0]) for role, one in zip(ROLES, texts, strict=True)])
        return [own_reward(role, one[0]) for role, one in zip(ROLES, texts, strict=True)]

    def shown_to(role: str) -> Callable[[dict[str, Any]], str]:
        return lambda item: question(item["step"], role)

    torch.manual_seed(seed)
    random.seed(seed)
    models = [small_model(seed + 500 * i) for i in range(len(ROLES))]
    torch.manual_seed(seed)
    trainer = (Timed if epochs == 1 else MAGRPOTrainer)(
        agents=models,
        num_agents=len(ROLES),
        tokenizer=tokenizer,
        reward_func=SplitRewards(rewarded),
        formatters=[shown_to(role) for role in ROLES],
        train_dataset=Dataset.from_list([{"step": i} for i in range(updates)]),
        args=MAGRPOConfig(
            num_train_epochs=epochs,
            agent_learning_rate=RATE,
            num_generations=ROLLOUTS,
            max_new_tokens=TOKENS,
            **COMLRL_SETTINGS,
            advantage_normalization=True,
        ),
    )
    trainer.verbose = False
    return trainer


def train(scheme: str, seed: int, updates: int, training: Training) -> None:
    trainer = made(seed, updates, training)
    if scheme != OWN:
        attach(trainer, HOOKS[scheme])
    trainer.train()


def resume(folder: Path) -> tuple[Any, Any]:
    """A subclass cannot resume in CoMLRL: its own class is trained."""
    first, second = (made(0, 2, Training(), epochs=e) for e in (2, 3))
    credit, again = attach(first, STATEFUL), attach(second, STATEFUL)
    first.train(checkpoint_dir=str(folder))
    saved, seen = credit.state_dict(), list[Any]()
    restore = second._restore_checkpoint_extra_state

    def noted(extra: Any, place: Any) -> None:
        restore(extra, place)
        seen.append(again.state_dict())

    second._restore_checkpoint_extra_state = noted
    second.train(resume_from_checkpoint=str(folder / "checkpoint-2"), checkpoint_dir=str(folder))
    return saved, seen[-1]


if __name__ == "__main__":
    run("CoMLRL", ("comlrl", "transformers", "torch"), train, resume)
