"""Our credit in CoMLRL's own trainers, on a tiny model: run by test_trl_and_comlrl.py.

    python comlrl_check.py FOLDER

Prints one JSON line.
"""

from __future__ import annotations

import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from comlrl.trainers.reinforce import MAGRPOConfig, MAGRPOTrainer
from datasets import Dataset
from small_qwen2 import messages, reward, small_model, small_tokenizer

from counterpoint.credit import advantages, catalogue
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.comlrl import SplitRewards, attach


def team(*texts, batch_items=None):
    return [float(np.mean([reward(one[0]) for one in texts]))]


def apart(*texts, batch_items=None):
    """Agent 1 is paid ten times as much."""
    return [reward(one[0]) * (10 if i else 1) for i, one in enumerate(texts)]


def made(function, epochs=1, **config):
    tokenizer = small_tokenizer()

    def shown(item):
        return tokenizer.apply_chat_template(messages(item["step"]), tokenize=False,
                                             add_generation_prompt=True)  # fmt: skip

    trainer = MAGRPOTrainer(
        agents=[small_model(0), small_model(1)], num_agents=2, tokenizer=tokenizer,
        reward_func=function, formatters=shown,
        train_dataset=Dataset.from_list([{"step": i} for i in range(4)]),
        eval_dataset=Dataset.from_list([{"step": 100 + i} for i in range(2)]),
        args=MAGRPOConfig(
            num_train_epochs=epochs, agent_learning_rate=1e-3, num_generations=4, max_new_tokens=8,
            temperature=1.0, top_p=1.0, top_k=0, num_turns=1, eval_interval=2,
            rollout_buffer_size=2, train_batch_size=2, agent_devices="cpu", **config,
        ),
    )  # fmt: skip
    trainer.verbose = False
    return trainer


def seeded():
    torch.manual_seed(0)
    random.seed(0)


def main() -> None:
    torch.set_num_threads(1)
    folder, document = Path(sys.argv[1]), {"comlrl": version("comlrl")}
    seeded()
    split = SplitRewards(apart)
    trainer = made(split)
    seen, given = [], []
    credit = attach(trainer, "agent_wise", record=folder / "credit.jsonl", check_every=0)
    kernel = trainer._compute_advantages

    def watched(returns):
        values = kernel(returns)
        given.append(values.tolist())
        return values

    trainer._compute_advantages = watched
    call = credit.__class__.__call__

    def noted(self, rewards, labels, **more):
        values = call(self, rewards, labels, **more)
        wanted = advantages(rewards, labels, catalogue()["agent_wise"]).values
        seen.append(
            (
                float(np.abs(values - wanted).max()),
                len(values),
                float(np.mean(np.array(rewards)[np.array(labels["agent"]) == "agent_1"])),
            )
        )
        return values  # fmt: skip

    credit.__class__.__call__ = noted
    trainer.train()
    credit.__class__.__call__ = call
    document["difference"] = max(one[0] for one in seen)
    document["rows"] = [one[1] for one in seen]
    document["paid apart"] = min(one[2] for one in seen)
    document["used"] = len(given)
    document["centered"] = max(abs(sum(one)) for one in given)
    document["normalization"] = trainer.args.advantage_normalization

    seeded()
    first = made(team)
    attach(first, "group_reward_decoupled")
    first.train(checkpoint_dir=str(folder / "c"))
    second = made(team, 2)
    resumed = attach(second, "group_reward_decoupled")
    second.train(resume_from_checkpoint=str(folder / "c" / "checkpoint-1"),
                 checkpoint_dir=str(folder / "c"))  # fmt: skip
    seeded()
    whole = made(team, 2)
    through = attach(whole, "group_reward_decoupled")
    whole.train(checkpoint_dir=str(folder / "w"))
    document["resumed"] = [resumed.updates, through.updates]
    document["same state"] = resumed.state_dict() == through.state_dict()

    rng = np.random.default_rng(0)
    ours, updates = TeamCredit("agent_wise", record=folder / "speed.jsonl"), 200
    labels = {"prompt": [0] * 16, "rollout": [*range(8)] * 2, "agent": ["a"] * 8 + ["b"] * 8}
    begun = time.process_time()  # once: reading the clock takes as long as an update
    for _ in range(updates):
        ours(rng.random(16), labels)
    document["ours ms"] = 1000 * (time.process_time() - begun) / updates
    trainer = made(team)
    begun = time.process_time()
    trainer.train()
    document["step ms"] = 1000 * (time.process_time() - begun) / 2
    print(json.dumps(document))


if __name__ == "__main__":
    main()
