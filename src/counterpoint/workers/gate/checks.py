"""Tests as back-pressure: run a commit's tests in the sandbox, and know which pass.

The code under test cannot name the results of a guarded run. Start with `run_tests`;
`guarded_command` is what goes in, and `trusted_outcomes` reads the report that comes out.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files as resources
from xml.etree import ElementTree

from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.sandbox import RESULTS, SandboxInputs, run

DEEPEST = 64
"""Folders in each other from which on a class name is taken for no path."""
NOT_RUN = ("notrun", "disabled")
"""What GoogleTest and CTest write as the status of a test that they leave out."""
ELSEWHERE = (
    " (the sandbox has the programs of /usr and what `setup` and `readable` in the plan add)"
)
"""Follows what a command prints if it misses a program or module."""
_ABSENT = re.compile(r"No module named|not found$")
_TAP = re.compile(r"(not )?ok\b[ \t]*+(\d*+)[ \t]*+(?:- )?")
_TAP_PLAN = re.compile(r"1\.\.(\d{1,9})\b")
_TAP_END = re.compile(r"(?<!\\)#(?:\s|(?=skip|todo))\s*(skip|todo)?", re.IGNORECASE)
"""Where the name of a test ends: `# SKIP no database`, `# time=5ms`; "issue #12" is a name."""
FOLDER, PLUGIN = "/given/gate", "-p counterpoint_gate"
WORST = ("failed", "skipped", "passed", "collected")
"""Outcomes of a test, worst first; `collected` is that of a file. Of several, the worst counts."""
CHANGED = "the test runner was changed"


@dataclass(frozen=True)
class Results:
    """The names of the tests that passed and failed; a test that was skipped is in neither."""

    passed: frozenset[str]
    failed: frozenset[str]
    problem: str = ""
    """Why no outcome is known: the end of the command's output. It is "" if one is known."""
    seconds: float = 0.0
    """Wall clock."""


def run_tests(
    plan: WorkPlan, content: Content | Mapping[str, bytes | File], tests: Sequence[str] = (),
    files: Collection[str] = (),
) -> Results:  # fmt: skip
    """Runs the plan's tests on the files of a commit, and returns which pass.

    Args:
        plan: has the command.
        content: path to content.
        tests: names of the tests to run; all if there is none.
        files: files that could not be imported once: to be imported counts as a test of theirs.

    Raises:
        MissingPackageError, SettingError: as `sandbox.run`.
    """
    chosen = " ".join(shlex.quote(test) for test in tests)
    line, inputs = guarded_command(plan, plan.tests.replace("{tests}", chosen), content)
    ended = run(["/bin/sh", "-c", line], content, plan.limits, inputs, collect=False)
    if plan.protect_runner and ended.report:
        # our pytest plugin has started to report: its report alone counts
        reported, why = trusted_outcomes(ended.report)
        good = {"passed": True, "failed": False, "skipped": None}
        outcomes = {name: good.get(outcome, name in files) for name, outcome in reported.items()
                    if outcome != "collected" or name in files}  # fmt: skip
    elif RESULTS in plan.tests:
        outcomes, why = from_junit(ended.results, content), ""
    else:
        outcomes, why = from_tap(ended.output)
    if not outcomes:
        text = " ".join((ended.errors + " " + ended.output).split())[-300:]
        text += ELSEWHERE if _ABSENT.search(text) else ""
        return Results(frozenset(), frozenset(), ended.stopped or why or text or "no test ran",
                       ended.seconds)  # fmt: skip
    passed, failed = (frozenset(name for name, good in outcomes.items() if good is which)
                      for which in (True, False))  # fmt: skip
    return Results(passed, failed, "", ended.seconds)


def check_failure(plan: WorkPlan, check: str, content: Content) -> str:
    """Returns why the check of a task, a shell line, fails on the files of a commit.

    It is "" if the check does not fail, or if there is none.
    """
    if not check:
        return ""
    inputs = SandboxInputs(env=plan.env, readable=plan.readable_folders)
    ended = run(["/bin/sh", "-c", check], content, plan.limits, inputs, collect=False)
    if ended.status == 0 and not ended.stopped:
        return ""
    return f"the check fails: {ended.stopped or f'status {ended.status}'}: {ended.tail(300)}"


def from_tap(output: str) -> tuple[dict[str, bool | None], str]:
    """Returns test to whether it passed, from the Test Anything Protocol; or why none is known.

    None is a test that was skipped, or one that fails and is marked TODO. The worst outcome of a
    repeated name counts: failed, skipped, passed. A test without a name has its number, or its
    place. Subtests, which are indented, are part of the test above them. If the tests gave up
    ("Bail out!"), or fewer ran than the plan lines say, nothing is known.
    """
    outcomes: dict[str, bool | None] = {}
    planned = ran = 0
    for row in io.StringIO(output, newline=None):
        if row.startswith("Bail out!"):
            return {}, f"the tests gave up: {row.strip()}"
        if plan := _TAP_PLAN.match(row):
            planned += int(plan[1])
        if row_match := _TAP.match(row):
            ran += 1
            end = _TAP_END.search(row, row_match.end())
            name = row[row_match.end() : end.start() if end else None].strip()
            mark = (end[1] or "").lower() if end else ""
            skipped = mark == "skip" or (mark == "todo" and row_match[1])
            _note(outcomes, name or row_match[2] or str(ran), None if skipped else not row_match[1])
    if ran < planned:
        return {}, f"{planned} tests were planned, and {ran} ran"
    return outcomes, ""


