"""From a result document to one HTML file: start at `render`.

The file holds everything it shows. Its content security policy allows its own style sheet, by
hash, and on pages with a table that can be sorted the script that sorts it; nothing else: no other
script, no request, no form. Text from a document is escaped by the templates and by `svg.element`;
there is no third way into the page.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from markupsafe import Markup, escape

from counterpoint import __version__
from counterpoint.errors import CounterpointError, LogError, UnknownNameError
from counterpoint.machine.files import read_ordinary
from counterpoint.report.glossary import word_of, words_in
from counterpoint.report.next_steps import NextStep, next_steps
from counterpoint.report.pages.audit import audit_page
from counterpoint.report.pages.claims import claim_page, claims_page
from counterpoint.report.pages.comparison.page import comparison_page
from counterpoint.report.pages.contribution import contribution_page
from counterpoint.report.pages.diagnosis import diagnosis_page
from counterpoint.report.pages.episodes import FOLDER, without_pages
from counterpoint.report.pages.folder import folder_page
from counterpoint.report.pages.game import game_page
from counterpoint.report.pages.judge_check import judge_check_page
from counterpoint.report.pages.outcomes import outcomes_page
from counterpoint.report.pages.population import population_page
from counterpoint.report.pages.ranking import ranking_page
from counterpoint.report.pages.search import search_page
from counterpoint.report.pages.sweep import sweep_page
from counterpoint.report.pages.team import team_page
from counterpoint.report.pages.topology import topology_page
from counterpoint.report.pages.training import training_page
from counterpoint.report.pages.transcript import transcript_page
from counterpoint.report.toolkit.frame import Page
from counterpoint.report.toolkit.safe_text import safe, visible, visible_lines
from counterpoint.report.toolkit.tables import Table
from counterpoint.results import (
    AuditResult,
    ClaimResult,
    ClaimsResult,
    ComparisonResult,
    ContributionResult,
    DiagnosisResult,
    Document,
    FolderResult,
    GameResult,
    JudgeCheckResult,
    OutcomesResult,
    PopulationResult,
    RankingResult,
    Result,
    SweepResult,
    TeamResult,
    TopologyResult,
    TopologySearchResult,
    TrainingResult,
    document_of,
    read_result,
)
from counterpoint.results.transcript import Transcript
from counterpoint.runs.files import write_atomically
from counterpoint.runs.seal import accepted_edits, require_ours

if TYPE_CHECKING:
    from jinja2 import Environment

PAGES: Mapping[type[Result], Callable[[Any], Page]] = {
    AuditResult: audit_page,
    ClaimResult: claim_page,
    ClaimsResult: claims_page,
    ComparisonResult: comparison_page,
    ContributionResult: contribution_page,
    DiagnosisResult: diagnosis_page,
    FolderResult: folder_page,
    GameResult: game_page,
    JudgeCheckResult: judge_check_page,
    OutcomesResult: outcomes_page,
    PopulationResult: population_page,
    RankingResult: ranking_page,
    SweepResult: sweep_page,
    TeamResult: team_page,
    TopologyResult: topology_page,
    TopologySearchResult: search_page,
    TrainingResult: training_page,
}
"""Kind of a result to the function that makes its page."""
PAGE = "report.html"
"""Name of the file of a page."""


@dataclass(frozen=True)
class Live:
    """What the page of a server has, and the page of a file has not."""

    script: str
    """Path of the server's script, which updates the page."""
    sort: str
    """Path of the script that sorts tables."""
    home: str = ""
    """Path of the page that lists this one; "" if none does."""


def render(
    result: Result | Document,
    live: Live | None = None,
    beside: Path | None = None,
    edits: Sequence[str] = (),
) -> str:
    """Returns the page of a result, as self-contained HTML.

    Args:
        result: the result, or the document that it was saved as.
        live: for the page of a server.
        beside: the folder that the page lies in: pages of episodes in it are linked.
        edits: edits of the files behind the result that a user accepted; they stand at the top.

    Raises:
        UnknownNameError: its schema is none of those that we write, or this kind has no page.
        LogError: there is nothing in it to show, it contradicts itself, or a field is missing or of
            another type; the message has its path.
    """
    try:
        return _rendered(result, live, beside, edits)
    except CounterpointError:
        raise
    except Exception as error:  # a document can be valid and still contradict itself
        raise LogError(
            f"the result contradicts itself ({type(error).__name__}: {error})"
        ) from error


def _rendered(
    result: Result | Document, live: Live | None, beside: Path | None, edits: Sequence[str]
) -> str:
    page, shown = _page_and_result(result, beside)
    html = _html(page, shown.version, next_steps(shown), live, edits)
    used = words_in(_text(html), [d.term for d in page.definitions])
    words = _environment().get_template("words.html").render(words=used)
    return html.replace(WORDS, words)


def render_transcript(transcript: Transcript) -> str:
    """Returns the page of one episode of an audit."""
    document = msgspec.to_builtins(transcript)
    lines = [{**safe(each), "text": visible_lines(each["text"])} for each in document["lines"]]
    shown = msgspec.convert({**safe(document), "lines": lines}, Transcript)
    return _html(transcript_page(shown), __version__, [], None).replace(WORDS, "")


