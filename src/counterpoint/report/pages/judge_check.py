"""The page of a check of a judge: its accuracy, its biases, and its agreement with itself."""

from __future__ import annotations

from counterpoint.report.pages.unseen import unseen_facts
from counterpoint.report.toolkit.charts import Dot, interval_panel
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import ABSENT, counted, fixed, interval, percent
from counterpoint.report.toolkit.tables import Cell, Column, Figure, Table, TableRow, text_columns
from counterpoint.results.judge_check import FEWEST_GROUPS, JudgeCheckResult, Measure

NAMES = {
    "accuracy": "Pairs in the right order",
    "tau": "Agreement with the truth",
    "retest": "Agreement, same order again",
    "reliability": "Agreement, reverse order",
    "position_bias": "The text that stands first",
    "length_bias": "The longer text",
    "self_preference": "Its own texts",
    "drift": "Change of a score",
    "ties": "Ties",
}
"""Measures to their names on the page."""
QUALITY = ("accuracy", "tau", "retest", "reliability")
BIASES = {
    "position_bias": ("the first text", "the last text"),
    "length_bias": ("longer texts", "shorter texts"),
    "self_preference": ("its own texts", "texts of others"),
}
"""Measures of a bias, with what a judge above and below the null prefers."""


def judge_check_page(check: JudgeCheckResult) -> Page:
    """Returns the page of a check of a judge."""
    judge = check.judge.get("judge", "judge")
    return Page(
        template="judge_check.html",
        title=f"{judge}: can this judge be trusted?",
        kind="Judge",
        subject=judge,
        details=[counted(check.groups, "group"), *([check.judge["model"]]
                 if "model" in check.judge else [])],
        verdict=judge_check_verdict(check),
        definitions=DEFINITIONS,
        settings=setting_rows({**check.judge, "wanted reliability": check.wanted}),
        picture="figure",
        contents={"figure": _figure(check), "measures": measure_table(check)},
    )  # fmt: skip


def preferences(check: JudgeCheckResult) -> list[str]:
    """Returns what the judge prefers by a bias that is statistically significant."""
    named = []
    for one in check.measures:
        if one.name in BIASES and one.found and one.value is not None:
            above, below = BIASES[one.name]
            named.append(above if one.value > (one.null or 0.0) else below)
    return named


def judge_check_headline(check: JudgeCheckResult) -> str:
    """Returns one sentence of at most 15 words."""
    preferred = preferences(check)
    bias = "no bias was found"
    if preferred:
        bias = f"it prefers {preferred[0]}" if len(preferred) == 1 else (
            f"it has {len(preferred)} biases")  # fmt: skip
    accuracy = _measure(check, "accuracy")
    if accuracy is None or accuracy.value is None:
        return f"The accuracy of the judge is not known; {bias}."
    share = percent(accuracy.value)
    if accuracy.found and accuracy.value > (accuracy.null or 0.0):
        return f"The judge puts {share} of pairs in the right order; {bias}."
    if accuracy.low is None:
        return (f"Cannot tell whether the judge beats chance or has biases: "
                f"{counted(accuracy.n, 'group')}, {FEWEST_GROUPS} wanted.")  # fmt: skip
    worse = "below" if accuracy.found else "indistinguishable from"
    return f"The judge is {worse} chance ({share} of pairs); {bias}."


def judge_check_verdict(check: JudgeCheckResult) -> Headline:
    """Returns how often the judge is right, what it prefers, and the orders that it needs."""
    accuracy = _measure(check, "accuracy")
    right = Fact("Accuracy", ABSENT, "no pair of known and different worth")
    if accuracy is not None and accuracy.value is not None:
        ends = interval(accuracy.low, accuracy.high, 2)
        right = Fact("Accuracy", fixed(accuracy.value, 2), f"95% interval {ends}" if ends else
                     f"fewer than {FEWEST_GROUPS} groups: no interval",
                     "Share of pairs in the right order; chance is 0.5.")  # fmt: skip
    tested = [one for one in check.measures if one.name in BIASES and one.low is not None]
    preferred = preferences(check)
    bias = Fact("Biases", str(len(preferred)) if tested else ABSENT,
                f"of {counted(len(tested), 'preference')} that could be tested",
                f"It prefers {', '.join(preferred)}." if preferred else "")  # fmt: skip
    once = _measure(check, "reliability")
    reliability = ABSENT if once is None else fixed(once.value, 2)
    orders = Fact("Orders of a group", f"{check.orders:,}" if check.orders else "none",
                  f"{'reach' if check.orders else 'reaches'} a reliability of {check.wanted:g}",
                  f"Two single orders agree at {reliability}.")  # fmt: skip
    tokens = "tokens not counted" if check.tokens is None else f"{check.tokens:,} tokens"
    why = (
        f"{counted(check.groups, 'group')} of known worth were ranked three times each: in an "
        f"order, in the same order again, and backwards ({check.calls:,} calls, {tokens}; "
        f"{counted(check.unreadable, 'unreadable reply')})."
    )
    facts = (right, bias, orders, *unseen_facts(check.unseen, check.settings))
    return Headline(judge_check_headline(check), why, facts)


