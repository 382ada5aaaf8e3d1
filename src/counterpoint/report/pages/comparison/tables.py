"""The tables of a comparison: schemes, agents, curves, control, collapse, sources."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import compress, pairwise

from counterpoint.report.pages.comparison.decision_words import reading
from counterpoint.report.pages.definitions import WORDS
from counterpoint.report.toolkit.heatmap import code_of
from counterpoint.report.toolkit.numerals import (
    ABSENT,
    Estimate,
    counted,
    decimals_for,
    estimate_of,
    fixed,
    significant,
)
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Table,
    TableRow,
    estimate_cell,
    text_columns,
)
from counterpoint.results.comparison import AgentResult, ComparisonResult, SchemeResult
from counterpoint.stats.decision import Contrast

MEASURES = ("inflation", "signal_share", "dead_rate", "snr", "credit_correlation")
"""Numbers of an agent that the file has beside those that are shown."""
SAMPLES = 11
"""Rows of the folded table that stands for a curve."""

REASONS = {
    "normalized": "the returns of a random and of a good team are not known here",
    "credit": "agents do not share one reward, or their own rewards are the same",
    "weighted": "this world does not measure it",
    "difference": "the reference itself, or not compared with it",
    "accuracy": "this world has no accuracy",
    "kept": "too little signal, or too few measurements, to say",
    "noise": "too few measurements of gradients",
    "collapsed": "too little signal, or too few measurements, to say",
}


def scheme_table(result: ComparisonResult) -> Table:
    """Returns one row a scheme: returns, difference, worst agent, collapse and causes.

    The worst accuracy is shown in exact worlds alone. The reward-weighted return, the normalized
    return, and the correlation of credit with the agents' own rewards are shown if they were
    measured.
    """
    schemes, sampled = result.schemes.values(), WORDS[result.kind].sampled
    weighted = not sampled or any(s.weighted_return is not None for s in schemes)
    scored = sampled and any(s.normalized is not None for s in schemes)
    credited = any(s.credit_correlation is not None for s in schemes)
    # which of the columns below this kind of world has
    shown = (True, True, scored, weighted, True, not sampled, credited, True, True, True)
    change = f"Return − {result.versus}" if result.versus else "Difference"
    columns = (
        Column("Scheme", ("scheme", "title", "kind"), numeric=False),
        estimates_column("Return", "return", "return"),
        estimates_column("Normalized", "normalized", "normalized"),
        estimates_column("Reward-weighted", "weighted_return", "weighted"),
        estimates_column(change, "difference", "difference"),
        Column("Worst agent", ("worst_accuracy", "worst_agent"), define="accuracy",
               missing=REASONS["accuracy"]),
        estimates_column("Credit", "credit", "credit"),
        Column("Signal kept", ("lowest_signal_kept", "lowest_signal_kept_low",
                               "lowest_signal_kept_high", "lowest_signal_kept_agent"),
               define="kept", missing=REASONS["kept"]),
        Column("Collapsed", ("collapsed_agents",), define="collapsed",
               missing=REASONS["collapsed"]),
        Column("Cause", ("causes",), numeric=False, define="cause"),
    )  # fmt: skip
    places = return_decimals(result)
    rows = [_scheme_row(result, name, scheme, places) for name, scheme in result.ranked.items()]
    for name, value in reference_levels(result).items():
        level = Cell(fixed(value, places), (value, None, None))
        rest = (Cell("", ("",) * n) for n in (3, 3, 3, 2, 3, 4, 1, 1))
        rows.append(TableRow((Cell(name, (name, "", "reference")), level, *rest), "quiet"))
    caption = (
        f"{'Fresh episodes of the trained teams' if sampled else 'After the last update'}. "
        f"{interval_note(result)} "
        f"{'Reward-weighted is the return weighted by the reward paid. ' if weighted else ''}"
        "Signal kept is the lowest of all agents; it does not rank the schemes, their returns do."
    )
    kept = [TableRow(tuple(compress(row.cells, shown)), row.tone) for row in rows]
    return Table("schemes", caption, tuple(compress(columns, shown)), kept)


def return_decimals(result: ComparisonResult) -> int:
    """Returns the decimals of returns and reward-weighted returns, all in one unit."""
    means = [m for s in result.schemes.values() for m in (s.returns, s.weighted_return)]
    return decimals_for(value for mean in means for value in estimate_of(mean).exact)


def reference_levels(result: ComparisonResult) -> dict[str, float]:
    """Returns the returns to compare with by their titles, best first."""
    known = result.references
    random = WORDS[result.kind].random
    levels = {
        "best possible": known.optimal, "reference team": known.reference,
        "without talk": known.silent, random: known.random,
    }  # fmt: skip
    return {title: value for title, value in levels.items() if value is not None}


def seed_count(result: ComparisonResult) -> str:
    """Returns how many seeds there are: `10 seeds`."""
    return counted(len(result.seeds), "seed")


def interval_note(result: ComparisonResult) -> str:
    """Returns the definition of the value and of its interval, for a caption."""
    if len(result.seeds) == 1:
        return "One seed, so there is no interval."
    return f"Interquartile mean over {seed_count(result)} with its 95% bootstrap interval."


def estimates_column(title: str, field: str, define: str) -> Column:
    """Returns a column of numbers with their intervals."""
    fields = tuple(f"{field}_{end}" for end in ("iqm", "low", "high"))
    return Column(title, fields, define=define, missing=REASONS.get(define, "not measured"))


def _scheme_row(result: ComparisonResult, name: str, scheme: SchemeResult, places: int) -> TableRow:
    best = name == result.decision.recommended
    plain = scheme.kind == "scheme" or scheme.kind in scheme.title.lower()
    below = scheme.title if plain else f"{scheme.title} ({scheme.kind})"
    exact = (name, scheme.title, scheme.kind)
    difference = result.differences.get(name)
    change = difference.contrast if difference else Contrast()
    shown = Estimate(change.value, change.low, change.high, scheme.returns.n)
    mark = ""  # `higher`, `lower`, or why the difference is undecided
    if change.value is not None:
        mark = reading(change, result.decision).removeprefix("significantly ").split(",")[0]
    causes = list(dict.fromkeys(a.cause for a in scheme.agents.values() if a.cause))
    cells = (
        Cell(name, exact, below, "use this" if best else ""),
        estimate_cell(estimate_of(scheme.returns), places),
        estimate_cell(estimate_of(scheme.normalized), 3),
        estimate_cell(estimate_of(scheme.weighted_return), places),
        estimate_cell(shown, places, signed=True, mark=mark),
        _worst(scheme.agents),
        estimate_cell(estimate_of(scheme.credit_correlation), 3),
        _lowest_kept(scheme.agents),
        _collapsed(scheme.agents.values()),
        Cell("" if causes else "none", (" ".join(causes),), codes=tuple(map(code_of, causes))),
    )
    return TableRow(cells, "best" if best else "")


def _worst(agents: dict[str, AgentResult]) -> Cell:
    known = {n: a.accuracy for n, a in agents.items() if a.accuracy is not None}
    if not known:
        return Cell(ABSENT, (None, None))
    worst = min(known, key=lambda name: known[name])
    return Cell(fixed(known[worst], 3), (known[worst], worst), worst)


def _lowest_kept(agents: dict[str, AgentResult]) -> Cell:
    kept = {name: estimate_of(agent.signal_kept) for name, agent in agents.items()}
    known = {name: share for name, share in kept.items() if share.value is not None}
    if not known:
        return Cell(ABSENT, (None,) * 4)
    name, least = min(known.items(), key=lambda pair: pair[1].value or 0.0)
    return Cell(least.shown(2), (*least.exact, name), least.bounds(2), name)


def _collapsed(agents: Iterable[AgentResult]) -> Cell:
    every = [a.collapsed for a in agents]
    known = [state for state in every if state is not None]
    if not known:
        return Cell(ABSENT, (None,))
    unknown = len(every) - len(known)
    below = f"{unknown} unknown" if unknown else ""
    return Cell(f"{sum(known)} of {len(every)}", (sum(known),), below)


def agent_table(result: ComparisonResult) -> Table:
    """Returns one row an agent, one column a scheme.

    A cell has the accuracy (if there is one), the signal kept, the task noise and the cause."""
    sampled, ranked = WORDS[result.kind].sampled, result.ranked
    known = () if sampled else ("accuracy", "accuracy_low", "accuracy_high")
    fields = (*known, *PARTS, "cause", "difficulty", *MEASURES)
    missing = REASONS["kept" if sampled else "accuracy"]
    columns = (
        *text_columns("Agent"),
        *(Column(name, tuple(f"{name}.{field}" for field in fields), missing=missing)
          for name in ranked),
    )  # fmt: skip
    rows = []
    for name in result.agents:
        cells = (_agent_cell(scheme.agents[name], sampled) for scheme in ranked.values())
        rows.append(TableRow((Cell(name), *cells)))
    rest = "inflation, signal share, dead rate and gradient signal-to-noise"
    caption = (
        "Accuracy of each agent after the last update; below it its interval, the share of its "
        "signal that the scheme keeps, the share of its gradient that is noise under the best "
        f"statistics, and the cause of a collapse. The file also has {rest}."
    )
    if sampled:
        caption = (
            "The share of each agent's signal that the scheme keeps; below it its interval, the "
            "share of its gradient that is noise under the best statistics, and the cause of a "
            f"collapse. The file also has {rest}, and the correlation of its credit with its own "
            "reward."
        )
    values = ", ".join(name for name, scheme in ranked.items() if learned_values(scheme))
    if values:
        caption += f" Action values have no advantages, so that nothing is measured under {values}."
    return Table("agents", caption, columns, rows)


def learned_values(scheme: SchemeResult) -> bool:
    """Returns whether an arm is an algorithm of whose agents nothing was measured."""
    unknown = all(agent.participation is None for agent in scheme.agents.values())
    return scheme.kind == "algorithm" and unknown


def _agent_cell(agent: AgentResult, sampled: bool) -> Cell:
    codes = tuple(code_of(code) for code in (agent.cause, agent.difficulty) if code)
    share, noisy = estimate_of(agent.signal_kept), estimate_of(agent.task_noise)
    measures = [getattr(agent, name) for name in MEASURES]
    rest = (*share.exact, *noisy.exact, agent.cause, agent.difficulty, *measures)
    noise = f"noise {noisy.shown(2)}" if noisy.value is not None else ""
    if sampled:
        return Cell(share.shown(2), rest, share.bounds(2), noise, codes)
    kept = f"kept {share.shown(2)}" if share.value is not None else ""
    accuracy = Estimate(agent.accuracy, agent.accuracy_low, agent.accuracy_high)
    mark = ", ".join(part for part in (kept, noise) if part)
    return Cell(accuracy.shown(3), (*accuracy.exact, *rest), accuracy.bounds(3), mark, codes)


PARTS = tuple(
    f"{name}_{end}" for name in ("signal_kept", "task_noise") for end in ("iqm", "low", "high")
)
"""Columns of a file for the two numbers of an agent."""


def curve_table(result: ComparisonResult) -> Table:
    """Returns the return of every scheme at a few points of its curve."""
    ranked = result.ranked
    columns = (
        Column(result.axis.capitalize()),
        *(estimates_column(name, name, "return") for name in ranked),
    )
    longest = max((s.curves.at for s in ranked.values()), key=len)
    last = len(longest) - 1
    picked = sorted({round(i * last / (SAMPLES - 1)) for i in range(SAMPLES)}) if last > 0 else []
    rows = []
    for i in picked:
        cells = (estimate_cell(_at(scheme, longest[i]), 3) for scheme in ranked.values())
        rows.append(TableRow((Cell(significant(longest[i]), (longest[i],)), *cells)))
    caption = f"Team return at a few {result.axis}s; the file under the picture has them all."
    return Table("curve-samples", caption, columns, rows)


def _at(scheme: SchemeResult, step: int) -> Estimate:
    """Returns the return at the latest point of a scheme's curve by then; unknown after its end.

    Batches of algorithms have sizes of their own, so that points of two curves may lie apart.
    """
    at, band = scheme.curves.at, scheme.curves.returns
    i = bisect_right(at, step) - 1
    apart = max((after - before for before, after in pairwise([0, *at])), default=0)
    if i < 0 or step - at[i] > apart:
        return Estimate()
    low, high = (ends[i] if ends else None for ends in (band.low, band.high))
    return Estimate(band.iqm[i], low, high, scheme.returns.n)


def control_table(result: ComparisonResult) -> Table | None:
    """Returns the control beside the comparison; None without a control."""
    if result.control is None or not result.control.schemes:
        return None
    columns = (
        *text_columns("Scheme"),
        estimates_column("All agents present", "control", "control"),
        estimates_column("As compared", "return", "return"),
    )
    rows = []
    for name, scheme in result.control.schemes.items():
        compared = result.schemes[name].returns if name in result.schemes else None
        cells = (estimate_cell(estimate_of(m), 3) for m in (scheme.returns, compared))
        rows.append(TableRow((Cell(name), *cells)))
    setting = f" ({result.control.setting})" if result.control.setting else ""
    caption = f"Team return in the control{setting} and in the comparison."
    return Table("control", caption, columns, rows)


def source_table(result: ComparisonResult) -> Table:
    """Returns what was compared: each scheme's title and source."""
    columns = (
        *text_columns("Scheme"),
        Column("What it is", ("title", "kind"), numeric=False),
        Column("Source", ("citation",), numeric=False),
    )
    rows = [
        TableRow((Cell(name), Cell(s.title, (s.title, s.kind), s.kind), Cell(s.citation)))
        for name, s in result.schemes.items()
    ]
    return Table("sources", "What was compared.", columns, rows)


