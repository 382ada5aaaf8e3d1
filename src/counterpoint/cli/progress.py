"""What a command shows on standard error while it works: start at `Display`.

`Bar` shows how much of some work is done, `ReadingDisplay` how much is read, and `TrainingDisplay`
and `ComparisonDisplay` how teams learn.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Self

from rich.console import RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from counterpoint.cli.console import SafeConsole
from counterpoint.cli.messages import say
from counterpoint.machine.terminal import guarded_streams
from counterpoint.report.terminal.tables import sparkline, text_table
from counterpoint.report.toolkit.numerals import counted, with_article
from counterpoint.results.training import CUT_OFF_UPDATES, mostly_cut_off
from counterpoint.train.series import Row, TrainingProgress, metric_curves

SAID_EVERY = 5.0
"""Seconds between two lines about what is done before the first update has ended."""
READ_AT_ONCE = 10_000
"""Episodes between two lines of a `ReadingDisplay`."""


def no_return(row: Row) -> str:
    """Returns why there is no return so far."""
    return "no return yet" if row.episodes else "no episode has ended"


class Display:
    """Something that is shown while a `with` block runs; `drawn` of a subclass says what.

    A terminal shows it anew twice a second, and no longer when the block ends. Elsewhere a subclass
    prints lines while `prints_lines` is true: at each tenth of the work, or at each change.
    """

    def __init__(self) -> None:
        self.prints_lines = False
        self._live: Live | None = None
        self._guard = contextlib.ExitStack()
        self._tenth = 0

    def __enter__(self) -> Self:
        console = SafeConsole(stderr=True)
        self.prints_lines = not console.is_terminal
        if console.is_terminal:
            self._live = Live(
                get_renderable=self.drawn, console=console, refresh_per_second=2, transient=True
            )
            self._live.start()
            # while it draws, what others write to the streams goes through it, and is filtered too
            self._guard.enter_context(guarded_streams())
        return self

    def __exit__(self, *error: object) -> None:
        self.prints_lines = False
        if self._live is not None:
            self._guard.close()
            self._live.stop()

    def drawn(self) -> RenderableType:
        """Returns what a terminal shows now."""
        raise NotImplementedError

    def passes_tenth(self, done: float, total: float) -> bool:
        """Returns whether lines are printed and another tenth of the work is done."""
        tenth = int(10 * done // max(total, 1))
        if tenth <= self._tenth or not self.prints_lines:
            return False
        self._tenth = tenth
        return True


class Bar(Display):
    """How much of some work is done; call it with what is done, and of how much."""

    def __init__(self, title: str) -> None:
        super().__init__()
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
        )
        self.title, self._bar = title, Progress(*columns, TimeRemainingColumn())
        self._task = self._bar.add_task(title, total=None)

    def __call__(self, done: int, total: int, title: str = "") -> None:
        if title and title != self.title:
            # the next piece of work has a bar of its own, so that its remaining time is its own
            self._bar.remove_task(self._task)
            self._task, self.title = self._bar.add_task(title, total=None), title
            self._tenth = 0
        self._bar.update(self._task, completed=done, total=total)
        if self.passes_tenth(done, total):
            say(f"{self.title}: {done} of {total} ({10 * self._tenth}%)")

    def drawn(self) -> RenderableType:
        """Returns the bar, with the time that remains."""
        return self._bar.get_renderable()


class ReadingDisplay(Display):
    """How many episodes are read; call it with their number."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __call__(self, count: int) -> None:
        self.count = count
        if self.prints_lines and count % READ_AT_ONCE == 0:
            say(f"reading: {count} episodes")

    def drawn(self) -> RenderableType:
        """Returns the count in a line."""
        return Text(f"reading: {self.count} episodes")


