"""Two of verl's workers write rollouts into its real queue, and two read their advantages.

    python verl_workers_check.py

Run by test_two_processes.py. Ray, the queue and the trainer's function are the packages' own; the
workers put rows as an agent loop does. Each has every second row, so that prompts, agents and
rollouts span both. Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import ray
import torch
import transfer_queue
from verl.trainer.config import AlgoConfig
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from counterpoint.integrations.verl import register
from counterpoint.integrations.verl_trainer import register_trainer
from counterpoint.testing.adapters import SCHEMES, kernel, silent
from counterpoint.testing.situations import FEATURES, situations

sys.path.append(str(Path(__file__).resolve().parents[1]))

from adapter_layouts import nan

TOKENS = 3


@ray.remote(num_cpus=0)
class Worker:
    """A process that writes rollouts and trains on the advantages of its part."""

    def __init__(self):
        torch.set_num_threads(1)
        transfer_queue.init()

    def put(self, keys, rows, partition):
        """Stores rows, as `agent_loop_tq.py` does."""
        fields = list_of_dict_to_tensordict(
            [
                {
                    "uid": row["uid"],
                    "response_mask": torch.ones(row["tokens"], dtype=torch.int64),
                    "rm_scores": torch.tensor([0.0] * (row["tokens"] - 1) + [row["reward"]]),
                    "extra_fields": row["extra_fields"],
                }
                for row in rows
            ]
        )
        transfer_queue.kv_batch_put(
            keys=keys, fields=fields, tags=[{"status": "success"}] * len(keys),
            partition_id=partition,
        )  # fmt: skip

    def advantages(self, keys, partition):
        """Returns the advantage of the first token of each row."""
        data = transfer_queue.kv_batch_get(
            keys=keys, partition_id=partition, select_fields=["advantages"]
        )
        return [float(one[0]) for one in data["advantages"].unbind()]


def rows_of(batch):
    """Returns keys [N] and rows [N]; an agent's outputs of a session are numbered in order."""
    keys, rows, counts = [], [], {}
    for i, (group, rollout) in enumerate(zip(batch.group, batch.rollout, strict=True)):
        number = counts[group, rollout] = counts.get((group, rollout), -1) + 1
        keys.append(f"u{group}_{rollout}_{number}")
        names = ("agent", "role", "turn")
        extra = {n: getattr(batch, n)[i] for n in names if getattr(batch, n) is not None}
        rows.append(
            {"uid": f"u{group}", "reward": nan(batch.rewards[i]), "tokens": 1 + i % TOKENS,
             "extra_fields": extra}
        )  # fmt: skip
    return keys, rows


class Keys(SimpleNamespace):
    """What verl's trainer gets: the keys of a batch, here as its queue returns them."""

    def __len__(self):
        return len(self.keys)


def main() -> None:
    torch.set_num_threads(1)
    ray.init(
        num_cpus=8,  # the queue asks for one for each of its own processes
        include_dashboard=False,
        log_to_driver=False,
        _system_config={"worker_niceness": 0},  # they starve on a busy machine otherwise
    )
    transfer_queue.init()
    workers = [Worker.remote() for _ in range(2)]
    has = frozenset(FEATURES) - {"names", "components", "twice"}
    differences, alone, number = [], [], 0
    for scheme in ("agent_wise", "grpo_rows", "agent_wise,weighting=trajectory", SCHEMES[-1]):
        name = f"counterpoint_{number}"
        made = register_trainer(register(name, silent(scheme)), name)
        trainer = made.__new__(made)
        trainer.config = SimpleNamespace(
            algorithm=AlgoConfig(adv_estimator=name),
            actor_rollout_ref=SimpleNamespace(rollout=SimpleNamespace(n=4)),
        )
        known = None
        for situation in situations(has):
            for batch in situation.batches.values():
                number, partition = number + 1, f"train{number}"
                keys, rows = rows_of(batch)
                parts = [range(process, len(batch), 2) for process in (0, 1)]
                ray.get([
                    worker.put.remote([keys[i] for i in own], [rows[i] for i in own], partition)
                    for worker, own in zip(workers, parts, strict=True)
                ])  # fmt: skip
                trainer._compute_advantage(Keys(keys=keys, partition_id=partition), {})
                read = ray.get([
                    worker.advantages.remote([keys[i] for i in own], partition)
                    for worker, own in zip(workers, parts, strict=True)
                ])  # fmt: skip
                values = np.full(len(batch), np.nan)
                for own, part in zip(parts, read, strict=True):
                    values[list(own)] = part
                wanted, known = kernel(batch, scheme, known)
                scale = np.maximum(1, np.abs(wanted))
                differences.append(float((np.abs(values - wanted) / scale).max()))
                for own in parts if scheme == "agent_wise" else ():
                    part = kernel(batch.taken(np.array(own)), scheme)[0]
                    alone.append(float(np.abs(part - wanted[list(own)]).max()))
                transfer_queue.kv_clear(keys=keys, partition_id=partition)
    document = {
        "calls": len(differences), "difference": max(differences),
        "processes alone": float(np.median(alone)),
    }  # fmt: skip
    transfer_queue.close()
    ray.shutdown()
    print(json.dumps(document))


if __name__ == "__main__":
    main()
