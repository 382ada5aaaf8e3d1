"""A file of a commit, and a path of a commit as git knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
