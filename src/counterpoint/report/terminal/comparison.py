"""The verdict and the numbers of a comparison for a terminal: start at `comparison_parts`.

Everything fits 80 columns. Names go through `rich.text.Text` and never through markup, so a name
such as `[red]` is shown as it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.pages.comparison.decision_words import comparison_verdict
from counterpoint.report.pages.comparison.page import comparison_cures
from counterpoint.report.pages.comparison.tables import (
    reference_levels,
    return_decimals,
    seed_count,
)
from counterpoint.report.pages.definitions import WORDS
from counterpoint.report.terminal.parts import note, remedy_parts, verdict_parts
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.report.toolkit.numerals import ABSENT, Estimate, estimate_of
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table
from counterpoint.results.comparison import AgentResult, ComparisonResult, SchemeResult

NAME = 22
"""Columns for a scheme's name."""
TEXTS = ("Scheme", "Return", "Collapsed")
"""Columns that stand at the left."""


def comparison_parts(result: ComparisonResult) -> list[RenderableType]:
    """Returns the verdict, a table with one row a scheme, and the remedies of the causes."""
    places = min(3, return_decimals(result))
    columns = _columns(result)
    titles = ("Scheme", "Return", *columns, "Kept", "Collapsed")
    heads = tuple(Column(head, (head,), numeric=head not in TEXTS) for head in titles)
    rows = []
    for name, scheme in result.ranked.items():
        is_best = name == result.decision.recommended
        short = Text(name)
        short.truncate(NAME, overflow="ellipsis")  # by its width: some characters take two columns
        shown = Cell(("▸ " if is_best else "  ") + short.plain)
        cells = (shown, *_scheme_cells(scheme, places, columns))
        rows.append(Row(cells, "best" if is_best else ""))
    for name, value in reference_levels(result).items():
        texts = (f"  {name}", Estimate(value).shown(places), *[""] * (len(columns) + 2))
        rows.append(Row(tuple(map(Cell, texts)), "quiet"))
    table = terminal_table(Table("", "", heads, rows), narrow=True)
    seeds = "1 seed"
    if len(result.seeds) > 1:
        seeds = f"{seed_count(result)}; 95% bootstrap intervals"
    measures = f"Return: interquartile mean over {seeds}. " + " ".join(
        COLUMNS[c] for c in (*columns, "Kept")
    )
    verdict = verdict_parts(comparison_verdict(result))
    return [*verdict, table, note(measures), *remedy_parts(comparison_cures(result))]


COLUMNS = {
    "Score": "Score: 0 random, 1 the reference team.",
    "Credit": "Credit: its correlation with agents' own rewards.",
    "Weighted": "Weighted: the return weighted by the reward paid.",
    "Worst": "Worst: lowest accuracy of an agent.",
    "Kept": "Kept: lowest share of an agent's signal that the scheme keeps. Collapsed: how many "
    "agents, and why.",
}
"""Columns that not every kind of world has, and what the note says of them."""


def _columns(result: ComparisonResult) -> tuple[str, ...]:
    if not WORDS[result.kind].sampled:
        return "Weighted", "Worst"
    schemes = result.schemes.values()
    known = {
        "Score": any(s.normalized for s in schemes),
        "Credit": any(s.credit_correlation for s in schemes),
        "Weighted": any(s.weighted_return for s in schemes),
    }
    return tuple(name for name, there in known.items() if there)


def _scheme_cells(scheme: SchemeResult, places: int, columns: tuple[str, ...]) -> tuple[Cell, ...]:
    returns = estimate_of(scheme.returns)
    bounds = returns.bounds(places) if returns.low is not None else ""
    agents = scheme.agents.values()
    measures = {
        "Score": estimate_of(scheme.normalized).shown(3),
        "Credit": estimate_of(scheme.credit_correlation).shown(2, signed=True),
        "Weighted": estimate_of(scheme.weighted_return).shown(places),
        "Worst": _least((a.accuracy for a in agents), 3),
    }
    return (
        Cell(f"{returns.shown(places)} {bounds}".rstrip()),
        *(Cell(measures[name]) for name in columns),
        Cell(_least((a.signal_kept.iqm for a in agents), 2)),
        Cell("", (), lines=_collapsed(agents)),
    )


def _least(values: Iterable[float | None], places: int) -> str:
    known = [value for value in values if value is not None]
    return Estimate(min(known)).shown(places) if known else ABSENT


def _collapsed(agents: Iterable[AgentResult]) -> tuple[str, ...]:
    """Returns how many agents are collapsed from which cause: a line each."""
    listed_agents = list(agents)
    if all(a.collapsed is None for a in listed_agents):
        return (ABSENT,)
    causes = Counter(a.cause or "unexplained" for a in listed_agents if a.collapsed)
    return tuple(f"{count} {cause}" for cause, count in causes.items()) or ("none",)
