"""The pages of a folder: its list and each of its results, as a server asks for them.

A path of a browser is looked up among the paths that the survey found, and opens no file by itself:
what is not listed cannot be asked for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from msgspec.structs import replace

from counterpoint.errors import CounterpointError
from counterpoint.report import render, write_report
from counterpoint.report.page import PAGE, Live, is_edited_page
from counterpoint.report.pages.episodes import FOLDER
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.results.folder import FolderResult, LeftOut
from counterpoint.runs.seal import accepted_edits
from counterpoint.runs.status import LOCK
from counterpoint.viewer.audit_pages import EPISODE, read_page
from counterpoint.viewer.server import SCRIPT, SORT, Response, text_response
from counterpoint.viewer.survey import Look, Match, Signature, Survey, read_folder

INDEX = "index.html"
KEPT_PAGES = 32
"""Pages that are kept until one of their files changes."""


class FolderPages:
    """The pages of a folder.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.survey = Survey(folder)
        # one page is drawn at a time: drawing is pure Python, and a world may print while it is
        # imported, which is caught for the whole process
        self._lock = threading.Lock()
        self._pages: dict[str, tuple[Signature, Response]] = {}
        self._index: tuple[str, Response] | None = None

    def changed(self) -> str:
        """Returns a text that changes if a page does."""
        return self.survey.look().token

    def page(self, path: str) -> Response | None:
        """Returns the page at a path such as `/` or `/runs/first/report.html`; None if none is."""
        with self._lock:
            look = self.survey.look()
            if path in ("/", f"/{INDEX}"):
                return self._list(look)
            for one in look.matches:
                place = "" if one.relative == "." else f"/{one.relative}"
                if path == f"{place}/{PAGE}":
                    return self._page(one)
                if path.startswith(f"{place}/") and (
                    match := EPISODE.fullmatch(path.removeprefix(place))
                ):
                    return read_page(one.folder.path / FOLDER / match[1])
            return None

    def _list(self, look: Look) -> Response:
        if self._index is None or self._index[0] != look.token:
            listed = replace(self.survey.result(look), live=True)
            self._index = look.token, Response(render(listed, Live(SCRIPT, SORT)).encode())
        return self._index[1]

    def _page(self, one: Match) -> Response:
        kept = self._pages.pop(one.relative, None)
        if kept is None or kept[0] != one.signature:
            try:
                folder = one.folder.path
                page = render(
                    read_folder(folder),
                    Live(SCRIPT, SORT, home="/"),
                    beside=folder,
                    edits=accepted_edits(folder),
                )
                kept = one.signature, Response(page.encode())
            except CounterpointError as error:  # it is damaged, or is being written
                return text_response(str(error), HTTPStatus.INTERNAL_SERVER_ERROR)
        self._pages[one.relative] = kept  # the page that was asked for last stands last
        while len(self._pages) > KEPT_PAGES:
            del self._pages[next(iter(self._pages))]
        return kept[1]


def draw_pages(
    survey: Survey,
    home: Path,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> FolderResult:
    """Draws each page that is missing or older than its result, and returns the list.

    A page that cannot be written is left out of the links, with the reason.

    Args:
        survey: of the folder.
        home: the folder that the list is written to; links lead from there to the pages.
        on_progress: called with the pages drawn and those to draw.
    """
    look = survey.look()
    listed = survey.result(look)
    old = {quote(os.fsencode(one.relative)): one for one in look.matches if _is_old(one)}
    drawing = [entry for entry in listed.entries if entry.address in old]
    drawn, failed = list[str](), dict[str, str]()
    for i, entry in enumerate(drawing):
        folder = old[entry.address].folder.path
        try:
            write_report(read_folder(folder), folder)
            drawn.append(entry.path)
        except (CounterpointError, OSError) as error:
            failed[entry.path] = f"its page was not drawn: {error}"
        on_progress(i + 1, len(drawing))
    way = os.fsencode(os.path.relpath(survey.folder, home))
    entries = [
        replace(entry, page="" if entry.path in failed
                else quote(os.path.normpath(way + b"/" + unquote_to_bytes(entry.page))))
        for entry in listed.entries
    ]  # fmt: skip
    reasons = [LeftOut(path=path, reason=visible(why)) for path, why in failed.items()]
    return replace(listed, entries=entries, drawn=drawn, left_out=[*listed.left_out, *reasons])


def _is_old(one: Match) -> bool:
    files = one.folder.files
    if is_edited_page(one.folder.path / PAGE):
        return True
    page = files.get(PAGE)
    others = (at.st_mtime_ns for name, at in files.items() if name not in (PAGE, LOCK))
    return page is None or page.st_mtime_ns < max(others)
