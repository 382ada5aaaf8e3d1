"""The experiments with language-model teams behind docs/discussion/language-results.md.

    python bench/language_results.py --out counterpoint-out/bench/language [--only NAME]

Every scheme gets the same sweep over learning rate and entropy on seeds of its own; the comparison
then takes each scheme's best setting to fresh seeds. Tables are printed as Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.credit import Scheme
from counterpoint.lm.model import open_model
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance
from counterpoint.stats import bootstrap_interval
from counterpoint.train.loop import train_to_end
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.plan import LanguagePlan, LanguageTrainer
from counterpoint.train.lora.settings import LanguageSettings

SCHEMES = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "agent_mean")
REWARDS: Mapping[str, Mapping[str, float]] = {
    "R": {},
    "R + 5": {"speaker_offset": 5.0},
    "10 R + 5": {"speaker_scale": 10.0, "speaker_offset": 5.0},
}
RATES = {"tiny": (0.001, 0.003, 0.01), "smollm2": (0.002, 0.005, 0.01)}
ENTROPIES = (0.05, 0.2, 0.5)
SWEPT_ON, OWN = "10 R + 5", "mappo_per_agent"
"""The reward of the sweep, and the scheme whose setting all get where all are paid the same."""
SWEPT, FRESH = (0, 1, 2), 100
"""Seeds of the sweep, and the first of the comparison."""
CONTESTANTS = {"tiny": SCHEMES, "smollm2": SCHEMES[:3]}
UPDATES = {"schelling": 40, "lewis": 150}
"""Of a training."""
SMALL = {"largest": 2, "price": 0.1}


@dataclass(frozen=True)
class One:
    """One training: a task for any executor."""

    plan: LanguagePlan

    def __call__(self, advance: Advance) -> tuple[float, float]:
        done = train_to_end(self.plan)
        return float(done.returns.mean()), float(done.rows[-1].seconds or 0.0)


def plan(
    model: str, world: str, scheme: str, seed: int, reward: str, lr: float, entropy: float
) -> LanguagePlan:
    """Returns one training of a sweep or a comparison."""
    language = LanguageSettings(lr=lr, entropy=entropy, diagnose_every=0)
    return LanguagePlan(
        world, scheme, seed, UPDATES[world], None, dict(REWARDS[reward]), language, model=model
    )


def run(plans: Sequence[LanguagePlan]) -> list[float]:
    """Returns the final return of each training."""
    return [value for value, _ in run_tasks([One(each) for each in plans])]


def sweep(model: str, world: str, reward: str) -> dict[str, Any]:
    """Returns the mean final success by scheme, learning rate and entropy, and the best of each
    scheme.
    """
    cells = [(s, lr, e) for s in CONTESTANTS[model] for lr in RATES[model] for e in ENTROPIES]
    plans = [plan(model, world, s, seed, reward, lr, e) for s, lr, e in cells for seed in SWEPT]
    returns = np.array(run(plans)).reshape(len(cells), len(SWEPT)).mean(axis=1)
    table = [[s, lr, e, round(float(x), 3)] for (s, lr, e), x in zip(cells, returns, strict=True)]
    best = {}
    for scheme in CONTESTANTS[model]:
        own = [row for row in table if row[0] == scheme]
        top = max(row[3] for row in own)
        # ties go to the middle of the grid, where neighbours do as well
        best[scheme] = min(
            (row for row in own if row[3] >= top - 0.01),
            key=lambda row: (
                abs(np.log(row[1] / RATES[model][1])) + abs(np.log(row[2] / ENTROPIES[1]))
            ),
        )[1:3]
    return {"table": table, "best": best}


def compared(model: str, world: str, seeds: int) -> dict[str, Any]:
    """Returns final success on fresh seeds, each scheme with the best setting of its sweep."""
    schemes, start = CONTESTANTS[model], time.monotonic()
    swept = sweep(model, world, SWEPT_ON)
    out: dict[str, Any] = {"sweep": swept, "sweep_seconds": time.monotonic() - start}
    print(f"#### {model}, {world}: sweep, speaker is paid {SWEPT_ON}, seeds {SWEPT}\n")
    print("| lr, entropy | " + " | ".join(schemes) + " |\n|---" + "|---" * len(schemes) + "|")
    for lr in RATES[model]:
        for entropy in ENTROPIES:
            cells = [f"{row[3]:.2f}" for row in swept["table"] if row[1:3] == [lr, entropy]]
            print(f"| {lr:g}, {entropy:g} | " + " | ".join(cells) + " |")
    print(f"\n{out['sweep_seconds']:.0f} s\n")
    for reward in REWARDS:
        # where all are paid the same, one setting for all: schemes must then be the same bits
        best = swept["best"] if REWARDS[reward] else dict.fromkeys(schemes, swept["best"][OWN])
        middle = time.monotonic()
        plans = [
            plan(model, world, scheme, FRESH + seed, reward, *best[scheme])
            for seed in range(seeds)
            for scheme in schemes
        ]
        values = np.array(run(plans)).reshape(seeds, len(schemes)).T
        document: dict[str, Any] = {"seconds": time.monotonic() - middle}
        document["schemes"] = {s: summary(v) for s, v in zip(schemes, values, strict=True)}
        out[reward] = document
        print(f"#### {model}, {world}, speaker is paid {reward}\n")
        print("| scheme | lr, entropy | success | seeds |\n|---|---|---|---|")
        for scheme, each in document["schemes"].items():
            lr, entropy = best[scheme]
            seen = " ".join(f"{x:.2f}" for x in each["values"])
            print(
                f"| {scheme} | {lr:g}, {entropy:g} | {each['iqm']:.3f} "
                f"[{each['low']:.3f}, {each['high']:.3f}] | {seen} |"
            )
        print(f"\n{document['seconds']:.0f} s\n", flush=True)
    return out


def summary(values: Any) -> dict[str, Any]:
    """Returns the interquartile mean and its bootstrap interval."""
    values = np.asarray(values, dtype=float)
    interval = bootstrap_interval(values, rng=np.random.default_rng(0))
    numbers = {"iqm": interval.value, "low": interval.low, "high": interval.high}
    return {**numbers, "values": values.tolist()}


@dataclass(frozen=True)
class Cell:
    """One training of the ablation: identity x weighting x penalty."""

    model: str
    by_agent: bool
    weighting: str
    penalty: str
    seed: int

    def __call__(self, advance: Advance) -> dict[str, float]:
        tiny = self.model == "tiny"
        language = LanguageSettings(
            prompts=16, rollouts=16, lr=0.003 if tiny else 0.005, entropy=0.1, entropy_end=0.01
        )
        settings = {**SMALL, "penalty": self.penalty}
        budget = 400 if tiny else 100
        made = LanguagePlan(
            "solver_verifier", "none", self.seed, budget, None, settings, language, model=self.model
        )
        by = ("agent",) if self.by_agent else ()
        scheme = Scheme(center_by=by, scale_by=by, weighting=self.weighting)  # type: ignore[arg-type]
        learner = LanguageLearner(
            open_model(self.model), made.make_world(), scheme, made.language, self.seed, budget
        )
        team, mass = LanguageTrainer(made, learner), []
        for _ in range(budget):
            measured = team.update(None).measured
            of_verifier = measured and measured[0][team.agents.index("verifier")]["net_mass"]
            if of_verifier is not None:
                mass.append(of_verifier)
        last = [learner.play(np.random.default_rng([self.seed, 7, i])) for i in range(4)]
        calls = [len(s) // 2 for played in last for s in played.messages]
        success = float(np.mean([played.success.mean() for played in last]))
        return {
            "success": success,
            "calls": float(np.mean(calls)),
            "net": success - SMALL["price"] * float(np.mean(calls)),
            "verifier_mass": float(np.mean(mass)) if mass else float("nan"),
        }


def ablation(model: str, seeds: int) -> dict[str, Any]:
    """Compares agent identity x step weighting x who pays for a call, on solver_verifier."""
    cells = [
        (by, weighting, penalty)
        for by in (False, True)
        for weighting in ("trajectory", "step")
        for penalty in ("team", "local")
    ]
    tasks = [Cell(model, *cell, seed) for cell in cells for seed in range(seeds)]
    results = run_tasks(tasks)
    print(f"#### {model}, solver_verifier: identity x weighting x penalty\n")
    print("| statistics | weighting | price paid by | success | calls | success - price | mass |")
    print("|---" * 7 + "|")
    out, net = [], np.zeros((len(cells), seeds))
    for i, (by, weighting, penalty) in enumerate(cells):
        mine = results[i * seeds : (i + 1) * seeds]
        net[i] = [one["net"] for one in mine]
        numbers = {
            name: summary([one[name] for one in mine]) for name in ("success", "calls", "net")
        }
        masses = [one["verifier_mass"] for one in mine]
        numbers["verifier_mass"] = float(np.nanmean(masses)) if np.isfinite(masses).any() else None
        out.append({"by_agent": by, "weighting": weighting, "penalty": penalty, **numbers})
        cell = {k: f"{v['iqm']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for k, v in numbers.items()
                if isinstance(v, dict)}  # fmt: skip
        print(
            f"| {'own' if by else 'pooled'} | {weighting} | {penalty} | {cell['success']} | "
            f"{cell['calls']} | {cell['net']} | {numbers['verifier_mass'] or 0:+.3f} |"
        )
    effects = {}
    for axis, name in enumerate(("own statistics", "step weighting", "local penalty")):
        cube = net.reshape(2, 2, 2, seeds)
        paired = (np.take(cube, 1, axis) - np.take(cube, 0, axis)).mean(axis=(0, 1))
        effect = bootstrap_interval(paired, rng=np.random.default_rng(0))
        low, high = effect.low, effect.high
        effects[name] = {"iqm": effect.value, "low": low, "high": high}
        print(f"\n{name}: {effect.value:+.3f} [{low:+.3f}, {high:+.3f}] in success - price")
    print()
    return {"cells": out, "effects": effects}


@dataclass(frozen=True)
class Relayed:
    """One training in free text: its success, update by update, and after them."""

    seed: int
    updates: int
    lr: float

    def __call__(self, advance: Advance) -> dict[str, Any]:
        language = LanguageSettings(prompts=4, rollouts=8, lr=self.lr, diagnose_every=5)
        made = LanguagePlan(
            "relay", OWN, self.seed, self.updates, None, {}, language, model="smollm2", episodes=64
        )
        start = time.process_time()
        done = train_to_end(made)
        return {
            "curve": [row.returned for row in done.rows],
            "final": float(done.returns.mean()),
            "cpu_minutes": (time.process_time() - start) / 60,
        }


def relay(seeds: int) -> dict[str, Any]:
    """Compares a planner and an answerer who write freely with the same team that never learns."""
    teams = ((20, 0.002), (1, 1e-12))
    tasks = [Relayed(seed, *team) for team in teams for seed in range(seeds)]
    results = run_tasks(tasks)
    print("#### smollm2, relay: free text\n")
    print("| team | first updates | last updates | fresh episodes | CPU-minutes |")
    print("|---" * 5 + "|")
    for i, one in enumerate(results):
        first, last = np.mean(one["curve"][:3]), np.mean(one["curve"][-3:])
        who = "learning" if i < seeds else "not learning (control)"
        print(
            f"| {who}, seed {i % seeds} | {first:.2f} | {last:.2f} | {one['final']:.2f} | "
            f"{one['cpu_minutes']:.1f} |"
        )
    print()
    return {"learning": results[:seeds], "control": results[seeds:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/language"))
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "tiny-schelling": lambda: compared("tiny", "schelling", 8),
        "tiny-lewis": lambda: compared("tiny", "lewis", 8),
        "tiny-ablation": lambda: ablation("tiny", 10),
        "smollm2-schelling": lambda: compared("smollm2", "schelling", 5),
        "smollm2-lewis": lambda: compared("smollm2", "lewis", 5),
        "smollm2-ablation": lambda: ablation("smollm2", 3),
        "smollm2-relay": lambda: relay(3),
    }
    parser.add_argument("--only", choices=tuple(parts), default=None)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else parts:
        start = time.monotonic()
        document = parts[name]()
        document["seconds"] = time.monotonic() - start
        (options.out / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        print(f"{name}: {document['seconds']:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()
