"""The scheme `adaptive` beside every fixed scheme: in the recipes' worlds, and in random ones.

    python bench/adaptive.py --worlds recipes development
    python bench/adaptive.py --worlds development --schemes adaptive adaptive,memory=batch --table

`recipes` are the worlds behind the evidence page, for which schemes were made. `development` are
the random worlds 0 to 29, `final` those from 30 to 59: the latter were not looked at before the
method was finished. Each training of one scheme in one world is a file in --out, and a second call
trains what is missing; after a change of a scheme, `--again NAME` trains it once more. `--table`
trains nothing.

Scores are normalized: 0 for a uniform team, 1 for the best one. The regret of a scheme in a world
is what the best fixed scheme scores more. The best of many over few seeds is too good by luck, so
the best one is chosen on one half of the seeds and compared on the other half, and the other way
round; a regret can therefore be below 0.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common import mean, mean_estimate, with_interval, write_json
from counterpoint.arrays import Floats
from counterpoint.credit import advantages
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance
from counterpoint.stats import bootstrap_interval, probability_of_improvement
from counterpoint.train.estimators import estimator, labels
from counterpoint.train.tabular.learner import (
    Optimizer,
    entropy_gradient,
    logit_gradients,
    single_precision,
)
from counterpoint.train.tabular.policies import policy_for
from counterpoint.worlds.exact.world import CHANCE, TASK, World, in_natural_order, stack
from counterpoint.worlds.registry import find_world
from random_worlds import random_world

FIXED = (
    "none", "center", "mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "agent_mean",
    "grpo", "rloo", "lite_ppo", "agent_wise", "reinforce_plus_plus",
)  # fmt: skip
"""Schemes that a regret is measured against; any others are candidates."""
CANDIDATE = "adaptive"
SCORES = {"returns": "final return", "weighted": "reward-weighted return"}


def recipes() -> dict[str, tuple[str, dict[str, object]]]:
    """Returns the cells of the recipes: a name, the world, and its settings."""
    cells: dict[str, tuple[str, dict[str, object]]] = {}
    kinds = ("shared", "separate")
    for kind in kinds:
        for scale in (1, 10, 100):
            cells[f"regions x{scale} {kind}"] = "regions", {"scale": scale, "parameters": kind}
        by_rollout = {"scale": 10, "drawn": "in_rollout", "parameters": kind}
        cells[f"regions by rollout {kind}"] = "regions", by_rollout
        cells[f"stakes {kind}"] = "unequal_stakes", {"parameters": kind}
        for world in ("variable_calls", "idle_then_needed", "planner_worker"):
            cells[f"{world} {kind}"] = world, {"parameters": kind}
    for agents in (8, 16, 32):
        many = {"scale": 10, "parameters": "separate", "agents": agents}
        cells[f"regions of {agents}"] = "regions", many
    cells["all_hands of 6"] = "all_hands", {"agents": 6, "parameters": "separate"}
    cells["homogeneous of 8"] = "homogeneous", {"agents": 8, "parameters": "separate"}
    pays = {"offset": {"offset": 3.0, "scale": 1.0}, "scale": {"offset": 0.0, "scale": 5.0}}
    for rate in (0.01, 0.02, 0.1, 0.3):
        for name, pay in pays.items():
            called = {"rate": rate, "parameters": "separate", **pay}
            cells[f"on_call {rate:.0%} {name}"] = "on_call", called
    shared = {"rate": 0.1, "parameters": "shared", **pays["offset"]}
    cells["on_call 10% offset shared"] = "on_call", shared
    sgd = {"rate": 0.1, "parameters": "separate", "optimizer": "sgd", "lr": 32.0, **pays["scale"]}
    cells["on_call 10% scale sgd"] = "on_call", sgd
    return cells


RECIPES = recipes()
RANDOM = {"development": range(30), "final": range(30, 60)}


def world_named(name: str) -> World:
    """Returns a world of the recipes by its cell, or `random N`."""
    if name in RECIPES:
        world, settings = RECIPES[name]
        return find_world(world).make(settings)
    return random_world(int(name.removeprefix("random ")))


def trained(world: World, scheme: str, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Returns the normalized scores [S] after training one team for each seed.

    It is the loop of `counterpoint.train.tabular.learner.train` without any measurement on the way.
    """
    world = in_natural_order(world)
    how, settings = estimator(scheme, world), world.settings
    tasks = stack([world.tasks(np.random.default_rng([seed, TASK])) for seed in seeds])
    chance = [np.random.default_rng([seed, CHANCE]) for seed in seeds]
    policy, optimizer = policy_for(world, tuple(seeds)), Optimizer(settings)
    parameters, state = policy.start(len(seeds)), None
    for update in range(settings.updates):
        probs = policy.probs(parameters)
        play = world.play(tasks, stack([world.draw(rng, update) for rng in chance]), probs)
        rows, columns = labels(world, play.active)
        credit = advantages(how.rewards(play, rows), columns, how.scheme, state=state)
        state = credit.state
        values = single_precision(credit.values, columns["batch"], len(seeds))
        reward_logits, visits = logit_gradients(world, play, rows, columns, values, probs)
        bonus = policy.per_agent(settings.entropy * entropy_gradient(probs, visits)[:, None])
        gradient = policy.joined(policy.per_agent(reward_logits).sum(axis=1) + bonus[:, 0])
        parameters, optimizer = optimizer.ascend(parameters, gradient)
    value = world.evaluate(tasks, policy.probs(parameters))
    low = world.evaluate(tasks, world.uniform(len(seeds)))
    best = world.evaluate(tasks, world.solution(tasks))

    def normalized(name: str) -> list[float]:
        x, zero, one = (getattr(each, name) for each in (value, low, best))
        scores: list[float] = ((x - zero) / (one - zero)).tolist()
        return scores

    return {
        "returns": normalized("returns"),
        "weighted": normalized("weighted_returns"),
        "accuracy": value.accuracy.mean(axis=0).tolist(),
    }


