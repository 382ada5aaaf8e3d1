"""Adam on the parameters of several networks as one vector, each network clipped on its own.

torch's own optimizers import the compiler when the first one is made, which costs more than a
second of every start; on one vector a step is five operations, however many tensors there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

DECAY, DECAY_SQUARED, EPSILON = 0.9, 0.999, 1e-5
"""Adam's constants; the last as in the published PPO implementations."""


class Adam:
    """Moves the parameters of `networks` along their gradients.

    Parameters and gradients become views of two vectors, so a network must be given once.

    Args:
        networks: each is clipped on its own.
        max_norm: largest norm of a network's gradient.

    Source: Kingma & Ba 2015, Adam, algorithm 1.
    """

    def __init__(self, networks: Sequence[nn.Module], max_norm: float) -> None:
        self.max_norm = max_norm
        tensors = [[*network.parameters()] for network in networks]
        sizes = [sum(x.numel() for x in inside) for inside in tensors]
        self.weights = torch.empty(sum(sizes))
        self.gradient = torch.zeros(sum(sizes))
        at = 0
        for x in (x for inside in tensors for x in inside):
            place = slice(at, at + x.numel())
            self.weights[place] = x.detach().flatten()
            x.data, x.grad = self.weights[place].view_as(x), self.gradient[place].view_as(x)
            at += x.numel()
        self.parts: tuple[Tensor, ...] = self.gradient.split(sizes)
        self.mean, self.square = torch.zeros(2, sum(sizes))
        self.steps = 0

    def zero(self) -> None:
        """Forget the gradient, before a backward pass adds the next one."""
        self.gradient.zero_()

    def step(self, lr: float) -> None:
        """Clip each network's gradient, then move all parameters against it."""
        for part in self.parts:
            part.mul_(torch.clamp(self.max_norm / (part.norm() + 1e-6), max=1.0))
        self.steps += 1
        self.mean.lerp_(self.gradient, 1 - DECAY)
        self.square.mul_(DECAY_SQUARED).addcmul_(
            self.gradient, self.gradient, value=1 - DECAY_SQUARED
        )
        scale = (self.square / (1 - DECAY_SQUARED**self.steps)).sqrt_().add_(EPSILON)
        self.weights.addcdiv_(self.mean, scale, value=-lr / (1 - DECAY**self.steps))

    def capture(self) -> dict[str, NDArray[Any]]:
        """Parameters and memory by name."""
        found = {name: getattr(self, name).numpy().copy() for name in NAMES}
        return {**found, "steps": np.array(self.steps)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on where `capture` was called."""
        for name in NAMES:
            getattr(self, name).copy_(torch.from_numpy(np.array(arrays[name])))
        self.steps = int(arrays["steps"])


NAMES = ("weights", "mean", "square")
