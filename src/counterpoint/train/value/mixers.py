"""Mixers: from the values of the agents' actions to the value of the team's joint action.

The best joint action is the best action of each agent if the team's value never falls where an
agent's value rises. So each agent can choose alone, and the team's value is learned from the one
reward of the team. Axis letters: A agents, B decisions, Z numbers of the state, H mixing units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counterpoint.train.ppo.networks import linear


class SumMixer(nn.Module):
    """The sum of the agents' values.

    Source: Sunehag et al. 2018, Value-decomposition networks, arXiv:1706.05296, equation 2.
    """

    def forward(self, values: Tensor, state: Tensor | None) -> Tensor:
        """Returns [B] the team's values, of the agents' [A, B]; the state is not read."""
        return values.sum(dim=0)


class MonotonicMixer(nn.Module):
    """A network of two layers whose weights are functions of the state and never negative.

    Args:
        agents: A.
        state_size: Z.
        units: H.
        generator: chance of the initial weights.

    Source: Rashid et al. 2018, QMIX, arXiv:1803.11485, section 4.1.
    """

    def __init__(self, agents: int, state_size: int, units: int, generator: torch.Generator):
        super().__init__()
        self.agents, self.units = agents, units
        self.first = linear(state_size, agents * units, 1.0, generator)
        self.first_bias = linear(state_size, units, 1.0, generator)
        self.second = linear(state_size, units, 1.0 / units, generator)  # near the sum at first
        self.offset = nn.Sequential(
            linear(state_size, units, 1.0, generator),
            nn.ReLU(),
            linear(units, 1, 0.01, generator),
        )

    def forward(self, values: Tensor, state: Tensor) -> Tensor:
        """Returns [B] the team's values, of the agents' [A, B] and the state [B, Z]."""
        weights = self.first(state).abs().view(-1, self.agents, self.units)
        hidden = (values.T[:, None] @ weights)[:, 0] + self.first_bias(state)
        mixed = (nn.functional.elu(hidden) * self.second(state).abs()).sum(dim=-1)
        return mixed + self.offset(state)[:, 0]
