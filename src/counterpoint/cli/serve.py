"""`counterpoint serve`: a folder of results and runs in a browser, live."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from counterpoint.cli.messages import say
from counterpoint.cli.results import finish
from counterpoint.cli.train import DEFAULT
from counterpoint.errors import SettingError
from counterpoint.viewer import FolderPages, serve

PORT = 8377


@dataclass(frozen=True)
class Serve:
    """Show a folder of results and runs in a browser, live.

    The first page lists every result and run below the folder, and links to their pages. Pages are
    drawn from the files when somebody opens them, and update by themselves while a run advances.
    Nothing is written. Only this machine can connect, but every user of it can. Ctrl-C ends it.

    Examples:
      counterpoint serve
      counterpoint serve runs --port 0 --open
    """

    folder: Annotated[Path, tyro.conf.Positional] = DEFAULT.parent
    """The folder."""
    port: int = PORT
    """Port of this machine; 0 takes a free one."""
    open: bool = False
    """Open the page in the browser of this machine."""
    json: bool = False
    """Print the address as JSON alone, on standard output."""

    def run(self) -> int:
        """Serves until it is interrupted."""
        if not self.folder.is_dir():
            raise SettingError(
                f"got {self.folder}, which is no folder; wanted one with results or runs, such as "
                "`counterpoint demo` makes"
            )
        site = FolderPages(self.folder)
        serve(site.page, site.changed, self.port, self._announce)
        return 0

    def _announce(self, url: str) -> None:
        if self.json:
            finish({"url": url}, lambda _: [], None, json=True)
        else:
            say(f"{self.folder}: {url} (Ctrl-C ends it)")
        if self.open:
            webbrowser.open(url)
