"""The curse of coordination, really run: patches merged by git, tested by pytest.

    python bench/cooperation.py --out counterpoint-out/bench/cooperation.csv

Each task is a module to which n features are added, one by each worker, or all by one alone. A
feature is a function and an entry in a table. Disjoint: every feature has a table of its own.
Overlapping: they share one with few places, and numbers that have to differ; each worker picks its
own, and can announce its pick while there are messages left. Who hears of a pick avoids it, and
keeps its own word with a given probability.
Workers write a wrong function with probability .05, alone or not.
The outcomes are a table that `counterpoint compare-outcomes` reads.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from counterpoint.stats import wilson_interval
from counterpoint.workers.gate.checks import run_tests
from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.repository import Repository
from counterpoint.workers.sandbox.sandbox import Limits, require_ready

PLACES, NUMBERS, SKILL = 6, 12, 0.95
PUBLISHED = {2: 0.686, 3: 0.465, 4: 0.300}
"""CooperBench, arXiv 2601.13295: success of 2, 3 and 4 agents on 46 tasks."""


@dataclass(frozen=True)
class Case:
    """One task under one way to work."""

    overlap: bool
    workers: int
    messages: int
    keeps: float
    solo: bool
    item: int


def module(tables: int, features: int) -> str:
    """Returns the module before anybody has changed it; every function has a place of its own."""
    gap = "#\n#\n#\n"
    rows = "".join(f"    # place {i}\n    #\n    #\n    #\n" for i in range(PLACES))
    parts = [f"\n\nTABLE_{t} = [\n{rows}]\n" for t in range(tables)]
    anchors = [f"\n\n# function {f}\n{gap}" for f in range(features)]
    return "".join(['"""Handlers."""\n', *parts, *anchors])


def patched(text: str, feature: int, table: int, place: int, number: int, right: bool) -> str:
    """Returns the module with one feature, at its place in the table."""
    head, mark, tail = text.partition(f"TABLE_{table} = [\n")
    before, row, after = tail.partition(f"    # place {place}\n")
    entry = f'    ("feature_{feature}", {number}, lambda x: feature_{feature}(x)),\n'
    text = head + mark + before + row + entry + after
    sign = "+" if right else "-"
    body = f"def feature_{feature}(x):\n    return x {sign} {feature + 1}\n"
    return text.replace(f"# function {feature}\n", f"# function {feature}\n{body}")


def tests(features: int, tables: int) -> str:
    """Returns the tests of all features."""
    parts = ["import app\n"]
    parts += [
        f"\n\ndef test_feature_{f}():\n    assert app.feature_{f}(10) == {11 + f}\n"
        f"    table = app.TABLE_{f if tables > 1 else 0}\n"
        f"    rows = [row for row in table if row[0] == 'feature_{f}']\n"
        f"    assert len(rows) == 1\n    assert rows[0][2](1) == {2 + f}\n"
        for f in range(features)
    ]
    named = ", ".join(f"app.TABLE_{t}" for t in range(tables))
    parts.append(
        f"\n\ndef test_numbers_differ():\n    for table in [{named}]:\n"
        "        numbers = [row[1] for row in table]\n"
        "        assert len(set(numbers)) == len(numbers)\n"
    )
    return "".join(parts)


def picks(case: Case, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Returns the place and number that each worker takes; a worker that picks later hears those
    who spoke.
    """
    announced: list[tuple[int, int]] = []
    taken = []
    for worker in range(case.workers):
        free = [p for p in range(PLACES) if p not in {a for a, _ in announced}]
        left = [n for n in range(NUMBERS) if n not in {b for _, b in announced}]
        pick = int(rng.choice(free)), int(rng.choice(left))
        if worker < case.messages:
            announced.append(pick)
            if rng.random() > case.keeps:  # says one thing and does another
                pick = int(rng.integers(PLACES)), int(rng.integers(NUMBERS))
        taken.append(pick)
    return taken


