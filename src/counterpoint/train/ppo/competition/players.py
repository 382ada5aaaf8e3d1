"""`Players`: several teams with networks of the same kind, which act side by side in one pass.

Axis letters as in `networks.py`; P players, K of them in play, N seats.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from counterpoint.arrays import Ints
from counterpoint.train.ppo.networks import Actor, TeamNetworks
from counterpoint.train.ppo.rollout import Outputs
from counterpoint.worlds.sequential.world import Singles

NOBODY = -1
"""In the place of a player's number: none of them sits there."""


class Seated(NamedTuple):
    """What seats see of one set's agents, a row for each seat."""

    number: Ints
    """[N] the player in the seat."""
    agent: Ints
    """[N] the agent, counted in its set."""
    seen: Tensor
    """[N, D] its observation."""
    legal: Tensor | None
    """[N, M] its legal actions, where they change."""
    hidden: Tensor | None
    """[N, H] what the player remembers there; None without memory."""
    keep: Tensor
    """[N] 0 where an episode begins."""


class SideBySide(nn.Module):
    """K linear layers of one shape."""

    weight: Tensor
    """[K, outputs, inputs]."""
    bias: Tensor
    """[K, outputs]."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns [K, ..., outputs] of `x` [K, ..., inputs]."""
        out = torch.baddbmm(self.bias[:, None], x.flatten(1, -2), self.weight.mT)
        return out.view(*x.shape[:-1], -1)


class Players:
    """The actors of P teams, and the scales of what they see.

    Args:
        team: a team of the kind of all of them.
        size: P.
    """

    def __init__(self, team: TeamNetworks, size: int) -> None:
        self.sets, self.device = team.sets, team.device
        self.actors: nn.ModuleList = copy.deepcopy(team.actors)  # whose weights `_play` replaces
        shapes = [x.shape for x in self.actors.parameters()]
        self.weights = torch.zeros(size, sum(map(torch.Size.numel, shapes)), device=team.device)
        """[P, n] the parameters of each player."""
        self.scale: Tensor | None = None
        """[P, 3, A, D] how each player's inputs are normalized; None: they are not."""
        if (scale := team.actors[0].inputs.scale) is not None:
            published = torch.stack(scale.published())
            self.scale = torch.zeros(size, *published.shape, device=team.device)
        self._places = []
        for actor in self.actors:
            shapes_of = {name: x.shape for name, x in actor.named_parameters()}
            for parent in list(actor.modules()):
                for name, child in list(parent.named_children()):
                    if isinstance(child, nn.Linear):
                        setattr(parent, name, SideBySide())
            for name in [name for name, _ in actor.named_parameters()]:
                delattr(actor, name)  # a plain tensor takes its place
            for name, shape in shapes_of.items():
                owner, _, leaf = name.rpartition(".")
                self._places.append((actor.get_submodule(owner), leaf, shape))
        self._in_play: tuple[int, ...] = ()

    def put(self, number: int, team: TeamNetworks) -> None:
        """Makes a player what a team is now; it stays so."""
        flat = [x.detach().flatten() for x in team.actors.parameters()]
        self.weights[number] = torch.cat(flat)
        scale = team.actors[0].inputs.scale
        if self.scale is not None and scale is not None:
            self.scale[number] = torch.stack(scale.published())
        self._in_play = ()

    def load(self, number: int, weights: Singles, scale: Singles | None) -> None:
        """Makes a player what these weights [n] and the scale [3, A, D] say."""
        self.weights[number] = torch.from_numpy(np.array(weights))
        if self.scale is not None and scale is not None:
            self.scale[number] = torch.from_numpy(np.array(scale))
        self._in_play = ()

    def move(self, numbers: list[int]) -> None:
        """Makes the first players those that had these numbers."""
        for array in (self.weights, self.scale):
            if array is not None:
                array[: len(numbers)] = array[numbers]
        self._in_play = ()

    def respond(self, which: int, rows: Seated) -> tuple[Outputs, Tensor | None]:
        """Returns the outputs of the networks of one set, and memories [N, H]: see `Actor.respond`.

        Args:
            which: the number of the set.
            rows: its seats.
        """
        actor, group = self.actors[which], self.sets[which]
        assert isinstance(actor, Actor)
        numbers, block = np.unique(rows.number, return_inverse=True)
        self._play(tuple(numbers.tolist()))
        # A block [n] of rows for each player, filled up with zeros to the length of the longest.
        count, place = np.bincount(block), np.empty_like(block)
        place[np.argsort(block, kind="stable")] = np.concatenate([np.arange(n) for n in count])
        at = torch.from_numpy(block).to(self.device), torch.from_numpy(place).to(self.device)

        def blocks(x: Tensor) -> Tensor:
            out = x.new_zeros(len(count), int(count.max()), *x.shape[1:])
            out[at] = x
            return out

        agent, seen = torch.from_numpy(rows.agent).to(self.device), rows.seen
        if self.scale is not None:
            one = self.scale[rows.number, :, np.array(group.members)[rows.agent]]  # [N, 3, D]
            seen = ((seen - one[:, 0]) * one[:, 1]).clamp(-one[:, 2], one[:, 2])
        if actor.inputs.eye is not None:
            seen = torch.cat([seen, actor.inputs.eye[agent]], dim=-1)
        hidden = None if rows.hidden is None else blocks(rows.hidden)
        out, memory = actor.network(blocks(seen)[:, :, None], hidden, blocks(rows.keep)[..., None])
        own = actor.own[agent]
        out = actor.masked(out[:, :, 0][at], own, rows.legal)
        log_std = actor.log_std[at[0], agent] if actor.continuous else None
        return Outputs(out, log_std, own), None if memory is None else memory[:, :, 0][at]

    def _play(self, numbers: tuple[int, ...]) -> None:
        """Gives all layers the weights of these players, [K, ...]."""
        if numbers == self._in_play:
            return
        sizes = [shape.numel() for *_, shape in self._places]
        parts = self.weights[list(numbers)].split(sizes, dim=1)
        for (module, leaf, shape), part in zip(self._places, parts, strict=True):
            setattr(module, leaf, part.view(len(numbers), *shape))
        self._in_play = numbers
