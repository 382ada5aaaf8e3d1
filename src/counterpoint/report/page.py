"""From a result document to one HTML file: start at `render`.

The file holds everything it shows. Its content security policy allows its own style sheet, by
hash, and nothing else: no script, no request, no form. Text from a document is escaped by the
templates and by `svg.element`; there is no third way into the page.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from counterpoint.report.pages.audit import audit_page
from counterpoint.report.pages.comparison.page import comparison_page
from counterpoint.report.pages.diagnosis.page import diagnosis_page
from counterpoint.report.pages.game import game_page
from counterpoint.report.pages.population import population_page
from counterpoint.report.pages.team import team_page
from counterpoint.report.pages.topology import topology_page
from counterpoint.report.pages.training.page import training_page
from counterpoint.report.toolkit.document import Document, open_document
from counterpoint.results import (
    AuditResult,
    ComparisonResult,
    DiagnosisResult,
    GameResult,
    PopulationResult,
    Result,
    TeamResult,
    TopologyResult,
    TrainingResult,
    document_of,
    read_result,
)
from counterpoint.runs.files import write_atomically


def render(result: Result | Document) -> str:
    """Returns the page of a result, as self-contained HTML.

    Args:
        result: the result, or the document that it was saved as.

    Raises:
        UnknownNameError: the schema of the document is none of those that we write.
        LogError: there is nothing in it to show, or a part that its page needs is missing or of
            another type; the message has its path.
    """
    opened = open_document(document_of(result) if isinstance(result, Result) else result)
    shown = read_result(opened)
    page = PAGES[type(shown)]
    return _fill(page.template, page.fill(shown, f"counterpoint-{slug(page.subject(shown))}"))


class Page(NamedTuple):
    """How the page of one kind of result is drawn."""

    template: str
    fill: Callable[[Any, str], dict[str, Any]]
    """Takes the result and what the names of its files begin with; returns what fills the
    template."""
    subject: Callable[[Any], str]
    """Takes the result and returns what it is about, for the names of its files."""


PAGES: Mapping[type[Result], Page] = {
    AuditResult: Page("audit.html", audit_page, lambda audit: Path(audit.source).stem),
    ComparisonResult: Page("comparison.html", comparison_page, lambda result: result.world),
    DiagnosisResult: Page("diagnosis.html", diagnosis_page, lambda one: Path(one.source).stem),
    GameResult: Page("game.html", game_page, lambda game: game.name),
    TeamResult: Page("team.html", team_page, lambda team: team.name),
    TopologyResult: Page("topology.html", topology_page, lambda result: result.world),
    PopulationResult: Page("population.html", population_page, lambda result: result.world),
    TrainingResult: Page("training.html", training_page, lambda run: run.world or ""),
}


def write_report(document: Result | Document, directory: str | os.PathLike[str]) -> Path:
    """Writes `report.html` into the directory, whole or not at all, and returns its path.

    Raises:
        UnknownNameError, LogError: as `render`; nothing is written then.
        OutputError: it cannot be written; an earlier report stays as it was.
    """
    target = Path(directory) / "report.html"
    write_atomically(target, render(document))
    return target


def slug(name: str) -> str:
    """The name as a safe part of a file name: letters, digits and hyphens, never empty."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "report"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("counterpoint.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    environment.filters["unbroken"] = unbroken
    return environment


def unbroken(sentence: str) -> str:
    """The sentence with no line break inside an interval."""
    return re.sub(r"\[[−+.,\d ]*\]", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), sentence)


def breakable(name: str) -> Markup:
    """The name, escaped; a long one with a place to break the line after every underscore."""
    if len(name) <= 20:
        return escape(name)
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


@cache
def _style() -> tuple[Markup, str]:
    """The style sheet, and the policy that allows this sheet alone."""
    sheet = files("counterpoint.report").joinpath("templates/report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Markup(sheet), policy


def _fill(template: str, page: dict[str, Any]) -> str:
    style, policy = _style()
    return _environment().get_template(template).render(style=style, policy=policy, **page)
