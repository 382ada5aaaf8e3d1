"""`TeamCritics`: values before each step, and the counterfactual advantage of each action.

Start with `TeamCritics.values`. Critics with memory resume where the last batch ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Bools, Floats
from counterpoint.train.ppo.estimates import ValueScale
from counterpoint.train.ppo.networks import TeamNetworks, folded, memory_of, unfolded
from counterpoint.train.ppo.rollout import Batch
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.world import Singles, View


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
        keep = torch.from_numpy(~batch.starts).float().expand(a, -1, -1)
        self.before = self.hidden.copy()
        with torch.inference_mode():
            for critic, group in zip(self.team.critics, self.team.sets, strict=True):
                m = group.rows
                hidden = memory_of(self.before, group)
                out, remembered = critic(
                    critic.inputs(folded(seen[m], memory)), hidden, folded(keep[m], memory)
                )
                value[m] = unfolded(out, memory, after).numpy()
                for t, view in batch.last.items():
                    x = self._last(view)[m][:, :, None]
                    then = None if remembered is None else remembered[:, :, t]
                    out, _ = critic(critic.inputs(x), then, torch.ones(x.shape[:3]))
                    left[m, t] = out[:, :, 0].numpy()
                if remembered is not None:
                    # The last view is seen again as the first of the next batch.
                    self.hidden[m] = remembered[:, :, -2].numpy()
        mean, std = self.scale.numbers()
        left = np.where(batch.terminated[..., None], 0.0, left * std + mean)
        return value * std + mean, left

    def observe(self, target: Floats, active: Bools) -> None:
        """Updates the scale of the critics' predictions with the returns `target` [A, T, E, K]."""
        self.scale.update(target, active[:, :-1])

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

    def _last(self, view: View) -> Tensor:
        """Returns [A, E, D], the inputs of the critics for a last view."""
        if self.settings.critic == "own":
            return torch.from_numpy(np.ascontiguousarray(view.seen.swapaxes(0, 1)))
        return torch.from_numpy(view.state).expand(view.seen.shape[1], -1, -1)

    def counterfactual(self, batch: Batch) -> Floats:
        """Returns [A, T, E, 1], Q(s, u) - sum_m pi(m) Q(s, (u without the agent, m)).

        Source: Foerster et al. 2018, Counterfactual multi-agent policy gradients, equation 4.
        """
        inputs, memory = action_critic_inputs(batch), self.settings.memory
        assert batch.probs is not None
        advantage = np.empty((*batch.action.shape, 1))
        with torch.inference_mode():
            for critic, group in zip(self.team.answers, self.team.sets, strict=True):
                m, x = group.rows, folded(inputs[group.rows], memory)
                out, _ = critic(critic.inputs(x))
                q = unfolded(out, memory, len(batch.ended)).numpy() * self.scale.numbers()[1][m]
                taken = np.take_along_axis(q, batch.action[m][..., None], axis=-1)
                advantage[m] = taken - (batch.probs[m] * q).sum(axis=-1, keepdims=True)
        return advantage


def action_critic_inputs(batch: Batch) -> Tensor:
    """Returns [A, T, E, Z + A M], the state and the others' actions, for critics of actions."""
    a, t, e = batch.action.shape
    assert batch.probs is not None  # the counterfactual asked for them
    size = batch.probs.shape[-1]
    did = np.eye(size, dtype=np.float32)[batch.action.transpose(1, 2, 0)]  # [T, E, A, M]
    did[~batch.active[:, :t].transpose(1, 2, 0)] = 0.0
    others = np.broadcast_to(did, (a, t, e, a, size)).copy()
    others[np.arange(a), :, :, np.arange(a)] = 0.0
    state = np.broadcast_to(batch.state[:t], (a, t, e, batch.state.shape[-1]))
    return torch.from_numpy(np.concatenate([state, others.reshape(a, t, e, -1)], axis=-1))