def collapse_table(result: ComparisonResult) -> Table:
    """Returns one row for each scheme and agent: signal kept, task noise, collapse and its
    cause."""
    columns = (
        *text_columns("Scheme", "Agent"),
        estimates_column("Signal kept", "signal_kept", "kept"),
        estimates_column("Task noise", "task_noise", "noise"),
        Column(f"First {result.axis}", (f"first_{result.axis}",),
               missing="half of the seeds were never collapsed"),
        Column("Cause", numeric=False, define="cause"),
        Column("Difficulty", numeric=False, define="difficulty"),
    )  # fmt: skip
    rows = [
        _collapse_row(scheme_name, scheme, agent)
        for scheme_name, scheme in result.ranked.items()
        for agent in result.agents
    ]
    caption = (
        "How much of each agent's signal the scheme keeps, how much noise the best statistics "
        "leave, and from which point on the agent was collapsed in half of the seeds."
    )
    return Table("collapse-summary", caption, columns, rows)


def _collapse_row(scheme_name: str, scheme: SchemeResult, name: str) -> TableRow:
    agent, curves = scheme.agents[name], scheme.curves
    shares = curves.agents[name].collapsed if name in curves.agents else []
    pairs = zip(curves.at, shares, strict=False)
    first = next((update for update, share in pairs if share is not None and share >= 0.5), None)
    return TableRow((
        Cell(scheme_name),
        Cell(name),
        estimate_cell(estimate_of(agent.signal_kept), 2),
        estimate_cell(estimate_of(agent.task_noise), 2),
        Cell(significant(first), (first,)),
        _coded(agent.cause),
        _coded(agent.difficulty),
    ))  # fmt: skip


def _coded(code: str | None) -> Cell:
    return Cell("" if code else "none", (code or "",), codes=(code_of(code),) if code else ())
