"""A diagnosis for a terminal: start at `diagnosis_parts`."""

from __future__ import annotations

from rich.console import RenderableType

from counterpoint.report.pages.definitions import CONDITIONS
from counterpoint.report.pages.diagnosis.page import cures
from counterpoint.report.pages.diagnosis.tables import health_table
from counterpoint.report.pages.diagnosis.verdict import diagnosis_verdict
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.report.terminal.verdicts import note, remedy_parts, verdict_parts
from counterpoint.report.toolkit.numerals import probability
from counterpoint.results.diagnosis import Decoupling, DiagnosisResult

MEASURES = ("signal_kept", "inflation", "signal_share", "dead_rate", "net_mass")
"""What fits into 80 columns."""


def diagnosis_parts(result: DiagnosisResult) -> list[RenderableType]:
    """Returns the verdict, one row an agent, the conditions, and the remedies of the causes."""
    return [
        *verdict_parts(diagnosis_verdict(result)),
        terminal_table(health_table(result, "", MEASURES)),
        note(_conditions(result.decoupling)),
        *remedy_parts(cures(result)),
    ]


def _conditions(decoupling: Decoupling) -> str:
    """`C1 no (q 0.620), C3 yes (q < 0.001), C4 not readable`."""
    parts = []
    for name in CONDITIONS:
        known = [t.q for t in decoupling.tests if t.condition == name and t.q is not None]
        q = f" (q {probability(min(known))})" if known else ""
        if name in decoupling.not_readable:
            parts.append(f"{name} not readable")
        elif name in decoupling.conditions:
            parts.append(f"{name} yes{q}")
        elif any(t.condition == name for t in decoupling.tests):
            parts.append(f"{name} no{q}")
    return "Conditions: " + (", ".join(parts) or "none tested")
