"""The networks of a team: an actor and a critic for each set of agents that share parameters.

Start with `TeamNetworks`. Axis letters: A agents (of one set), N sequences, L steps of a sequence
(1 where nothing is remembered), D inputs, M actions, U action dimensions, K value outputs. Arrays
are agent-major: [A, N, L, D].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from counterpoint.train.settings import PolicySettings
from counterpoint.worlds.steps import StepWorld

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)

NEVER = -1e9
"""Logit of an action that an agent does not have: probability 0 without infinities."""


class FastTanh(torch.autograd.Function):
    """tanh by NumPy's vector instructions: 4 times faster than torch's on a CPU."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        np.tanh(x.detach().numpy(), out=y.numpy())
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        found: Tensor = torch.ops.aten.tanh_backward(grads[0], y)
        return found

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: Tensor) -> tuple[Tensor, int | None]:
        return FastTanh.apply(x), in_dims[0]


class Activation(nn.Module):
    """tanh or relu, as the settings say."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = FastTanh.apply(x) if self.name == "tanh" else torch.relu(x)
        return found


class Network(nn.Module):
    """Layers, a recurrent cell where asked for, and a linear head.

    Args:
        inputs: D.
        outputs: how many numbers come out.
        settings: width, depth, activation, memory.
        gain: scale of the head's initial weights.
        generator: chance of the initial weights (orthogonal).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        settings: PolicySettings,
        gain: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        sizes = [inputs] + [settings.hidden] * settings.layers
        layers: list[nn.Module] = []
        for i in range(settings.layers):
            layers += [_linear(sizes[i], sizes[i + 1], math.sqrt(2), generator)]
            layers += [Activation(settings.activation)]
        self.body = nn.Sequential(*layers)
        self.cell: nn.GRUCell | None = None
        if settings.memory == "gru":
            self.cell = nn.GRUCell(settings.hidden, settings.hidden)
            for name, weight in self.cell.named_parameters():
                if name.startswith("weight"):
                    nn.init.orthogonal_(weight, generator=generator)
                else:
                    nn.init.zeros_(weight)
        self.head = _linear(settings.hidden, outputs, gain, generator)

    def forward(self, x: Tensor, hidden: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs of every step, and what is remembered after each.

        Args:
            x: [B, L, D].
            hidden: [B, H] what is remembered before the first step; [B, 0] without memory.
            keep: [B, L] 0 where a new episode starts at that step, so that nothing is remembered.

        Returns:
            [B, L, outputs] and [B, L, H] (or [B, L, 0]).
        """
        z = self.body(x)
        if self.cell is None:
            return self.head(z), x[..., :0]
        memories = []
        for step in range(x.shape[-2]):
            hidden = self.cell(z[..., step, :], hidden * keep[..., step, None])
            memories.append(hidden)
        remembered = torch.stack(memories, dim=-2)
        return self.head(remembered), remembered


def _linear(inputs: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


@dataclass(frozen=True)
class Set:
    """Agents that share parameters."""

    name: str
    """`team`, the role's name or the agent's."""
    members: tuple[int, ...]
    """Their indices among the agents."""


def sets_of(world: StepWorld, settings: PolicySettings) -> tuple[Set, ...]:
    """The parameter sets of a team, by name."""
    names = {
        "shared": ["team"] * len(world.agents),
        "per_role": list(world.roles),
        "separate": list(world.agents),
    }[settings.parameters]
    return tuple(
        Set(name, tuple(k for k, other in enumerate(names) if other == name))
        for name in sorted(set(names))
    )


class Policy(nn.Module):
    """The actor of one set: observations to logits, or to means and deviations.

    Its output is [A, N, L, M] logits with `NEVER` for actions that an agent does not have, or
    [A, N, L, U] means; `log_std` [A, U] is a parameter of its own where actions are continuous.
    """

    log_std: Tensor
    own: Tensor
    bars: Tensor

    def __init__(
        self,
        world: StepWorld,
        whose: Set,
        settings: PolicySettings,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(len(whose.members), settings.identity)
        size = max(world.seen_sizes) + self.inputs.extra
        kinds = [world.actions[k] for k in whose.members]
        self.continuous = world.actions[0].continuous
        most = max(kind.size for kind in world.actions)
        self.network = Network(size, most, settings, 0.01, generator)
        legal = torch.arange(most) < torch.tensor([kind.size for kind in kinds])[:, None]
        self.register_buffer("bars", torch.where(legal, 0.0, NEVER)[:, None, None, :])
        self.barred = not bool(legal.all())
        if self.continuous:
            self.log_std = nn.Parameter(torch.full((len(kinds), most), -0.5))
            self.register_buffer("own", legal.float()[:, None])

    def forward(
        self, seen: Tensor, hidden: Tensor, keep: Tensor, legal: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits or means, and memories.

        Args:
            seen: [A, N, L, D].
            hidden: [A, N, H].
            keep: [A, N, L].
            legal: [A, N, L, M] which actions an agent has now, or None.
        """
        out, remembered = run(self.network, self.inputs(seen), hidden, keep)
        if not self.continuous and self.barred:
            out = out + self.bars
        if legal is not None:
            out = torch.where(legal, out, NEVER)
        return out, remembered

    def log_density(self, mean: Tensor, action: Tensor) -> Tensor:
        """[A, ...] log-density of continuous actions [A, ..., U] around means [A, ..., U]."""
        shape = (len(mean), *(1,) * (mean.dim() - 2), -1)
        log_std, own = self.log_std.view(shape), self.own.view(shape)
        z = (action - mean) * torch.exp(-log_std)
        return ((-0.5 * z**2 - log_std - HALF_LOG_TAU) * own).sum(dim=-1)


class Inputs:
    """Adds to what an agent sees which agent of its set it is, where a set has several."""

    def __init__(self, members: int, identity: bool) -> None:
        self.extra = members if identity and members > 1 else 0
        self.eye = torch.eye(members) if self.extra else None

    def __call__(self, seen: Tensor) -> Tensor:
        """[A, N, L, D + extra] of `seen` [A, N, L, D]."""
        if self.eye is None:
            return seen
        who = self.eye[:, None, None, :].expand(*seen.shape[:-1], -1)
        return torch.cat([seen, who], dim=-1)


def run(network: Network, x: Tensor, hidden: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """`network` on [A, N, L, D] with memories [A, N, H]."""
    a, n, steps, d = x.shape
    out, remembered = network(
        x.reshape(a * n, steps, d), hidden.reshape(a * n, -1), keep.reshape(a * n, steps)
    )
    return out.reshape(a, n, steps, -1), remembered.reshape(a, n, steps, -1)


class Critic(nn.Module):
    """The critic of one set: what an agent can still expect, for each of K reward components.

    With `options` it predicts a value for each of the agent's M actions instead, from the state
    and what the others do: the centralized action-value critic of COMA.
    """

    def __init__(
        self,
        world: StepWorld,
        whose: Set,
        settings: PolicySettings,
        outputs: int,
        generator: torch.Generator,
        options: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(len(whose.members), settings.identity)
        size = world.state_size if settings.critic == "central" or options else 0
        size = size or max(world.seen_sizes)
        if options:
            size += len(world.agents) * max(kind.size for kind in world.actions)
        self.network = Network(size + self.inputs.extra, outputs, settings, 1.0, generator)

    def forward(self, seen: Tensor, hidden: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """[A, N, L, outputs] values in normalized units, and memories [A, N, L, H]."""
        return run(self.network, self.inputs(seen), hidden, keep)


class TeamNetworks(nn.Module):
    """Every actor and critic of a team.

    Args:
        world: whose agents these are.
        settings: how networks are built and shared.
        outputs: K, how many values a critic predicts.
        seed: of the initial weights; a set's weights depend on its name and on nothing else.
        options: whether critics value each action (COMA).
    """

    def __init__(
        self,
        world: StepWorld,
        settings: PolicySettings,
        outputs: int,
        seed: int,
        options: bool = False,
    ) -> None:
        super().__init__()
        self.sets = sets_of(world, settings)
        self.actors, self.critics = nn.ModuleList(), nn.ModuleList()
        for whose in self.sets:
            chance = torch.Generator().manual_seed(_seed(seed, whose.name))
            self.actors.append(Policy(world, whose, settings, chance))
            self.critics.append(Critic(world, whose, settings, outputs, chance, options))

    def networks(self) -> Sequence[nn.Module]:
        """Each network whose gradient is clipped on its own."""
        return [*self.actors, *self.critics]


def _seed(seed: int, name: str) -> int:
    entropy = [seed, *name.encode()]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
