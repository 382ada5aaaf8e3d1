"""Our advantages in tinker-cookbook's rollouts, advantages and datums: run by test_tinker.py.

    python tinker_check.py

Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version

import tinker
from tinker_cookbook.completers import TokenCompleter, TokensWithLogprobs
from tinker_cookbook.rl import train
from tinker_cookbook.rl.data_processing import assemble_training_data, compute_advantages
from tinker_cookbook.rl.rollout_limits import TerminationRewardPolicy
from tinker_cookbook.rl.rollouts import do_group_rollout
from tinker_cookbook.rl.types import Env, EnvGroupBuilder, StepResult, StopReason

from counterpoint.credit import Scheme
from counterpoint.errors import HookError, SchemeError
from counterpoint.integrations.tinker import group_rewards, patch

AGENTS, REWARDS = "aabbbb", [0.0, 1.0, 10.0, 12.0, 14.0, 11.0]


class OneWord(Env):
    """One token, then the reward; it says whether a limit stopped it."""

    def __init__(self, agent, reward, stopped=False):
        self.agent, self.reward = agent, reward
        self.metrics = {f"stop/{StopReason.MAX_TOKENS}": 1} if stopped else {}

    async def initial_observation(self):
        return tinker.ModelInput.from_ints([1, 2, 3]), []

    async def step(self, action, *, extra=None):
        return StepResult(
            reward=self.reward, episode_done=True, next_observation=tinker.ModelInput.empty(),
            next_stop_condition=[], logs={"agent": self.agent},
            metrics=self.metrics)  # fmt: skip


class Team(EnvGroupBuilder):
    """Rollouts of two agents; with a scheme, the group's rewards are ours."""

    def __init__(self, scheme=None, rewards=REWARDS, agents=AGENTS, limit=None):
        self.scheme, self.rewards, self.agents, self.limit = scheme, rewards, agents, limit

    async def make_envs(self):
        first = [self.limit is not None, *[False] * len(self.rewards)]
        return [OneWord(*one) for one in zip(self.agents, self.rewards, first, strict=False)]

    async def compute_group_rewards(self, trajectory_group, env_group):
        if self.scheme is None:
            return [(0.0, {}) for _ in trajectory_group]
        return group_rewards(trajectory_group, [env.agent for env in env_group], self.scheme,
                             termination=self.limit)  # fmt: skip


class Policy(TokenCompleter):
    async def __call__(self, model_input, stop, **kwargs):
        return TokensWithLogprobs(tokens=[7, 8], maybe_logprobs=[-0.1, -0.2])


class Words:
    def decode(self, tokens, **kwargs):
        return str(tokens)


def group(*rows, limit=None):
    return asyncio.run(do_group_rollout(Team(*rows, limit=limit), Policy(), termination=limit))


def limited():
    """One trajectory is stopped at a limit; its reward of 1 counts as 0."""
    limit, rows = TerminationRewardPolicy(zero_reward_on_limit=True), ([1.0, 1.0, 0.0, 0.0], "aaaa")
    ours, theirs = group("agent_wise", *rows, limit=limit), group(None, *rows, limit=limit)
    with patch("agent_wise"):
        patched = train.compute_advantages([theirs])[0].tolist()
    return {
        "stock": compute_advantages([theirs])[0].tolist(),
        "group_rewards": compute_advantages([ours])[0].tolist(),
        "patch": patched,
    }


def hooked():
    """An optimizer step before and after our advantages, in the client's own class."""
    before = after = ""
    with patch("agent_wise"):
        try:
            tinker.TrainingClient.optim_step(object())
        except HookError as error:
            before = str(error)
        train.compute_advantages([group()])
        try:
            tinker.TrainingClient.optim_step(object())
        except TypeError:  # of its own method, which was given no parameters
            after = "reached"
    return before, after


def refused(*arguments):
    try:
        group(*arguments)
    except Exception as error:
        return isinstance(error, SchemeError)
    return False


def main():
    rewarded = group("agent_wise")
    advantages = compute_advantages([rewarded])
    data, _ = assemble_training_data([rewarded], advantages)
    document = {
        "version": version("tinker-cookbook"),
        "rewarded": advantages[0].tolist(),
        "datum": [float(one.loss_fn_inputs["advantages"].data[-1]) for one in data],
        "metrics": rewarded.metrics_G[0],
        "own": compute_advantages([group()])[0].tolist(),
        "constant": compute_advantages([group("agent_wise", [0.7] * 7, "a" * 7)])[0].tolist(),
        "singleton": compute_advantages([group("agent_wise", [5.0], "a")])[0].tolist(),
        "refused": refused(Scheme(center="none")),
    }
    groups, own = [group(), group(None, [3.0, 5.0], "ab")], train.compute_advantages
    with patch("mappo_pooled") as credit:
        train.print_group(groups[0], Words())
        before = credit.updates
        document["patched"] = [one.tolist() for one in train.compute_advantages(groups)]
        document["type"] = str(train.compute_advantages(groups)[0].dtype)
        document["updates"] = [before, credit.updates]
    document["limit"] = limited()
    document["hook"], document["stepped"] = hooked()
    document["undone"] = train.compute_advantages is own
    print(json.dumps(document))


main()
