"""Cases of each row of bench/faults.toml: what tests marked `fault("R6")` tried, and what failed.

A test that is not told otherwise is one case. `fault("R1", cases=10)` says how many it tries
inside, `record_property("cases", n)` says it where only the run knows, and of a test of hypothesis
the examples are counted. What `record_property("measured", text)` says stands in the table too.
"""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

ROWS, CASES, MEASURED = "faults", "cases", "measured"


def note_rows(item: pytest.Item) -> None:
    """Put the rows and the cases of a marked test where its reports take them along, also from
    another process."""
    for mark in item.iter_markers("fault"):
        item.user_properties.append((ROWS, list(mark.args)))
        if CASES in mark.kwargs:
            item.user_properties.append((CASES, mark.kwargs[CASES]))


def rows_of(item: pytest.Item) -> set[str]:
    """Return the rows that the markers of a test name."""
    return {row for mark in item.iter_markers("fault") for row in mark.args}


class ExampleCounter:
    """Counts the examples of a hypothesis test that names a row."""

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> Any:
        handle = getattr(pyfuncitem.obj, "hypothesis", None)
        if handle is None or not rows_of(pyfuncitem):
            return (yield)
        inner, tried = handle.inner_test, []

        @functools.wraps(inner)
        def counted(*args: Any, **more: Any) -> Any:
            tried.append(1)
            return inner(*args, **more)

        handle.inner_test = counted
        try:
            return (yield)
        finally:
            handle.inner_test = inner
            pyfuncitem.user_properties.append((CASES, len(tried)))


class FaultCounts:
    """Adds up the reports of all tests, and writes the counts of each row as JSON at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Counter[str]] = defaultdict(Counter)
        self.measured: dict[str, list[str]] = defaultdict(list)
        self.is_whole = True

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.outcome == "rerun":  # of a test that is timed: the next try counts
            return
        named = {row for key, rows in report.user_properties if key == ROWS for row in rows}
        # a test that failed has failed as one, whatever it had tried before
        cases = dict(report.user_properties).get(CASES, 1) if report.outcome == "passed" else 1
        if report.when == "call" or report.outcome != "passed":
            measured = [text for key, text in report.user_properties if key == MEASURED]
            for row in named:
                self.measured[row] += measured
                self.rows[row]["tests"] += report.when != "teardown"
                self.rows[row][report.outcome] += cases

    def pytest_collectreport(self, report: Any) -> None:
        self.is_whole &= not report.failed

    def pytest_sessionfinish(self) -> None:
        if not self.is_whole:
            return  # tests of a file that cannot be read would be missing without a word
        counts: dict[str, Any] = {row: dict(self.rows[row]) for row in sorted(self.rows)}
        for row, texts in self.measured.items():
            counts[row] |= {MEASURED: texts} if texts else {}
        self.path.write_text(json.dumps(counts), encoding="utf-8")
