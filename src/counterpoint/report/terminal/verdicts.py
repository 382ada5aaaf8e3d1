"""A verdict, a note and remedies for a terminal: the parts that several results share."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from counterpoint.report.pages.verdicts import Verdict
from counterpoint.report.toolkit.tables import Cure


def verdict_parts(verdict: Verdict) -> list[RenderableType]:
    """Returns the verdict in a sentence, why, and the facts beside it."""
    facts = Table.grid(padding=(0, 2))
    for fact in verdict.facts:
        explained = ". ".join(part for part in (fact.below, fact.note) if part)
        value = Text(fact.value, style="bold")
        facts.add_row(Text(fact.title, style="dim"), value, Text(explained))
    parts: list[RenderableType] = [Text(verdict.sentence, style="bold")]
    if verdict.why:
        parts.append(Text(verdict.why))
    return [*parts, Padding(facts, (1, 0, 0, 2))]


def note(text: str) -> RenderableType:
    """Returns a quiet paragraph under a table."""
    return Padding(Text(text, style="dim"), (0, 0, 0, 2))


def remedy_parts(cures: Iterable[Cure]) -> list[RenderableType]:
    """Returns a paragraph for each cause that has a remedy."""
    return [
        Padding(Text.assemble((f"{cure.code[2]}: ", "bold"), cure.remedy), (1, 0, 0, 2))
        for cure in cures
        if cure.remedy
    ]
