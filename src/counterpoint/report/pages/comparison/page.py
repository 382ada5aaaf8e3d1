"""The page of a comparison: what stands where, verdict first."""

from __future__ import annotations

import shlex

from counterpoint.diagnose import REMEDIES
from counterpoint.report.pages.comparison.decision_words import comparison_verdict
from counterpoint.report.pages.comparison.figures import (
    agents_figure,
    collapse_figure,
    curves_figure,
    returns_figure,
)
from counterpoint.report.pages.comparison.tables import (
    agent_table,
    scheme_table,
    seed_count,
    source_table,
)
from counterpoint.report.pages.definitions import WORDS
from counterpoint.report.toolkit.frame import Page, flatten, setting_rows, written
from counterpoint.report.toolkit.heatmap import code_of
from counterpoint.report.toolkit.numerals import counted, ranges
from counterpoint.report.toolkit.tables import Cure
from counterpoint.results.comparison import ComparisonResult
from counterpoint.results.parts import Settings


def comparison_page(result: ComparisonResult) -> Page:
    """Returns the page of a comparison, verdict first."""
    seeds = f"{len(result.seeds)} ({ranges(result.seeds)})" if result.seeds else ""
    config = {k: v for k, v in result.config.items() if k != "seconds" or v is not None}
    settings = {
        "world": result.world,
        **flatten(config),
        "seeds": seeds,
        "version": result.version,
    }
    verdict = comparison_verdict(result)
    control = (
        "The control, in which decoupling by agent must change nothing, was not run for this "
        "comparison."
    )
    if result.control:
        control = (
            "Where everybody acts equally often and shares one reward, decoupling by agent must "
            f"change nothing. {verdict.facts[2].below}"
        )
    counts = (counted(len(result.schemes), "scheme"), counted(len(result.agents), "agent"))
    return Page(
        template="comparison.html",
        title=f"{result.world}: which credit scheme this team needs",
        kind="Comparison",
        subject=result.world,
        details=[seed_count(result), *counts],
        version=result.version,
        verdict=verdict,
        definitions=WORDS[result.kind].definitions,
        settings=setting_rows({name: value for name, value in settings.items() if value}),
        contents={
            "summary": result.summary,
            "schemes": scheme_table(result),
            "agents": agent_table(result) if result.agents else None,
            "curves": curves_figure(result),
            "agent_curves": agents_figure(result),
            "control": control,
            "returns": returns_figure(result),
            "collapse": collapse_figure(result),
            "cures": comparison_cures(result),
            "nothing": nothing_to_cure(result),
            "sources": source_table(result),
            "command": command(result.config),
        },
    )


def command(config: Settings) -> str:
    """Returns the command line of a comparison, or nothing where its parts are not all known.

    Every word is quoted for a shell: names come from a document.
    """
    world, schemes, seeds = (config.get(key) for key in ("world", "schemes", "seeds"))
    settings = config.get("settings")
    if not (world and isinstance(schemes, list) and isinstance(settings, dict)):
        return ""
    lines = [
        ["counterpoint", "compare", str(world)],
        ["--schemes", ",".join(map(str, schemes)), "--seeds", written(seeds)],
        ["--set", *(f"{key}={value}" for key, value in flatten(settings).items())],
    ]
    lines += [
        [f"--{name}", written(config[name])]
        for name in ("policy", "budget", "seconds")
        if config.get(name) is not None
    ]
    if config.get("control") is False:
        lines.append(["--no-control"])
    return " \\\n  ".join(shlex.join(line) for line in lines)


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
