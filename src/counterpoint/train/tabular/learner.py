"""Trains tabular or linear teams by policy gradient, many seeds at once. Read `train` top to
bottom.

One step an update: probabilities, a batch, credit, the gradient of the mean of A log pi plus the
entropy bonus, a clipped step. Everything else here prepares that loop or records it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.credit import Scheme, Tally, advantages
from counterpoint.credit.segments import segment_max, segment_sum
from counterpoint.diagnose.evidence import Evidence, joined_trainings
from counterpoint.errors import SettingError
from counterpoint.train.estimators import estimator, labels
from counterpoint.train.tabular.policies import policy_for
from counterpoint.train.tabular.telemetry import EVERY, Telemetry, alternatives_evidence
from counterpoint.worlds.exact.world import (
    CHANCE,
    TASK,
    Play,
    Settings,
    World,
    in_natural_order,
    stack,
)

DECAY, DECAY_SQUARED, EPSILON = 0.9, 0.999, 1e-8
"""Adam's usual constants."""


@dataclass(frozen=True)
class Training:
    """The training of one estimator in one world, with its measurements."""

    scheme: str
    """Name of the scheme (perhaps with fields that differ) or of the baseline."""
    seeds: tuple[int, ...]
    """[S]."""
    agents: tuple[str, ...]
    """[A]."""
    returns: Floats
    """[S, T+1] exact return before each update, and after the last."""
    weighted_returns: Floats
    """[S, T+1] the reward-weighted return."""
    accuracy: Floats
    """[S, T+1, A] probability that the agent takes the right action."""
    regret: Floats
    """[S, T+1, A] return that the team would gain if this agent alone were perfect."""
    gradients: Mapping[str, Floats]
    """The fields of `diagnose.GradientStatistics`: [S, T, A], or [S, T] for the team's. Those of
    intervals are NaN: `evidence` is what adds up over updates."""
    rewards: Mapping[str, Floats]
    """[S, T, A] each: norm_inflation, inflation, signal_share, dead_rate, net_mass, spike_rate,
    participation, entropy, influence; NaN where it is not defined."""
    evidence: Evidence
    """Signal and noise under the scheme and the statistics that it is compared with, each
    [S, ceil(T / 2), V, A]."""
    collapsed: Bools
    """[S, T, A] whether the scheme collapses the agent: see `diagnose.collapsed_updates`."""
    causes: NDArray[np.int8]
    """[S, T, A] index into `diagnose.CAUSES`; 0 where it has not collapsed."""
    probs: Floats
    """[S, A, C, M] the policy at the end, as probabilities of actions in each context."""
    tally: Mapping[str, int]
    """Counts of the edge cases of normalization, summed over updates: see `credit.Tally`."""


