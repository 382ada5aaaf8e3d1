"""Healthy logs of the kinds that trainers write, and clean twins of what is planted elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from battery_case import BATCH, BY_PROMPT, Case, Rng, Truth, pick, world
from battery_files import Columns
from battery_planted import diluted, drowned, drowned_uncentered, offset, spiky


def healthy_single_binary(rng: Rng) -> Case:
    """A single policy has 0/1 correctness and tasks of varied difficulty, as TRL logs them."""
    team_ = world(rng, 1, agents=("policy",), low=0.08, high=0.92)
    truth = Truth(silent=False)
    return Case("healthy: one policy, 0/1", team_, pick(rng, BY_PROMPT), truth, rate=0.2)


def healthy_shared(rng: Rng) -> Case:
    """All agents share one reward and are present, so that decoupling is a no-op."""
    team_ = world(rng, int(rng.integers(2, 6)), task="mean", noise=float(rng.uniform(0, 0.1)))
    scheme = pick(rng, (*BATCH, "reinforce_plus_plus", "spiral_rae", "group_reward_decoupled"))
    return Case("healthy: one shared reward", team_, scheme, Truth(), rate=0.2)


def healthy_reward_model(rng: Rng) -> Case:
    """Scores of a reward model, stored in bfloat16."""
    team_ = world(
        rng,
        1,
        agents=("policy",),
        half=True,
        offset=np.array([rng.uniform(-3, 3)]),
        gain=np.array([rng.uniform(0.5, 2)]),
        noise=float(rng.uniform(0.2, 0.5)),
    )
    return Case("healthy: bf16 scores", team_, pick(rng, BY_PROMPT), Truth(), rate=0.2)


def healthy_components(rng: Rng) -> Case:
    """The reward has three components: correctness, a format bonus and a length penalty."""
    team_ = world(rng, 1, agents=("policy",), parts=pick(rng, ("format", "length")))
    scheme = pick(rng, ("grpo", "gdpo", "agent_x_component"))
    return Case("healthy: components", team_, scheme, Truth(), rate=0.2)


def healthy_own(rng: Rng) -> Case:
    """Rewards of their own, alike in size and mean."""
    agents = int(rng.integers(2, 6))
    team_ = world(rng, agents, gain=rng.uniform(0.7, 1.4, agents), low=0.4, high=0.6, noise=0.1)
    scheme = pick(rng, ("mappo_pooled", "mappo_per_agent", "agent_wise", "agent_mean", "grpo_rows"))
    return Case("healthy: own rewards", team_, scheme, Truth())


def healthy_uneven(rng: Rng) -> Case:
    """Agents are called 0 to 3 times in a rollout, whatever it is worth."""
    team_ = world(
        rng, int(rng.integers(2, 5)), turns=3, calls="uneven", task="mean", noise=0.1, rollouts=12
    )
    scheme = pick(rng, ("grpo", "agent_wise", "mappo_per_agent", "mappo_pooled", "grpo_rows"))
    return Case("healthy: uneven calls", team_, scheme, Truth())


def healthy_turns(rng: Rng) -> Case:
    """Each step pays for itself, as in a PettingZoo world."""
    team_ = world(
        rng,
        int(rng.integers(2, 4)),
        turns=int(rng.integers(4, 9)),
        paid="turns",
        task=pick(rng, ("own", "mean")),
        low=0.4,
        high=0.6,
        noise=0.1,
        prompts=3,
        rollouts=8,
    )
    scheme = pick(rng, ("mappo_pooled", "mappo_per_agent", "agent_wise"))
    return Case("healthy: turn rewards", team_, scheme, Truth(), 12)


def healthy_off_task(rng: Rng) -> Case:
    """There are two reward functions that answer None off their own tasks."""
    team_ = world(rng, 1, agents=("policy",), parts="off_task")
    return Case("healthy: None off task", team_, pick(rng, ("grpo", "dr_grpo", "rloo")), Truth())


def healthy_duel(rng: Rng) -> Case:
    """Two players have rewards that sum to 0, under running statistics of each role."""
    team_ = world(rng, 2, task="duel", low=0.4, high=0.6, noise=0.05)
    scheme = pick(rng, ("spiral_rae", "marshal_style", "group_reward_decoupled"))
    return Case("healthy: a duel", team_, scheme, Truth(), 24)


def healthy_nearly_solved(rng: Rng) -> Case:
    """Most tasks are solved for good; the rest, which can still gain, has live groups."""
    contexts = 6
    skill = np.where(np.arange(contexts) < 4, 1 - 1e-6, rng.uniform(0.4, 0.6, contexts))
    team_ = world(
        rng, 1, agents=("policy",), contexts=contexts, prompts=6, skill=skill[None], fresh=False
    )
    scheme = pick(rng, ("grpo", "dr_grpo", "rloo", "rank"))
    return Case("healthy: nearly solved", team_, scheme, Truth(), 24)


def healthy_logged_actions(rng: Rng) -> Case:
    """Actions are logged; which one is right differs from task to task."""
    team_ = world(rng, int(rng.integers(1, 3)), task="mean", low=0.35, high=0.6, rollouts=12)
    scheme = pick(rng, ("grpo", "mappo_pooled", "agent_wise"))
    return Case("healthy: actions logged", team_, scheme, Truth(), 24, actions=True)


def sparse_terminal(rng: Rng) -> Case:
    """Long episodes have 0/1 in the last row, and credit over turns is a problem of every scheme.
    The diagnosis may say that the reward stands in the last row: that is true, and no cause.
    """
    team_ = world(
        rng,
        int(rng.integers(1, 4)),
        turns=int(rng.integers(8, 25)),
        paid="last",
        task="most",
        prompts=3,
        rollouts=8,
        contexts=4,
    )
    scheme = pick(rng, ("mappo_pooled", "mappo_per_agent", "grpo", "reinforce_plus_plus"))
    return Case("healthy: sparse terminal reward", team_, scheme, Truth(), 12)


def curriculum(rng: Rng) -> Case:
    """Tasks become easier at once, with rewards of 0 and 1, which cannot leave their range."""
    updates = 24
    team_ = world(
        rng, int(rng.integers(1, 4)), low=0.25, high=0.4, task="mean", jump=12, jump_hit=0.45
    )
    scheme = pick(rng, ("grpo", "mappo_pooled", "mappo_per_agent", "group_reward_decoupled"))
    return Case("healthy: curriculum jump", team_, scheme, Truth(), updates)


def heavy_tails(rng: Rng) -> Case:
    """Noise has heavy tails under statistics of the batch, which bound every advantage."""
    team_ = world(
        rng,
        int(rng.integers(1, 4)),
        tails=pick(rng, ("student", "lognormal")),
        noise=float(rng.uniform(0.2, 0.5)),
    )
    scheme = pick(rng, ("grpo", "dr_grpo", "mappo_pooled", "rank", "mappo_per_agent"))
    return Case("healthy: heavy tails", team_, scheme, Truth())


def clean_twins(rng: Rng) -> Case:
    """What is a fault under shared statistics is none under per-agent statistics."""
    case = (drowned, drowned_uncentered, offset)[int(rng.integers(3))](rng)
    scheme = pick(rng, ("mappo_per_agent", "agent_wise", "group_reward_decoupled"))
    return replace(
        case, kind="healthy: own statistics for unequal agents", scheme=scheme, truth=Truth()
    )


def mild_twins(rng: Rng) -> Case:
    """Agents that differ by less than a factor of 2 and by a fifth of a deviation."""
    agents = int(rng.integers(2, 6))
    team_ = world(
        rng,
        agents,
        gain=rng.uniform(0.8, 1.5, agents),
        noise=0.2,
        centered=True,
        offset=rng.uniform(-0.1, 0.1, agents),
    )
    return Case(
        "healthy: mildly unequal agents",
        team_,
        pick(rng, ("mappo_pooled", "grpo_rows", "agent_mean")),
        Truth(),
        rate=0.03,
    )


def jump_twins(rng: Rng) -> Case:
    """Rewards become 50 to 100 times as large, under statistics of each batch."""
    case = spiky(rng)
    scheme = pick(rng, ("grpo", "agent_wise", "mappo_per_agent"))
    return replace(
        case,
        kind="healthy: jump, statistics of the batch",
        scheme=scheme,
        truth=Truth(),
        world=replace(case.world, fresh=False),
    )


def healthy_seldom(rng: Rng) -> Case:
    """Specialists that are called in one rollout of six, with statistics that have enough rows."""
    team_ = world(rng, int(rng.integers(2, 4)), calls="seldom", task="mean", rollouts=16)
    scheme = pick(rng, ("mappo_per_agent", "mappo_pooled", "grpo"))
    return Case("healthy: seldom called", team_, scheme, Truth(), 24)


def healthy_units(rng: Rng) -> Case:
    """Rewards in units of thousands or of millionths; no scheme minds."""
    agents = int(rng.integers(1, 4))
    unit = float(10 ** rng.uniform(-6, 4))
    team_ = world(
        rng,
        agents,
        gain=np.full(agents, unit),
        noise=0.1,
        offset=np.full(agents, unit * float(rng.uniform(-2, 2))),
    )
    scheme = pick(rng, ("grpo", "mappo_pooled", "agent_wise"))
    return Case("healthy: other units", team_, scheme, Truth())


def many_hands_unlogged(rng: Rng) -> Case:
    """Many agents share a reward, and the log has no actions: nobody knows what each explains."""
    case = diluted(rng)
    return replace(
        case, kind="healthy or not: many hands, no actions logged", truth=Truth(), actions=False
    )


def healthy_by_prompt_level(rng: Rng) -> Case:
    """Prompts differ in the size of their rewards; the scheme compares within a prompt."""
    team_ = world(
        rng,
        int(rng.integers(1, 4)),
        contexts=5,
        noise=0.2,
        context_gain=np.array([0.1, 1.0, 5.0, 20.0, 100.0]),
    )
    return Case(
        "healthy: prompts of many sizes", team_, pick(rng, ("grpo", "agent_wise", "rank")), Truth()
    )


def healthy_free_text(rng: Rng) -> Case:
    """Answers are logged as free text, hardly two of which are the same: what an agent's choice
    explains cannot be estimated, and it does not lack exploration."""
    case = healthy_logged_actions(rng)

    def spoil(log: Columns) -> Columns:
        texts = np.array([f"{a} because of {i}" for i, a in enumerate(log.labels["action"])])
        return replace(log, labels={**log.labels, "action": texts})

    return replace(case, kind="healthy: free-text answers", spoil=spoil)


def healthy_rare_success(rng: Rng) -> Case:
    """One attempt in twenty succeeds, under statistics of the batch."""
    agents = int(rng.integers(1, 4))
    team_ = world(rng, agents, low=0.0, high=0.12, task="mean", rollouts=16)
    scheme = pick(rng, ("mappo_pooled", "reinforce_plus_plus", "mappo_per_agent", "center"))
    return Case("healthy: rare success", team_, scheme, Truth(), 24)


def healthy_learned(rng: Rng) -> Case:
    """The team learns all there is while the log is written: its last groups are solved by all,
    and nothing is left to gain."""
    team_ = world(rng, int(rng.integers(1, 3)), fresh=False)
    scheme = pick(rng, ("grpo", "agent_wise", "rloo", "dr_grpo"))
    return Case("healthy: learned to the end", team_, scheme, Truth(), 60, 2.0)


def healthy_mild_jump(rng: Rng) -> Case:
    """Rewards become half as large again, under running statistics."""
    agents, updates = int(rng.integers(1, 4)), int(rng.integers(24, 40))
    factor = np.full(agents, rng.uniform(1.2, 1.6))
    team_ = world(rng, agents, jump=int(0.7 * updates), jump_gain=factor, noise=0.1)
    scheme = pick(rng, ("group_reward_decoupled", "marshal_style"))
    return Case("healthy: a mild jump, running statistics", team_, scheme, Truth(), updates)


def healthy_timeouts(rng: Rng) -> Case:
    """A judge does not answer for one row in ten."""
    case = healthy_single_binary(rng) if rng.random() < 0.5 else healthy_own(rng)
    holes = np.random.default_rng(int(rng.integers(10**6)))

    def spoil(log: Columns) -> Columns:
        lost = holes.random(len(log)) < 0.1
        return replace(log, rewards=np.where(lost[:, None], np.nan, log.rewards))

    return replace(case, kind="healthy: some rewards missing", spoil=spoil)
