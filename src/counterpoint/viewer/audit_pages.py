"""The pages of an audit, as a server asks for them; audited again when the log changes."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from counterpoint.errors import CounterpointError
from counterpoint.machine.files import read_ordinary
from counterpoint.report import render
from counterpoint.report.page import PAGE, Live
from counterpoint.report.pages.episodes import FOLDER
from counterpoint.report.transcripts import TranscriptWriter
from counterpoint.results.audit import AuditResult
from counterpoint.results.transcript import Transcript
from counterpoint.viewer.server import SCRIPT, SORT, Response

Look = Callable[[Callable[[Transcript], object]], AuditResult]
"""Audits a log, and hands out the transcripts of its episodes as they are read."""
EPISODE = re.compile(rf"/{FOLDER}/([0-9]{{1,9}}\.html)")
"""The path of the page of an episode."""


class AuditPages:
    """The pages of an audit of a log; those of episodes lie in a folder that ends with it.

    Args:
        path: the log, or a folder of logs.
        look: audits it.
        watch: whether to audit again when a file of it has changed.
        on_error: called with a line if that fails; the earlier pages stay.

    Raises:
        CounterpointError: the first audit fails.
    """

    def __init__(
        self, path: Path, look: Look, watch: bool, on_error: Callable[[str], object]
    ) -> None:
        self._path, self._look, self._watch, self._on_error = path, look, watch, on_error
        self._home = tempfile.TemporaryDirectory(prefix="counterpoint-")
        self._seen = signature(path) if watch else ""
        self.result = self._audited()
        self._page = self._drawn()

    def close(self) -> None:
        """Removes the folder."""
        self._home.cleanup()

    def changed(self) -> str:
        """Returns a text that changes if a page does, after another audit if the log differs."""
        if self._watch and (now := signature(self._path)) != self._seen:
            self._seen = now
            try:
                self.result = self._audited()
                self._page = self._drawn()
            except CounterpointError as error:  # a line is half written: the next look may read it
                self._on_error(f"counterpoint: {error}; the page shows the audit before it")
        return self._seen

    def page(self, path: str) -> Response | None:
        """Returns the page at a path such as `/` or `/episodes/7.html`; None if there is none."""
        if path in ("/", f"/{PAGE}"):
            return self._page
        if match := EPISODE.fullmatch(path):
            return read_page(Path(self._home.name) / FOLDER / match[1])
        return None

    def _audited(self) -> AuditResult:
        with TranscriptWriter(Path(self._home.name)) as writer:
            return self._look(writer)

    def _drawn(self) -> Response:
        return Response(render(self.result, Live(SCRIPT, SORT), Path(self._home.name)).encode())


def read_page(file: Path) -> Response | None:
    """Returns the page in a file; None if there is no such file."""
    try:
        return Response(read_ordinary(file))
    except OSError:
        return None


def signature(path: Path) -> str:
    """Returns a text that differs if a file in a folder does: its name, its size or its time."""
    if path.is_dir():
        files = sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
        )
    else:
        files = [str(path)]
    rows = []
    for file in files:
        with contextlib.suppress(OSError):  # it has gone since
            at = os.stat(file)
            rows.append(f"{file}\0{at.st_size}\0{at.st_mtime_ns}")
    return sha256("\0".join(rows).encode("utf-8", "surrogateescape")).hexdigest()