@dataclass(frozen=True)
class Cell:
    """The training of one scheme in one world."""

    world: str
    scheme: str
    seeds: int

    def __call__(self, advance: Advance) -> dict[str, Any]:
        started = time.process_time()
        result = trained(world_named(self.world), self.scheme, range(self.seeds))
        document = {"world": self.world, "scheme": self.scheme, **result}
        document["cpu_seconds"] = time.process_time() - started
        advance(document)
        return document

    def file(self, out: Path) -> Path:
        """Returns where its result is kept."""
        return out / self.world.replace(" ", "_").replace("%", "") / f"{self.scheme}.json"

    def read(self, out: Path) -> dict[str, Any] | None:
        """Returns its result, if that of enough seeds is kept."""
        file = self.file(out)
        result: dict[str, Any] | None = json.loads(file.read_text()) if file.exists() else None
        return None if result is None or len(result["returns"]) < self.seeds else result


def regrets(scores: Mapping[str, Floats], fixed: Sequence[str]) -> dict[str, Floats]:
    """Returns the regret of each scheme in one world by seed, from scores [S] of each.

    Seeds of even places are compared with the fixed scheme that is best on the odd ones, and the
    other way round.
    """
    first = next(iter(scores.values()))
    even, rival = np.arange(len(first)) % 2 == 0, np.empty(len(first))
    for half in (even, ~even):
        best = max(fixed, key=lambda name: float(scores[name][~half].mean()))
        rival[half] = scores[best][half]
    return {name: rival - own for name, own in scores.items()}


def ranks(scores: Floats) -> Floats:
    """Returns the rank [n] of each of n scores, 1 for the largest; ties share the mean rank."""
    above = (scores[:, None] < scores).sum(axis=1)
    same = (scores[:, None] == scores).sum(axis=1)
    return np.asarray(above + (same + 1) / 2)


def summary(results: Mapping[str, Mapping[str, Floats]]) -> str:
    """Returns the table of schemes, from scores [S] by world and scheme."""
    schemes = list(next(iter(results.values())))
    fixed = [name for name in schemes if name in FIXED]
    by_world = [regrets(scores, fixed) for scores in results.values()]
    place = np.array([
        ranks(np.array([scores[name].mean() for name in schemes])) for scores in results.values()
    ])  # fmt: skip
    stacked = {
        name: np.stack([scores[name] for scores in results.values()], axis=1) for name in schemes
    }
    rows = []
    for k, name in enumerate(schemes):
        regret = np.stack([world[name] for world in by_world], axis=1)  # [S, worlds]
        of_world = regret.mean(axis=0)
        worst = mean_estimate(regret[:, of_world.argmax()])
        overall = bootstrap_interval(regret, rng=np.random.default_rng(0), statistic=mean)
        cells = [
            name,
            f"{stacked[name].mean():.3f}",
            with_interval(overall),
            f"{np.quantile(of_world, 0.9):.3f}",
            f"{with_interval(worst)} {list(results)[of_world.argmax()]}",
            f"{place[:, k].mean():.1f}",
        ]
        if CANDIDATE in schemes:
            better = probability_of_improvement(stacked[CANDIDATE], stacked[name], paired=True)
            cells.append("" if name == CANDIDATE else with_interval(better, ".2f"))
        rows.append((of_world.mean(), f"| {' | '.join(cells)} |"))
    head = ["scheme", "mean score", "mean regret", "90% regret", "worst regret", "mean rank"]
    head += [f"{CANDIDATE} is better"] * (CANDIDATE in schemes)
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(row for _, row in sorted(rows))])


