"""Each agent's policy gradient in micro-batches, and what it says: measured while a team learns.

Start with `agent_numbers`. The gradient is that of the mean of A log pi at the parameters that
played, before the first step of an update; the entropy bonus, clipping, and the deviations of
continuous actions are left aside. One backward pass gives those of all agents and micro-batches,
so that a measurement costs about as much as one pass over the batch for the actors alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from counterpoint.arrays import Floats
from counterpoint.credit import Scheme
from counterpoint.diagnose import gradient_statistics
from counterpoint.diagnose.evidence import to_numbers
from counterpoint.diagnose.gradients import FEWEST_MICRO_BATCHES
from counterpoint.diagnose.updates import UpdateNumbers
from counterpoint.train.ppo.affine import affine_evidence, of_agents
from counterpoint.train.ppo.improve import Part
from counterpoint.train.ppo.levels import Credited, Level
from counterpoint.train.ppo.networks import Policy, TeamNetworks

MICRO_BATCHES = 8
"""Into which a batch is split, copy by copy: no episode is in two of them, but for those at the
borders where the copies cannot be divided by 8."""

Numbers = dict[str, float | list[float] | None]


def agent_numbers(
    team: TeamNetworks,
    parts: list[Part],
    credited: Credited,
    scheme: Scheme,
    copies: int,
    *,
    level: Level = "advantage",
    entropy: float = 0.0,
) -> tuple[list[Numbers], Numbers]:
    """What one update says of each agent, and of the team.

    Args:
        team: the networks that played.
        parts: the batch by parameter set, advantages in it.
        credited: what the scheme was given and made of it.
        scheme: the scheme.
        copies: E.
        level: where the scheme is applied.
        entropy: weight of the entropy bonus.

    Returns:
        For each agent: snr, cosine (both with `_low` and `_high`), share, norm, norm_inflation,
        inflation, signal_share, dead_rate, net_mass, spike_rate, entropy (nats), participation;
        and the evidence of `kept.*`, each [V] over the scheme and what it is held against. None
        where undefined, as all of gradients where a recurrent team has fewer sequences than
        there are micro-batches. For the team: participation_ratio and effective_rank.
    """
    told: dict[str, Floats] = {}
    agents = sum(len(group.members) for group in team.sets)
    (micro, plain), decided = both_gradients(team, parts, copies)
    divided = parts[0].seen.shape[1] >= MICRO_BATCHES
    measured = divided & ((decided > 0).sum(axis=0) >= FEWEST_MICRO_BATCHES)
    for name, values in vars(gradient_statistics(micro)).items():
        known = measured if name.startswith(("snr", "cosine")) else divided
        told[name] = np.where(known, values, np.nan)
    numbers = UpdateNumbers(scheme, 1, agents).of(credited.columns, credited.given, credited.out)
    told |= {name: values[0] for name, values in numbers.items()}
    if scheme.scale == "none":  # nothing is shared by an agent with a network of its own
        alone = [k for group in team.sets if len(group.members) == 1 for k in group.members]
        for name in ("norm_inflation", "signal_share"):
            told[name] = told[name].copy()
            told[name][alone] = np.nan
    told["entropy"] = entropies(team, parts, agents)
    told["participation"] = participation(team, parts, agents)
    by_agent: list[Numbers] = [
        {name: _plain(values[k]) for name, values in told.items() if values.ndim}
        for k in range(agents)
    ]
    if divided:
        rows = None if level == "reward" else of_agents(
            credited.given, credited.columns["agent"], agents)  # fmt: skip
        sets, used = [group.members for group in team.sets], advantages_of(team, parts, agents)
        evidence = affine_evidence(micro, plain, used, rows, sets, entropy)
        for k in np.flatnonzero(measured):
            by_agent[k] |= to_numbers(evidence, int(k))
    return by_agent, {name: _plain(values) for name, values in told.items() if not values.ndim}


def micro_gradients(team: TeamNetworks, parts: list[Part], copies: int) -> tuple[Floats, Floats]:
    """Gradients [M, A, D] of M micro-batches, and the share [M, A] of steps decided in each."""
    both, decided = both_gradients(team, parts, copies)
    return both[0], decided


def both_gradients(team: TeamNetworks, parts: list[Part], copies: int) -> tuple[Floats, Floats]:
    """The same, and that of log pi with every advantage 1: [2, M, A, D]; and the share [M, A].

    D holds the weights of every actor, those of another set than the agent's being 0. Where there
    are fewer sequences than micro-batches, all is 0.
    """
    agents = sum(len(group.members) for group in team.sets)
    by_set = [_of_set(actor, part, copies) for actor, part in zip(team.actors, parts, strict=True)]
    out = np.zeros((2, MICRO_BATCHES, agents, sum(gradients.shape[-1] for gradients, _ in by_set)))
    decided, start = np.zeros((MICRO_BATCHES, agents)), 0
    for (gradients, share), whose in zip(by_set, team.sets, strict=True):
        members, size = list(whose.members), gradients.shape[-1]
        out[:, :, members, start : start + size], decided[:, members] = gradients, share
        start += size
    return out, decided


def _of_set(policy: Policy, part: Part, copies: int) -> tuple[Floats, Floats]:
    """[2, M, A, d] gradients of one set's agents, under their advantages and with advantages of 1,
    and [M, A] the share of steps they decided in.

    A linear layer's gradient is a sum of products, one a row: of what came in, and of the gradient
    of what went out. So a backward pass to the layers' outputs is enough for any grouping.
    """
    acts = torch.ones_like(part.advantage) if part.active is None else part.active
    weight = part.advantage * acts
    each = weight.shape[1] // MICRO_BATCHES
    per_group = each * weight.shape[2]
    with _layers_of(policy) as calls:
        log_prob, _ = policy(part.seen, part.action, part.hidden, part.keep, part.legal)
    came_in = [
        _split(torch.cat([given, torch.ones(*given.shape[:-1], 1)], dim=-1), each, copies)
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
        batches.append(gradients.transpose(0, 1).double().numpy())
    share = _split(acts[..., None], each, copies).sum(dim=(2, 3)) / max(per_group, 1)
    return np.stack(batches), share.T.double().numpy()


def advantages_of(team: TeamNetworks, parts: list[Part], agents: int) -> list[Floats]:
    """[A][n] what each agent's decisions weigh in the gradient."""
    out = [np.zeros(0)] * agents
    for group, part in zip(team.sets, parts, strict=True):
        for i, k in enumerate(group.members):
            values = part.advantage[i]
            there = values if part.active is None else values[part.active[i] > 0]
            out[k] = there.detach().double().numpy().ravel()
    return out


