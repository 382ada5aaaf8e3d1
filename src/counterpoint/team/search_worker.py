"""A worker without a model: it makes a failing test pass by trying small edits.

Runs in the sandbox, on the standard library alone:

    python3 search_worker.py '{"test": "tests/test_x.py::test_y", "keep": [...], "tries": 200, ...}'

It traces which lines of the package the test runs, changes an operator, a number, a name or an
order of arguments there, first one thing and then two at once, and keeps what makes the test pass
and leaves those passing that did before. It says what it did in one line of JSON, the last.
Source of the idea: mutation operators after DeMillo et al. (1978), used for repair as in Debroy and
Wong, "Using Mutation to Automatically Suggest Fixes for Faulty Programs" (ICST 2010).
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import CodeType
from typing import Any

Edit = tuple[int, int, str]
"""From where to where in a source, and the new text."""
Placed = tuple[str, Edit]
"""Path and edit."""

SWAPS = {
    "Lt": ("<", "<=", ">", ">="),
    "LtE": ("<=", "<", ">=", ">"),
    "Gt": (">", ">=", "<", "<="),
    "GtE": (">=", ">", "<=", "<"),
    "Eq": ("==", "!="),
    "NotEq": ("!=", "=="),
    "Add": ("+", "-"),
    "Sub": ("-", "+"),
    "Mult": ("*", "+", "//"),
    "FloorDiv": ("//", "*", "%"),
    "Mod": ("%", "//"),
    "Div": ("/", "*"),
    "And": ("and", "or"),
    "Or": ("or", "and"),
    "In": ("in", "not in"),
    "NotIn": ("not in", "in"),
}


def edits_of(source: str, lines: set[int]) -> list[Edit]:
    """Every small edit of the source on one of the lines: (start, end, new text), in order."""
    tree = ast.parse(source)
    starts: list[int] = [0]
    for row in source.split("\n"):
        starts.append(starts[-1] + len(row) + 1)
    encoded = source.split("\n")

    def at(row: Any, column: Any) -> int:
        before: str = encoded[row - 1].encode()[:column].decode()
        place: int = starts[row - 1] + len(before)
        return place

    def between(left: Any, right: Any, old: str, new: str) -> list[Edit]:
        start, end = at(left.end_lineno, left.end_col_offset), at(right.lineno, right.col_offset)
        place = source.find(old, start, end)
        return [] if place < 0 else [(place, place + len(old), new)]

    def text(node: Any) -> str:
        return source[at(node.lineno, node.col_offset) : at(node.end_lineno, node.end_col_offset)]

    def whole(node: Any, new: str) -> Edit:
        start = at(node.lineno, node.col_offset)
        return (start, at(node.end_lineno, node.end_col_offset), new)

    found: list[Edit] = []
    names = sorted({n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)})
    for node in ast.walk(tree):
        if getattr(node, "lineno", None) not in lines:
            continue
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for i, operator in enumerate(node.ops):
                old, *others = SWAPS.get(type(operator).__name__, ("",))
                for new in others:
                    found += between(sides[i], sides[i + 1], old, new)
        elif isinstance(node, ast.BinOp):
            old, *others = SWAPS.get(type(node.op).__name__, ("",))
            for new in others:
                found += between(node.left, node.right, old, new)
        elif isinstance(node, ast.BoolOp):
            old, *others = SWAPS[type(node.op).__name__]
            for new in others:
                found += between(node.values[0], node.values[1], old, new)
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            found += [
                whole(node, str(new))
                for new in (node.value + 1, node.value - 1, 0)
                if new != node.value
            ]
        elif isinstance(node, ast.Constant) and type(node.value) is bool:
            found.append(whole(node, str(not node.value)))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            found.append(whole(node, text(node.operand)))
        elif isinstance(node, ast.Call) and len(node.args) == 2:
            one, two = node.args
            found.append(
                (
                    at(one.lineno, one.col_offset),
                    at(two.end_lineno, two.end_col_offset),
                    f"{text(two)}, {text(one)}",
                )
            )
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            found += [whole(node, new) for new in names if new != node.id]
    return sorted(set(found))


def applied(source: str, edits: Sequence[Edit]) -> str | None:
    """The source with edits that do not overlap, or None where they do."""
    ordered = sorted(edits, reverse=True)
    for later, earlier in pairwise(ordered):
        if earlier[1] > later[0]:
            return None
    for start, end, new in ordered:
        source = source[:start] + new + source[end:]
    return source


def load(test: str) -> Callable[[], Any]:
    """The test function called `path::name`."""
    path, _, name = test.partition("::")
    spec = importlib.util.spec_from_file_location(f"the_tests_{hash(path) % 10**8}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[], Any] = getattr(module, name)
    return found


def outcome(tests: Sequence[str], seconds: float = 2.0) -> int | None:
    """None where all tests pass; else how many lines into its test the first failure is.

    Each run is a process of its own, with a fresh import of everything.
    """
    child = os.fork()
    if child == 0:
        status = 255
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            for test in tests:
                function = load(test)
                try:
                    function()
                except BaseException as error:
                    status = 255 - min(250, depth_of(error, function.__code__))
                    raise
            status = 0
        except BaseException:
            pass
        os._exit(status)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return None if code == 0 else max(0, 255 - code) if code > 0 else 0
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 0


def depth_of(error: BaseException, code: CodeType) -> int:
    """How many lines into a function an exception passed through it."""
    place, deepest = error.__traceback__, 0
    while place is not None:
        if place.tb_frame.f_code is code:
            deepest = place.tb_lineno - code.co_firstlineno
        place = place.tb_next
    return deepest


def traced(test: str) -> dict[str, list[int]]:
    """Path to the lines that the test runs, of files that are no tests; found in a child."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        lines: dict[str, set[int]] = {}
        here = os.getcwd() + os.sep
        own = test.partition("::")[0]

        def note(frame: Any, event: str, _: Any) -> Any:
            path = frame.f_code.co_filename
            if not path.startswith(here):
                path = os.path.abspath(path)
            if not path.startswith(here) or path[len(here) :] == own:
                return None
            if event == "line":
                lines.setdefault(path[len(here) :], set()).add(frame.f_lineno)
            return note

        try:
            function = load(test)
            sys.settrace(note)
            function()
        except BaseException:
            pass
        sys.settrace(None)
        with os.fdopen(write, "w") as out:
            out.write(json.dumps({path: sorted(found) for path, found in lines.items()}))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        found: dict[str, list[int]] = json.loads(told.read() or "{}")
    os.waitpid(child, 0)
    return found


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


