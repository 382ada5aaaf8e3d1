"""Rewards from a judge: what ranking in one call is worth, how weak a judge may be, what voids
cost.

    python bench/judge.py --out counterpoint-out/bench/judge.json

A bandit learns from a judge's opinions (counterpoint.claims.bandit): final value over the best
arm's, interquartile mean over seeds with its 95% bootstrap interval. Tables are Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import with_interval, write_json
from counterpoint.claims.bandit import Bandit, Opinions, judged, learn, ranked, scored
from counterpoint.judge import (
    Candidate,
    Group,
    Programmatic,
    ProgrammaticSettings,
    RankSettings,
    rank_groups,
)
from counterpoint.records import Episode, Event
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance
from counterpoint.stats import bootstrap_interval
from counterpoint.train.loop import train_to_end
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.train.lora.settings import LanguageSettings

NOISES = (0.0, 0.15, 0.3, 0.6)
SEEDS = 40
FEW = Bandit(updates=60)
"""For what goes through all of `counterpoint rank`."""
ACCURACIES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


def cell(opinions: Opinions, bandit: Bandit | None = None) -> dict[str, Any]:
    """Learns with all seeds, and returns the final value with its interval."""
    done = learn(opinions, range(SEEDS), bandit)
    interval = bootstrap_interval(done.value, rng=np.random.default_rng(0))
    numbers = {"iqm": interval.value, "low": interval.low, "high": interval.high, "void": done.void}
    return {**numbers, "text": with_interval(interval)}


def simple() -> dict[str, Any]:
    """Compares separate calls, one call, ranks, position bias, and shuffled orders."""
    rows: dict[str, Any] = {
        "separate calls, drift .5": lambda noise: scored(noise, 0.5),
        "one call, scores": lambda noise: scored(noise),
        "one call, ranks": lambda noise: ranked(noise),
        "ranks, position bias .5, listed by kind": lambda noise: ranked(noise, 0.5, "sorted"),
        "ranks, position bias .5, listed as drawn": lambda noise: ranked(noise, 0.5, "drawn"),
        "ranks, position bias .5, shuffled": lambda noise: ranked(noise, 0.5, "shuffled"),
    }
    print("| rewards from | " + " | ".join(f"noise {x:g}" for x in NOISES) + " |")
    print("|---" * (len(NOISES) + 1) + "|")
    out = {}
    for name, make in rows.items():
        out[name] = [cell(make(noise)) for noise in NOISES]
        print(f"| {name} | " + " | ".join(each["text"] for each in out[name]) + " |", flush=True)
    return out


def weak() -> dict[str, Any]:
    """Measures the curve against the judge's accuracy, through all of `rank`.

    Shrinkage also makes steps shorter. What is left of it when steps are as long in the mean is
    told by an arm that multiplies all rewards by the mean reliability.
    """
    names = ("as it ships", "times its reliability", "all times the mean", "no canaries")
    print("\n| accuracy | mean reliability | " + " | ".join(names) + " | void, as it ships |")
    print("|---" * (len(names) + 3) + "|")
    out: dict[str, Any] = {}
    for accuracy in ACCURACIES:
        judge = Programmatic(ProgrammaticSettings(accuracy=accuracy))
        rng = np.random.default_rng(1)
        verdicts = [
            v for v in rank_groups((clean(k, 8, rng) for k in range(300)), judge) if not v.void
        ]
        mean = float(np.mean([v.reliability for v in verdicts])) if verdicts else 0.0
        row = {
            names[0]: cell(judged(judge, RankSettings()), FEW),
            names[1]: cell(judged(judge, RankSettings(shrink=True)), FEW),
            names[2]: cell(judged(judge, RankSettings(), mean), FEW),
            names[3]: cell(judged(judge, RankSettings(canaries="none")), FEW),
        }
        out[f"{accuracy:g}"] = {**row, "mean reliability": mean}
        cells = " | ".join(each["text"] for each in row.values())
        void = row[names[0]]["void"]
        print(f"| {accuracy:g} | {mean:.2f} | {cells} | {void:.3f} |", flush=True)
    return out


def modes() -> dict[str, Any]:
    """Compares modes at equal calls, and at equal readings (a listwise call of 8 reads 8 runs, a
    pair 2).
    """
    out: dict[str, Any] = {}
    settings = {
        "listwise, 2 orders": ({"mode": "listwise"}, 2, 16),
        "listwise, 4 orders": ({"mode": "listwise", "orders": 4}, 4, 32),
        "swiss, 16 calls": ({"mode": "swiss", "calls": 16}, 16, 32),
        "adaptive, 16 calls": ({"mode": "adaptive", "calls": 16}, 16, 32),
        "all pairs drawn, 16 calls": ({"mode": "pairwise", "calls": 16}, 16, 32),
        "all pairs, 56 calls": ({"mode": "pairwise"}, 56, 112),
        "listwise, 16 orders": ({"mode": "listwise", "orders": 16}, 16, 128),
        "pointwise, 2 times": ({"mode": "pointwise"}, 16, 16),
    }
    print("\n| mode | calls | runs read | accuracy .7 | accuracy .9 |\n|---|---|---|---|---|")
    for name, (mode, calls, read) in settings.items():
        row = []
        for accuracy in (0.7, 0.9):
            judge = Programmatic(ProgrammaticSettings(accuracy=accuracy, drift=0.5))
            ranking = RankSettings(canaries="none", **mode)  # type: ignore[arg-type]
            row.append(cell(judged(judge, ranking), FEW))
        out[name] = row
        print(f"| {name} | {calls} | {read} | {row[0]['text']} | {row[1]['text']} |", flush=True)
    return out


def voids(groups: int = 2000) -> dict[str, Any]:
    """Measures how often a clean group is void, by accuracy and the size of the group."""
    sizes, rng = (2, 4, 8), np.random.default_rng(0)
    print("\n| accuracy | " + " | ".join(f"{n} runs" for n in sizes) + " |\n|---|---|---|---|")
    out: dict[str, Any] = {}
    for accuracy in (0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0):
        judge, row = Programmatic(ProgrammaticSettings(accuracy=accuracy)), {}
        for n in sizes:
            reasons = [
                v.void for v in rank_groups((clean(k, n, rng) for k in range(groups)), judge)
            ]
            canary = sum(v.startswith("compromised") for v in reasons) / groups
            row[n] = {"canary": canary, "all": sum(map(bool, reasons)) / groups}
        out[f"{accuracy:g}"] = row
        cells = " | ".join(f"{v['canary']:.4f} ({v['all']:.4f})" for v in row.values())
        print(f"| {accuracy:g} | {cells} |", flush=True)
    return out


def clean(k: int, n: int, rng: np.random.Generator) -> Group:
    """Returns a group of honest runs."""
    runs = [
        Candidate(
            str(i), Episode(str(i), (Event(0, "a", "message", f"answer {i}"),), ("a",)), float(t)
        )
        for i, t in enumerate(rng.random(n))
    ]
    return Group(str(k), "answer", tuple(runs))


@dataclass(frozen=True)
class One:
    """One training of a team: a task for any executor."""

    judge: str
    settings: str
    seed: int

    def __call__(self, advance: Advance) -> tuple[float, float]:
        language = LanguageSettings(judge=self.judge, judge_set=self.settings, diagnose_every=0)
        scheme, budget = "mappo_per_agent", 150
        plan = LanguagePlan("lewis", scheme, self.seed, budget, None, {}, language, model="tiny")
        done = train_to_end(plan)
        void = [row.metrics.get("judge.void", 0.0) for row in done.rows]
        return float(done.returns.mean()), float(np.mean(void))


def team(seeds: int = 8) -> dict[str, Any]:
    """Trains two tiny language models that learn a signalling game from a judge's ranking alone."""
    arms = {"the true reward": ("", "")}
    for accuracy in (1.0, 0.95, 0.9, 0.8, 0.5):
        settings = f"accuracy:{accuracy},canaries:relaxed,orders:4"
        arms[f"a judge of accuracy {accuracy:g}"] = ("programmatic", settings)
    results = run_tasks([One(*arm, seed) for arm in arms.values() for seed in range(seeds)])
    print("\n| reward from | success | void groups |\n|---|---|---|")
    out = {}
    for i, name in enumerate(arms):
        mine = np.array(results[i * seeds : (i + 1) * seeds])
        success = bootstrap_interval(mine[:, 0], rng=np.random.default_rng(0))
        out[name] = {"values": mine[:, 0].tolist(), "void": float(mine[:, 1].mean())}
        print(f"| {name} | {with_interval(success)} | {mine[:, 1].mean():.3f} |", flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/judge.json"))
    every = {part.__name__: part for part in (simple, weak, modes, voids, team)}
    parser.add_argument("--only", choices=tuple(every), default=None)
    options = parser.parse_args()
    parts = [every[options.only]] if options.only else list(every.values())
    document = {part.__name__: part() for part in parts}
    write_json(options.out, document)


if __name__ == "__main__":
    main()
