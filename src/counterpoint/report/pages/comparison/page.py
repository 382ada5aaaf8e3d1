"""The page of a comparison: what stands where, verdict first."""

from __future__ import annotations

from typing import Any

from counterpoint.diagnose import REMEDIES
from counterpoint.report.pages.comparison.figures import (
    agents_figure,
    collapse_figure,
    curves_figure,
    returns_figure,
)
from counterpoint.report.pages.comparison.kinds import WORDS
from counterpoint.report.pages.comparison.tables import (
    agent_table,
    scheme_table,
    seed_count,
    source_table,
)
from counterpoint.report.pages.verdicts import comparison_verdict
from counterpoint.report.toolkit.heatmap import code_of
from counterpoint.report.toolkit.numerals import counted, ranges
from counterpoint.report.toolkit.settings import command, flatten, short_first
from counterpoint.report.toolkit.tables import Cure
from counterpoint.results.comparison import ComparisonResult


def comparison_page(result: ComparisonResult, prefix: str) -> dict[str, Any]:
    """Returns what the template `comparison.html` is filled with."""
    seeds = f"{len(result.seeds)} ({ranges(result.seeds)})" if result.seeds else ""
    config = {k: v for k, v in result.config.items() if k != "seconds" or v is not None}
    settings = {
        "world": result.world,
        **flatten(config),
        "seeds": seeds,
        "version": result.version,
    }
    counts = (counted(len(result.schemes), "scheme"), counted(len(result.agents), "agent"))
    return {
        "title": f"{result.world}: which credit scheme this team needs",
        "kind": "Comparison",
        "subject": result.world,
        "details": [seed_count(result), *counts],
        "version": result.version,
        "summary": result.summary,
        "verdict": comparison_verdict(result),
        "schemes": scheme_table(result, prefix),
        "agents": agent_table(result, prefix) if result.agents else None,
        "curves": curves_figure(result, prefix),
        "agent_curves": agents_figure(result, prefix),
        "returns": returns_figure(result, prefix),
        "control": result.control,
        "collapse": collapse_figure(result, prefix),
        "cures": comparison_cures(result),
        "nothing": nothing_to_cure(result),
        "definitions": WORDS[result.kind].definitions,
        "sources": source_table(result, prefix),
        "settings": short_first([(name, value) for name, value in settings.items() if value]),
        "command": command(result.config),
    }


def nothing_to_cure(result: ComparisonResult) -> str:
    """Returns that nothing collapsed, or that no cause explains the collapse."""
    states = [a.collapsed for s in result.schemes.values() for a in s.agents.values()]
    if any(states):
        return (
            "A scheme keeps little of the signal of some agents, but nothing that was measured "
            "explains it, so no cause is named. Other statistics keep more of it: see the agents."
        )
    if all(state is None for state in states):
        return "There was too little signal, or too few measurements, to say what schemes keep."
    return "No agent was collapsed by any scheme, so there is nothing to remedy."


def comparison_cures(result: ComparisonResult) -> list[Cure]:
    """Returns each cause found, whom it struck under which scheme, and what to do about it."""
    struck: dict[str, dict[str, list[str]]] = {}
    remedies: dict[str, str] = {}
    for scheme_name, scheme in result.ranked.items():
        for name, agent in scheme.agents.items():
            if agent.cause:
                struck.setdefault(agent.cause, {}).setdefault(scheme_name, []).append(name)
                remedies.setdefault(agent.cause, agent.remedy or REMEDIES.get(agent.cause, ""))
    return [
        Cure(
            code=code_of(cause),
            remedy=remedies[cause],
            struck=tuple(f"{', '.join(agents)} under {scheme}" for scheme, agents in where.items()),
        )
        for cause, where in struck.items()
    ]
