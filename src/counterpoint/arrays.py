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
