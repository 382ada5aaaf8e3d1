"""How fast advantages are: a million decisions of 8 agents with 4 components, on one core.

    python bench/speed.py [--rows 1000000] [--runs 5] [--largest 10000000] [--out speed.json]

Beside gdpo and agent_wise it times two loops over the same rows, which must agree with them: the
pattern of published trainers (a dict of lists, filled row by row, then statistics per group) and
slices of the sorted rows. Start reading in `main`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported

import argparse
import json
import subprocess
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import advantages, catalogue

Floats = NDArray[np.float64]
AGENTS, ROLLOUTS, COMPONENTS = 8, 8, 4
SCHEMES = ("gdpo", "agent_wise")


@dataclass(frozen=True)
class Batch:
    """What one call gets: N decisions, in the order in which a trainer plays them."""

    rewards: Floats
    """[N, K] components; a rollout has one value of each, as GDPO defines it."""
    labels: dict[str, NDArray[np.int64]]
    """prompt, rollout and agent, each [N]."""

    @property
    def bytes(self) -> int:
        return self.rewards.nbytes + sum(column.nbytes for column in self.labels.values())


def batch(rows: int) -> Batch:
    """Returns about `rows` decisions: prompts x 8 rollouts x 8 agents with 4 components."""
    prompts = max(1, rows // (ROLLOUTS * AGENTS))
    prompt, rollout, agent = np.indices((prompts, ROLLOUTS, AGENTS)).reshape(3, -1)
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (prompts * ROLLOUTS, COMPONENTS - 1))
    scores = rng.normal(size=(prompts * ROLLOUTS, 1))
    rewards = np.repeat(np.hstack([bits, scores]), AGENTS, axis=0)
    return Batch(rewards, {"prompt": prompt, "rollout": rollout, "agent": agent})


def seconds(call: Callable[[], Any], runs: int) -> list[float]:
    """Returns the wall time of each of `runs` calls, after one that warms up."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def peak_ratio(name: str, given: Batch) -> float:
    """Returns the largest memory in use during the call, result included, as a multiple of the
    input.
    """
    tracemalloc.start()
    try:
        advantages(given.rewards, given.labels, catalogue()[name])
        return tracemalloc.get_traced_memory()[1] / given.bytes
    finally:
        tracemalloc.stop()


def group_of(name: str, given: Batch) -> NDArray[np.int64]:
    """Returns [N] the group that a row is normalized in: its prompt, or its prompt and agent."""
    prompt = given.labels["prompt"]
    return prompt if name == "gdpo" else prompt * AGENTS + given.labels["agent"]


def normalized_by_dict_of_lists(values: Floats, group: NDArray[np.int64]) -> Floats:
    """Normalizes by the pattern of published trainers, in NumPy: three loops, two of them over
    rows.
    """
    scores, mean, std = defaultdict(list), {}, {}
    for i in range(len(values)):
        scores[group[i]].append(values[i])
    for key, scored in scores.items():
        mean[key], std[key] = np.mean(scored), np.std(scored)
    out = np.empty(len(values))
    for i in range(len(values)):
        out[i] = (values[i] - mean[group[i]]) / (std[group[i]] + 1e-12)
    return out


def normalized_by_slices(values: Floats, group: NDArray[np.int64]) -> Floats:
    """Normalizes with one sort, then a slice for each group."""
    order = np.argsort(group, kind="stable")
    ordered, ends = values[order], np.flatnonzero(np.diff(group[order])) + 1
    for start, end in zip([0, *ends], [*ends, len(values)], strict=True):
        part = ordered[start:end]
        ordered[start:end] = (part - part.mean()) / (part.std() + 1e-12)
    out = np.empty(len(values))
    out[order] = ordered
    return out


def by_loop(name: str, given: Batch, loop: Callable[[Floats, NDArray[np.int64]], Floats]) -> Floats:
    """Computes gdpo or agent_wise with the statistics of `loop`. All rows of a rollout agree here,
    and every agent acts once in it, so statistics over rows are statistics over rollouts.
    """
    group = group_of(name, given)
    if name == "agent_wise":
        return loop(given.rewards.sum(axis=1), group)
    total = np.sum([loop(column, group) for column in given.rewards.T], axis=0)
    return np.asarray((total - total.mean()) / total.std())


