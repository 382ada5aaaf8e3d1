"""The answers of language models while they learn: how long they are, how they end, how far they
are from the bare model's."""

from __future__ import annotations

from collections.abc import Callable

from counterpoint.report.toolkit.charts import Chart, Line, last, panel_chart, style_of
from counterpoint.report.toolkit.numerals import fixed, percent, significant
from counterpoint.report.toolkit.tables import Cell, Column, Figure, Table, TableRow, text_columns
from counterpoint.results.training import ANSWERS, Series, TrainingResult

ANSWER_PANELS = {
    "decisions": ("Decisions", "in an update"),
    "answer_tokens": ("Length of answers", "tokens"),
    "cut_off": ("Cut off", "share of answers"),
    "bare_kl": ("From the bare model", "KL, nats a token"),
    "server_gap": ("From the server", "nats a token"),
    "respelled": ("Tokens not known", "share of answers"),
    "reworded": ("Other text here", "share of answers"),
}
"""Headings and units of the measures of each agent's answers."""
TITLES = {
    "decisions": "Decisions",
    "answer_tokens": "Tokens of an answer",
    "cut_off": "Cut off",
    "bare_kl": "From bare model (nats)",
    "server_gap": "From the server (nats)",
    "respelled": "Tokens not known",
    "reworded": "Other text here",
}
"""The same as titles of columns."""
LEVEL = ("decisions", "respelled", "reworded")
"""Measures that are not drawn while they are the same in every update."""
FORMATS: dict[str, Callable[[float | None], str]] = {
    "decisions": lambda value: fixed(value, 0),
    "cut_off": percent,
    "respelled": percent,
    "reworded": percent,
}
"""How measures are written that are counts or shares."""


def is_of_answers(name: str) -> bool:
    """Returns whether a curve is one of the measures of an agent's answers."""
    return name.partition(".")[0] in ANSWERS


def answer_figure(run: TrainingResult) -> Figure | None:
    """Returns a panel for each measure of the answers, with a line for each agent; None if there is
    nothing but the same number of choices in each update."""
    steps = run.curve["step"]
    curves = {n: values for n, values in run.curve.items() if is_of_answers(n)}
    agents = sorted({name.partition(".")[2] for name in curves})
    panels = []
    for measure, (heading, unit) in ANSWER_PANELS.items():
        lines = {a: curves[f"{measure}.{a}"] for a in agents if f"{measure}.{a}" in curves}
        if not lines or (measure in LEVEL and all(_is_level(y) for y in lines.values())):
            continue
        ends = ", ".join(f"{agent} at {significant(last(y))}" for agent, y in lines.items())
        chart = Chart(
            key=f"answers-{measure}",
            title=f"{heading} over {run.axis}s",
            description=f"They end with {ends}.",
            x_title=run.axis,
            y_title=unit,
            lines=tuple(Line(a, steps, y, style_of(agents.index(a))) for a, y in lines.items()),
            heading=heading,
            within=(0.0, 1.0) if unit == "share of answers" else None,
        )
        panels.append(panel_chart(chart))
    if not panels:
        return None
    return Figure(
        key="answer_curves",
        caption="Answers are cut off at most_tokens; the others ended by themselves. The "
        "divergence is at the sampling temperature, of a sample of the answers if kl is 0.",
        header=(run.axis, *curves),
        rows=list(zip(steps, *curves.values(), strict=True)),
        panels=panels,
        keys=[(style_of(i), agent) for i, agent in enumerate(agents)],
    )


def _is_level(values: Series) -> bool:
    return len({value for value in values if value is not None}) < 2


def answer_table(run: TrainingResult) -> Table | None:
    """Returns one row for each agent with its last numbers; None if no language models learn."""
    agents = sorted(
        name.removeprefix("decisions.") for name in run.curve if name.startswith("decisions.")
    )
    shown = [m for m in ANSWER_PANELS if any(f"{m}.{agent}" in run.curve for agent in agents)]
    columns = (
        *text_columns("Agent"),
        *(Column(TITLES[m], (m,), define=m, missing="no answer in free text") for m in shown),
    )
    rows = [
        TableRow((
            Cell(agent),
            *(Cell(FORMATS.get(m, significant)(x), (x,))
              for m in shown for x in [last(run.curve.get(f"{m}.{agent}", ()))]),
        ))
        for agent in agents
    ]  # fmt: skip
    caption = "The numbers of the last update in which the agent had an answer."
    return Table("answers", caption, columns, rows) if rows else None


def answer_rows(run: TrainingResult) -> list[tuple[str, str]]:
    """Returns the same numbers as lines of a terminal table, for each agent that writes freely."""
    rows = []
    for agent in sorted(n.removeprefix("cut_off.") for n in run.curve if n.startswith("cut_off.")):
        numbers = [last(run.curve.get(f"{m}.{agent}", ())) for m in ANSWER_PANELS]
        count, tokens, cut, kl, gap, *_ = numbers
        away = "" if kl is None else f", {significant(kl)} nats a token from the bare model"
        away += "" if gap is None else f", {significant(gap)} from the server"
        lengths = f"{significant(tokens)} tokens, {percent(cut)} cut off{away}"
        rows.append((f"answers of {agent}", f"{fixed(count, 0)} decisions, {lengths}"))
    return rows
