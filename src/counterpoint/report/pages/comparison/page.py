"""The page of a comparison: its order, verdict first, and its pictures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from counterpoint.diagnose import REMEDIES
from counterpoint.report.pages.comparison.decision_words import (
    WEIGHTED,
    comparison_verdict,
    why_no_control,
)
from counterpoint.report.pages.comparison.tables import (
    agent_table,
    collapse_table,
    control_table,
    curve_table,
    interval_note,
    reference_levels,
    scheme_table,
    seed_count,
    source_table,
)
from counterpoint.report.pages.definitions import WORDS
from counterpoint.report.toolkit.charts import (
    Chart,
    Dot,
    Line,
    interval_panel,
    narrow_chart,
    panel_chart,
    style_of,
    wide_chart,
)
from counterpoint.report.toolkit.frame import Page, flatten, set_words, setting_rows, written
from counterpoint.report.toolkit.heatmap import CODES, Strip, code_of, columns_of, heat_map
from counterpoint.report.toolkit.numerals import counted, estimate_of, ranges
from counterpoint.report.toolkit.tables import Cure, Exact, Figure
from counterpoint.results.comparison import ComparisonResult, Control, Curves
from counterpoint.results.parts import Settings

RETURN = "team return (unit of the world)"
PANELS = 9
"""The maximum number of agents in a picture: those on which the schemes differ most are drawn."""


def comparison_page(result: ComparisonResult) -> Page:
    """Returns the page of a comparison, verdict first."""
    seeds = f"{len(result.seeds)} ({ranges(result.seeds)})" if result.seeds else ""
    config = {
        k: v for k, v in result.config.items() if k != "given" and (k != "seconds" or v is not None)
    }
    settings = {
        "world": result.world,
        **flatten(config),
        "seeds": seeds,
        "version": result.version,
    }
    verdict = comparison_verdict(result)
    control = (
        "The control, in which decoupling by agent must change nothing, was "
        f"{why_no_control(result)}."
    )
    if result.control:
        control = (
            "If all agents act equally often and share one reward, decoupling by agent must "
            f"change nothing. {verdict.facts[2].below}"
        )
    counts = (counted(len(result.schemes), "scheme"), counted(len(result.agents), "agent"))
    return Page(
        template="comparison.html",
        title=f"{result.world}: which credit scheme this team needs",
        kind="Comparison",
        subject=result.world,
        details=[seed_count(result), *counts],
        verdict=verdict,
        definitions=WORDS[result.kind].definitions,
        settings=setting_rows({name: value for name, value in settings.items() if value}),
        picture="curves",
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
    """Returns the command line of a comparison, or nothing if a part of it is not known.

    It has the settings that were given; all of them where a saved result does not say which.
    Every word is quoted for a shell: names come from a document.
    """
    world, schemes, seeds = (config.get(key) for key in ("world", "schemes", "seeds"))
    settings = config.get("given", config.get("settings"))
    if not (world and isinstance(schemes, list) and isinstance(settings, dict)):
        return ""
    lines = [
        ["counterpoint", "compare", str(world)],
        ["--schemes", ",".join(map(str, schemes)), "--seeds", written(seeds)],
        set_words(settings),
    ]
    lines += [
        [f"--{name}", written(config[name])]
        for name in ("policy", "budget", "seconds")
        if config.get(name) is not None
    ]
    if config.get("control") is False:
        lines.append(["--no-control"])
    return " \\\n  ".join(shlex.join(line) for line in lines if line)


def nothing_to_cure(result: ComparisonResult) -> str:
    """Returns the sentence that nothing collapsed, or that no cause explains the collapse."""
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
    """Returns each cause with the agents that it affects under each scheme, and its remedy."""
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


def styles(result: ComparisonResult) -> dict[str, str]:
    """Returns scheme to its colour and dash, the same in every picture."""
    return {name: style_of(i) for i, name in enumerate(result.schemes)}


def curves_figure(result: ComparisonResult) -> Figure:
    """Returns team return along the training, one line a scheme with its interval."""
    style = styles(result)
    best = result.decision.recommended
    lines = tuple(
        _return_line(name, s.curves, style[name], strong=name == best)
        for name, s in result.schemes.items()
    )
    ends = "; ".join(
        f"{name} ends at {estimate_of(s.returns).shown(3)}" for name, s in result.ranked.items()
    )
    chart = Chart(
        key="curves",
        title=f"Learning curves: team return over {result.axis}s",
        description=f"One line for each scheme with its interval band. {ends}.",
        x_title=WORDS[result.kind].axis,
        y_title=RETURN,
        lines=lines,
        references=tuple(
            (name.removesuffix(" actions").removesuffix(" words"), value)
            for name, value in reference_levels(result).items()
        ),
    )
    return Figure(
        key="curves",
        caption=f"{WORDS[result.kind].point} {interval_note(result)}",
        header=("scheme", result.axis, "iqm", "low", "high"),
        rows=[row for name, s in result.schemes.items() for row in _curve_rows(name, s.curves)],
        wide=wide_chart(chart),
        narrow=narrow_chart(chart),
        table=curve_table(result),
    )


def _return_line(name: str, curves: Curves, style: str, *, strong: bool = False) -> Line:
    band = curves.returns
    return Line(name, curves.at, band.iqm, style, band.low or (), band.high or (), strong)


def _curve_rows(name: str, curves: Curves) -> Iterator[Sequence[Exact]]:
    band, unknown = curves.returns, [None] * len(curves.at)
    ends = band.low or unknown, band.high or unknown
    for values in zip(curves.at, band.iqm, *ends, strict=True):
        yield (name, *values)


def agents_figure(result: ComparisonResult) -> Figure | None:
    """Returns accuracy of each agent over the updates; None where the world has no accuracy."""
    style, drawn = styles(result), most_moved(result)
    charts = [_agent_chart(result, agent, f"agent-{i}", style) for i, agent in enumerate(drawn)]
    panels = [panel_chart(chart) for chart in charts if _drawable(chart)]
    if not panels:
        return None
    caption = f"Accuracy of each agent before each update, over {seed_count(result)}."
    if len(drawn) < len(result.agents):
        shown = f"{len(drawn)} of {len(result.agents)}"
        caption += f" The picture shows the {shown} agents on which the schemes differ most."
    return Figure(
        key="agent-curves",
        caption=caption,
        header=("scheme", "agent", "update", "accuracy"),
        rows=[
            (name, agent, update, accuracy)
            for name, s in result.schemes.items()
            for agent, one in s.curves.agents.items()
            for update, accuracy in zip(s.curves.at, one.accuracy or (), strict=False)
        ],
        panels=panels,
        keys=[(style[name], name) for name in result.ranked],
    )


def _agent_chart(result: ComparisonResult, agent: str, key: str, style: dict[str, str]) -> Chart:
    lines = tuple(
        Line(name, s.curves.at, s.curves.agents[agent].accuracy or (), style[name])
        for name, s in result.schemes.items()
        if agent in s.curves.agents
    )
    return Chart(
        key=key,
        title=f"Accuracy of {agent} over updates",
        description=f"One line for each scheme: how often {agent} takes its best action.",
        x_title="update",
        y_title="accuracy (share of best actions)",
        lines=lines,
        heading=agent,
        within=(0.0, 1.0),
    )


def most_moved(result: ComparisonResult) -> list[str]:
    """Returns the agents whose accuracy differs most between schemes, in their order."""
    moved = {}
    for agent in result.agents:
        values = [s.agents[agent].accuracy for s in result.schemes.values()]
        known = [value for value in values if value is not None]
        moved[agent] = max(known) - min(known) if known else 0.0
    chosen = set(sorted(result.agents, key=lambda agent: -moved[agent])[:PANELS])
    return [agent for agent in result.agents if agent in chosen]


def _drawable(chart: Chart) -> bool:
    return any(v is not None for line in chart.lines for v in line.y)


def returns_figure(result: ComparisonResult) -> Figure:
    """Returns the final return, the reward-weighted return and the control side by side."""
    panels = [_dots(result, "return", "Return", RETURN)]
    shown = "The return"
    if any(s.weighted_return is not None for s in result.schemes.values()):
        panels.append(_dots(result, "weighted_return", WEIGHTED, "higher is better"))
        shown += " and the reward-weighted return"
    control = _control_chart(result, result.control) if result.control else None
    if control is not None and _drawable(control):
        panels.append(panel_chart(control))
        shown += ", and the control"
    rows: list[Sequence[Exact]] = []
    for name, s in result.ranked.items():
        rows.append((name, "return", None, *estimate_of(s.returns).exact))
        if len(panels) > 1 or not WORDS[result.kind].sampled:
            weighted = estimate_of(s.weighted_return)
            rows.append((name, "weighted_return", None, *weighted.exact))
    for name, apart in result.control.schemes.items() if result.control else ():
        rows += [(name, "control", *row[1:]) for row in _curve_rows(name, apart.curves)]
    return Figure(
        key="returns",
        caption=f"{shown}. {interval_note(result)}",
        file="returns-and-control",
        header=("scheme", "quantity", "update", "iqm", "low", "high"),
        rows=rows,
        panels=panels,
        table=control_table(result),
    )


def _dots(result: ComparisonResult, quantity: str, heading: str, axis: str) -> Markup:
    style, best = styles(result), result.decision.recommended
    dots = []
    for name, s in result.ranked.items():
        estimate = estimate_of(s.returns if quantity == "return" else s.weighted_return)
        dots.append(Dot(name, *estimate.exact, style[name], estimate.shown(3), name == best))
    return interval_panel(f"dots-{quantity}", heading, axis, dots)


def _control_chart(result: ComparisonResult, control: Control) -> Chart:
    style = styles(result)
    lines = [
        _return_line(name, scheme.curves, style.get(name, style_of(i)))
        for i, (name, scheme) in enumerate(control.schemes.items())
    ]
    return Chart(
        key="control-curves",
        title=f"Control: team return with {control.setting or 'all agents present'}",
        description="One line for each scheme; if decoupling changes nothing, the lines coincide.",
        x_title="update",
        y_title=RETURN,
        lines=tuple(lines),
        heading=f"Control: {control.setting or 'all agents present'}",
    )


def collapse_figure(result: ComparisonResult) -> Figure | None:
    """Returns a map of agent by update for each scheme; None if collapse was not measured."""
    panels, rows, seen, span = [], list[Sequence[Exact]](), list[str](), 1.0
    for i, (name, scheme) in enumerate(result.ranked.items()):
        curves, updates = scheme.curves.agents, scheme.curves.at
        strips = [Strip(agent, one.collapsed, one.cause) for agent, one in curves.items()]
        if all(share is None for strip in strips for share in strip.shares):
            continue
        panels.append(heat_map(f"map-{i}", name, result.axis, updates, strips))
        span = (updates[-1] - updates[0] + 1) / len(columns_of(len(updates)))
        for strip in strips:
            seen += [c for c in strip.causes if c]
            kept = curves[strip.agent].signal_kept or [None] * len(updates)
            columns = zip(updates, strip.shares, kept, strip.causes, strict=True)
            rows += [(name, strip.agent, *values) for values in columns]
    if not panels:
        return None
    joined = f" One column stands for about {span:,.0f} {result.axis}s." if span > 1 else ""
    if WORDS[result.kind].sampled:
        joined += " The first ten measurements together give the first verdict."
    known = [c for c in CODES if c in seen] + sorted({c for c in seen if c not in CODES})
    return Figure(
        key="collapse",
        caption=f"Which agents a scheme collapses at which {result.axis}, because it keeps less "
        "than a quarter of a signal that other statistics keep: the stronger the colour, the more "
        f"of the {seed_count(result)}; colour and letters are the cause named most often.{joined}",
        header=("scheme", "agent", result.axis, "collapsed_seeds", "signal_kept", "cause"),
        rows=rows,
        panels=panels,
        codes=[code_of(cause) for cause in known],
        shaded=True,
        table=collapse_table(result),
    )
