"""Which files a team may write: rules on names alone, no path is ever joined to a folder here.

The rules are those of git's own `verify_path`, with both its `core.protectHFS` and
`core.protectNTFS` on, because the result is checked out on machines that nobody knows.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Mode = Literal["100644", "100755", "120000"]
FILE: Mode = "100644"
PROGRAM: Mode = "100755"
LINK: Mode = "120000"
SUBMODULE = "160000"


@dataclass(frozen=True)
class File:
    """A file, a program, or a symbolic link with its target, as bytes."""

    data: bytes
    mode: Mode = FILE


@dataclass(frozen=True)
class TreeEntry:
    """One path of a commit, as git knows it."""

    mode: str
    """A `Mode`, or that of a submodule."""
    oid: str
    """The name of its object."""
    size: int
    """Bytes of its content; 0 for a submodule."""


class TreeLayout:
    """The files and folders of a commit without removed paths, and later files."""

    def __init__(self, entries: Mapping[str, TreeEntry], removed: Collection[str] = ()) -> None:
        gone = frozenset(removed)
        self._modes = {path: entry.mode for path, entry in entries.items()
                       if path not in gone or entry.mode == SUBMODULE}  # fmt: skip
        self.folders = {folder for path in self._modes for folder in _above(path)}
        """Paths of all folders."""

    def why_not(self, path: str, file: File) -> str:
        """Returns why a file may not be written, or "" if it may; then it is part of the layout."""
        target = file.data.decode("utf-8", "surrogateescape")
        if why := refused_link(path, target) if file.mode == LINK else refused(path):
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


HFS_IGNORED = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
"""Characters that a Mac's file system leaves out of a name: `.g\\u200cit` is `.git` there."""
LONGEST_NAME, LONGEST_PATH = 255, 4095
_NO_TEXT = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""Where git stops to compare a name with `.git`, as a Mac would."""
_GIT_READS = re.compile(r"\.(?:gitmodules|gitattributes|gitignore|mailmap)|(?:gi|ma)\w{0,4}~\d+")
"""Files that git reads, and the short names that Windows gives them."""


def refused(path: str) -> str:
    """Returns why nothing may be written at a path of a repository, or "" if it may.

    The path is relative to the top, with "/" between its parts. Bytes that are not UTF-8 are
    surrogates, as `os.fsdecode` makes them.
    """
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "it is no text"
    parts = path.split("/")
    if not path or path.startswith("/"):
        return "it is not relative to the repository"
    if any(part in ("", ".", "..") for part in parts):
        return "it has an empty, '.' or '..' part"
    if any(ord(c) < 0x20 or ord(c) == 0x7F or c == "\\" for c in path):
        return "it has a control character or a backslash"
    if any(_is_git(part) for part in parts):
        return "it is git's own"
    if len(raw) > LONGEST_PATH or any(
        len(part.encode("utf-8", "surrogateescape")) > LONGEST_NAME for part in parts
    ):
        return "it is too long"
    return ""


def refused_link(path: str, target: str) -> str:
    """Returns why a symbolic link may not be written, or "" if it may: it has to stay inside."""
    if (why := refused(path)) or not target or "\0" in target:
        return why or "it points nowhere"
    if any(_GIT_READS.fullmatch(name) for name in _equivalent_names(posixpath.basename(path))):
        return "git's own files are no links"
    if target.startswith("/") or "\\" in target:
        return "it points out of the repository"
    reached: list[str] = path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            if not reached:
                return "it points out of the repository"
            reached.pop()
        elif part not in ("", "."):
            reached.append(part)
    return "it points into git's own folder" if any(map(_is_git, reached)) else ""


def normal(path: str) -> str:
    """Returns the path without empty, "." and ".." parts; it stays relative to the top."""
    return posixpath.normpath("/" + path).lstrip("/")


def escaped_path(path: str, most: int = 200) -> str:
    """Returns a path as it can be printed and stored: what is no printable text is escaped."""
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in path
    )
    return text if len(text) <= most else text[: most - 1] + "…"


def _is_git(part: str) -> bool:
    """Returns whether a file system, of Windows or a Mac too, could take this name for `.git`."""
    return not {".git", "git~1"}.isdisjoint(_equivalent_names(part))


def _equivalent_names(part: str) -> tuple[str, str]:
    """Returns the names for which a file system of Windows, and one of a Mac, take a name."""
    name = part.translate(HFS_IGNORED).casefold()
    return name.partition(":")[0].rstrip(". "), _NO_TEXT.split(name, maxsplit=1)[0]
