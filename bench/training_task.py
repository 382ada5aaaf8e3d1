"""One measurement of bench/training.py, in a process of its own: prints one JSON document."""

from __future__ import annotations

import time

started, cpu_started = time.perf_counter(), time.process_time()

import argparse  # noqa: E402  (the clock starts before anything is imported)
import json  # noqa: E402
from collections import deque  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from counterpoint.train.loop import one_update  # noqa: E402
from counterpoint.train.ppo.plan import TrainPlan  # noqa: E402
from counterpoint.train.ppo.settings import PolicySettings  # noqa: E402
from counterpoint.train.series import CollapseMonitor  # noqa: E402
from counterpoint.worlds.sequential.world import uniform_actions  # noqa: E402

GOALS = (-69.0, -65.0, -60.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("thresholds", "speed", "overhead"))
    parser.add_argument("--world", default="spread")
    parser.add_argument("--scheme", default="mappo_pooled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400_000)
    parser.add_argument("--copies", type=int, default=0)
    parser.add_argument("--diagnose_every", type=int, default=5)
    options = parser.parse_args()
    policy = PolicySettings(copies=options.copies, diagnose_every=options.diagnose_every)
    plan = TrainPlan(options.world, options.scheme, options.seed, options.steps, policy=policy)
    task = {"thresholds": thresholds, "speed": speed, "overhead": overhead}[options.task]
    print(json.dumps(task(plan)))


def updates(plan: TrainPlan) -> Any:
    """Yields the rows of a training, one by one."""
    team = plan.trainer()
    watch, rows = CollapseMonitor(team.agents), []
    while team.steps < plan.budget:
        rows.append(one_update(team, watch, rows))
        yield rows[-1]


def thresholds(plan: TrainPlan) -> dict[str, Any]:
    """Seconds until the mean return of the last 5 batches passes each goal."""
    lately: deque[float] = deque(maxlen=5)
    reached: dict[str, Any] = {}
    for row in updates(plan):
        lately.append(row.returned)
        for goal in GOALS:
            if f"{goal:.0f}" not in reached and len(lately) == 5 and np.mean(lately) > goal:
                reached[f"{goal:.0f}"] = time.perf_counter() - started
                reached[f"{goal:.0f} steps"] = row.step
        if f"{GOALS[-1]:.0f}" in reached:
            break
    return reached


def speed(plan: TrainPlan) -> dict[str, Any]:
    """Steps per second and CPU-second, without imports and the first update."""
    rows = updates(plan)
    first = next(rows).step
    wall, cpu = time.perf_counter(), time.process_time()
    last = [row.step for row in rows][-1]
    return {
        "steps_per_second": (last - first) / (time.perf_counter() - wall),
        "steps_per_cpu_second": (last - first) / (time.process_time() - cpu),
        "import_cpu_seconds": cpu - cpu_started,
    }


def overhead(plan: TrainPlan) -> dict[str, Any]:
    """Returns the CPU time of a training step over a step of the world with random actions, in
    turns.
    """
    team = plan.trainer()
    learner = team.learner
    world, rng = learner.world, np.random.default_rng(0)
    watch, rows = (
        CollapseMonitor(world.agents),
        [one_update(team, CollapseMonitor(world.agents), [])],
    )
    per_update, trained, alone = learner.collector.steps, [], []
    actions = [uniform_actions(world, world.reset(), rng) for _ in range(per_update)]
    for _ in range(5):
        start = time.process_time()
        for _ in range(5):
            rows.append(one_update(team, watch, rows))
        trained.append((time.process_time() - start) / (5 * per_update))
        start = time.process_time()
        for _ in range(3):
            for action in actions:
                world.step(action)
        alone.append((time.process_time() - start) / (3 * per_update))
        learner.collector.view, learner.collector.first = world.reset(), np.ones(world.copies, bool)
    ratios = [t / a for t, a in zip(trained, alone, strict=True)]
    return {"ratio": float(np.median(ratios)), "all": ratios}


if __name__ == "__main__":
    main()
