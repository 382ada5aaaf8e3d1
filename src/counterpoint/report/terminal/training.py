"""What a training has reached, for a terminal: start at `training_parts`."""

from __future__ import annotations

from rich.console import RenderableType

from counterpoint.report.pages.training.page import column
from counterpoint.report.terminal.sparkline import sparkline
from counterpoint.report.terminal.tables import text_table
from counterpoint.report.toolkit.numerals import fixed, interval
from counterpoint.results.training import AgentSeries, TrainingResult


def training_parts(run: TrainingResult) -> list[RenderableType]:
    """Returns the learning curve, the scores, the time taken, and a row for each agent."""
    returned = column(run, "return")
    known = [value for value in returned if value is not None]
    ends = f"{fixed(known[0], 2)} to {fixed(known[-1], 2)}" if known else "no episode ended"
    rows = [("learning curve", f"{sparkline(returned)}  {ends}")]
    if run.returned is not None:
        rows.append(("return of fresh episodes", fixed(run.returned, 3)))
    if run.normalized is not None:
        rows.append(("normalized (0 random, 1 reference)", fixed(run.normalized, 3)))
    rows.append((f"{run.axis}s", f"{run.step:,} in {run.seconds or 0.0:.0f} s, {run.status}"))
    rows += [(name, _signal_kept(agent)) for name, agent in run.agents.items()]
    return [text_table(("", ""), rows)]


def _signal_kept(agent: AgentSeries) -> str:
    """Returns how much of an agent's signal the scheme keeps, by the latest measurements."""
    kept, low, high = agent.signal_kept[-1], agent.signal_kept_low[-1], agent.signal_kept_high[-1]
    if kept is None:
        return "signal kept: not known (too few measurements, or too little signal)"
    sentence = f"signal kept {fixed(kept, 2)} {interval(low, high, 2)}"
    if not agent.collapsed[-1]:
        return sentence
    cause = agent.cause[-1]
    return f"{sentence}, collapsed{f' ({cause})' if cause else ''}"
