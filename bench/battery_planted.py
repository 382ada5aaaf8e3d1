"""What is planted: dead groups, variance mismatch, offsets, spikes, credit noise, no exploration.

Each function draws one case; its docstring says why the truth is what it is. Mixtures come last.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from battery_case import BATCH, NONE, Case, Causes, Rng, Truth, pick, spread, world
from battery_files import Columns


def dead_solved_or_failed(rng: Rng) -> Case:
    """Half of the tasks are solved by every rollout, half by none: only the failed ones can gain,
    and no group of theirs has a difference. In some logs sums differ in their last bit."""
    agents, contexts = int(rng.integers(1, 4)), 6
    easy = rng.permutation(contexts) < 3
    skill = np.where(easy, 1 - 1e-5, 1e-5) * np.ones((agents, 1))
    dust = float(rng.choice([0.0, 0.0, 1e-16]))
    team_ = world(
        rng,
        agents,
        contexts=contexts,
        prompts=6,
        skill=skill,
        task="mean",
        noise=dust,
        gain=None if dust else np.full(agents, float(rng.choice([1.0, 2.0, 10.0]))),
        offset=np.full(agents, 0.3) if dust else None,
        fresh=False,
    )
    schemes = ("grpo", "dr_grpo", "rloo", "gdpo", "rank", "agent_wise", "at_grpo")
    return Case("DEAD: solved or failed by all", team_, pick(rng, schemes), Truth(others=("DEAD",)))


def dead_all_hands(rng: Rng) -> Case:
    """Success needs every one of seven or more agents, each right about every other time."""
    agents = int(rng.integers(7, 10))
    team_ = world(rng, agents, low=0.3, high=0.5, task="all", rollouts=8)
    scheme = pick(rng, ("grpo", "dr_grpo", "rloo", "agent_wise"))
    return Case("DEAD: all hands", team_, scheme, Truth(others=("DEAD",)), updates=12)


def dead_own_constant(rng: Rng) -> Case:
    """One agent's own reward is the same in all rollouts of a prompt: it decides once a prompt, or
    its reward depends on the prompt alone."""
    agents, once = int(rng.integers(2, 5)), bool(rng.random() < 0.5)
    k = int(rng.integers(agents))
    which = {"plans" if once else "fixed": frozenset([k])}
    team_ = world(rng, agents, **which)
    truth = Truth({team_.agents[k]: ("DEAD",)})
    name = "DEAD: decides once a prompt" if once else "DEAD: reward fixed by the prompt"
    return Case(name, team_, pick(rng, ("agent_wise", "at_grpo")), truth)


def dead_agent_constant(rng: Rng) -> Case:
    """One agent's own reward is one and the same number all along, which no scheme can help."""
    team_ = world(rng, int(rng.integers(2, 5)))
    name, value = team_.agents[0], float(rng.choice([0.0, 0.16, 1.0]))

    def spoil(log: Columns) -> Columns:
        rewards = np.where((log.labels["agent"] == name)[:, None], value, log.rewards)
        return replace(log, rewards=rewards)

    truth = Truth({name: ("DEAD",)}, fault="agent constant", silent=True)
    return Case("DEAD: one agent's reward never varies", team_, "agent_wise", truth, spoil=spoil)


def dead_singletons(rng: Rng) -> Case:
    """There is one rollout a prompt under a scheme that compares the rollouts of a prompt."""
    agents = int(rng.integers(1, 4))
    team_ = world(
        rng,
        agents,
        rollouts=1,
        contexts=12,
        prompts=12,
        fresh=True,
        task=pick(rng, ("own", "mean")) if agents > 1 else "own",
    )
    scheme = pick(rng, ("grpo", "dr_grpo", "rloo", "agent_wise"))
    truth = Truth(others=("DEAD",), fault="groups of one")
    return Case("DEAD: one rollout a prompt", team_, scheme, truth)


def dead_constant_sum(rng: Rng) -> Case:
    """Two components sum to a constant: what one gains the other loses, so that even normalizing
    each alone and summing gives 0.
    """
    team_ = world(rng, int(rng.integers(1, 3)), parts="constant_sum")
    truth = Truth(others=("DEAD",))
    return Case("DEAD: components sum to a constant", team_, pick(rng, ("grpo", "gdpo")), truth)


