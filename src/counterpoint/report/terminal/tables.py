"""The tables of a page as tables for a terminal: start at `terminal_table`."""

from __future__ import annotations

import rich.table
from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.text import Text

from counterpoint.report.toolkit.document import visible
from counterpoint.report.toolkit.tables import Cell, Column, Table


def terminal_table(table: Table, rows: int | None = None) -> rich.table.Table:
    """Returns the same columns and cells; an interval stands behind its number in brackets.

    A text that is too long is folded and never cut. Names go through `rich.text.Text` and never
    through markup, so that `[red]` stays as it is.

    Args:
        table: as the page shows it.
        rows: how many rows at most.
    """
    drawn = rich.table.Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in table.columns:
        justify: JustifyMethod = "right" if column.numeric else "left"
        drawn.add_column(column.title, justify=justify, overflow="fold")
    for row in table.rows[:rows]:
        cells = [_text(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)]
        drawn.add_row(*cells, style="bold" if row.tone == "best" else None)
    return drawn


def _text(cell: Cell, column: Column) -> Text:
    words = (cell.shown, cell.mark, *(cause for _, _, cause in cell.codes))
    text = " ".join(word for word in words if word)
    if cell.below:
        text += f" ({cell.below})" if column.numeric else f": {cell.below}"
    return Text(visible(text))