def by_world(results: Mapping[str, Mapping[str, Floats]], name: str) -> str:
    """Returns the worlds as Markdown, those in which scheme `name` regrets most first."""
    rows = []
    for world, scores in results.items():
        fixed = sorted((s for s in scores if s in FIXED), key=lambda s: -scores[s].mean())
        regret = regrets(scores, fixed)[name]
        first = ", ".join(f"{other} {scores[other].mean():.3f}" for other in fixed[:3])
        cells = [world, with_interval(mean_estimate(regret)), f"{scores[name].mean():.3f}", first]
        cells.append(f"{fixed[-1]} {scores[fixed[-1]].mean():.3f}")
        rows.append((regret.mean(), f"| {' | '.join(cells)} |"))
    head = ["world", f"regret of {name}", "its score", "best fixed schemes", "worst fixed scheme"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(row for _, row in sorted(rows, reverse=True))])


def report(worlds: Sequence[str], schemes: Sequence[str], seeds: int, out: Path) -> str:
    """Returns both tables of each score over the worlds in which every scheme was trained."""
    read = {world: [Cell(world, name, seeds).read(out) for name in schemes] for world in worlds}
    whole = {world: found for world, found in read.items() if all(found)}
    lines = [
        f"{len(whole)} of {len(worlds)} worlds with all of {', '.join(schemes)}; {seeds} seeds. "
        "Intervals are 95% bootstrap intervals over seeds, the best fixed scheme as chosen."
    ]
    for score, title in SCORES.items() if whole else ():
        results = {
            world: {
                name: np.array(one[score][:seeds])
                for name, one in zip(schemes, found, strict=True)
                if one is not None
            }
            for world, found in whole.items()
        }
        lines += [f"\n## Normalized {title}\n", summary(results)]
        for name in schemes:
            lines += ["", by_world(results, name)] if name not in FIXED else []
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/adaptive"))
    parser.add_argument(
        "--worlds", nargs="*", default=["recipes", "development"],
        help="recipes, development, final, or single worlds such as 'random 3'",
    )  # fmt: skip
    parser.add_argument("--schemes", nargs="*", default=[*FIXED, CANDIDATE])
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--again", nargs="*", default=[], help="schemes to train once more")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args()
    if not set(given.schemes) & set(FIXED):
        parser.error(f"got schemes {', '.join(given.schemes)}; wanted some of {', '.join(FIXED)}")
    sets = {"recipes": list(RECIPES)}
    sets |= {name: [f"random {number}" for number in some] for name, some in RANDOM.items()}
    parts = {part: sets[part] for part in given.worlds if part in sets}
    if single := [world for world in given.worlds if world not in sets]:
        parts["single worlds"] = single
    worlds = [world for part in parts.values() for world in part]
    cells = [Cell(world, scheme, given.seeds) for world in worlds for scheme in given.schemes]
    for cell in cells:
        if cell.scheme in given.again and not given.table:
            cell.file(given.out).unlink(missing_ok=True)
    left = [] if given.table else [cell for cell in cells if cell.read(given.out) is None]
    run_tasks(left, workers=given.workers, on_message=partial(_keep, left, given.out))
    for part, some in parts.items():
        print(f"\n# {part}\n\n{report(some, given.schemes, given.seeds, given.out)}")


def _keep(cells: Sequence[Cell], out: Path, number: int, document: dict[str, Any]) -> None:
    """Writes the result of a cell, and prints a line about it."""
    cell = cells[number]
    write_json(cell.file(out), document)
    score = f"{np.mean(document['returns']):.3f} {np.mean(document['weighted']):.3f}"
    took = f"{document['cpu_seconds']:.1f} CPU seconds"
    print(f"{number + 1}/{len(cells)} {cell.world}, {cell.scheme}: {score}, {took}", flush=True)


if __name__ == "__main__":
    main()
