"""A worker without a model: it makes a failing test pass by trying small edits.

It runs in the sandbox, on the standard library alone, with its question on standard input:

    {"command": "python3 -m pytest {tests}", "test": "tests/test_x.py::test_y", "keep": [...], ...}

It traces which lines of the package the test runs, changes an operator, a number, a name or an
order of arguments there, first one thing and then two at once, and keeps what makes the test pass
and leaves those passing that did before. It says what it did in one line of JSON, the last.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shlex
import signal
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from types import CodeType, FrameType
from typing import Any, TypedDict

# inside, these files are a package of another name
from .edits import Edit, apply_edits, find_edits

PlacedEdit = tuple[str, Edit]
"""Path and edit."""
PATIENCE_SECONDS = 2.0
"""Maximum of one test run, if it was not slow before the edits."""
NO_LINES = (
    "search cannot take it: it runs no line that may be changed, or it is neither run by a plain "
    "pytest command nor a function without arguments"
)
Lines = dict[str, list[int]]
"""Path to the lines of it that run."""
DEEPEST = 250


def ordered_pairs(
    single: Sequence[PlacedEdit], gained: Mapping[int, int], rng: random.Random
) -> Iterator[list[PlacedEdit]]:
    """Yields pairs of edits: those that got a test further first, with all others at random."""
    order = sorted(range(len(single)), key=lambda i: (-gained.get(i, 0), rng.random()))
    for place, i in enumerate(order):
        others = order[place + 1 :]
        rng.shuffle(others)
        for j in others:
            yield [single[i], single[j]]


def read_sources(lines: Lines) -> dict[str, str]:
    """Returns path to source of the files that were traced."""
    sources = {}
    for path in sorted(lines):
        try:
            with open(path, encoding="utf-8", newline="") as file:
                sources[path] = file.read()
        except (OSError, UnicodeDecodeError):
            continue  # it was made while the test ran, or it is no text
    return sources


def single_edits(sources: Mapping[str, str], lines: Lines) -> list[PlacedEdit]:
    """Returns every edit of the lines, in order."""
    return [(path, edit) for path, source in sources.items()
            for edit in find_edits(source, set(lines[path]))]  # fmt: skip


class Question(TypedDict, total=False):
    """The input of a search: edits for `test` are wanted, or where the tests of `locate` run."""

    command: str
    """The plan's command that runs tests."""
    tests: list[str]
    """Paths that nobody edits."""
    seconds: float
    """Maximum of one run."""
    locate: list[str]
    test: str
    keep: list[str]
    """Tests that have to go on passing."""
    tries: int
    seed: int
    think_seconds: float


class EditSearch:
    """One search for edits: its sources, lines and tries."""

    def __init__(self, question: Question, runs: Functions | Pytest) -> None:
        self.question, self.runs, self.tries = question, runs, 0
        test = question["test"]
        self.keep = [one for one in question.get("keep", []) if "::" in one and one != test]
        begun = time.monotonic()
        traced = traced_lines(runs, [test], question["tests"], question["seconds"])
        self.lines = traced.get(test, {})
        self.start = failure_depth(runs, [test], question["seconds"]) or 0
        self.patience = PATIENCE_SECONDS + 3 * (time.monotonic() - begun)
        self.sources = read_sources(self.lines)
        self.seen: set[tuple[tuple[str, str | None], ...]] = set()

    def new(self, chosen: Sequence[PlacedEdit]) -> dict[str, str] | None:
        """Returns path to source with the edits, or None if they overlap or were tried."""
        changed: dict[str, list[Edit]] = {}
        for path, edit in chosen:
            changed.setdefault(path, []).append(edit)
        new = {path: apply_edits(self.sources[path], edits) for path, edits in changed.items()}
        key = tuple(sorted(new.items(), key=str))
        if key in self.seen:
            return None
        self.seen.add(key)
        whole = {path: text for path, text in new.items() if text is not None}
        return whole if len(whole) == len(new) else None

    def attempt(self, new: Mapping[str, str]) -> int | None:
        """Returns None if the edited sources pass, which then stay, else how far the test got."""
        self.tries += 1
        if self.question.get("think_seconds"):
            time.sleep(self.question["think_seconds"])
        self.write(new)
        far = failure_depth(self.runs, [self.question["test"]], self.patience)
        if far is None and (
            not self.keep or failure_depth(self.runs, self.keep, self.question["seconds"]) is None
        ):
            return None
        self.write({path: self.sources[path] for path in new})
        return far or 0

    def write(self, new: Mapping[str, str]) -> None:
        """Writes sources to their files."""
        for path, text in new.items():
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(text)

    def run(self) -> dict[str, object]:
        """Tries edits until the test passes or the tries are used up, and returns the answer."""
        rng = random.Random(self.question.get("seed", 0))
        single = single_edits(self.sources, self.lines)
        if not single:
            return {"found": False, "tries": 0, "why": NO_LINES}
        rng.shuffle(single)
        gained: dict[int, int] = {}
        # pairs are ordered only when the first one is wanted, so by what all single edits gained
        edits: Iterator[tuple[int | None, list[PlacedEdit]]] = chain(
            ((i, [each]) for i, each in enumerate(single)),
            ((None, pair) for pair in ordered_pairs(single, gained, rng)),
        )
        for i, chosen in edits:
            if self.tries >= self.question["tries"]:
                break
            new = self.new(chosen)
            if new is None:
                continue
            far = self.attempt(new)
            if far is None:
                return {"found": True, "tries": self.tries,
                        "edits": [[path, *edit] for path, edit in chosen]}  # fmt: skip
            if i is not None and far > self.start:
                gained[i] = far
        return {"found": False, "tries": self.tries}


