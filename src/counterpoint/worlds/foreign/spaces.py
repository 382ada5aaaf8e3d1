"""Spaces of foreign environments: how many numbers an observation is, and what an action is.

Spaces are told apart by the names of their classes, so that gymnasium need not be imported and
spaces of its forks and predecessors work as well.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np

from counterpoint.arrays import Bools
from counterpoint.errors import WorldError
from counterpoint.worlds.sequential.world import Actions, Singles

MOST_CHOICES = 256
"""An action of several choices is one of their product, up to this many."""

Writer = Callable[[Any], None]
"""Puts an observation into the row that it belongs to."""


def kind(space: Any) -> str:
    """Returns `Box`, `Discrete`, `MultiDiscrete`, `MultiBinary`, `Dict`, `Tuple`, or the class
    name."""
    known = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple")
    names = [cls.__name__ for cls in type(space).__mro__]
    return next((name for name in names if name in known), names[0])


def masked(space: Any) -> bool:
    """Returns whether observations come as a dict that says which actions are legal."""
    return kind(space) == "Dict" and "action_mask" in space.spaces


def seen_size(space: Any, agent: str) -> int:
    """Returns how many numbers an observation has: flattened, choices as one-hot vectors.

    Raises:
        WorldError: a space that is not numbers, nor a dict of `observation` and `action_mask`.
    """
    what = kind(space)
    if what == "Dict" and "observation" in space.spaces:
        return seen_size(space.spaces["observation"], agent)
    if what == "Box":
        return prod(space.shape)
    if what == "Discrete":
        return int(space.n)
    if what == "MultiDiscrete":
        return int(np.sum(space.nvec))
    if what == "MultiBinary":
        return int(np.prod(space.n))
    raise WorldError(
        f"got observations of {agent} in {space}; wanted a Box, choices, or a Dict with "
        "'observation' and 'action_mask': flatten them with a wrapper"
    )


def writer(space: Any, row: Singles, legal: Bools | None) -> Writer:
    """Returns what writes observations in `space` into `row` [size], and masks into `legal` [M]."""
    what = kind(space)
    if what == "Dict":
        inner = writer(space.spaces["observation"], row, None)
        if legal is None or not masked(space):
            return lambda seen: inner(seen["observation"])

        def both(seen: Any) -> None:
            inner(seen["observation"])
            legal[:] = seen["action_mask"]

        return both
    if what == "Discrete":
        return _one_hot(row, np.array([0]) - int(getattr(space, "start", 0)))
    if what == "MultiDiscrete":
        ends = np.cumsum(np.ravel(space.nvec))
        return _one_hot(row, np.concatenate([[0], ends[:-1]]))
    into = row.reshape(space.shape)

    def numbers(seen: Any) -> None:
        into[...] = seen

    return numbers


def _one_hot(row: Singles, starts: Any) -> Writer:
    def choices(seen: Any) -> None:
        row[:] = 0.0
        row[starts + np.ravel(seen)] = 1.0

    return choices


def actions(space: Any, agent: str) -> tuple[Actions, Callable[[Any], Any] | None]:
    """Returns what an agent can do, and what converts our action into theirs; None: it
    is the same.

    Raises:
        WorldError: a space of neither choices nor bounded numbers, or of too many choices.
    """
    what = kind(space)
    if what == "Discrete":
        start, size = int(getattr(space, "start", 0)), int(space.n)
        return Actions(size), None if start == 0 else range(start, start + size).__getitem__
    if what in ("MultiDiscrete", "MultiBinary"):
        nvec = space.nvec if what == "MultiDiscrete" else np.full(space.shape, 2)
        size = int(np.prod(nvec))
        if size > MOST_CHOICES:
            raise WorldError(
                f"got actions of {agent} in {space}: {size} combinations; wanted at most "
                f"{MOST_CHOICES}: split the agent, or leave choices out with a wrapper"
            )
        ways = product(*(range(n) for n in np.ravel(nvec).tolist()))
        table = [np.array(way, dtype=space.dtype).reshape(nvec.shape) for way in ways]
        return Actions(size), table.__getitem__
    if what == "Box" and np.isfinite(space.low).all() and np.isfinite(space.high).all():
        low, high = (tuple(bound.ravel().tolist()) for bound in (space.low, space.high))
        size, shape, dtype = prod(space.shape), space.shape, space.dtype
        return Actions(size, low, high), lambda row: row[:size].astype(dtype).reshape(shape)
    raise WorldError(
        f"got actions of {agent} in {space}; wanted choices (Discrete, MultiDiscrete, "
        "MultiBinary) or a Box with finite bounds: wrap the environment"
    )
