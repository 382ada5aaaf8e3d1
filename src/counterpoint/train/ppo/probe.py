"""Measurements of each agent's policy gradient in micro-batches, while a team learns.

Start with `measure_policies`. The gradient is that of the mean of A log pi at the parameters that
played, before the first step of an update. The entropy bonus, clipping, and the deviations of
continuous actions are left out. One backward pass gives the gradients of all agents and
micro-batches, so that a measurement costs about as much as one pass over the batch for the actors
alone. `credit_audit` compares advantages with each agent's own rewards.

`affine_evidence` says what pooled or per-agent statistics would have made of a batch, in worlds
without prompts. Both only multiply an agent's advantages by a number and add another: `a A + b`. So
the gradient under them is `a` times the measured one plus `b` times the gradient of log pi alone,
and one more backward pass gives the noise of all. The expected gradient is only multiplied by `a`,
since `b` is a baseline. So the kept share of the signal needs no estimate of the signal itself,
which single batches of networks do not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from counterpoint.arrays import Floats
from counterpoint.diagnose import credit_correlations
from counterpoint.diagnose.evidence import Evidence, bonus_noise, competing_noise
from counterpoint.diagnose.updates import UpdateNumbers
from counterpoint.train.ppo.critics import generalized_advantages, rewards_by_decision
from counterpoint.train.ppo.improve import SetBatch
from counterpoint.train.ppo.learner import Credited, Learner
from counterpoint.train.ppo.networks import Actor, TeamNetworks
from counterpoint.train.ppo.rollout import Batch
from counterpoint.train.series import Numbers, agent_numbers, finite_or_none

EXACT = 1e-6
"""A scheme is affine for an agent where it leaves less than this share of variance unexplained."""
MICRO_BATCHES = 8
"""Number of micro-batches of a batch, which is split copy by copy: no episode is in two of them,
but for those at the borders where the copies cannot be divided by 8."""


def measure_policies(
    learner: Learner, batches: list[SetBatch], credited: Credited
) -> tuple[list[Numbers], Numbers]:
    """Returns the measurements of each agent and of the team in one update.

    Args:
        learner: the team that played.
        batches: the batch by parameter set, advantages in it.
        credited: input and output of the scheme.

    Returns:
        For each agent: snr, cosine (both with `_low` and `_high`), share, norm, norm_inflation,
        inflation, signal_share, dead_rate, net_mass, spike_rate, entropy (nats), participation;
        and the evidence of `kept.*`, each [V] over the scheme and what it is held against. None
        where undefined, as all of gradients where a recurrent team has fewer sequences than
        there are micro-batches. For the team: participation_ratio and effective_rank.
    """
    team, scheme, agents = learner.team, learner.crediting.scheme, len(learner.world.agents)
    (micro, plain), decided = both_gradients(team, batches, learner.world.copies)
    numbers = UpdateNumbers(scheme, 1, agents).of(credited.columns, credited.given, credited.out)
    measures = {name: values[0] for name, values in numbers.items()}
    measures["entropy"], measures["participation"] = np.full(agents, np.nan), np.ones(agents)
    used = [np.zeros(0)] * agents
    for actor, group, batch in zip(team.actors, team.sets, batches, strict=True):
        with torch.inference_mode():
            _, entropy = actor(batch.seen, batch.action, batch.hidden, batch.keep, batch.legal)
        weight = torch.ones_like(entropy) if batch.active is None else batch.active
        members, total = list(group.members), (entropy * weight).sum(dim=(1, 2))
        measures["entropy"][members] = (total / weight.sum(dim=(1, 2))).cpu().double().numpy()
        if batch.active is not None:
            measures["participation"][members] = (
                batch.active.mean(dim=(1, 2)).cpu().double().numpy()
            )
        for i, k in enumerate(members):
            values = batch.advantage[i]
            decided_here = values if batch.active is None else values[batch.active[i] > 0]
            used[k] = decided_here.detach().cpu().double().numpy().ravel()

    def evidence() -> Evidence:
        agent = credited.columns["agent"]
        given = (
            None
            if learner.crediting.level == "reward"
            else [credited.given[agent == k] for k in range(agents)]
        )
        together = [group.members for group in team.sets]
        return affine_evidence(micro, plain, used, given, together, learner.entropy)

    return agent_numbers(
        micro,
        decided,
        measures,
        # Nothing is shared by an agent with a network of its own.
        alone=[g.members[0] for g in team.sets if len(g.members) == 1 and scheme.scale == "none"],
        divided=batches[0].seen.shape[1] >= MICRO_BATCHES,
        evidence=evidence,
    )


def affine_evidence(
    micro: Floats,
    plain: Floats,
    advantages: Sequence[Floats],
    given: Sequence[Floats] | None,
    together: Sequence[Sequence[int]],
    entropy: float,
) -> Evidence:
    """Returns the evidence [V, A] of one batch under the scheme, pooled, and per-agent statistics.

    Args:
        micro: [M, A, D] gradients of micro-batches under the scheme.
        plain: [M, A, D] those of log pi with every advantage 1.
        advantages: `[A][n]` of each agent's decisions.
        given: `[A][n]` what the scheme was given for them; None where that is no advantage.
        together: the agents of each parameter set.
        entropy: weight of the entropy bonus.
    """
    a, b = affine_candidates(advantages, advantages if given is None else given)
    covariances, products = _moments(micro, plain)
    noise, power = _form(a, b, covariances), _form(a, b, products)
    mean = np.array([x.mean() if x.size else 0.0 for x in advantages])
    mean_square = np.array([(x**2).mean() if x.size else 0.0 for x in advantages])
    square = a**2 * mean_square + 2 * a * b * mean + b**2
    competing = np.array(noise)
    for members in together:
        competing[:, list(members)] = competing_noise(noise[:, list(members)], len(members) > 1)
    alive = mean_square > 0
    return Evidence(
        a**2 * alive, noise, competing + bonus_noise(noise, square, entropy), power, known=True
    )


def affine_candidates(
    advantages: Sequence[Floats], given: Sequence[Floats]
) -> tuple[Floats, Floats]:
    """Returns the factor and the offset of each agent's advantages under each candidate, [V, A]
    each.

    Statistics are of what was given. Where the scheme is not affine for an agent (ranks, or a sum
    of normalized components), they are of its advantages.
    """
    agents = len(advantages)
    raw = list(advantages)
    for k, (x, y) in enumerate(zip(advantages, given, strict=True)):
        if x.size != y.size or x.size < 2 or x.std() == 0 or y.std() == 0:
            continue
        # Affine: the advantages are `y` times a positive number plus another, in any order.
        if float(np.corrcoef(np.sort(x), np.sort(y))[0, 1]) ** 2 > 1 - EXACT:
            raw[k] = y
    pool = np.concatenate(raw) if agents else np.zeros(0)
    mean, deviation = (pool.mean(), pool.std()) if pool.size else (0.0, 0.0)
    a, b = np.zeros((2, 3, agents))
    a[0] = 1.0
    for k, (x, y) in enumerate(zip(advantages, raw, strict=True)):
        if not x.size or x.std() == 0:
            continue
        slope = y.std() / x.std()  # given per advantage
        a[2, k], b[2, k] = 1 / x.std(), -x.mean() / x.std()
        if deviation > 0:
            a[1, k] = slope / deviation
            b[1, k] = (y.mean() - slope * x.mean() - mean) / deviation
    return a, b


def _form(a: Floats, b: Floats, parts: Sequence[Floats]) -> Floats:
    """Returns [V, A], the form `a^2 xx + 2 a b xy + b^2 yy`."""
    xx, xy, yy = parts
    return np.asarray(a**2 * xx + 2 * a * b * xy + b**2 * yy)


def _moments(x: Floats, y: Floats) -> tuple[tuple[Floats, Floats], ...]:
    """Returns, for x with x, x with y, and y with y of M micro-batches [M, A, D], the traces of
    the sample covariances, and M times the mean inner products of different micro-batches, each
    [A]."""
    count, moments = len(x), []
    for one, two in ((x, x), (x, y), (y, y)):
        each = np.einsum("mad,mad->a", one, two)
        whole = np.einsum("ad,ad->a", one.sum(axis=0), two.sum(axis=0))
        # sum_m |x_m - mean|^2 = sum_m |x_m|^2 - |sum_m x_m|^2 / M, and |sum_m x_m|^2 without the
        # squares of each: only pairs of different micro-batches are left.
        moments.append(((each - whole / count) / (count - 1), (whole - each) / (count - 1)))
    return tuple(zip(*moments, strict=True))


def both_gradients(
    team: TeamNetworks, batches: list[SetBatch], copies: int
) -> tuple[Floats, Floats]:
    """Returns the gradients [2, M, A, D] of M micro-batches, and the share [M, A] of steps decided
    in each.

    The first is that under the advantages; in the second every advantage is 1.

    D holds the weights of every actor, those of another set than the agent's being 0. Where there
    are fewer sequences than micro-batches, all is 0.
    """
    agents = sum(len(group.members) for group in team.sets)
    by_set = [
        _of_set(actor, batch, copies) for actor, batch in zip(team.actors, batches, strict=True)
    ]
    out = np.zeros((2, MICRO_BATCHES, agents, sum(gradients.shape[-1] for gradients, _ in by_set)))
    decided, start = np.zeros((MICRO_BATCHES, agents)), 0
    for (gradients, share), group in zip(by_set, team.sets, strict=True):
        members, size = list(group.members), gradients.shape[-1]
        out[:, :, members, start : start + size], decided[:, members] = gradients, share
        start += size
    return out, decided


def _of_set(policy: Actor, batch: SetBatch, copies: int) -> tuple[Floats, Floats]:
    """Returns the gradients [2, M, A, d] of one set's agents, and the share [M, A] of steps they
    decided in.

    The first is that under their advantages; in the second every advantage is 1.

    A linear layer's gradient is a sum of products, one a row: of what came in, and of the gradient
    of what went out. So a backward pass to the layers' outputs is enough for any grouping.
    """
    acts = torch.ones_like(batch.advantage) if batch.active is None else batch.active
    weight = batch.advantage * acts
    each = weight.shape[1] // MICRO_BATCHES
    per_group = each * weight.shape[2]
    with _layers_of(policy) as calls:
        log_prob, _ = policy(batch.seen, batch.action, batch.hidden, batch.keep, batch.legal)
    came_in = [
        _split(torch.cat([given, given.new_ones(*given.shape[:-1], 1)], dim=-1), each, copies)
        for _, given, _ in calls
    ]
    batches = []
    for last, what in enumerate((weight, acts)):
        total = (log_prob * what).sum() / max(per_group, 1)
        grads = torch.autograd.grad(total, [out for _, _, out in calls], retain_graph=not last)
        by_layer: dict[nn.Module, Tensor] = {}
        for (layer, _, _), grad, rows in zip(calls, grads, came_in, strict=True):
            products = _split(grad, each, copies).mT @ rows
            by_layer[layer] = products if layer not in by_layer else by_layer[layer] + products
        gradients = torch.cat([x.flatten(2) for x in by_layer.values()], dim=2)
        batches.append(gradients.transpose(0, 1).cpu().double().numpy())
    share = _split(acts[..., None], each, copies).sum(dim=(2, 3)) / max(per_group, 1)
    return np.stack(batches), share.T.cpu().double().numpy()


def _split(x: Tensor, each: int, copies: int) -> Tensor:
    """Returns [A, N, (L, P,) D] as [A, M, rows, D]: the first `each` sequences, copy by copy, then
    the next ones; the rest is left out. P are the patches of a picture."""
    a, n, *length, size = x.shape
    by_copy = x.detach().reshape(a, n // copies, copies, -1, size).transpose(1, 2).flatten(1, 2)
    rows = each * prod(length)
    return by_copy[:, : each * MICRO_BATCHES].reshape(a, MICRO_BATCHES, rows, size)


@contextmanager
def _layers_of(policy: Actor) -> Iterator[list[tuple[nn.Module, Tensor, Tensor]]]:
    """Yields a list of every call of a linear layer in the block: layer, input, output."""
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda layer, given, out: calls.append((layer, given[0], out)))
        for layer in policy.modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def credit_audit(batch: Batch, advantage: Floats, gamma: float) -> list[float | None]:
    """Returns how each agent's advantages correlate with its own rewards: see
    `credit_correlations`.

    Own rewards are those that the world has for each agent, whatever it was paid. Where a batch
    cuts an episode, what came later is not counted, which makes the correlation smaller.

    Args:
        batch: what was played.
        advantage: [A, T, E] what the policy gradient is weighted by.
        gamma: discount.

    Returns:
        [A]; None where the own rewards of all agents are the same, or where it is undefined.
    """
    a, t, _ = advantage.shape
    if np.ptp(batch.own, axis=0).max(initial=0.0) == 0:
        return [None] * a
    own, acts = own_returns(batch, gamma), batch.active[:, :t]
    agent = np.broadcast_to(np.arange(a)[:, None, None], acts.shape)
    turn = np.broadcast_to(batch.clock, acts.shape)
    correlations = credit_correlations(advantage[acts], own[acts], agent[acts], turn[acts], a)
    return [finite_or_none(value) for value in correlations]


def own_returns(batch: Batch, gamma: float) -> Floats:
    """Returns [A, T, E], the discounted sum of the agent's own rewards from each decision on."""
    own, after = rewards_by_decision(
        batch.own[..., None], batch.active, batch.terminated, batch.ended, gamma
    )
    nothing = np.zeros((*batch.active.shape, 1))
    returns = generalized_advantages(own, nothing, nothing[:, 1:], after, batch.active, gamma, 1.0)
    return returns[..., 0]