def _split(x: Tensor, each: int, copies: int) -> Tensor:
    """[A, N, (L,) D] as [A, M, rows, D]: the first `each` sequences, copy by copy, the next ones,
    and so on; the rest is left out."""
    a, n, *length, size = x.shape
    by_copy = x.detach().reshape(a, n // copies, copies, -1, size).transpose(1, 2).flatten(1, 2)
    rows = each * (length[0] if length else 1)
    return by_copy[:, : each * MICRO_BATCHES].reshape(a, MICRO_BATCHES, rows, size)


@contextmanager
def _layers_of(policy: Policy) -> Iterator[list[tuple[nn.Module, Tensor, Tensor]]]:
    """Every call of a linear layer meanwhile: the layer, what came in, what went out."""
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


def entropies(team: TeamNetworks, parts: list[Part], agents: int) -> Floats:
    """[A] mean entropy of each agent's decisions, in nats."""
    out = np.full(agents, np.nan)
    with torch.inference_mode():
        for actor, whose, part in zip(team.actors, team.sets, parts, strict=True):
            _, found = actor(part.seen, part.action, part.hidden, part.keep, part.legal)
            weight = torch.ones_like(found) if part.active is None else part.active
            total, count = (found * weight).sum(dim=(1, 2)), weight.sum(dim=(1, 2))
            out[list(whose.members)] = (total / count).double().numpy()
    return out


def participation(team: TeamNetworks, parts: list[Part], agents: int) -> Floats:
    """[A] the share of steps in which each agent decided."""
    out = np.ones(agents)
    for whose, part in zip(team.sets, parts, strict=True):
        if part.active is not None:
            out[list(whose.members)] = part.active.mean(dim=(1, 2)).double().numpy()
    return out


def _plain(value: NDArray[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None
