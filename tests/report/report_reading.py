"""Reading a page back: its elements, its tables and the files it carries."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

VOID = {"meta", "link", "br", "wbr", "hr", "img", "input"}


class Page(HTMLParser):
    """A parsed page; `problems` lists what a browser would have to repair.

    `tables` maps the id of each table's block to its body rows, a list of cells each; a cell has
    `text` and `value`, the exact number behind it or None. `files` maps file names to CSV rows.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.problems: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[dict[str, Any]]]] = {}
        self.files: dict[str, list[dict[str, str]]] = {}
        self.words: list[str] = []
        self._cell: dict[str, Any] | None = None
        self.feed(html)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag, _ in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if len(found) < len(attrs):
            self.problems.append(f"<{tag}> has an attribute twice")
        self.elements.append((tag, found))
        if tag == "tr" and any(t == "tbody" for t, _ in self.open):
            self.tables.setdefault(self._block(), []).append([])
        if tag in {"td", "th"} and any(t == "tbody" for t, _ in self.open):
            self._cell = {"text": "", "value": None}
            self.tables[self._block()][-1].append(self._cell)
        if tag == "data" and self._cell is not None:
            self._cell["value"] = float(found["value"] or "nan")
        if tag == "a" and "download" in found:
            self._keep(str(found["download"]), str(found["href"]))
        if tag not in VOID:
            self.open.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            self.problems.append(f"</{tag}> closes nothing")
            return
        self.open.pop()
        if tag in {"td", "th"}:
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][0] == "style":
            return
        self.words.append(data)
        if self._cell is not None:
            self._cell["text"] += data

    def _block(self) -> str:
        return next(str(a["id"]) for t, a in reversed(self.open) if a.get("class") == "table")

    def _keep(self, name: str, address: str) -> None:
        head, _, body = address.partition(",")
        assert head == "data:text/csv;charset=utf-8"
        self.files[name] = list(csv.DictReader(io.StringIO(unquote(body))))

    @property
    def text(self) -> str:
        """Everything that can be read, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of this name."""
        return [attrs for found, attrs in self.elements if found == tag]

    def row(self, table: str, name: str) -> list[dict[str, Any]]:
        """The row of a table whose first cell starts with this name."""
        return next(r for r in self.tables[table] if r[0]["text"].strip().startswith(name))
