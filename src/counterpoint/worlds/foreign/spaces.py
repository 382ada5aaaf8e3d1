"""Spaces of other packages: observations as numbers, and our actions as theirs.

Start with `Observations`, then `choices_or_numbers`. Spaces are distinguished by the names of their
classes, so that gymnasium need not be imported and spaces of its forks and predecessors work as
well.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from copy import deepcopy
from functools import reduce
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools
from counterpoint.errors import WorldError
from counterpoint.worlds.sequential.actions import Actions
from counterpoint.worlds.sequential.world import Extent, SeenPart, Singles

MASK = "action_mask"
"""The key of a mask of legal actions, in observations and in infos."""
NARROW = 10.0
"""Numbers within plus and minus this reach networks as they are."""
MOST_CHOICES = 256
"""An action of several choices is one of their product, up to this many."""
KNOWN = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple")

Writer = Callable[[Any], None]
"""Puts an observation into the row that it belongs to."""
Keys = tuple[Hashable, ...]
"""The keys and places that lead to a part of an observation."""
Converter = Callable[[Any], Any]
"""Returns the environment's action for ours."""


def kind(space: Any) -> str:
    """Returns the name of the class of a space, or of the known one that it derives from."""
    names = [cls.__name__ for cls in type(space).__mro__]
    return next((name for name in names if name in KNOWN), names[0])


class Leaf(NamedTuple):
    """A part of an observation that is no Dict or Tuple, and where it stands in the row."""

    keys: Keys
    space: Any
    start: int
    size: int

    @property
    def name(self) -> str:
        """Its keys, such as `camera.depth`; empty if the whole observation is one part."""
        return ".".join(map(str, self.keys))

    def of(self, seen: Any) -> Any:
        """Returns this part of an observation."""
        for key in self.keys:
            seen = seen[key]
        return seen


class Observations:
    """The observations of one agent as numbers, flattened.

    Dicts and Tuples are taken apart, in the order of their space. A choice (Discrete, the parts of
    a MultiDiscrete) is a one-hot vector. Integers with bounds are scaled to [0, 1], or to [-1, 1]
    where the lower bound is negative; other numbers stay as they are. A mask of legal actions is
    taken out.

    Raises:
        WorldError: a part that is not numbers, or nothing at all.
    """

    def __init__(self, space: Any, agent: str) -> None:
        self.space, self.agent = space, agent
        self.leaves: list[Leaf] = []
        self.mask: Keys | None = None
        """Where the mask stands in an observation; None if there is none."""
        self.size = 0
        """The number of values."""
        for keys, part in self._parts(space, ()):
            size = self._size(part, keys)
            self.leaves.append(Leaf(keys, part, self.size, size))
            self.size += size
        if self.size == 0:
            raise WorldError(
                f"got observations of {agent} in {space}, which have no numbers; wanted at least "
                "one: add a constant"
            )

    @property
    def parts(self) -> tuple[SeenPart, ...]:
        """The parts by name, with their shapes."""
        return tuple(
            SeenPart(
                leaf.name, _shape(leaf), leaf.start,
                kind(leaf.space) == "Box" and len(leaf.space.shape) == 3
                and leaf.space.dtype == np.uint8,
            )
            for leaf in self.leaves
        )  # fmt: skip

    @property
    def extents(self) -> NDArray[np.int8]:
        """The `Extent` of each number, [size]."""
        return np.concatenate([_extents(leaf) for leaf in self.leaves])

    def unscaled(self, row: Singles) -> Singles:
        """Returns an observation [size] with scaled integers as the environment gave them."""
        plain = row[: self.size].copy()
        for leaf in self.leaves:
            scaled = scaling(leaf.space) if kind(leaf.space) == "Box" else None
            if scaled is not None:
                part = plain[leaf.start : leaf.start + leaf.size].reshape(leaf.space.shape)
                part[...] = np.rint((part - scaled[1]) / scaled[0])
        return plain

    def writer(self, row: Singles, legal: Bools) -> Writer:
        """Returns a function that writes observations into `row` [size], and their masks into
        `legal` [M]."""
        puts = [
            (leaf.keys, _put(leaf, row[leaf.start : leaf.start + leaf.size], self.agent))
            for leaf in self.leaves
        ]
        mask, agent = self.mask, self.agent
        if mask is None and len(puts) == 1 and not puts[0][0]:
            return puts[0][1]

        def write(seen: Any) -> None:
            for keys, put in puts:
                put(_at(seen, keys, agent))
            if mask is not None:
                note_mask(legal, _at(seen, mask, agent), agent)

        return write

    def _parts(self, space: Any, keys: Keys) -> Iterator[tuple[Keys, Any]]:
        what = kind(space)
        if what not in ("Dict", "Tuple"):
            yield keys, space
            return
        items = space.spaces.items() if what == "Dict" else enumerate(space.spaces)
        for key, inner in items:
            if key == MASK and self.mask is None:
                self.mask = (*keys, key)
            else:
                yield from self._parts(inner, (*keys, key))

    def _size(self, space: Any, keys: Keys) -> int:
        what = kind(space)
        if what == "Box":
            return prod(space.shape)
        if what == "Discrete":
            return int(space.n)
        if what == "MultiDiscrete":
            return int(np.sum(space.nvec))
        if what == "MultiBinary":
            return int(np.prod(space.n))
        where = f" under '{'.'.join(map(str, keys))}'" if keys else ""
        raise WorldError(
            f"got observations of {self.agent} in {space}{where}; wanted numbers (Box, Discrete, "
            "MultiDiscrete, MultiBinary, or a Dict or Tuple of these): leave it out with a wrapper"
        )


