"""A little team that plays, is paid and learns: the simulator behind the battery of logs.

One `World` is a team of tabular softmax policies. In every update each prompt of a batch asks a
task of some context, each agent picks one of a few actions, and the action that its table calls
right for that context is a hit. Knobs say who is called, what hits are worth, where the payment
stands and what the rewards look like. `play` draws one batch for many seeds at once, `learn` makes
one step of policy gradient with the advantages of any scheme, and `final` measures what came of it.

Axes: S seeds, B prompts of an update, G rollouts, T turns, A agents, C contexts, M actions,
K reward components.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import advantages

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """One team with its tasks. Rewards are `offset + gain * (value of the hits + noise)`."""

    agents: tuple[str, ...]
    """[A] names."""
    skill: Floats
    """[A, C] probability of a hit before training."""
    actions: int = 4
    """M, how many actions an agent chooses from."""
    prompts: int = 6
    """B, prompts in an update."""
    rollouts: int = 8
    """G, attempts at each prompt."""
    turns: int = 1
    """T, most decisions of an agent in one rollout."""
    fresh: bool = False
    """Whether each update has prompts of its own; else the C prompts come back."""
    calls: str = "always"
    """always; uneven (0 to T times a rollout); seldom (all but the first agent); by_context."""
    call_rate: float = 1 / 6
    """Probability that an agent that is seldom called is called in a rollout."""
    called: NDArray[np.bool_] | None = None
    """[A, C] for `by_context`: who is called for which task."""
    task: str = "own"
    """own: an agent's own hits; mean, all, most: of the team; duel: mine minus the other's."""
    paid: str = "rows"
    """rows: on every row; last: in an agent's last row of a rollout; turns: each row its hit."""
    gain: Floats | None = None
    """[A] factor on an agent's reward."""
    offset: Floats | None = None
    """[A] constant added to an agent's reward."""
    context_gain: Floats | None = None
    """[C] factor on the reward by task."""
    centered: bool = False
    """Whether the value expected before training is taken off, so that means start near 0."""
    noise: float = 0.0
    """Deviation of what is added to the value and depends on nobody's action."""
    tails: str = "normal"
    """normal, student (3 degrees of freedom) or lognormal noise."""
    parts: str = "one"
    """Components: one; format; length; off_task; constant_sum; loud_judge."""
    half: bool = False
    """Whether rewards are stored in bfloat16, as scores of a reward model are."""
    plans: frozenset[int] = frozenset()
    """Agents that decide once a prompt: all rollouts share their action and their reward."""
    fixed: frozenset[int] = frozenset()
    """Agents whose reward depends on the prompt alone."""
    lazy: frozenset[int] = frozenset()
    """Agents that always choose one wrong action."""
    jump: int | None = None
    """Update from which on `jump_gain` and `jump_hit` hold."""
    jump_gain: Floats | None = None
    """[A] factor on the reward after the jump."""
    asleep: bool = False
    """Whether hits are worth nothing before the jump."""
    jump_hit: float = 0.0
    """Share of misses that count as hits after the jump: the tasks become easier."""
    targets: int = 0
    """Seed of the table of right actions."""

    @property
    def n_agents(self) -> int:
        """Returns A, the number of agents."""
        return len(self.agents)

    @property
    def contexts(self) -> int:
        """Returns C, the number of contexts."""
        return self.skill.shape[1]

    @cached_property
    def right(self) -> Ints:
        """Returns [A, C] the action that is a hit."""
        rng = np.random.default_rng(self.targets)
        return rng.integers(0, self.actions, (self.n_agents, self.contexts))

    def start(self, seeds: int) -> Floats:
        """Returns the logits [S, A, C, M] before training."""
        odds = np.log(self.skill / (1 - self.skill) * (self.actions - 1))
        logits = np.zeros((self.n_agents, self.contexts, self.actions))
        a, c = np.indices(self.right.shape)
        logits[a, c, self.right] = odds
        for k in self.lazy:
            logits[k] = 0.0
            logits[k, np.arange(self.contexts), (self.right[k] + 1) % self.actions] = 40.0
        return np.broadcast_to(logits, (seeds, *logits.shape)).copy()

    def best(self, seeds: int) -> Floats:
        """Returns the logits [S, A, C, M] of a team that always chooses the right action."""
        logits = np.zeros((self.n_agents, self.contexts, self.actions))
        a, c = np.indices(self.right.shape)
        logits[a, c, self.right] = 40.0
        return np.broadcast_to(logits, (seeds, *logits.shape)).copy()


