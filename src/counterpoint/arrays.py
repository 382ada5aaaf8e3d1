"""Names for the types of NumPy arrays that every room uses. Shapes stand in docstrings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NamedArrays = Mapping[str, NDArray[Any]]
"""Arrays by name."""
Array = Any
"""An array of NumPy, torch or JAX, or a list. Which one it is, is known at run time only."""
Columns = Mapping[str, Array]
"""Label name to the values [N] of that label."""
