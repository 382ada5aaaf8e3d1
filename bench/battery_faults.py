"""Logs that are too small or very wide, and logs that are broken themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from battery_case import NONE, Case, Causes, Rng, Truth, pick, world
from battery_files import Columns
from battery_healthy import healthy_own, healthy_shared, healthy_single_binary, sparse_terminal
from battery_planted import drowned, offset

SMALL = ("cannot tell", "no-op")
"""With one shared reward and everybody present, no-op is arithmetic at any size."""


def twenty_rows(rng: Rng) -> Case:
    """The log has about 20 rows: whatever is planted, no scheme can be recommended, and no agent is
    accused of what was not planted.
    """
    agents = int(rng.integers(2, 4))
    make = (healthy_own, healthy_shared, drowned, offset)[int(rng.integers(4))]
    case = make(rng)
    agents = min(agents, case.world.n_agents)
    small = replace(
        case.world,
        agents=case.world.agents[:agents],
        skill=case.world.skill[:agents],
        gain=None if case.world.gain is None else case.world.gain[:agents],
        offset=None if case.world.offset is None else case.world.offset[:agents],
        prompts=2,
        rollouts=max(2, round(10 / agents)),
        fresh=True,
    )
    causes = {k: (*v, None) for k, v in case.truth.causes.items() if k in small.agents}
    verdicts = SMALL if make is healthy_shared else SMALL[:1]
    truth = Truth(causes, (*case.truth.others, None), verdicts, silent=True)
    return replace(case, kind="20 rows", world=small, truth=truth, updates=1)


def fifty_healthy(rng: Rng) -> Case:
    """Fifty agents have rewards of their own that are alike."""
    team_ = world(rng, 50, low=0.4, high=0.6, noise=0.1, prompts=4, rollouts=8, contexts=4)
    scheme = pick(rng, ("mappo_pooled", "mappo_per_agent", "agent_wise"))
    return Case("50 agents: healthy", team_, scheme, Truth(), 10)


def fifty_planted(rng: Rng) -> Case:
    """Among fifty agents two are quiet, or one is far off."""
    gain = away = None
    if rng.random() < 0.5:
        gain = np.where(np.arange(50) < 2, 1.0, 60.0)
        cause = "DROWNED"
    else:
        away = np.where(np.arange(50) == 0, 30.0, 0.0)
        cause = "OFFSET"
    team_ = world(
        rng,
        50,
        low=0.4,
        high=0.6,
        noise=0.1,
        prompts=4,
        rollouts=8,
        contexts=4,
        gain=gain,
        offset=away,
        centered=True,
    )
    planted = team_.agents[: 2 if away is None else 1]
    # 30 over 50 agents puts the pooled mean 1.2 deviations off for the others: either is honest
    others = NONE if away is None else (None, "OFFSET")
    truth = Truth(dict.fromkeys(planted, (cause,)), others, ("matters",))
    return Case("50 agents: planted", team_, "mappo_pooled", truth, 10, 0.03)


def _any(rng: Rng) -> Case:
    make = (healthy_single_binary, healthy_shared, healthy_own)[int(rng.integers(3))]
    case = make(rng)
    return replace(case, world=replace(case.world, fresh=False), updates=12)


def fault_two_runs(rng: Rng) -> Case:
    """One file has two runs, the second with other rewards."""
    case, shift = _any(rng), float(rng.choice([0.0, 50.0]))
    flip = np.random.default_rng(int(rng.integers(10**6)))

    def spoil(log: Columns) -> Columns:
        other = replace(log, rewards=flip.permutation(log.rewards) + shift)
        return log.then(other)

    return _faulty(case, "two runs in one file", "repeated keys", spoil)


def fault_rows_twice(rng: Rng) -> Case:
    """Every row is written twice: at once, or the whole file behind itself."""
    at_once = bool(rng.random() < 0.5)

    def spoil(log: Columns) -> Columns:
        return log.rows(np.repeat(np.arange(len(log)), 2)) if at_once else log.then(log)

    return _faulty(_any(rng), "each row twice", "repeated rows", spoil)


def fault_same_prompt_twice(rng: Rng) -> Case:
    """A batch asks one prompt twice, and numbers the rollouts alike."""

    def spoil(log: Columns) -> Columns:
        prompts = log.labels["prompt"]
        merged = {**log.labels, "prompt": np.where(prompts == prompts.max(), 0, prompts)}
        return replace(log, labels=merged)

    case = _any(rng)
    everything = replace(case.world, prompts=case.world.contexts)
    return _faulty(replace(case, world=everything), "a prompt twice", "repeated keys", spoil)


def fault_constant(rng: Rng) -> Case:
    """The reward function always answers the same."""
    value = float(rng.choice([0.0, 1.0, -0.37]))
    return _faulty(
        _any(rng),
        "constant reward",
        "constant",
        lambda log: replace(log, rewards=np.full_like(log.rewards, value)),
    )


def fault_missing(rng: Rng) -> Case:
    """The judge was down: every reward is missing."""
    return _faulty(
        _any(rng),
        "all missing",
        "missing",
        lambda log: replace(log, rewards=np.full_like(log.rewards, math.nan)),
    )


def fault_agent_missing(rng: Rng) -> Case:
    """One agent is never paid: it has rows, and all its rewards are missing."""
    case = healthy_own(rng)
    name = case.world.agents[0]

    def spoil(log: Columns) -> Columns:
        unpaid = (log.labels["agent"] == name)[:, None]
        return replace(log, rewards=np.where(unpaid, np.nan, log.rewards))

    truth = Truth({name: (None, "DEAD")}, fault="agent missing")
    return replace(case, kind="fault: an agent without rewards", truth=truth, spoil=spoil)


def fault_last_row(rng: Rng) -> Case:
    """The reward of an episode stands in its last row alone."""
    case = sparse_terminal(rng)
    truth = Truth(fault="last row")
    return replace(case, kind="fault: reward in the last row", truth=truth)


def fault_one_component(rng: Rng) -> Case:
    """A judge's score varies some hundred times as much as correctness, and is only noise."""
    team_ = world(rng, 1, agents=("policy",), parts="loud_judge", fresh=False)
    truth = Truth(others=(None, "DROWNED", "DILUTED"), fault="one component")
    return Case("fault: one component carries all", team_, pick(rng, ("grpo", "rloo")), truth)


def _faulty(case: Case, name: str, fault: str, spoil: Callable[[Columns], Columns]) -> Case:
    """The log is broken, so that causes may be named or not; no scheme may be recommended."""
    anything: Causes = (None, "DEAD", "DROWNED", "OFFSET", "SPIKY")
    truth = Truth(others=anything, fault=fault, silent=fault in ("constant", "missing"))
    return replace(case, kind=f"fault: {name}", truth=truth, spoil=spoil)