def _measure(check: JudgeCheckResult, name: str) -> Measure | None:
    return next((one for one in check.measures if one.name == name), None)


def _figure(check: JudgeCheckResult) -> Figure:
    """Returns two panels: how good the judge is, and what it prefers."""
    quality = [_dot(one) for one in check.measures if one.name in QUALITY]
    biases = [_dot(one, shifted=True) for one in check.measures if one.name in BIASES]
    panels = []
    if quality:
        panels.append(interval_panel("quality", "Is it right?", "1 is a perfect judge", quality))
    if biases:
        panels.append(interval_panel("bias", "What does it prefer?", "0 is a fair judge", biases))
    return Figure(
        key="measures-figure",
        caption="Means over groups with 95% intervals. The short upright line is what chance "
        "gives (left), and a judge without the preference (right). A row stands out where the "
        "difference is statistically significant: the interval misses that line, and Student's "
        "t-test agrees.",
        header=("measure", "value", "low", "high", "without it"),
        rows=[(one.name, one.value, one.low, one.high, one.null) for one in check.measures],
        panels=panels,
    )


def _dot(one: Measure, *, shifted: bool = False) -> Dot:
    """Returns a measure as a row; a shifted one is drawn as its distance from the null."""
    base = (one.null or 0.0) if shifted else 0.0
    value, low, high = (None if v is None else v - base for v in (one.value, one.low, one.high))
    shown = "not known" if value is None else fixed(value, 2, signed=shifted)
    null = None if one.null is None else one.null - base
    strong = shifted and one.found
    style = "s0" if strong else "s1"
    return Dot(NAMES.get(one.name, one.name), value, low, high, style, shown, strong, null)


def measure_table(check: JudgeCheckResult) -> Table:
    """Returns a row for each measure."""
    columns = (
        *text_columns("Measure"),
        Column("Value", ("value", "low", "high"), missing="not computable; the meaning says why"),
        Column("Without it", ("null",), missing="there is no such value"),
        Column("Groups", ("n",)),
        *text_columns("Meaning"),
    )
    rows = []
    for one in check.measures:
        cells = (
            Cell(one.name.replace("_", " "), (one.name,)),
            Cell(fixed(one.value, 3), (one.value, one.low, one.high),
                 interval(one.low, one.high, 3)),
            Cell(fixed(one.null, 1), (one.null,)),
            Cell(str(one.n), (one.n,)),
            Cell(one.meaning),
        )  # fmt: skip
        rows.append(TableRow(cells, "best" if one.name in BIASES and one.found else ""))
    caption = "Means over groups; 95% bootstrap intervals over groups."
    return Table("measures", caption, columns, rows)


DEFINITIONS = (
    Definition("accuracy", "Accuracy",
        "The share of pairs of different worth that the judge puts in the right order, over both "
        "orders in which it reads them."),
    Definition("tau", "Agreement",
        "Kendall’s tau-b between two rankings: 1 is the same ranking, 0 is chance, −1 the "
        "reverse."),
    Definition("bias", "Preference",
        "What errors favour: minus the share of chance for the text that stands first; for longer "
        "texts and own texts, errors in favour minus errors against. 0 is a fair judge."),
    Definition("orders", "Orders of a group",
        "How often a group has to be read, in different orders, until the mean ranking has the "
        "wanted reliability (Spearman–Brown)."),
)  # fmt: skip
