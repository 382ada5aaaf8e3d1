"""Our algorithms beside the benchmark of EPyMARL (Papoudakis et al. 2021, arXiv 2006.07869).

    python bench/epymarl.py --out counterpoint-out/bench/epymarl --seeds 5 --budget 200000
    python bench/epymarl.py --out counterpoint-out/bench/epymarl --table

Returns are in the unit of the benchmark: the sum of the rewards of all agents in foraging and the
warehouse, that sum divided by the number of agents in particle worlds. A step is a step of one copy
of the world. At each fifth of a budget (less often in Python) a team plays fresh episodes as in the
benchmark: see `played_greedily`; at the end also the other way.

Each training is one file below `--out`; what is there is not trained again. Seeds are the outer
loop, so that every row has some before any has all.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from common import PROJECT, mean_estimate, with_interval, write_json
from counterpoint.train.algorithms import VALUE_BASED
from counterpoint.train.ppo.plan import PolicyTrainer
from counterpoint.train.session import plan_of
from counterpoint.train.value.plan import ValueTrainer

ARMS = {
    "mappo_pooled": "IPPO",
    "mappo_per_agent": "IPPO",
    "none": "IPPO",
    "happo": "IPPO",
    "vdn": "VDN",
    "qmix": "QMIX",
    "iql": "IQL",
}
"""Our arm to the algorithm of the benchmark beside it: PPO has its default here, own critics."""
PUBLISHED = PROJECT / "bench" / "data" / "epymarl.json"


@dataclass(frozen=True)
class Task:
    """A world of the benchmark."""

    world: str
    """Its name here."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings that make it theirs; the reward is common everywhere."""
    scale: float = 1.0
    """What a return of ours is multiplied by in their unit, before `shift` is added."""
    shift: float = 0.0
    points: int = 5
    """Evaluations of a training."""
    episodes: int = 100
    """Fresh episodes of each."""


def foraging(size: int, agents: int, food: int, **settings: Any) -> Task:
    """Returns level-based foraging on a square field."""
    return Task("foraging", {"size": size, "agents": agents, "food": food, **settings})


