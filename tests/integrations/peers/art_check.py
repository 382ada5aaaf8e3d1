"""Our groups in ART's own data types, gathering and tokenizing: run by test_art.py.

    python art_check.py FOLDER [training]

With `training`, ART's own advantages are computed from our groups, which takes torch. Prints one
JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib.metadata import distributions

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import art

from counterpoint.integrations import TeamCredit
from counterpoint.integrations.art import after_each, credited, load_state, save_state
from counterpoint.integrations.judged import art_judge
from counterpoint.judge import RankSettings
from counterpoint.judge.judges import Opinion, written


class Longest:
    """Likes long answers."""

    facts = {"judge": "longest"}  # noqa: RUF012
    at_once = 4

    def judge(self, sheets):
        return [Opinion(written(one, [len(s.text) for s in one.shown])) for one in sheets]


def run(agent, reward):
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": f"{reward}"}]
    return art.Trajectory(messages_and_choices=talk, reward=reward, metadata={"agent": agent})


def both(i=0):
    """Two agents, unevenly often."""
    rows = [("a", 0.0), ("b", 10.0), ("b", 12.0), ("a", 1.0), ("b", 14.0), ("b", 11.0)]
    return art.TrajectoryGroup([run(a, r + i) for a, r in rows], metadata={"prompt": i})


def rows_of(groups):
    kept = [(g, [t for t in g if not t.metadata.get("balance")]) for g in groups]
    return [[g.metadata["agent"], [t.reward for t in own],
             [t.metrics.get("reward_raw") for t in own]] for g, own in kept]  # fmt: skip


async def rollout(group):
    return group


def gathered(groups, each):
    pending = art.gather_trajectory_groups(
        [rollout(group) for group in groups], pbar_desc=None, after_each=each
    )
    return asyncio.run(pending)


def theirs(groups):
    """The advantages ART's local backend trains with, given our groups and no normalization."""
    import art.preprocessing.tokenize as tokenize

    results, real = [], tokenize.tokenize_trajectory

    def seen(tokenizer, images, history, advantage, allow, trajectory, **more):
        if trajectory.metadata.get("balance"):
            assert real(tokenizer, images, history, advantage, allow, trajectory, **more) is None
        else:
            results.append([trajectory.metadata["agent"], trajectory.metrics["reward_raw"],
                          advantage])  # fmt: skip

    tokenize.tokenize_trajectory = seen
    list(tokenize.tokenize_trajectory_groups(
        None, groups, False, False, drop_zero_advantage_trajectories=False))  # fmt: skip
    return results


def main(folder):
    document = {"version": next(d.version for d in distributions() if d.name == "openpipe-art")}
    if len(sys.argv) > 2:
        exact = gathered([both()], after_each("agent_wise"))
        document["local"] = theirs(exact)
        document["balanced"] = theirs(gathered([both()], after_each("mappo_pooled", balance=True)))
        print(json.dumps(document))
        return
    document["gathered"] = rows_of(gathered([both(0), both(1)], after_each("agent_wise")))
    document["batch"] = rows_of(
        credited([both(0), both(5)], TeamCredit("mappo_pooled"), balance=True))  # fmt: skip
    odd = art.TrajectoryGroup([run("a", 0.7)] * 7 + [run("b", 5.0), run("c", float("nan"))])
    document["odd"] = rows_of(gathered([odd], after_each("agent_wise")))
    running = TeamCredit("group_reward_decoupled")
    credited([both(0)], running)
    model = art.Model(name="m", project="p", base_path=str(folder))
    save_state(model, running)
    save_state(model, running)
    again = TeamCredit("group_reward_decoupled")
    document["loaded"] = load_state(model, again) and again.state_dict() == running.state_dict()
    judge = art_judge(Longest(), RankSettings(canaries="none"))
    document["judged"] = [t.reward for (one,) in [gathered([both()], judge)] for t in one]
    print(json.dumps(document))


main(sys.argv[1])
