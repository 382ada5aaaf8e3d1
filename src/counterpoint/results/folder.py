"""`FolderResult`: the results and runs in a folder, each with its finding, its status and its page.

A path is shown with escapes for what is no text. Its address is the same path, percent-encoded, so
that no name of a folder can be lost in a link or become more than a name.
"""

from __future__ import annotations

import re

from msgspec import field

from counterpoint.results.parts import Part, Result, expect

ATTENTION = ("failed", "stopped")
"""Status of a run that somebody should look at."""
_ADDRESS = re.compile(r"[A-Za-z0-9_.~/%-]*")


class FolderEntry(Part, frozen=True, kw_only=True):
    """One result, or one run as far as it has come."""

    path: str
    """Its folder, from the listed folder on; `.` is the listed folder itself."""
    address: str
    """The path, percent-encoded."""
    kind: str
    """The kind of its page."""
    subject: str
    headline: str
    """The finding, as its page begins."""
    status: str = ""
    """Of a run: `running`, `finished`, `stopped` or `failed`; "" of a result."""
    error: str = ""
    """What made a run fail."""
    updated: str = ""
    """When it last changed, UTC."""
    returned: float | None = field(name="return", default=None)
    """Of a run that is finished: the return at the end."""
    inside: str = ""
    """Path of the result that this run is a part of; "" if it is none."""
    page: str = ""
    """Address of its page from the list on; "" if the page could not be drawn."""

    @property
    def is_run(self) -> bool:
        """Whether this is a run, which has a status."""
        return bool(self.status)


class LeftOut(Part, frozen=True, kw_only=True):
    """A folder or a file that is not listed, and why."""

    path: str
    reason: str


class FolderResult(Result, frozen=True, kw_only=True, tag="counterpoint.folder/1"):
    """The results and runs in a folder and below it."""

    folder: str
    """Path of the folder, as the user gave it."""
    entries: list[FolderEntry]
    """All of them, the newest first."""
    left_out: list[LeftOut] = field(default_factory=list)
    """What could not be read, is no result, or lies too deep."""
    drawn: list[str] = field(default_factory=list)
    """Paths whose page was drawn now, because it was missing or older than its result."""
    depth: int = 0
    """Number of levels below the folder that were searched."""
    live: bool = False
    """Whether a server shows the list, and updates it."""

    def __post_init__(self) -> None:
        for i, entry in enumerate(self.entries):
            for name in ("address", "page"):
                plain = _ADDRESS.fullmatch(getattr(entry, name)) is not None
                expect(plain, f"entries[{i}].{name}", "a percent-encoded path")