def import_seconds(runs: int) -> float:
    """Returns the best time of `import counterpoint.credit` in a fresh interpreter, files warm."""
    program = (
        "import time; t = time.perf_counter(); import counterpoint.credit; "
        "print(time.perf_counter() - t)"
    )
    command = [sys.executable, "-c", program]
    return min(float(subprocess.check_output(command, text=True)) for _ in range(runs))


def measured(name: str, given: Batch, runs: int, loop_runs: int) -> dict[str, float]:
    """Measures one scheme at one size."""
    scheme = catalogue()[name]
    times = seconds(lambda: advantages(given.rewards, given.labels, scheme), runs)
    result = {"best_seconds": min(times), "median_seconds": float(np.median(times))}
    values = advantages(given.rewards, given.labels, scheme).values
    for loop in (normalized_by_dict_of_lists, normalized_by_slices):
        start = time.perf_counter()
        other = by_loop(name, given, loop)
        times = [time.perf_counter() - start]
        np.testing.assert_allclose(other, values, atol=1e-6)  # the same thing, slower
        for _ in range(loop_runs - 1):
            start = time.perf_counter()
            by_loop(name, given, loop)
            times.append(time.perf_counter() - start)
        label = "dict_of_lists" if loop is normalized_by_dict_of_lists else "slices"
        result[f"times_faster_than_{label}"] = min(times) / result["best_seconds"]
    return result | {"peak_memory_of_input": peak_ratio(name, given)}


def growth(name: str, largest: int, runs: int) -> dict[int, float]:
    """Returns rows to best seconds per decision, from 10^4 rows up in powers of 10."""
    sizes = [10**e for e in range(4, 10) if 10**e <= largest]
    per_row = {}
    for size in sizes:
        given = batch(size)
        scheme = catalogue()[name]
        times = seconds(lambda g=given, s=scheme: advantages(g.rewards, g.labels, s), runs)
        per_row[size] = min(times) / len(given.rewards)
    return per_row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="decisions in the main table")
    parser.add_argument("--largest", type=int, default=10_000_000, help="end of the growth table")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each call")
    parser.add_argument("--out", type=Path, help="also write the numbers as JSON to this file")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    given = batch(options.rows)
    report: dict[str, Any] = {
        "rows": len(given.rewards),
        "input_bytes": given.bytes,
        "import_seconds": import_seconds(options.runs),
        "schemes": {name: measured(name, given, options.runs, loop_runs=2) for name in SCHEMES},
        "seconds_per_decision": {n: growth(n, options.largest, options.runs) for n in SCHEMES},
    }
    print(as_table(report))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


def as_table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['rows']:,} decisions, {AGENTS} agents, {COMPONENTS} components, groups of "
        f"{ROLLOUTS} rollouts; input {report['input_bytes'] / 1e6:.0f} MB; one core",
        f"import counterpoint.credit: {report['import_seconds']:.3f} s (best, warm)",
        "",
        f"{'':<34}" + "".join(f"{name:>14}" for name in SCHEMES),
    ]
    rows = {
        "seconds, best": ("best_seconds", ".3f"),
        "seconds, median": ("median_seconds", ".3f"),
        "times faster: dict of lists": ("times_faster_than_dict_of_lists", ".1f"),
        "times faster: sorted slices": ("times_faster_than_slices", ".1f"),
        "peak memory / input": ("peak_memory_of_input", ".2f"),
    }
    for title, (key, spec) in rows.items():
        cells = "".join(f"{report['schemes'][name][key]:>14{spec}}" for name in SCHEMES)
        lines.append(f"{title:<34}{cells}")
    for size in report["seconds_per_decision"][SCHEMES[0]]:
        nanoseconds = [report["seconds_per_decision"][name][size] * 1e9 for name in SCHEMES]
        lines.append(
            f"{f'ns a decision at {size:,}':<34}" + "".join(f"{x:>14.0f}" for x in nanoseconds)
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
