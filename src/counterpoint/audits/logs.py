"""`audit_logs`: from a log, whatever wrote it, to what is wrong with the team."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from counterpoint.audits.run import audit
from counterpoint.errors import SettingError
from counterpoint.readers.mapping import Names
from counterpoint.readers.logs import Notes, noted_episodes
from counterpoint.records import Outcome
from counterpoint.results.audit import AuditResult


def audit_logs(
    path: Path,
    outcomes: Sequence[Outcome] = (),
    only: Sequence[str] = (),
    names: Names | None = None,
    on_note: Callable[[str], object] = lambda line: None,
    on_episode: Callable[[int], object] = lambda count: None,
) -> AuditResult:
    """Returns what the audits find in a log or a folder of logs, and what was left out of it.

    Args:
        path: the file or folder.
        outcomes, only: as `audit` takes them.
        names: who is a member, where the rules do not know.
        on_note: called with a line for each part of the log that is left out.
        on_episode: called with the number of episodes that have been read.

    Raises:
        UnknownNameError: no audit of that name.
        LogError: there is no log, or one is broken; the message names file, line and field.
        SettingError: there is no episode in it.
    """
    notes = Notes(on_note)
    episodes = noted_episodes(path, names, notes, on_episode)
    result = audit(episodes, outcomes, only, source=path.name)
    if result.episodes == 0:
        raise SettingError(f"got no episode in {path}; wanted a log of a team")
    return replace(result, warning=notes.warning, skipped=notes.lines)
