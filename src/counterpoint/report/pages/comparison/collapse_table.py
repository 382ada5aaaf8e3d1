"""The table under the map of a comparison: what each scheme keeps of each agent's signal."""

from __future__ import annotations

from counterpoint.report.pages.comparison.tables import estimates_column
from counterpoint.report.toolkit.estimate import estimate_of
from counterpoint.report.toolkit.heatmap import code_of
from counterpoint.report.toolkit.numerals import significant
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table, estimate_cell
from counterpoint.results.comparison import ComparisonResult, SchemeResult


def collapse_table(result: ComparisonResult, prefix: str) -> Table:
    """One row a scheme and agent: signal kept, task noise, collapsed from when, and why."""
    columns = (
        Column("Scheme", ("scheme",), numeric=False),
        Column("Agent", ("agent",), numeric=False),
        estimates_column("Signal kept", "signal_kept", "kept"),
        estimates_column("Task noise", "task_noise", "noise"),
        Column(
            f"First {result.axis}",
            (f"first_{result.axis}",),
            missing="half of the seeds were never collapsed",
        ),
        Column("Cause", ("cause",), numeric=False, define="cause"),
        Column("Difficulty", ("difficulty",), numeric=False, define="difficulty"),
    )
    rows = [
        _collapse_row(scheme_name, scheme, agent)
        for scheme_name, scheme in result.ranked.items()
        for agent in result.agents
    ]
    caption = (
        "How much of each agent's signal the scheme keeps, how much noise the best statistics "
        "leave, and from when it was collapsed in half of the seeds."
    )
    file = f"{prefix}-collapse-summary.csv"
    return Table("collapse-summary", caption, columns, tuple(rows), file)


def _collapse_row(scheme_name: str, scheme: SchemeResult, name: str) -> Row:
    agent, curves = scheme.agents[name], scheme.curves
    shares = curves.agents[name].collapsed if name in curves.agents else []
    pairs = zip(curves.at, shares, strict=False)
    first = next((update for update, share in pairs if share is not None and share >= 0.5), None)
    return Row((
        Cell(scheme_name, (scheme_name,)),
        Cell(name, (name,)),
        estimate_cell(estimate_of(agent.signal_kept), 2),
        estimate_cell(estimate_of(agent.task_noise), 2),
        Cell(significant(first), (first,)),
        _coded(agent.cause),
        _coded(agent.difficulty),
    ))  # fmt: skip


def _coded(code: str | None) -> Cell:
    return Cell("" if code else "none", (code or "",), codes=(code_of(code),) if code else ())
