"""The page of a diagnosis: what stands where, verdict first."""

from __future__ import annotations

from typing import Any

from counterpoint.diagnose import REMEDIES
from counterpoint.report.pages.definitions import DIAGNOSIS
from counterpoint.report.pages.diagnosis.figures import causes_figure, timeline_figure
from counterpoint.report.pages.diagnosis.tables import (
    condition_table,
    grouping_table,
    health_table,
    test_table,
)
from counterpoint.report.pages.diagnosis.verdict import diagnosis_verdict
from counterpoint.report.toolkit.heatmap import code_of
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.tables import Cure
from counterpoint.results.diagnosis import DiagnosisResult


def diagnosis_page(result: DiagnosisResult, prefix: str) -> dict[str, Any]:
    """What the template `diagnosis.html` is filled with."""
    settings = [
        ("source", result.source),
        ("decisions", f"{result.rows:,}"),
        ("updates", f"{result.updates:,}"),
        ("judged under", result.scheme),
        ("error rate", f"{result.decoupling.error_rate:g}"),
        ("version", result.version),
    ]
    counts = ((result.rows, "decision"), (result.updates, "update"), (len(result.agents), "agent"))
    return {
        "title": f"{result.source}: what is lost in this log, and why?",
        "kind": "Diagnosis",
        "subject": result.source,
        "details": [counted(n, noun) for n, noun in counts],
        "version": result.version,
        "verdict": diagnosis_verdict(result),
        "conditions": condition_table(result, prefix),
        "tests": test_table(result, prefix),
        "agents": health_table(result, prefix),
        "groupings": grouping_table(result, prefix),
        "faults": [fault.sentence for fault in result.log_faults],
        "timeline": timeline_figure(result, prefix),
        "causes": causes_figure(result, prefix),
        "cures": cures(result),
        "scheme": result.scheme,
        "recommended": result.recommended,
        "definitions": DIAGNOSIS,
        "settings": [(name, value) for name, value in settings if value],
    }


def cures(result: DiagnosisResult) -> list[Cure]:
    """Each cause, whom it struck and by what evidence, and what to do about it."""
    listed = []
    for cause in dict.fromkeys(agent.cause for agent in result.agents.values() if agent.cause):
        sick = {name: agent for name, agent in result.agents.items() if agent.cause == cause}
        remedy = next((a.remedy for a in sick.values() if a.remedy), REMEDIES.get(cause, ""))
        struck = tuple(f"{name}: {a.evidence}" if a.evidence else name for name, a in sick.items())
        listed.append(Cure(code_of(cause), remedy, struck))
    return listed
