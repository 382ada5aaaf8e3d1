"""Each agent's policy gradient in micro-batches, and what it says: measured while a team learns.

Start with `agent_numbers`. The gradient is that of the mean of A log pi at the parameters that
played, before the first step of an update, entropy and clipping left aside. One backward pass
gives those of all agents and micro-batches, so that a measurement costs about as much as one pass
over the batch for the actors alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad, vmap

from counterpoint.credit import Scheme
from counterpoint.diagnose import gradient_statistics
from counterpoint.diagnose.gradients import FEWEST_MICRO_BATCHES
from counterpoint.diagnose.updates import UpdateNumbers
from counterpoint.train.levels import Credited
from counterpoint.train.networks import Policy, TeamNetworks
from counterpoint.train.ppo import Part
from counterpoint.worlds.base import Floats

MICRO_BATCHES = 8
"""Into which a batch is split: copy 0, 8, 16, ... is the first, so that micro-batches are alike."""

Numbers = dict[str, float | None]


def agent_numbers(
    team: TeamNetworks, parts: list[Part], credited: Credited, scheme: Scheme, agents: int
) -> tuple[list[Numbers], Numbers]:
    """What one update says of each agent, and of the team.

    Args:
        team: the networks that played.
        parts: the batch by parameter set, advantages in it.
        credited: what the scheme was given and made of it.
        scheme: the scheme.
        agents: A.

    Returns:
        For each agent: snr, cosine (both with `_low` and `_high`), share, norm, norm_inflation,
        inflation, signal_share, dead_rate, net_mass, spike_rate, entropy (nats), participation;
        None where undefined. For the team: participation_ratio and effective_rank.
    """
    told: dict[str, Floats] = {}
    micro, decided = micro_gradients(team, parts, agents)
    found = dict(vars(gradient_statistics(micro)))
    measured = (decided > 0).sum(axis=0) >= FEWEST_MICRO_BATCHES
    for name, values in found.items():
        silent = name.startswith(("snr", "cosine")) & ~measured
        told[name] = np.where(silent, np.nan, values) if values.ndim else values
    numbers = UpdateNumbers(scheme, 1, agents).of(credited.columns, credited.given, credited.out)
    told |= {name: values[0] for name, values in numbers.items()}
    told["entropy"] = entropies(team, parts, agents)
    told["participation"] = decided.mean(axis=0)
    by_agent = [
        {name: _plain(values[k]) for name, values in told.items() if values.ndim}
        for k in range(agents)
    ]
    return by_agent, {name: _plain(values) for name, values in told.items() if not values.ndim}


def micro_gradients(team: TeamNetworks, parts: list[Part], agents: int) -> tuple[Floats, Floats]:
    """Gradients [M, A, D] of M micro-batches, and the share [M, A] of steps decided in each.

    D holds the parameters of every actor, those of another set than the agent's being 0.
    """
    sizes = [sum(p.numel() for p in actor.parameters()) for actor in team.actors]
    out = np.zeros((MICRO_BATCHES, agents, sum(sizes)))
    decided = np.zeros((MICRO_BATCHES, agents))
    start = 0
    for actor, whose, part, size in zip(team.actors, team.sets, parts, sizes, strict=True):
        found, share = _of_set(actor, part)
        members = list(whose.members)
        out[:, members, start : start + size] = found
        decided[:, members] = share
        start += size
    return out, decided


def _of_set(policy: Policy, part: Part) -> tuple[Floats, Floats]:
    """[M, A, d] gradients of one set's agents, and [M, A] the share of steps they decided in."""
    a, n = part.seen.shape[:2]
    each = n // MICRO_BATCHES

    def split(x: Tensor) -> Tensor:
        """[A, N, ...] as [A M, 1, N / M, ...]; what is left over is not looked at."""
        rows = x[:, : each * MICRO_BATCHES].reshape(a, each, MICRO_BATCHES, *x.shape[2:])
        return rows.transpose(1, 2).reshape(a * MICRO_BATCHES, 1, each, *x.shape[2:])

    def gain(weights: dict[str, Tensor], who: Tensor, rows: dict[str, Tensor]) -> Tensor:
        given = {name: x for name, x in rows.items() if name not in ("advantage", "active")}
        log_prob, _ = functional_call(policy, weights, (), given | {"who": who})
        weight = rows["advantage"] * rows["active"] if "active" in rows else rows["advantage"]
        return (log_prob * weight).mean()

    names = ("seen", "keep", "hidden", "legal", "action", "advantage", "active")
    told = {name: getattr(part, name) for name in names}
    rows = {name: split(x) for name, x in told.items() if x is not None}
    weights: dict[str, Tensor] = {name: p.detach() for name, p in policy.named_parameters()}
    who = torch.arange(a).repeat_interleave(MICRO_BATCHES)[:, None]
    by_name = vmap(grad(gain), in_dims=(None, 0, 0))(weights, who, rows)
    flat = torch.cat([by_name[name].flatten(1) for name in weights], dim=1)
    share = rows["active"].mean(dim=(1, 2, 3)) if "active" in rows else torch.ones(len(flat))
    gradients = flat.reshape(a, MICRO_BATCHES, -1).transpose(0, 1).double().numpy()
    return gradients, share.reshape(a, MICRO_BATCHES).T.double().numpy()


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


def _plain(value: NDArray[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None