class Search:
    """A search for edits under way: sources, lines, tries."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.told, self.tried = told, 0
        self.keep = [one for one in told.get("keep", []) if one != told["test"]]
        self.lines = traced(told["test"])
        self.sources: dict[str, str] = {}
        for path in self.lines:
            with open(path, encoding="utf-8") as file:
                self.sources[path] = file.read()
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
        far = outcome([self.told["test"]])
        if far is None and outcome(self.keep, 10.0) is None:
            return None
        self.write({path: self.sources[path] for path in new})
        return far or 0

    def write(self, new: Mapping[str, str]) -> None:
        """Write sources to their files."""
        for path, text in new.items():
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

    def run(self) -> dict[str, Any]:
        """Try until the test passes or the tries are used up; what came of it."""
        rng = random.Random(self.told.get("seed", 0))
        single = [
            (path, edit)
            for path in sorted(self.lines)
            for edit in edits_of(self.sources[path], set(self.lines[path]))
        ]
        if self.told.get("only_locate"):
            return {"files": sorted(self.lines), "size": len(single)}
        rng.shuffle(single)
        gained: dict[int, int] = {}
        start = outcome([self.told["test"]]) or 0
        singles: Iterator[tuple[int | None, list[Placed]]] = (
            (i, [one]) for i, one in enumerate(single)
        )
        pairs: Iterator[tuple[int | None, list[Placed]]] = (
            (None, pair) for pair in ordered_pairs(single, gained, rng)
        )
        for source in (singles, pairs):
            for i, chosen in source:
                if self.tried >= self.told["tries"]:
                    return {"found": False, "tries": self.tried, "files": sorted(self.lines)}
                new = self.new(chosen)
                if new is None:
                    continue
                far = self.attempt(new)
                if far is None:
                    return {
                        "found": True,
                        "tries": self.tried,
                        "files": sorted(new),
                        "edits": [[path, *edit] for path, edit in chosen],
                    }
                if i is not None and far > start:
                    gained[i] = far
        return {"found": False, "tries": self.tried, "files": sorted(self.lines)}


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.getcwd())
    if os.path.isdir("src"):
        sys.path.insert(0, os.path.join(os.getcwd(), "src"))
    sys.stdout.write(json.dumps(Search(json.loads(sys.argv[1])).run()) + "\n")