def dead_seldom(rng: Rng) -> Case:
    """An agent that is called in one rollout of sixty has nearly always one row in a prompt, and a
    scheme that gives each agent groups of its own leaves it nothing to compare."""
    agents = int(rng.integers(2, 4))
    team_ = world(
        rng,
        agents,
        calls="seldom",
        call_rate=1 / 60,
        task="mean",
        rollouts=int(rng.choice([4, 5])),
        prompts=4,
    )
    truth = Truth(dict.fromkeys(team_.agents[1:], ("DEAD",)), others=NONE)
    scheme = pick(rng, ("agent_wise", "at_grpo"))
    return Case("DEAD: seldom called, groups of its own", team_, scheme, truth, 200)


def drowned(rng: Rng) -> Case:
    """One or two agents are paid 1 where the others are paid 40 to 100; all means are near 0."""
    return _drowned(rng, "DROWNED: quiet beside loud", centered=True, accepted=("DROWNED",))


def drowned_uncentered(rng: Rng) -> Case:
    """The case is `drowned` with payments from 0 up: the loud agents' mean is also far from the
    quiet agent's, in the quiet agent's deviations, so that OFFSET is honest as well.
    """
    return _drowned(
        rng, "DROWNED: quiet beside loud, payments from 0", False, ("DROWNED", "OFFSET")
    )


def _drowned(rng: Rng, kind: str, centered: bool, accepted: Causes) -> Case:
    agents = int(rng.integers(3, 7))
    quiet = 1 if agents < 5 else int(rng.integers(1, 3))
    gain = np.where(np.arange(agents) < quiet, 1.0, rng.uniform(40, 100, agents))
    team_ = world(rng, agents, gain=gain, centered=centered, noise=float(rng.uniform(0, 0.3)))
    causes = dict.fromkeys(team_.agents[:quiet], accepted)
    scheme = pick(
        rng,
        ("mappo_pooled", "agent_mean", "grpo_rows") if centered else ("mappo_pooled", "grpo_rows"),
    )
    return Case(kind, team_, scheme, Truth(causes, verdicts=("matters",)), rate=0.03)


def drowned_regions(rng: Rng) -> Case:
    """Each agent is called for tasks of its own; some tasks pay 50 times as much as others, and the
    whole batch shares one scale.
    """
    contexts, agents = 6, 4
    loud = np.arange(contexts) >= 3
    called = np.stack([~loud, ~loud, loud, loud])
    pay = np.where(loud, rng.uniform(40, 80), 1.0)
    team_ = world(
        rng,
        agents,
        contexts=contexts,
        prompts=6,
        calls="by_context",
        called=called,
        task="mean",
        context_gain=pay,
        centered=True,
        fresh=False,
    )
    truth = Truth(dict.fromkeys(team_.agents[:2], ("DROWNED",)), verdicts=("matters",))
    return Case("DROWNED: quiet and loud tasks", team_, "mappo_pooled", truth, rate=0.03)


def drowned_in_the_mean(rng: Rng) -> Case:
    """A scheme first averages a rollout over its agents, so that the quiet agent's advantage is
    that of the loud agents. Its scale is theirs (DROWNED), its own choices explain nearly nothing
    of its credit (DILUTED), and the loud agents' mean is far in its deviations (OFFSET).
    """
    agents = int(rng.integers(3, 6))
    gain = np.where(np.arange(agents) < 1, 1.0, rng.uniform(40, 100, agents))
    team_ = world(rng, agents, gain=gain, noise=0.1)
    truth = Truth({team_.agents[0]: ("DROWNED", "DILUTED", "OFFSET")}, (None, "DILUTED"))
    return Case("DROWNED: own rewards, averaged over the team", team_, "grpo", truth, rate=0.03)


