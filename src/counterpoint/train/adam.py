"""Adam on the parameters of several networks as one vector, and the settings of torch on a CPU.

torch's own optimizers import the compiler when the first one is made, which costs more than a
second at every start. On one vector a step is five operations, however many tensors there are. Each
network is clipped on its own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

DECAY, DECAY_SQUARED, EPSILON = 0.9, 0.999, 1e-5
"""Adam's constants; the last as in the published PPO implementations."""
NAMES = ("weights", "mean", "square")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's names of what `mallopt` sets."""
_KEPT_BYTES = 1 << 28


def as_vector(networks: Sequence[nn.Module]) -> Tensor:
    """Makes the parameters of `networks` views of one vector, and returns it."""
    tensors = [x for network in networks for x in network.parameters()]
    weights = torch.cat([x.detach().flatten() for x in tensors])
    for x, part in zip(tensors, weights.split([x.numel() for x in tensors]), strict=True):
        x.data = part.view_as(x)
    return weights


class Adam:
    """Moves the parameters of `networks` along their gradients.

    Parameters and gradients become views of two vectors, so a network must be given once.

    Args:
        networks: each is clipped on its own.
        max_norm: largest norm of a network's gradient.

    Source: Kingma & Ba 2015, Adam, algorithm 1; Loshchilov & Hutter 2019, AdamW, algorithm 2, for
    the decay.
    """

    def __init__(self, networks: Sequence[nn.Module], max_norm: float) -> None:
        self.max_norm = max_norm
        sizes = [sum(x.numel() for x in network.parameters()) for network in networks]
        self.weights = as_vector(networks)
        self.gradient = torch.zeros_like(self.weights)
        tensors = [x for network in networks for x in network.parameters()]
        parts = self.gradient.split([x.numel() for x in tensors])
        for x, part in zip(tensors, parts, strict=True):
            x.grad = part.view_as(x)
        self.parts: tuple[Tensor, ...] = self.gradient.split(sizes)
        self.starts = [0, *np.cumsum(sizes).tolist()]
        self.mean, self.square = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.steps = 0

    def zero(self) -> None:
        """Sets the gradient to 0, before a backward pass adds the next one."""
        self.gradient.zero_()

    def step(
        self, lr: float, first: int = 0, last: int | None = None, *, decay: float = 0.0
    ) -> None:
        """Clips each network's gradient, then moves the parameters against it.

        Args:
            lr: learning rate.
            first: the first network that is moved.
            last: the one after the last that is moved; None moves all from `first` on.
            decay: share of each parameter, times `lr`, that is taken off before the step.
        """
        for part in self.parts[first:last]:
            part.mul_(torch.clamp(self.max_norm / (part.norm() + 1e-6), max=1.0))
        self.steps += 1
        place = slice(self.starts[first], None if last is None else self.starts[last])
        gradient, mean, square = self.gradient[place], self.mean[place], self.square[place]
        mean.lerp_(gradient, 1 - DECAY)
        square.mul_(DECAY_SQUARED).addcmul_(gradient, gradient, value=1 - DECAY_SQUARED)
        if decay:
            self.weights[place].mul_(1 - lr * decay)
        scale = (square / (1 - DECAY_SQUARED**self.steps)).sqrt_().add_(EPSILON)
        self.weights[place].addcdiv_(mean, scale, value=-lr / (1 - DECAY**self.steps))

    def capture(self) -> dict[str, NDArray[Any]]:
        """Returns the parameters and the optimizer's memory, by name."""
        arrays = {name: getattr(self, name).cpu().numpy().copy() for name in NAMES}
        return {**arrays, "steps": np.array(self.steps)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Resumes where `capture` was called."""
        for name in NAMES:
            getattr(self, name).copy_(torch.from_numpy(np.array(arrays[name])))
        self.steps = int(arrays["steps"])


@cache
def configure_threads() -> None:
    """Sets one intra-op thread, and keeps freed memory in the process between batches.

    Two threads are slower on networks of this size; parallelism is processes over seeds. By
    default, glibc returns the activations of a batch to the system each time, and every page of
    the next ones is faulted in anew: a tenth of the training time. Other C libraries stay as set.
    """
    torch.set_num_threads(1)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
