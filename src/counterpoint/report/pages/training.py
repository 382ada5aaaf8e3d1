"""The page of one training: its progress, its curve, the agents that the scheme collapses, its
numbers."""

from __future__ import annotations

from collections.abc import Sequence

from counterpoint.diagnose import REMEDIES
from counterpoint.report.pages.answers import answer_figure, answer_table, is_of_answers
from counterpoint.report.pages.competition import (
    EVEN,
    competition_facts,
    competition_verdict,
    rating_table,
    record_table,
    side_figure,
)
from counterpoint.report.pages.definitions import training_definitions
from counterpoint.report.pages.messages import (
    BITS,
    messages_fact,
    messages_sentence,
    messages_table,
    talk_figure,
    talking,
)
from counterpoint.report.toolkit.charts import (
    Chart,
    Line,
    last,
    narrow_chart,
    panel_chart,
    style_of,
    wide_chart,
)
from counterpoint.report.toolkit.frame import Fact, Headline, Page, flatten, setting_rows
from counterpoint.report.toolkit.heatmap import CODES, Strip, code_of, heat_map
from counterpoint.report.toolkit.numerals import ABSENT, fixed, percent, significant, with_article
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Cure,
    Exact,
    Figure,
    Table,
    TableRow,
    text_columns,
)
from counterpoint.results.competition import SIDE_RETURN
from counterpoint.results.training import (
    AgentSeries,
    Series,
    Talk,
    TrainingResult,
    cut_off_sentence,
    server_sentence,
)
from counterpoint.runs.status import learns_values

NAMELESS = ("c-none", "", "no cause named")
UNMEASURED = "not measured, or undefined"
SMOOTHED = 20
"""Two limits on the updates over which the second line of the learning curve is averaged: the
updates that were made, divided by the first number, and the second number itself."""
UNITS = {"step": "steps played, all copies together", "update": "update"}
"""The labels of x axes."""
HEADS = {
    "signal_kept": "Signal kept",
    "task_noise": "Task noise",
    "snr": "Signal to noise",
    "cosine": "Cosine",
    "share": "Share of gradient",
    "entropy": "Entropy (nats)",
    "inflation": "Inflation",
    "signal_share": "Signal share",
    "dead_rate": "Dead rate",
    "participation": "Participation",
    "credit_correlation": "Credit",
}
DEFINED = {"credit_correlation": "credit", "signal_kept": "kept", "task_noise": "noise"}
"""Measures whose definition has another key."""
PANELS = {
    "entropy": ("Entropy", "nats a decision"),
    "density_entropy": ("Entropy of numbers", "nats, of a density"),
    "paid": ("Paid", "mean of the decisions’ rewards"),
    "kl": ("Change of the policy", "KL of an update (nats)"),
    "clipped": ("Clipped", "share of decisions"),
    "clipped_inputs": ("Clipped inputs", "numbers beyond 10 deviations"),
    "value_loss": ("Error of the critics", "in units of the returns' variance"),
    "td_loss": ("Error of the values", "squared, in units of the returns' variance"),
    "value": ("Predicted value", "discounted reward, of actions in the replay"),
    "epsilon": ("Random actions", "share of decisions"),
}
LENGTH = "gradient."
"""The prefix of the names of adapters' gradient lengths."""
UNDRAWN = ("step", "return", "policy_loss", "greedy_return", *BITS)
"""Curves without a panel of losses."""
FIRST_VERDICT = 10
"""Measurements that together give the first verdict on collapse."""


def training_page(run: TrainingResult) -> Page:
    """Returns the page of a training, as far as it has come."""
    world, scheme, talk = run.world or "", run.scheme or "", run.talk
    competition = run.competition
    seed = "" if run.seed is None else f"seed {run.seed}"
    settings = {n: v for n, v in flatten(run.config).items() if v and v != "null"}
    reason = talk.words_reason if talk else None
    return Page(
        template="training.html",
        title=f"{scheme} on {world}: a training",
        kind="Training",
        subject=world,
        details=[d for d in (scheme, seed, run.status) if d],
        verdict=training_verdict(run),
        definitions=training_definitions(spoken=talk is not None, sides=competition is not None),
        settings=setting_rows({**settings, "version": run.version}),
        picture="curve",
        contents={
            "curve": curve_figure(run),
            "messages": messages_table(run.messages) if run.messages else None,
            "talking": talking(run),
            "talk_curve": talk_figure(run),
            "no_words": f"There is no table of words: {reason or 'none was chosen'}."
            if talk
            else None,
            "said": said_table(talk) if talk else None,
            "words": words_table(talk) if talk else None,
            "games": record_table(competition) if competition else None,
            "ratings": rating_table(competition) if competition else None,
            "sides": side_figure(run),
            "unrated": "The team is rated at the end of its training." if competition else None,
            "collapse": collapse_figure(run),
            "unmeasured": f"The agents are {without_advantages(run)}."
            if learns_values(run.config)
            else None,
            "agents": agent_table(run) if run.agents else None,
            "answers": answer_table(run),
            "cut_off": " ".join(
                filter(None, (cut_off_sentence(run.curve), server_sentence(run.curve)))
            ),
            "answer_curves": answer_figure(run),
            "losses": loss_figure(run),
            "cures": training_cures(run),
        },
    )