def note_mask(legal: Bools, mask: Any, agent: str) -> None:
    """Writes a mask into `legal` [M].

    A tuple of masks, one for each of several choices, allows the combinations of what they allow.

    Raises:
        WorldError: it has not one entry for each action, or negative ones.
    """
    if isinstance(mask, tuple) and all(np.ndim(part) == 1 for part in mask):
        given = np.ravel(reduce(np.multiply.outer, mask))
    else:
        given = np.asarray(mask)
    if given.size != legal.size:
        raise WorldError(
            f"got a mask of shape {given.shape} for {agent}, which has {legal.size} actions; "
            f"wanted {legal.size} entries, 1 where an action is legal"
        )
    if given.dtype.kind not in "bu" and (given < 0).any():
        raise WorldError(
            f"got a mask with {given.min():.6g} for {agent}; wanted 1 where an action is legal, 0 "
            "where it is not"
        )
    legal[:] = given.reshape(-1) != 0


def _at(seen: Any, keys: Keys, agent: str) -> Any:
    try:
        for key in keys:
            seen = seen[key]
    except (KeyError, IndexError, TypeError) as error:
        raise WorldError(
            f"got an observation of {agent} without '{'.'.join(map(str, keys))}', which its space "
            "has; wanted every key of observation_space in every observation"
        ) from error
    return seen


def _shape(leaf: Leaf) -> tuple[int, ...]:
    return tuple(leaf.space.shape) if kind(leaf.space) == "Box" else (leaf.size,)


def _extents(leaf: Leaf) -> NDArray[np.int8]:
    if kind(leaf.space) != "Box":
        return np.full(leaf.size, Extent.CHOICE, dtype=np.int8)
    scale, shift = scaling(leaf.space) or (1.0, 0.0)
    low, high = leaf.space.low * scale + shift, leaf.space.high * scale + shift
    narrow = np.ravel((low >= -NARROW) & (high <= NARROW))
    return np.where(narrow, Extent.NARROW, Extent.WIDE).astype(np.int8)


def _put(leaf: Leaf, row: Singles, agent: str) -> Writer:
    """Returns a function that writes one part of an observation into its `row` [size]."""
    space, what = leaf.space, kind(leaf.space)
    if what in ("Discrete", "MultiDiscrete"):
        counts = np.ravel(space.nvec if what == "MultiDiscrete" else space.n)
        return _one_hot(row, counts, _starts(space, counts.size), leaf, agent)
    shape, size = tuple(space.shape), leaf.size
    scaled = scaling(space) if what == "Box" else None
    into = row.reshape(shape)

    def numbers(seen: Any) -> None:
        given = np.asarray(seen)
        if given.shape != shape:
            if given.dtype.kind not in "biuf":
                raise _wrong(leaf, agent, f"of type {type(seen).__name__}", f"shape {shape}")
            if given.size != size:  # NumPy would repeat the numbers that are missing
                raise _wrong(leaf, agent, f"of shape {given.shape}", f"shape {shape}")
            given = given.reshape(shape)
        into[...] = given
        if scaled is not None:
            np.multiply(into, scaled[0], out=into)
            np.add(into, scaled[1], out=into)

    return numbers


def _one_hot(row: Singles, counts: Any, starts: Any, leaf: Leaf, agent: str) -> Writer:
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])

    def choices(seen: Any) -> None:
        given = np.ravel(seen)
        whole = given.astype(np.int64)
        chosen = whole - starts
        known = given.shape == counts.shape and (whole == given).all()
        if not known or (chosen < 0).any() or (chosen >= counts).any():
            raise _wrong(leaf, agent, str(seen), str(leaf.space))
        row[:] = 0.0
        row[first + chosen] = 1.0

    return choices


def _wrong(leaf: Leaf, agent: str, got: str, wanted: str) -> WorldError:
    where = f" under '{leaf.name}'" if leaf.keys else ""
    return WorldError(
        f"got an observation {got} of {agent}{where}; wanted {wanted}, as its observation_space "
        "says: change the one or the other"
    )


