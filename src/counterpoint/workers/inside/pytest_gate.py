"""A pytest plugin that reports outcomes to whoever started the sandbox, past the code under test.

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.fixtures import FuncFixtureInfo
from _pytest.runner import runtestprotocol

REPORT, OPTIONS, OURS = "COUNTERPOINT_REPORT", "PYTEST_ADDOPTS", "-p counterpoint_gate"
WORST = ("failed", "skipped", "passed", "collected")
"""Outcomes: of several for one test, the first of these counts."""


class Channel:
    """The pipe to which the report goes."""

    def __init__(self, handle: int) -> None:
        place = 100 + secrets.randbelow(800)
        self.handle = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, place)
        os.close(handle)
        os.register_at_fork(after_in_child=self.close)

    def write(self, told: dict[str, Any]) -> None:
        """Write one line of JSON."""
        data = memoryview(json.dumps(told).encode() + b"\n")
        while data:
            data = data[os.write(self.handle, data) :]

    def close(self) -> None:
        """Leave the report to others."""
        with contextlib.suppress(OSError):
            os.close(self.handle)


def open_channel() -> tuple[Channel, dict[str, str]] | None:
    """Take the channel, and say which canaries there will be and how each has to come out."""
    told = os.environ.pop(REPORT, "")
    if not told:
        return None
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: no other process looks in here
    channel = Channel(int(told))
    wanted = ["passed", "failed", "failed", "passed"]
    canaries = {f"test_{secrets.token_hex(8)}": each for each in wanted}
    channel.write({"begins": os.getpid(), "canaries": canaries})
    return channel, canaries


def passes() -> None:
    """A test that has to pass."""


def fails() -> None:
    """A test that has to fail."""
    raise AssertionError("this is a canary")


class GatePlugin:
    """The plugin proper, for one session."""

    def __init__(self, config: pytest.Config, channel: Channel | None, canaries: dict[str, str]):
        self.config, self.channel, self.canaries = config, channel, canaries
        self.outcomes: dict[str, str] = {}
        self.came_out: dict[str, str] = {}
        self.start = Path(config.invocation_params.dir)

    def name_of(self, nodeid: str) -> str:
        """The name of a test as the command takes it: relative to where the command runs."""
        path, mark, rest = nodeid.partition("::")
        return os.path.relpath(self.config.rootpath / path, self.start) + mark + rest

    def note(self, name: str, outcome: str) -> None:
        """Keep the worst outcome of each test."""
        told = (outcome, self.outcomes.get(name, outcome))
        self.outcomes[name] = next((each for each in WORST if each in told), "failed")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how one phase of a test came out; a test that begins anew is noted anew."""
        name = self.name_of(report.nodeid)
        if report.when == "setup":
            self.outcomes.pop(name, None)
        if report.outcome in WORST and (report.when == "call" or report.outcome != "passed"):
            self.note(name, report.outcome)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what cannot be collected, and which files can."""
        if report.failed or (report.passed and report.nodeid.endswith(".py")):
            self.note(self.name_of(report.nodeid), "failed" if report.failed else "collected")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Try the first canaries, before any test."""
        if getattr(self.config.option, "dist", "no") == "no":  # pytest-xdist starts others later
            options = os.environ.get(OPTIONS, "").replace(OURS, "", 1)
            os.environ[OPTIONS] = options.strip()  # a pytest that a test starts is left alone
        self.try_canaries(session, list(self.canaries)[:2])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Try the last canaries, after all tests, and report."""
        self.try_canaries(session, list(self.canaries)[2:])
        output = getattr(self.config, "workeroutput", None)
        if output is not None:  # a process of pytest-xdist
            output["counterpoint"] = self.came_out
        elif self.channel is not None:
            self.channel.write({"ends": os.getpid(), "tests": self.outcomes,
                              "canaries": self.came_out})  # fmt: skip

    def try_canaries(self, session: pytest.Session, names: list[str]) -> None:
        """Run canaries through all that runs tests, and note how they came out."""
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
            self.settle(name, worst if ran else "")

    def settle(self, name: str, outcome: str) -> None:
        """Note how a canary came out; once it was wrong, it stays so."""
        if self.came_out.get(name, self.canaries.get(name)) == self.canaries.get(name):
            self.came_out[name] = outcome

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process of pytest-xdist its canaries."""
        node.workerinput["counterpoint"] = self.canaries

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """Hear how canaries came out in a process of pytest-xdist."""
        told = getattr(node, "workeroutput", {}).get("counterpoint", {})
        for name in self.canaries:
            self.settle(name, str(told.get(name, "")))


_begun: Iterator[tuple[Channel, dict[str, str]] | None] = iter(
    [open_channel()] if __name__ == "counterpoint_gate" else []
)


def pytest_configure(config: pytest.Config) -> None:
    """Report the first session of this process; those that tests start in it are their own."""
    told = getattr(config, "workerinput", {}).get("counterpoint")
    channel, canaries = (None, told) if told else next(_begun, None) or (None, None)
    if canaries:
        config.pluginmanager.register(GatePlugin(config, channel, canaries), "counterpoint-gate")
