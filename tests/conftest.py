"""What holds for every test.

Each process computes with one thread: the tests run side by side, and so do what they start. An
example of hypothesis has no deadline, because a busy machine is no fault of the code.
"""

import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

from fault_cases import ExampleCounter, FaultCounts, note_rows, rows_of

# without it every process that a test starts compiles the package anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

EXAMPLES = int(os.environ.get("COUNTERPOINT_EXAMPLES", "50"))
settings.register_profile("counterpoint", deadline=None, max_examples=min(EXAMPLES, 100))
settings.load_profile("counterpoint")


def pytest_addoption(parser):
    parser.addoption("--faults", metavar="FILE", help="count the cases of bench/faults.toml here")
    parser.addoption("--rows", metavar="R6,R9", help="run only tests that name one of these rows")


def pytest_configure(config):
    if path := config.getoption("--faults"):
        config.pluginmanager.register(ExampleCounter())
        if not hasattr(config, "workerinput"):  # the reports of all workers come together here
            config.pluginmanager.register(FaultCounts(Path(path)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Of a test that is marked `few(n)`, all but `n` cases become slow: its first, its last and
    those at equal distances between them stay. A case that is slow anyway does not count.

    One that is marked `timed` has three tries: other work on the machine only adds to the seconds.
    """
    if rows := set(filter(None, (config.getoption("--rows") or "").split(","))):
        config.hook.pytest_deselected(items=[item for item in items if not rows & rows_of(item)])
        items[:] = [item for item in items if rows & rows_of(item)]
    for item in items:
        note_rows(item)
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=2, only_rerun="AssertionError"))
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("few") and not item.get_closest_marker("slow"):
            cases[item.nodeid.split("[")[0]].append(item)
    for those in cases.values():
        kept = those[0].get_closest_marker("few").args[0]
        stay = {round(k * (len(those) - 1) / max(kept - 1, 1)) for k in range(kept)}
        for place, item in enumerate(those):
            if place not in stay:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def browser():
    """A running Chromium; the test is skipped where there is none."""
    pytest.importorskip("playwright.sync_api")
    from browser_tabs import launched

    with launched() as running:
        yield running


@pytest.fixture
def imports_untried(monkeypatch):
    """`doctor` takes what is installed for sound: to import it all takes seconds."""
    monkeypatch.setattr("counterpoint.cli.doctor.import_failures", lambda names: {})
