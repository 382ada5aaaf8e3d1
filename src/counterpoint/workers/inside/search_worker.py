"""A worker without a model: it makes a failing test pass by trying small edits.

It runs in the sandbox, on the standard library alone, with its question on standard input:

    {"command": "python3 -m pytest {tests}", "test": "tests/test_x.py::test_y", "keep": [...], ...}

It traces which lines of the package the test runs, changes an operator, a number, a name or an
order of arguments there, first one thing and then two at once, and keeps what makes the test pass
and leaves those passing that did before. It says what it did in one line of JSON, the last.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# inside, these files are a package of another name
from .search_edits import Edit, applied, edits_of
from .search_runs import Functions, Lines, Pytest, outcome, runner, traced

Placed = tuple[str, Edit]
"""Path and edit."""
PATIENCE_SECONDS = 2.0
"""Most that a run of one test takes, if it has not taken long before."""
NO_LINES = (
    "search cannot take it: it runs no line that may be changed, or it is neither run by a plain "
    "pytest command nor a function without arguments"
)


def ordered_pairs(
    single: Sequence[Placed], gained: Mapping[int, int], rng: random.Random
) -> Iterator[list[Placed]]:
    """Pairs of edits: those that got a test further first, each with all others in random order."""
    order = sorted(range(len(single)), key=lambda i: (-gained.get(i, 0), rng.random()))
    for place, i in enumerate(order):
        others = order[place + 1 :]
        rng.shuffle(others)
        for j in others:
            yield [single[i], single[j]]


def read_sources(lines: Lines) -> dict[str, str]:
    """Path to source of the files that were traced."""
    found = {}
    for path in sorted(lines):
        try:
            with open(path, encoding="utf-8", newline="") as file:
                found[path] = file.read()
        except (OSError, UnicodeDecodeError):
            continue  # it was made while the test ran, or it is no text
    return found


def singles(sources: Mapping[str, str], lines: Lines) -> list[Placed]:
    """Every edit of the lines, in order."""
    return [(path, edit) for path, source in sources.items()
            for edit in edits_of(source, set(lines[path]))]  # fmt: skip


class Search:
    """A search for edits under way: sources, lines, tries."""

    def __init__(self, told: Mapping[str, Any], runs: Functions | Pytest) -> None:
        self.told, self.runs, self.tried = told, runs, 0
        test = told["test"]
        self.keep = [one for one in told.get("keep", []) if "::" in one and one != test]
        begun = time.monotonic()
        self.lines = traced(runs, [test], told["tests"], told["seconds"]).get(test, {})
        self.start = outcome(runs, [test], told["seconds"]) or 0
        self.patience = PATIENCE_SECONDS + 3 * (time.monotonic() - begun)
        self.sources = read_sources(self.lines)
        self.seen: set[tuple[tuple[str, str | None], ...]] = set()

    def new(self, chosen: Sequence[Placed]) -> dict[str, str] | None:
        """Path to source with the edits, or None where they do not go together or were tried."""
        changed: dict[str, list[Edit]] = {}
        for path, edit in chosen:
            changed.setdefault(path, []).append(edit)
        new = {path: applied(self.sources[path], edits) for path, edits in changed.items()}
        key = tuple(sorted(new.items(), key=str))
        if key in self.seen:
            return None
        self.seen.add(key)
        whole = {path: text for path, text in new.items() if text is not None}
        return whole if len(whole) == len(new) else None

    def attempt(self, new: Mapping[str, str]) -> int | None:
        """None where the edited sources pass, which then stay; else how far the test got."""
        self.tried += 1
        if self.told.get("think_seconds"):
            time.sleep(self.told["think_seconds"])
        self.write(new)
        far = outcome(self.runs, [self.told["test"]], self.patience)
        if far is None and (
            not self.keep or outcome(self.runs, self.keep, self.told["seconds"]) is None
        ):
            return None
        self.write({path: self.sources[path] for path in new})
        return far or 0

    def write(self, new: Mapping[str, str]) -> None:
        """Write sources to their files."""
        for path, text in new.items():
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(text)

    def run(self) -> dict[str, Any]:
        """Try until the test passes or the tries are used up; what came of it."""
        rng = random.Random(self.told.get("seed", 0))
        single = singles(self.sources, self.lines)
        if not single:
            return {"found": False, "tries": 0, "why": NO_LINES}
        rng.shuffle(single)
        gained: dict[int, int] = {}
        one: Iterator[tuple[int | None, list[Placed]]] = (
            (i, [each]) for i, each in enumerate(single)
        )
        two: Iterator[tuple[int | None, list[Placed]]] = (
            (None, pair) for pair in ordered_pairs(single, gained, rng)
        )
        for source in (one, two):
            for i, chosen in source:
                if self.tried >= self.told["tries"]:
                    return {"found": False, "tries": self.tried}
                new = self.new(chosen)
                if new is None:
                    continue
                far = self.attempt(new)
                if far is None:
                    return {"found": True, "tries": self.tried,
                            "edits": [[path, *edit] for path, edit in chosen]}  # fmt: skip
                if i is not None and far > self.start:
                    gained[i] = far
        return {"found": False, "tries": self.tried}


def located(told: Mapping[str, Any], runs: Functions | Pytest) -> dict[str, Any]:
    """Test to the files that it runs, and in how many ways they could be edited there."""
    found = {}
    for test, lines in traced(runs, told["locate"], told["tests"], told["seconds"]).items():
        sources = read_sources(lines)
        found[test] = {"files": sorted(sources), "size": len(singles(sources, lines))}
    return found


def main() -> None:
    """Answer one question."""
    sys.dont_write_bytecode = True
    told = json.load(sys.stdin)
    for folder in (os.getcwd(), os.path.join(os.getcwd(), "src")):
        if os.path.isdir(folder) and folder not in sys.path:
            sys.path.append(folder)
    runs = runner(told)
    answer = located(told, runs) if "locate" in told else Search(told, runs).run()
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
