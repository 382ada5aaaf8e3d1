"""Tables for a terminal: `terminal_table` of a page's table, `text_table` of plain texts.

`sparkline` draws the course of a series in a cell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

import rich.table
from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.text import Text

from counterpoint.report.toolkit.safe_text import visible
from counterpoint.report.toolkit.tables import Cell, Column, Table, TableRow

STYLES = {"best": "bold", "quiet": "dim"}
"""Tone of a row to its style."""
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24
"""Characters of a sparkline."""


def terminal_table(
    table: Table, rows: int | None = None, *, title: str = "", narrow: bool = False
) -> rich.table.Table:
    """Returns the same columns and cells; an interval stands behind its number in brackets.

    A text that is too long is folded and never cut. Names go through `rich.text.Text` and never
    through markup, so that `[red]` stays as it is.

    Args:
        table: as the page shows it. If no column has a title, no head is drawn.
        rows: how many rows at most.
        title: what stands above the table.
        narrow: leave out the space around cells, and fold none.
    """
    titled = any(column.title for column in table.columns)
    drawn = rich.table.Table(
        box=SIMPLE_HEAD if titled else None, show_header=titled,
        title=title or None, title_justify="left", pad_edge=False, collapse_padding=titled,
        padding=0 if narrow else (0, 1) if titled else (0, 2, 0, 0),
    )  # fmt: skip
    for column in table.columns:
        justify: JustifyMethod = "right" if column.numeric else "left"
        drawn.add_column(column.title, justify=justify, overflow="fold", no_wrap=narrow)
    for row in table.rows[:rows]:
        cells = [_text(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)]
        drawn.add_row(*cells, style=STYLES.get(row.tone))
    return drawn


def text_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    title: str = "",
    numeric: Collection[str] = (),
) -> rich.table.Table:
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
