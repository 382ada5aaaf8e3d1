"""Names for the types of NumPy arrays that every room uses. Shapes stand in docstrings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NamedArrays = Mapping[str, NDArray[Any]]
"""Arrays by name."""
Array = Any
"""An array of NumPy, torch or JAX, or a list. Its type is known only at run time."""
Columns = Mapping[str, Array]
"""Label name to the values [N] of that label."""


class PcgState(TypedDict):
    """The numbers of a PCG64 generator, each of 128 bits."""

    state: int
    inc: int


class GeneratorState(TypedDict):
    """The state of a NumPy generator: `rng.bit_generator.state`, which JSON can hold."""

    bit_generator: str
    state: PcgState
    has_uint32: int
    uinteger: int


def generator_state(rng: np.random.Generator) -> GeneratorState:
    """Returns the state of a generator; set `rng.bit_generator.state` to go back to it."""
    return cast("GeneratorState", rng.bit_generator.state)
