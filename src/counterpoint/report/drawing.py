"""The main drawing of a result as an SVG picture of its own: for notebooks, slides and papers.

Start at `picture`. A notebook shows its value; `str` of it is the text of an SVG file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

from markupsafe import Markup

from counterpoint.errors import LogError
from counterpoint.report.page import page_of
from counterpoint.report.toolkit.frame import Page
from counterpoint.report.toolkit.tables import Figure
from counterpoint.results import Document, Result

DRAWING = re.compile(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"')
"""The beginning of every drawing, with its width and height in pixels."""
MARGIN = 12
"""Pixels of white around a picture."""


class Picture(str):
    """The text of an SVG file, which notebooks show as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        title = self.partition("<title")[2].partition(">")[2].partition("</title>")[0]
        return f"<Picture: {title or 'no title'}>"


def picture(result: Result | Document) -> Picture:
    """Returns the main drawing of a result's page, with light colours on white.

    Args:
        result: the result, or the document that it was saved as.

    Raises:
        UnknownNameError: this kind of result has no page.
        LogError: its page has no drawing, or the document is damaged.
    """
    page = page_of(result)
    drawing = next(_drawings(page), None)
    if drawing is None:
        raise LogError(f"{page.subject}: got a result without a drawing; wanted one to show")
    head = DRAWING.match(drawing)
    assert head, drawing[:80]
    width, height = (float(size) + 2 * MARGIN for size in head.groups())
    place = f'width="{width:g}" height="{height:g}"'
    corner = f"-{MARGIN}"
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="counterpoint" {place} '
        f'viewBox="{corner} {corner} {width:g} {height:g}"'
    )
    ground = f'<rect x="{corner}" y="{corner}" {place} fill="#fff"/>'
    opening, _, rest = drawing[head.end() :].partition(">")
    return Picture(f"{frame}{opening}><style>{_style()}</style>{ground}{rest}\n")


def _drawings(page: Page) -> Iterator[str]:
    """Yields the drawings of a page; the one of its first screen comes first."""
    first = [page.contents[page.picture]] if page.picture else []
    for content in (*first, *page.contents.values()):
        if isinstance(content, Figure):
            yield from [content.wide] if content.wide else content.panels
        elif isinstance(content, Markup) and DRAWING.match(content):
            yield content
        elif isinstance(content, list):
            for row in content:
                yield from (part for part in row if isinstance(part, Markup))


def _style() -> str:
    """Returns the rules of the page's style sheet that drawings need, for this picture alone."""
    sheet = files("counterpoint.report").joinpath("templates/report.css").read_text("utf-8")
    light = sheet.partition("{")[2].partition("}")[0].replace("--paper: #fdfcf9", "--paper: #fff")
    rules = sheet.partition("/* drawings")[2].partition("*/")[2].partition("/* end of drawings")[0]
    scoped = " ".join(
        ", ".join(f".counterpoint {one.strip().removeprefix('svg ')}" for one in names.split(","))
        + f" {{{body}}}"
        for names, _, body in (rule.partition("{") for rule in rules.split("}"))
        if body
    )
    return (
        f".counterpoint {{ {' '.join(light.split())} "
        f"font-family: Helvetica, Arial, sans-serif; max-width: 100%; height: auto; }} {scoped}"
    )