def _starts(space: Any, count: int) -> NDArray[np.int64]:
    """Returns the least value of each choice, [count]."""
    return np.broadcast_to(np.ravel(getattr(space, "start", 0)), (count,)).astype(np.int64)


def scaling(space: Any) -> tuple[Singles, Singles] | None:
    """Returns factor and shift that put the integers of a Box into [0, 1] or [-1, 1].

    Bounds at the ends of a signed or a wide type are no bounds. The result is None if nothing is
    scaled.
    """
    dtype = np.dtype(space.dtype)
    if dtype.kind not in "iu" or not np.size(space.low):
        return None
    low, high = (np.asarray(bound, dtype=np.float64) for bound in (space.low, space.high))
    known = high > low
    if dtype.kind == "i" or dtype.itemsize > 2:
        ends = np.iinfo(dtype)
        known &= (low > ends.min) & (high < ends.max) if dtype.kind == "i" else high < ends.max
    span = np.where(known, high - low, 1.0)
    signed = known & (low < 0)
    scale = np.where(known, np.where(signed, 2.0, 1.0) / span, 1.0)
    shift = np.where(known, -low * scale - signed, 0.0)
    if (scale == 1.0).all() and (shift == 0.0).all():
        return None
    return scale.astype(np.float32), shift.astype(np.float32)


def choices_or_numbers(space: Any, agent: str) -> tuple[Actions, Converter | None]:
    """Returns the actions of an agent, and the conversion of ours to its; None: they are the same.

    Several choices (MultiDiscrete, MultiBinary, a Dict or Tuple of choices) are one of their
    product.

    Raises:
        WorldError: a space of neither choices nor bounded numbers, or of too many choices.
    """
    what = kind(space)
    if what == "Discrete":
        start, size = int(getattr(space, "start", 0)), int(space.n)
        return Actions(size), None if start == 0 else range(start, start + size).__getitem__
    if what == "Box" and np.isfinite(space.low).all() and np.isfinite(space.high).all():
        if not np.size(space.low) or (space.low > space.high).any():
            raise WorldError(
                f"got actions of {agent} in {space}, which holds nothing to choose; wanted at "
                "least one number, and no lower bound above its upper one"
            )
        return _bounded(space)
    try:
        size = count_choices(space)
    except TypeError:
        raise WorldError(
            f"got actions of {agent} in {space}; wanted choices (Discrete, MultiDiscrete, "
            "MultiBinary, or a Dict or Tuple of these) or a Box with finite bounds, such as "
            "Box(-1, 1, ...): wrap the environment"
        ) from None
    if size > MOST_CHOICES:
        raise WorldError(
            f"got actions of {agent} in {space}: {size} combinations; wanted at most "
            f"{MOST_CHOICES}: split the agent, or leave choices out with a wrapper"
        )
    table = list(all_choices(space))
    # an environment may change the action that it gets
    return Actions(size), lambda choice: deepcopy(table[choice])


def _bounded(space: Any) -> tuple[Actions, Converter]:
    low, high = (tuple(np.ravel(bound).tolist()) for bound in (space.low, space.high))
    size, shape, dtype = prod(space.shape), space.shape, np.dtype(space.dtype)
    if dtype.kind in "iu":
        return Actions(
            size, low, high
        ), lambda row: np.rint(row[:size]).astype(dtype).reshape(shape)
    return Actions(size, low, high), lambda row: row[:size].astype(dtype).reshape(shape)


def count_choices(space: Any) -> int:
    """Returns the number of combinations of a space of choices.

    Raises:
        TypeError: something in it is no choice.
    """
    what = kind(space)
    if what == "Discrete":
        return int(space.n)
    if what == "MultiDiscrete":
        return int(prod(np.ravel(space.nvec).tolist()))
    if what == "MultiBinary":
        return int(2 ** prod(np.ravel(space.n).tolist()))
    if what in ("Dict", "Tuple"):
        inner = space.spaces.values() if what == "Dict" else space.spaces
        return int(prod(map(count_choices, inner)))
    raise TypeError(what)


def all_choices(space: Any) -> Iterator[Any]:
    """Yields every action of a space of choices, the last choice changing first."""
    what = kind(space)
    if what == "Discrete":
        start = int(getattr(space, "start", 0))
        yield from range(start, start + int(space.n))
    elif what == "Tuple":
        yield from product(*map(all_choices, space.spaces))
    elif what == "Dict":
        for way in product(*map(all_choices, space.spaces.values())):
            yield dict(zip(space.spaces, way, strict=True))
    else:
        counts = np.asarray(space.nvec if what == "MultiDiscrete" else np.full(space.shape, 2))
        starts = _starts(space, counts.size)
        for way in product(*map(range, counts.ravel().tolist())):
            yield (np.array(way) + starts).astype(space.dtype).reshape(counts.shape)
