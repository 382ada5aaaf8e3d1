"""Checkpoints: complete or invisible, and no damage goes unseen. Start with `save` and `latest`.

A checkpoint is a folder named for its step, with `tensors.safetensors`, `facts.json`, and
`manifest.json`, which has the size and the SHA-256 of both. It is written in a hidden folder beside
it, every file fsynced, the manifest last, and then renamed; a folder that is to go is hidden by a
rename before anything in it is deleted. Safetensors itself has no checksum: 4,907 of 5,000 bit
flips loaded silently, so whatever is loaded here is first held against the manifest.

One process writes into a folder at a time: `directory.RunDirectory` holds a lock for that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from counterpoint.errors import CheckpointError, OutputError
from counterpoint.runs.files import make_folder, remove, sync_folder, write_synced
from counterpoint.runs.snapshot import (
    Snapshot,
    arrays_from_bytes,
    arrays_to_bytes,
    facts_from_bytes,
    facts_to_bytes,
)

SCHEMA = "counterpoint.checkpoint/1"
TENSORS, FACTS, MANIFEST = "tensors.safetensors", "facts.json", "manifest.json"
KEEP = 3

_STEP = re.compile(r"0|[1-9][0-9]*")
_HIDDEN = re.compile(r"\.(0|[1-9][0-9]*)\.(partial|replaced|removed)")


@dataclass(frozen=True)
class LatestCheckpoint:
    """The newest intact checkpoint, and what had to be passed over to get there."""

    step: int | None
    """Its step, or None where there is none."""
    snapshot: Snapshot | None
    """Its state."""
    damaged: Mapping[int, str]
    """Step to what is wrong with it, for every newer checkpoint."""


def save(folder: Path, step: int, snapshot: Snapshot, *, keep: int = KEEP) -> Path:
    """Writes a checkpoint; when this returns it survives a crash and a power loss.

    Older ones are then deleted, the newest `keep` stay. One of the same step is replaced.

    Raises:
        CheckpointError: the snapshot holds what a checkpoint cannot, or the step is no step.
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
            _discard(folder, other)
    return final


def load(path: Path) -> Snapshot:
    """Returns the snapshot of a checkpoint, after every byte of it was held against its manifest.

    Raises:
        CheckpointError: it is damaged or incomplete: which file, and how.
        MissingPackageError: safetensors is not installed.
    """
    try:
        manifest = (path / MANIFEST).read_bytes()
        files = {name: (path / name).read_bytes() for name in (TENSORS, FACTS)}
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
    return Snapshot(arrays_from_bytes(files[TENSORS]), facts_from_bytes(files[FACTS]))


def steps(folder: Path) -> list[int]:
    """Returns the steps that have a checkpoint, damaged or not, from the oldest on."""
    if not folder.is_dir():
        return []
    return sorted(int(name) for name in os.listdir(folder) if _STEP.fullmatch(name))


def latest(folder: Path) -> LatestCheckpoint:
    """Returns the newest intact checkpoint, and what is wrong with every newer one.

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
    """Deletes what an interrupted `save` left behind, and put back what it had moved aside.

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


def _discard(folder: Path, step: int) -> None:
    """Hides a checkpoint by a rename, then delete it: half deleted, it is never seen."""
    hidden = folder / f".{step}.removed"
    remove(hidden)
    (folder / str(step)).rename(hidden)
    sync_folder(folder)
    remove(hidden)
