"""The page of a diagnosis: its verdict, conditions, agents, and the updates of the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from counterpoint.diagnose import FEWEST_ROLLOUTS, REMEDIES
from counterpoint.diagnose.causes import CAUSE_WORDS
from counterpoint.report.glossary import CONDITIONS
from counterpoint.report.pages.definitions import DIAGNOSIS
from counterpoint.report.toolkit.charts import Chart, Line, panel_chart, style_of
from counterpoint.report.toolkit.frame import Fact, Headline, Page
from counterpoint.report.toolkit.heatmap import CODES, Strip, code_of, columns_of, heat_map
from counterpoint.report.toolkit.numerals import (
    ABSENT,
    counted,
    percent,
    probability,
    significant,
)
from counterpoint.report.toolkit.scales import spans_decades
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Cure,
    Figure,
    Table,
    TableRow,
    text_columns,
)
from counterpoint.results.diagnosis import (
    AgentTimeline,
    ConditionTest,
    Decoupling,
    DiagnosisResult,
    LogFault,
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

NO_CHANCE = "no test is needed: either nothing varies, or the effect is counted in the log"
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
SAME = 1e-9
"""Advantages that differ by less, relative to the largest, differ by rounding."""

MOST = 0.5
"""A healthy headline needs every agent to keep at least this share of its signal."""

CAUSE_NAMES = {**CAUSE_WORDS, "OFFSET": "a baseline offset", "DROWNED": "a variance mismatch"}
"""Each cause in the words of the field, inside of a sentence."""

_FAULTS = {
    "all_missing": "All {count} rewards are missing, so there is nothing to learn from.",
    "constant": "No agent can learn: the reward never varies in this log.",
    "two_runs": "{count} keys occur twice or more: the log holds several runs.",
    "repeated_keys": "{count} keys occur more than once, with different rewards.",
    "too_few": "{count} rollouts with a reward are too few; a verdict needs {fewest}.",
}
"""The headline of each fault that prevents a verdict."""


def diagnosis_page(result: DiagnosisResult) -> Page:
    """Returns the page of a diagnosis."""
    settings = [
        ("source", result.source),
        ("decisions", f"{result.rows:,}"),
        ("updates", f"{result.updates:,}"),
        ("judged under", result.scheme),
        ("error rate", f"{result.decoupling.error_rate:g}"),
        ("version", result.version),
    ]
    counts = ((result.rows, "decision"), (result.updates, "update"), (len(result.agents), "agent"))
    return Page(
        template="diagnosis.html",
        title=f"{result.source}: what is lost in this log, and why?",
        kind="Diagnosis",
        subject=result.source,
        file_name=Path(result.source).stem,
        details=[counted(n, noun) for n, noun in counts],
        verdict=diagnosis_verdict(result),
        definitions=DIAGNOSIS,
        settings=[(name, value) for name, value in settings if value],
        picture="causes",
        contents={
            "conditions": condition_table(result),
            "tests": test_table(result),
            "agents": health_table(result),
            "groupings": grouping_table(result),
            "faults": [fault.sentence for fault in result.log_faults],
            "timeline": timeline_figure(result),
            "causes": causes_figure(result),
            "cures": diagnosis_cures(result),
            "scheme": result.scheme,
            "recommended": result.recommended,
        },
    )


def diagnosis_cures(result: DiagnosisResult) -> list[Cure]:
    """Returns each cause with the agents that it affects, the evidence, and its remedy."""
    listed = []
    for cause in dict.fromkeys(agent.cause for agent in result.agents.values() if agent.cause):
        sick = {name: agent for name, agent in result.agents.items() if agent.cause == cause}
        remedy = next((a.remedy for a in sick.values() if a.remedy), REMEDIES.get(cause, ""))
        struck = tuple(f"{name}: {a.evidence}" if a.evidence else name for name, a in sick.items())
        listed.append(Cure(code_of(cause), remedy, struck))
    return listed


def diagnosis_verdict(result: DiagnosisResult) -> Headline:
    """Returns what is wrong with the log or its agents, why, and what to use."""
    decoupling = result.decoupling
    sick = [agent.cause for agent in result.agents.values() if agent.cause]
    named = ", ".join([*dict.fromkeys(sick), f"judged under {result.scheme}"])
    blocked = ", ".join(decoupling.not_readable)
    changes = f"Decoupling changes advantages by up to {significant(decoupling.max_difference)}."
    facts = (
        Fact("Agents with a cause", f"{len(sick)} of {len(result.agents)}", named),
        _kept_fact(result),
        Fact("Conditions detected", ", ".join(decoupling.conditions) or "none",
             f"of C1 to C6 at an error rate of {percent(decoupling.error_rate)}",
             f"{blocked} cannot be read from rewards. {changes}" if blocked else changes),
    )  # fmt: skip
    return Headline(diagnosis_headline(result), result.why, facts)


def diagnosis_headline(result: DiagnosisResult) -> str:
    """Returns one sentence of at most 15 words."""
    if result.decoupling.verdict == "cannot tell":
        return _of_fault(next((f for f in result.log_faults if f.code in _FAULTS), None))
    use = f"use {result.recommended}" if result.recommended else ""
    constant = [f.agent for f in result.log_faults if f.code == "agent_constant" and f.agent]
    sick = {
        name: agent.cause
        for name, agent in result.agents.items()
        if agent.cause and name not in constant
    }
    if constant:
        text = f"The reward of {len(constant)} of {len(result.agents)} agents never varies"
        return f"{text}; for the others {use}." if use else f"{text}; no scheme helps."
    if sick:
        return _of_causes(sick, len(result.agents), use)
    if use:
        return _of_groupings(result)
    return _of_health(result)


def _of_fault(fault: LogFault | None) -> str:
    if fault is None:
        return "This log does not allow a verdict."
    text = _FAULTS[fault.code].format(count=f"{fault.count:,}", fewest=FEWEST_ROLLOUTS)
    if fault.count == 1:
        text = text.replace("1 rollouts with a reward are", "1 rollout with a reward is")
        text = text.replace("1 keys occur", "1 key occurs")
    return text


def _of_causes(sick: dict[str, str], agents: int, use: str) -> str:
    """Returns `2 of 4 agents lose signal to a variance mismatch (DROWNED); use mappo_per_agent.`"""
    codes = list(dict.fromkeys(sick.values()))
    who = f"{len(sick)} of {agents} agents" if agents > 1 else "The agent"
    lose = "loses" if len(sick) == 1 else "lose"
    what = f"signal ({', '.join(codes)})"
    if len(codes) == 1:
        what = f"signal to {CAUSE_NAMES.get(codes[0], codes[0].lower())} ({codes[0]})"
    return f"{who} {lose} {what}; {use or 'no scheme is better'}."


def _of_groupings(result: DiagnosisResult) -> str:
    """Returns `mappo_pooled keeps 0.64 of the signal where grpo keeps 1.00; use grpo.`

    Beside a no-op: `Splitting by prompt helps, splitting by agent does not: use grpo (kept ...).`
    """
    advice = result.recommendation
    advised, change = ({}, "") if advice is None else (advice.signal_kept, advice.change)
    kept = [(agent.signal_kept, advised.get(name)) for name, agent in result.agents.items()]
    known = [(new - old, old, new) for old, new in kept if old is not None and new is not None]
    if not known:
        return f"Another scheme keeps more of the signal; use {result.recommended}."
    _, old, new = max(known)
    regroups = bool(change) and not change.endswith((" by agent", " and agent"))
    if result.decoupling.verdict == "no-op" and regroups and len(result.agents) > 1:
        return (
            f"{change.capitalize()} helps, splitting by agent does not: use "
            f"{result.recommended} (kept {old:.2f} to {new:.2f})."
        )
    return (
        f"{result.scheme} keeps {old:.2f} of the signal where {result.recommended} keeps "
        f"{new:.2f}; use {result.recommended}."
    )


def _of_health(result: DiagnosisResult) -> str:
    keep = f"; keep {result.scheme}"
    kept = [agent.signal_kept for agent in result.agents.values()]
    least = min((share for share in kept if share is not None), default=1.0)
    if least < MOST:
        owner = "an agent's" if len(result.agents) > 1 else "the agent's"
        return f"No cause is named, but {result.scheme} keeps only {least:.2f} of {owner} signal."
    if len(result.agents) < 2:
        return f"The agent loses no signal to its statistics{keep}."
    if result.decoupling.verdict != "no-op":
        first, *others = result.decoupling.conditions or ["no condition"]
        codes = (
            f"{first} and {len(others)} more" if len(others) > 2 else ", ".join((first, *others))
        )
        return f"Decoupling can matter ({codes}), but no agent loses its signal{keep}."
    if result.decoupling.max_difference <= SAME:
        return f"Decoupling by agent changes nothing here, and no agent loses its signal{keep}."
    return f"No agent loses its signal, and no reason for decoupling was detected{keep}."


def _kept_fact(result: DiagnosisResult) -> Fact:
    """Returns the agent that keeps least of its signal, and its share under the advice."""
    title = "Least signal kept"
    kept = {name: agent.signal_kept for name, agent in result.agents.items()}
    known = {name: value for name, value in kept.items() if value is not None}
    if not known:
        return Fact(title, ABSENT, "not computable from this log")
    name = min(known, key=lambda a: known[a])
    advice = result.recommendation
    new = None if advice is None else advice.signal_kept[name]
    note = "" if advice is None or new is None else f"{new:.2f} under {advice.scheme}."
    return Fact(title, f"{known[name]:.2f}", f"by {name}; a bound from rewards alone", note)


def condition_table(result: DiagnosisResult) -> Table:
    """Returns one row for each condition: whether it is detected, or why it is not readable."""
    columns = (
        Column("Condition", ("condition", "meaning"), numeric=False, define="conditions"),
        Column("Found", ("detected",), numeric=False),
        Column("Smallest q", ("q",), missing=NO_CHANCE),
        Column("its p", ("p",), missing=NO_CHANCE),
        Column("its effect", ("effect",), missing="nothing varies that could be tested"),
        *text_columns("Agent"),
    )
    decoupling = result.decoupling
    tested = {t.condition for t in decoupling.tests}
    unknown = sorted((tested | set(decoupling.conditions)) - set(CONDITIONS))
    rows = [_condition_row(decoupling, name) for name in (*CONDITIONS, *unknown)]
    caption = (
        f"When decoupling by agent can matter at an error rate of {percent(decoupling.error_rate)}."
        " Of several tests of one condition the one with the smallest q is shown."
    )
    return Table("conditions", caption, columns, rows)


def _condition_row(decoupling: Decoupling, name: str) -> TableRow:
    meaning = CONDITIONS.get(name, "")
    head = Cell(name, (name, meaning), meaning)
    tests = [t for t in decoupling.tests if t.condition == name]
    if name in decoupling.not_readable:
        reason = decoupling.not_readable[name]
        return TableRow((head, Cell("not readable", below=reason), *[Cell("")] * 4), "quiet")
    holds = name in decoupling.conditions or any(t.detected for t in tests)
    best = min(tests, key=_strength, default=ConditionTest(condition=name))
    cells = (
        Cell("", ("found",), mark="found") if holds else Cell("not found"),
        Cell(probability(best.q), (best.q,)),
        Cell(probability(best.p), (best.p,)),
        Cell(significant(best.effect), (best.effect,)),
        Cell(best.agent or ""),
    )
    return TableRow((head, *cells), "best" if holds else "")


def _strength(test: ConditionTest) -> tuple[float, float, float]:
    """Sorts the most telling test first: smallest q, then smallest p, then largest effect."""
    q, p = (1.0 if v is None else v for v in (test.q, test.p))
    return q, p, -abs(test.effect or 0.0)


def test_table(result: DiagnosisResult) -> Table | None:
    """Returns every test that was made; None if there was none."""
    if not result.decoupling.tests:
        return None
    columns = (
        *text_columns("Condition", "Agent"),
        Column("p", missing=NO_CHANCE),
        Column("q", missing=NO_CHANCE),
        Column("Effect", missing="not computed"),
        Column("Shuffled", ("level",), numeric=False),
        Column("Shown by", ("about", "label"), numeric=False),
        *text_columns("Detected"),
    )
    rows = []
    for test in result.decoupling.tests:
        shown_by = (test.about, test.label)
        cells = (
            Cell(test.condition),
            Cell(test.agent or "all", (test.agent or "",)),
            Cell(probability(test.p), (test.p,)),
            Cell(probability(test.q), (test.q,)),
            Cell(significant(test.effect), (test.effect,)),
            Cell(test.level),
            Cell(", ".join(part for part in shown_by if part), shown_by),
            Cell("yes" if test.detected else "no"),
        )
        rows.append(TableRow(cells, "best" if test.detected else ""))
    caption = "Every test. q is p corrected for the number of tests."
    return Table("tests", caption, columns, rows)


def health_table(result: DiagnosisResult, measures: Sequence[str] = tuple(HEADS)) -> Table:
    """Returns one row an agent: its cause and the numbers behind it.

    Args:
        result: the diagnosis.
        measures: the numbers to show, of `HEADS`.
    """
    missing = "cannot be computed from this log"
    defined = {"mean": "reward", "deviation": "reward"}
    columns = (
        *text_columns("Agent"),
        Column("Cause", ("cause", "evidence", "remedy"), numeric=False, define="cause"),
        *(Column(HEADS[k], (k,), define=defined.get(k, k), missing=missing) for k in measures),
    )
    rows = []
    for name, agent in result.agents.items():
        exact = (agent.cause or "", agent.evidence, agent.remedy or "")
        codes = (code_of(agent.cause),) if agent.cause else ()
        values: list[float | None] = [getattr(agent, measure) for measure in measures]
        numbers = (Cell(significant(value), (value,)) for value in values)
        cause = Cell("" if agent.cause else "none", exact, codes=codes)
        rows.append(TableRow((Cell(name), cause, *numbers)))
    caption = f"Over all updates of the log. Causes are judged under {result.scheme}."
    return Table("agents", caption, columns, rows)


def grouping_table(result: DiagnosisResult) -> Table | None:
    """Returns one row an agent: what each grouping of the statistics keeps of its signal."""
    if not result.groupings:
        return None
    columns = (
        *text_columns("Agent"),
        *(Column(name.capitalize(), (name,), define="signal_kept", missing="no signal to keep")
          for name in result.groupings),
    )  # fmt: skip
    rows = []
    for name in result.agents:
        values = [kept.signal_kept[name] for kept in result.groupings.values()]
        rows.append(
            TableRow((Cell(name), *(Cell(significant(value), (value,)) for value in values)))
        )
    best = f" Over all agents, {result.best_grouping} keeps most." if result.best_grouping else ""
    caption = (
        "Share of each agent’s signal that its advantages keep at most, with the mean and the "
        f"deviation of these groups.{best}"
    )
    return Table("groupings", caption, columns, rows)


def timeline_figure(result: DiagnosisResult) -> Figure | None:
    """Returns each measure over the steps, one line an agent; None if the log is one batch."""
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
        caption="One line for each agent, over the updates of the log."
        + (f" Logarithmic axis: {log}." if log else ""),
        header=("agent", "step", *TIMELINE, "cause"),
        rows=[
            (name, step, *(_column(agents[name], m)[i] for m in TIMELINE), agents[name].cause[i])
            for name in names
            for i, step in enumerate(steps)
        ],
        panels=[panel_chart(c) for c in drawn],
        keys=[(style_of(i % LINES), name) for i, name in enumerate(names)],
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


def causes_figure(result: DiagnosisResult) -> Figure | None:
    """Returns the cause of each agent at each step; None if no cause was named at any step."""
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
        caption=f"The cause named for each agent at each update; blank means no cause.{joined}",
        header=("agent", "step", "cause"),
        rows=[
            (name, step, cause)
            for name, column in causes.items()
            for step, cause in zip(steps, column, strict=True)
        ],
        panels=(heat_map("causes-map", "Causes over updates", "update", steps, strips),),
        codes=[code_of(cause) for cause in known],
    )
