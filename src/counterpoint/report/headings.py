"""What stands at the head of each kind of page, without the page: start at `heading`.

A list of a thousand results needs their findings, and none of their pictures. A test holds every
heading against the page of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from counterpoint.errors import UnknownNameError
from counterpoint.report.pages.audit import audit_headline
from counterpoint.report.pages.claims import claim_headline, claims_headline
from counterpoint.report.pages.comparison.decision_words import comparison_headline
from counterpoint.report.pages.contribution import contribution_headline
from counterpoint.report.pages.diagnosis import diagnosis_headline
from counterpoint.report.pages.game import sentences
from counterpoint.report.pages.judge_check import judge_check_page
from counterpoint.report.pages.outcomes import outcomes_headline
from counterpoint.report.pages.population import population_headline
from counterpoint.report.pages.ranking import ranking_page
from counterpoint.report.pages.search import search_page
from counterpoint.report.pages.sweep import sweep_headline
from counterpoint.report.pages.team import team_headline
from counterpoint.report.pages.topology import topology_headline
from counterpoint.report.pages.training import training_verdict
from counterpoint.report.toolkit.frame import Page
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.results import (
    AuditResult,
    ClaimResult,
    ClaimsResult,
    ComparisonResult,
    ContributionResult,
    DiagnosisResult,
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
)


class Heading(NamedTuple):
    """The head of a page."""

    kind: str
    subject: str
    sentence: str


def heading(result: Result) -> Heading:
    """Returns the kind, the subject and the finding of a result, as its page shows them.

    Raises:
        UnknownNameError: this kind has no page.
    """
    head = HEADINGS.get(type(result))
    if head is None:
        raise UnknownNameError(f"a result of schema {result.__struct_config__.tag!r} has no page")
    return Heading(*map(visible, head(result)))


def _of_page(page: Page) -> Heading:
    return Heading(page.kind, page.subject, page.verdict.sentence)


HEADINGS: Mapping[type[Result], Callable[[Any], Heading]] = {
    AuditResult: lambda audit: Heading("Audit", audit.source, audit_headline(audit)),
    ClaimResult: lambda one: Heading("Claim", one.name, claim_headline(one)),
    ClaimsResult: lambda one: Heading("Claims", "all", claims_headline(one)),
    ComparisonResult: lambda one: Heading("Comparison", one.world, comparison_headline(one)),
    ContributionResult: lambda one: Heading("Contribution", one.source, contribution_headline(one)),
    DiagnosisResult: lambda one: Heading("Diagnosis", one.source, diagnosis_headline(one)),
    GameResult: lambda game: Heading("Game", game.name, sentences(game)[0]),
    JudgeCheckResult: lambda one: _of_page(judge_check_page(one)),
    OutcomesResult: lambda one: Heading("Outcomes", one.source, outcomes_headline(one)),
    PopulationResult: lambda one: Heading("Population", one.world, population_headline(one)),
    RankingResult: lambda one: _of_page(ranking_page(one)),
    SweepResult: lambda one: Heading("Sweep", one.world, sweep_headline(one)),
    TeamResult: lambda team: Heading("Team at work", team.name, team_headline(team)),
    TopologyResult: lambda one: Heading("Topologies", one.world, topology_headline(one)),
    TopologySearchResult: lambda one: _of_page(search_page(one)),
    TrainingResult: lambda run: Heading(
        "Training", run.world or "", training_verdict(run).sentence
    ),
}
"""Kind of a result to the function that makes its heading."""
