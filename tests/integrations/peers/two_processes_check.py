"""A trainer of two processes trains what the kernel computes: run by test_two_processes.py.

    python -m torch.distributed.run --nproc-per-node 2 two_processes_check.py PACKAGE FOLDER

PACKAGE is trl or ms_swift. Each process has half of the rows of every situation, so that prompts,
agents and rollouts span both, and no process could compute their statistics alone. Process 0 prints
one JSON line.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from small_qwen2 import messages

from counterpoint.credit import Mix, PerRole, advantages, scheme_named
from counterpoint.testing.adapters import SCHEMES, kernel, silent, steps
from counterpoint.testing.situations import FEATURES, situations

CANNOT = {"names", "twice"}
"""As in trl_conformance_check.py."""


def joint():
    """Returns schemes made of several schemes."""
    plain = [scheme_named(name) for name in ("agent_wise", "grpo_rows", "rank")]
    return [Mix(((1.0, plain[0]), (0.5, plain[1]))), PerRole((("lead", plain[2]),), plain[0])]


def even(batch):
    """Returns the batch with an even number of rows: processes have equally many.

    The row that is added has no reward, so that it is in no statistic.
    """
    if len(batch) % 2 == 0:
        return batch
    longer = batch.taken(np.array([*range(len(batch)), 0]))
    nothing = [None] * len(batch.rewards[0]) if isinstance(batch.rewards[0], list) else None
    return replace(
        longer, rewards=[*batch.rewards, nothing], group=[*batch.group, max(batch.group) + 1]
    )


def half(batch, rank):
    """Returns the rows of a process."""
    size = len(batch) // 2
    return batch.taken(np.arange(size * rank, size * (rank + 1)))


def trl(folder):
    from trl_conformance_check import InTrl

    return InTrl(folder)


def ms_swift(folder):
    from ms_swift_conformance_check import InMsSwift

    return InMsSwift(folder)


def apart(values, wanted):
    """Returns the largest difference, relative to advantages above 1."""
    return float((np.abs(values - wanted) / np.maximum(1, np.abs(wanted))).max())


def trained(adapter, folder):
    """Trains with an uneven team: of three prompts with four answers, the second spans both."""
    seen = []

    def noted(rows, rewards, values):
        own = [(row["task"], row["agent"], float(r), float(v))
               for row, r, v in zip(rows, rewards, values, strict=True)]  # fmt: skip
        seen.append(gather_object(own))

    agents = ("planner", "coder", "planner")  # task 0: planner, coder; task 1: planner
    tasks = [{"prompt": messages(i), "task": i // 2, "agent": agents[i % 3]} for i in range(12)]
    adapter.train(folder, noted, tasks)
    differences = []
    for rows in seen:
        task, agent, rewards, values = (list(column) for column in zip(*rows, strict=True))
        place = [i % 4 for i in range(len(rows))]
        labels = {"prompt": task, "agent": agent, "rollout": place}
        wanted = advantages(rewards, labels, scheme_named("agent_wise")).values
        differences.append(apart(np.array(values), wanted))
    return {"steps": len(seen), "rows": len(seen[0]), "difference": max(differences)}


def main() -> None:
    torch.set_num_threads(1)
    state = PartialState(cpu=True)
    rank, folder = state.process_index, Path(sys.argv[2])
    adapter = globals()[sys.argv[1]](folder)
    has = frozenset(FEATURES) - CANNOT
    differences, alone, spanned = [], [], 0

    def compared(batch, credit, wanted):
        values = np.array(gather_object(list(adapter(half(batch, rank), credit))))
        differences.append(apart(values, wanted))

    plain = [name for name in SCHEMES if not scheme_named(name).keeps_state]
    for situation in situations(has):
        for batch in map(even, situation.batches.values()):
            spanned += bool({*half(batch, 0).group} & {*half(batch, 1).group})
            for scheme in (*plain, *(joint() if situation.roles else ())):
                wanted = kernel(batch, scheme)[0]
                compared(batch, silent(scheme), wanted)
                parts = [kernel(half(batch, process), scheme)[0] for process in (0, 1)]
                alone.append(apart(np.concatenate(parts), wanted))
    known, credit = None, silent(SCHEMES[-1])
    for batch in map(even, steps(has)):
        wanted, known = kernel(batch, SCHEMES[-1], known)
        compared(batch, credit, wanted)
    states = gather_object([json.dumps(credit.state_dict())])
    training = trained(adapter, folder)
    if state.is_main_process:
        document = {
            "processes": state.num_processes, "backend": state.backend, "calls": len(differences),
            "spanned": spanned, "difference": max(differences), "same state": len({*states}) == 1,
            "processes alone": float(np.median(alone)), "training": training,
        }  # fmt: skip
        print(json.dumps(document))
    state.destroy_process_group()


if __name__ == "__main__":
    main()
