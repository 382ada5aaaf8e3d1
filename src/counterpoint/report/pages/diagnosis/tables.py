"""The tables of a diagnosis: conditions, the tests behind them, and each agent's numbers."""

from __future__ import annotations

from collections.abc import Sequence

from counterpoint.report.pages.definitions import CONDITIONS
from counterpoint.report.toolkit.heatmap import code_of
from counterpoint.report.toolkit.numerals import percent, probability, significant
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table
from counterpoint.results.diagnosis import (
    AgentDiagnosis,
    ConditionTest,
    Decoupling,
    DiagnosisResult,
)

HEADS = {
    "signal_kept": "Signal kept",
    "inflation": "Inflation",
    "signal_share": "Signal share",
    "dead_rate": "Dead rate",
    "net_mass": "Net mass",
    "norm_inflation": "Norm inflation",
    "participation": "Participation",
    "resolution": "Resolution",
    "mean": "Mean reward",
    "deviation": "Deviation",
}
"""Measures of an agent to their heads."""

NO_CHANCE = "nothing is left to chance: either nothing varies, or it can be read off the log"


def condition_table(result: DiagnosisResult, prefix: str) -> Table:
    """Returns one row a condition: detected or not, how sure, or why it cannot be read."""
    columns = (
        Column("Condition", ("condition", "meaning"), numeric=False, define="conditions"),
        Column("Found", ("detected",), numeric=False),
        Column("Smallest q", ("q",), missing=NO_CHANCE),
        Column("its p", ("p",), missing=NO_CHANCE),
        Column("its effect", ("effect",), missing="nothing varies that could be tested"),
        Column("Agent", ("agent",), numeric=False),
    )
    decoupling = result.decoupling
    tested = {t.condition for t in decoupling.tests}
    unknown = sorted((tested | set(decoupling.conditions)) - set(CONDITIONS))
    rows = tuple(_condition_row(decoupling, name) for name in (*CONDITIONS, *unknown))
    caption = (
        f"When decoupling by agent can matter at an error rate of {percent(decoupling.error_rate)}."
        " Of several tests of one condition the one with the smallest q is shown."
    )
    return Table("conditions", caption, columns, rows, f"{prefix}-conditions.csv")


def _condition_row(decoupling: Decoupling, name: str) -> Row:
    meaning = CONDITIONS.get(name, "")
    head = Cell(name, (name, meaning), meaning)
    tests = [t for t in decoupling.tests if t.condition == name]
    if name in decoupling.not_readable:
        reason = decoupling.not_readable[name]
        empty = (Cell("", ("",)) for _ in range(4))
        return Row((head, Cell("not readable", ("not readable",), reason), *empty), "quiet")
    holds = name in decoupling.conditions or any(t.detected for t in tests)
    best = min(tests, key=_strength, default=ConditionTest(condition=name))
    cells = (
        Cell("", ("found",), mark="found") if holds else Cell("not found", ("not found",)),
        Cell(probability(best.q), (best.q,)),
        Cell(probability(best.p), (best.p,)),
        Cell(significant(best.effect), (best.effect,)),
        Cell(best.agent or "", (best.agent or "",)),
    )
    return Row((head, *cells), "best" if holds else "")


def _strength(test: ConditionTest) -> tuple[float, float, float]:
    """Sorts the most telling test first: smallest q, then smallest p, then largest effect."""
    q, p = (1.0 if v is None else v for v in (test.q, test.p))
    return q, p, -abs(test.effect or 0.0)


def test_table(result: DiagnosisResult, prefix: str) -> Table | None:
    """Returns every test that was made; None where there was none."""
    if not result.decoupling.tests:
        return None
    columns = (
        Column("Condition", ("condition",), numeric=False),
        Column("Agent", ("agent",), numeric=False),
        Column("p", ("p",), missing=NO_CHANCE),
        Column("q", ("q",), missing=NO_CHANCE),
        Column("Effect", ("effect",), missing="not computed"),
        Column("Shuffled", ("level",), numeric=False),
        Column("Shown by", ("about", "label"), numeric=False),
        Column("Detected", ("detected",), numeric=False),
    )
    rows = tuple(_test_row(test) for test in result.decoupling.tests)
    caption = "Every test. q is p corrected for the number of tests."
    return Table("tests", caption, columns, rows, f"{prefix}-tests.csv")


def _test_row(test: ConditionTest) -> Row:
    verdict, shown_by = "yes" if test.detected else "no", (test.about, test.label)
    cells = (
        Cell(test.condition, (test.condition,)),
        Cell(test.agent or "all", (test.agent or "",)),
        Cell(probability(test.p), (test.p,)),
        Cell(probability(test.q), (test.q,)),
        Cell(significant(test.effect), (test.effect,)),
        Cell(test.level, (test.level,)),
        Cell(", ".join(part for part in (test.about, test.label) if part), shown_by),
        Cell(verdict, (verdict,)),
    )
    return Row(cells, "best" if test.detected else "")


def health_table(
    result: DiagnosisResult, prefix: str, measures: Sequence[str] = tuple(HEADS)
) -> Table:
    """Returns one row an agent: its cause and the numbers behind it.

    Args:
        result: the diagnosis.
        prefix: what the name of its file begins with.
        measures: the numbers to show, of `HEADS`.
    """
    columns = (
        Column("Agent", ("agent",), numeric=False),
        Column("Cause", ("cause", "evidence", "remedy"), numeric=False, define="cause"),
        *(Column(HEADS[k], (k,), define=_definition(k), missing="cannot be computed from this log")
          for k in measures),
    )  # fmt: skip
    rows = tuple(_health_row(name, agent, measures) for name, agent in result.agents.items())
    caption = f"Over all updates of the log. Causes are judged under {result.scheme}."
    return Table("agents", caption, columns, rows, f"{prefix}-agents.csv")


def grouping_table(result: DiagnosisResult, prefix: str) -> Table | None:
    """Returns one row an agent: what each grouping of the statistics keeps of its signal."""
    if not result.groupings:
        return None
    columns = (
        Column("Agent", ("agent",), numeric=False),
        *(Column(name.capitalize(), (name,), define="signal_kept", missing="no signal to keep")
          for name in result.groupings),
    )  # fmt: skip
    rows = tuple(_grouping_row(name, result) for name in result.agents)
    best = f" Over all agents, {result.best_grouping} keeps most." if result.best_grouping else ""
    caption = (
        "Share of each agent’s signal that its advantages keep at most, with the mean and the "
        f"deviation of these groups.{best}"
    )
    return Table("groupings", caption, columns, rows, f"{prefix}-groupings.csv")


def _grouping_row(name: str, result: DiagnosisResult) -> Row:
    values = [kept.signal_kept[name] for kept in result.groupings.values()]
    cells = (Cell(significant(value), (value,)) for value in values)
    return Row((Cell(name, (name,)), *cells))


def _definition(measure: str) -> str:
    return "reward" if measure in {"mean", "deviation"} else measure


def _health_row(name: str, agent: AgentDiagnosis, measures: Sequence[str]) -> Row:
    exact = (agent.cause or "", agent.evidence, agent.remedy or "")
    codes = (code_of(agent.cause),) if agent.cause else ()
    cells = [Cell(name, (name,)), Cell("" if agent.cause else "none", exact, codes=codes)]
    values: list[float | None] = [getattr(agent, measure) for measure in measures]
    return Row((*cells, *(Cell(significant(value), (value,)) for value in values)))
