"""Teams at work on a real repository: who does more at the same budget, and what it costs.

    python bench/loop.py --out counterpoint-out/bench/loop.json [--seeds 3] [--only solo]
                          [--modules 8] [--payoff]

A package with 5 failing tests in each of its files (`--modules`), a quarter of them with two things
wrong, and 100 tries for each; one agent in a loop, equals with locks, equals with optimistic
concurrency, and workers under a planner who merges, at 1 to 8 workers. Each edit takes 10 ms of
waiting besides its run, as a model would take longer. Where a cell has brackets, they hold the
smallest and the largest of the seeds. Amdahl's prediction is from the share of the workers' time
that a lock was held with one worker.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "workers"))
from broken_package import make_package

from common import write_json
from counterpoint.results import document_of
from counterpoint.workers.loop import run_team
from counterpoint.workers.plan import WorkerPlan, WorkPlan
from counterpoint.workers.state import TeamState

CASES = [("solo", 1), *((name, n) for name in ("flat_locks", "flat_optimistic", "planner_workers")
                        for n in (1, 2, 4, 8))]  # fmt: skip
TRIES_EACH = 100
COLUMNS = ("topology", "workers", "done", "hard done", "hard tries", "tries", "per 1,000 tries",
           "seconds", "s to half", "speedup", "Amdahl", "lock wait", "serial", "conflicts",
           "wasted", "churn")  # fmt: skip


def one(topology: str, workers: int, seed: int, choose: str, modules: int) -> dict[str, Any]:
    """Lets one team work on one package."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "package")
        hard = make_package(source, modules=modules, each=5, hard=0.25, seed=seed)
        worker = WorkerPlan(tries=400, think_seconds=0.01, choose=choose)  # type: ignore[arg-type]
        plan = WorkPlan(repository=str(source), tests="python3 tap.py {tests}", worker=worker,
                        iterations=6)  # fmt: skip
        state = TeamState(Path(folder, "run"), plan, topology, workers,
                          tries=TRIES_EACH * 5 * modules, seed=seed)  # fmt: skip
        state.create()
        result = run_team(state.folder)
        done = {row.id for row in state.queue.tasks() if row.status == "done"}
        attempts = state.queue.attempts()
        on_hard = sum(a.cost for a in attempts if a.task in hard)
        begun = min(a.started for a in attempts)
        ends = sorted(a.ended for a in attempts if a.status == "merged" and a.ended)
        half = 5 * modules // 2
        return {
            **document_of(result),
            "hard": {"tasks": len(hard), "done": len(done & set(hard)),
                     "tries": on_hard / max(1, result.tries)},
            "seconds_to_half": ends[half - 1] - begun if len(ends) >= half else None,
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="a topology; all without it")
    parser.add_argument("--modules", type=int, default=4, help="files of the package")
    parser.add_argument("--payoff", action="store_true", help="also workers who choose by payoff")
    options = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + "---|" * len(COLUMNS))
    kept: list[dict[str, Any]] = []
    base: dict[str, float] = {}
    serial: dict[str, float] = {}
    for topology, workers in [case for case in CASES if options.only in ("", case[0])]:
        both = options.payoff and topology == "flat_optimistic"
        for choose in ("priority", "payoff") if both else ("priority",):
            rows = [one(topology, workers, seed, choose, options.modules)
                    for seed in range(options.seeds)]  # fmt: skip
            kept += [{**row, "choose": choose} for row in rows]
            name = topology + (" (payoff)" if choose == "payoff" else "")

            def mean(*keys: str, rows: list[dict[str, Any]] = rows) -> float:
                values = []
                for row in rows:
                    value: Any = row
                    for key in keys:
                        value = value[key]
                    values.append(np.nan if value is None else float(value))
                return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")

            def spread(key: str, rows: list[dict[str, Any]] = rows) -> str:
                values = [float(row[key]) for row in rows if row[key] is not None]
                if not values:
                    return "–"
                return f"{np.mean(values):.1f} [{min(values):.0f}, {max(values):.0f}]"

            speed = mean("done") / mean("seconds")
            if workers == 1:
                base[name], serial[name] = speed, mean("serial")
            share = serial[name]
            amdahl = 1 / (share + (1 - share) / workers)
            cells = [
                name, workers, spread("done"),
                f"{mean('hard', 'done'):.1f} of {mean('hard', 'tasks'):.1f}",
                f"{mean('hard', 'tries'):.2f}", f"{mean('tries'):.0f}",
                f"{mean('throughput', 'per_1000_tries'):.1f}", spread("seconds"),
                spread("seconds_to_half"), f"{speed / base[name]:.2f}", f"{amdahl:.2f}",
                *(f"{mean(key):.3f}" for key in ("lock_wait", "serial")),
                spread("conflicts"), f"{mean('wasted'):.3f}", f"{mean('churn'):.3f}",
            ]  # fmt: skip
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
    if options.out:
        write_json(options.out, kept)


if __name__ == "__main__":
    main()
