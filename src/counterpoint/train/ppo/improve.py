"""Improving: passes of clipped policy gradient over one batch, actors and critics together.

Start with `improve`. Axis letters as in `networks.py`: A agents of one set, N sequences of L steps.

Source: Schulman et al. 2017, Proximal policy optimization algorithms, equations 7 and 9; Kuba et
    al. 2022, Trust region policy optimisation in multi-agent reinforcement learning, algorithm 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from counterpoint.arrays import Floats
from counterpoint.train.adam import Adam
from counterpoint.train.ppo.critics import TeamCritics, action_critic_inputs
from counterpoint.train.ppo.networks import Actor, Inputs, folded, memory_of
from counterpoint.train.ppo.rollout import Batch
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.train.ppo.talk import signalling_bonus

Losses = dict[str, float]


@dataclass(frozen=True)
class SetBatch:
    """The rows of a batch that belong to one parameter set, as sequences [A, N, L, ...]."""

    seen: Tensor
    """[A, N, L, D] observations, and the agent's place in its set."""
    keep: Tensor | None
    """[A, N, L] 0 where an episode starts; None without memory."""
    hidden: Tensor | None
    """[A, N, H] memory of the actors before each sequence."""
    legal: Tensor | None
    """[A, N, L, M] legal actions, where they change."""
    action: Tensor
    """[A, N, L] choices of a set that chooses, or [A, N, L, U] numbers."""
    log_prob: Tensor
    """[A, N, L] log-probability of the actions when they were taken."""
    advantage: Tensor
    """[A, N, L] weights of the policy gradient."""
    active: Tensor | None
    """[A, N, L] 1 where the agent decided; None where it always did."""
    valued: Tensor
    """[A, N, L, D] inputs of the critics; `seen` itself if they are the same."""
    critic_hidden: Tensor | None
    """[A, N, H] memory of the critics before each sequence."""
    target: Tensor
    """[A, N, L, K] targets of the critics."""
    action_inputs: Tensor | None
    """[A, N, L, D] inputs of the critics of actions."""

    def at(self, which: Tensor) -> SetBatch:
        """Returns the sequences `which` alone: a minibatch."""
        # Where critics see what actors see, the rows are taken once and stay one tensor.
        own = {
            name: x if x is None else x.index_select(1, which)
            for name, x in vars(self).items()
            if name != "valued" or x is not self.seen
        }
        return SetBatch(**({"valued": own["seen"]} | own))


def split_by_set(
    batch: Batch, advantage: Floats, target: Floats, critics: TeamCritics
) -> list[SetBatch]:
    """Returns the batch of each parameter set.

    Args:
        batch: what was played.
        advantage: [A, T, E].
        target: [A, T, E, K] returns in the reward's unit.
        critics: the critics, their scale, and what they remembered.
    """
    t, settings, team, decided = len(batch.ended), critics.settings, critics.team, batch.decided
    memory = settings.memory
    always = bool(decided.all())
    keep = torch.from_numpy(~batch.starts[:t]).float().expand(len(batch.seen), -1, -1)
    mean, std = critics.scale.numbers()
    taken = torch.from_numpy(batch.action)
    choices = taken if taken.dim() == batch.log_prob.ndim else taken[..., 0].long()
    given: dict[str, Tensor | None] = {
        "seen": torch.from_numpy(batch.seen[:, :t]),
        "keep": keep if memory == "gru" else None,
        "legal": None if batch.legal is None else torch.from_numpy(batch.legal),
        "log_prob": torch.from_numpy(batch.log_prob),
        "advantage": torch.from_numpy(advantage.astype(np.float32)),
        "active": None if always else torch.from_numpy(decided).float(),
        "valued": None if settings.critic == "own" else critics.inputs(batch)[:, :t],
        "target": torch.from_numpy(((target - mean) / std).astype(np.float32)),
        "action_inputs": action_critic_inputs(batch) if len(team.answers) else None,
    }
    batches = []
    for i, group in enumerate(team.sets):
        own = {
            n: x if x is None else folded(x[group.rows], memory).to(team.device)
            for n, x in {**given, "action": taken if team.actors[i].continuous else choices}.items()
        }
        inputs: Inputs = team.actors[i].inputs
        for name in ("seen", "valued", "action_inputs"):
            own[name] = None if own[name] is None else inputs(own[name])
        if own["valued"] is None:
            own["valued"] = own["seen"]
        # Memory before the batch, not of its end: the passes play the sequences again.
        hidden = {"hidden": batch.hidden, "critic_hidden": critics.before}
        batches.append(
            SetBatch(**own, **{n: memory_of(x, group, team.device) for n, x in hidden.items()})
        )
    return batches


