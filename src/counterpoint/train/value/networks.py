"""`TeamValues`: the networks that value each agent's actions, and the mixer of the team.

Axis letters as in `replay.py`: A agents, N sequences of L steps each, D numbers that agents see, M
actions, H numbers of a memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from counterpoint.train.ppo.networks import Actor, generator_of, sets_of
from counterpoint.train.scaling import InputScale
from counterpoint.train.value.mixers import MonotonicMixer, SumMixer
from counterpoint.train.value.settings import ValueSettings
from counterpoint.worlds.sequential.world import StepWorld


class TeamValues(nn.Module):
    """The networks that value each agent's actions, and the mixer of the team if there is one.

    Args:
        world: whose agents these are.
        algorithm: `iql`, `vdn` or `qmix`.
        settings: how networks are built and shared.
        seed: of the initial weights.
        scale: how observations are normalized; None: they are not.
    """

    def __init__(
        self,
        world: StepWorld,
        algorithm: str,
        settings: ValueSettings,
        seed: int,
        scale: InputScale | None = None,
    ) -> None:
        super().__init__()
        self.sets = sets_of(world, settings)
        self.agents = nn.ModuleList(
            Actor(world, group, settings, generator_of(seed, group.name), scale)
            for group in self.sets
        )
        self.mixer: SumMixer | MonotonicMixer | None = None
        if algorithm == "vdn":
            self.mixer = SumMixer()
        elif algorithm == "qmix":
            chance = generator_of(seed, "mixer")
            args = len(world.agents), world.state_size, settings.mixing
            self.mixer = MonotonicMixer(*args, chance)
        order = [k for group in self.sets for k in group.members]
        self.place = torch.tensor(np.argsort(order)) if order != sorted(order) else None

    def networks(self) -> Sequence[nn.Module]:
        """Returns each network whose gradient is clipped on its own."""
        return [*self.agents, *([] if self.mixer is None else [self.mixer])]

    def forward(
        self,
        seen: Tensor,
        memory: Tensor | None = None,
        keep: Tensor | None = None,
        legal: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Returns [A, N, L, M] the values of actions, and [A, N, L, H] what agents remember after
        each step (None without memory).

        Args:
            seen: [A, N, L, D] what agents see.
            memory: [A, N, H] what they remember before the first step; None without memory.
            keep: [A, N, L] 0 where an episode starts at that step; None without memory.
            legal: [A, N, L, M] legal actions, or None; the others' values are very low.
        """
        values, memories = [], []
        for network, group in zip(self.agents, self.sets, strict=True):
            m = group.rows
            held, kept, can = (None if x is None else x[m] for x in (memory, keep, legal))
            out, remembered = network.respond(network.inputs(seen[m]), held, kept, can)
            values.append(out)
            memories.append(remembered)
        return self.joined(values), None if memory is None else self.joined(memories)

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Returns [A, ...] in the order of the agents, of the parts of each set."""
        whole = parts[0] if len(parts) == 1 else torch.cat(list(parts))
        return whole if self.place is None else whole[self.place]

    def mixed(self, values: Tensor, acts: Tensor, state: Tensor | None) -> Tensor:
        """Returns [G, N, L] the values of the deciders, of the agents' values [A, N, L].

        The value of an agent that does not decide, `acts` 0, is 0 in the mixer.

        Args:
            values: of the actions.
            acts: [A, N, L] 1 where the agent decides.
            state: [N, L, Z] the state; None where the mixer does not read it.
        """
        if self.mixer is None:
            return values
        rows = None if state is None else state.flatten(0, 1)
        return self.mixer((values * acts).flatten(1), rows).view(1, *values.shape[1:])


def alone(x: Tensor) -> Tensor:
    """Returns [A, N, L, ...] as sequences of one step, [A, N L, 1, ...]."""
    return x.flatten(1, 2)[:, :, None]


def left_at(remembered: Tensor, known_at: Tensor) -> Tensor:
    """Returns [A, N L, H], what agents remember at the end of each transition, of what they
    remember after each step, [A, N, L, H]; `known_at` is that of `Transitions`."""
    places = known_at.expand(len(remembered), -1, -1)[..., None]
    return remembered.gather(2, places.expand_as(remembered)).flatten(1, 2)
