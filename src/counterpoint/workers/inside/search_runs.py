"""How a search runs tests, and which lines they run: in children of one process, by fork.

Each run imports everything anew. Where the plan's command runs pytest, a child calls it with the
same options, so that fixtures, classes, parameters and doctests are run as the plan runs them. Any
other test is a function without arguments, called `path::name`. It runs inside a sandbox.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

Lines = dict[str, list[int]]
"""Path to the lines of it that run."""
DEEPEST = 250


class Functions:
    """Tests that are functions without arguments."""

    def run(self, tests: Sequence[str], watch: Callable[[str], Any]) -> int | None:
        """None where all tests pass; else how many lines into its test the first failure is."""
        for test in tests:
            function = load(test)
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
        """None where all tests pass; else how many lines into its test the first failure is."""
        notes: dict[str, Any] = {"depth": 0, "passed": 0}
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
    """The options of pytest in a shell line, or None where it does not simply run pytest.

    Args:
        command: the plan's, with `{tests}` and `{results}` in it.
    """
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


def depth_of(error: BaseException, code: CodeType) -> int:
    """How many lines into a function an exception passed through it."""
    place, deepest = error.__traceback__, 0
    while place is not None:
        if place.tb_frame.f_code is code:
            deepest = place.tb_lineno - code.co_firstlineno
        place = place.tb_next
    return deepest


@contextmanager
def unwatched(_: str) -> Iterator[None]:
    """Watch nothing."""
    yield


def in_child(work: Callable[[], int], seconds: float) -> int | None:
    """The status of a child that does some work, with nothing printed; None where it is late."""
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


def outcome(runs: Functions | Pytest, tests: Sequence[str], seconds: float) -> int | None:
    """None where all tests pass; else how many lines into its test the first failure is."""

    def work() -> int:
        far = runs.run(tests, unwatched)
        return 0 if far is None else 255 - min(DEEPEST, far)

    status = in_child(work, seconds)
    return None if status == 0 else max(0, 255 - (255 if status is None else abs(status)))


def traced(
    runs: Functions | Pytest, tests: Sequence[str], but: Collection[str], seconds: float
) -> dict[str, Lines]:
    """Test to the lines that it runs, of files below the work folder.

    All tests run in one child; those that it did not get to run in one each.

    Args:
        runs: how tests are run.
        tests: their names.
        but: paths of files that are left out.
        seconds: most that a child may take.
    """
    found = _traced(runs, tests, but, seconds)
    missing = [test for test in tests if test not in found]
    if len(tests) > 1:
        for test in missing:
            found |= _traced(runs, [test], but, seconds)
    return found


def _traced(
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
            told = {path: sorted(rows) for path, rows in lines.items()}
            os.write(read, json.dumps([test, told]).encode() + b"\n")

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


def runner(told: Mapping[str, Any]) -> Functions | Pytest:
    """How the tests of a plan are run."""
    options = pytest_options(told["command"])
    return Functions() if options is None else Pytest(options)
