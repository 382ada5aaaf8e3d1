"""The networks of a team: an actor and a critic for each set of agents that share parameters.

Start with `TeamNetworks`. Axis letters: A agents (of one set), N sequences, L steps of a sequence
(1 where nothing is remembered), D inputs, M actions, U action dimensions, K value outputs. Arrays
are agent-major: [A, N, L, D].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from counterpoint.train.device import device_of
from counterpoint.train.ppo.images import ImageLayers, image_of
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.train.ppo.talk import speaking_of
from counterpoint.train.scaling import InputScale, scales_of
from counterpoint.worlds.sequential.actions import most_choices, most_numbers
from counterpoint.worlds.sequential.channels import Channel
from counterpoint.worlds.sequential.world import SeenPart, Singles, StepWorld

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)

NEVER = -1e9
"""Logit of an action that an agent does not have: probability 0 without infinities."""


class NetworkSettings(Protocol):
    """How networks are built and shared: see `PolicySettings`."""

    @property
    def parameters(self) -> Literal["shared", "per_role", "separate"]: ...
    @property
    def hidden(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def activation(self) -> Literal["tanh", "relu"]: ...
    @property
    def memory(self) -> str: ...
    @property
    def identity(self) -> bool: ...
    @property
    def images(self) -> str: ...
    @property
    def device(self) -> str: ...


def folded(x: Tensor, memory: str) -> Tensor:
    """Returns [A, T, E, ...] as sequences [A, N, L, ...]: copies with memory, else single steps."""
    if memory == "gru":
        return x.transpose(1, 2)
    return x.reshape(x.shape[0], -1, 1, *x.shape[3:])


def memory_of(
    hidden: NDArray[np.float32], group: ParameterSet, device: torch.device
) -> Tensor | None:
    """Returns the memory of one set, of `hidden` [A, E, H]; None if there is no memory."""
    return torch.from_numpy(hidden[group.rows]).to(device) if hidden.shape[-1] else None


def unfolded(x: Tensor, memory: str, steps: int) -> Tensor:
    """Returns [A, T, E, ...] of sequences [A, N, L, ...]: the inverse of `folded`."""
    if memory == "gru":
        return x.transpose(1, 2)
    return x.reshape(x.shape[0], steps, -1, *x.shape[3:])


@dataclass(frozen=True)
class ParameterSet:
    """A set of agents that share parameters."""

    name: str
    """`team`, the role's name or the agent's, with the kind behind it if there is one."""
    members: tuple[int, ...]
    """Their indices among the agents."""
    kind: str = ""
    """`choices` or `numbers`, where agents of both kinds would share parameters."""

    @property
    def rows(self) -> Any:
        """The index of the members in an array: a slice (without a copy) if they are neighbours."""
        first, last = self.members[0], self.members[-1]
        if self.members == tuple(range(first, last + 1)):
            return slice(first, last + 1)
        return list(self.members)


def sets_of(world: StepWorld, settings: NetworkSettings) -> tuple[ParameterSet, ...]:
    """Returns the parameter sets of a team, sorted by name.

    Agents that choose never share parameters with agents that give numbers.
    """
    names = {
        "shared": ["team"] * len(world.agents),
        "per_role": list(world.roles),
        "separate": list(world.agents),
    }[settings.parameters]
    kinds = ["numbers" if can.continuous else "choices" for can in world.actions]
    pairs = list(zip(names, kinds, strict=True))
    sets = []
    for name, kind in sorted(set(pairs)):
        members = tuple(k for k, pair in enumerate(pairs) if pair == (name, kind))
        alone = len(members) == names.count(name)
        sets.append(
            ParameterSet(name, members) if alone
            else ParameterSet(f"{name} ({kind})", members, kind)
        )  # fmt: skip
    return tuple(sets)


class Actor(nn.Module):
    """The actor of one set. Call `respond` to act, and the actor itself to learn.

    The agents of a set all choose, or all give numbers. Then `log_std` [A, U] are parameters of
    their own.
    """

    log_std: Tensor
    own: Tensor

    def __init__(
        self,
        world: StepWorld,
        group: ParameterSet,
        settings: NetworkSettings,
        generator: torch.Generator,
        scale: InputScale | None = None,
        channels: Sequence[Channel] = (),
    ) -> None:
        super().__init__()
        kinds = [world.actions[k] for k in group.members]
        self.inputs = Inputs(group, settings, scale)
        self.continuous = kinds[0].continuous
        choices, numbers = most_choices(world.actions), most_numbers(world.actions)
        self.entropy_name = "density_entropy" if self.continuous and choices else "entropy"
        """Of the loss; beside choices, the entropy of a density has a name of its own."""
        most = numbers if self.continuous else choices
        size = max(world.seen_sizes) + self.inputs.extra
        image = image_of(world, group.members, settings.images)
        self.network = Network(size, most, settings, 0.01, generator, image)
        own = torch.arange(most) < torch.tensor([kind.size for kind in kinds])[:, None]
        self.register_buffer("own", own)
        self.differ = not bool(own.all())
        self.speaking = speaking_of(channels, group.members, most, device_of(settings.device))
        if self.continuous:
            self.log_std = nn.Parameter(torch.full((len(kinds), most), -0.5))

    def respond(
        self,
        x: Tensor,
        hidden: Tensor | None = None,
        keep: Tensor | None = None,
        legal: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Returns logits (means if actions are continuous), and memories: see `Network.forward`.

        Args:
            x: [A, N, L, D] what agents see, and who they are: see `Inputs`.
            hidden: [A, N, H] or None.
            keep: [A, N, L] or None.
            legal: [A, N, L, M] which actions an agent has now, or None.

        Returns:
            [A, N, L, M] logits, `NEVER` for actions that an agent does not have, or [A, N, L, U].
        """
        out, remembered = self.network(x, hidden, keep)
        return self.masked(out, self.own[:, None, None], legal), remembered

    def masked(self, out: Tensor, own: Tensor, legal: Tensor | None) -> Tensor:
        """Returns outputs [..., M] with `NEVER` for the choices that an agent does not have.

        Args:
            out: what its network gives.
            own: [..., M] which actions it has.
            legal: [..., M] which of them are legal now, or None.
        """
        if self.continuous or (legal is None and not self.differ):
            return out
        return torch.where(own if legal is None else own & legal, out, NEVER)

    def forward(
        self,
        x: Tensor,
        action: Tensor,
        hidden: Tensor | None = None,
        keep: Tensor | None = None,
        legal: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Returns the log-probability of `action` and the entropy of the policy, [A, N, L] each.

        Args:
            x: [A, N, L, D]; `x`, `hidden`, `keep` and `legal` are as in `respond`.
            action: [A, N, L] choices, or [A, N, L, U] numbers.
        """
        return self.judge(self.respond(x, hidden, keep, legal)[0], action)

    def judge(self, out: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what `forward` returns, of the outputs of `respond`."""
        if self.continuous:
            return self.log_density(out, action)
        log_probs = torch.log_softmax(out, dim=-1)
        done = log_probs.gather(-1, action[..., None])[..., 0]
        return done, -(log_probs.exp() * log_probs).sum(dim=-1)

    def log_density(self, mean: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the log-density of `action` [A, N, L, U] around `mean`, and its entropy, [A, N,
        L] each."""
        log_std, own = self.log_std[:, None, None], self.own[:, None, None]
        entropy = ((log_std + HALF_LOG_TAU + 0.5) * own).sum(dim=-1)
        return log_density(mean, action, log_std, own), entropy.expand(mean.shape[:-1])


def log_density(mean: Tensor, action: Tensor, log_std: Tensor, own: Tensor) -> Tensor:
    """Returns the log-density [...] of `action` [..., U] around `mean`, over the dimensions `own`
    [..., U] that an agent has."""
    z = (action - mean) * torch.exp(-log_std)
    return ((-0.5 * z**2 - log_std - HALF_LOG_TAU) * own).sum(dim=-1)


class Inputs:
    """The inputs of a set's networks: observations, perhaps normalized, and which agent of the set
    it is."""

    def __init__(
        self, group: ParameterSet, settings: NetworkSettings, scale: InputScale | None = None
    ) -> None:
        members = len(group.members)
        self.rows, self.scale = group.rows, scale
        self.extra = members if settings.identity and members > 1 else 0
        self.eye = torch.eye(members, device=device_of(settings.device)) if self.extra else None

    def __call__(self, seen: Tensor) -> Tensor:
        """Returns [A, N, L, D + extra] of `seen` [A, N, L, D]."""
        if self.scale is not None:
            seen = self.scale.apply(seen, self.rows)
        if self.eye is None:
            return seen
        who = self.eye[:, None, None].expand(*seen.shape[:-1], -1)
        return torch.cat([seen, who], dim=-1)


def generator_of(seed: int, name: str) -> torch.Generator:
    """Returns the chance of the initial weights of what is called `name`."""
    entropy = np.random.SeedSequence([seed, *name.encode()])
    return torch.Generator().manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))


class TeamNetworks(nn.Module):
    """Every actor and critic of a team.

    Args:
        world: whose agents these are.
        settings: how networks are built and shared.
        outputs: K, for how many reward components a critic predicts a value.
        seed: of the initial weights; a set's weights depend on its name and on nothing else.
        options: whether there are critics of actions too (COMA): Q(state, actions of the others,
            own action), one output for each action.
        channels: who says what to whom.
    """

    def __init__(
        self,
        world: StepWorld,
        settings: PolicySettings,
        outputs: int,
        seed: int,
        options: bool = False,
        channels: Sequence[Channel] = (),
    ) -> None:
        super().__init__()
        self.sets = sets_of(world, settings)
        self.actors, self.critics, self.answers = (nn.ModuleList() for _ in range(3))
        central = settings.critic == "central"
        self.device = device_of(settings.device)
        self.scales = scales_of(world, settings, self.device, state=central or options)
        seen, state = self.scales.seen, self.scales.state
        sizes = {"own": max(world.seen_sizes), "central": world.state_size}
        most = max(kind.size for kind in world.actions)
        action_inputs = world.state_size + len(world.agents) * most
        for group in self.sets:
            chance = generator_of(seed, group.name)
            self.actors.append(Actor(world, group, settings, chance, seen, channels))
            image = None if central else image_of(world, group.members, settings.images)
            valued = sizes[settings.critic], state if central else seen, image
            self.critics.append(Critic(group, settings, *valued, outputs, chance))
            if options:  # all 0 at first: differences of chance would be scaled up and followed
                asked = action_inputs, state, None
                self.answers.append(Critic(group, settings, *asked, most, chance, gain=0.0))
        self.to(self.device)  # initial weights are drawn on the processor: the same everywhere

    def networks(self) -> Sequence[nn.Module]:
        """Returns each network whose gradient is clipped on its own."""
        return [*self.actors, *self.critics, *self.answers]

    def probabilities(
        self, agent: int, seen: Singles, legal: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Returns the probabilities [N, M] of an agent's discrete actions, without memory.

        Args:
            agent: its index.
            seen: [N, D] what it sees.
            legal: [N, M] its legal actions; None: all are.
        """
        i = next(i for i, group in enumerate(self.sets) if agent in group.members)
        actor, members = self.actors[i], self.sets[i].members
        row = members.index(agent)

        def of_set(x: NDArray[Any]) -> Tensor:
            return torch.from_numpy(x).expand(len(members), *x.shape)[:, :, None].to(self.device)

        with torch.inference_mode():
            may = None if legal is None else of_set(legal)
            out, _ = actor.respond(actor.inputs(of_set(seen)), legal=may)
            probs: NDArray[np.float64] = torch.softmax(out[row, :, 0], -1).cpu().double().numpy()
        return probs


class FastTanh(torch.autograd.Function):
    """tanh by NumPy's vector instructions: 4 times faster than torch's on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        np.tanh(x.detach().numpy(), out=y.numpy())
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        gradient: Tensor = torch.ops.aten.tanh_backward(grads[0], y)
        return gradient


def activated(x: Tensor, name: str) -> Tensor:
    """Returns tanh or relu of `x`, a temporary: without gradients it is overwritten."""
    if x.device.type != "cpu":
        return torch.tanh(x) if name == "tanh" else torch.relu(x)
    if x.requires_grad:
        y: Tensor = FastTanh.apply(x) if name == "tanh" else torch.relu(x)
        return y
    if name == "tanh":
        np.tanh(x.numpy(), out=x.numpy())
        return x
    return torch.relu_(x)


class Network(nn.Module):
    """Layers, a recurrent cell if there is memory, and a linear head.

    Args:
        inputs: D.
        outputs: how many numbers come out.
        settings: width, depth, activation, memory.
        gain: scale of the head's initial weights.
        generator: chance of the initial weights (orthogonal).
        image: the picture among the inputs, which convolutions see first; None: there is none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        settings: NetworkSettings,
        gain: float,
        generator: torch.Generator,
        image: SeenPart | None = None,
    ) -> None:
        super().__init__()
        self.activation = settings.activation
        self.image: ImageLayers | None = None
        if image is not None:
            self.image = ImageLayers(
                image,
                lambda size, after: linear(size, after, math.sqrt(2), generator),
                lambda x: activated(x, settings.activation),
            )
            inputs += self.image.more
        sizes = [inputs] + [settings.hidden] * settings.layers
        self.layers = nn.ModuleList(
            linear(size, after, math.sqrt(2), generator) for size, after in pairwise(sizes)
        )
        self.cell = GRUCell(settings.hidden, generator) if settings.memory == "gru" else None
        self.head = linear(settings.hidden, outputs, gain, generator)

    def forward(
        self, x: Tensor, hidden: Tensor | None = None, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the outputs of every step, and the memory after each.

        Args:
            x: [A, N, L, D].
            hidden: [A, N, H] what is remembered before the first step; None without memory.
            keep: [A, N, L] 0 where a new episode starts at that step, so that nothing is
                remembered; read only with memory.

        Returns:
            [A, N, L, outputs], and [A, N, L, H] or None.
        """
        z = x if self.image is None else self.image(x)
        for layer in self.layers:
            z = activated(layer(z), self.activation)
        if self.cell is None or hidden is None or keep is None:
            return self.head(z), None
        from_input, memories = self.cell.from_input(z), []
        for step in range(x.shape[-2]):
            hidden = self.cell(from_input[..., step, :], hidden * keep[..., step, None])
            memories.append(hidden)
        remembered = torch.stack(memories, dim=-2)
        return self.head(remembered), remembered


class Critic(Network):
    """The critic of one set: numbers that it predicts in units of the returns' deviation.

    Args:
        group: the set.
        settings: how networks are built.
        inputs: D, how many numbers a critic sees.
        scale: how they are normalized; None: they are not.
        image: the picture among them; None: there is none.
        outputs: how many it predicts.
        generator: chance of the initial weights.
        gain: scale of the head's initial weights.
    """

    def __init__(
        self,
        group: ParameterSet,
        settings: NetworkSettings,
        inputs: int,
        scale: InputScale | None,
        image: SeenPart | None,
        outputs: int,
        generator: torch.Generator,
        gain: float = 1.0,
    ) -> None:
        of_set = Inputs(group, settings, scale)
        super().__init__(inputs + of_set.extra, outputs, settings, gain, generator, image)
        self.inputs = of_set


class GRUCell(nn.Module):
    """A gated recurrent unit: h' = (1 - z) n + z h, with n = tanh(W x + r U h).

    Source: Cho et al. 2014, arXiv:1406.1078, in the form in which the reset gate acts on U h.
    """

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.from_input = linear(size, 3 * size, 1.0, generator)
        self.from_memory = linear(size, 3 * size, 1.0, generator)

    def forward(self, from_input: Tensor, hidden: Tensor) -> Tensor:
        """Returns the new memory [..., H], from W x [..., 3 H] and the last memory [..., H]."""
        xr, xz, xn = from_input.chunk(3, dim=-1)
        hr, hz, hn = self.from_memory(hidden).chunk(3, dim=-1)
        reset, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        new = torch.tanh(xn + reset * hn)
        return new + z * (hidden - new)


def linear(inputs: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Linear:
    """Returns a layer with orthogonal weights of this scale, and no bias at first."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
