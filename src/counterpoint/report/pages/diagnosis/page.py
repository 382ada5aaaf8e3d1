"""The page of a diagnosis: what stands where, verdict first."""

from __future__ import annotations

from typing import Any

from counterpoint.diagnose import REMEDIES
from counterpoint.report.pages.definitions import DIAGNOSIS
from counterpoint.report.pages.diagnosis.figures import causes_figure, timeline_figure
from counterpoint.report.pages.diagnosis.result import Diagnosis
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


def diagnosis_page(result: Diagnosis, prefix: str) -> dict[str, Any]:
    """What the template `diagnosis.html` is filled with."""
    rows = "" if result.rows is None else f"{result.rows:,}"
    updates = "" if result.updates is None else f"{result.updates:,}"
    settings = [
        ("source", result.source),
        ("decisions", rows),
        ("updates", updates),
        ("judged under", result.scheme),
        ("error rate", "" if result.error_rate is None else f"{result.error_rate:g}"),
        ("version", result.version),
    ]
    counts = ((result.rows, "decision"), (result.updates, "update"), (len(result.agents), "agent"))
    return {
        "title": f"{result.source}: what is lost in this log, and why?",
        "kind": "Diagnosis",
        "subject": result.source,
        "details": [counted(n, noun) for n, noun in counts if n is not None],
        "version": result.version,
        "verdict": diagnosis_verdict(result),
        "conditions": condition_table(result, prefix),
        "tests": test_table(result, prefix),
        "agents": health_table(result, prefix),
        "groupings": grouping_table(result, prefix),
        "faults": [fault.sentence for fault in result.faults],
        "timeline": timeline_figure(result, prefix),
        "causes": causes_figure(result, prefix),
        "cures": cures(result),
        "scheme": result.scheme,
        "recommended": result.recommended,
        "definitions": DIAGNOSIS,
        "settings": [(name, value) for name, value in settings if value],
    }


def cures(result: Diagnosis) -> list[Cure]:
    """Each cause found, whom it struck and by what evidence, and what to do about it."""
    causes = dict.fromkeys(h.cause for h in result.agents.values() if h.cause)
    found = []
    for cause in causes:
        sick = {name: h for name, h in result.agents.items() if h.cause == cause}
        remedy = next((h.remedy for h in sick.values() if h.remedy), REMEDIES.get(cause, ""))
        struck = tuple(f"{name}: {h.evidence}" if h.evidence else name for name, h in sick.items())
        found.append(Cure(code_of(cause), remedy, struck))
    return found
