"""The same verdict and numbers for a terminal: start at `comparison_table`.

Everything fits 80 columns. Names go through `rich.text.Text` and never through markup, so a name
such as `[red]` is shown as it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from counterpoint.report.pages.comparison.page import cures
from counterpoint.report.pages.comparison.result import (
    AgentResult,
    Comparison,
    SchemeResult,
    read_comparison,
)
from counterpoint.report.pages.verdicts import comparison_verdict
from counterpoint.report.terminal.verdicts import note, remedy_parts, verdict_parts
from counterpoint.report.toolkit.document import COMPARISON, Document, open_document
from counterpoint.report.toolkit.estimate import Estimate
from counterpoint.report.toolkit.numerals import ABSENT, decimals_for

NAME = 22
"""Columns for a scheme's or an agent's name."""


def comparison_table(document: Document) -> RenderableType:
    """The verdict, one row a scheme, and the remedies of the causes found.

    Raises:
        UnknownNameError, LogError: as `counterpoint.report.render`.
    """
    result = read_comparison(open_document(document, COMPARISON))
    shown = [v for s in result.ranked for e in (s.returns, s.weighted_returns) for v in e.exact]
    places = min(3, decimals_for(shown))
    columns = _columns(result)
    table = _table(("Scheme", "Return", *columns, "Kept", "Collapsed"))
    for scheme in result.ranked:
        best = scheme.name == result.recommended
        table.add_row(*_scheme_cells(scheme, places, best, columns), style="bold" if best else "")
    for name, value in result.references.items():
        rest = [""] * (len(columns) + 2)
        table.add_row(Text(f"  {name}"), Text(Estimate(value).shown(places)), *rest, style="dim")
    seeds = f"{result.seed_count}; 95% bootstrap intervals" if len(result.seeds) > 1 else "1 seed"
    measures = f"Return: interquartile mean over {seeds}. " + " ".join(
        COLUMNS[c] for c in (*columns, "Kept")
    )
    verdict = verdict_parts(comparison_verdict(result))
    return Group(*verdict, table, note(measures), *remedy_parts(cures(result)))


COLUMNS = {
    "Score": "Score: 0 random, 1 the reference team.",
    "Credit": "Credit: its correlation with agents' own rewards.",
    "Weighted": "Weighted: the return weighted by the reward paid.",
    "Worst": "Worst: lowest accuracy of an agent.",
    "Kept": "Kept: lowest share of an agent's signal that the scheme keeps. Collapsed: how many "
    "agents, and why.",
}
"""Columns that not every kind of world has, and what the note says of them."""


def _columns(result: Comparison) -> tuple[str, ...]:
    found = result.schemes.values()
    if not result.sampled:
        return "Weighted", "Worst"
    known = {"Score": any(s.normalized.value is not None for s in found)}
    known["Credit"] = any(s.credit.value is not None for s in found)
    known["Weighted"] = any(s.weighted_returns.value is not None for s in found)
    return tuple(name for name, there in known.items() if there)


def _scheme_cells(
    scheme: SchemeResult, places: int, best: bool, columns: tuple[str, ...]
) -> list[Text]:
    returns = scheme.returns
    bounds = returns.bounds(places) if returns.low is not None else ""
    agents = scheme.agents.values()
    own = {
        "Score": scheme.normalized.shown(3),
        "Credit": scheme.credit.shown(2, signed=True),
        "Weighted": scheme.weighted_returns.shown(places),
        "Worst": _worst(agents),
    }
    return [
        Text("▸ " if best else "  ") + _short(scheme.name),
        Text(f"{returns.shown(places)} {bounds}".rstrip()),
        *(Text(own[name]) for name in columns),
        Text(_kept(agents)),
        Text(_collapsed(agents)),
    ]


def _worst(agents: Iterable[AgentResult]) -> str:
    known = [a.accuracy.value for a in agents if a.accuracy.value is not None]
    return Estimate(min(known)).shown(3) if known else ABSENT


def _collapsed(agents: Iterable[AgentResult]) -> str:
    """How many agents are collapsed from which cause: a line each."""
    listed_agents = list(agents)
    if all(a.is_collapsed is None for a in listed_agents):
        return ABSENT
    causes = Counter(a.cause or "unexplained" for a in listed_agents if a.is_collapsed)
    return "\n".join(f"{count} {cause}" for cause, count in causes.items()) or "none"


def _kept(agents: Iterable[AgentResult]) -> str:
    known = [a.kept.value for a in agents if a.kept.value is not None]
    return Estimate(min(known)).shown(2) if known else ABSENT


def _table(heads: tuple[str, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for i, head in enumerate(heads):
        left = i in (0, len(heads) - 1) or head == "Return"
        table.add_column(head, justify="left" if left else "right", no_wrap=True)
    return table


def _short(name: str) -> Text:
    """The name in at most `NAME` columns, however wide its characters are."""
    short = Text(name)
    short.truncate(NAME, overflow="ellipsis")
    return short
