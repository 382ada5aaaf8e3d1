"""The page of a search over settings: what the best are worth on fresh seeds, and every trial."""

from __future__ import annotations

import math
from collections.abc import Sequence

from counterpoint.report.toolkit.charts import (
    Chart,
    Line,
    narrow_chart,
    panel_chart,
    style_of,
    wide_chart,
)
from counterpoint.report.toolkit.frame import (
    Definition,
    Fact,
    Headline,
    Page,
    setting_rows,
    written,
)
from counterpoint.report.toolkit.numerals import ABSENT, counted, estimate_of, fixed, interval
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Exact,
    Figure,
    Table,
    TableRow,
    ends_cell,
    text_columns,
)
from counterpoint.results.comparison import PairedDifference
from counterpoint.results.parts import SeedMean
from counterpoint.results.sweep import Dimension, SweepArm, SweepResult, Trial

WORDS = {
    "better": "better", "worse": "worse", "unclear": "cannot tell", "same": "the same",
}  # fmt: skip
"""Standing to its words."""


def sweep_page(sweep: SweepResult) -> Page:
    """Returns the page of a search."""
    over = {one.name: range_text(one) for one in sweep.over}
    settings = {
        **sweep.config, "over": [f"{name}={text}" for name, text in over.items()],
        "arms": list(sweep.arms), "trials": sweep.trials, "seeds": sweep.seeds,
        "fresh seeds": sweep.fresh, "sampler": sweep.sampler, "budget": sweep.budget,
    }  # fmt: skip
    return Page(
        template="sweep.html",
        title=f"{sweep.world}: a search over settings",
        kind="Sweep",
        subject=sweep.world,
        details=[
            counted(len(sweep.arms), "arm"),
            f"{counted(sweep.trials, 'trial')} each",
            counted(sweep.budget, sweep.axis),
        ],
        verdict=sweep_verdict(sweep),
        definitions=DEFINITIONS,
        settings=setting_rows(settings),
        picture="best",
        contents={
            "best": _best_so_far(sweep),
            "arms": arm_table(sweep),
            "panels": _panels(sweep),
            "trials": trial_table(sweep),
        },
    )


def sweep_headline(sweep: SweepResult) -> str:
    """Returns what the fresh seeds show, in at most 15 words."""
    first, *others = sweep.arms
    if not others:
        return {
            "better": "The best settings are better than the default settings on fresh seeds.",
            "worse": "The default settings are better than those that the search chose.",
            "same": "The best settings and the default settings score the same.",
            "unclear": "Fresh seeds cannot tell whether the best settings beat the defaults.",
        }[sweep.gained(first)]
    if sweep.chosen:
        return f"With its best settings {sweep.chosen} is better than {first} with its own."
    return f"Fresh seeds show no arm that beats {first}, each with its best settings."


def sweep_verdict(sweep: SweepResult) -> Headline:
    """Returns the comparison on fresh seeds, and how optimistic the search itself was."""
    name = sweep.chosen or next(iter(sweep.arms))
    arm = sweep.arms[name]
    won = arm.won
    facts = [
        Fact(f"Best settings of {name}", settings_text(won) if won else ABSENT,
             _interval_words(arm.best_return), arm.reason),
        Fact("Best minus default settings", *_difference_words(arm.gain),
             f"On fresh seeds: {WORDS[sweep.gained(name)]}."),
        Fact("Its score in the search", fixed(won.score if won else None, 3),
             f"the best of {counted(scored(arm), 'trial')}",
             "Optimistic: it was chosen for being high."),
    ]  # fmt: skip
    failed = sum(t.score is None for each in sweep.arms.values() for t in each.trials)
    why = (
        f"Arms: {len(sweep.arms)}, each with {counted(sweep.trials, 'trial')} of "
        f"{counted(sweep.seeds, 'seed')}, {counted(sweep.budget, sweep.axis)} a training. The best "
        f"settings and the default settings were trained again with {sweep.fresh} seeds that the "
        f"search had not used; only these are compared, at level {sweep.level:.2g}."
    )
    if failed:
        why += f" Without a score, since a training failed: {counted(failed, 'trial')}."
    return Headline(sweep_headline(sweep), why, tuple(facts))