def run(case: Case) -> tuple[Case, bool, bool]:
    """Returns whether the case merges, and whether all tests pass then."""
    rng = np.random.default_rng([case.item, case.workers, case.overlap, 7])
    right = rng.random(case.workers) < SKILL
    tables = 1 if case.overlap else case.workers
    start = module(tables, case.workers)
    if case.solo:
        chosen = list(zip(rng.permutation(PLACES), rng.permutation(NUMBERS), strict=False))
    else:
        chosen = picks(case, np.random.default_rng([case.item, case.workers, case.messages, 8]))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        source.mkdir()
        (source / "app.py").write_text(start)
        repository = Repository.copy(source, Path(folder, "repo.git"))
        base = head = repository.head()
        for f in range(case.workers):
            place, number = (int(one) for one in chosen[f])
            text = start if not case.solo else repository.content(head)["app.py"].decode()
            table = 0 if case.overlap else f
            new = File(patched(text, f, table, place, number, bool(right[f])).encode())
            parent = head if case.solo else base
            tree = repository.changed_tree(parent, {"app.py": new})
            commit = repository.commit(tree, (parent,), f"feature {f}")
            if case.solo:
                head = commit
                continue
            merged = repository.merge(head, commit)
            if merged.tree is None:
                return case, False, False
            head = repository.commit(merged.tree, (head, commit), "merge")
        tested = {"test_app.py": File(tests(case.workers, tables).encode())}
        content = repository.content(head).edited(tested)
        site = Path(pytest.__file__).parent.parent
        plan = WorkPlan(
            repository=".", tests="python3 -m pytest -q -p no:cacheprovider --junitxml={results}",
            readable=(str(site),), limits=Limits(seconds=60),
            env={"PYTHONPATH": str(site), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        )  # fmt: skip
        results = run_tests(plan, content)
        return case, True, not results.failed and len(results.passed) == case.workers + 1


def ratio(team: list[bool], solo: list[bool]) -> str:
    """Returns team over solo on the same tasks, with a bootstrap interval over tasks."""
    t, s = np.array(team, dtype=float), np.array(solo, dtype=float)
    if not s.any():
        return "not computable"
    draws = np.random.default_rng(0).integers(len(t), size=(2000, len(t)))
    low, high = np.quantile(t[draws].mean(axis=1) / np.maximum(s[draws].mean(axis=1), 1e-9),
                            [0.025, 0.975])  # fmt: skip
    return f"{t.mean() / s.mean():.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--items", type=int, default=46)
    options = parser.parse_args()
    require_ready()
    team = [Case(overlap, n, k, keeps, False, item)
            for overlap, n, (k, keeps), item in product(
                (False, True), (2, 3, 4), ((0, 1.0), (1, 1.0), (3, 1.0), (3, 0.6)),
                range(options.items))]  # fmt: skip
    solo = [
        Case(overlap, n, 0, 1.0, True, item)
        for overlap, n, item in product((False, True), (1, 2, 3, 4), range(options.items))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(run, [*solo, *team], chunksize=8))
    outcome = {case: passes for case, _, passes in results}
    merges = {case: merged for case, merged, _ in results}
    print("| edits | workers | messages | keep their word | merges | success | alone | retention | "
          "published success |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for overlap, n, (k, keeps) in product(
        (False, True), (2, 3, 4), ((0, 1.0), (1, 1.0), (3, 1.0), (3, 0.6))
    ):
        rows = [Case(overlap, n, k, keeps, False, i) for i in range(options.items)]
        alone = [outcome[Case(overlap, n, 0, 1.0, True, i)] for i in range(options.items)]
        won = [outcome[row] for row in rows]
        w = wilson_interval(sum(won), len(won))
        published = f"{PUBLISHED[n]:.3f}" if overlap and k == 0 else ""
        print(
            f"| {'overlapping' if overlap else 'disjoint'} | {n} | {k} | {keeps:g} | "
            f"{np.mean([merges[row] for row in rows]):.2f} | {w.value:.3f} [{w.low:.3f}, "
            f"{w.high:.3f}] | {np.mean(alone):.3f} | {ratio(won, alone)} | {published} |"
        )
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["task", "setting", "members", "score", "budget"])
            for case, passes in outcome.items():
                if case.overlap and case.messages == 0 and case.workers > 1:
                    who = (
                        ["solo"] if case.solo else [f"worker_{i + 1}" for i in range(case.workers)]
                    )
                    table.writerow([f"{case.workers}-{case.item}", "solo" if case.solo else "team",
                                    ";".join(who), float(passes), case.workers])  # fmt: skip
    sys.stdout.flush()


if __name__ == "__main__":
    main()
