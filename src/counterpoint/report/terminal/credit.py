"""The same verdict and numbers for a terminal: start at `comparison_table`, `diagnosis_table`.

Everything fits 80 columns. Names go through `rich.text.Text` and never through markup, so a name
such as `[red]` is shown as it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from counterpoint.diagnose import REMEDIES
from counterpoint.report.pages.comparison.result import (
    AgentResult,
    Comparison,
    SchemeResult,
    read_comparison,
)
from counterpoint.report.pages.definitions import CONDITIONS
from counterpoint.report.pages.diagnosis.result import AgentHealth, Diagnosis, read_diagnosis
from counterpoint.report.pages.diagnosis.verdict import diagnosis_verdict
from counterpoint.report.pages.verdicts import Verdict, comparison_verdict
from counterpoint.report.toolkit.document import COMPARISON, DIAGNOSIS, Document, open_document
from counterpoint.report.toolkit.estimate import Estimate
from counterpoint.report.toolkit.numerals import ABSENT, decimals_for, probability, significant

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
    note = f"Return: interquartile mean over {seeds}. " + " ".join(
        COLUMNS[c] for c in (*columns, "Kept")
    )
    struck = [a for s in result.ranked for a in s.agents.values()]
    verdict = comparison_verdict(result)
    return Group(*_verdict(verdict), table, _note(note), *_remedies(struck))


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


def diagnosis_table(document: Document) -> RenderableType:
    """The verdict, one row an agent, the conditions, and the remedies of the causes found.

    Raises:
        UnknownNameError, LogError: as `counterpoint.report.render`.
    """
    result = read_diagnosis(open_document(document, DIAGNOSIS))
    table = _table(
        ("Agent", "Signal kept", "Inflation", "Signal share", "Dead rate", "Net mass", "Cause")
    )
    for name, health in result.agents.items():
        table.add_row(Text("  ") + _short(name), *_health_cells(health))
    notes, verdict = _note(_conditions(result)), diagnosis_verdict(result)
    return Group(*_verdict(verdict), table, notes, *_remedies(result.agents.values()))


def _health_cells(health: AgentHealth) -> list[Text]:
    shown = ("signal_kept", "inflation", "signal_share", "dead_rate", "net_mass")
    cells = [Text(significant(health.measures[measure])) for measure in shown]
    return [*cells, Text(health.cause or "")]


def _conditions(result: Diagnosis) -> str:
    """`C1 no (q 0.620), C3 yes (q < 0.001), C4 not readable`."""
    parts = []
    for name in CONDITIONS:
        known = [t.q for t in result.tests if t.condition == name and t.q is not None]
        q = f" (q {probability(min(known))})" if known else ""
        if name in result.not_readable:
            parts.append(f"{name} not readable")
        elif name in result.conditions:
            parts.append(f"{name} yes{q}")
        elif any(t.condition == name for t in result.tests):
            parts.append(f"{name} no{q}")
    return "Conditions: " + (", ".join(parts) or "none tested")


def _verdict(verdict: Verdict) -> list[RenderableType]:
    facts = Table.grid(padding=(0, 2))
    for fact in verdict.facts:
        said = ". ".join(part for part in (fact.below, fact.note) if part)
        facts.add_row(Text(fact.title, style="dim"), Text(fact.value, style="bold"), Text(said))
    parts: list[RenderableType] = [Text(verdict.sentence, style="bold")]
    if verdict.why:
        parts.append(Text(verdict.why))
    return [*parts, Padding(facts, (1, 0, 0, 2))]


def _remedies(agents: Iterable[AgentResult | AgentHealth]) -> list[RenderableType]:
    """One paragraph a cause; the document's own remedy comes before the one we know."""
    found: dict[str, str] = {}
    for agent in agents:
        if agent.cause:
            found.setdefault(agent.cause, agent.remedy or REMEDIES.get(agent.cause, ""))
    return [
        Padding(Text.assemble((f"{cause}: ", "bold"), remedy), (1, 0, 0, 2))
        for cause, remedy in found.items()
        if remedy
    ]


def _table(heads: tuple[str, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for i, head in enumerate(heads):
        left = i in (0, len(heads) - 1) or head == "Return"
        table.add_column(head, justify="left" if left else "right", no_wrap=True)
    return table


def _note(said: str) -> Padding:
    return Padding(Text(said, style="dim"), (0, 0, 0, 2))


def _short(name: str) -> Text:
    """The name in at most `NAME` columns, however wide its characters are."""
    short = Text(name)
    short.truncate(NAME, overflow="ellipsis")
    return short