def scored(arm: SweepArm) -> int:
    """Returns the number of trials with a score."""
    return sum(trial.score is not None for trial in arm.trials)


def settings_text(trial: Trial) -> str:
    """Returns the settings of a trial as a command line has them."""
    return " ".join(f"{name}={written(value)}" for name, value in trial.settings.items())


def range_text(one: Dimension) -> str:
    """Returns what is searched, as the command line has it."""
    if one.values:
        return ",".join(one.values)
    return f"{written(one.low)}..{written(one.high)}" + (":log" if one.log else "")


def _interval_words(mean: SeedMean | None) -> str:
    if mean is None:
        return "not trained again"
    return f"return {estimate_of(mean).shown(3)} on fresh seeds"


def _difference_words(gain: PairedDifference | None) -> tuple[str, str]:
    if gain is None:
        return ABSENT, "not known"
    return (
        fixed(gain.iqm, 3, signed=True),
        f"95% interval {interval(gain.low, gain.high, 3, signed=True)}",
    )


def _best_so_far(sweep: SweepResult) -> Figure:
    lines, rows = [], list[Sequence[Exact]]()
    for i, (name, arm) in enumerate(sweep.arms.items()):
        best: float | None = None
        curve: list[float | None] = []
        for trial in arm.trials:
            if trial.score is not None and (best is None or trial.score > best):
                best = trial.score
            curve.append(best)
            rows.append((name, trial.number + 1, trial.score, best))
        x = [float(trial.number + 1) for trial in arm.trials]
        lines.append(Line(name, x, curve, style_of(i)))
        marks = [trial.score for trial in arm.trials]
        lines.append(Line("", x, marks, style_of(i), dots=True))
    chart = Chart(
        key="best",
        title="Best so far",
        description=sweep_headline(sweep),
        x_title="trial",
        y_title="mean return of the search seeds",
        lines=tuple(lines),
    )
    return Figure(
        key="best",
        caption="Each dot is a trial; the line is the best so far. Both are optimistic.",
        header=("arm", "trial", "score", "best"),
        rows=rows,
        wide=wide_chart(chart),
        narrow=narrow_chart(chart),
    )


def _panels(sweep: SweepResult) -> Figure:
    """Returns a panel for each setting: the score of every trial against its value."""
    panels, rows = [], list[Sequence[Exact]]()
    known = [t.score for arm in sweep.arms.values() for t in arm.trials if t.score is not None]
    for one in sweep.over:
        lines = []
        for i, (name, arm) in enumerate(sweep.arms.items()):
            trials = [trial for trial in arm.trials if one.name in trial.settings]
            x = [place(one, trial.settings[one.name]) for trial in trials]
            y = [trial.score for trial in trials]
            lines.append(Line(name, x, y, style_of(i), dots=True))
            rows += [
                (name, one.name, trial.number + 1, str(trial.settings[one.name]), trial.score)
                for trial in trials
            ]
        listed = [f"{i + 1} {value}" for i, value in enumerate(one.values)]
        chart = Chart(
            key=f"setting-{one.name}",
            title=f"Score against {one.name}",
            description=f"The score of each trial against {one.name}.",
            x_title=", ".join(listed) or ("log10" if one.log else ""),
            y_title="score",
            lines=tuple(lines),
            heading=one.name,
            fractions=not one.values and not one.whole,
            within=(min(known), max(known)) if known else None,
        )
        panels.append(panel_chart(chart))
    several = len(sweep.arms) > 1
    return Figure(
        key="settings-and-scores",
        caption="The score of each trial against each setting. The other settings differ too.",
        header=("arm", "setting", "trial", "value", "score"),
        rows=rows,
        panels=panels,
        keys=[(style_of(i), name) for i, name in enumerate(sweep.arms)] if several else (),
    )