def _html(
    page: Page,
    version: str,
    steps: Sequence[NextStep],
    live: Live | None,
    edits: Sequence[str] = (),
) -> str:
    sheet = _template("report.css")
    has_order = any(isinstance(part, Table) and part.sortable for part in page.contents.values())
    sort = _template("sort.js") if has_order else ""
    # the policy allows this style sheet and this script alone: another script that got into the
    # page would not run, nor would it in the page of a server, which allows its own files
    policy = (
        f"default-src 'none'; style-src '{_digest(sheet)}'; img-src data:; "
        + ("script-src 'self'; connect-src 'self'; " if live else "")
        + (f"script-src '{_digest(sort)}'; " if sort and not live else "")
        + "base-uri 'none'; form-action 'none'"
    )
    prefix = f"counterpoint-{slug(page.file_name or page.subject)}"
    definitions = [
        d if d.own else replace(d, text=f"{meaning(d.term)} {d.text}".strip())
        for d in page.definitions
    ]
    page = replace(page, definitions=definitions)
    frame = {"style": Markup(sheet), "policy": policy, "version": version, "prefix": prefix,
             "sort": Markup(sort), "edits": [visible(edit) for edit in edits]}  # fmt: skip
    return (
        _environment()
        .get_template(page.template)
        .render(**frame, live=live, page=page, steps=steps, place=WORDS, **page.contents)
    )


@cache
def _template(name: str) -> str:
    """Returns a file beside the templates."""
    return files("counterpoint.report").joinpath("templates", name).read_text("utf-8")


@cache
def _digest(text: str) -> str:
    """Returns the hash of a text as a content security policy has it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def sort_script() -> bytes:
    """Returns the script that sorts tables, for a server."""
    return _template("sort.js").encode()


WORDS = Markup("<!-- words -->")
"""Marks the place of the words: text that is escaped cannot hold it."""
_NOT_SHOWN = re.compile(r"<style>[^<]*</style>|<script>[^<]*</script>|<[^<>]*>")


def _text(html: str) -> str:
    """Returns what the page shows, without its elements."""
    return _NOT_SHOWN.sub(" ", html)


def meaning(term: str) -> str:
    """Returns what the glossary says of a term; nothing if it has no such entry."""
    word = word_of(term)
    return word.meaning.replace("`", "") if word else ""


def page_of(result: Result | Document) -> Page:
    """Returns the content of the page of a result, as `render` shows it."""
    return _page_and_result(result, None)[0]


def _page_and_result(result: Result | Document, beside: Path | None) -> tuple[Page, Result]:
    document = document_of(result) if isinstance(result, Result) else result
    if not isinstance(document, Mapping):
        raise LogError(
            f"got a document of type {type(document).__name__}; wanted the mapping that "
            "'compare --json' or 'diagnose --json' prints"
        )
    shown = read_result(safe(document))  # made safe first: pictures measure what is shown
    if isinstance(shown, AuditResult) and not (beside and (beside / FOLDER).is_dir()):
        shown = without_pages(shown)
    if type(shown) not in PAGES:
        schema = document["schema"]
        raise UnknownNameError(f"got a document of schema {schema!r}, which has no page")
    return PAGES[type(shown)](shown), shown


def write_report(result: Result | Document, directory: str | os.PathLike[str]) -> Path:
    """Writes `report.html` into the directory, whole or not at all, and returns its path.

    Edits of the directory that a user accepted stand at its top.

    Raises:
        UnknownNameError, LogError: as `render`; nothing is written then.
        OutputError: it cannot be written; an earlier report stays as it was.
    """
    target = Path(directory) / PAGE
    html = render(result, beside=target.parent, edits=accepted_edits(target.parent))
    write_page(target, html)
    return target


_STAMP = b"\n<!-- sha256 %s -->\n"
_STAMP_BYTES = len(_STAMP) - 2 + 64


def write_page(path: Path, html: str) -> None:
    """Writes a page with its SHA-256 behind it.

    Raises:
        OutputError: it cannot be written, or somebody's own file is there; what was there stays.
    """
    require_ours(path, page=True)
    write_atomically(path, stamped(html))


def is_edited_page(path: Path) -> bool:
    """Returns whether there is a page that is not as `write_page` wrote it.

    A page of an earlier version has no SHA-256, so that nothing is known of it.
    """
    try:
        data = read_ordinary(path)
    except OSError:
        return False
    return data != _stamped(data[:-_STAMP_BYTES]) and not data.endswith(b"</html>")


def stamped(html: str) -> bytes:
    """Returns a page as a file has it: with its SHA-256 behind it."""
    return _stamped(html.encode())


def _stamped(page: bytes) -> bytes:
    return page + _STAMP % hashlib.sha256(page).hexdigest().encode()


def slug(name: str) -> str:
    """Returns the name as a safe part of a file name: letters, digits and hyphens, never empty."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "report"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # `--help` needs no templates

    environment = Environment(
        loader=PackageLoader("counterpoint.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": breakable, "unbroken": unbroken, "slug": slug}
    environment.globals |= {"meaning": meaning}
    return environment


def unbroken(sentence: str) -> str:
    """Returns the sentence with no line break inside an interval."""
    return re.sub(r"\[[−+.,\d ]*\]", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), sentence)


def breakable(name: str) -> Markup:
    """Returns the name, escaped, with a place to break the line after every underscore."""
    if len(name) <= 20:
        return escape(name)
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))
