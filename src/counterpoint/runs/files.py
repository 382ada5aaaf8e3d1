"""Writing a file so that a reader sees the old one or the new one, never a half."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from counterpoint.errors import OutputError
from counterpoint.machine.files import open_to_write
from counterpoint.machine.files import sync_file as sync_file
from counterpoint.machine.files import sync_folder as sync_folder
from counterpoint.machine.locks import hold, is_locked, lock_file

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial")
_OLD_SECONDS = 10.0
"""What is younger may belong to a process that has not locked it yet."""
_LOCK = "lock"
_SHORT = 40
"""Characters of a name that a partial one repeats: at most 160 bytes of the 255 of a name."""
_LONGEST = 80


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes `content` to `path`: a temporary file beside it, fsync, rename, fsync the folder.

    Raises:
        OutputError: the folder cannot be made or the file cannot be written, or as
            `require_replaceable`; what was there before is still there.
    """
    with Replacement() as files:
        files.add(path, content)
        files.publish()


class Replacement:
    """Files that replace others together: one that cannot be written leaves all as they were.

    Each is written beside its place and synced to the disk; then all are renamed.
    """

    def __init__(self) -> None:
        self._written: dict[Path, Path] = {}

    def __enter__(self) -> Replacement:
        return self

    def __exit__(self, *error: object) -> None:
        for temporary in self._written.values():
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def add(self, path: Path, content: bytes | str) -> None:
        """Writes what will be the content of `path`.

        Raises:
            OutputError: the folder cannot be made or the file cannot be written, or as
                `require_replaceable`; what was there before is still there.
        """
        data = content.encode() if isinstance(content, str) else content
        require_replaceable(path)
        try:
            make_folder(path.parent)
            self._written[path] = partial_path(path)
            with os.fdopen(open_to_write(self._written[path]), "wb") as file:
                hold(file.fileno())
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritten(path, error) from error

    def publish(self) -> None:
        """Puts the files in their places, in the order in which they were added.

        Raises:
            OutputError: a file cannot be replaced; those behind it are as they were.
        """
        for path, temporary in list(self._written.items()):
            try:
                os.replace(temporary, path)
                del self._written[path]
                sync_folder(path.parent)
            except OSError as error:
                raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"could not write {path} ({error.strerror or error}); what was there is unchanged: "
        "choose another folder with --out, or make room"
    )


def require_replaceable(path: Path) -> None:
    """Checks that a rename may put a file in this place: not over /dev/null or /dev/stdout.

    Raises:
        OutputError: it is a device, a pipe or a folder, or a link to something that is there,
            which would be as it was while the link is gone.
    """
    if path.is_symlink() and path.exists():
        raise OutputError(
            f"could not write {path}, which is a link to {os.readlink(path)}; choose that, or "
            "another file"
        )
    if path.exists() and not path.is_file():
        raise OutputError(f"could not write {path}, which is no file; choose another one")


_SUM = b',"sha256":"%s"}\n'
_SUM_BYTES = len(_SUM) - 2 + 64


def with_checksum(document: bytes) -> bytes:
    """Returns a JSON object with the SHA-256 of its bytes as its last field, `sha256`.

    Args:
        document: the object, with at least one field.
    """
    digest = hashlib.sha256(document).hexdigest().encode()
    return document.removesuffix(b"}") + _SUM % digest


def is_whole(data: bytes) -> bool:
    """Returns whether every byte is as `with_checksum` returned it."""
    return data == with_checksum(data[:-_SUM_BYTES] + b"}")


def write_synced(path: Path, data: bytes) -> None:
    """Writes a new file, and returns when its content is on the disk.

    Its name is there for good only after `sync_folder` of its folder.

    Raises:
        OSError: it exists already, or it cannot be written.
    """
    handle = open_to_write(path)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Makes a folder and its parents, each of them on the disk before the next.

    Raises:
        OSError: one of them cannot be made.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Deletes a file or a whole folder; nothing happens where there is none.

    Raises:
        OSError: something cannot be deleted.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()


def partial_path(path: Path) -> Path:
    """Returns the name under which a file or folder is made before it gets its own name.

    It is new each time, hidden, and no longer than names may be on a disk.
    """
    return path.with_name(f".{path.name[:_SHORT]}.{secrets.token_hex(4)}.partial")


class PartialFolder:
    """A folder in which something is made; `remove` deletes it with what is left in it.

    Args:
        path: what it will be: the folder is made beside it.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = partial_path(path)
        self.path.mkdir()
        self._lock = lock_file(self.path / _LOCK)

    def remove(self) -> None:
        """Deletes it; what cannot be deleted stays for the next `sweep_partial`."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def is_partial(path: Path) -> bool:
    """Returns whether a file or folder has the name of something half-written: `partial_path`."""
    return _PARTIAL.fullmatch(path.name) is not None


def sweep_partial(folder: Path) -> int:
    """Deletes what killed processes have left in a folder, and returns how many things it was.

    These are files of `write_atomically` and folders of `PartialFolder`. What a living process
    still writes is locked, and stays.
    """
    swept = 0
    with contextlib.suppress(OSError):
        for entry in sorted(folder.iterdir()):
            if not is_partial(entry) or entry.is_symlink():
                continue
            with contextlib.suppress(OSError):
                is_new = time.time() - entry.stat().st_mtime < _OLD_SECONDS
                if is_new or is_locked(entry / _LOCK if entry.is_dir() else entry):
                    continue
                remove(entry)
                swept += 1
    return swept


_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(text: str) -> str:
    """Returns `text` as the name of one file: letters, digits, `-`, `_` and inner dots stay.

    A text that is a safe name already comes back as it is. Any other gets eight digits of its hash,
    so that two texts do not meet in one name.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("._-")[:_LONGEST]
    if name and name == text and not _RESERVED.fullmatch(name):
        return name
    return f"{name.rstrip('._-')}-{_digits(text)}" if name else _digits(text)


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """Returns each name with that of a folder for it: a safe name, and no two alike.

    Names that differ in capitals alone are one folder on some systems, so that they get digits of
    their hashes.
    """
    safe = {name: safe_name(name) for name in names}
    count = Counter(folder.casefold() for folder in safe.values())
    return {
        name: folder if count[folder.casefold()] == 1 else f"{folder}-{_digits(name)}"
        for name, folder in safe.items()
    }


def run_folder(root: Path, *words: object) -> Path:
    """Returns a folder in `root` named after the words: `runs/regions-grpo-seed3`."""
    return root / "-".join(safe_name(str(word)) for word in words)
