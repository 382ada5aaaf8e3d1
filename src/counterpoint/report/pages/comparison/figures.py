"""The pictures of a comparison: learning curves, final returns and control, collapse maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from counterpoint.report.pages.comparison.collapse_table import collapse_table
from counterpoint.report.pages.comparison.result import Comparison, Control, SchemeResult
from counterpoint.report.pages.comparison.tables import (
    control_table,
    curve_table,
    interval_note,
)
from counterpoint.report.toolkit.charts import (
    Chart,
    Line,
    narrow_chart,
    panel_chart,
    style_of,
    wide_chart,
)
from counterpoint.report.toolkit.heatmap import CODES, Strip, code_of, columns_of, heat_map
from counterpoint.report.toolkit.intervals import Dot, interval_panel
from counterpoint.report.toolkit.tables import Exact, Figure

RETURN = "team return (unit of the world)"
WEIGHTED = "Reward-weighted return"
PANELS = 9
"""More agents than this are not all drawn: those that the schemes move most are."""


def styles(result: Comparison) -> dict[str, str]:
    """Scheme to its colour and dash, the same in every picture."""
    return {name: style_of(i) for i, name in enumerate(result.schemes)}


def curves_figure(result: Comparison, prefix: str) -> Figure:
    """Team return along the training, one line a scheme with its interval."""
    style = styles(result)
    lines = tuple(_return_line(s, style[name], result) for name, s in result.schemes.items())
    ends = "; ".join(f"{s.name} ends at {s.returns.shown(3)}" for s in result.ranked)
    chart = Chart(
        key="curves",
        title=f"Learning curves: team return over {result.axis}s",
        description=f"One line for each scheme with its interval band. {ends}.",
        x_title=axis_title(result),
        y_title=RETURN,
        lines=lines,
        references=tuple((_short(name), value) for name, value in result.references.items()),
    )
    return Figure(
        key="curves",
        caption=f"{measured_when(result)} {interval_note(result)}",
        file=f"{prefix}-curves.csv",
        header=("scheme", result.axis, "iqm", "low", "high"),
        rows=[row for s in result.schemes.values() for row in _curve_rows(s)],
        wide=wide_chart(chart),
        narrow=narrow_chart(chart),
        table=curve_table(result, prefix),
    )


def _short(reference: str) -> str:
    return reference.removesuffix(" actions").removesuffix(" words")


def axis_title(result: Comparison) -> str:
    """What stands under an x axis."""
    return "steps played, all copies together" if result.kind == "steps" else "update"


def measured_when(result: Comparison) -> str:
    """What a point of a learning curve is, for a caption."""
    if result.kind == "text":
        return "The team’s success, mean of the episodes of each batch, as it learned."
    if result.sampled:
        return "Mean team return of the episodes that ended in each batch, as the team learned."
    return "Team return before each update."


def _return_line(scheme: SchemeResult, style: str, result: Comparison) -> Line:
    curve, strong = scheme.curve, scheme.name == result.recommended
    return Line(scheme.name, curve.at, curve.iqm, style, curve.low, curve.high, strong)


def _curve_rows(scheme: SchemeResult) -> Iterator[Sequence[Exact]]:
    curve = scheme.curve
    for values in zip(curve.at, curve.iqm, curve.low, curve.high, strict=True):
        yield (scheme.name, *values)


def agents_figure(result: Comparison, prefix: str) -> Figure | None:
    """Accuracy of each agent over the updates; None where the world has no accuracy."""
    style, drawn = styles(result), most_moved(result)
    charts = [_agent_chart(result, agent, f"agent-{i}", style) for i, agent in enumerate(drawn)]
    panels = [panel_chart(chart) for chart in charts if _drawable(chart)]
    if not panels:
        return None
    fewer = len(drawn) < len(result.agents)
    some = f" Drawn are the {len(drawn)} of {len(result.agents)} agents that the schemes move most."
    caption = f"Accuracy of each agent before each update, over {result.seed_count}."
    return Figure(
        key="agent-curves",
        caption=caption + some * fewer,
        file=f"{prefix}-agent-curves.csv",
        header=("scheme", "agent", "update", "accuracy"),
        rows=[
            (s.name, agent, update, accuracy)
            for s in result.schemes.values()
            for agent, found in s.agents.items()
            for update, accuracy in zip(s.curve.at, found.accuracies, strict=True)
        ],
        panels=tuple(panels),
        keys=tuple((style[s.name], s.name) for s in result.ranked),
    )


def _agent_chart(result: Comparison, agent: str, key: str, style: dict[str, str]) -> Chart:
    lines = tuple(
        Line(s.name, s.curve.at, s.agents[agent].accuracies, style[s.name])
        for s in result.schemes.values() if agent in s.agents
    )  # fmt: skip
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


def most_moved(result: Comparison) -> list[str]:
    """The agents to draw: those whose accuracy differs most between schemes, in their order."""
    moved = {}
    for agent in result.agents:
        found = [
            s.agents[agent].accuracy.value for s in result.schemes.values() if agent in s.agents
        ]
        known = [value for value in found if value is not None]
        moved[agent] = max(known) - min(known) if known else 0.0
    chosen = set(sorted(result.agents, key=lambda agent: -moved[agent])[:PANELS])
    return [agent for agent in result.agents if agent in chosen]


def _drawable(chart: Chart) -> bool:
    return any(v is not None for line in chart.lines for v in line.y)


def returns_figure(result: Comparison, prefix: str) -> Figure:
    """Final return, reward-weighted return and control side by side, the schemes in one order."""
    panels = [_dots(result, "return", "Return", RETURN)]
    shown = "The return"
    if any(s.weighted_returns.value is not None for s in result.schemes.values()):
        panels.append(_dots(result, "weighted_return", WEIGHTED, "higher is better"))
        shown += " and the reward-weighted return"
    control = _control_chart(result, result.control) if result.control else None
    if control is not None and _drawable(control):
        panels.append(panel_chart(control))
        shown += ", and the control"
    rows: list[Sequence[Exact]] = []
    for s in result.ranked:
        rows.append((s.name, "return", None, *s.returns.exact))
        if len(panels) > 1 or not result.sampled:
            rows.append((s.name, "weighted_return", None, *s.weighted_returns.exact))
    for s in result.control.schemes.values() if result.control else ():
        rows += [(s.name, "control", *row[1:]) for row in _curve_rows(s)]
    return Figure(
        key="returns",
        caption=f"{shown}. {interval_note(result)}",
        file=f"{prefix}-returns-and-control.csv",
        header=("scheme", "quantity", "update", "iqm", "low", "high"),
        rows=rows,
        panels=tuple(panels),
        table=control_table(result, prefix),
    )


def _dots(result: Comparison, quantity: str, heading: str, axis: str) -> Markup:
    style = styles(result)
    dots = []
    for scheme in result.ranked:
        estimate = scheme.returns if quantity == "return" else scheme.weighted_returns
        strong = scheme.name == result.recommended
        dots.append(
            Dot(scheme.name, *estimate.exact, style[scheme.name], estimate.shown(3), strong)
        )
    return interval_panel(f"dots-{quantity}", heading, axis, dots)


def _control_chart(result: Comparison, control: Control) -> Chart:
    style = styles(result)
    lines = []
    for i, (name, scheme) in enumerate(control.schemes.items()):
        c, drawn = scheme.curve, style.get(name, style_of(i))
        lines.append(Line(name, c.at, c.iqm, drawn, c.low, c.high))
    return Chart(
        key="control-curves",
        title=f"Control: team return with {control.setting or 'everybody present'}",
        description="One line a scheme; where decoupling is a no-op the lines coincide.",
        x_title="update",
        y_title=RETURN,
        lines=tuple(lines),
        heading=f"Control: {control.setting or 'everybody present'}",
    )


def collapse_figure(result: Comparison, prefix: str) -> Figure | None:
    """A map of agent by update (or step) for each scheme; None where collapse was not measured."""
    panels, rows, seen, span = [], list[Sequence[Exact]](), list[str](), 1.0
    for i, scheme in enumerate(result.ranked):
        strips = [Strip(n, a.collapsed, a.causes) for n, a in scheme.agents.items()]
        updates = [at for at in scheme.curve.at if at is not None]
        if not updates or all(share is None for strip in strips for share in strip.shares):
            continue
        panels.append(heat_map(f"map-{i}", scheme.name, result.axis, updates, strips))
        span = (updates[-1] - updates[0] + 1) / len(columns_of(len(updates)))
        for strip in strips:
            seen += [c for c in strip.causes if c]
            kept = scheme.agents[strip.agent].kept_lately
            columns = zip(scheme.curve.at, strip.shares, kept, strip.causes, strict=True)
            rows += [(scheme.name, strip.agent, *values) for values in columns]
    if not panels:
        return None
    known = [c for c in CODES if c in seen] + sorted({c for c in seen if c not in CODES})
    return Figure(
        key="collapse",
        caption=_collapse_caption(result, span),
        file=f"{prefix}-collapse.csv",
        header=("scheme", "agent", result.axis, "collapsed_seeds", "signal_kept", "cause"),
        rows=rows,
        panels=tuple(panels),
        codes=tuple(code_of(cause) for cause in known),
        shaded=True,
        table=collapse_table(result, prefix),
    )


def _collapse_caption(result: Comparison, span: float) -> str:
    joined = f" One column stands for about {span:,.0f} {result.axis}s." if span > 1 else ""
    if result.sampled:
        joined += " The first ten measurements together give the first verdict."
    return (
        f"Which agents a scheme collapses at which {result.axis}, because it keeps less than a "
        "quarter of a signal that other statistics keep: the stronger the colour, the more of "
        f"the {result.seed_count}; colour and letters are the cause named most often.{joined}"
    )