def from_junit(xml: bytes, content: Collection[str]) -> dict[str, bool | None]:
    """Returns test to whether it passed, from JUnit's XML, named for pytest: `path::name`.

    Where the class is in no file of Python, it stays as it is: `com.shop.CartTest::adds`. The worst
    outcome of a repeated name counts: failed, skipped (None), passed.
    """
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError, LookupError):  # of an encoding, too
        return {}
    outcomes: dict[str, bool | None] = {}
    for case in root.iter():
        name = _path_of(case.get("classname") or "", content) + (case.get("name") or "")
        if _plain(case.tag) != "testcase" or not name:
            continue
        tags = {_plain(child.tag) for child in case}
        skipped = "skipped" in tags or case.get("status") in NOT_RUN
        _note(outcomes, name, False if tags & {"failure", "error"} else None if skipped else True)
    return outcomes


def _note(outcomes: dict[str, bool | None], name: str, good: bool | None) -> None:
    """Keeps the worst outcome of each test: failed, skipped, passed."""
    outcomes[name] = min(outcomes.get(name, True), good, key=(False, None, True).index)


def _plain(tag: object) -> str:
    """Returns the name of an element without its namespace; a comment has none."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _path_of(classname: str, content: Collection[str]) -> str:
    """Returns `tests/test_x.py::TestY::` for the class `tests.test_x.TestY`."""
    parts = classname.split(".")
    for count in range(min(len(parts), DEEPEST), 0, -1):
        path = "/".join(parts[:count]) + ".py"
        if path in content:
            return "::".join([path, *parts[count:]]) + "::"
    return f"{classname}::" if classname else ""


def guarded_command(
    plan: WorkPlan, line: str, content: Content | Mapping[str, bytes | File]
) -> tuple[str, SandboxInputs]:
    """Returns a command with the gate in front of it if the plan has one, and its inputs.

    Runners of other languages ignore the gate.
    """
    inputs = SandboxInputs(env=plan.env, readable=plan.readable_folders, report=plan.protect_runner)
    if not plan.protect_runner:
        return line, inputs
    work = "/task/" + (content.prefix if isinstance(content, Content) else "")
    # the modules at the top of the commit and in src are found before those that are installed
    modules = {
        parts[0].partition(".")[0]
        for parts in (path.removeprefix("src/").split("/") for path in content)
        if parts[-1].endswith((".py", ".so"))
    }
    names = sorted(name for name in modules if name.isidentifier())
    own = "\n".join([work.rstrip("/"), f"{work}src", "", *names])
    source = resources("counterpoint.workers.inside")
    shown = {
        f"{FOLDER}/sitecustomize.py": source.joinpath("safe_path.py").read_bytes(),
        f"{FOLDER}/counterpoint_gate.py": source.joinpath("pytest_gate.py").read_bytes(),
        f"{FOLDER}/own.txt": own.encode("utf-8", "surrogateescape"),
    }
    env = {
        **plan.env, "PYTHONSAFEPATH": "1",
        "PYTHONPATH": ":".join(filter(None, [FOLDER, plan.env.get("PYTHONPATH")])),
        "PYTEST_ADDOPTS": f"{PLUGIN} {plan.env.get('PYTEST_ADDOPTS', '')}".strip(),
    }  # fmt: skip
    # a command that sets one of the two variables itself would switch the gate off
    line = re.sub(r"\bPYTHONPATH=", f"PYTHONPATH={FOLDER}:", line)
    line = re.sub(r"\bPYTEST_ADDOPTS=", f"PYTEST_ADDOPTS='{PLUGIN} '", line)
    return line, replace(inputs, env=env, shown=shown)


def trusted_outcomes(report: bytes) -> tuple[dict[str, str], str]:
    """Returns test to outcome, from the report of our plugin, and why none of it is trusted.

    Each process of pytest writes a line of JSON as it begins and as it ends. A test passes only if
    each canary came out as it has to: `passed` or `failed`.
    """
    begun: dict[object, object] = {}
    tests: dict[str, str] = {}
    try:
        for record in map(json.loads, report.splitlines()):
            if "begins" in record:
                begun[record["begins"]] = record["canaries"]
                continue
            wanted = begun.pop(record["ends"])
            good = {"passed", "collected"}.intersection(record["tests"].values())
            if good and record["canaries"] != wanted:
                return {}, f"{CHANGED}: a test that has to fail did not, or was not run"
            for name, outcome in record["tests"].items():
                tests[name] = min(tests.get(name, outcome), outcome, key=WORST.index)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}, f"{CHANGED}: its report cannot be read"
    if begun:
        return {}, f"{CHANGED}, or it ended before it could report"
    return tests, ""
