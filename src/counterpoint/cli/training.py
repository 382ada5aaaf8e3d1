"""What `train` and `resume` print at their end: where the run is, what it reached, how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from counterpoint.cli.live import sparkline
from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result
from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import METRICS, RUN, read_facts

if TYPE_CHECKING:
    from counterpoint.train.session import Session


def finish(session: Session, *, as_json: bool = False) -> int:
    """Print, say how to go on; the exit status."""
    for note in session.notes:
        say(f"counterpoint: {note}")
    document = summary(session.path)
    if as_json:
        print_json(document)
    elif session.trained is not None:
        print_result(_table(session.path, document))
    if session.message:
        say(session.message)
    elif not as_json:
        say(f"run: {session.path}; its page: counterpoint report {session.path}")
    return session.exit_status


@contextmanager
def resumable(path: Path) -> Iterator[None]:
    """Says how to go on with the run in `path` where the block is ended at once by a signal."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if (path / RUN).exists():
            say(f"go on with: counterpoint resume {path}")
        raise


def summary(path: Path) -> dict[str, Any]:
    """What a run has reached: as `counterpoint runs --json`, with its agents as last measured."""
    facts = asdict(read_facts(path))
    rows = read_rows(path / METRICS)[0]
    facts["return"] = facts.pop("returned")
    facts["updates"], facts["seconds"] = (
        (rows[-1]["update"], rows[-1]["seconds"]) if rows else (0, 0.0)
    )
    measured = [row["agents"] for row in rows if "agents" in row]
    facts["agents"] = measured[-1] if measured else {}
    return facts


def _table(path: Path, facts: dict[str, Any]) -> Table:
    returns = [row["return"] for row in read_rows(path / METRICS)[0]]
    known = [value for value in returns if value is not None]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    ends = f"{known[0]:.2f} to {known[-1]:.2f}" if known else "no episode ended"
    table.add_row("learning curve", Text(f"{sparkline(returns)}  {ends}"))
    if facts["return"] is not None:
        table.add_row("return of fresh episodes", f"{facts['return']:.3f}")
    if facts["normalized"] is not None:
        table.add_row("normalized (0 random, 1 reference)", f"{facts['normalized']:.3f}")
    done = f"{facts['step'] or 0:,} in {facts['seconds']:.0f} s, {facts['status']}"
    table.add_row(f"{facts['axis']}s", done)
    for name, agent in facts["agents"].items():
        table.add_row(Text(name), _state(agent))
    return table


def _state(agent: dict[str, Any]) -> str:
    """How much of an agent's signal the scheme keeps, by the latest measurements."""
    kept = agent.get("signal_kept")
    if kept is None:
        return "signal kept: not known (too few measurements, or too little signal)"
    ends = f"[{agent['signal_kept_low']:.2f}, {agent['signal_kept_high']:.2f}]"
    why = f" ({agent['cause']})" if agent["cause"] else ""
    return f"signal kept {kept:.2f} {ends}" + (f", collapsed{why}" if agent["collapsed"] else "")