def training_verdict(run: TrainingResult) -> Headline:
    """Returns the return of the team, its progress, and the number of collapsed agents."""
    returned = column(run, "return")
    level = run.returned
    if level is None:
        level = last(smoothed(returned, window_of(returned)))
    returns = f"returns {significant(level, 4)}" if level is not None else "has no return yet"
    done = f"after {run.step:,} {run.axis}s"
    going = run.status != "finished" and run.budget is not None
    of = f" of {run.budget:,}" if going else ""
    if run.status != "finished":
        so_far = "so far" if level is not None else ""
        stopped = "" if run.status == "running" else f"{run.status} at "
        done = f"{so_far} ({stopped}{run.step:,}{of} {run.axis}s)".strip()
    sentence = f"Under {run.scheme or 'its scheme'} the team {returns} {done}."
    how = "fresh episodes of the trained team" if run.returned is not None else "latest batches"
    if run.evaluated is not None:
        how = f"fresh episodes{run.of_tasks}"
    score = f"normalized {fixed(run.normalized, 3)}" if run.normalized is not None else how
    pace = ""
    if run.seconds and run.step:
        speed = run.step / run.seconds
        slow = f"{significant(1 / speed)} seconds {with_article(run.axis)}"
        pace = f"{speed:,.0f} {run.axis}s a second" if speed >= 1 else slow
    why = talking(run)
    steps = Fact(f"{run.axis.capitalize()}s", f"{run.step:,}", f"{run.status}{of}", pace)
    facts: tuple[Fact, ...] = (
        Fact("Return", significant(level, 4), score, how if score != how else ""),
        steps if run.messages is None else messages_fact(run.messages),
        collapsed_fact(run),
    )
    if run.messages is not None and run.messages.verdict != "talks":
        sentence = f"{sentence} {messages_sentence(run.messages).partition(':')[0]}."
    if run.competition and run.competition.records:
        sentence, why = competition_verdict(run.competition)
        why = f"{why} It played {run.step:,} {run.axis}s.".strip()
        facts = (*competition_facts(run.competition), facts[-1])
    return Headline(sentence, why, facts)


def without_advantages(run: TrainingResult) -> str:
    """Returns why nothing is measured of the agents of a team that learns action values."""
    return f"not measured: {run.scheme} learns values, and has no advantages"


def collapsed_fact(run: TrainingResult) -> Fact:
    """Returns how many agents are collapsed at the last measurement, and which, from what cause."""
    title = "Collapsed"
    if learns_values(run.config):
        return Fact(title, ABSENT, without_advantages(run))
    now = {name: present_state(agent) for name, agent in run.agents.items()}
    known = [state for state, _ in now.values() if state is not None]
    if not known:
        return Fact(title, ABSENT, "too few measurements for a verdict")
    who = [f"{n} ({cause})" if cause else n for n, (state, cause) in now.items() if state]
    names = ", ".join(who) or "none at the last measurement"
    return Fact(title, f"{sum(known)} of {len(now)} agents", names)


def column(run: TrainingResult, name: str) -> Series:
    """Returns [U] one curve of the run."""
    return run.curve.get(name) or [None] * len(run.curve["step"])


def verdicts(agent: AgentSeries) -> Series:
    """Returns [T] 1 if the scheme collapses the agent, else 0; None before there is a verdict."""
    states = [None if state is None else float(state) for state in agent.collapsed]
    unknown = FIRST_VERDICT - 1  # a signal-to-noise ratio of fewer measurements says little
    return [states[i] if unknown <= i < len(states) else None for i in range(len(agent.step))]


def causes(agent: AgentSeries) -> list[str | None]:
    """Returns [T] what explains the collapse."""
    return agent.cause or [None] * len(agent.step)


def present_state(agent: AgentSeries) -> tuple[bool | None, str | None]:
    """Returns whether the agent is collapsed at the last measurement, and why."""
    states = verdicts(agent)
    if not states or states[-1] is None:
        return None, None
    return bool(states[-1]), causes(agent)[-1] if states[-1] else None