@dataclass(frozen=True)
class Batch:
    """The rows of one update, N of them; every column is [N] but `rewards`, which is [N, K]."""

    seed: Ints
    prompt: Ints
    rollout: Ints
    turn: Ints
    agent: Ints
    context: Ints
    action: Ints
    rewards: Floats
    components: tuple[str, ...]
    clean: Floats = field(repr=False)
    """[N] the summed reward without noise."""

    def labels(self) -> dict[str, Ints]:
        """Returns the columns that schemes group by; seeds are batches that share no statistic."""
        return {
            "batch": self.seed, "prompt": self.prompt, "rollout": self.rollout,
            "agent": self.agent, "role": self.agent, "turn": self.turn,
        }  # fmt: skip


def probabilities(logits: Floats) -> Floats:
    """Returns the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def play(
    world: World, logits: Floats, update: int, rng: np.random.Generator, rollouts: int | None = None
) -> Batch:
    """Returns one batch of every seed; the same `rng` draws the same tasks, calls and noise."""
    seeds, count, team = len(logits), world.rollouts if rollouts is None else rollouts, world.agents
    shape = (seeds, world.prompts, count, world.turns, len(team))
    prompt, context = _tasks(world, seeds, update, rng)
    present = _calls(world, context, shape, rng)
    chance = rng.random(shape)
    ease = rng.random(shape)
    for k in world.plans:
        chance[..., k], ease[..., k] = chance[:, :, :1, :, k], ease[:, :, :1, :, k]
    s, b, g, t, a = np.indices(shape)
    c = np.broadcast_to(context[:, :, None, None, None], shape)
    cumulative = probabilities(logits).cumsum(axis=-1)[s, a, c]
    action = (chance[..., None] > cumulative[..., :-1]).sum(axis=-1)
    hit = action == world.right[a, c]
    after = world.jump is not None and update >= world.jump
    if after:
        hit = hit | (ease < world.jump_hit)
    elif world.asleep:
        hit = np.zeros_like(hit)
    clean, noisy, names = _rewards(world, hit, action, present, c, after, rng)
    rows = present.ravel()
    # rows stand in the order in which they happened: rollout by rollout, turn by turn
    columns = [x.ravel()[rows] for x in (s, prompt[s, b], g, t, a, c, action)]
    return Batch(
        *columns,
        noisy.reshape(-1, len(names))[rows],
        names,
        np.nansum(clean, axis=-1).ravel()[rows],
    )


def _tasks(world: World, seeds: int, update: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Returns ids [S, B] of the prompts, and the context of each."""
    if world.fresh:
        ids = update * world.prompts + np.arange(world.prompts)
        context = rng.integers(0, world.contexts, (seeds, world.prompts))
        return np.broadcast_to(ids, context.shape), context
    order = rng.permuted(np.tile(np.arange(world.contexts), (seeds, 1)), axis=1)
    ids = order[:, : world.prompts]
    return ids, ids