def improve(
    critics: TeamCritics,
    adam: Adam,
    batches: list[SetBatch],
    rng: np.random.Generator,
    lr: float,
    entropy: float | None = None,
) -> Losses:
    """Takes `epochs` passes over the batch in shuffled minibatches.

    Args:
        critics: the critics, with the team and its settings.
        adam: the optimizer of all parameters of the team.
        batches: the batch by parameter set.
        rng: of the shuffles.
        lr: learning rate.
        entropy: weight of the entropy bonus; None takes that of the settings.

    Returns:
        Means over the passes: policy loss, value loss, entropy (nats), kl (nats, of the policy
        that played against the present one), clipped (share of decisions). Where some agents
        choose and others give numbers, the entropy of the latter is a mean of its own,
        density_entropy: the two have different units.
    """
    settings, totals = critics.settings, dict[str, Tensor]()
    if entropy is not None:
        settings = replace(settings, entropy=entropy)
    if settings.update == "sequential":
        improve_in_turn(critics, adam, batches, rng, lr, settings, totals)
    else:
        for which in minibatches(settings, batches, rng):
            adam.zero()
            loss = torch.zeros((), device=critics.team.device)
            for i, batch in enumerate(batches):
                minibatch = batch.at(which)
                policy_loss, losses = policy_losses(critics.team.actors[i], minibatch, settings)
                losses["value_loss"] = value_loss(critics, i, minibatch)
                loss = loss + policy_loss + settings.value_weight * losses["value_loss"]
                add_up(totals, losses)
            loss.backward()
            adam.step(lr)
    count = len(sequences_of(batches))
    passes = settings.epochs * min(settings.minibatches, count)
    sets = Counter(actor.entropy_name for actor in critics.team.actors)
    return {n: float(x) / (passes * sets.get(n, len(batches))) for n, x in totals.items()}


def improve_in_turn(
    critics: TeamCritics,
    adam: Adam,
    batches: list[SetBatch],
    rng: np.random.Generator,
    lr: float,
    settings: PolicySettings,
    totals: dict[str, Tensor],
) -> None:
    """Takes all passes for one agent after the other, in random order, then those of the critics.

    The advantages of an agent are multiplied by the product of the ratios of probabilities, new to
    old, of the actions of the agents before it. So it improves on what they do now.

    Args:
        critics, adam, batches, rng, lr: as in `improve`; each parameter set has one agent.
        settings: those of the team, with the present weight of the entropy bonus.
        totals: gets the sums of the losses.
    """
    actors = critics.team.actors
    steps, factor = adam.steps, torch.ones_like(batches[0].log_prob[0])
    for i in rng.permutation(len(batches)).tolist():
        mine = replace(batches[i], advantage=batches[i].advantage * factor)
        adam.steps = steps  # every network has made as many steps as any other
        for which in minibatches(settings, [mine], rng):
            adam.zero()
            loss, losses = policy_losses(actors[i], mine.at(which), settings)
            add_up(totals, losses)
            loss.backward()
            adam.step(lr, i, i + 1)
        factor = factor * ratios(actors[i], mine)[0]
    adam.steps = steps
    for which in minibatches(settings, batches, rng):
        adam.zero()
        errors = [value_loss(critics, i, batch.at(which)) for i, batch in enumerate(batches)]
        for error in errors:
            add_up(totals, {"value_loss": error})
        (settings.value_weight * torch.stack(errors).sum()).backward()
        adam.step(lr, len(actors))


