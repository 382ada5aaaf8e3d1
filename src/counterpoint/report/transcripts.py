"""`TranscriptWriter`: the pages of single episodes, written while their log is read."""

from __future__ import annotations

import os
from pathlib import Path

from counterpoint.errors import OutputError
from counterpoint.report.page import render_transcript
from counterpoint.report.pages.episodes import FOLDER
from counterpoint.results.transcript import Transcript
from counterpoint.runs.files import PartialFolder
from counterpoint.runs.seal import require_ours


class TranscriptWriter:
    """Writes a page for each episode that it is called with, named by the episode's number.

    The pages of an earlier audit stay as they are until the block ends without an error.

    Args:
        folder: the one that the page of the audit is written to.

    Raises:
        OutputError: pages cannot be written there, or somebody's own files have such names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self._names: set[str] = set()
        try:
            for file in self._pages():
                require_ours(file, page=True)
            folder.mkdir(parents=True, exist_ok=True)
            self._partial = PartialFolder(self.folder)
        except OSError as error:
            raise self._refused(error) from error

    def __call__(self, transcript: Transcript) -> None:
        """Writes the page of an episode."""
        name = f"{transcript.row.number}.html"
        try:  # not synced to the disk one by one: they can be written again
            (self._partial.path / name).write_text(render_transcript(transcript), encoding="utf-8")
        except OSError as error:
            raise self._refused(error) from error
        self._names.add(name)

    def __enter__(self) -> TranscriptWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._publish()
        except OSError as error:
            raise self._refused(error) from error
        finally:
            self._partial.remove()

    def _publish(self) -> None:
        """Puts the new pages in place, and removes those that only an earlier audit had."""
        self.folder.mkdir(exist_ok=True)
        for name in self._names:
            os.replace(self._partial.path / name, self.folder / name)
        for file in self._pages():
            if file.name not in self._names:
                file.unlink()

    def _pages(self) -> list[Path]:
        """Returns the pages that are there."""
        return [file for file in self.folder.glob("*.html") if file.stem.isdecimal()]

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(
            f"cannot write to {self.folder} ({error.strerror or error}); wanted a folder: choose "
            "another one with --out"
        )
