"""Advantage estimates of each decision, and the critics that they need.

Start with `rewards_by_decision`, then `generalized_advantages`. Agents that decide only now and
then (turn-based worlds, finished agents) are credited from decision to decision. A reward in
between is added to the decision before, and each of the agent's own decisions is discounted once.

`TeamCritics` gives values before each step, and the counterfactual advantage of each action.
Critics with memory resume where the last batch ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.train.ppo.networks import TeamNetworks, folded, memory_of, unfolded
from counterpoint.train.ppo.rollout import Batch
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.world import Singles

LEAST_VARIANCE = 1e-8
"""Returns that vary less, relative to their size, differ only by rounding."""


class After(NamedTuple):
    """What comes after each decision."""

    step: Ints
    """[A, T, E] the step whose view comes after it: the agent's next decision, T, or -1 - t where
    the agent's stretch was left at step t (whether for good, `terminated` tells)."""
    faded: Floats | None
    """[A, T, E] the discount of the time that the agent then spent terminated; None: none did."""


def rewards_by_decision(
    reward: Floats,
    active: Bools,
    terminated: Bools,
    ended: Bools,
    gamma: float,
    *,
    common: bool = False,
) -> tuple[Floats, After]:
    """Returns the reward of each decision until the agent's next one, and what comes after it.

    A reward before an agent's first decision of a batch belongs to no decision in it. What an
    agent is paid after it terminated belongs to its last decision. It is discounted by gamma for
    each decision that the others take meanwhile (where they take turns, by gamma^(1/n) for each
    turn of n living agents), so that it is worth what it would be worth to an agent that lives.

    Args:
        reward: [A, T, E, K] the rewards of agents at each step.
        active: [A, T+1, E] whether the agent decided.
        terminated: [A, T, E] whether the agent was terminated at this step or before.
        ended: [T, E] whether the episode ended at this step, for good or not.
        gamma: discount of one decision.
        common: whether one reward is paid to all: an agent that terminated is paid on, so that its
            stretch lasts until the episode ends. Else it ends where the agent terminates, also
            if it returns later.

    Returns:
        [A, T, E, K] the sum over the steps from a decision to the next one, 0 where there is no
        decision; and `After`.
    """
    a, t, e, _ = reward.shape
    if active[:, :t].all():
        next_step = np.broadcast_to(np.arange(1, t + 1)[:, None], (a, t, e))
        left = np.broadcast_to(ended, (a, t, e)) if common else terminated | ended
        return reward, After(np.where(left, -next_step, next_step), None)
    # an agent is gone at a view if it terminated before, and has not returned
    gone = terminated & ~ended & ~active[:, 1:]
    living = np.maximum((~gone).sum(axis=0), 1)
    fade = np.where(gone, gamma ** (active[:, 1:].sum(axis=0) / living), 1.0)
    out, paid = np.zeros(reward.shape), np.zeros(reward[:, 0].shape)
    next_at, after = np.full((a, e), t), np.zeros((a, t, e), dtype=np.int64)
    discount, faded = np.ones((a, e)), np.ones((a, t, e))
    # Backwards in time: a reward is carried until the decision before it takes it.
    for i in range(t - 1, -1, -1):
        paid = np.where(ended[i][:, None], 0.0, paid * fade[:, i, :, None]) + reward[:, i]
        left = ended[i] if common else terminated[:, i] | ended[i]
        next_at = np.where(left, -1 - i, next_at)
        # the way to the view that comes after is discounted once more, as after every decision
        discount = np.where(left | (next_at == i + 1), 1.0, discount * fade[:, i])
        acts = active[:, i]
        out[:, i], after[:, i] = np.where(acts[..., None], paid, 0.0), next_at
        faded[:, i] = discount
        paid, next_at = np.where(acts[..., None], 0.0, paid), np.where(acts, i, next_at)
    return out, After(after, faded if gone.any() else None)


