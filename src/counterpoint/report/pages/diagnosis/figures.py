"""The pictures of a diagnosis: each agent's numbers and causes over the updates of the log."""

from __future__ import annotations

from counterpoint.report.toolkit.charts import Chart, Line, panel_chart, style_of
from counterpoint.report.toolkit.heatmap import CODES, Strip, code_of, columns_of, heat_map
from counterpoint.report.toolkit.scales import spans_decades
from counterpoint.report.toolkit.tables import Figure
from counterpoint.results.diagnosis import AgentTimeline, DiagnosisResult

TIMELINE = ("inflation", "signal_share", "dead_rate", "net_mass")
"""The measures that are drawn over the updates."""
HEADINGS = {
    "inflation": ("Inflation", "factor lost in signal-to-noise (1 = none)"),
    "signal_share": ("Signal share", "own variance / variance of the scale"),
    "dead_rate": ("Dead rate", "share of decisions with advantage 0"),
    "net_mass": ("Net mass", "mean advantage (0 = sound)"),
}
LEVELS = {"inflation": (1.0, 1.0), "dead_rate": (0.0, 1.0), "net_mass": (-0.1, 0.1)}
"""Values that the axis of a measure always holds, so that rounding does not look like signal."""
LINES = 7
"""Agents in one panel; more of them get panels of their own."""


def timeline_figure(result: DiagnosisResult, prefix: str) -> Figure | None:
    """Returns each measure over the steps, one line an agent; None where the log is one batch."""
    steps, agents = result.timeline.step, result.timeline.agents
    if len(steps) < 2:
        return None
    names = list(result.agents)
    parts = [names[i : i + LINES] for i in range(0, len(names), LINES)]
    charts = [_chart(result, m, part, i) for i, part in enumerate(parts) for m in TIMELINE]
    drawn = [c for c in charts if any(v is not None for line in c.lines for v in line.y)]
    if not drawn:
        return None
    log = ", ".join(c.heading.lower() for c in drawn[: len(TIMELINE)] if c.log)
    return Figure(
        key="timeline",
        caption="One line an agent, over the updates of the log."
        + (f" Logarithmic axis: {log}." if log else ""),
        file=f"{prefix}-timeline.csv",
        header=("agent", "step", *TIMELINE, "cause"),
        rows=[
            (name, step, *(_column(agents[name], m)[i] for m in TIMELINE), agents[name].cause[i])
            for name in names
            for i, step in enumerate(steps)
        ],
        panels=tuple(panel_chart(c) for c in drawn),
        keys=tuple((style_of(i % LINES), name) for i, name in enumerate(names)),
    )


def _column(agent: AgentTimeline, measure: str) -> list[float | None]:
    """Returns one of `TIMELINE` over the updates."""
    column: list[float | None] = getattr(agent, measure)
    return column


def _chart(result: DiagnosisResult, measure: str, agents: list[str], part: int) -> Chart:
    heading, unit = HEADINGS[measure]
    timeline = result.timeline
    lines = tuple(
        Line(name, timeline.step, _column(timeline.agents[name], measure), style_of(i))
        for i, name in enumerate(agents)
    )
    log = spans_decades(v for line in lines for v in line.y)
    return Chart(
        key=f"timeline-{measure}-{part}",
        title=f"{heading} of each agent over updates",
        description=f"{unit}; one line each for {', '.join(agents)}.",
        x_title="update",
        y_title=unit + (", log" if log else ""),
        lines=lines,
        heading=heading,
        log=log,
        within=LEVELS.get(measure),
    )


def causes_figure(result: DiagnosisResult, prefix: str) -> Figure | None:
    """Returns the cause of each agent at each step; None where none was named at any step."""
    steps = result.timeline.step
    causes = {name: result.timeline.agents[name].cause for name in result.agents}
    seen = {cause for column in causes.values() for cause in column if cause}
    if not seen or len(steps) < 2:
        return None
    strips = [
        Strip(name, [float(c is not None) for c in column], column)
        for name, column in causes.items()
    ]
    known = [c for c in CODES if c in seen] + sorted(c for c in seen if c not in CODES)
    width = max(stop - start for start, stop in columns_of(len(steps)))
    joined = f" One column is {width} updates." if width > 1 else ""
    return Figure(
        key="causes",
        caption=f"The cause named for each agent at each update; blank is none.{joined}",
        file=f"{prefix}-causes.csv",
        header=("agent", "step", "cause"),
        rows=[
            (name, step, cause)
            for name, column in causes.items()
            for step, cause in zip(steps, column, strict=True)
        ],
        panels=(heat_map("causes-map", "Causes over updates", "update", steps, strips),),
        codes=tuple(code_of(cause) for cause in known),
    )
