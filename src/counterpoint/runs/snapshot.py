"""The state of a training run as bytes, and back: arrays as safetensors, the rest as JSON.

The same snapshot gives the same bytes, bit for bit, and what comes back shares no memory with what
went in. There is no pickle here: a file from a stranger can hold wrong numbers, not code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import CheckpointError, MissingPackageError
from counterpoint.optional import needs, pip_line

DTYPES = tuple(
    np.dtype(name)
    for name in ("bool", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")
)
"""What an array of a snapshot may hold."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that a run needs to go on exactly where it was."""

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Name to array, of any shape and of one of `DTYPES`."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What is no array, ready for JSON: counters, states of generators (whole numbers of any
    size), settings. Numbers are finite here; what may be NaN belongs into an array."""


def arrays_to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Returns the arrays as one safetensors file. Metadata would have no fixed order.

    Raises:
        CheckpointError: a name or a type that the format cannot hold.
        MissingPackageError: safetensors is not installed.
    """
    ready: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise CheckpointError(f"got an array named {name!r}; wanted text, not '__metadata__'")
        if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("<") not in DTYPES:
            what = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise CheckpointError(
                f"got {what} for '{name}'; wanted an array of booleans, integers or floats of 16, "
                "32 or 64 bits"
            )
        # a copy in C order: the writer takes the memory as it lies, strides or not
        ready[name] = np.array(array, dtype=array.dtype.newbyteorder("<"), order="C", copy=True)
    try:
        data: bytes = _safetensors().save(ready)
    except MissingPackageError:
        raise
    except Exception as error:
        raise CheckpointError(f"could not write the arrays ({error})") from error
    return data


def arrays_from_bytes(data: bytes) -> dict[str, NDArray[Any]]:
    """Returns the arrays of a safetensors file, each in memory of its own.

    Raises:
        CheckpointError: the bytes are no safetensors file.
        MissingPackageError: safetensors is not installed.
    """
    library = _safetensors()
    try:
        return {name: np.array(array) for name, array in library.load(data).items()}
    except Exception as error:  # the library raises several kinds, some of them not public
        raise CheckpointError(f"the arrays cannot be read ({error})") from error


def facts_to_bytes(facts: Mapping[str, Any]) -> bytes:
    """Returns the facts as JSON with sorted keys; whole numbers of any size stay whole.

    Raises:
        CheckpointError: a value that JSON would not give back as it was.
    """
    try:
        text = json.dumps(_plain(facts, "facts"), allow_nan=False, sort_keys=True, indent=1)
    except (ValueError, RecursionError) as error:  # more than 4,300 digits, or nested for ever
        raise CheckpointError(f"got facts that JSON cannot hold ({error})") from error
    return text.encode("ascii") + b"\n"


def facts_from_bytes(data: bytes) -> dict[str, Any]:
    """Returns the facts of a JSON file.

    Raises:
        CheckpointError: the bytes are no JSON object.
    """
    try:
        facts = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"the facts cannot be read ({error})") from error
    if not isinstance(facts, dict):
        raise CheckpointError(f"got facts of type {type(facts).__name__}; wanted an object")
    return facts


def _plain(value: Any, where: str) -> Any:
    """Returns `value` in JSON's own types; NumPy's numbers become Python's."""
    if isinstance(value, np.bool_ | np.integer | np.floating):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [_plain(inner, f"{where}[{i}]") for i, inner in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(inner, f"{where}.{key}") for key, inner in value.items()}
    raise CheckpointError(
        f"got {value!r:.60} ({type(value).__name__}) at {where}; wanted text, finite numbers, "
        "booleans, None, lists, or mappings with text keys: arrays and NaN belong into `arrays`"
    )


def _safetensors() -> Any:
    with needs("a checkpoint", pip_line("torch")):
        from safetensors import numpy as library
    return library