def train(
    world: World,
    scheme: str | Scheme,
    seeds: Sequence[int],
    *,
    on_update: Callable[[int], None] | None = None,
) -> Training:
    """Trains one team for each seed under one way of giving credit.

    The same seed meets the same problem, prompts, noise and uniforms under every scheme, and
    gives the same result whatever other seeds are in the call. An agent gets the same numbers
    wherever the world lists it: inside, agents stand in the natural order of their names.

    Args:
        world: what to learn; its settings say with which policy, optimizer and budget.
        scheme: a name in `credit.catalogue()` or `credit.baselines()`, or a `Scheme`.
        seeds: different non-negative integers.
        on_update: called with the number of updates done, after each.

    Raises:
        UnknownNameError: no scheme or baseline of that name.
        SchemeError: a baseline that this world does not know.
        SettingError: no seeds, repeated or negative ones.
    """
    named = in_natural_order(world)
    if named is not world:
        return _listed(train(named, scheme, seeds, on_update=on_update), world.agents)
    seeds, how, settings = _checked(seeds), estimator(scheme, world), world.settings
    tasks = stack([world.tasks(np.random.default_rng([seed, TASK])) for seed in seeds])
    chance = [np.random.default_rng([seed, CHANCE]) for seed in seeds]
    policy, optimizer = policy_for(world, seeds), Optimizer(settings)
    parameters = policy.start(len(seeds))
    log = Telemetry(len(seeds), settings.updates, len(world.agents), how.scheme)
    state, tally = None, Tally()

    for update in range(settings.updates):
        probs = policy.probs(parameters)
        log.record_policy(update, world.evaluate(tasks, probs))
        play = world.play(tasks, stack([world.draw(rng, update) for rng in chance]), probs)

        rows, columns = labels(world, play.active)
        rewards = how.rewards(play, rows)
        credit = advantages(rewards, columns, how.scheme, state=state)
        state, tally = credit.state, tally + credit.tally

        values = single_precision(credit.values, columns["batch"], len(seeds))
        reward_logits, visits = logit_gradients(world, play, rows, columns, values, probs)
        micro = policy.per_agent(reward_logits)
        bonus = policy.per_agent(settings.entropy * entropy_gradient(probs, visits)[:, None])
        gradient = policy.joined(micro.sum(axis=1) + bonus[:, 0])
        parameters, optimizer = optimizer.ascend(parameters, gradient)

        log.record_gradients(update, micro, present(world, play), policy.shares_parameters)
        summed = rewards if rewards.ndim == 1 else rewards.sum(axis=-1)
        log.record_rewards(update, columns, summed, credit.values)
        if update % EVERY == 0:
            log.record_evidence(
                alternatives_evidence(
                    world, how.scheme, policy, play, rows, columns, summed, values, probs
                )
            )
        log.record_choices(update, columns, play, rows, probs)
        if on_update is not None:
            on_update(update + 1)

    probs = policy.probs(parameters)
    log.record_policy(settings.updates, world.evaluate(tasks, probs))
    collapsed, causes = log.collapse()
    return Training(
        scheme=how.name,
        seeds=seeds,
        agents=world.agents,
        returns=log.returns,
        weighted_returns=log.weighted_returns,
        accuracy=log.accuracy,
        regret=log.regret,
        gradients=log.gradients,
        rewards=log.rewards,
        evidence=log.evidence,
        collapsed=collapsed,
        causes=causes,
        probs=probs,
        tally={spec.name: getattr(tally, spec.name) for spec in fields(tally)},
    )


def joined(parts: Sequence[Training]) -> Training:
    """Returns one training out of several of the same estimator with different seeds, in the given
    order.

    Raises:
        SettingError: a seed is in two parts.
    """
    first = parts[0]

    def together(name: str) -> Any:
        series = [getattr(part, name) for part in parts]
        if isinstance(series[0], Mapping):
            return {key: np.concatenate([one[key] for one in series]) for key in series[0]}
        return np.concatenate(series)

    names = ("returns", "weighted_returns", "accuracy", "regret", "gradients", "rewards", "probs")
    return replace(
        first,
        seeds=_checked([seed for part in parts for seed in part.seeds]),
        evidence=joined_trainings([part.evidence for part in parts]),
        tally={name: sum(part.tally[name] for part in parts) for name in first.tally},
        **{name: together(name) for name in (*names, "collapsed", "causes")},
    )


def _listed(done: Training, agents: tuple[str, ...]) -> Training:
    """Returns the same training with its agents in the order of `agents`."""
    order = [done.agents.index(agent) for agent in agents]

    def each(series: Mapping[str, Floats]) -> dict[str, Floats]:
        return {k: v[..., order] if v.ndim == 3 else v for k, v in series.items()}

    return replace(
        done,
        agents=agents,
        accuracy=done.accuracy[..., order],
        regret=done.regret[..., order],
        gradients=each(done.gradients),
        rewards=each(done.rewards),
        evidence=done.evidence.of_agents(order),
        collapsed=done.collapsed[..., order],
        causes=done.causes[..., order],
        probs=done.probs[:, order],
    )


def single_precision(values: Floats, seed: Ints, seeds: int) -> Floats:
    """Returns advantages [N] to 24 bits, and 0 below the 24th bit of their seed's largest one.

    The bits beyond depend on the order in which a mean was summed, and 200 steps of Adam can blow
    1e-16 up to 1e-3. Trainers of large networks hold advantages in single precision anyway.
    """
    largest = segment_max(abs(values), seed, seeds)[seed]
    single = values.astype(np.float32).astype(np.float64)
    return np.where(abs(values) < largest * np.finfo(np.float32).eps, 0.0, single)


