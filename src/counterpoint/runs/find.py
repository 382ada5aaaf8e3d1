"""The folders of results and runs below a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from counterpoint.runs.status import CHECKPOINTS

MOST_FOLDERS = 20_000
"""Folders that one search enters."""


class FoundFolder(NamedTuple):
    """A folder with at least one of the files that are looked for."""

    path: Path
    level: int
    """Number of levels below the folder where the search began."""
    files: Mapping[str, os.stat_result]
    """Those of the files that are there, by name."""


def find_folders(
    folder: Path,
    names: Collection[str],
    *,
    skip: Collection[str] = (CHECKPOINTS,),
    depth: int | None = None,
    left_out: Callable[[Path, str], object] = lambda path, reason: None,
) -> Iterator[FoundFolder]:
    """Returns the folders at or below `folder` with one of the files, in the order of names.

    Args:
        folder: where the search begins.
        names: names of the files; a link is not one of them, since it could lead anywhere.
        skip: names of folders that are not entered; hidden folders and links are not either.
        depth: number of levels below `folder` that are entered; None is no limit.
        left_out: called with each path that is not entered or not read, and the reason; not for
            hidden folders and those in `skip`.
    """
    entered, waiting = 0, [(folder, 0)]
    while waiting:
        place, level = waiting.pop()
        if entered == MOST_FOLDERS:
            left_out(place, f"{MOST_FOLDERS:,} folders were searched; it and others were not")
            return
        entered += 1
        files: dict[str, os.stat_result] = {}
        inner: list[str] = []
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name in names:
                        if entry.is_file(follow_symlinks=False):
                            files[entry.name] = entry.stat(follow_symlinks=False)
                        else:
                            left_out(place / entry.name, "it is a link, or no file")
                    elif entry.name.startswith(".") or entry.name in skip:
                        continue
                    elif entry.is_dir(follow_symlinks=False):
                        inner.append(entry.name)
                    elif entry.is_dir():
                        left_out(place / entry.name, "a link is not followed")
        except OSError as error:
            left_out(place, f"it cannot be read ({error.strerror or error})")
            continue
        if files:
            yield FoundFolder(place, level, files)
        if depth is not None and level == depth and inner:
            left_out(place, f"folders more than {depth} levels down are not searched")
        else:
            waiting += [(place / name, level + 1) for name in sorted(inner, reverse=True)]
