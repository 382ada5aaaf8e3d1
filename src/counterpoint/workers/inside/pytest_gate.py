"""A pytest plugin that reports outcomes to the starter of the sandbox, past the code under test.

It runs inside, as `counterpoint_gate`, on pytest and the standard library alone. Before any code of
the repository is imported it takes the descriptor of its report out of the environment, and names
its canaries: tests of its own, some of which have to pass and some of which have to fail. They run
before the first test and after the last. Whoever reads the report refuses it if one of them came
out wrong, or if the report ends too soon. Code under test is in the same process, and one that is
written against this very plugin can get around it; a separate machine could not be.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from _pytest.fixtures import FuncFixtureInfo
from _pytest.runner import runtestprotocol

REPORT, OPTIONS, OURS = "COUNTERPOINT_REPORT", "PYTEST_ADDOPTS", "-p counterpoint_gate"
WORST = ("failed", "skipped", "passed", "collected")
"""Outcomes, worst first: of several for one test, the worst counts."""


class Channel:
    """The pipe for the report."""

    def __init__(self, handle: int) -> None:
        place = 100 + secrets.randbelow(800)
        self.handle = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, place)
        os.close(handle)
        os.register_at_fork(after_in_child=self.close)

    def write(self, record: Mapping[str, object]) -> None:
        """Writes one line of JSON."""
        data = memoryview(json.dumps(record).encode() + b"\n")
        while data:
            data = data[os.write(self.handle, data) :]

    def close(self) -> None:
        """Closes the pipe in a child process, which does not report."""
        with contextlib.suppress(OSError):
            os.close(self.handle)


def open_channel() -> tuple[Channel, dict[str, str]] | None:
    """Opens the channel, and reports which canaries there will be and the outcome of each."""
    handle = os.environ.pop(REPORT, "")
    if not handle:
        return None
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: no other process looks in here
    channel = Channel(int(handle))
    wanted = ["passed", "failed", "failed", "passed"]
    canaries = {f"test_{secrets.token_hex(8)}": each for each in wanted}
    channel.write({"begins": os.getpid(), "canaries": canaries})
    return channel, canaries


def passes() -> None:
    """Is a test that has to pass."""


def fails() -> None:
    """Is a test that has to fail."""
    raise AssertionError("this is a canary")


class GatePlugin:
    """The plugin of one session of pytest."""

    def __init__(self, config: pytest.Config, channel: Channel | None, canaries: dict[str, str]):
        self.config, self.channel, self.canaries = config, channel, canaries
        self.outcomes: dict[str, str] = {}
        self.came_out: dict[str, str] = {}
        self.start = Path(config.invocation_params.dir)

    def name_of(self, nodeid: str) -> str:
        """Returns the name of a test for the command: relative to where the command runs."""
        path, mark, rest = nodeid.partition("::")
        return os.path.relpath(self.config.rootpath / path, self.start) + mark + rest

    def note(self, name: str, outcome: str) -> None:
        """Keeps the worst outcome of each test."""
        outcomes = (outcome, self.outcomes.get(name, outcome))
        self.outcomes[name] = next((each for each in WORST if each in outcomes), "failed")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes the outcome of one phase of a test; a test that begins anew is noted anew."""
        name = self.name_of(report.nodeid)
        if report.when == "setup":
            self.outcomes.pop(name, None)
        if report.outcome in WORST and (report.when == "call" or report.outcome != "passed"):
            self.note(name, report.outcome)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes what cannot be collected, and which files can."""
        if report.failed or (report.passed and report.nodeid.endswith(".py")):
            self.note(self.name_of(report.nodeid), "failed" if report.failed else "collected")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Runs the first canaries, before any test."""
        if getattr(self.config.option, "dist", "no") == "no":  # pytest-xdist starts others later
            options = os.environ.get(OPTIONS, "").replace(OURS, "", 1)
            os.environ[OPTIONS] = options.strip()  # a pytest that a test starts is left alone
        self.try_canaries(session, list(self.canaries)[:2])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Runs the last canaries, after all tests, and reports."""
        self.try_canaries(session, list(self.canaries)[2:])
        output = getattr(self.config, "workeroutput", None)
        if output is not None:  # a process of pytest-xdist
            output["counterpoint"] = self.came_out
        elif self.channel is not None:
            self.channel.write({"ends": os.getpid(), "tests": self.outcomes,
                                "canaries": self.came_out})  # fmt: skip

    def try_canaries(self, session: pytest.Session, names: list[str]) -> None:
        """Runs canaries as pytest runs tests, and notes their outcomes."""
        module = pytest.Module.from_parent(session, path=Path(__file__))
        for name in names:
            body: Callable[[], None] = passes if self.canaries[name] == "passed" else fails
            item = pytest.Function.from_parent(
                module, name=name, callobj=body, fixtureinfo=FuncFixtureInfo((), (), [], {})
            )
            reports = runtestprotocol(item, log=False, nextitem=None)
            outcomes = {report.outcome for report in reports}
            ran = any(report.when == "call" for report in reports)
            worst = next((each for each in WORST if each in outcomes), "")
            self.note_canary(name, worst if ran else "")

    def note_canary(self, name: str, outcome: str) -> None:
        """Notes the outcome of a canary; once it was wrong, it stays so."""
        if self.came_out.get(name, self.canaries.get(name)) == self.canaries.get(name):
            self.came_out[name] = outcome

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Gives a process of pytest-xdist its canaries."""
        node.workerinput["counterpoint"] = self.canaries

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """Notes the outcomes of canaries in a process of pytest-xdist."""
        outcomes = getattr(node, "workeroutput", {}).get("counterpoint", {})
        for name in self.canaries:
            self.note_canary(name, str(outcomes.get(name, "")))


_begun: Iterator[tuple[Channel, dict[str, str]] | None] = iter(
    [open_channel()] if __name__ == "counterpoint_gate" else []
)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the plugin for the first session of this process, not for sessions of tests."""
    canaries_of_worker = getattr(config, "workerinput", {}).get("counterpoint")
    channel, canaries = (
        (None, canaries_of_worker) if canaries_of_worker else next(_begun, None) or (None, None)
    )
    if canaries:
        config.pluginmanager.register(GatePlugin(config, channel, canaries), "counterpoint-gate")
