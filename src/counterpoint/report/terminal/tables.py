"""Tables for a terminal: `terminal_table` of a page's table, `text_table` of plain texts.

How a table fits a width is in `layout.py`. `sparkline` draws the course of a series in a cell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from rich.text import Text

from counterpoint.report.terminal.layout import FittedTable
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.report.toolkit.tables import Cell, Column, Table, TableRow

STYLES = {"best": "bold", "quiet": "dim"}
"""Tone of a row to its style."""
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24
"""Characters of a sparkline."""


def terminal_table(
    table: Table, rows: int | None = None, *, title: str = "", narrow: bool = False
) -> FittedTable:
    """Returns the same columns and cells; an interval stands behind its number in brackets.

    Names go through `rich.text.Text` and never through markup, so that `[red]` stays as it is.

    Args:
        table: as the page shows it. If no column has a title, no head is drawn.
        rows: how many rows at most.
        title: what stands above the table.
        narrow: leave out the space around columns.
    """
    columns = table.columns
    return FittedTable(
        [column.title for column in columns],
        [
            [_text(*pair) for pair in zip(row.cells, columns, strict=True)]
            for row in table.rows[:rows]
        ],
        styles=[STYLES.get(row.tone, "") for row in table.rows[:rows]],
        is_numeric=[column.numeric for column in columns],
        title=title,
        gap=1 if narrow else 2,
    )


def text_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    title: str = "",
    numeric: Collection[str] = (),
) -> FittedTable:
    """Returns a table of texts that no page shows, such as a list of worlds.

    Args:
        titles: of the columns.
        rows: a text or a cell for each column.
        title: what stands above the table.
        numeric: titles of the columns whose texts stand at the right.
    """
    columns = tuple(Column(name, numeric=name in numeric) for name in titles)
    cells = (tuple(c if isinstance(c, Cell) else Cell(c) for c in row) for row in rows)
    return terminal_table(Table("", "", columns, list(map(TableRow, cells))), title=title)


def _text(cell: Cell, column: Column) -> Text:
    words = (cell.shown, cell.mark, *(cause for _, _, cause in cell.codes))
    text = " ".join(word for word in words if word)
    if cell.below:
        text += f" ({cell.below})" if column.numeric else f": {cell.below}"
    return Text("\n".join(visible(line) for line in (text, *cell.lines) if line))


def sparkline(values: Sequence[float | None], width: int = WIDTH) -> str:
    """Returns the series from its lowest to its highest value; a character is a stretch's mean."""
    known = [v for v in values if v is not None]
    if not known:
        return ""
    count = min(width, len(known))
    cuts = [len(known) * i // count for i in range(count + 1)]
    means = [sum(known[a:b]) / (b - a) for a, b in pairwise(cuts)]
    low, span = min(means), max(means) - min(means)
    return "".join(BARS[round((len(BARS) - 1) * (m - low) / span) if span else 3] for m in means)
