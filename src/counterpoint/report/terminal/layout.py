"""How text and tables fit a terminal: start at `FittedTable`, `Paragraph` is for sentences.

Lines break between words alone, so a name or a number that somebody copies is whole at any width. A
word that is longer than a line stands on a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

READABLE = 24
"""Minimum number of columns in which a long text is wrapped, if it is not the first column."""


@dataclass(frozen=True)
class Paragraph:
    """A sentence or more, wrapped between words."""

    text: Text
    indent: int = 0
    above: int = 0
    """Number of empty lines before it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields its lines."""
        yield from [Text()] * self.above
        for line in wrap(self.text, options.max_width - self.indent):
            yield _whole(line, self.indent)


@dataclass(frozen=True)
class FittedTable:
    """A table that is never wider than the terminal and of which nothing is cut.

    Columns stand in the order of their importance. Those for which there is no room move, as
    `title: text`, to lines below their row.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[Text]]
    styles: Sequence[str]
    """One for each row."""
    is_numeric: Sequence[bool]
    """Whether a column stands at the right and is not wrapped, one for each column."""
    title: str = ""
    gap: int = 2
    """Number of spaces between two columns."""
    indent: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields its lines."""
        room = options.max_width - self.indent
        if self.title:
            yield Text(self.title, style="italic")
        for line in self._lines(self._widths(room), room):
            line.rstrip()
            yield _whole(line, self.indent)

    @property
    def has_head(self) -> bool:
        """Whether any column has a title."""
        return any(self.titles)

    def _widths(self, room: int) -> list[int]:
        """Returns the widths of the first columns, as many as fit."""
        if not self.titles:
            return []
        natural, least = [], []
        for place, is_numeric in enumerate(self.is_numeric):
            cells = [row[place] for row in self.rows]
            title = Text(self.titles[place])
            wide = max(map(width_of, (title, *cells)))
            word = max(map(longest_word, (title, *cells)))
            number = max(map(width_of, cells), default=0) if is_numeric else 0
            natural.append(wide)
            least.append(max(word, number if is_numeric else min(wide, READABLE)))
        if natural[0] <= room // 2:  # names at the left are not wrapped
            least[0] = natural[0]
        ends = [end + self.gap * place for place, end in enumerate(accumulate(least))]
        count = max(1, sum(end <= room for end in ends))
        return _shared(natural[:count], least[:count], room - self.gap * (count - 1))

    def _lines(self, widths: Sequence[int], room: int) -> Iterator[Text]:
        count = len(widths)
        if self.has_head:
            yield Text()
            yield from self._row([Text(title) for title in self.titles[:count]], widths, "bold")
            yield Text("─" * min(room, sum(widths) + self.gap * (count - 1)))
        for cells, style in zip(self.rows, self.styles, strict=True):
            yield from self._row(cells[:count], widths, style)
            yield from self._below(cells, count, room, style)
        if self.has_head:
            yield Text()

    def _row(self, cells: Sequence[Text], widths: Sequence[int], style: str) -> Iterator[Text]:
        """Yields the lines of one row; the last one wraps no further than its column."""
        wrapped = [wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
        for place in range(max(map(len, wrapped), default=0)):
            line = Text(style=style)
            for column, (lines, width) in enumerate(zip(wrapped, widths, strict=True)):
                text = lines[place] if place < len(lines) else Text()
                space = " " * max(0, width - text.cell_len)
                line.append(" " * self.gap if column else "")
                line.append_text(Text(space) + text if self.is_numeric[column] else text + space)
            yield line

    def _below(self, cells: Sequence[Text], count: int, room: int, style: str) -> Iterator[Text]:
        """Yields the lines of the cells for which the row had no room; empty cells are left out."""
        line = Text(style=style)
        for title, cell in zip(self.titles[count:], cells[count:], strict=True):
            if not cell.plain.strip():
                continue
            words = cell.copy()
            words.plain = "; ".join(part.strip() for part in cell.plain.split("\n"))
            item = Text(f"{title}: " if title else "") + words
            if line.plain and line.cell_len + 3 + item.cell_len > room - 2:
                yield from _indented(line, room)
                line = Text(style=style)
            line.append("   " if line.plain else "").append_text(item)
        if line.plain:
            yield from _indented(line, room)


def _whole(line: Text, indent: int) -> Text:
    """Returns a line that is printed as it is, however wide the terminal is."""
    line = Text(" " * indent) + line if indent and line.plain else line
    line.no_wrap, line.overflow = True, "ignore"
    return line


def _indented(line: Text, room: int) -> Iterator[Text]:
    return (Text("  ", style=line.style) + part for part in wrap(line, room - 2))


def _shared(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Returns widths between the least and the natural ones that fill the room fairly."""
    widths = list(least)
    spare = room - sum(widths)
    growing = {place for place, wide in enumerate(natural) if wide > widths[place]}
    while spare > 0 and growing:
        place = min(growing, key=lambda one: widths[one])
        widths[place] += 1
        spare -= 1
        if widths[place] >= natural[place]:
            growing.remove(place)
    return widths


def width_of(text: Text) -> int:
    """Returns the number of columns of a text's longest line."""
    return max(map(cell_len, text.plain.split("\n")))


def longest_word(text: Text) -> int:
    """Returns the number of columns of a text's longest word."""
    return max(map(cell_len, text.plain.split()), default=0)


def wrap(text: Text, width: int) -> list[Text]:
    """Returns the lines of a text, broken between words alone; at least one."""
    lines: list[Text] = []
    for paragraph in text.split("\n", allow_blank=True):
        breaks, used, at = [], 0, 0
        for is_space, letters in groupby(paragraph.plain, str.isspace):
            run = "".join(letters)
            if used and not is_space and used + cell_len(run) > width:
                breaks.append(at)
                used = 0
            used += cell_len(run)
            at += len(run)
        parts = list(paragraph.divide(breaks))
        for part in parts:
            part.rstrip()
        lines += parts
    return lines or [Text()]