TASKS = {
    "lbf 8x8-2p-2f-coop": foraging(8, 2, 2, force_coop=True),
    "lbf 2s-8x8-2p-2f-coop": foraging(8, 2, 2, force_coop=True, sight=2),
    "lbf 10x10-3p-3f": foraging(10, 3, 3),
    "lbf 15x15-3p-5f": foraging(15, 3, 5),
    # Their agents also pay 1 a step each for touching themselves (3 agents, 25 steps), and weigh
    # distances and collisions twice as much.
    "mpe spread": Task("spread", scale=2.0, shift=-75.0),
    # They pay both agents the sum of both, and divide the sum of that by 2.
    "mpe speaker-listener": Task("speaker_listener"),
    "mpe tag": Task("epymarl_tag:Tag", scale=1 / 3, points=2),
    "rware tiny-2ag": Task("rware:rware-tiny-2ag-v2", points=1, episodes=32),
    "rware tiny-4ag": Task("rware:rware-tiny-4ag-v2", points=1, episodes=32),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/epymarl"))
    parser.add_argument("--world", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    parser.add_argument("--budget", type=int, default=100_000, help="steps of each training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], help="settings, key=value")
    parser.add_argument("--prey", help="weights of the prey of tag: see epymarl_tag.py")
    parser.add_argument("--table", action="store_true", help="print what is there, train nothing")
    options = parser.parse_args()
    given = dict(pair.split("=", 1) for pair in options.set)
    for seed in range(0 if options.table else options.seeds):
        for name in options.world:
            made = {**given, "prey": options.prey} if name == "mpe tag" else given
            if name == "mpe tag" and not options.prey:
                print("## tag is left out: its prey is in no package; give --prey ##", flush=True)
                continue
            for arm in options.arms:
                path = options.out / name / str(options.budget) / arm / f"{seed}.json"
                if not path.exists():
                    write_json(path, curve(name, arm, options.budget, seed, made))
                    print(line(path), flush=True)
    rows = table(options.out)
    write_json(options.out / "results.json", rows)
    print(markdown(rows))


def curve(name: str, arm: str, budget: int, seed: int, given: dict[str, Any]) -> dict[str, Any]:
    """Trains one team; returns its evaluations in the unit of the benchmark."""
    task, greedily = TASKS[name], played_greedily(name, arm)
    still = {} if arm in VALUE_BASED else {"diagnose_every": 0, "evaluate_every": 0}
    known = {"reward": "common", **task.settings, **still, **given}
    plan = plan_of(task.world, arm, budget=budget, given=known)
    plan = replace(plan, seed=seed, episodes=task.episodes)
    team, begun, steps, theirs = plan.trainer(), time.process_time(), [], []
    while team.steps < plan.budget:
        team.update(None)
        if team.steps * task.points >= plan.budget * (len(steps) + 1):
            steps.append(team.steps)
            theirs.append(task.scale * returned(team, greedily) + task.shift)
    other = task.scale * returned(team, not greedily) + task.shift
    team.close()
    seconds = round(time.process_time() - begun, 1)
    curves = {"steps": steps, "theirs": theirs, "other way": other}
    return {**curves, "seconds": seconds, "given": given}


def returned(team: Any, greedily: bool) -> float:
    """Returns the mean return of fresh episodes with the best actions, or else with those that
    policies draw and values take, which act at random once in 20 times. With the best actions
    policies play 32 episodes (8 in a world in Python)."""
    if not greedily:
        return mean_return(team)
    if isinstance(team, PolicyTrainer):
        return team.greedy_return()["greedy_return"]
    assert isinstance(team, ValueTrainer)
    learner, settings = team.learner, team.learner.settings
    learner.settings = replace(settings, epsilon_end=0.0)
    greedy = mean_return(team)
    learner.settings = settings
    return greedy


def mean_return(team: Any) -> float:
    """Returns the mean return of fresh episodes."""
    returns, _ = team.evaluate(lambda: False)
    return float(returns.mean())


def played_greedily(world: str, arm: str) -> bool:
    """Returns whether the benchmark evaluates this algorithm with the best actions.

    Its policies draw their actions. Its values act at random once in 20 times in foraging (but for
    VDN) and in the warehouse, and never in particle worlds (tables 12, 26 and 28).
    """
    return arm in VALUE_BASED and (world.startswith("mpe") or (world[:3], arm) == ("lbf", "vdn"))


def line(path: Path) -> str:
    """Returns how one training ended."""
    one = json.loads(path.read_text("utf-8"))
    ends = f"{one['theirs'][-1]:.2f}, the other way {one['other way']:.2f}"
    return f"{' '.join(path.with_suffix('').parts[-4:])}: {ends}; {one['seconds']} s"


def shown(returns: np.ndarray) -> str:
    """Returns the mean over seeds with its interval, which one seed has none of."""
    return with_interval(mean_estimate(returns), ".2f") if len(returns) > 1 else f"{returns[0]:.2f}"


def table(out: Path) -> list[dict[str, Any]]:
    """Returns a row for each world, budget and arm that was trained below a folder."""
    published = json.loads(PUBLISHED.read_text("utf-8"))
    found = defaultdict(list)
    for path in out.glob("*/*/*/*.json"):
        found[path.parent].append(json.loads(path.read_text("utf-8")))
    rows, arms = [], list(ARMS)
    names = {world: place for place, world in enumerate(TASKS)}
    order = sorted(
        found,
        key=lambda f: (names[f.parents[1].name], int(f.parent.name), arms.index(f.name)),
    )
    for folder in order:
        curves, world, arm = found[folder], folder.parents[1].name, folder.name
        theirs, other = (np.array([one[way] for one in curves]) for way in ("theirs", "other way"))
        best = int(theirs.mean(axis=0).argmax())
        row: dict[str, Any] = {"world": world, "budget": int(folder.parent.name), "arm": arm}
        row |= {
            "seeds": len(curves),
            "maximum": shown(theirs[:, best]),
            "average": shown(theirs.mean(axis=1)),
            "the other way": shown(other),
            "CPU-seconds": round(float(np.mean([one["seconds"] for one in curves]))),
        }
        for kind in ("maximum", "average"):
            mean, half = published[kind][world][ARMS[arm]]
            row[f"their {kind}"] = f"{ARMS[arm]} {mean:.2f} ± {half:.2f}"
        rows.append(row)
    return rows


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the rows as a table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[str(row.get(name, "")) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
