"""How well the first mistake of a failed run is attributed: accuracy, calibration, baselines.

    python bench/attribution.py LOGS [--out FILE]
    python bench/attribution.py LOGS --judge URL --model NAME [--runs N] [--set longest=6000 ...]

LOGS is a folder of Who&When runs (https://github.com/mingyin1/Agents_Failure_Attribution), whose
labels say which member made the decisive mistake and at which step. Every run is judged by weights
that were fitted to the other nine tenths. With --judge, a language model judges N of the runs
instead, evenly spaced, behind an OpenAI-compatible server.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from counterpoint.audits import audit
from counterpoint.audits.attribution import FEATURES, SURE, candidates, features
from counterpoint.judge.catalogue import reader_and_settings
from counterpoint.judge.mistakes import judge_mistakes, plan_mistakes
from counterpoint.readers import read_logs
from counterpoint.records import Episode
from counterpoint.results import document_of
from counterpoint.settings import split_pairs
from counterpoint.speakers.cache import Replies
from counterpoint.stats import wilson_interval

FOLDS, REPEATS, PENALTY, STEPS, RATE = 10, 5, 10.0, 300, 0.05
BINS = (0.0, 0.5, 0.6, SURE, 1.0001)


def label_of(episode: Episode) -> tuple[str, int]:
    """Returns the member and the place of the labelled mistake."""
    return str(episode.labels["mistake_agent"]), int(str(episode.labels["mistake_step"]))


def fit(episodes: list[Episode]) -> np.ndarray:
    """Returns the weights of greatest penalized likelihood: half of the label is its step, half its
    member."""
    prepared = []
    for episode in episodes:
        steps, values = features(episode)
        agent, place = label_of(episode)
        mine = np.array([event.agent == agent for event in steps], dtype=float)
        there = np.array([event.t == place for event in steps], dtype=float) * mine
        if mine.any():
            prepared.append((values, mine, there))
    everything = np.vstack([values for values, _, _ in prepared])
    scale = everything.std(axis=0) + 1e-9
    weights, first, second = (np.zeros(len(FEATURES)) for _ in range(3))
    for step in range(1, STEPS + 1):
        gradient = PENALTY * weights
        for values, mine, there in prepared:
            z = values / scale
            p = np.exp(z @ weights - (z @ weights).max())
            p /= p.sum()
            inner = p * mine / (p * mine).sum()
            target = 0.5 * there + 0.5 * inner if there.any() else inner
            gradient -= z.T @ (target - p)
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        weights -= RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
    return weights / scale


def rates(hits: list[bool]) -> dict[str, float]:
    """Returns a share with its interval."""
    interval = wilson_interval(sum(hits), len(hits))
    return {"share": interval.value, "low": interval.low, "high": interval.high, "n": len(hits)}


def main() -> None:
    """Measures, and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--judge")
    parser.add_argument("--model", default="")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--store", type=Path, default=Path("bench/results/attribution.sqlite"))
    given = parser.parse_args()
    episodes = [e for e in read_logs(given.logs) if "mistake_step" in e.labels]
    if given.judge:
        places = np.linspace(0, len(episodes) - 1, min(given.runs, len(episodes))).round()
        finish(judge_table([episodes[int(i)] for i in places], given), given.out)
        return
    rng = np.random.default_rng(0)
    judged = []  # one row a run and repeat
    for _ in range(REPEATS):
        order = rng.permutation(len(episodes))
        for fold in range(FOLDS):
            here = set(order[fold::FOLDS].tolist())
            weights = fit([e for i, e in enumerate(episodes) if i not in here])
            for i in sorted(here):
                ranked = candidates(episodes[i], weights)
                agent, place = label_of(episodes[i])
                members = Counter({c.agent: c.agent_probability for c in ranked}).most_common()
                names = [name for name, _ in members]
                steps = [(c.agent, c.event) for c in ranked]
                judged.append((
                    i, names[0] == agent, agent in names[:3], steps[0] == (agent, place),
                    (agent, place) in steps[:3], members[0][1],
                ))  # fmt: skip
    once = judged[: len(episodes)]
    baselines: dict[str, list[bool]] = {name: [] for name in ("first", "last", "busiest")}
    chance, step_chance = [], []
    for episode in episodes:
        steps, _ = features(episode)
        agent, _ = label_of(episode)
        counts = Counter(event.agent for event in steps)
        baselines["first"].append(steps[0].agent == agent)
        baselines["last"].append(steps[-1].agent == agent)
        baselines["busiest"].append(counts.most_common(1)[0][0] == agent)
        chance.append((agent in counts) / len(counts))
        step_chance.append(1 / len(steps))
    table = {
        "runs": len(episodes),
        "agent top 1": rates([row[1] for row in once]),
        "agent top 1, mean of repeats": float(np.mean([row[1] for row in judged])),
        "agent top 3": rates([row[2] for row in once]),
        "step top 1": rates([row[3] for row in once]),
        "step top 3": rates([row[4] for row in once]),
        **{f"always the {name}": rates(hits) for name, hits in baselines.items()},
        "a random member": float(np.mean(chance)),
        "a random step": float(np.mean(step_chance)),
        "calibration": [
            {"from": low, "to": min(high, 1.0), **rates([r[1] for r in once if low <= r[5] < high]),
             "said": float(np.mean([r[5] for r in once if low <= r[5] < high]))}
            for low, high in pairwise(BINS)
            if any(low <= r[5] < high for r in once)
        ],
        "weights": dict(zip(FEATURES, fit(episodes).round(3).tolist(), strict=True)),
    }  # fmt: skip
    finish(table, given.out)


def judge_table(episodes: list[Episode], given: argparse.Namespace) -> dict[str, object]:
    """Returns with whom a language model agrees about the first mistakes, and what it was asked."""
    named = {"base_url": given.judge, "model": given.model}
    judge, settings = reader_and_settings("openai", split_pairs(given.set, "--set") | named)
    given.store.parent.mkdir(parents=True, exist_ok=True)
    judging = judge_mistakes(
        plan_mistakes(episodes, settings), judge, store=Replies(given.store, print),
        on_reply=lambda done, total: print(f"{done} of {total}", file=sys.stderr),
    )  # fmt: skip
    report = document_of(audit(episodes, only=["attribution"], judging=judging).judge)
    modes = {row["mode"]: row["episodes"] for row in report.pop("modes") if row["episodes"]}
    return {"runs": len(episodes), "modes": modes} | report


def finish(table: dict[str, object], out: Path | None) -> None:
    """Prints a table, and writes it."""
    text = json.dumps(table, indent=1)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
