"""Our estimator in verl's own registry, functions and default trainer: run by test_verl.py.

    python verl_check.py FOLDER

Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import transfer_queue
import verl
from verl import DataProto
from verl.trainer.config import AlgoConfig
from verl.trainer.ppo.ray_trainer import compute_advantage
from verl.trainer.ppo.v1 import get_trainer_cls, trainer_base
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from counterpoint.integrations.verl import register
from counterpoint.integrations.verl_trainer import STATE, register_trainer


def batch(rewards, uids, masks=None, tokens=3):
    paid = torch.zeros(len(rewards), tokens)
    paid[:, -1] = torch.tensor(rewards, dtype=torch.float32)
    mask = torch.ones(len(rewards), tokens, dtype=torch.int64)
    for row in masks or ():
        mask[row] = 0
    return DataProto.from_dict(
        tensors={"token_level_rewards": paid, "response_mask": mask, "responses": mask},
        non_tensors={"uid": np.array(uids, dtype=object)},
    )


def advantages(name, rewards, uids, masks=None):
    data = compute_advantage(batch(rewards, uids, masks), name, config=AlgoConfig())
    return data.batch["advantages"][:, 0].tolist()


def refused(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return None


class Queue:
    """The rows of verl's queue in this process, stored as an agent loop stores them."""

    def __init__(self, keys, rows):
        self.keys, self.rows, self.put = keys, rows, {}

    def kv_batch_get(self, keys, partition_id, select_fields):
        return list_of_dict_to_tensordict(
            [
                {k: v for k, v in self.rows[self.keys.index(key)].items() if k in select_fields}
                for key in keys
            ]
        )

    def kv_batch_put(self, keys, partition_id, fields):
        self.put = dict(fields.items())
        return SimpleNamespace(keys=keys, partition_id=partition_id)


def trained(folder, credit):
    """One `_compute_advantage` of verl's trainer with two agents, then its checkpoint."""
    who = [("p", s, i, agent) for s in range(2) for i, agent in enumerate("ab")]
    own = [0.0, 100.0, 1.0, 102.0]
    rows = [
        {
            "uid": uid,
            "response_mask": torch.ones(2 + i, dtype=torch.int64),
            "rm_scores": torch.tensor([0.0] * (1 + i) + [102.0]),
            "extra_fields": {"agent": agent, "agent_reward": reward},
        }
        for (uid, _, i, agent), reward in zip(who, own, strict=True)
    ]
    keys = [f"{uid}_{session}_{i}" for uid, session, i, _ in who]
    rows.append({**rows[0], "uid": "padff", "response_mask": torch.zeros(1, dtype=torch.int64),
                 "rm_scores": torch.zeros(1)})  # fmt: skip
    keys.append("padff_0_0")
    queue = Queue(keys, rows)
    transfer_queue.kv_batch_get = queue.kv_batch_get
    transfer_queue.kv_batch_put = queue.kv_batch_put
    made = get_trainer_cls("counterpoint")
    trainer = made.__new__(made)
    algorithm = AlgoConfig(adv_estimator="counterpoint_agents")
    trainer.config = SimpleNamespace(
        algorithm=algorithm,
        actor_rollout_ref=SimpleNamespace(rollout=SimpleNamespace(n=2)),
        trainer=SimpleNamespace(default_local_dir=str(folder), resume_mode="auto"),
    )
    trainer.global_steps, metrics = 3, {}
    made.__mro__[1]._update_actor = lambda self, batch, metrics: "updated"
    unreached = refused(lambda: trainer._update_actor(Sized(keys), metrics))
    trainer._compute_advantage(Sized(keys), metrics)
    base = made.__mro__[2]  # under the class that keeps our state
    base._save_checkpoint = lambda self: (Path(folder) / "global_step_3").mkdir()
    base._load_checkpoint = lambda self: setattr(self, "global_steps", 3)
    trainer._save_checkpoint()
    state = credit.state_dict()
    credit.updates = 99
    trainer._load_checkpoint()
    return {
        "advantages": [one[0].item() for one in queue.put["advantages"].unbind()],
        "unreached": unreached,
        "reached": trainer._update_actor(Sized(keys), metrics),
        "restored": credit.state_dict() == state,
        "file": (Path(folder) / "global_step_3" / STATE).exists(),
        "metrics": sorted(metrics),
        "base": f"{base.__module__}.{base.__name__}",
    }


class Sized:
    """What the trainer is handed: the keys of a batch."""

    partition_id = "train"

    def __init__(self, keys):
        self.keys = keys

    def __len__(self):
        return len(self.keys)


def main(folder):
    credit = register("counterpoint", "agent_wise", record=folder / "credit.jsonl")
    uneven = [0.0, 1.0, 10.0, 12.0, 14.0, 11.0]
    uids = ["p:a"] * 2 + ["p:b"] * 4
    v1 = compute_advantage_for_multi_trajectories(
        batch(uneven, uids), batch_keys=[f"p_{i}_0" for i in range(6)],
        adv_estimator="counterpoint", config=AlgoConfig())  # fmt: skip
    document = {
        "uneven": advantages("counterpoint", uneven, uids),
        "default_trainer": v1.batch["advantages"][:, 0].tolist(),
        "constant": advantages("counterpoint", [0.7] * 7, ["p:a"] * 7),
        "large_constant": advantages("counterpoint", [1000.1] * 3, ["p:a"] * 3),
        "singleton": advantages("counterpoint", [5.0], ["p:a"]),
        "missing": advantages("counterpoint", [1.0, float("nan"), 0.0], ["p:a"] * 3),
        "padded": advantages("counterpoint", [0.0, 1.0, 50.0], ["p:a", "p:a", "padff"], [2]),
        "without_agents": refused(lambda: advantages("counterpoint", [1.0, 0.0], ["p", "p"])),
        "taken": refused(lambda: register("grpo")),
        "again": refused(lambda: register("counterpoint")),
    }
    credit = register("counterpoint_agents", "agent_wise", record=folder / "agents.jsonl")
    register_trainer(credit)
    document["trainer"] = trained(folder, credit)
    document["version"] = verl.__version__
    document["queue"] = trainer_base.tq is transfer_queue
    print(json.dumps(document))


main(Path(sys.argv[1]))