def offset(rng: Rng) -> Case:
    """One agent's own rewards lie 16 to 60 of its deviations from the others'. The pooled mean is
    then some deviations off for the others as well: both readings are honest for them."""
    agents = int(rng.integers(3, 7))
    away = np.zeros(agents)
    away[0] = float(rng.choice([-1, 1])) * rng.uniform(8, 30)
    team_ = world(rng, agents, offset=away, noise=float(rng.uniform(0, 0.2)))
    truth = Truth({team_.agents[0]: ("OFFSET",)}, others=(None, "OFFSET"), verdicts=("matters",))
    scheme = pick(rng, ("mappo_pooled", "grpo_rows", "center"))
    return Case("OFFSET", team_, scheme, truth, rate=0.03)


def spiky(rng: Rng) -> Case:
    """Rewards become 50 to 100 times as large late in the log, under running statistics."""
    agents, updates = int(rng.integers(1, 4)), int(rng.integers(24, 40))
    factor = np.full(agents, rng.uniform(50, 100))
    team_ = world(rng, agents, jump=int(0.7 * updates), jump_gain=factor, noise=0.1)
    truth = Truth(others=("SPIKY",))
    return Case("SPIKY: rewards jump", team_, "group_reward_decoupled", truth, updates)


def spiky_alone(rng: Rng) -> Case:
    """The rewards of one agent jump, those of the others stay."""
    agents, updates = int(rng.integers(2, 5)), int(rng.integers(24, 40))
    factor = np.where(np.arange(agents) == 0, rng.uniform(50, 100), 1.0)
    team_ = world(rng, agents, jump=int(0.7 * updates), jump_gain=factor, noise=0.1)
    truth = Truth({team_.agents[0]: ("SPIKY",)})
    return Case("SPIKY: one agent's rewards jump", team_, "group_reward_decoupled", truth, updates)


def spiky_first_signal(rng: Rng) -> Case:
    """For a long time only a penalty of some thousandths varies; then hits begin to be paid."""
    agents, updates = int(rng.integers(1, 4)), int(rng.integers(24, 40))
    team_ = world(
        rng,
        agents,
        noise=float(rng.uniform(0.002, 0.006)),
        jump=int(0.7 * updates),
        asleep=True,
    )
    truth = Truth(others=("SPIKY",))
    return Case("SPIKY: first successes", team_, "group_reward_decoupled", truth, updates)


def diluted(rng: Rng) -> Case:
    """The reward is the mean of 20 to 40 agents, and actions are logged: a thousand rollouts, since
    with half as many the sampled share of one agent in forty is twice or thrice the true one."""
    agents = int(rng.integers(20, 41))
    team_ = world(
        rng,
        agents,
        task="mean",
        noise=0.02,
        contexts=4,
        prompts=3,
        rollouts=16,
        actions=3,
        fresh=False,
    )
    scheme = pick(rng, ("grpo", "mappo_pooled", "mappo_per_agent", "agent_wise"))
    truth = Truth(others=("DILUTED",))
    return Case("DILUTED: many hands", team_, scheme, truth, 22, actions=True)


def diluted_by_noise(rng: Rng) -> Case:
    """There are a few agents, and a reward that varies ten times as much by itself as by their
    choices.

    DILUTED is true by its definition. Saying nothing is honest as well: the log cannot tell noise
    from choices that are not logged, and no credit among the agents would remove either.
    """
    agents = int(rng.integers(2, 5))
    team_ = world(
        rng,
        agents,
        task="mean",
        noise=float(rng.uniform(2.5, 4)),
        contexts=4,
        prompts=4,
        rollouts=16,
        fresh=False,
    )
    scheme = pick(rng, ("grpo", "mappo_pooled", "mappo_per_agent"))
    truth = Truth(others=("DILUTED", None))
    return Case("DILUTED or not: a noisy reward", team_, scheme, truth, 30, actions=True)


def lazy(rng: Rng) -> Case:
    """One agent always chooses the same wrong action while its team learns on one reward."""
    agents = int(rng.integers(2, 4))
    turns = int(rng.integers(1, 4))
    team_ = world(
        rng, agents, task="mean", lazy=frozenset([0]), fresh=False, rollouts=12, turns=turns
    )
    truth = Truth({team_.agents[0]: ("LAZY",)})
    return Case("LAZY", team_, pick(rng, BATCH), truth, 24, actions=True)


