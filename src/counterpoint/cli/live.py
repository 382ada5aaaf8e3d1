"""What is shown while networks learn: one run, or every scheme of a comparison, on standard error.

Where standard error is no terminal, a line every tenth of the budget instead.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from counterpoint.cli.messages import say
from counterpoint.report.terminal.sparkline import sparkline

Told = Mapping[str, Any]


@contextmanager
def watching(shown: Run | Comparison) -> Iterator[None]:
    """Show it now and then while the block runs."""
    console = Console(stderr=True)
    shown.lines = not console.is_terminal
    if shown.lines:
        yield
        return
    with Live(get_renderable=shown.drawn, console=console, refresh_per_second=2, transient=True):
        yield


class Run:
    """One training: its curve, how fast it is, and whom the scheme collapses.

    Args:
        title: what stands before everything that is said of it.
        budget: steps that it plays, or updates that it makes.
        axis: what the budget counts: `step` or `update`.
    """

    def __init__(self, title: str, budget: int, axis: str = "step") -> None:
        self.title, self.budget, self.axis, self.lines = title, budget, axis, False
        self.returns: list[float | None] = []
        self.row: Told = {}
        self.tenth = 0
        self.first: tuple[int, float] | None = None

    def heard(self, row: Told) -> None:
        """Take in a row of the series."""
        self.returns.append(row["return"])
        agents = row.get("agents", self.row.get("agents", {}))
        self.row = {**row, "agents": agents}
        self.first = self.first or (row["step"], time.monotonic())
        tenth = 10 * row["step"] // self.budget
        if self.lines and tenth > self.tenth:
            self.tenth = tenth
            say(f"{self.title}: " + ", ".join(part for part in self.parts() if part))

    def parts(self) -> tuple[str, ...]:
        """What there is to say, as words."""
        row = self.row
        known = [value for value in self.returns if value is not None]
        score = row.get("normalized")
        return (
            f"{self.axis} {row['step']:,} of {self.budget:,}",
            f"return {known[-1]:.2f}" if known else "no episode has ended",
            f"normalized {score:.3f}" if score is not None else "",
            pace(self.speed(), self.axis),
            struck({n: a["cause"] for n, a in row["agents"].items() if a["collapsed"]}),
        )

    def speed(self) -> float:
        """Steps a second in this session; 0 before it can be told."""
        if self.first is None:
            return 0.0
        step, begun = self.first
        passed = time.monotonic() - begun
        return float(self.row["step"] - step) / passed if passed > 0 else 0.0

    def drawn(self) -> RenderableType:
        """One line, with the curve."""
        if not self.row:
            return Text(f"{self.title}: beginning")
        said = "  ".join(part for part in self.parts() if part)
        return Text.assemble(f"{self.title}  ", (sparkline(self.returns), "bold"), f"  {said}")


class Comparison:
    """All trainings of a comparison, a row a scheme; arguments as those of `Run`."""

    def __init__(
        self, world: str, schemes: Sequence[str], seeds: int, budget: int, axis: str = "step"
    ) -> None:
        self.world, self.schemes, self.seeds, self.budget = world, schemes, seeds, budget
        self.axis, self.lines = axis, False
        self.told: dict[str, dict[int, list[Told]]] = {name: defaultdict(list) for name in schemes}
        self.tenth = 0

    def heard(self, scheme: str, seed: int, told: Told) -> None:
        """Take in what a training has reached."""
        rows = self.told[scheme][seed]
        if rows and rows[-1]["step"] >= told["step"]:
            rows.clear()  # its worker died: it tells its story again
        rows.append(told)
        share = sum(self.share(name) for name in self.schemes) / len(self.schemes)
        if self.lines and int(10 * share) > self.tenth:
            self.tenth = int(10 * share)
            say(f"comparing on {self.world}: {100 * share:.0f}% of all {self.axis}s")

    def share(self, scheme: str) -> float:
        """How much of the scheme's budget is spent, over all seeds."""
        steps = [
            int(min(rows[-1]["step"], self.budget)) for rows in self.told[scheme].values() if rows
        ]
        return sum(steps) / (self.seeds * self.budget)

    def drawn(self) -> RenderableType:
        """A table, a row a scheme."""
        table = Table("scheme", "return so far", "course", "done", "collapsed now", box=None)
        for name in self.schemes:
            table.add_row(Text(name), *(Text(cell) for cell in self.cells(name)))
        return table

    def cells(self, scheme: str) -> tuple[str, ...]:
        """Return so far, sparkline, share of the budget, agents collapsed (seeds)."""
        seeds = [rows for rows in self.told[scheme].values() if rows]
        lately = [next((r["return"] for r in reversed(s) if r["return"] is not None), None)
                  for s in seeds]  # fmt: skip
        known = [value for value in lately if value is not None]
        counts: dict[str, int] = defaultdict(int)
        for rows in seeds:
            for agent in next((r["collapsed"] for r in reversed(rows) if "collapsed" in r), ()):
                counts[agent] += 1
        return (
            f"{sum(known) / len(known):.2f}" if known else "",
            sparkline(_mean_curve(seeds)),
            f"{100 * self.share(scheme):.0f}%",
            ", ".join(f"{agent} ({count}/{len(seeds)})" for agent, count in counts.items()),
        )


def _mean_curve(seeds: Sequence[Sequence[Told]]) -> list[float | None]:
    """The mean over seeds at each row that any of them has reached."""
    out: list[float | None] = []
    for i in range(max(map(len, seeds), default=0)):
        known = [rows[i]["return"] for rows in seeds if i < len(rows)]
        there = [value for value in known if value is not None]
        out.append(sum(there) / len(there) if there else None)
    return out


def pace(speed: float, axis: str) -> str:
    """How fast it goes, as words: `1,200 steps/s`, `2.5 s an update`; nothing before it is told."""
    if speed <= 0:
        return ""
    article = "an" if axis == "update" else "a"
    return f"{speed:,.0f} {axis}s/s" if speed >= 1 else f"{1 / speed:.1f} s {article} {axis}"


def struck(causes: Mapping[str, str | None]) -> str:
    """Agents that are collapsed, and why."""
    named = [f"{agent} ({cause})" if cause else agent for agent, cause in causes.items()]
    return f"collapsed: {', '.join(named)}" if named else ""
