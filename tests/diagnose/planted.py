"""Logs with one condition planted, or its clean twin, and their diagnosis, for the tests here."""

import json
import os

import numpy as np

from counterpoint.diagnose import diagnose
from counterpoint.records import Decisions
from counterpoint.results import document_of

EXAMPLES = int(os.environ.get("COUNTERPOINT_EXAMPLES", "60"))
"""Examples of each law of a diagnosis."""


def log(
    seed,
    *,
    steps=20,
    prompts=4,
    rollouts=8,
    agents=3,
    acts=None,
    reward=None,
    count=None,
    role=None,
    own=None,
):
    """Decisions of a team in which agent `a2` always acts once, and the others as said.

    The arguments are functions of (rng, step [R], block [R]) for `acts` ([R, A] bool), then of
    (rng, acts, step, block) for `reward` [R], `count` [R, A] and `role` [R, A], and of (rng, agent
    [N]) for `own` [N], which is added to the reward of each row.
    """
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(steps * prompts), rollouts)
    step = block // prompts
    active = np.ones((len(block), agents), bool) if acts is None else acts(rng, step, block)
    active[:, -1] = True
    value = rng.normal(size=len(block)) if reward is None else reward(rng, active, step, block)
    times = np.ones(active.shape, int) if count is None else count(rng, value, step, block)
    times = times * active
    rollout = np.repeat(np.arange(len(block)), times.sum(axis=1))
    agent = np.concatenate([np.repeat(np.arange(agents), row) for row in times])
    rewards = value[rollout] + (0 if own is None else own(rng, agent))
    labels = {
        "prompt": block[rollout] % prompts,
        "rollout": rollout,
        "agent": np.array([f"a{k}" for k in range(agents)])[agent],
    }
    if role is not None:
        labels["role"] = role(rng, value, step, block)[rollout, agent]
    return Decisions(rewards[:, None], ("reward",), labels, step[rollout])


def sometimes(rng, step, block):
    """Each agent acts in half of the rollouts."""
    return rng.random((len(step), 3)) < 0.5


def by_prompt(rng, step, block):
    """Each agent acts in half of the prompts, in all their rollouts."""
    return (rng.random((block.max() + 1, 3)) < 0.5)[block]


def made(rewards, labels, step=None, action=None):
    """Decisions from plain columns; two components are called x and y."""
    rewards = np.asarray(rewards, dtype=float)
    rewards = rewards[:, None] if rewards.ndim == 1 else rewards
    names = ("reward",) if rewards.shape[1] == 1 else tuple("xyz"[: rewards.shape[1]])
    labels = {name: np.asarray(column) for name, column in labels.items()}
    step, action = (None if column is None else np.asarray(column) for column in (step, action))
    return Decisions(rewards, names, labels, step, action)


def cube(*sizes):
    """Indices of a full table, flat."""
    return [axis.ravel() for axis in np.indices(sizes)]


def judged(decisions, scheme="mappo_pooled"):
    """The diagnosis, after it was seen to be a JSON document."""
    diagnosis = diagnose(decisions, scheme, rng=np.random.default_rng(0))
    json.dumps(document_of(diagnosis), allow_nan=False)
    return diagnosis


def numbers(diagnosis, name):
    """[A] one number of each agent; NaN where it is undefined."""
    return by_agent({a: getattr(agent, name) for a, agent in diagnosis.agents.items()})


def by_agent(values):
    """[A] the values of a mapping from agents; NaN where they are undefined."""
    return np.array(list(values.values()), dtype=float)


def causes(diagnosis):
    """[A] the cause of each agent; an empty text for none."""
    return [agent.cause or "" for agent in diagnosis.agents.values()]