def lazy_own(rng: Rng) -> Case:
    """The case is `lazy` with rewards of its own, which then never vary: its groups are dead
    because it does not explore, and both names are honest if statistics are per agent.
    """
    agents = int(rng.integers(2, 4))
    team_ = world(rng, agents, lazy=frozenset([0]), fresh=False, rollouts=12)
    scheme = pick(rng, ("agent_wise", "mappo_per_agent"))
    truth = Truth({team_.agents[0]: ("LAZY", "DEAD")})
    return Case("LAZY: own reward", team_, scheme, truth, 24, actions=True)


def drowned_and_lazy(rng: Rng) -> Case:
    """A quiet agent is drowned by loud ones, one of which always chooses the same. The lazy one's
    reward is a constant far from the mean in its own deviations: OFFSET and DEAD are honest."""
    agents = int(rng.integers(4, 7))
    gain = np.where(np.arange(agents) == 0, 1.0, rng.uniform(40, 100, agents))
    team_ = world(
        rng,
        agents,
        gain=gain,
        centered=True,
        noise=0.1,
        lazy=frozenset([1]),
        fresh=False,
        rollouts=12,
    )
    truth = Truth(
        {team_.agents[0]: ("DROWNED",), team_.agents[1]: ("LAZY", "OFFSET", "DEAD", "DROWNED")}
    )
    return Case("mixture: DROWNED and LAZY", team_, "mappo_pooled", truth, 24, 0.03, actions=True)


def drowned_and_offset(rng: Rng) -> Case:
    """A quiet agent is at 0 and another far above, among loud agents. For the far one both are
    true.
    """
    agents = int(rng.integers(4, 7))
    gain = np.where(np.arange(agents) < 2, 1.0, rng.uniform(40, 60, agents))
    away = np.where(np.arange(agents) == 1, rng.uniform(100, 200), 0.0)
    team_ = world(rng, agents, gain=gain, offset=away, centered=True, noise=0.1)
    either: Causes = ("DROWNED", "OFFSET")
    truth = Truth(
        {team_.agents[0]: either, team_.agents[1]: either}, (None, "OFFSET"), ("matters",)
    )
    return Case("mixture: DROWNED and OFFSET", team_, "mappo_pooled", truth, rate=0.03)


def dead_and_lazy(rng: Rng) -> Case:
    """Nearly every task is solved or failed by all, and one agent always chooses the same."""
    case = dead_solved_or_failed(rng)
    team_ = world(
        rng,
        2,
        contexts=6,
        prompts=6,
        fresh=False,
        task="mean",
        lazy=frozenset([0]),
        skill=np.where(np.arange(6) < 3, 1 - 1e-5, 1e-5) * np.ones((2, 1)),
    )
    truth = Truth({team_.agents[0]: ("LAZY", "DEAD")}, others=("DEAD", "LAZY"))
    return replace(
        case, kind="mixture: DEAD and LAZY", world=team_, truth=truth, updates=24, actions=True
    )


def spiky_and_drowned(rng: Rng) -> Case:
    """All rewards jump under running statistics of each agent's own, one agent being quiet: the
    quiet one has a scale of its own, so that only the jump is a fault."""
    case = spiky(rng)
    agents = 3
    gain = np.array([1.0, 60.0, 60.0])
    team_ = world(
        rng,
        agents,
        gain=gain,
        noise=0.1,
        jump=int(0.7 * case.updates),
        jump_gain=np.full(agents, rng.uniform(50, 100)),
    )
    return replace(case, kind="mixture: SPIKY among unequal stakes", world=team_)


def dead_one_healthy_rest(rng: Rng) -> Case:
    """Own rewards: one agent's tasks are solved or failed by all its rollouts, the others learn."""
    agents = int(rng.integers(2, 5))
    skill = spread(rng, agents, 6)
    skill[0] = np.where(np.arange(6) < 3, 1 - 1e-5, 1e-5)
    team_ = world(rng, agents, contexts=6, prompts=6, fresh=False, skill=skill)
    truth = Truth({team_.agents[0]: ("DEAD",)})
    return Case("mixture: one DEAD, the rest learns", team_, "agent_wise", truth)
