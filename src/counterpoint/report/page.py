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

from counterpoint.errors import LogError, UnknownNameError
from counterpoint.report.pages.audit import audit_page
from counterpoint.report.pages.comparison.page import comparison_page
from counterpoint.report.pages.diagnosis.page import diagnosis_page
from counterpoint.report.pages.game import game_page
from counterpoint.report.pages.population import population_page
from counterpoint.report.pages.team import team_page
from counterpoint.report.pages.topology import topology_page
from counterpoint.report.pages.training import training_page
from counterpoint.report.toolkit.safe_text import safe
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


def render(result: Result | Mapping[str, Any]) -> str:
    """Returns the page of a result, as self-contained HTML.

    Args:
        result: the result, or the document that it was saved as.

    Raises:
        UnknownNameError: its schema is none of those that we write, or this kind has no page.
        LogError: there is nothing in it to show, or a field is missing or of another type; the
            message has its path.
    """
    document = document_of(result) if isinstance(result, Result) else result
    if not isinstance(document, Mapping):
        raise LogError(
            f"got a document of type {type(document).__name__}; wanted the mapping that "
            "'compare --json' or 'diagnose --json' prints"
        )
    shown = read_result(safe(document))
    page = PAGES.get(type(shown))
    if page is None:
        schema = document["schema"]
        raise UnknownNameError(f"got a document of schema {schema!r}, which has no page")
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
    AuditResult: Page("audit.html", audit_page, lambda one: Path(one.source).stem),
    ComparisonResult: Page("comparison.html", comparison_page, lambda one: one.world),
    DiagnosisResult: Page("diagnosis.html", diagnosis_page, lambda one: Path(one.source).stem),
    GameResult: Page("game.html", game_page, lambda one: one.name),
    PopulationResult: Page("population.html", population_page, lambda one: one.world),
    TeamResult: Page("team.html", team_page, lambda one: one.name),
    TopologyResult: Page("topology.html", topology_page, lambda one: one.world),
    TrainingResult: Page("training.html", training_page, lambda one: one.world or ""),
}


def write_report(result: Result | Mapping[str, Any], directory: str | os.PathLike[str]) -> Path:
    """Writes `report.html` into the directory, whole or not at all, and returns its path.

    Raises:
        UnknownNameError, LogError: as `render`; nothing is written then.
        OutputError: it cannot be written; an earlier report stays as it was.
    """
    target = Path(directory) / "report.html"
    write_atomically(target, render(result))
    return target


def slug(name: str) -> str:
    """Returns the name as a safe part of a file name: letters, digits and hyphens, never empty."""
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
    """Returns the sentence with no line break inside an interval."""
    return re.sub(r"\[[−+.,\d ]*\]", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), sentence)


def breakable(name: str) -> Markup:
    """Returns the name, escaped, with a place to break the line after every underscore."""
    if len(name) <= 20:
        return escape(name)
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


@cache
def _style() -> tuple[Markup, str]:
    """Returns the style sheet, and the policy that allows this sheet alone."""
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