def place(one: Dimension, value: str | int | float) -> float | None:
    """Returns where a value stands on the axis of its setting: a value of a list by its number."""
    if one.values:
        return float(one.values.index(str(value)) + 1) if str(value) in one.values else None
    number = float(value)
    return math.log10(number) if one.log else number


def arm_table(sweep: SweepResult) -> Table:
    """Returns one row for each arm: its best and its default settings on fresh seeds."""
    several = len(sweep.arms) > 1
    ahead = [Column("Minus the first arm", ("ahead", "low", "high"),
                    missing="this is the first arm, or a training failed")]  # fmt: skip
    columns = (
        *text_columns("Arm", "Best settings"),
        Column("Best, fresh seeds", ("best", "low", "high"), missing="a training failed"),
        Column("Default", ("default", "low", "high"), missing="a training failed"),
        Column("Best minus default", ("gain", "low", "high"), missing="a training failed"),
        *text_columns("Verdict"),
        *(ahead if several else ()),
        Column("In the search", ("searched",)),
    )
    rows = []
    for name, arm in sweep.arms.items():
        won = arm.won
        cells = [
            Cell(name),
            Cell(settings_text(won) if won else ABSENT),
            _mean_cell(arm.best_return),
            _mean_cell(arm.default_return),
            _change_cell(arm.gain),
            Cell(WORDS[sweep.gained(name)] if arm.gain else arm.reason or ABSENT),
            *([_change_cell(arm.ahead)] if several else []),
            Cell(fixed(won.score if won else None, 3), (won.score if won else None,)),
        ]
        rows.append(TableRow(tuple(cells)))
    caption = (
        "Returns are interquartile means over the fresh seeds with 95% intervals; differences are "
        "paired by seed. The search's own score is the mean over its seeds, and optimistic."
    )
    return Table("arms", caption, columns, rows)


def trial_table(sweep: SweepResult) -> Table:
    """Returns one row for each trial, the best first in each arm."""
    names = [one.name for one in sweep.over]
    failed = any(trial.reason for arm in sweep.arms.values() for trial in arm.trials)
    columns = (
        *text_columns("Arm"),
        Column("Trial", ("trial",)),
        *text_columns(*names),
        Column("Score", ("score",), missing="a training failed"),
        *(text_columns("Why it has none") if failed else ()),
    )
    rows = []
    for name, arm in sweep.arms.items():
        for trial in sorted(arm.trials, key=lambda t: -(t.score or 0.0) if t.score else math.inf):
            values = (written(trial.settings.get(one, "")) for one in names)
            cells = (
                Cell(name),
                Cell(str(trial.number + 1), (trial.number + 1,)),
                *map(Cell, values),
                Cell(fixed(trial.score, 3), (trial.score,)),
                *([Cell(trial.reason)] if failed else []),
            )
            won = trial.number == arm.winner
            rows.append(TableRow(cells, tone="best" if won else ""))
    caption = f"Scores are means over {counted(sweep.seeds, 'seed')} of the search."
    return Table("trials", caption, columns, rows, sortable=True)


def _mean_cell(mean: SeedMean | None) -> Cell:
    if mean is None or mean.iqm is None or mean.low is None or mean.high is None:
        return Cell(ABSENT, (None,) * 3)
    return ends_cell(mean.iqm, mean.low, mean.high)


def _change_cell(change: PairedDifference | None) -> Cell:
    if change is None or change.low is None or change.high is None:
        return Cell(ABSENT, (None,) * 3)
    return ends_cell(change.iqm, change.low, change.high, signed=True)


DEFINITIONS = (
    Definition("trial", "Trial",
        "One choice of settings, trained with every seed of the search. Each arm has equally many, "
        "of the same budget."),
    Definition("fresh", "Fresh seeds",
        "Seeds that the search did not use. The best of many trials is too high, since it was "
        "chosen for that; only numbers of fresh seeds are compared."),
    Definition("default", "Default settings",
        "The training with none of the searched settings given."),
)  # fmt: skip
