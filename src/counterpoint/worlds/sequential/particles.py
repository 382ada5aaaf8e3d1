"""Physics of the multi-agent particle worlds: discs on a plane, pushed by thrust and by contact.

Axes: 2 dimensions of the plane, A agents, P pairs of agents, E copies. Arithmetic is in double
precision and in the original's order, so that twins agree with it bit for bit.

Source: the particle worlds of Lowe et al. 2017 (arXiv:1706.02275) and Mordatch & Abbeel 2017, with
the constants and the order of integration of mpe2 1.1.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats, Ints

SECONDS, DAMPING, THRUST = 0.1, 0.25, 5.0
"""Length of a step, share of the velocity lost in it, acceleration of an agent at full thrust."""
CONTACT_FORCE, CONTACT_MARGIN = 100.0, 0.001
"""Force per unit of penetration, and how softly contact sets in."""
MOVES = 5
"""Stay, left, right, down, up."""

_ACCELERATION = THRUST * np.array([[0.0, -1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, -1.0, 1.0]])


def acceleration(actions: NDArray[Any], continuous: bool) -> Floats:
    """Returns what thrust does, [2, ..., E]: `actions` are [E, ...] of `MOVES`, or [E, ..., 5]
    strengths.

    Strengths lie in [0, 1] and are single precision, as in the original. Opposite ones cancel out,
    and the first one (stay) does nothing.
    """
    if not continuous:
        moved: Floats = _ACCELERATION[:, actions.T]
        return moved
    strength = np.clip(actions[..., :MOVES].astype(np.float32), 0.0, 1.0).T
    net = np.stack([strength[2] - strength[1], strength[4] - strength[3]])
    return net.astype(np.float64) * THRUST


def contact_forces(apart: Floats, distance: Floats, touching: float) -> Floats:
    """Returns the force on the first disc of each pair, [2, P, E]; the second feels the
    opposite.

    The force is 100 d/|d| m log(1 + exp((touching - |d|) / m)): smooth, nearly 0 from a distance,
    nearly linear in the penetration.

    Args:
        apart: [2, P, E] position of the first minus that of the second, d.
        distance: [P, E] its length |d|.
        touching: sum of the radii.
    """
    penetration = np.logaddexp(0, -(distance - touching) / CONTACT_MARGIN) * CONTACT_MARGIN
    return CONTACT_FORCE * apart / distance * penetration


def move(position: Floats, velocity: Floats, force: Floats) -> None:
    """Moves discs [2, ...] of mass 1 by one step, in place: first along the old velocity."""
    position += velocity * SECONDS
    velocity *= 1 - DAMPING
    velocity += force * SECONDS


def head_for(target: Floats, position: Floats, velocity: Floats, steps: int = 3) -> Ints:
    """Returns the move [...] that brings a coasting disc nearest to `target` [2, ...] in `steps`
    steps.

    Scripted teams steer with it; it is no part of the worlds.
    """
    kept = 1 - DAMPING
    glide = SECONDS * (1 - kept**steps) / DAMPING  # what a unit of velocity covers meanwhile
    missed = target - position - glide * velocity
    pushes = np.moveaxis(acceleration(np.arange(MOVES), False), 1, 0)  # [5, 2]
    carried = pushes * SECONDS * SECONDS * (1 - kept ** (steps - 1)) / DAMPING
    left = missed[:, None] - carried.T.reshape(2, MOVES, *(1,) * (missed.ndim - 1))
    nearest: Ints = length(left).argmin(axis=0)
    return nearest


def length(vectors: Floats) -> Floats:
    """Returns the Euclidean length [...] of vectors [2, ...]."""
    lengths: Floats = np.sqrt(vectors[0] * vectors[0] + vectors[1] * vectors[1])
    return lengths


def pairs(agents: int) -> tuple[Ints, Ints]:
    """Returns the indices [P] of the first and of the second agent of each pair, in the original
    order."""
    first, second = np.triu_indices(agents, 1)
    return first, second
