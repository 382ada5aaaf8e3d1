"""The memory between fresh contexts: a log of each attempt, its reason, and notes.

Nothing here is in the history of the repository. It lies in the folder of the run: `logs/N.log` for
attempt N and `notes/MEMBER`, plain bytes under names of ours. Start with `with_last_failure`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

from counterpoint.workers.members import WorkResult
from counterpoint.workers.queue.queue import BREAKS, Claim
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.state import TeamState

LOGS, NOTES = "logs", "notes"
MOST_LOG_BYTES = 1 << 18
MOST_NOTES_BYTES = 1 << 20
TAIL_CHARACTERS = 2000
MOST_PATCH_CHARACTERS = 20_000


class AttemptLog:
    """The log of an attempt (by its number): its last 256 KiB of output, written as they come."""

    def __init__(self, state: TeamState, attempt: int) -> None:
        self.path = log_path(state.folder, attempt)
        self.path.parent.mkdir(exist_ok=True)
        self._last: deque[bytes] = deque()
        self._held = self._written = 0

    def write(self, data: bytes) -> None:
        """Adds output to the log."""
        self._last.append(data)
        self._held += len(data)
        while self._held - len(self._last[0]) >= MOST_LOG_BYTES:
            self._held -= len(self._last.popleft())
        if self._written + len(data) <= 2 * MOST_LOG_BYTES:
            with self.path.open("ab") as file:
                file.write(data)
            self._written += len(data)
        else:  # twice too long: begin anew with the end
            kept = b"".join(self._last)[-MOST_LOG_BYTES:]
            self.path.write_bytes(kept)
            self._written = len(kept)


def log_path(folder: Path, attempt: int) -> Path:
    """Returns the path of an attempt's log."""
    return folder / LOGS / f"{attempt}.log"


def log_tail(folder: Path, attempt: int, characters: int = TAIL_CHARACTERS) -> str:
    """Returns the end of an attempt's log, without control characters; "" where there is none."""
    try:
        with log_path(folder, attempt).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - 4 * characters, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    kept = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return kept.strip()[-characters:]


def with_last_failure(state: TeamState, claim: Claim) -> Claim:
    """Returns the claim with a task that says why its last attempt failed, if one did.

    A conflict over files that another worker changed is no failure of the attempt. The task has
    it, with the patch of the attempt, only if the plan hands conflicts to an agent.
    """
    last = state.queue.last_ended(claim.task.id)
    if last is None:
        return claim
    attempt, reason, text = last.id, last.note, claim.task.text
    if last.status == "failed" or reason.startswith(BREAKS):
        text += f"\n\nAttempt {attempt} at this task failed: {reason}"
        if tail := log_tail(state.folder, attempt):
            text += f"\nThe end of its log:\n{tail}"
    elif state.plan.conflicts == "agent" and last.base and last.made:
        patch = state.repository.patch(last.base, last.made).decode(errors="replace")
        text += (
            f"\n\nAttempt {attempt} worked on an older commit and was not merged: {reason}. "
            f"Combine its change with the files as they are now. Its change:\n"
            f"{patch[:MOST_PATCH_CHARACTERS]}"
        )
    return replace(claim, task=replace(claim.task, text=text))


def with_notes(state: TeamState, member: str, content: Content) -> Content:
    """Returns the content with the notes that this member's last attempt left."""
    path = state.folder / NOTES / member
    if not state.plan.notes or not path.is_file():
        return content
    return content.edited({content.prefix + state.plan.notes: File(path.read_bytes())})


def store_notes(state: TeamState, member: str, made: WorkResult, content: Content) -> WorkResult:
    """Stores the notes of an attempt, even if it fails, and returns the other changes.

    A single worker keeps its notes next to other changes. In a team they would conflict at every
    merge, so each member has its own, and none enters the history.
    """
    path = content.prefix + state.plan.notes
    notes = made.files.get(path) if state.plan.notes else None
    if notes is None:
        return made
    place = state.folder / NOTES / member
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(notes.data[-MOST_NOTES_BYTES:])
    others = {name: file for name, file in made.files.items() if name != path}
    if state.workers == 1 and (others or made.removed):
        return made
    return replace(made, files=others)
