"""The files of a commit, read from git's objects, and what somebody changed in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from counterpoint.workers.repository.repository import Repository

Mode = Literal["100644", "100755", "120000"]
FILE: Mode = "100644"
PROGRAM: Mode = "100755"
LINK: Mode = "120000"
SUBMODULE = "160000"


@dataclass(frozen=True)
class File:
    """A file, or a symbolic link, as bytes."""

    data: bytes
    """Its content; of a link, what it points to."""
    mode: Mode = "100644"
    """Git's mode: a file, a program ("100755"), a link ("120000")."""


@dataclass(frozen=True)
class Entry:
    """One path of a commit, as git knows it."""

    mode: str
    """As in `File`, or "160000": a submodule."""
    oid: str
    """The name of its object."""
    size: int
    """Bytes of its content; 0 of a submodule."""


@dataclass(frozen=True, eq=False)
class Content(Mapping[str, bytes]):
    """Path to bytes of every file below the work folder of a commit; links are no files here.

    Paths are relative to the work folder, which is the top unless the plan names a subfolder of a
    repository. The content is read when it is first asked for.
    """

    repository: Repository
    """Where it is read."""
    commit: str
    """Which commit, or tree."""
    changes: Mapping[str, File | None] = field(default_factory=dict)
    """Path from the top to a file that is not in the commit; None where it is gone."""

    @property
    def prefix(self) -> str:
        """The work folder, with "/" at its end, or ""."""
        return self.repository.prefix

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Path from the top to what the commit has there."""
        return self.repository.entries(self.commit)

    @cached_property
    def size(self) -> int:
        """Bytes of all files together, before the changes."""
        return sum(entry.size for entry in self.entries.values())

    def edited(self, changes: Mapping[str, File | None]) -> Content:
        """The same with these changes on top; paths are from the top."""
        return Content(self.repository, self.commit, {**self.changes, **changes})

    def pack(self) -> bytes:
        """The commit alone, without its history, as git's own pack of objects."""
        return self.repository.pack(self.commit)

    @cached_property
    def _files(self) -> dict[str, bytes | str]:
        """Path to content, or to the name of the object that has it."""
        found: dict[str, bytes | str] = {
            path: entry.oid for path, entry in self.entries.items()
            if entry.mode in (FILE, PROGRAM)
        }  # fmt: skip
        for path, file in self.changes.items():
            found.pop(path, None)
            if file is not None and file.mode != LINK:
                found[path] = file.data
        start = len(self.prefix)
        return {path[start:]: what for path, what in found.items() if path.startswith(self.prefix)}

    @cached_property
    def _read(self) -> dict[str, bytes]:
        return self.repository.blobs(what for what in self._files.values() if isinstance(what, str))

    def __getitem__(self, path: str) -> bytes:
        what = self._files[path]
        return what if isinstance(what, bytes) else self._read[what]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
