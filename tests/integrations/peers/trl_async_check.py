"""Our advantages in the rollout loop of TRL's asynchronous trainer.

test_stand_in_trainers.py runs it:

    python trl_async_check.py FOLDER

The loop scores groups itself; nothing is generated. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import queue
import sys
from pathlib import Path

import trl
from accelerate.state import PartialState
from datasets import Dataset
from small_qwen2 import small_tokenizer
from trl.experimental.async_grpo.async_rollout_worker import RolloutGroup, TrainingSequence

from counterpoint.errors import SchemeError
from counterpoint.integrations.trl import COLUMNS
from counterpoint.integrations.trl_async_classes import CreditedLoop
from counterpoint.integrations.trl_groups import saved_state


def paid(completions, paid, **columns):
    return paid


def extra(completions, more, **columns):
    return more


def loop(scheme, folder, **more):
    process = multiprocessing.get_context("spawn")
    tokenizer = small_tokenizer()
    tokenizer.response_template = tokenizer.response_schema = {}  # nothing is parsed here
    credit = {"scheme": scheme, "columns": COLUMNS, "options": {"check_every": 0},
              "live": str(folder / "checkpoint" / "counterpoint_credit.json"), **more}  # fmt: skip
    return CreditedLoop(
        credit=credit, model_name="m", dataset=Dataset.from_list([{"prompt": "p"}]),
        reward_funcs=[paid, extra], processing_class=tokenizer, eos_token_ids=[0],
        rollout_buffer=queue.Queue(), model_version_value=process.Value("i", 0),
        heartbeat_value=process.Value("d", 0.0), failed_event=process.Event(),
        exception_info_queue=queue.Queue(), metrics_queue=queue.Queue(),
    )  # fmt: skip


def group(rewards, more, rows, agent="a", number=0):
    count = len(rewards)
    sequence = TrainingSequence([1, 2, 3], [0, 1, 1], [0.0, -0.1, -0.1], "r")
    columns = {"paid": rewards, "more": more, "task": ["t"] * count}
    return RolloutGroup(
        prompts=[[]] * count, completions=[[]] * count, completions_ids=[[2, 3]] * count,
        reward_kwargs=columns | ({"agent": [agent] * count} if agent else {}),
        completions_sequences=[[sequence] * n for n in rows], tool_call_counts=[0] * count,
        tool_failure_counts=[0] * count, model_version=0, group_id=number,
        env_rewards=[None] * count, rollout_rewards=[None] * count,
    )  # fmt: skip


def scored(made, *given, **more):
    samples = asyncio.run(made._score_group(group(*given, **more)))
    return [one.advantage for one in samples]


def main(folder):
    PartialState()  # for the loop's messages
    (folder / "checkpoint").mkdir()
    own = loop("agent_wise", folder)
    document = {
        "version": trl.__version__,
        "forked": scored(own, [1.0, 0.0, None, 2.0], [None, 0.5, None, 1.0], [1, 2, 1, 3]),
        "without_rows": scored(own, [1.0, 50.0, 0.0], [0.0, 0.0, 0.0], [1, 0, 1]),
        "constant": scored(own, [0.7] * 7, [0.1] * 7, [1] * 7),
        "metrics": sorted(own._metrics_queue.get_nowait())[:1],
        "plain": scored(loop("grpo", folder), [1.0, 0.0], [0.0, 0.0], [1, 1], agent=None),
    }
    try:
        scored(loop("grpo", folder), [1.0, 0.0], [0.0, 0.0], [1, 1])
    except SchemeError:
        document["compared"] = "refused"
    first = loop("group_reward_decoupled", folder)
    scored(first, [1.0, 3.0], [0.0, 0.0], [1, 1])
    state = saved_state(str(folder / "checkpoint"), "group_reward_decoupled")
    second = loop("group_reward_decoupled", folder, state=state)
    later = [5.0, 7.5], [0.0, 0.0], [1, 1]
    document["resumed"] = scored(first, *later) == scored(second, *later) == [3.0, 5.5]
    print(json.dumps(document))


main(Path(sys.argv[1]))