class TrainingDisplay(Display):
    """One training: its curve, how fast it is, and which agents the scheme collapses.

    Args:
        title: what stands before every line.
        budget: steps that it plays, or updates that it makes.
        axis: what the budget counts: `step` or `update`.
    """

    def __init__(self, title: str, budget: int, axis: str = "step") -> None:
        super().__init__()
        self.title, self.budget, self.axis = title, budget, axis
        self.returns: list[float | None] = []
        self.row: Row | None = None
        self.latest: deque[Row] = deque(maxlen=CUT_OFF_UPDATES)
        self.collapsed = ""
        self.first: tuple[int, float] | None = None
        self.now, self._said = "beginning", -math.inf

    def doing(self, text: str) -> None:
        """Takes in what is done before the first row; lines are printed some seconds apart."""
        self.now = text
        if self.prints_lines and self.row is None and time.monotonic() - self._said >= SAID_EVERY:
            self._said = time.monotonic()
            say(f"{self.title}: {text}")

    def add(self, row: Row) -> None:
        """Takes in a row of the series."""
        self.returns.append(row.returned)
        self.row = row
        self.latest.append(row)
        if row.agents is not None:
            causes = {
                name: a.verdict.cause for name, a in row.agents.items() if a.verdict.collapsed
            }
            self.collapsed = ", ".join(
                f"{n} ({cause})" if cause else n for n, cause in causes.items()
            )
        self.first = self.first or (row.step, time.monotonic())
        if self.passes_tenth(row.step, self.budget):
            say(f"{self.title}: " + ", ".join(part for part in self.parts(row) if part))

    def parts(self, row: Row) -> tuple[str, ...]:
        """Returns the state of the training in words; a part may be empty."""
        known = [value for value in self.returns if value is not None]
        shares = mostly_cut_off(metric_curves(self.latest))
        cut = ", ".join(f"{share:.0%} of {agent}'s answers" for agent, share in shares.items())
        return (
            f"{self.axis} {row.step:,} of {self.budget:,}",
            f"return {known[-1]:.2f}" if known else no_return(row),
            f"normalized {row.normalized:.3f}" if row.normalized is not None else "",
            pace(self.speed(row), self.axis),
            f"collapsed: {self.collapsed}" if self.collapsed else "",
            f"cut off: {cut}" if cut else "",
        )

    def speed(self, row: Row) -> float:
        """Returns steps per second in this session; 0 while it is not known."""
        if self.first is None:
            return 0.0
        step, begun = self.first
        passed = time.monotonic() - begun
        return (row.step - step) / passed if passed > 0 else 0.0

    def drawn(self) -> RenderableType:
        """Returns one line, with the curve."""
        if self.row is None:
            return Text(f"{self.title}: {self.now}")
        state = "  ".join(part for part in self.parts(self.row) if part)
        return Text.assemble(f"{self.title}  ", (sparkline(self.returns), "bold"), f"  {state}")


class ComparisonDisplay(Display):
    """All trainings of a comparison, one row a scheme.

    Args:
        world: the world's name.
        schemes: names of the schemes.
        seeds: trainings of each scheme.
        budget: as that of a `TrainingDisplay`, of one training.
        axis: as that of a `TrainingDisplay`.
    """

    def __init__(
        self, world: str, schemes: Sequence[str], seeds: int, budget: int, axis: str = "step"
    ) -> None:
        super().__init__()
        self.world, self.schemes, self.seeds = world, schemes, seeds
        self.budget, self.axis = budget, axis
        self.rows: dict[str, dict[int, list[TrainingProgress]]] = {
            name: defaultdict(list) for name in schemes
        }

    def add(self, scheme: str, seed: int, row: TrainingProgress) -> None:
        """Takes in what a training has reached."""
        rows = self.rows[scheme][seed]
        if rows and rows[-1].step >= row.step:
            rows.clear()  # its worker died, and another worker trains this seed again
        rows.append(row)
        share = sum(self.share(name) for name in self.schemes) / len(self.schemes)
        if self.passes_tenth(share, 1):
            say(f"comparing on {self.world}: {100 * share:.0f}% of all {self.axis}s")

    def share(self, scheme: str) -> float:
        """Returns how much of the scheme's budget is spent, over all seeds."""
        steps = [min(rows[-1].step, self.budget) for rows in self.rows[scheme].values() if rows]
        return sum(steps) / (self.seeds * self.budget)

    def drawn(self) -> RenderableType:
        """Returns a table with one row a scheme."""
        titles = ("scheme", "return so far", "course", "done", "collapsed now")
        return text_table(titles, ((name, *self.cells(name)) for name in self.schemes))

    def cells(self, scheme: str) -> tuple[str, str, str, str]:
        """Returns the return so far, a sparkline, the share of the budget, the collapsed agents."""
        seeds = [rows for rows in self.rows[scheme].values() if rows]
        latest = (
            next((r.returned for r in reversed(rows) if r.returned is not None), None)
            for rows in seeds
        )
        known = [value for value in latest if value is not None]
        counts: dict[str, int] = defaultdict(int)
        for rows in seeds:
            for agent in next((r.collapsed for r in reversed(rows) if r.collapsed is not None), ()):
                counts[agent] += 1
        return (
            f"{sum(known) / len(known):.2f}" if known else "",
            sparkline(_mean_curve(seeds)),
            f"{100 * self.share(scheme):.0f}%",
            ", ".join(f"{agent} ({count}/{len(seeds)})" for agent, count in counts.items()),
        )


def _mean_curve(seeds: Sequence[Sequence[TrainingProgress]]) -> list[float | None]:
    """Returns the mean over seeds at each row that any of them has reached."""
    means: list[float | None] = []
    for i in range(max(map(len, seeds), default=0)):
        values = [rows[i].returned for rows in seeds if i < len(rows)]
        known = [value for value in values if value is not None]
        means.append(sum(known) / len(known) if known else None)
    return means


def pace(speed: float, axis: str) -> str:
    """Returns the speed in words, `1,200 steps/s` or `2.5 s an update`; nothing for 0."""
    if speed <= 0:
        return ""
    if speed >= 1:
        return f"{counted(round(speed), axis)}/s"
    return f"{1 / speed:.1f} s {with_article(axis)}"
