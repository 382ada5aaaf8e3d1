"""Where models are on this machine, and whether they are whole. Start with `find_model`.

A fetched model is a folder as transformers reads it, with a `manifest.json` that has the size and
the SHA-256 of every file. A folder without a manifest is none of ours.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from counterpoint.errors import ModelError
from counterpoint.lm.hub import hub_folder
from counterpoint.lm.sources import SOURCES, source_of
from counterpoint.runs.files import write_synced

SCHEMA = "counterpoint.model/1"
CONFIG, MANIFEST = "config.json", "manifest.json"

_CACHES = ("Library", "Caches") if sys.platform == "darwin" else (".cache",)


def models_folder() -> Path:
    """`$COUNTERPOINT_MODELS`, else in the user's folder for caches (XDG; Library on a Mac)."""
    ours = os.environ.get("COUNTERPOINT_MODELS")
    if ours:
        return Path(ours)
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    base = Path(cache) if os.path.isabs(cache) else Path.home().joinpath(*_CACHES)
    return base / "counterpoint" / "models"


def find_model(name: str | Path) -> Path:
    """The folder of a model: fetched by name, of one's own by path, or from the Hugging Face hub.

    Args:
        name: one of `SOURCES`; or a folder with a `config.json`; or a name on the hub such as
            `HuggingFaceTB/SmolLM2-360M-Instruct`, which is taken from the hub's cache on this
            machine, or downloaded into it where there is a network.

    Raises:
        ModelError: it is not there, or files of it are missing or of a wrong size.
        MissingPackageError: a name on the hub, and transformers is not installed.
    """
    if isinstance(name, str) and name in SOURCES:
        folder = models_folder() / name
        problem = whats_wrong(name)
        if problem is not None:
            raise ModelError(problem)
        return folder
    folder = Path(name).expanduser()
    if (folder / CONFIG).is_file():
        return folder
    if isinstance(name, Path) or folder.is_dir() or name.startswith((".", "~", os.sep)):
        raise ModelError(
            f"got model {str(name)!r}; wanted a folder with {CONFIG}, as transformers saves a model"
        )
    return hub_folder(name)


def whats_wrong(name: str, *, thoroughly: bool = False) -> str | None:
    """In words, what keeps a fetched model from being used, and what to do; None if nothing does.

    Args:
        name: one of `SOURCES`.
        thoroughly: hash every byte (half a second) instead of looking at sizes alone.
    """
    source_of(name)
    folder = models_folder() / name
    if not folder.exists():
        return f"model {name} has not been fetched; do counterpoint model fetch {name}"
    damage = _damage(folder, thoroughly)
    if damage is None:
        return None
    return f"model {folder} is damaged: {damage}; do counterpoint model fetch {name} --again"


def _damage(folder: Path, thoroughly: bool) -> str | None:
    try:
        for name, facts in read_manifest(folder)["files"].items():
            size = (folder / name).stat().st_size
            if size != facts["bytes"]:
                return f"{name} has {size} of {facts['bytes']} bytes"
            if thoroughly and file_sha256(folder / name) != facts["sha256"]:
                return f"{name} does not have the SHA-256 of its manifest"
    except OSError as error:
        name = Path(str(error.filename)).name
        return f"{name} cannot be read ({error.strerror or error})"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return f"{MANIFEST} is not as it was written"
    return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the manifest of a fetched model says: its files, and what it was made of.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no manifest.
    """
    manifest = json.loads((folder / MANIFEST).read_bytes())
    if manifest["schema"] != SCHEMA or CONFIG not in manifest["files"]:
        raise ValueError("no manifest of a model")
    return dict(manifest)


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest of the files that a folder has.

    Raises:
        OSError: a file cannot be read, or the manifest cannot be written.
    """
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in sorted(folder.iterdir())
    }
    document = {"schema": SCHEMA, **facts, "files": files}
    write_synced(folder / MANIFEST, json.dumps(document, indent=1).encode() + b"\n")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