def locations(question: Question, runs: Functions | Pytest) -> dict[str, object]:
    """Returns test to the files that it runs, and in how many ways they could be edited there."""
    of_tests: dict[str, object] = {}
    traced = traced_lines(runs, question["locate"], question["tests"], question["seconds"])
    for test, lines in traced.items():
        sources = read_sources(lines)
        of_tests[test] = {"files": sorted(sources), "size": len(single_edits(sources, lines))}
    return of_tests


def main() -> None:
    """Answers one question."""
    sys.dont_write_bytecode = True
    question = json.load(sys.stdin)
    for folder in (os.getcwd(), os.path.join(os.getcwd(), "src")):
        if os.path.isdir(folder) and folder not in sys.path:
            sys.path.append(folder)
    options = pytest_options(question["command"])
    runs = Functions() if options is None else Pytest(options)
    answer = locations(question, runs) if "locate" in question else EditSearch(question, runs).run()
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


class Functions:
    """Tests that are functions without arguments, called `path::name`."""

    def run(self, tests: Sequence[str], watch: Callable[[str], Any]) -> int | None:
        """Returns None if all tests pass, else the line of its test where the first failure is."""
        for test in tests:
            path, _, name = test.partition("::")
            spec = importlib.util.spec_from_file_location(f"the_tests_{hash(path) % 10**8}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            function = getattr(module, name)
            with watch(test):
                try:
                    function()
                except BaseException as error:
                    return depth_of(error, function.__code__)
        return None


class Pytest:
    """Tests that pytest runs, with the options of the plan's command."""

    def __init__(self, options: Sequence[str]) -> None:
        import pytest  # and with it most of what each run would import

        self.main, self.hook = pytest.main, pytest.hookimpl
        self.options = [*options, "-p", "no:cacheprovider"]

    def run(self, tests: Sequence[str], watch: Callable[[str], Any]) -> int | None:
        """Returns None if all tests pass, else the line of its test where the first failure is."""
        notes = {"depth": 0, "passed": 0}
        hook = self.hook

        class Notes:
            @hook(wrapper=True, tryfirst=True)
            def pytest_runtest_protocol(self, item: Any) -> Generator[None, Any, Any]:
                path, mark, rest = item.nodeid.partition("::")
                path = os.path.relpath(
                    item.config.rootpath / path, item.config.invocation_params.dir
                )
                with watch(path + mark + rest):
                    return (yield)

            @hook(wrapper=True)
            def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
                report = yield
                code = getattr(getattr(item, "function", None), "__code__", None)
                if report.failed and call.excinfo is not None and code is not None:
                    notes["depth"] = max(notes["depth"], depth_of(call.excinfo.value, code))
                notes["passed"] += report.when == "call" and report.passed
                return report

        status = self.main([*self.options, *tests], plugins=[Notes()])
        return None if status == 0 and notes["passed"] >= len(tests) else notes["depth"]


def pytest_options(command: str) -> list[str] | None:
    """Returns the options of pytest in the plan's command, or None if it does more than that."""
    split = shlex.shlex(command, posix=True, punctuation_chars=";&|<>")
    split.whitespace_split = True
    words = list(split)
    while words and "=" in words[0] and not words[0].startswith("-"):
        name, _, value = words.pop(0).partition("=")
        os.environ[name] = value
        if name == "PYTHONPATH":
            sys.path[:0] = [folder for folder in value.split(":") if folder and "$" not in folder]
    start = next((i for i, word in enumerate(words)
                  if os.path.basename(word) in ("pytest", "py.test")), None)  # fmt: skip
    before = words[:start]
    alone = not before or (len(before) > 1 and before[-1] == "-m" and "python" in before[0])
    if start is None or not alone or any(word and set(word) <= set(";&|<>") for word in words):
        return None
    options = [word for word in words[start + 1 :] if "{results}" not in word and word != "{tests}"]
    if "-n" in options or any(word.startswith(("-n", "--numprocesses")) for word in options):
        options.append("-n0")
    if any(word.startswith("--cov") for word in options):
        options.append("--no-cov")
    return options


def depth_of(error: BaseException, code: CodeType) -> int:
    """Returns how many lines into a function an exception passed through it."""
    place, deepest = error.__traceback__, 0
    while place is not None:
        if place.tb_frame.f_code is code:
            deepest = place.tb_lineno - code.co_firstlineno
        place = place.tb_next
    return deepest


def in_child(work: Callable[[], int], seconds: float) -> int | None:
    """Returns the status of a child that does some work without output, or None if it is late."""
    child = os.fork()
    if child == 0:
        status = 255
        try:
            quiet = os.open(os.devnull, os.O_RDWR)
            for handle in (0, 1, 2):
                os.dup2(quiet, handle)
            status = work()
        except BaseException:
            status = 255
        os._exit(status)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def failure_depth(runs: Functions | Pytest, tests: Sequence[str], seconds: float) -> int | None:
    """Returns None if all tests pass, else the line of its test where the first failure is."""

    def work() -> int:
        far = runs.run(tests, nullcontext)
        return 0 if far is None else 255 - min(DEEPEST, far)

    status = in_child(work, seconds)
    return None if status == 0 else max(0, 255 - (255 if status is None else abs(status)))


def traced_lines(
    runs: Functions | Pytest, tests: Sequence[str], but: Collection[str], seconds: float
) -> dict[str, Lines]:
    """Returns test to the lines that it runs, of files below the work folder except `but`.

    All tests run in one child, for so many seconds at most; those that it does not reach run in a
    child of their own.
    """
    lines_of = _lines_in_child(runs, tests, but, seconds)
    missing = [test for test in tests if test not in lines_of]
    if len(tests) > 1:
        for test in missing:
            lines_of |= _lines_in_child(runs, [test], but, seconds)
    return lines_of


def _lines_in_child(
    runs: Functions | Pytest, tests: Sequence[str], but: Collection[str], seconds: float
) -> dict[str, Lines]:
    read = os.memfd_create("lines")
    here = os.getcwd() + os.sep
    left_out = set(but)

    @contextmanager
    def watch(test: str) -> Iterator[None]:
        lines: dict[str, set[int]] = {}
        paths: dict[str, str] = {}

        def note(frame: FrameType, event: str, _: Any) -> Any:
            name = frame.f_code.co_filename
            path = paths.get(name)
            if path is None:
                full = os.path.abspath(name)
                path = paths[name] = full[len(here) :] if full.startswith(here) else ""
            if not path or path in left_out:
                return None
            if event == "line":
                lines.setdefault(path, set()).add(frame.f_lineno)
            return note

        sys.settrace(note)
        try:
            yield
        finally:
            sys.settrace(None)
            rows_of = {path: sorted(rows) for path, rows in lines.items()}
            os.write(read, json.dumps([test, rows_of]).encode() + b"\n")

    def work() -> int:
        if isinstance(runs, Pytest):
            runs.run(tests, watch)
        else:
            for test in tests:
                try:
                    runs.run([test], watch)
                except Exception:  # it cannot be loaded: no line of it is known
                    continue
        return 0

    in_child(work, seconds)
    os.lseek(read, 0, os.SEEK_SET)
    with os.fdopen(read) as file:
        rows: list[tuple[str, Lines]] = [json.loads(row) for row in file if row.endswith("\n")]
    wanted = set(tests)
    return {test: lines for test, lines in rows if test in wanted}
