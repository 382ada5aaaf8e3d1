"""What a terminal shows of claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.pages.claims import (
    audit_sentence,
    border_words,
    claim_headline,
    claims_headline,
    outcome_table,
    stated,
)
from counterpoint.report.terminal.layout import FittedTable, Paragraph
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.results.claims import ClaimResult, ClaimsResult


def claim_parts(claim: ClaimResult) -> list[RenderableType]:
    """Returns the verdict, the claim, and what was measured."""
    rows = [
        [Text(part), Text(stated(one)), Text(one.what)]
        for part, one in (("Effect", claim.effect), ("Control", claim.control),
                          ("Remedy", claim.remedy), ("Price", claim.price))
    ]  # fmt: skip
    value, where = border_words(claim.boundary)
    rows.append([Text("Border"), Text(value), Text(where)])
    parts: list[RenderableType] = [
        Paragraph(Text(claim_headline(claim), style="bold")),
        Paragraph(Text(claim.why)),
        "",
        Paragraph(Text(f"The claim: {claim.claim} ({claim.source})")),
        Paragraph(Text(f"Against it: {claim.against}")),
        Paragraph(Text(f"Here: {claim.story}")),
        Paragraph(Text(f"It holds when {claim.holds_when} It fails when {claim.fails_when}")),
        Paragraph(Text(f"What helps: {claim.remedy_is}")),
        Paragraph(Text(f"The audit: {audit_sentence(claim.detection)}.")),
        "",
        FittedTable(("", "", ""), rows, styles=[""] * len(rows),
                    is_numeric=(False, False, False), indent=2),
    ]  # fmt: skip
    for outcomes, unit in ((claim.outcomes, claim.outcome_is), (claim.beside, claim.beside_is)):
        if outcomes:
            table = terminal_table(outcome_table(outcomes, unit))
            parts += ["", table, Paragraph(Text(unit, style="dim"))]
    return parts


def claims_parts(claims: ClaimsResult) -> list[RenderableType]:
    """Returns the counts, and a row for each claim."""
    rows = [
        [Text(one.name, style="bold"), Text(one.verdict), Text(stated(one.effect)),
         Text(stated(one.control)), Text(f"{one.seconds:.0f} s")]
        for one in claims.claims
    ]  # fmt: skip
    return [
        Paragraph(Text(claims_headline(claims), style="bold")),
        "",
        FittedTable(("Claim", "Verdict", "Effect", "Control", "CPU"), rows,
                    styles=[""] * len(rows),
                    is_numeric=(False, False, False, False, True)),
    ]  # fmt: skip


def claim_list(rows: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Returns a row for each claim, with the verdict that is saved."""
    cells = [
        [Text(str(row["name"]), style="bold"), Text(str(row["verdict"] or "not measured yet")),
         Text(str(row["claim"]))]
        for row in rows
    ]  # fmt: skip
    return [FittedTable(("Claim", "Verdict", ""), cells, styles=[""] * len(cells),
                        is_numeric=(False, False, False))]  # fmt: skip
