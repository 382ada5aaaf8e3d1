"""Our algorithm in prime-rl's own table, hooks and checkpoints: run by test_prime_rl.py.

    python prime_rl_check.py FOLDER

Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import verifiers.v1 as vf
from prime_rl.configs.algorithm import RAEAlgoConfig
from prime_rl.orchestrator.algo import build_algorithm
from prime_rl.orchestrator.ckpt import CheckpointManager
from prime_rl.orchestrator.trajectories import trace_to_samples
from prime_rl.orchestrator.types import Progress

from counterpoint.errors import SettingError
from counterpoint.integrations.prime_rl import STATE, install

TEAM = [("a", 0.0), ("b", 10.0), ("a", 1.0), ("b", 12.0), ("b", 14.0), ("b", 11.0)]
EPISODES = (0, 0, 1, 1, 2, 3)  # a is in two of four, b in all


def trace(agent, reward, *, ok=True, trainable=True, sampled=2):
    nodes = [
        vf.MessageNode(message=vf.UserMessage(content="q"), token_ids=[0], mask=[False],
                       logprobs=[0.0], sampled=False, parent=None),
        vf.MessageNode(message=vf.AssistantMessage(content="a"), token_ids=list(range(sampled)),
                       mask=[True] * sampled, logprobs=[-0.1] * sampled, sampled=True, parent=0),
    ]  # fmt: skip
    return vf.Trace[vf.TaskData](
        task=vf.TraceTask(type="Task", data=vf.TaskData(idx=0, prompt=None)),
        agent=vf.AgentInfo(config=vf.AgentConfig(), name=agent, trainable=trainable),
        nodes=nodes if sampled else nodes[:1],
        rewards={} if reward is None else {"own": vf.Reward(score=reward)},
        ok=ok,
    )


def episodes(rows, places, env="team", group="g"):
    made = {}
    for place, one in zip(places, rows, strict=True):
        made.setdefault(place, []).append(one)
    return [
        vf.Episode(env=vf.EnvInfo(id=env, name=env), task=traces[0].task,
                   group=vf.GroupInfo(id=group), traces=traces)
        for traces in made.values()
    ]  # fmt: skip


def scored(algorithm, made):
    asyncio.run(algorithm.finalize_group(made))
    return [
        [value for node in one.nodes for value in node.advantages or []]
        for episode in made
        for one in episode.traces
    ]


def group(more_reward=0.0, **more):
    rows = [trace(agent, reward + more_reward) for agent, reward in TEAM]
    return episodes(rows, EPISODES, **more)


class Sources:
    """A source of tasks without a state of its own."""

    curricula = {}  # noqa: RUF012

    def state_dict(self):
        return {"envs": {}}

    def load_state_dict(self, state):
        assert state == {"envs": {}}


def resumed(folder):
    """Two groups, a checkpoint, a third; then a restart that resumes and repeats the third."""

    def algorithm_of(credits):
        return build_algorithm(RAEAlgoConfig(), None), credits

    first, credits = algorithm_of(install("group_reward_decoupled"))
    scored(first, group(group="0"))
    scored(first, group(env="other", group="1"))
    manager = CheckpointManager(folder, SimpleNamespace(skip_progress=False))
    progress = Progress()
    progress.step = 4
    manager.save(progress, Sources(), 3)
    state = credits.state_dict()
    third = scored(first, group(3.0, group="2"))
    second, again = algorithm_of(install("group_reward_decoupled"))
    loaded = Progress()
    manager.load(loaded, Sources(), 3)
    same = again.state_dict() == state
    repeated = scored(second, group(3.0, group="2"))
    _, elsewhere = algorithm_of(install("group_reward_decoupled"))
    manager.load(Progress(), Sources(), 9, manager.get_ckpt_path(3))
    return {
        "step": loaded.step,
        "same": same,
        "envs": sorted(state),
        "equal": third == repeated,
        "elsewhere": elsewhere.state_dict() == state,
        "file": (manager.get_ckpt_path(3) / STATE).exists(),
        "cold": scored(build_algorithm(RAEAlgoConfig(), None), group(3.0, env="new")) != third,
    }


def refused(call):
    try:
        call()
    except Exception as error:
        return isinstance(error, SettingError)
    return False


def main(folder):
    credits = install("agent_wise", record=folder / "credit.jsonl")
    algorithm = build_algorithm(RAEAlgoConfig(), None)
    made = group()
    uneven = scored(algorithm, made)
    sample = trace_to_samples(made[0].traces[0], env_name="team")
    odd = episodes(
        [trace("a", 0.0), trace("a", 9.0, ok=False), trace("judge", 5.0, trainable=False),
         trace("a", 1.0), trace("a", 7.0, sampled=0), trace("a", None)],
        (0, 0, 0, 1, 1, 2),
    )  # fmt: skip
    document = {
        "uneven": [one[0] for one in uneven],
        "tokens": [len(one) for one in uneven],
        "sample": [list(one.advantages) for one in sample],
        "odd": scored(algorithm, odd),
        "nothing": scored(algorithm, episodes([trace("a", 1.0, ok=False)], (0,))),
        "constant": [scored(algorithm, episodes([trace("a", 0.7)] * 7, range(7)))[i][0]
                     for i in range(7)],
        "updates": credits.of("team").updates,
        "refused": [refused(lambda name=name: install(replaces=name)) for name in ("sft", "x")],
        "resumed": resumed(folder),
    }  # fmt: skip
    print(json.dumps(document))


main(Path(sys.argv[1]))