def ratios(policy: Actor, batch: SetBatch) -> Tensor:
    """Returns [A, N, L] the probability of each action now, divided by that when it was taken; 1
    where the agent did not decide."""
    with torch.no_grad():
        log_prob, _ = policy(batch.seen, batch.action, batch.hidden, batch.keep, batch.legal)
        ratio = (log_prob - batch.log_prob).exp()
    return ratio if batch.active is None else torch.where(batch.active > 0, ratio, 1.0)


def minibatches(
    settings: PolicySettings, batches: list[SetBatch], rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yields the sequences of each minibatch of every pass, shuffled."""
    sequences = sequences_of(batches)
    for _ in range(settings.epochs):
        order = sequences[torch.from_numpy(rng.permutation(len(sequences))).to(sequences.device)]
        yield from order.tensor_split(min(settings.minibatches, len(sequences)))


def sequences_of(batches: list[SetBatch]) -> Tensor:
    """Returns the indices of the sequences in which an agent decided: nothing is learned from the
    others, such as single steps at which a past self had the turn. All of them if there are
    none."""
    device, count = batches[0].seen.device, batches[0].seen.shape[1]
    if any(batch.active is None for batch in batches):
        return torch.arange(count, device=device)
    decided = [batch.active.sum(dim=(0, 2)) for batch in batches if batch.active is not None]
    which = torch.stack(decided).sum(dim=0).nonzero()[:, 0]
    return which if len(which) else torch.arange(count, device=device)


def add_up(totals: dict[str, Tensor], losses: dict[str, Tensor]) -> None:
    """Adds losses, without their graphs, to their sums so far."""
    for name, x in losses.items():
        totals[name] = totals.get(name, torch.zeros_like(x)) + x.detach()


def policy_losses(
    policy: Actor, batch: SetBatch, settings: PolicySettings
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the clipped surrogate with the bonuses of entropy and signalling, and the losses to
    log."""
    out, _ = policy.respond(batch.seen, batch.hidden, batch.keep, batch.legal)
    log_prob, entropy = policy.judge(out, batch.action)
    log_ratio = log_prob - batch.log_prob
    ratio = log_ratio.exp()
    bounded = ratio.clamp(1 - settings.clip, 1 + settings.clip)
    gain = torch.minimum(ratio * batch.advantage, bounded * batch.advantage)
    losses = {
        "policy_loss": -active_mean(gain, batch.active),
        policy.entropy_name: active_mean(entropy, batch.active),
        "kl": active_mean((ratio - 1) - log_ratio, batch.active),
        "clipped": active_mean((ratio != bounded).float(), batch.active),
    }
    loss = losses["policy_loss"] - settings.entropy * losses[policy.entropy_name]
    if settings.signalling and policy.speaking:
        loss = loss - settings.signalling * signalling_bonus(out, policy.speaking, batch.active)
    return loss, losses


def value_loss(critics: TeamCritics, i: int, batch: SetBatch) -> Tensor:
    """Returns half the squared error of set `i`'s critics, in units of the returns' variance."""
    out, _ = critics.team.critics[i](batch.valued, batch.critic_hidden, batch.keep)
    error = ((out - batch.target) ** 2).sum(dim=-1)
    if batch.action_inputs is not None:
        q, _ = critics.team.answers[i](batch.action_inputs)
        taken = q.gather(-1, batch.action[..., None])
        error = error + ((taken - batch.target) ** 2).sum(dim=-1)
    return 0.5 * active_mean(error, batch.active)


def active_mean(x: Tensor, active: Tensor | None) -> Tensor:
    """Returns the mean of `x` [A, N, L] over the decisions that were taken."""
    if active is None:
        return x.mean()
    return (x * active).sum() / active.sum().clamp(min=1.0)
