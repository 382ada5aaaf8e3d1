"""A NumPy archive to decisions: one array for each column, without pickle, in bounded memory.

Keys are the column names: `prompt`, `rollout`, `agent` and `reward` of shape [N] (or [N, K] with
`components`, or one `reward.NAME` a component), optionally `role`, `turn`, `context`, `step`,
`action`; other tools' names are in `counterpoint.readers.names`. Other keys are not read.
"""

from __future__ import annotations

import math
import struct
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import LogError
from counterpoint.readers.columns import ONE_AGENT, REQUIRED, missing_column
from counterpoint.readers.names import KNOWN, NUMBER, TEXTS, ColumnPlan, plan_columns
from counterpoint.records import LABELS, Decisions

LARGEST_BYTES = 4 * 2**30
"""The largest declared size of all columns together."""

BOMB_BYTES = 64 * 2**20
"""Up to this declared size of a column any compression ratio is accepted."""

BOMB_RATIO = 200
"""The largest ratio of declared to compressed size of a larger column: others may be bombs."""

_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, SyntaxError,
    NotImplementedError, RuntimeError, OverflowError, struct.error, MemoryError, TypeError,
    tokenize.TokenError, RecursionError,
)  # fmt: skip
"""The errors of zipfile and NumPy for damaged archives."""


def read_npz(
    stream: BinaryIO, chosen: Mapping[str, str] | None = None
) -> tuple[Decisions, list[str]]:
    """Returns the columns of an archive as decisions, and sentences about guessed meanings.

    Args:
        stream: the archive.
        chosen: the user's meanings of columns: the archive's names to ours.

    Raises:
        LogError: The archive is damaged, larger or of another size than it declares, has pickled
            objects, or lacks a column.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            # by the names alone: the kinds of the values are not known yet
            names = [member.filename.removesuffix(".npy") for member in archive.infolist()]
            kinds = {name: {NUMBER} for name in names if name not in (*TEXTS, "components")}
            plan = plan_columns(kinds, chosen)
            arrays = _columns(archive, plan)
    except _BROKEN as error:
        if isinstance(error, LogError):
            raise
        raise LogError(
            f"got a damaged npz archive ({error}); write it anew with np.savez"
        ) from error
    columns = {name: arrays[source] for name, source in plan.sources.items()}
    columns.update({f"reward.{name}": arrays[source] for name, source in plan.components.items()})
    if "components" in arrays:
        columns["components"] = arrays["components"]
    for name in REQUIRED:
        if name not in columns and not plan.is_foreign:
            raise LogError(missing_column("npz", name, list(arrays)))
    rewards, components = _rewards(columns, list(arrays))
    columns.setdefault("prompt", np.zeros(len(rewards), dtype=np.int64))
    columns.setdefault("agent", np.full(len(rewards), ONE_AGENT))
    labels = {name: _label(name, columns[name], len(rewards)) for name in KNOWN if name in columns}
    step, action = labels.pop("step", None), labels.pop("action", None)
    if step is not None and (step.dtype.kind not in "iu" or (step > np.iinfo(np.int64).max).any()):
        raise LogError(f"npz, column 'step': got values of type {step.dtype}; wanted integers")
    if "rollout" not in labels:
        labels["rollout"] = _numbered([*labels.values(), *([] if step is None else [step])])
    decisions = Decisions(
        rewards=rewards,
        components=components,
        labels={name: labels[name] for name in LABELS if name in labels},
        step=None if step is None else step.astype(np.int64),
        action=action,
        notices=(*plan.guesses, *plan.facts),
    )
    return decisions, list(plan.guesses)


def _numbered(labels: list[NDArray[Any]]) -> NDArray[np.int64]:
    """Returns [N] the number of rows with the same labels before each row."""
    # one id for each different row of labels, made column by column so that no id overflows
    ids = np.zeros(len(labels[0]), dtype=np.int64)
    for column in labels:
        _, codes = np.unique(column, return_inverse=True)
        _, ids = np.unique(ids * (codes.max() + 1) + codes, return_inverse=True)
    # sorted by id, the number is the distance from the first row of the same id
    order = np.argsort(ids, kind="stable")
    starts = np.searchsorted(ids[order], ids[order])
    numbers = np.empty(len(ids), dtype=np.int64)
    numbers[order] = np.arange(len(ids)) - starts
    return numbers


def _columns(archive: zipfile.ZipFile, plan: ColumnPlan) -> dict[str, NDArray[Any]]:
    known = {*plan.sources.values(), *plan.components.values(), "components"}
    wanted = [
        (member.filename.removesuffix(".npy"), member)
        for member in archive.infolist()
        if member.filename.removesuffix(".npy") in known
    ]
    total = sum(member.file_size for _, member in wanted)
    if total > LARGEST_BYTES:
        raise LogError(f"npz: got columns of {total} bytes; wanted at most {LARGEST_BYTES}")
    return {name: _array(archive, name, member) for name, member in wanted}


def _array(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Returns one member, if its header agrees with what the archive declares."""
    size = member.file_size
    if size > BOMB_BYTES and size > BOMB_RATIO * max(member.compress_size, 1):
        raise LogError(
            f"npz, column {name!r}: got {member.compress_size} bytes that unpack to {size}; this "
            "looks like a zip bomb; wanted an archive written by np.savez"
        )
    with archive.open(member) as data:
        version = np.lib.format.read_magic(data)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise LogError(f"npz, column {name!r}: got format {version}; wanted numbers or text")
        shape, _, dtype = read_header(data)
    if dtype.hasobject:
        raise LogError(
            f"npz, column {name!r}: got pickled objects, which are not read because a pickle can "
            "run code; wanted numbers or text (for missing rewards, NaN)"
        )
    if math.prod(shape) * dtype.itemsize > size or min(shape, default=0) < 0:
        raise LogError(f"npz, column {name!r}: got a header of shape {shape} and {size} bytes")
    with archive.open(member) as data:
        array: NDArray[Any] = np.lib.format.read_array(data, allow_pickle=False)
    if dtype.kind == "U" and dtype.itemsize:
        letters = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if (letters > sys.maxunicode).any():  # NumPy keeps them, and no text can have them
            raise LogError(f"npz, column {name!r}: got damaged text; write it anew with np.savez")
    return array


