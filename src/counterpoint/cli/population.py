"""`counterpoint population`: a population of learners beside one, at the same total budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from msgspec.structs import replace

from counterpoint.cli.messages import say
from counterpoint.cli.progress import Bar
from counterpoint.cli.results import finish, prepare
from counterpoint.population import PopulationPlan, compare_populations
from counterpoint.population.cells import CELLS, damaged_cells
from counterpoint.report.terminal.parts import population_parts
from counterpoint.runs.executor import ExecutorName
from counterpoint.settings import number_from, split_list, split_pairs


@dataclass(frozen=True)
class PopulationCommand:
    """Compare a population with one learner at the same budget, and find the crossover.

    The arms are one learner, the best of several, and population-based training. Each arm is
    charged for the updates of all members and for their evaluations. Champions are measured
    exactly, or in a sequential environment on other episodes than those for which they were chosen.
    The crossover is the budget at which the best population overtakes the single learner.

    WORLD is a game (`counterpoint game` lists them), `smooth` (the control, which has one peak),
    or a sequential environment, in which each member is a team of networks. A duel is a game in
    which one player wins what the other loses, so members learn by self-play. Duels have three more
    arms: the average of a learner's past policies, a learner that plays against its past policies,
    and a league of a main learner and its exploiters. The score of a champion is then its payoff
    against a best response.

    With --out, finished work is kept: the same command resumes where it was killed.

    Examples:
      counterpoint population climbing
      counterpoint population climbing --budget 16000 start=narrow --out narrow
      counterpoint population smooth --members 1,16
      counterpoint population rock_paper_scissors --members 1,4 lr=.1
      counterpoint population spread --members 1,4 --budget 80 --repeats 5 --out spread
    """

    world: Annotated[str, tyro.conf.Positional]
    """A game, smooth, or a sequential environment."""
    members: str = "1,4,16"
    """Sizes of populations, separated by commas; 1 is the single learner."""
    budget: int = 6400
    """Policy updates of all members together, evaluations included."""
    repeats: int = 30
    """Number of independent populations of each arm."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A setting of the members: start (wide, narrow), batch, lr, evaluations, rounds, diverse
    (start, hyper, scheme); in a sequential environment one of the environment or its policies,
    pbt_rounds or diverse; may be repeated."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    workers: int | None = None
    """Number of processes; default: one for each processor."""
    executor: ExecutorName = "processes"
    """Where the work is done: processes of this machine, one after the other here, or ray."""
    json: bool = False
    """Print the results as JSON alone."""

    def run(self) -> int:
        """Compares, saves and prints."""
        sizes = tuple(number_from("--members", size, int) for size in split_list(self.members))
        plan = PopulationPlan(self.world, sizes, self.budget, self.repeats,
                    split_pairs(self.set, "--set"), self.workers, self.executor)  # fmt: skip
        if self.out:
            prepare(self.out)
            for file in damaged_cells(self.out):
                say(f"counterpoint: warning: {file} is not as it was written; it is made again")
        with Bar(f"populations on {plan.world}") as report:
            result = compare_populations(plan, report, self.out)
        config = {"world": plan.world, "settings": dict(plan.settings)}
        finish(replace(result, config=config), population_parts, self.out, self.json,
               beside=sorted((self.out / CELLS).glob("*.json")) if self.out else ())  # fmt: skip
        return 0
