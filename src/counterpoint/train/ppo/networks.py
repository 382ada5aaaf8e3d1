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
from numpy.typing import NDArray
from torch import Tensor, nn

from counterpoint.train.ppo.layers import Network
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.world import StepWorld

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)

NEVER = -1e9
"""Logit of an action that an agent does not have: probability 0 without infinities."""


def folded(x: Tensor, memory: str) -> Tensor:
    """[A, T, E, ...] as sequences [A, N, L, ...]: copies with memory, single steps without."""
    if memory == "gru":
        return x.transpose(1, 2)
    return x.reshape(x.shape[0], -1, 1, *x.shape[3:])


def memory_of(hidden: NDArray[np.float32], whose: Set) -> Tensor | None:
    """What one set remembers, of `hidden` [A, E, H]; None where nothing is remembered."""
    return torch.from_numpy(hidden[whose.rows]) if hidden.shape[-1] else None


def unfolded(x: Tensor, memory: str, steps: int) -> Tensor:
    """[A, T, E, ...] of sequences [A, N, L, ...]: the inverse of `folded`."""
    if memory == "gru":
        return x.transpose(1, 2)
    return x.reshape(x.shape[0], steps, -1, *x.shape[3:])


@dataclass(frozen=True)
class Set:
    """Agents that share parameters."""

    name: str
    """`team`, the role's name or the agent's."""
    members: tuple[int, ...]
    """Their indices among the agents."""

    @property
    def rows(self) -> Any:
        """What indexes them in an array: a slice (no copy is made) where they are neighbours."""
        first, last = self.members[0], self.members[-1]
        if self.members == tuple(range(first, last + 1)):
            return slice(first, last + 1)
        return list(self.members)


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
    """The actor of one set. `respond` is for acting, a call of it for learning.

    Where actions are continuous, `log_std` [A, U] are parameters of their own.
    """

    log_std: Tensor
    own: Tensor

    def __init__(
        self,
        world: StepWorld,
        whose: Set,
        settings: PolicySettings,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        kinds = [world.actions[k] for k in whose.members]
        self.inputs = Inputs(len(kinds), settings.identity)
        self.continuous = world.actions[0].continuous
        most = max(kind.size for kind in world.actions)
        size = max(world.seen_sizes) + self.inputs.extra
        self.network = Network(size, most, settings, 0.01, generator)
        own = torch.arange(most) < torch.tensor([kind.size for kind in kinds])[:, None]
        self.register_buffer("own", own)
        self.differ = not bool(own.all())
        if self.continuous:
            self.log_std = nn.Parameter(torch.full((len(kinds), most), -0.5))

    def respond(
        self,
        x: Tensor,
        hidden: Tensor | None = None,
        keep: Tensor | None = None,
        legal: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Logits, or means where actions are continuous, and memories: see `Network.forward`.

        Args:
            x: [A, N, L, D] what agents see, and who they are: see `Inputs`.
            hidden: [A, N, H] or None.
            keep: [A, N, L] or None.
            legal: [A, N, L, M] which actions an agent has now, or None.

        Returns:
            [A, N, L, M] logits, `NEVER` for actions that an agent does not have, or [A, N, L, U].
        """
        out, remembered = self.network(x, hidden, keep)
        if not self.continuous and (self.differ or legal is not None):
            own = self.own[:, None, None]
            out = torch.where(own if legal is None else own & legal, out, NEVER)
        return out, remembered

    def forward(
        self,
        x: Tensor,
        action: Tensor,
        hidden: Tensor | None = None,
        keep: Tensor | None = None,
        legal: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """[A, N, L] log-probability of `action`, and entropy of what could have been done.

        Args:
            x: [A, N, L, D]; it and what follows `action` as in `respond`.
            action: [A, N, L] or [A, N, L, U].
            hidden: [A, N, H] or None.
            keep: [A, N, L] or None.
            legal: [A, N, L, M] or None.
        """
        out, _ = self.respond(x, hidden, keep, legal)
        if self.continuous:
            return self.log_density(out, action)
        log_probs = torch.log_softmax(out, dim=-1)
        done = log_probs.gather(-1, action[..., None])[..., 0]
        return done, -(log_probs.exp() * log_probs).sum(dim=-1)

    def log_density(self, mean: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """[A, N, L] log-density of `action` [A, N, L, U] around `mean`, and its entropy."""
        log_std, own = self.log_std[:, None, None], self.own[:, None, None]
        z = (action - mean) * torch.exp(-log_std)
        density = (-0.5 * z**2 - log_std - HALF_LOG_TAU) * own
        entropy = ((log_std + HALF_LOG_TAU + 0.5) * own).sum(dim=-1)
        return density.sum(dim=-1), entropy.expand(density.shape[:-1])


class Inputs:
    """Adds to what an agent sees which agent of its set it is, where a set has several."""

    def __init__(self, members: int, identity: bool) -> None:
        self.extra = members if identity and members > 1 else 0
        self.eye = torch.eye(members) if self.extra else None

    def __call__(self, seen: Tensor) -> Tensor:
        """[A, N, L, D + extra] of `seen` [A, N, L, D]."""
        if self.eye is None:
            return seen
        who = self.eye[:, None, None].expand(*seen.shape[:-1], -1)
        return torch.cat([seen, who], dim=-1)


class Critic(nn.Module):
    """The critic of one set: numbers that it predicts in units of the returns' deviation.

    Args:
        whose: the set.
        settings: how networks are built.
        inputs: D, how many numbers a critic sees.
        outputs: how many it predicts.
        generator: chance of the initial weights.
        gain: scale of the head's initial weights.
    """

    def __init__(
        self,
        whose: Set,
        settings: PolicySettings,
        inputs: int,
        outputs: int,
        generator: torch.Generator,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(len(whose.members), settings.identity)
        self.network = Network(inputs + self.inputs.extra, outputs, settings, gain, generator)

    def forward(
        self, x: Tensor, hidden: Tensor | None = None, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """[A, N, L, outputs], and memories: see `Network.forward`.

        Args:
            x: [A, N, L, D] what critics see, and whose they are: see `Inputs`.
            hidden: [A, N, H] or None.
            keep: [A, N, L] or None.
        """
        found: tuple[Tensor, Tensor | None] = self.network(x, hidden, keep)
        return found


class TeamNetworks(nn.Module):
    """Every actor and critic of a team.

    Args:
        world: whose agents these are.
        settings: how networks are built and shared.
        outputs: K, for how many reward components a critic predicts a value.
        seed: of the initial weights; a set's weights depend on its name and on nothing else.
        options: whether there are critics of actions too (COMA): Q(state, actions of the others,
            own action), one output for each action.
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
        self.actors, self.critics, self.answers = (nn.ModuleList() for _ in range(3))
        sizes = {"own": max(world.seen_sizes), "central": world.state_size}
        most = max(kind.size for kind in world.actions)
        asked = world.state_size + len(world.agents) * most
        for whose in self.sets:
            chance = torch.Generator().manual_seed(_seed(seed, whose.name))
            self.actors.append(Policy(world, whose, settings, chance))
            self.critics.append(Critic(whose, settings, sizes[settings.critic], outputs, chance))
            if options:  # all 0 at first: differences of chance would be scaled up and followed
                self.answers.append(Critic(whose, settings, asked, most, chance, gain=0.0))

    def networks(self) -> Sequence[nn.Module]:
        """Each network whose gradient is clipped on its own."""
        return [*self.actors, *self.critics, *self.answers]


def _seed(seed: int, name: str) -> int:
    entropy = [seed, *name.encode()]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
