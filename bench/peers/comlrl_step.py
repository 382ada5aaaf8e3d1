"""CoMLRL's MAGRPO on the small Qwen2: CPU-seconds a step of two agents x 8 completions x 32 tokens.

Runs in an environment of its own (CoMLRL is no dependency of Counterpoint):

    python bench/peers/comlrl_step.py --steps 40
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

import torch
from comlrl.trainers.reinforce import MAGRPOConfig, MAGRPOTrainer
from datasets import Dataset
from small_qwen2 import (
    COMLRL_SETTINGS,
    COMPLETIONS,
    RATE,
    TOKENS,
    messages,
    moved,
    report,
    reward,
    small_model,
    small_tokenizer,
)

AGENTS = 2


class Timed(MAGRPOTrainer):
    """Notes the CPU time at the end of each step, and each loss."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.times: list[float] = []
        self.losses: list[float] = []

    def _train_step_returns(self, batch_item: Any, **options: Any) -> Any:
        returns = super()._train_step_returns(batch_item, **options)
        self.times.append(time.process_time())
        return returns

    def _compute_loss_with_gradients(self, *arguments: Any) -> Any:
        loss = super()._compute_loss_with_gradients(*arguments)
        self.losses.append(float(loss.detach()))
        return loss


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = small_tokenizer()
    rewards: list[float] = []

    def paid(*texts: list[str]) -> list[float]:
        scores = [sum(map(reward, pair)) / AGENTS for pair in zip(*texts, strict=True)]
        rewards.append(sum(scores) / len(scores))
        return scores

    def shown(item: dict[str, Any]) -> str:
        text: str = tokenizer.apply_chat_template(
            messages(item["step"]), tokenize=False, add_generation_prompt=True
        )
        return text

    trainer = Timed(
        agents=[small_model(), small_model()],
        num_agents=AGENTS,
        tokenizer=tokenizer,
        reward_func=paid,
        formatters=shown,
        train_dataset=Dataset.from_list([{"step": i} for i in range(options.steps)]),
        args=MAGRPOConfig(
            num_train_epochs=1,
            agent_learning_rate=RATE,
            num_generations=COMPLETIONS // AGENTS,
            max_new_tokens=TOKENS,
            **COMLRL_SETTINGS,
        ),
    )
    drawn: list[int] = []
    generate = trainer._generate_completions

    def counted(*arguments: Any, **named: Any) -> Any:
        output = generate(*arguments, **named)
        drawn.extend(len(one) for one in output["completion_input_ids"][0])
        return output

    trainer._generate_completions = counted
    trained = [x for agent in trainer.agents for x in agent.parameters()]
    before = [x.detach().clone() for x in trained]
    trainer.verbose = False
    trainer.train()
    print(
        json.dumps(
            report(
                trainer.times,
                tokens=sum(drawn) / options.steps,
                parameters=sum(x.numel() for x in trained),
                moved=moved(before, trained),
                loss=sum(trainer.losses) / len(trainer.losses),
                finite=all(map(math.isfinite, trainer.losses)),
                first_reward=sum(rewards[:5]) / 5,
                last_reward=sum(rewards[-5:]) / 5,
            )
        )
    )


if __name__ == "__main__":
    main()
