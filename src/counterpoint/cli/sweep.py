"""`counterpoint sweep`: search for settings of a training, and test the best on fresh seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from counterpoint.cli.exits import kept
from counterpoint.cli.progress import Bar
from counterpoint.cli.results import finish, prepare
from counterpoint.cli.train import SETTABLE
from counterpoint.credit import split_names
from counterpoint.optional import pip_line, require_packages
from counterpoint.report.terminal.sweep import sweep_parts
from counterpoint.runs.executor import ExecutorName, require_executor
from counterpoint.runs.files import run_folder
from counterpoint.settings import split_pairs
from counterpoint.sweep import SweepPlan, read_over, sweep
from counterpoint.sweep.run import FRESH, SEEDS, TRIALS
from counterpoint.sweep.study import JOURNAL, SamplerName
from counterpoint.worlds.foreign.names import search_current_folder

DEFAULT = Path("counterpoint-out") / "sweep"
OVER = (
    "A setting to search; may be repeated. LOW..HIGH is a range (1e-4..1e-2:log on a logarithmic "
    "scale; whole numbers between whole ends, unless the setting is a fraction); A,B,C is a list. "
    "The settings are those of `train --set`."
)


@dataclass(frozen=True)
class Sweep:
    """Search for good settings of a training, and test them on seeds that the search did not use.

    Each trial is one choice of settings, trained with every seed. Optuna chooses what is tried
    next from the trials so far. Several schemes or algorithms get equally many trials of the same
    budget each, so that none is better tuned than another.

    The best of many trials is too good to be true: it was chosen for its score. So the best and
    the default settings are trained again with fresh seeds, and only these are compared, with
    intervals; where these cannot decide, the answer is "cannot tell".

    Everything is kept in --out: the same command resumes where it was killed, and with more
    --trials it continues. If all settings are lists, each combination is tried once first.

    Examples:
      counterpoint sweep spread --over lr=1e-4..1e-2:log --over entropy=0,0.01,0.02
      counterpoint sweep spread --over hidden=16..128 --trials 30 --seeds 5 --budget 50000
      counterpoint sweep spread --schemes mappo_pooled,qmix --over lr=1e-4..1e-2:log --out tuned
      counterpoint sweep lewis --over lr=1e-3..1e-1:log --trials 8 --seeds 2 --budget 50
    """

    world: Annotated[str, tyro.conf.Positional]
    """Name of a sequential or a text environment (`counterpoint worlds` lists them), or of your
    own: package.module:Class."""
    over: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=OVER)] = ()
    schemes: str = "mappo_pooled"
    """Names of schemes and algorithms, separated by commas (`counterpoint schemes` lists them)."""
    trials: int = TRIALS
    """Number of trials of each scheme or algorithm."""
    seeds: int = SEEDS
    """Number of seeds of each trial."""
    fresh: int = FRESH
    """Number of fresh seeds with which the best and the default settings are trained at the end; a
    verdict needs 5."""
    budget: int | None = None
    """Steps of each training, or updates in a text environment; default as in `train`."""
    policy: str | None = None
    """In a text environment: the language model, as in `train`."""
    sampler: SamplerName = "tpe"
    """How settings are chosen: by a model of the trials so far (tree-structured Parzen estimator),
    or at random."""
    seed: int = 0
    """Seed of the choice of settings."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    out: Path | None = None
    """Folder for report.html, results.json, the trials (`study.journal`) and the runs; default:
    counterpoint-out/sweep/WORLD."""
    executor: ExecutorName = "processes"
    """Where trainings run: processes of this machine, one after the other here, or Ray."""
    workers: int | None = None
    """Number of processes; default: one for each processor."""
    json: bool = False
    """Print the result as JSON alone."""

    def run(self) -> int:
        """Searches, tests, saves and prints."""
        require_packages("sweep", ("optuna",), pip_line("sweep"))
        search_current_folder(self.world)
        plan = SweepPlan(
            self.world,
            read_over(self.over),
            split_names(self.schemes),
            self.trials,
            self.seeds,
            self.fresh,
            self.budget,
            split_pairs(self.set, "--set"),
            self.policy,
            self.sampler,
            self.seed,
        )
        require_executor(self.executor, self.workers)
        out = self.out or run_folder(DEFAULT, self.world)
        prepare(out, JOURNAL)
        again = "the trials so far are kept: run the same command again to resume"
        with kept(again, out), Bar(f"trainings on {plan.world}") as report:
            result = sweep(plan, out, workers=self.workers, executor=self.executor,
                           on_progress=report)  # fmt: skip
        finish(result, sweep_parts, out, self.json, beside=[out / JOURNAL])
        return 0
