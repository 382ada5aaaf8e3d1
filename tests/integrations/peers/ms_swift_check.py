"""Our advantages in the function of ms-swift's `GRPOTrainer`: run by test_stand_in_trainers.py.

    python ms_swift_check.py

The trainer has no model. Prints one JSON line.
"""

from __future__ import annotations

import json
from collections import defaultdict
from types import SimpleNamespace

import swift
import swift.rlhf_trainers
import torch
from accelerate import PartialState
from swift.rl_core.data import GRPOSample
from swift.rlhf_trainers.grpo_trainer import GRPOTrainer

from counterpoint.integrations import TeamCredit
from counterpoint.integrations.ms_swift import install, with_credit

NAN = float("nan")


def made(
    scheme, base=None, *, dynamic=False, training=True, components=2, generations=2, columns=None
):
    cls = with_credit(GRPOTrainer, scheme, columns=columns) if base is None else base
    trainer = cls.__new__(cls)
    trainer.team_credit = TeamCredit(scheme, check_every=0)
    trainer.model = SimpleNamespace(training=training)
    trainer.accelerator = PartialState(cpu=True)
    trainer.num_generations = trainer.num_generations_eval = generations
    trainer.dynamic_num_samples, trainer.kl_in_reward, trainer.beta = dynamic, False, 0.0
    trainer.reward_weights = torch.ones(components)
    trainer.reward_func_names = ["x", "y"][:components]
    trainer.advantage_estimator, trainer.scale_rewards = "grpo", "group"
    trainer._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
    trainer._logs = {"rewards": defaultdict(list)}
    return trainer


def computed(trainer, rows, requests=None):
    """Advantages of rows: agent, first and second reward."""
    samples = [
        GRPOSample(messages=[], extra={"agent": agent, "task": "t"}, prompt_id=agent,
                   request_id=str(i) if requests is None else requests[i])
        for i, (agent, *_) in enumerate(rows)
    ]  # fmt: skip
    rewards = torch.tensor([[*paid] for _, *paid in rows], dtype=torch.float32)
    return trainer._compute_advantages(samples, rewards, []).tolist()


TEAM = [("a", 0.0, NAN), ("a", 1.0, NAN), ("b", NAN, 100.0), ("b", NAN, 102.5)]


def main():
    trainer = made("agent_wise")
    evaluation = made("agent_wise", training=False)
    theirs = GRPOTrainer
    install("agent_wise")
    document = {
        "version": swift.__version__,
        "own": computed(trainer, TEAM),
        "pooled": computed(made("grpo_rows"), TEAM),
        "missing": computed(made("agent_wise"), [("a", NAN, NAN), ("a", 1.0, NAN)]),
        "constant": computed(made("agent_wise"), [("a", 0.7, 0.1)] * 2),
        "stock": computed(made("agent_wise", GRPOTrainer), TEAM),
        "metrics": sorted(
            n for n in trainer._metrics["train"] if n.startswith("counterpoint/dead")
        ),
        "evaluation": [computed(evaluation, TEAM), evaluation.team_credit.updates],
        "requests": computed(
            made("agent_wise", dynamic=True),
            [("a", 1.0, NAN), ("a", 1.0, NAN), ("a", 0.0, NAN), ("b", 7.0, NAN), ("b", 9.0, NAN)],
            ["0", "0", "1", "2", "3"],
        ),
        "installed": swift.rlhf_trainers.GRPOTrainer.__mro__[3] is theirs,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
