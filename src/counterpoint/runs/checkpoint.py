"""Checkpoints: complete or invisible, and no damage goes unseen. Start with `save` and `latest`.

A checkpoint is a folder named for its step, with `tensors.safetensors`, `facts.json`, and
`manifest.json`, which has the size and the SHA-256 of both. It is written in a hidden folder beside
it, every file fsynced, the manifest last, and then renamed; a folder that is to go is hidden by a
rename before anything in it is deleted. Safetensors itself has no checksum: 4,907 of 5,000 bit
flips loaded silently, so each file is compared with the manifest before it is loaded.

A `Snapshot` is the state as arrays and facts; the same snapshot gives the same bytes, bit for bit,
and a loaded snapshot shares no memory with the saved one. There is no pickle here: a foreign file
can contain wrong numbers, but no code.

One process writes into a folder at a time: `directory.RunDirectory` holds a lock for that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import NamedArrays
from counterpoint.errors import CheckpointError, MissingPackageError, OutputError
from counterpoint.machine.files import read_ordinary
from counterpoint.optional import needs, pip_line
from counterpoint.runs.files import make_folder, remove, sync_folder, write_synced

SCHEMA = "counterpoint.checkpoint/1"
TENSORS, FACTS, MANIFEST = "tensors.safetensors", "facts.json", "manifest.json"
KEEP = 3

_STEP = re.compile(r"0|[1-9][0-9]*")
_HIDDEN = re.compile(r"\.(0|[1-9][0-9]*)\.(partial|replaced|removed)")

DTYPES = tuple(
    np.dtype(name)
    for name in ("bool", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")
)
"""The types of the arrays of a snapshot."""


@dataclass(frozen=True)
class Snapshot:
    """The whole state that a run needs to resume exactly."""

    arrays: NamedArrays = field(default_factory=dict)
    """Name to array, of any shape and of one of `DTYPES`."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The part that is not arrays, ready for JSON: counters, states of generators (whole numbers of
    any size), settings. Numbers are finite here; what may be NaN belongs into an array."""


@dataclass(frozen=True)
class LatestCheckpoint:
    """The newest intact checkpoint, and the damaged ones that are newer."""

    step: int | None
    """Its step, or None if there is none."""
    snapshot: Snapshot | None
    """Its state."""
    damaged: Mapping[int, str]
    """Step to its damage, for every newer checkpoint."""


def save(folder: Path, step: int, snapshot: Snapshot, *, keep: int = KEEP) -> Path:
    """Writes a checkpoint; when this returns it survives a crash and a power loss.

    Older ones are then deleted, the newest `keep` stay. One of the same step is replaced.

    Raises:
        CheckpointError: the snapshot has a value that a checkpoint cannot hold, or the step is
            invalid.
        OutputError: it could not be written; every earlier checkpoint is intact.
        MissingPackageError: safetensors is not installed.
    """
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise CheckpointError(f"got step {step!r}; wanted a whole number from 0 on")
    if keep < 1:
        raise CheckpointError(f"got keep={keep}; wanted at least 1")
    files = {TENSORS: arrays_to_bytes(snapshot.arrays), FACTS: facts_to_bytes(snapshot.facts)}
    final = folder / str(step)
    partial, replaced = folder / f".{step}.partial", folder / f".{step}.replaced"
    try:
        make_folder(folder)
        remove(partial)
        partial.mkdir()
        for name, data in files.items():
            write_synced(partial / name, data)
        write_synced(partial / MANIFEST, _manifest(step, files))
        sync_folder(partial)
        if final.exists():
            remove(replaced)
            final.rename(replaced)
            sync_folder(folder)
        partial.rename(final)
        sync_folder(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            sweep(folder)
        raise OutputError(
            f"could not write checkpoint {final} ({error.strerror or error}); earlier checkpoints "
            "are intact: make room, then resume"
        ) from error
    with contextlib.suppress(OSError):  # it is safe already: what cannot go now goes next time
        remove(replaced)
        for other in [s for s in steps(folder) if s != step][: -(keep - 1) or None]:
            # Hidden by a rename before it is deleted: half deleted, it is never seen.
            hidden = folder / f".{other}.removed"
            remove(hidden)
            (folder / str(other)).rename(hidden)
            sync_folder(folder)
            remove(hidden)
    return final


def load(path: Path) -> Snapshot:
    """Returns the snapshot of a checkpoint, after every byte of it was checked against its
    manifest.

    Raises:
        CheckpointError: it is damaged or incomplete: which file, and how.
        MissingPackageError: safetensors is not installed.
    """
    files = verify(path)
    return Snapshot(arrays_from_bytes(files[TENSORS]), facts_from_bytes(files[FACTS]))


def verify(path: Path) -> dict[str, bytes]:
    """Returns the files of a checkpoint, after every byte was checked against its manifest.

    Raises:
        CheckpointError: it is damaged or incomplete: which file, and how.
    """
    try:
        manifest = read_ordinary(path / MANIFEST)
        files = {name: read_ordinary(path / name) for name in (TENSORS, FACTS)}
    except OSError as error:
        name = Path(str(error.filename)).name
        raise CheckpointError(
            f"checkpoint {path} is damaged: {name} cannot be read ({error.strerror or error}); "
            "use an earlier one"
        ) from error
    step = int(path.name) if _STEP.fullmatch(path.name) else None
    if step is None or manifest != _manifest(step, files):
        raise CheckpointError(
            f"checkpoint {path} is damaged: {_difference(manifest, step, files)}; use an earlier "
            "one"
        )
    return files


def steps(folder: Path) -> list[int]:
    """Returns the steps that have a checkpoint, damaged or not, from the oldest on."""
    if not folder.is_dir():
        return []
    return sorted(int(name) for name in os.listdir(folder) if _STEP.fullmatch(name))


def latest(folder: Path) -> LatestCheckpoint:
    """Returns the newest intact checkpoint, and the damage of every newer one.

    Raises:
        MissingPackageError: safetensors is not installed.
    """
    damaged: dict[int, str] = {}
    for step in reversed(steps(folder)):
        try:
            return LatestCheckpoint(step, load(folder / str(step)), damaged)
        except CheckpointError as error:
            damaged[step] = str(error)
    return LatestCheckpoint(None, None, damaged)


def sweep(folder: Path) -> None:
    """Deletes the files of an interrupted `save`, and restores the folder that it had moved aside.

    Raises:
        OSError: something cannot be moved or deleted.
    """
    if not folder.is_dir():
        return
    for name in os.listdir(folder):
        hidden = _HIDDEN.fullmatch(name)
        if hidden is None:
            continue
        if hidden[2] == "replaced" and not (folder / hidden[1]).exists():
            (folder / name).rename(folder / hidden[1])
            sync_folder(folder)
        else:
            remove(folder / name)


def set_aside(folder: Path, step: int) -> Path:
    """Renames a damaged checkpoint to `STEP.damaged`, and returns its path.

    Raises:
        OSError: it cannot be renamed.
    """
    target = folder / f"{step}.damaged"
    remove(target)
    (folder / str(step)).rename(target)
    sync_folder(folder)
    return target


def _manifest(step: int, files: Mapping[str, bytes]) -> bytes:
    """Returns the bytes of the manifest: it holds nothing that cannot be checked.

    So a manifest is verified by making it again, and no bit of it can change unseen.
    """
    facts = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
    document = {"schema": SCHEMA, "step": step, "files": facts}
    return json.dumps(document, indent=1, sort_keys=True).encode("ascii") + b"\n"


def _difference(written: bytes, step: int | None, files: Mapping[str, bytes]) -> str:
    """Returns where the manifest and the files disagree, in words."""
    if step is None:
        return "its folder is not named for a step"
    try:
        manifest = json.loads(written)
        if manifest["schema"] != SCHEMA:
            return f"got schema {manifest['schema']!r:.60}, wanted {SCHEMA!r}"
        if manifest["step"] != step:
            return f"its manifest is of step {manifest['step']!r:.60}"
        for name, data in files.items():
            facts = manifest["files"][name]
            if facts["bytes"] != len(data):
                return f"{name} has {len(data)} bytes, its manifest says {facts['bytes']!r:.60}"
            if facts["sha256"] != hashlib.sha256(data).hexdigest():
                return f"{name} does not have the SHA-256 of its manifest"
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    return f"{MANIFEST} is not as it was written"


def arrays_to_bytes(arrays: NamedArrays) -> bytes:
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
