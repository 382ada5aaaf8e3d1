"""A file of a commit, and a path of a commit as git knows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from counterpoint.workers.repository.paths import refused, refused_link

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
class TreeEntry:
    """One path of a commit, as git knows it."""

    mode: str
    """As in `File`, or "160000": a submodule."""
    oid: str
    """The name of its object."""
    size: int
    """Bytes of its content; 0 of a submodule."""


class TreeLayout:
    """The files and folders of a commit, and what was added to them since.

    Args:
        entries: path from the top to what the commit has there.
        removed: paths that are to go.
    """

    def __init__(self, entries: Mapping[str, TreeEntry], removed: Collection[str] = ()) -> None:
        gone = frozenset(removed)
        self._modes = {path: entry.mode for path, entry in entries.items()
                       if path not in gone or entry.mode == SUBMODULE}  # fmt: skip
        self.folders = {folder for path in self._modes for folder in _above(path)}
        """Paths of all folders."""

    def why_not(self, path: str, file: File) -> str:
        """Returns why a file may not be written, or "" if it may; then it is part of the layout."""
        if file.mode == LINK:
            why = refused_link(path, file.data.decode("utf-8", "surrogateescape"))
        else:
            why = refused(path)
        if why:
            return why
        if self._modes.get(path) == SUBMODULE:
            return "a submodule is there"
        if path in self.folders:
            return "a folder with files is there"
        for folder in _above(path):
            if mode := self._modes.get(folder):
                return f"{'a submodule' if mode == SUBMODULE else 'a file or link'} is above"
        self._modes[path] = file.mode
        self.folders.update(_above(path))
        return ""


def _above(path: str) -> list[str]:
    """Returns all folders of a path."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