def window_of(values: Series) -> int:
    """Returns the number of updates over which the second line is averaged."""
    return max(1, min(SMOOTHED, len(values) // SMOOTHED))


def smoothed(values: Series, window: int) -> Series:
    """Returns the mean of the last known values up to each place; None before there is one."""
    out: Series = []
    for i in range(len(values)):
        known = [v for v in values[max(0, i + 1 - window) : i + 1] if v is not None]
        out.append(sum(known) / len(known) if known else None)
    return out


def curve_figure(run: TrainingResult) -> Figure:
    """Returns the picture of the return of each batch, and of the mean of the last batches."""
    steps, returned = run.curve["step"], column(run, "return")
    window = window_of(returned)
    mean = smoothed(returned, window)
    lines = [Line("each batch", steps, returned, style_of(5))]
    if window > 1:
        title = f"mean of {window} updates"
        lines.append(Line(title, steps, mean, style_of(0), strong=True))
    greedy = column(run, "greedy_return")
    at = [i for i, value in enumerate(greedy) if value is not None]
    if at:
        points = [steps[i] for i in at], [greedy[i] for i in at]
        lines.append(Line("greedy actions", *points, style_of(2)))
    named: tuple[tuple[str, float | None], ...] = (
        ("reference team", run.references.reference),
        ("without talk", run.references.silent),
        ("random", run.references.random),
    )
    what, unit = "team return", "team return (unit of the world)"
    if run.competition is not None:
        what = unit = "points against random actions"
        named = (("as good as random", EVEN),)
    chart = Chart(
        key="curve",
        title=f"Learning curve: {what} over {run.axis}s",
        description=f"The return ends at {significant(last(mean), 4)}.",
        x_title=UNITS[run.axis],
        y_title=unit,
        lines=tuple(lines),
        references=tuple((name, value) for name, value in named if value is not None),
    )
    columns: list[Series] = [steps, returned, mean]
    header: tuple[str, ...] = (run.axis, "return", "smoothed")
    caption = "Mean team return of the episodes that ended in each batch, while it learned."
    if run.evaluated is not None and run.evaluated.held_out:
        caption += (
            f" Batches play training tasks; the return at the end is that of "
            f"{run.evaluated.in_words}."
        )
    if run.competition is not None:
        caption = (
            "Always the same starts, on each side; where nothing stands, no games were played."
        )
    if at:
        columns, header = [*columns, greedy], (*header, "greedy")
        caption += " Greedy actions are evaluated in the same few episodes each time."
    rows: list[Sequence[Exact]] = list(zip(*columns, strict=True))
    return Figure(
        key="curve",
        caption=caption,
        header=header,
        rows=rows,
        wide=wide_chart(chart),
        narrow=narrow_chart(chart),
    )


def collapse_figure(run: TrainingResult) -> Figure | None:
    """Returns a map of agent by measured update; None if there is no verdict."""
    strips = [Strip(name, verdicts(a), causes(a)) for name, a in run.agents.items()]
    steps = next((a.step for a in run.agents.values()), [])
    known = [step for step in steps if step is not None]
    if not known or all(share is None for strip in strips for share in strip.shares):
        return None
    seen = {cause for strip in strips for cause in strip.causes if cause}
    rows: list[Sequence[Exact]] = []
    for strip in strips:
        columns = zip(steps, strip.shares, strip.causes, strict=True)
        rows += [(strip.agent, *values) for values in columns]
    return Figure(
        key="collapse",
        caption="Which agents the scheme collapses at which measured update, and why. The first "
        "ten measurements together give the first verdict.",
        header=("agent", run.axis, "collapsed", "cause"),
        rows=rows,
        panels=(heat_map("map", f"Agent by {run.axis}", run.axis, known, strips),),
        codes=(*(code_of(cause) for cause in CODES if cause in seen), NAMELESS),
    )


def agent_table(run: TrainingResult) -> Table:
    """Returns one row for each agent: whether the scheme collapses it, and its last numbers."""
    shown = [
        measure
        for measure in HEADS
        if any(last(getattr(agent, measure)) is not None for agent in run.agents.values())
    ]
    columns = (
        *text_columns("Agent"),
        Column("Collapsed now", ("collapsed",), define="collapsed",
               missing="too few measurements for a verdict"),
        Column("Cause now", ("cause",), numeric=False, define="cause"),
        *(Column(HEADS[m], (m,), define=DEFINED.get(m, m), missing=UNMEASURED) for m in shown),
    )  # fmt: skip
    rows = []
    for name, agent in run.agents.items():
        state, cause = present_state(agent)
        codes = (code_of(cause),) if cause else ()
        now = ABSENT if state is None else "none"
        numbers = [last(getattr(agent, measure)) for measure in shown]
        collapsed = Cell("yes" if state else "no", (float(state),)) if state is not None else None
        rows.append(TableRow((
            Cell(name),
            collapsed or Cell(ABSENT, (None,)),
            Cell("" if codes else now, (cause or now,), codes=codes),
            *(Cell(significant(value), (value,)) for value in numbers),
        )))  # fmt: skip
    caption = "The last numbers; signal kept and task noise cover the last ten measurements."
    return Table("agents", caption, columns, rows)


def loss_figure(run: TrainingResult) -> Figure | None:
    """Returns a panel for each measure of the updates; None before the first update."""
    steps = run.curve["step"]
    if not steps:
        return None
    losses = {
        name: values
        for name, values in run.curve.items()
        if name not in UNDRAWN and not name.startswith(SIDE_RETURN) and not is_of_answers(name)
    }
    panels = []
    for i, (name, values) in enumerate(losses.items()):
        gradient = f"Gradient of {name.removeprefix(LENGTH)}", "length, before it is clipped"
        heading, unit = gradient if name.startswith(LENGTH) else PANELS.get(name, (name, ""))
        chart = Chart(
            key=f"loss-{i}",
            title=f"{heading} over {run.axis}s",
            description=f"It ends at {significant(last(values))}.",
            x_title=run.axis,
            y_title=unit,
            lines=(Line(heading, steps, values, style_of(0)),),
            heading=heading,
        )
        panels.append(panel_chart(chart))
    return Figure(
        key="losses",
        caption="One value for each update."
        if run.talk
        else "Means over the passes of each update.",
        header=(run.axis, *losses),
        rows=list(zip(steps, *losses.values(), strict=True)),
        panels=panels,
    )


def training_cures(run: TrainingResult) -> list[Cure]:
    """Returns each cause at the last measurement, the agents that it affects, and its remedy."""
    struck: dict[str, list[str]] = {}
    for name, agent in run.agents.items():
        _, cause = present_state(agent)
        if cause:
            struck.setdefault(cause, []).append(name)
    return [Cure(code_of(c), REMEDIES.get(c, ""), tuple(who)) for c, who in struck.items()]


def said_table(talk: Talk) -> Table | None:
    """Returns the commonest episodes of the first, a middle and the last update."""
    columns = (
        *text_columns("Update", "Task"),
        Column("Messages of the episode", ("said",), numeric=False),
        Column("Episodes", ("episodes", "of")),
        Column("Success"),
    )
    rows = []
    for moment in talk.moments:
        for i, sample in enumerate(moment.shown):
            of = "" if sample.of is None else f" of {fixed(sample.of, 0)}"
            lines = tuple(
                f"{event.agent}{f' to {event.to}' if event.to else ''}: {event.text}"
                for event in sample.events
            )
            rows.append(TableRow((
                Cell("" if i else fixed(moment.update, 0), (moment.update,)),
                Cell(sample.task),
                Cell("", (" | ".join(lines),), lines=lines or ("nothing",)),
                Cell(f"{fixed(sample.count, 0)}{of}", (sample.count, sample.of)),
                Cell(significant(sample.success), (sample.success,)),
            )))  # fmt: skip
    caption = (
        "The most common courses of episodes of a few tasks, in the first, a middle and the last "
        "update. The column of episodes counts those with this course among the episodes of the "
        "same task in the same update."
    )
    return Table("said", caption, columns, rows) if rows else None


def words_table(talk: Talk) -> Table | None:
    """Returns one row for each agent and prompt: its word, and the share of that word; None without
    any."""
    columns = (
        *text_columns("Agent"),
        Column("Prompt", ("shown",), numeric=False),
        Column("Says", ("word",), numeric=False),
        Column("Share"),
        Column("Times"),
        Column("Otherwise", ("others",), numeric=False),
    )
    rows = []
    for counts in [counts for counts in talk.words if counts.said]:
        (word, count), *rest = sorted(counts.said.items(), key=lambda pair: -pair[1])
        times = sum(counts.said.values())
        share = count / times if times else None
        rows.append(TableRow((
            Cell(counts.agent),
            Cell(counts.shown),
            Cell(word),
            Cell(percent(share), (share,)),
            Cell(fixed(times, 0), (times,)),
            Cell(", ".join(f"{other} {fixed(number, 0)}" for other, number in rest)),
        )))  # fmt: skip
    caption = "The sampled answers of agents to each of their prompts in the last update."
    return Table("words", caption, columns, rows) if rows else None
