"""Episodes with notes on what was left out of a log: start at `noted_episodes`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from counterpoint.readers.lines import TornLogWarning
from counterpoint.readers.logs import read_logs
from counterpoint.readers.mapping import Names
from counterpoint.records import Episode


@dataclass
class Notes:
    """What a person should know of a log: it fills up while the episodes are read."""

    on_note: Callable[[str], object] = lambda line: None
    """Called with each line about a file that was skipped, or is incomplete."""
    lines: list[str] = field(default_factory=list)
    """What was left out, and the warning."""
    warning: str | None = None
    """Why findings about single members are not reliable."""

    def add(self, line: str) -> None:
        """Keeps a line about a part that was left out."""
        self.lines.append(line)
        self.on_note(line)


def noted_episodes(
    path: Path,
    names: Names | None,
    notes: Notes,
    on_episode: Callable[[int], object] = lambda count: None,
) -> Iterator[Episode]:
    """Yields the episodes of a log, and notes what was left out of it.

    If members cannot be distinguished, and no mapping identifies them, there is a warning in the
    end, which is the first line of the notes too.

    Args:
        path: a file or a folder.
        names: who is a member, where the rules do not know.
        notes: they are complete when the last episode has been taken.
        on_episode: called with the number of episodes that have been taken.

    Raises:
        LogError: there is no log, or one is broken; the message names file, line and field.
    """
    count = unnamed = 0
    with warnings.catch_warnings(record=True) as torn:
        warnings.simplefilter("always", TornLogWarning)
        for count, episode in enumerate(read_logs(path, names, notes.add), 1):
            unnamed += names is None and "unnamed_messages" in episode.meta
            yield episode
            on_episode(count)
    for warning in torn:
        notes.add(str(warning.message))
    if unnamed:
        notes.warning = _unnamed_warning(unnamed, count)
        notes.lines.insert(0, notes.warning)


def _unnamed_warning(unnamed: int, episodes: int) -> str:
    """Returns what to do if several members may stand under one role."""
    return (
        f"Messages carry no name in {unnamed} of {episodes} episodes. All messages of the role "
        "count as one member, so findings about single members are not reliable. Write names into "
        "the messages. For LangGraph, log the list of what graph.stream(..., "
        "stream_mode='updates') yields. If there is only one member, name it with --mapping."
    )