def _calls(
    world: World, context: Ints, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Returns [S, B, G, T, A] whether the agent decides there."""
    draws, turn = rng.random(shape), np.arange(world.turns)[:, None]
    if world.calls == "uneven":
        counts = (draws[:, :, :, :1] * (world.turns + 1)).astype(int)
        return turn < counts
    if world.calls == "seldom":
        seldom = draws[:, :, :, :1] < world.call_rate
        seldom[..., 0] = True  # the first agent is always there
        return np.broadcast_to(seldom, shape)
    if world.calls == "by_context":
        assert world.called is not None
        return np.broadcast_to(world.called.T[context][:, :, None, None, :], shape)
    return np.ones(shape, bool)


def _rewards(
    world: World, hit: NDArray[np.bool_], action: Ints, present: NDArray[np.bool_], context: Ints,
    after: bool, rng: np.random.Generator,
) -> tuple[Floats, Floats, tuple[str, ...]]:  # fmt: skip
    """Rewards without noise, with it, and the names of the components."""
    value = _value(world, hit, present)
    if world.centered:
        value = value - _expected(world)[np.arange(world.n_agents), context]
    shared = world.task in ("mean", "all", "most")
    shape = (*hit.shape[:3], hit.shape[3] if world.paid == "turns" else 1)
    noise = world.noise * _noise(world.tails, (*shape, 1 if shared else world.n_agents), rng)
    gain = np.ones(world.n_agents) if world.gain is None else world.gain
    if after and world.jump_gain is not None:
        gain = gain * world.jump_gain
    scale = gain * (1.0 if world.context_gain is None else world.context_gain[context])
    offset = 0.0 if world.offset is None else world.offset
    both = []
    for quiet in (True, False):
        addition = np.zeros_like(noise) if quiet else noise
        reward = offset + scale * (value + addition)
        for k in world.fixed:
            reward[..., k] = (1 + context[..., k]) / 4
        if world.paid == "last":
            last = present & ~np.concatenate(
                [present[:, :, :, 1:], np.zeros_like(present[:, :, :, :1])], axis=3
            )
            reward = np.where(last, reward, 0.0)
        parts, names = _parts(world, reward, action, context, None if quiet else rng)
        both.append(bfloat16(parts) if world.half else parts)
    return both[0], both[1], names


def _value(world: World, hit: NDArray[np.bool_], present: NDArray[np.bool_]) -> Floats:
    """Returns [S, B, G, T, A] what a rollout's hits are worth to each agent, between 0 and 1."""
    hits, calls = (hit & present).sum(axis=3, keepdims=True), present.sum(axis=3, keepdims=True)
    if world.paid == "turns":
        hits, calls = hit & present, np.ones_like(hit, int)
    own: Floats = hits / np.maximum(calls, 1)
    if world.task == "duel":
        own = own - own[..., ::-1]
    elif world.task != "own":
        team = hits.sum(axis=-1, keepdims=True) / np.maximum(calls.sum(axis=-1, keepdims=True), 1)
        if world.task == "mean":
            own = team
        else:
            # a team that is mostly right has done better than its start; all means no miss at all
            bar = 1.0 if world.task == "all" else float(world.skill.mean())
            own = (team >= bar).astype(float)
    return np.broadcast_to(own, hit.shape).astype(float)


def _expected(world: World) -> Floats:
    """Returns [A, C] the value that is expected before training, from the skills."""
    if world.task == "own":
        return world.skill
    who = np.ones_like(world.skill) if world.called is None else world.called
    return np.broadcast_to((world.skill * who).sum(0) / who.sum(0), world.skill.shape)


def _noise(tails: str, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    if tails == "student":
        return rng.standard_t(3, shape)
    if tails == "lognormal":
        return rng.lognormal(0.0, 1.0, shape) - np.exp(0.5)
    return rng.normal(size=shape)


def _parts(
    world: World, reward: Floats, action: Ints, context: Ints, rng: np.random.Generator | None
) -> tuple[Floats, tuple[str, ...]]:
    """Returns the components [..., K] that the trainer logs, and their names; without `rng` there
    is no noise.
    """
    drawn = np.zeros(reward.shape) if rng is None else rng.normal(size=reward.shape)
    if world.parts == "format":
        kept = 0.5 * (action != world.actions - 1)
        return np.stack([reward, kept], axis=-1), ("correct", "format")
    if world.parts == "length":
        kept = 0.5 * (action != world.actions - 1)
        short = -0.05 * action + 0.01 * drawn
        return np.stack([reward, kept, short], axis=-1), ("correct", "format", "length")
    if world.parts == "off_task":
        code = context % 2 == 0
        split = [np.where(code, reward, np.nan), np.where(code, np.nan, reward)]
        return np.stack(split, axis=-1), ("code", "math")
    if world.parts == "constant_sum":
        return np.stack([reward, 1.0 - reward], axis=-1), ("right", "short")
    if world.parts == "loud_judge":
        return np.stack([reward, 200.0 * drawn], axis=-1), ("correct", "judge")
    return reward[..., None], ("reward",)


def bfloat16(values: Floats) -> Floats:
    """Returns the values as bfloat16 holds them, rounded to nearest even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32).astype(float)


@dataclass
class Learner:
    """Tables of all seeds and the scheme's memory; `rate` is a step in units of the advantages.

    The step is divided by a running deviation of the whole team's advantages (decay 0.9, as a
    shared Adam would), so that a scheme without a scale is not judged by its step size, while the
    proportions between agents stay those that the scheme made.
    """

    world: World
    scheme: Any
    logits: Floats
    rate: float
    state: Any = None
    square: Floats | None = None
    updates: int = 0

    def learn(self, batch: Batch) -> None:
        """Makes one step of policy gradient."""
        credit = advantages(batch.rewards, batch.labels(), self.scheme, state=self.state)
        values, self.state = np.asarray(credit.values, float), credit.state
        seeds, agents, contexts, actions = self.logits.shape
        rows = np.bincount(batch.seed, minlength=seeds)
        square = np.bincount(batch.seed, values**2, seeds) / np.maximum(rows, 1)
        self.square = 0.1 * square if self.square is None else 0.9 * self.square + 0.1 * square
        self.updates += 1
        deviation = np.sqrt(self.square / (1 - 0.9**self.updates))
        table = (batch.seed * agents + batch.agent) * contexts + batch.context
        size = seeds * agents * contexts
        taken = np.bincount(table * actions + batch.action, values, size * actions)
        total = np.bincount(table, values, size).reshape(seeds, agents, contexts, 1)
        gradient = taken.reshape(self.logits.shape) - total * probabilities(self.logits)
        gradient /= self.world.prompts * self.world.rollouts
        safe = np.where(deviation > 0, deviation, 1.0)
        self.logits = self.logits + self.rate * gradient / safe[:, None, None, None]


@dataclass(frozen=True)
class Final:
    """What a training ends with."""

    reward: Floats
    """[S] reward of a rollout, without noise, summed over rows and averaged over agents."""
    accuracy: Floats
    """[S, A] probability of a hit, averaged over the tasks that the agent is called for."""


def final(world: World, logits: Floats, update: int, rollouts: int = 48) -> Final:
    """Measures trained tables on drawn tasks, which are the same for every scheme."""
    batch = play(world, logits, update, np.random.default_rng(10**6), rollouts)
    seeds = len(logits)
    total = np.bincount(batch.seed, batch.clean, seeds)
    a, c = np.indices(world.right.shape)
    hits = probabilities(logits)[:, a, c, world.right]
    who = np.ones_like(world.skill) if world.called is None else world.called.astype(float)
    return Final(
        total / (world.prompts * rollouts * world.n_agents), (hits * who).sum(-1) / who.sum(-1)
    )


def train(world: World, scheme: Any, seeds: int, updates: int, rate: float) -> tuple[Final, Final]:
    """Trains from the start under a scheme; seed s meets the same tasks under every scheme.

    Returns:
        What a quarter of the updates and all of them end with.
    """
    learner = Learner(world, scheme, world.start(seeds), rate)
    early = None
    for update in range(updates):
        if update == updates // 4:
            early = final(world, learner.logits, update)
        learner.learn(play(world, learner.logits, update, np.random.default_rng([7, update])))
    assert early is not None
    return early, final(world, learner.logits, updates)