def generalized_advantages(
    paid: Floats,
    value: Floats,
    left_value: Floats,
    after: After,
    active: Bools,
    gamma: float,
    gae: float,
) -> Floats:
    """Returns GAE of every decision: sum_i (gamma lambda)^i delta_{t+i} over the agent's own
    decisions.

    With delta = (its reward) + gamma V(its next observation) - V(its observation). With every
    agent active at every step it is the usual estimate.

    Args:
        paid: [A, T, E, K] and `after` from `rewards_by_decision`.
        value: [A, T+1, E, K] the predicted return of agents before each step.
        left_value: [A, T, E, K] the predicted return of an agent whose stretch was left at that
            step: 0 if for good; read only there.
        after: see `paid`.
        active: [A, T+1, E] whether the agent decided.
        gamma: discount, taken for each of the agent's own decisions.
        gae: lambda.

    Returns:
        [A, T, E, K] advantages; 0 where the agent did not decide.

    Source: Schulman et al. 2016, High-dimensional continuous control using generalized advantage
        estimation, equation 16.
    """
    a, t, e, k = paid.shape
    left = after.step < 0
    at = np.where(left, -1 - after.step, after.step)
    agent, copy = np.arange(a)[:, None, None], np.arange(e)
    expected = np.where(
        left[..., None], left_value[agent, np.minimum(at, t - 1), copy], value[agent, at, copy]
    )
    discount = gamma if after.faded is None else gamma * after.faded[..., None]
    delta = paid + discount * expected - value[:, :t]
    goes_on = np.where(left[..., None], 0.0, discount * gae)
    out, carried = np.zeros((a, t, e, k)), np.zeros((a, e, k))
    always = bool(active[:, :t].all())  # the usual case costs no masks
    # A step without a decision keeps what is carried for the agent's decision before it.
    for i in range(t - 1, -1, -1):
        advantage = delta[:, i] + goes_on[:, i] * carried
        acts = active[:, i, :, None]
        carried = advantage if always else np.where(acts, advantage, carried)
        out[:, i] = advantage if always else np.where(acts, advantage, 0.0)
    return out


def team_values(
    value: Floats, left_value: Floats, batch: Batch, stakes: Floats
) -> tuple[Floats, Floats]:
    """Returns the values for one common reward: what an agent that terminated expects is what its
    team expects.

    Its critic never learned from a state without it. The others are paid the same reward, so that
    the mean of their values, in units of the stakes, stands for its own.

    Args:
        value: [A, T+1, E, K] the predicted return of agents before each step.
        left_value: [A, T, E, K] the predicted return of agents after the last step of an episode.
        batch: what was played.
        stakes: [A] factors of the agents' rewards.
    """
    unit = stakes[:, None, None]
    gone = batch.terminated[:, -1] & ~batch.ended[-1] & ~batch.active[:, -1]
    value, left_value = value.copy(), left_value.copy()
    value[:, -1] = _for_others(value[:, -1] / unit, batch.active[:, -1], gone) * unit
    for t in batch.last:
        done = batch.terminated[:, t]
        left_value[:, t] = _for_others(left_value[:, t] / unit, ~done, done) * unit
    return value, left_value


def _for_others(value: Floats, known: Bools, wanted: Bools) -> Floats:
    """Returns `value` [A, E, K], with its mean over the agents `known` [A, E] for those `wanted`;
    0 where there are none."""
    count = np.maximum(known.sum(axis=0), 1)[:, None]
    mean = np.where(known[..., None], value, 0.0).sum(axis=0) / count
    return np.where(wanted[..., None], mean, value)


