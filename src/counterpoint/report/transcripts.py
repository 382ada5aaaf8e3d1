"""`TranscriptWriter`: the pages of single episodes, written while their log is read."""

from __future__ import annotations

from pathlib import Path

from counterpoint.errors import OutputError
from counterpoint.report.page import render_transcript
from counterpoint.report.pages.episodes import FOLDER
from counterpoint.results.transcript import Transcript


class TranscriptWriter:
    """Writes a page for each episode that it is called with, named by the episode's number.

    Args:
        folder: the one that the page of the audit is written to.

    Raises:
        OutputError: pages cannot be written there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self.written: set[str] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(self.folder, error) from error

    def __call__(self, transcript: Transcript) -> None:
        """Writes the page of an episode."""
        name = f"{transcript.row.number}.html"
        try:  # not synced to the disk one by one: they can be written again
            (self.folder / name).write_text(render_transcript(transcript), encoding="utf-8")
        except OSError as error:
            raise _refused(self.folder, error) from error
        self.written.add(name)

    def remove_others(self) -> int:
        """Removes the pages that an earlier audit left behind; returns how many."""
        left = [file for file in self.folder.glob("*.html")
                if file.stem.isdecimal() and file.name not in self.written]  # fmt: skip
        for file in left:
            file.unlink()
        return len(left)


def _refused(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write to {folder} ({error.strerror or error}); wanted a folder: choose another "
        "one with --out"
    )
