"""Tables and figures as values: the shown text, the values for the CSV file, the reasons of empty
cells.

A `Cell` carries the text for the reader and the exact values for the CSV file, so the two cannot
drift apart. `csv_link` packs a file into a `data:` address: a page can be saved and mailed whole.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from markupsafe import Markup

from counterpoint.report.toolkit.numerals import MINUS, Estimate, fixed

Exact = str | float | int | None


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    fields: tuple[str, ...] = ()
    """Names of its columns in the CSV file, one for each exact value of its cells; the title in
    small letters if there are none."""
    numeric: bool = True
    define: str = ""
    """Key of the definition that its head links to."""
    missing: str = ""
    """Why a cell may be empty; shown under the table if a cell is empty."""


def text_columns(*titles: str) -> tuple[Column, ...]:
    """Returns columns of text that are named in the CSV file as in the table."""
    return tuple(Column(title, numeric=False) for title in titles)


@dataclass(frozen=True)
class Cell:
    """One cell: the shown text, and the values for the CSV file."""

    shown: str
    exact: tuple[Exact, ...] | None = None
    """None if the CSV file gets the shown text."""
    below: str = ""
    """A second, quieter line: an interval, or a full title."""
    mark: str = ""
    """A word that singles this cell out: `recommended`, `better`, `worse`."""
    codes: tuple[tuple[str, str, str], ...] = ()
    """Causes as (class, two letters, name)."""
    lines: tuple[str, ...] = ()
    """Texts on lines of their own."""
    link: str = ""
    """Name of the place on the page to which the text is linked."""
    name: str = ""
    """Name of this cell on the page, for links to it."""
    address: str = ""
    """Percent-encoded path, from the page on, of the file to which the text is linked."""

    @property
    def values(self) -> tuple[Exact, ...]:
        """The values for the CSV file."""
        return (self.shown,) if self.exact is None else self.exact


@dataclass(frozen=True)
class TableRow:
    """One row; `tone` is a class of the style sheet (`best`, `quiet`)."""

    cells: tuple[Cell, ...]
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """One table with its caption and its file."""

    key: str
    """Its name on the page, and in the name of its CSV file."""
    caption: str
    columns: Sequence[Column]
    rows: Sequence[TableRow]
    sortable: bool = False
    """Whether a reader can sort its rows by the heads of its columns."""

    @property
    def link(self) -> str:
        """The table as a CSV file inside an address."""
        header = [name for c in self.columns for name in c.fields or (c.title.lower(),)]
        return csv_link(header, [[v for c in row.cells for v in c.values] for row in self.rows])

    @property
    def footnotes(self) -> list[str]:
        """The reason of every column with an empty cell."""
        columns: dict[str, list[str]] = {}
        for i, column in enumerate(self.columns):
            if column.missing and any(row.cells[i].values[:1] == (None,) for row in self.rows):
                columns.setdefault(column.missing, []).append(f"“{column.title}”")
        return [f"– in {' and '.join(names)}: {why}" for why, names in columns.items()]


@dataclass(frozen=True)
class Figure:
    """One figure: a wide and a narrow drawing of the same thing, or a grid of panels."""

    key: str
    """Its name on the page."""
    caption: str
    header: tuple[str, ...]
    """Columns of its CSV file."""
    rows: Sequence[Sequence[Exact]] = field(repr=False)
    wide: Markup | None = None
    narrow: Markup | None = None
    panels: Sequence[Markup] = ()
    keys: Sequence[tuple[str, str]] = ()
    """(style, name) of the lines, where the panels carry no names."""
    codes: Sequence[tuple[str, str, str]] = ()
    """Causes as (class, two letters, name), for the legend of a heat map."""
    shaded: bool = False
    """Whether the strength of a colour is a share of the seeds."""
    table: Table | None = None
    """The same numbers as a table, folded away."""
    file: str = ""
    """The subject in the name of its CSV file; `key` if it is empty."""

    @property
    def link(self) -> str:
        """The numbers behind the picture as a CSV file inside an address."""
        return csv_link(self.header, self.rows)


@dataclass(frozen=True)
class Cure:
    """One cause, the agents that it affects, and its remedy."""

    code: tuple[str, str, str]
    """(class, two letters, name) of the cause."""
    remedy: str
    struck: tuple[str, ...]
    """Which agents, and under which scheme or by what evidence."""


def estimate_cell(
    estimate: Estimate, decimals: int, *, signed: bool = False, mark: str = ""
) -> Cell:
    """Returns a number over its interval; if there is no interval, the line below says so."""
    shown = estimate.shown(decimals, signed=signed)
    return Cell(shown, estimate.exact, estimate.bounds(decimals, signed=signed), mark)


def range_cell(value: float, low: float, high: float, form: str) -> Cell:
    """Returns a number over `0.1 to 0.3`, both in the given format."""
    shown, *ends = (f"{one:{form}}".replace("-", MINUS) for one in (value, low, high))
    return Cell(shown, (value, low, high), " to ".join(ends))


def ends_cell(value: float, low: float, high: float, *, signed: bool = False) -> Cell:
    """Returns a number over the ends of its interval, with a real minus sign."""
    shown, *ends = (fixed(one, 3, signed=signed) for one in (value, low, high))
    return Cell(shown, (value, low, high), below=" to ".join(ends))


def csv_text(header: Sequence[str], rows: Sequence[Sequence[Exact]]) -> str:
    """Returns the rows as CSV: full precision, empty where a value is missing.

    A text that a spreadsheet would run as a formula is written with an apostrophe before it.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_harmless(name) for name in header])
    writer.writerows([_harmless(value) for value in row] for row in rows)
    return buffer.getvalue()


def csv_link(header: Sequence[str], rows: Sequence[Sequence[Exact]]) -> str:
    """Returns the rows as the address of a CSV file that needs no network."""
    return "data:text/csv;charset=utf-8," + quote(csv_text(header, rows), safe=",.:;/!*()~ -_")


def _harmless(value: Exact) -> Exact:
    if isinstance(value, str) and value.lstrip()[:1] in {"=", "+", "-", "@"}:
        return "'" + value
    return value