def _rewards(
    columns: dict[str, NDArray[Any]], there: list[str]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Returns [N, K] rewards and the names of the K components, checked."""
    single = columns.get("reward", columns.get("rewards"))
    parts = {key.removeprefix("reward."): column for key, column in columns.items()
             if key.startswith("reward.")}  # fmt: skip
    if single is None and not parts:
        raise LogError(missing_column("npz", "reward", there))
    if single is not None and parts:
        raise LogError("npz: got both 'reward' and components of it; wanted one of them")
    if single is None:
        for name, part in parts.items():
            if part.ndim != 1 or len(part) != len(next(iter(parts.values()))):
                raise LogError(f"npz, component {name!r}: got shape {part.shape}; wanted [N]")
        single = np.stack(list(parts.values()), axis=1)
    if single.dtype.kind not in "fiub" or single.ndim not in (1, 2) or 0 in single.shape:
        raise LogError(
            f"npz, column 'reward': got {single.dtype} of shape {single.shape}; wanted numbers of "
            "shape [N] or [N, K]"
        )
    rewards = single.astype(np.float64).reshape(len(single), -1)
    if np.isinf(rewards).any():
        row = int(np.argmax(np.isinf(rewards).any(axis=1)))
        raise LogError(f"npz, row {row}: got an infinite reward; wanted a finite one, or NaN")
    return rewards, tuple(parts) or _names(columns.get("components"), rewards.shape[1])


def _names(given: NDArray[Any] | None, count: int) -> tuple[str, ...]:
    if given is None:
        return ("reward",) if count == 1 else tuple(f"reward_{k}" for k in range(count))
    if given.shape != (count,):
        raise LogError(f"npz, column 'components': got {given.shape}; wanted {count} names")
    return tuple(str(name) for name in given)


def _label(name: str, column: NDArray[Any], rows: int) -> NDArray[Any]:
    if column.shape != (rows,) or column.dtype.kind not in "iufU":
        raise LogError(
            f"npz, column '{name}': got {column.dtype} of shape {column.shape}; wanted numbers or "
            f"text of shape ({rows},)"
        )
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        row = int(np.argmax(~np.isfinite(column)))
        raise LogError(
            f"npz, row {row}, column '{name}': got {column[row]}; wanted a finite number"
        )
    return column
