"""Gradient ascent for many seeds at once: clip by global norm, then SGD or Adam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.worlds.exact.world import Settings

DECAY, DECAY_SQUARED, EPSILON = 0.9, 0.999, 1e-8
"""Adam's usual constants."""


@dataclass(frozen=True)
class Optimizer:
    """Memory of the gradients so far; with `sgd` it stays empty."""

    settings: Settings
    steps: int = 0
    mean: Floats | float = 0.0
    """[S, D] decayed sum of gradients."""
    square: Floats | float = 0.0
    """[S, D] decayed sum of squared gradients."""

    def ascend(self, parameters: Floats, gradient: Floats) -> tuple[Floats, Optimizer]:
        """The parameters [S, D] after one step along `gradient` [S, D], and the memory after it.

        Source: Kingma & Ba 2015, Adam, algorithm 1.
        """
        gradient, lr = clipped(gradient, self.settings.clip), self.settings.lr
        if self.settings.optimizer == "sgd":
            return parameters + lr * gradient, self
        steps = self.steps + 1
        mean = DECAY * self.mean + (1 - DECAY) * gradient
        square = DECAY_SQUARED * self.square + (1 - DECAY_SQUARED) * gradient**2
        rate = lr / (1 - DECAY**steps)
        step = rate * mean / (np.sqrt(square / (1 - DECAY_SQUARED**steps)) + EPSILON)
        return parameters + step, Optimizer(self.settings, steps, mean, square)


def clipped(gradient: Floats, largest: float) -> Floats:
    """`gradient` [S, D], with each seed's scaled down to length `largest` where it is longer."""
    length = np.linalg.norm(gradient, axis=-1, keepdims=True)
    shorter: Floats = np.minimum(1.0, largest / np.maximum(length, np.finfo(np.float64).tiny))
    return gradient * shorter
