"""`InputScale`: what networks see, in units of its running mean and deviation.

tanh units learn nothing of a number that is 0 or 1000. So numbers without narrow bounds reach the
networks as (number - mean) / deviation, within `BOUND`. `scales_of` says which numbers these are.
Axis letters as in `ppo/rollout.py`; G groups of agents that share statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.worlds.sequential.world import Extent, Singles, StepWorld

BOUND = 10.0
"""Largest size of a normalized number, in deviations."""
ROUNDING = 1e-6
"""Numbers that vary less, relative to their mean, differ only by the rounding of float32."""
MOMENTS = ("count", "mean", "square")


class InputScale:
    """Running mean and deviation of the numbers of A rows, by group.

    A number that has not varied yet is passed on as 0: its deviation is not known.

    Args:
        groups: [A] the group of each row.
        on: [A, D] which numbers are normalized; the others are passed on as they are.
        device: where the networks are; None: on the processor.

    Source: Chan, Golub & LeVeque 1979, Updating formulae and a pairwise algorithm for computing
        sample variances, equation 2.1.
    """

    def __init__(self, groups: Ints, on: Bools, device: torch.device | None = None) -> None:
        self.groups, self.on = groups, on
        self.count, self.mean, self.square = np.zeros((3, int(groups.max()) + 1, on.shape[1]))
        self.clipped = 0
        """How many numbers lay beyond `BOUND` so far."""
        self.offset, self.factor, self.limit = torch.zeros(3, *on.shape, device=device)
        self._publish()

    def apply(self, x: Tensor, rows: Any) -> Tensor:
        """Returns `x` [B, N, L, D or more] of the agents `rows` normalized; numbers behind the
        first D stay. Where there is one row in all, it is that of every agent."""
        own = rows if len(self.offset) > 1 else slice(None)
        offset, factor, limit = (
            each[own][:, None, None] for each in (self.offset, self.factor, self.limit)
        )
        size = offset.shape[-1]
        scaled = (x[..., :size] - offset).mul_(factor).clamp_(-limit, limit)
        return scaled if size == x.shape[-1] else torch.cat([scaled, x[..., size:]], dim=-1)

    def update(self, values: Singles, counted: Bools) -> None:
        """Takes in the numbers [A, T, E, D] of the rows `counted` [A, T, E]."""
        shift = self.mean[self.groups]
        deviation, known = self._deviation()
        count, first, second = np.zeros((3, *self.on.shape))
        for t in range(values.shape[1]):
            weight = (counted[:, t, :, None] & self.on[:, None]).astype(np.float64)  # [A, E, D]
            away = (values[:, t] - shift[:, None]) * weight
            count += weight.sum(axis=1)
            first += away.sum(axis=1)
            second += (away**2).sum(axis=1)
            far = abs(away) > BOUND * deviation[self.groups][:, None]
            self.clipped += int((far & known[self.groups][:, None]).sum())
        for a, g in enumerate(self.groups):
            n, more = self.count[g].copy(), np.maximum(count[a], 1.0)
            mean = shift[a] + first[a] / more
            gap, both = mean - self.mean[g], np.maximum(n + count[a], 1.0)
            self.count[g] += count[a]
            self.square[g] += second[a] - first[a] ** 2 / more + gap**2 * n * count[a] / both
            self.mean[g] += gap * count[a] / both
        self._publish()

    def _deviation(self) -> tuple[Floats, Bools]:
        """Returns the deviation [G, D] of the numbers, and whether they have varied."""
        deviation = np.sqrt(np.maximum(self.square, 0.0) / np.maximum(self.count, 1.0))
        return deviation, deviation > ROUNDING * abs(self.mean)

    def published(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the numbers [A, D] with which `apply` works: offset, factor and limit."""
        return self.offset, self.factor, self.limit

    def _publish(self) -> None:
        """Writes the numbers with which `apply` works; before the first row it changes nothing."""
        (deviation, known), g = self._deviation(), self.groups
        on = self.on & (self.count[g] > 0)
        factor = np.where(known, 1.0 / np.where(known, deviation, 1.0), 0.0)
        self.offset[...] = torch.from_numpy(np.where(on, self.mean[g], 0.0))
        self.factor[...] = torch.from_numpy(np.where(on, factor[g], 1.0))
        self.limit[...] = torch.from_numpy(np.where(on, BOUND, np.inf))

    def capture(self) -> dict[str, NDArray[Any]]:
        """Returns the statistics, by name."""
        arrays = {name: getattr(self, name).copy() for name in MOMENTS}
        return {**arrays, "clipped": np.array(self.clipped)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Resumes where `capture` was called."""
        for name in MOMENTS:
            setattr(self, name, np.array(arrays[name]))
        self.clipped = int(arrays["clipped"])
        self._publish()


class ScaleSettings(Protocol):
    """Which numbers are normalized, and who shares a network: see `PolicySettings`."""

    @property
    def observations(self) -> str: ...
    @property
    def parameters(self) -> str: ...


@dataclass(frozen=True)
class TeamScales:
    """The scales of a team's inputs; None where nothing is normalized."""

    seen: InputScale | None = None
    """Of what agents see."""
    state: InputScale | None = None
    """Of what a centralized critic or a mixer sees."""

    @property
    def clipped(self) -> int | None:
        """How many numbers were clipped so far; None where nothing is normalized."""
        used = [scale.clipped for scale in (self.seen, self.state) if scale is not None]
        return sum(used) if used else None

    def notes(self) -> tuple[str, ...]:
        """Returns a sentence about the numbers that were clipped, if there were any."""
        if not self.clipped:
            return ()
        what = f"{self.clipped:,} numbers that agents saw were clipped at {BOUND:g} deviations"
        return (what,)

    def update(self, seen: Singles, state: Singles, active: Bools) -> None:
        """Takes in observations [A, T, E, D] of agents that decided, `active` [A, T, E], and states
        [T, E, Z]."""
        if self.seen is not None:
            self.seen.update(seen, active)
        if self.state is not None:
            self.state.update(state[None], np.ones((1, *state.shape[:2]), dtype=bool))

    def capture(self) -> dict[str, NDArray[Any]]:
        """Returns the statistics, by name."""
        used = {"seen": self.seen, "state": self.state}
        return {
            f"{name}_{part}": array
            for name, scale in used.items()
            if scale is not None
            for part, array in scale.capture().items()
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Resumes where `capture` was called."""
        for name, scale in (("seen", self.seen), ("state", self.state)):
            if scale is not None:
                scale.restore({part: arrays[f"{name}_{part}"] for part in (*MOMENTS, "clipped")})


def scales_of(
    world: StepWorld, settings: ScaleSettings, device: torch.device, *, state: bool
) -> TeamScales:
    """Returns the scales of a team's inputs, without statistics yet.

    Agents that share a network have one scale for each role; agents with networks of their own have
    one each.

    Args:
        world: which numbers there are, and how wide they are.
        settings: `observations`, `parameters`.
        device: where the networks are.
        state: whether a critic or a mixer sees the state.
    """
    on = normalized_numbers(world, settings.observations)
    if not on.any():
        return TeamScales()
    names = world.agents if settings.parameters == "separate" else world.roles
    groups = np.unique(np.array(names), return_inverse=True)[1]
    whole = InputScale(np.zeros(1, int), np.ones((1, world.state_size), dtype=bool), device)
    return TeamScales(InputScale(groups, on, device), whole if state else None)


def normalized_numbers(world: StepWorld, observations: str) -> Bools:
    """Returns which numbers [A, D] are normalized: with `auto` those without narrow bounds, with
    `normalized` all but choices."""
    sizes = np.array(world.seen_sizes)
    there: Bools = np.arange(sizes.max()) < sizes[:, None]
    if observations == "raw":
        return there & False
    extents = np.full(there.shape, Extent.NARROW) if world.extents is None else world.extents
    least = Extent.WIDE if observations == "auto" else Extent.NARROW
    return there & (extents >= least)