class ValueScale:
    """Running mean and deviation of the returns that critics predict, debiased.

    Critics predict (return - mean) / deviation, for each agent and reward component; their outputs
    are turned back with the same numbers. Each agent has a scale of its own, even where a network
    is shared: an agent with large rewards would leave the values of the others no digits, and an
    effect of the credit scheme could not be distinguished from that.

    Source: van Hasselt et al. 2016, Pop-Art, without the correction of the last layer, as in Yu et
        al. 2022, MAPPO (one scale for each policy there).
    """

    DECAY = 0.99

    def __init__(self, agents: int, components: int, on: bool) -> None:
        self.on = on
        self.mean, self.square, self.weight = np.zeros((3, agents, components))

    def update(self, target: Floats, decided: Bools) -> None:
        """Takes in returns [A, T, E, K] of the decisions `decided` [A, T, E]."""
        count = decided.sum(axis=(1, 2))[:, None]
        seen, keep, counted = count > 0, self.DECAY, np.maximum(count, 1)
        where = decided[..., None]
        first = (target * where).sum(axis=(1, 2)) / counted
        second = (target**2 * where).sum(axis=(1, 2)) / counted
        self.mean = np.where(seen, keep * self.mean + (1 - keep) * first, self.mean)
        self.square = np.where(seen, keep * self.square + (1 - keep) * second, self.square)
        self.weight = np.where(seen, keep * self.weight + (1 - keep), self.weight)

    def numbers(self) -> tuple[Floats, Floats]:
        """Returns mean and deviation [A, 1, 1, K] of the returns; 0 and 1 before the first."""
        known = self.on & (self.weight > 0)
        weight = np.where(known, self.weight, 1.0)
        mean = np.where(known, self.mean / weight, 0.0)
        var = np.where(known, np.maximum(self.square / weight - mean**2, LEAST_VARIANCE), 1.0)
        return mean[:, None, None], np.sqrt(var)[:, None, None]

    def capture(self) -> dict[str, NDArray[Any]]:
        """Returns the numbers of the scale, by name."""
        return {name: getattr(self, name).copy() for name in ("mean", "square", "weight")}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Resumes where `capture` was called."""
        for name in ("mean", "square", "weight"):
            setattr(self, name, np.array(arrays[name]))


class TeamCritics:
    """The critics of a team, the scale of their predictions, and their memory."""

    def __init__(
        self, team: TeamNetworks, settings: PolicySettings, outputs: int, hidden: Singles
    ) -> None:
        self.team, self.settings, self.outputs = team, settings, outputs
        self.scale = ValueScale(len(hidden), outputs, settings.value_norm)
        self.hidden = np.zeros_like(hidden)
        self.before = self.hidden
        """[A, E, H] memory of the critics before the last batch."""

    def values(self, batch: Batch) -> tuple[Floats, Floats]:
        """Returns the values before each step [A, T+1, E, K], and at the end of episodes [A, T, E,
        K].

        The second is 0 where an episode ended for good, and the value of its last view where it was
        cut.
        """
        seen, memory = self.inputs(batch), self.settings.memory
        a, after, e, _ = seen.shape
        value = np.empty((a, after, e, self.outputs))
        left = np.zeros((a, after - 1, e, self.outputs))
        keep, device = torch.from_numpy(~batch.starts).float().expand(a, -1, -1), self.team.device
        self.before = self.hidden.copy()
        with torch.inference_mode():
            for critic, group in zip(self.team.critics, self.team.sets, strict=True):
                m = group.rows
                hidden = memory_of(self.before, group, device)
                out, remembered = critic(
                    critic.inputs(folded(seen[m], memory).to(device)),
                    hidden,
                    folded(keep[m], memory).to(device),
                )
                value[m] = unfolded(out, memory, after).cpu().numpy()
                for t, view in batch.last.items():
                    x = torch.from_numpy(view.state).expand(a, -1, -1)
                    if self.settings.critic == "own":
                        x = torch.from_numpy(np.ascontiguousarray(view.seen.swapaxes(0, 1)))
                    x = x[m][:, :, None].to(device)
                    then = None if remembered is None else remembered[:, :, t]
                    out, _ = critic(critic.inputs(x), then, x.new_ones(x.shape[:3]))
                    left[m, t] = out[:, :, 0].cpu().numpy()
                if remembered is not None:
                    # The last view is seen again as the first of the next batch.
                    self.hidden[m] = remembered[:, :, -2].cpu().numpy()
        mean, std = self.scale.numbers()
        left = np.where(batch.terminated[..., None], 0.0, left * std + mean)
        return value * std + mean, left

    def observe(self, target: Floats, decided: Bools) -> None:
        """Updates the scale of the critics' predictions with the returns `target` [A, T, E, K] of
        the decisions `decided` [A, T, E]."""
        self.scale.update(target, decided)

    def capture(self) -> dict[str, NDArray[Any]]:
        """Returns the scale and the memory of the critics, by name."""
        return {**self.scale.capture(), "hidden": self.hidden.copy()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Resumes where `capture` was called."""
        self.scale.restore(arrays)
        self.hidden = np.array(arrays["hidden"])

    def inputs(self, batch: Batch) -> Tensor:
        """Returns [A, T+1, E, D], the inputs of the critics."""
        if self.settings.critic == "own":
            return torch.from_numpy(batch.seen)
        return torch.from_numpy(batch.state).expand(len(batch.seen), -1, -1, -1)

    def counterfactual(self, batch: Batch) -> Floats:
        """Returns [A, T, E, 1], Q(s, u) - sum_m pi(m) Q(s, (u without the agent, m)).

        Source: Foerster et al. 2018, Counterfactual multi-agent policy gradients, equation 4.
        """
        inputs, memory = action_critic_inputs(batch), self.settings.memory
        assert batch.probs is not None
        advantage = np.empty((*batch.action.shape, 1))
        with torch.inference_mode():
            for critic, group in zip(self.team.answers, self.team.sets, strict=True):
                m, x = group.rows, folded(inputs[group.rows], memory).to(self.team.device)
                out, _ = critic(critic.inputs(x))
                q = unfolded(out, memory, len(batch.ended)).cpu().numpy()
                q = q * self.scale.numbers()[1][m]
                taken = np.take_along_axis(q, batch.action[m][..., None], axis=-1)
                advantage[m] = taken - (batch.probs[m] * q).sum(axis=-1, keepdims=True)
        return advantage


def action_critic_inputs(batch: Batch) -> Tensor:
    """Returns [A, T, E, Z + A M], the state and the others' actions, for critics of actions."""
    a, t, e = batch.action.shape
    assert batch.probs is not None  # they are kept where the advantage is counterfactual
    size = batch.probs.shape[-1]
    did = np.eye(size, dtype=np.float32)[batch.action.transpose(1, 2, 0)]  # [T, E, A, M]
    did[~batch.active[:, :t].transpose(1, 2, 0)] = 0.0
    others = np.broadcast_to(did, (a, t, e, a, size)).copy()
    others[np.arange(a), :, :, np.arange(a)] = 0.0
    state = np.broadcast_to(batch.state[:t], (a, t, e, batch.state.shape[-1]))
    return torch.from_numpy(np.concatenate([state, others.reshape(a, t, e, -1)], axis=-1))