def logit_gradients(
    world: World, play: Play, rows: Ints, columns: Mapping[str, Ints], values: Floats, probs: Floats
) -> tuple[Floats, Floats]:
    """Returns the policy gradient with respect to the logits, in micro-batches, and its visits.

    With w_i = A_i / N the gradient of the mean of A log pi is, for each agent and context,
    sum_i w_i (1[action_i = m] - pi_m). Micro-batch g holds rollout g of every prompt: each of
    them meets every prompt, so that an agent which a prompt does not need is absent from none.

    Args:
        world: whose agents, contexts and actions these are.
        play: the batch.
        rows: [N] flat indices of the decisions.
        columns: their labels, each [N].
        values: [N] advantages.
        probs: [S, A, C, M] the policy that played.

    Returns:
        [S, G, A, C, M] gradient, and [S, A, C] the share of each seed's decisions taken there.
    """
    s, a, c, m = probs.shape
    seed, agent = columns["batch"], columns["agent"]
    share = 1.0 / np.maximum(np.bincount(seed, minlength=s), 1)[seed]
    context, action = play.context.ravel()[rows], play.action.ravel()[rows]
    place = ((seed * world.rollouts + columns["rollout"]) * a + agent) * c + context
    cells = s * world.rollouts * a * c * m
    weight = segment_sum(share * values, place * m + action, cells)
    weight = weight.reshape(s, world.rollouts, a, c, m)
    # sum_i w_i (1[action_i = m] - pi_m): the second term needs the total weight alone
    gradient = weight - weight.sum(axis=-1, keepdims=True) * probs[:, None]
    visits = segment_sum(share, (seed * a + agent) * c + context, s * a * c)
    return gradient, visits.reshape(s, a, c)


def entropy_gradient(probs: Floats, visits: Floats) -> Floats:
    """Returns the gradient of the mean entropy of the decisions' policies with respect to the
    logits.

    dH/dz_m = -pi_m (log pi_m + H), weighted by `visits` [S, A, C], the share of decisions that
    were taken there; [S, A, C, M].
    """
    information = np.log(np.where(probs > 0, probs, 1.0))
    entropy = -(probs * information).sum(axis=-1, keepdims=True)
    gradient: Floats = -visits[..., None] * probs * (information + entropy)
    return gradient


def present(world: World, play: Play) -> Bools:
    """Returns [S, G, A], whether the agent decided anything in rollout g of any prompt."""
    agent = np.array([agent for agent, _ in world.slots])
    by_slot: Bools = np.asarray(play.active.any(axis=1))
    return np.stack([by_slot[..., agent == k].any(axis=-1) for k in range(len(world.agents))], -1)


def _checked(seeds: Sequence[int]) -> tuple[int, ...]:
    numbers = tuple(int(seed) for seed in seeds)
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise SettingError(f"got seeds {list(seeds)}; wanted different integers >= 0, at least one")
    return numbers


@dataclass(frozen=True)
class Optimizer:
    """Memory of the gradients so far; with `sgd` it stays empty."""

    settings: Settings
    steps: int = 0
    mean: Floats | float = 0.0
    """[S, D] decayed sum of gradients."""
    square: Floats | float = 0.0
    """[S, D] decayed sum of squared gradients."""

    def ascend(self, parameters: Floats, gradient: Floats) -> tuple[Floats, Optimizer]:
        """Returns the parameters [S, D] after one step along `gradient` [S, D], and the new memory.

        Source: Kingma & Ba 2015, Adam, algorithm 1.
        """
        gradient, lr = clipped(gradient, self.settings.clip), self.settings.lr
        if self.settings.optimizer == "sgd":
            return parameters + lr * gradient, self
        steps = self.steps + 1
        mean = DECAY * self.mean + (1 - DECAY) * gradient
        square = DECAY_SQUARED * self.square + (1 - DECAY_SQUARED) * gradient**2
        rate = lr / (1 - DECAY**steps)
        step = rate * mean / (np.sqrt(square / (1 - DECAY_SQUARED**steps)) + EPSILON)
        return parameters + step, Optimizer(self.settings, steps, mean, square)


def clipped(gradient: Floats, largest: float) -> Floats:
    """Returns `gradient` [S, D], each seed's scaled down to length `largest` if it is longer."""
    length = np.linalg.norm(gradient, axis=-1, keepdims=True)
    shorter: Floats = np.minimum(1.0, largest / np.maximum(length, np.finfo(np.float64).tiny))
    return gradient * shorter
