"""`counterpoint population`: a population of learners beside one, at the same total budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.box import SIMPLE_HEAD
from rich.table import Table

from counterpoint.cli.compare import read_settings
from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result, progress
from counterpoint.cli.results import prepare, save
from counterpoint.errors import SettingError
from counterpoint.population import Plan, compare_populations
from counterpoint.report.pages.population import headline
from counterpoint.runs.executor import ExecutorName


@dataclass(frozen=True)
class PopulationCommand:
    """Is a population better than one learner with the same budget, and from which budget on?

    One learner, the best of several, and population-based training, all charged for everything:
    the updates of all members and their evaluations. Champions are measured exactly, or in a world
    of many steps on other episodes than those for which they were chosen; the crossover is the
    budget at which the best population overtakes the single learner.

    WORLD is a game (`counterpoint games` lists them), `smooth`, which has one peak: the control, or
    a world of many steps, in which each member is a team of networks. In a duel, where one wins
    what the other loses, members play themselves, and there are also the average of a learner's
    selves, one that meets its past selves, and a league of a main learner and its exploiters; a
    champion is worth what it can be held to.

    With --out, what is done is kept: the same command goes on where it was killed.

    Examples:
      counterpoint population climbing
      counterpoint population climbing --budget 16000 start=narrow --out narrow
      counterpoint population smooth --members 1,16
      counterpoint population rock_paper_scissors --members 1,4 lr=.1
      counterpoint population spread --members 1,4 --budget 80 --repeats 5 --out spread
    """

    world: Annotated[str, tyro.conf.Positional]
    """A game, smooth, or a world of many steps."""
    members: str = "1,4,16"
    """Sizes of populations with commas between; 1 is the single learner."""
    budget: int = 6400
    """Policy updates of all members together, evaluations included."""
    repeats: int = 30
    """Independent populations of each arm."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A setting of the members: start (wide, narrow), batch, lr, evaluations, rounds, diverse
    (start, hyper, scheme); in a world of many steps one of the world or its policies, pbt_rounds or
    diverse; may be repeated."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    workers: int | None = None
    """Processes; default: one for each processor."""
    executor: ExecutorName = "processes"
    """Where the work is done: processes of this machine, one after the other here, or ray."""
    json: bool = False
    """Print the results as JSON alone."""

    def run(self) -> int:
        """Compare, save, print."""
        plan = Plan(self.world, _sizes(self.members), self.budget, self.repeats,
                    read_settings(self.set), self.workers, self.executor)  # fmt: skip
        if self.out:
            prepare(self.out)
        with progress(f"populations on {plan.world}") as report:
            document = compare_populations(plan, report, self.out)
        document["config"] = {"world": plan.world, "settings": dict(plan.settings)}
        saved = save(document, self.out) if self.out else None
        print_json(document) if self.json else print_result(*tables(document))
        if saved:
            say(f"report: {saved}")
        return 0


def tables(document: dict[str, Any]) -> list[Any]:
    """The verdict, a row an arm, and champions by budget."""
    table = Table("arm", "champion", "95% interval", "mean − single, paired", "believed", "charged",
                  "different members", box=SIMPLE_HEAD)  # fmt: skip
    for name, arm in document["arms"].items():
        champion, gap = arm["champion"], document.get("against_single", {}).get(name)
        table.add_row(
            name, f"{champion['iqm']:.3f}", f"{champion['low']:.3f} to {champion['high']:.3f}",
            f"{gap['value']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]" if gap else "",
            f"{arm['believed']['iqm']:.3f}", str(arm["spent"]),
            "" if arm["diversity"] is None else f"{arm['diversity']:.1f}",
        )  # fmt: skip
    budgets = sorted(
        {point["budget"] for arm in document["arms"].values() for point in arm["curve"]}
    )
    curve = Table("budget", *document["arms"], box=SIMPLE_HEAD)
    for budget in budgets:
        cells = []
        for arm in document["arms"].values():
            told = [f"{p['iqm']:.3f}" for p in arm["curve"] if p["budget"] == budget]
            cells.append(told[0] if told else "")
        curve.add_row(str(budget), *cells)
    return [headline(document), table, curve, *_meetings(document), _ends(document)]


def _meetings(document: dict[str, Any]) -> list[str]:
    """Where members meet others of their population, what that pays beside meeting themselves."""
    told = []
    for name, arm in document["arms"].items():
        if arm["against"] is not None:
            met = np.array(arm["against"])
            own = float(np.trace(met) / len(met))
            others = float((met.sum() - np.trace(met)) / (len(met) * (len(met) - 1)))
            line = f"{name}: members with themselves {own:.3f}, with others {others:.3f}"
            if arm["elo"] is not None:
                ratings = ", ".join(f"{value:+.0f}" for value in arm["elo"][:8])
                order = "main first" if name.startswith("league") else "best first"
                line = f"{name}: Elo of members, {order}: {ratings}"
                line += " ..." if len(arm["elo"]) > 8 else ""
            told.append(line)
    return told


def _ends(document: dict[str, Any]) -> str:
    known = document["optimum"]
    best = "not known" if known is None else f"{known:.4g}"
    return (
        f"champions are interquartile means of: {document['unit']}; reference {best}; "
        f"{document['repeats']} repeats; believed is the estimate for which a champion was chosen"
    )


def _sizes(told: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in told.split(",") if word.strip())
    except ValueError:
        raise SettingError(f"got --members {told!r}; wanted numbers with commas between") from None
