"""`extents`: how large the numbers of an observation in a space can be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.worlds.foreign.dialects import kind
from counterpoint.worlds.sequential.world import Extent

NARROW = 10.0
"""Numbers within plus and minus this reach networks as they are."""


def extents(space: Any, size: int) -> NDArray[np.int8]:
    """Returns the `Extent` of each of the `size` numbers of an observation in `space`, flattened as
    `seen_size` counts them."""
    what = kind(space)
    if what == "Dict":
        return extents(space.spaces["observation"], size)
    if what == "Box":
        narrow = np.ravel((space.low >= -NARROW) & (space.high <= NARROW))
        return np.where(narrow, Extent.NARROW, Extent.WIDE).astype(np.int8)
    return np.full(size, Extent.CHOICE, dtype=np.int8)
