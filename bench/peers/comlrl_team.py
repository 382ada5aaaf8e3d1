"""CoMLRL's MAGRPO on the task of bench/team_peers.py; prints curves as JSON.

Each agent has a model of its own. CoMLRL's AdamW has its own epsilon (1e-8) and weight decay
(0.01), and clips nothing; the loss is the sum over an answer's tokens.

    python bench/peers/comlrl_team.py --seeds 3 --steps 80 --lr 0.005 [--lora]
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Callable
from typing import Any

import torch
from comlrl.trainers.reinforce import MAGRPOConfig, MAGRPOTrainer
from datasets import Dataset
from small_qwen2 import COMLRL_SETTINGS, small_model, small_tokenizer
from small_team import ROLES, ROLLOUTS, TOKENS, Curve, lora, prompt, sharpened, team_reward

os.environ.setdefault("WANDB_MODE", "disabled")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--lora", action="store_true", help="rank 8 on every linear map")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps([curve_of(seed, options) for seed in range(options.seeds)]))


def curve_of(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Returns the curve of one training."""
    tokenizer, curve, scores = small_tokenizer(), Curve(), list[float]()

    class Timed(MAGRPOTrainer):
        """Notes the end of each step."""

        def _train_step_returns(self, batch_item: Any, **named: Any) -> Any:
            scores.clear()
            returns = super()._train_step_returns(batch_item, **named)
            curve.scored(scores)
            curve.ticked()
            return returns

    def paid(*texts: list[str]) -> list[float]:
        """Is called once for each joint answer."""
        scores.extend(team_reward(*pair) for pair in zip(*texts, strict=True))
        return scores[-len(texts[0]) :]

    def shown_to(role: str) -> Callable[[dict[str, Any]], str]:
        def shown(item: dict[str, Any]) -> str:
            text: str = tokenizer.apply_chat_template(
                prompt(item["step"], role), tokenize=False, add_generation_prompt=True
            )
            return text

        return shown

    agents = [sharpened(small_model(seed)) for _ in ROLES]
    if options.lora:
        agents = [lora(model) for model in agents]
    torch.manual_seed(seed)
    random.seed(seed)
    trainer = Timed(
        agents=agents,
        num_agents=len(ROLES),
        tokenizer=tokenizer,
        reward_func=paid,
        formatters=[shown_to(role) for role in ROLES],
        train_dataset=Dataset.from_list([{"step": i} for i in range(options.steps)]),
        args=MAGRPOConfig(
            num_train_epochs=1,
            agent_learning_rate=options.lr,
            num_generations=ROLLOUTS,
            max_new_tokens=TOKENS,
            **COMLRL_SETTINGS,
        ),
    )
    generate = trainer._generate_completions

    def counted(*arguments: Any, **named: Any) -> Any:
        output = generate(*arguments, **named)
        curve.tokens += sum(len(one) for one in output["completion_input_ids"][0])
        return output

    trainer._generate_completions = counted
    trainer.verbose = False
    trainer.train()
    trained = [x for agent in trainer.agents for x in agent.parameters() if x.requires_grad]
    return curve.document(parameters=sum(x.numel() for x in trained))


if __name__ == "__main__":
    main()
