"""`counterpoint report`: draw the page of saved results, of a run, or of a folder of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.text import Text

from counterpoint.cli.messages import say
from counterpoint.cli.progress import Bar
from counterpoint.cli.results import finish
from counterpoint.cli.resume import say_accepted, search_folder_of_run
from counterpoint.report import render
from counterpoint.report.page import PAGE, is_edited_page, write_page
from counterpoint.report.terminal.parts import folder_parts
from counterpoint.report.toolkit.numerals import counted
from counterpoint.results.saved import RESULTS
from counterpoint.runs.seal import (
    accepted_edits,
    damaged_checkpoints,
    edits_below,
    has_seal,
    require_ours,
    require_unedited,
)
from counterpoint.runs.status import RUN
from counterpoint.viewer.folder_pages import INDEX, draw_pages
from counterpoint.viewer.survey import Survey, holds_result, load, read_folder


@dataclass(frozen=True)
class Report:
    """Draw the report of saved results again, or of a run as far as it has come.

    A folder that holds several of them gets a page that lists them all, index.html. It draws the
    reports that are missing or older than their results, too. Files that were edited or damaged
    after they were written are named, and nothing is drawn of them. A page is one HTML file that
    needs no network.

    Examples:
      counterpoint report results --out page.html
      counterpoint report counterpoint-out/train/spread-mappo_pooled-0
      counterpoint report counterpoint-out
    """

    results: Annotated[Path, tyro.conf.Positional]
    """A folder that `--out` wrote, its results.json, a run directory, or a folder of these."""
    accept_edits: bool = False
    """Draw files that are not as they were written; this is recorded beside them, and the page says
    so."""
    out: Path | None = None
    """The HTML file; default: report.html beside the results, or index.html in a folder of them."""
    json: bool = False
    """Print the path, or the list of a folder, as JSON alone."""

    def run(self) -> int:
        """Loads, draws and writes."""
        if self.results.is_dir() and not holds_result(self.results):
            for edit in edits_below(self.results):
                say(f"counterpoint: warning: {edit}")
            survey = Survey(self.results)
            if survey.result().entries:
                return self._list(survey)
        is_folder = self.results.is_dir()
        if is_folder:
            search_folder_of_run(self.results)
        holder = self.results if is_folder else self.results.parent
        target = self.out or holder / PAGE
        edits: list[str] = []
        if is_folder or self.results.name == RESULTS:  # another file has no seal
            self.say_edits(holder)
            edits = accepted_edits(holder)
        result = read_folder(self.results) if is_folder else load(self.results)
        write_page(target, render(result, beside=target.parent, edits=edits))
        sentence = Text(f"report: {target}")
        finish({"report": str(target)}, lambda _: [sentence], None, self.json)
        return 0

    def say_edits(self, folder: Path) -> None:
        """Prints what is known of edits of a result or a run, and accepts them if that is wished.

        Raises:
            EditedError: a file is not as it was written, and that is not accepted.
        """
        if self.accept_edits:
            say_accepted(folder)
        require_unedited(folder)
        if (folder / RUN).exists() and not has_seal(folder):
            say(f"counterpoint: {folder} has no seal (an earlier version wrote it, or its command "
                "did not end): edits are not known")  # fmt: skip
        if is_edited_page(folder / PAGE):
            say(f"counterpoint: warning: {folder / PAGE} is not as it was written; it is drawn new")
        for edit in (*damaged_checkpoints(folder), *edits_below(folder, checkpoints=True)):
            say(f"counterpoint: warning: {edit}")

    def _list(self, survey: Survey) -> int:
        """Draws the pages that are missing, and the list."""
        target = self.out or self.results / INDEX
        require_ours(target, page=True)
        with Bar("drawing pages") as progress:
            listed = draw_pages(survey, target.parent, progress)
        write_page(target, render(listed))
        finish(listed, folder_parts, None, self.json)
        if listed.drawn:
            say(f"drawn: {counted(len(listed.drawn), 'page')}: {', '.join(listed.drawn)}")
        say(f"report: {target}")
        return 0
