"""The page of a folder: its results and runs, those that need attention first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page
from counterpoint.report.toolkit.numerals import ABSENT, counted, significant
from counterpoint.report.toolkit.safe_text import cut
from counterpoint.report.toolkit.tables import Cell, Column, Table, TableRow, text_columns
from counterpoint.results.folder import ATTENTION, FolderEntry, FolderResult

LONGEST_NAME = 40
"""Characters of a name beside the verdict."""
LONGEST_ERROR = 200
"""Characters of an error in a table; the CSV file has all of it."""


def folder_page(folder: FolderResult) -> Page:
    """Returns the page of a folder."""
    name = folder.folder.rstrip("/").rpartition("/")[2] or folder.folder
    alone = [entry for entry in folder.entries if not entry.inside]
    parts = [entry for entry in folder.entries if entry.inside]
    tables = {
        "attention": ("Runs that failed, stopped or are running.", attention(folder)),
        "all": ("The newest first. A name is linked to its page.", alone),
        "parts_of": ("Each is a part of the result whose folder holds it.", parts),
    }
    return Page(
        template="folder.html",
        title=f"{name}: results and runs",
        kind="Folder",
        subject=folder.folder,
        file_name=name,
        details=[],
        verdict=Headline(folder_headline(folder), "", _facts(folder)),
        definitions=DEFINITIONS,
        settings=[("folder", folder.folder), ("levels searched", str(folder.depth))],
        contents={
            **{
                key: entry_table(key, caption, entries) if entries else None
                for key, (caption, entries) in tables.items()
            },
            "number_of_parts": counted(len(parts), "run") + " inside results",
            "left_out": left_out_table(folder) if folder.left_out else None,
        },
    )


def attention(folder: FolderResult) -> list[FolderEntry]:
    """Returns the runs that failed, that stopped, and that are running, in this order."""
    order = (*ATTENTION, "running")
    noted = [entry for entry in folder.entries if entry.status in order]
    return sorted(noted, key=lambda entry: order.index(entry.status))


def folder_headline(folder: FolderResult) -> str:
    """Returns how many runs need attention, among how many results and runs."""
    if not folder.entries:
        return "There is no result and no run here yet."
    runs = [entry for entry in folder.entries if entry.is_run]
    counts = (len(folder.entries) - len(runs), "result"), (len(runs), "run")
    total = " and ".join(counted(count, noun) for count, noun in counts if count)
    states = Counter(run.status for run in runs)
    bad = sum(states[status] for status in ATTENTION)
    if bad:
        return f"{counted(bad, 'run')} {'needs' if bad == 1 else 'need'} attention, of {total}."
    if going := states["running"]:
        return f"{counted(going, 'run')} {'is' if going == 1 else 'are'} under way, of {total}."
    return f"{total[:1].upper()}{total[1:]}: none needs attention."


def _facts(folder: FolderResult) -> tuple[Fact, ...]:
    if not folder.entries:
        return ()
    runs = [entry for entry in folder.entries if entry.is_run]
    results = [entry for entry in folder.entries if not entry.is_run]
    newest = folder.entries[0]
    return (
        Fact("Results", f"{len(results):,}", _listed(Counter(entry.kind for entry in results))),
        Fact("Runs", f"{len(runs):,}", _listed(Counter(entry.status for entry in runs))),
        Fact("Newest", cut(newest.subject, LONGEST_NAME), newest.headline, _when(newest.updated)),
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name.lower()}: {count:,}" for name, count in counts.most_common())


def entry_table(key: str, caption: str, entries: Sequence[FolderEntry]) -> Table:
    """Returns a row for each result or run; columns of runs are left out if there is none."""
    runs = any(entry.is_run for entry in entries)
    columns = [
        Column("Name", ("subject", "kind", "path"), numeric=False),
        Column("Finding", ("finding", "error"), numeric=False),
        *([Column("Status", ("status",), numeric=False, define="status"),
           Column("Return", missing="not at its end, or without a return")] if runs else []),
        Column("When", ("updated",), numeric=False, define="when"),
    ]  # fmt: skip
    rows = []
    for entry in entries:
        error = (cut(entry.error, LONGEST_ERROR),) if entry.error else ()
        cells = [
            Cell(entry.subject or entry.path, (entry.subject, entry.kind, entry.path),
                 below=f"{entry.kind}, {entry.path}", address=entry.page),
            Cell(entry.headline, (entry.headline, entry.error), lines=error),
            *([_status(entry), _returned(entry)] if runs else []),
            Cell(_when(entry.updated), (entry.updated,)),
        ]  # fmt: skip
        rows.append(TableRow(tuple(cells)))
    return Table(key, caption, columns, rows)


def _status(entry: FolderEntry) -> Cell:
    if entry.status in ATTENTION:
        return Cell("", (entry.status,), mark=entry.status)
    return Cell(entry.status)


def _returned(entry: FolderEntry) -> Cell:
    if not entry.is_run:
        return Cell("", ("",))  # a result has no such number, so it lacks none
    return Cell(significant(entry.returned), (entry.returned,))


def _when(updated: str) -> str:
    """Returns day and minute of a time, UTC."""
    return updated[:16].replace("T", " ") or ABSENT


def left_out_table(folder: FolderResult) -> Table:
    """Returns a row for each path that is not listed, with the reason."""
    rows = [TableRow((Cell(one.path), Cell(one.reason))) for one in folder.left_out]
    caption = "These are not in the lists above."
    return Table("left", caption, text_columns("Path", "Reason"), rows)


DEFINITIONS = (
    Definition("status", "Status",
        "A run is running, finished, stopped (interrupted or killed: counterpoint resume FOLDER "
        "continues it) or failed (an error ended it)."),
    Definition("when", "When",
        "For a result, when it was saved. For a run, when its status or its series last changed. "
        "All times are UTC."),
    Definition("inside", "Part of a result",
        "A comparison with a folder keeps each of its trainings in a run directory inside. The "
        "same command continues those that stopped."),
)  # fmt: skip
"""The meanings of the words of the page."""
