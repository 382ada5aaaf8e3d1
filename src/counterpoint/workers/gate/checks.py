"""Tests as back-pressure: run a commit's tests in the sandbox, and know which pass."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as resources
from typing import Any
from xml.etree import ElementTree

from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.sandbox import RESULTS, SandboxResult, run

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
"""Outcomes of a test, the last of a file: of several, the first of these counts."""
CHANGED = "the test runner was changed"


@dataclass(frozen=True)
class Results:
    """Which tests passed."""

    passed: frozenset[str]
    """Names of those that did."""
    failed: frozenset[str]
    """Names of those that did not. A test that was skipped is in neither."""
    problem: str = ""
    """Why nothing is known, where nothing is: the end of what the command said."""
    seconds: float = 0.0
    """Wall clock."""


def run_tests(
    plan: WorkPlan, content: Content | Mapping[str, bytes | File], tests: Sequence[str] = (),
    files: Collection[str] = (),
) -> Results:  # fmt: skip
    """Run the plan's tests on the files of a commit.

    Args:
        plan: has the command.
        content: path to content.
        tests: which; all if none is named.
        files: files that could not be imported once: to be imported counts as a test of theirs.

    Raises:
        MissingPackageError, SettingError: as `sandbox.run`.
    """
    chosen = " ".join(shlex.quote(test) for test in tests)
    way = guarded_run(plan, plan.tests.replace("{tests}", chosen), content)
    ended = run(["/bin/sh", "-c", way.line], content, plan.limits, env=way.env, given=way.given,
                readable=plan.readable_folders, bring=False,
                report=plan.protect_runner)  # fmt: skip
    found, why = _outcomes(plan, ended, content, files)
    if not found:
        said = " ".join((ended.errors + " " + ended.output).split())[-300:]
        said += ELSEWHERE if _ABSENT.search(said) else ""
        return Results(frozenset(), frozenset(), ended.stopped or why or said or "no test ran",
                       ended.seconds)  # fmt: skip
    passed, failed = (frozenset(name for name, good in found.items() if good is which)
                      for which in (True, False))  # fmt: skip
    return Results(passed, failed, "", ended.seconds)


def _outcomes(
    plan: WorkPlan, ended: SandboxResult, content: Collection[str], files: Collection[str]
) -> tuple[dict[str, bool | None], str]:
    """Test to whether it passed (None: it was skipped), or why nothing that was said is believed.

    Where our plugin of pytest began to report, its report alone counts.
    """
    if plan.protect_runner and ended.report:
        told, why = trusted_outcomes(ended.report)
        good = {"passed": True, "failed": False, "skipped": None}
        return {name: good.get(outcome, name in files) for name, outcome in told.items()
                if outcome != "collected" or name in files}, why  # fmt: skip
    if RESULTS in plan.tests:
        return from_junit(ended.results, content), ""
    return from_tap(ended.output)


def check_failure(plan: WorkPlan, check: str, content: Content) -> str:
    """Returns why the check of a task fails on the files of a commit, or "" if it does not.

    Args:
        plan: has the limits.
        check: a shell line; nothing is run where it is empty.
        content: of the commit.
    """
    if not check:
        return ""
    ended = run(["/bin/sh", "-c", check], content, plan.limits, env=plan.env,
                readable=plan.readable_folders, bring=False)  # fmt: skip
    if ended.status == 0 and not ended.stopped:
        return ""
    said = " ".join((ended.output + " " + ended.errors).split())[-300:]
    return f"the check fails: {ended.stopped or f'status {ended.status}'}: {said}"


def from_tap(output: str) -> tuple[dict[str, bool | None], str]:
    """Returns test to whether it passed, from the Test Anything Protocol; or why none is known.

    None is a test that was skipped, or one that fails and is marked TODO. Of a repeated name the
    worst counts: failed, skipped, passed. A test without a name has its number, or its place.
    Subtests, which are indented, are part of the test above them. If the tests gave up ("Bail
    out!"), or fewer ran than the plan lines say, nothing is known.
    """
    found: dict[str, bool | None] = {}
    planned = ran = 0
    for row in io.StringIO(output, newline=None):
        if row.startswith("Bail out!"):
            return {}, f"the tests gave up: {row.strip()}"
        if plan := _TAP_PLAN.match(row):
            planned += int(plan[1])
        if told := _TAP.match(row):
            ran += 1
            end = _TAP_END.search(row, told.end())
            name = row[told.end() : end.start() if end else None].strip()
            mark = (end[1] or "").lower() if end else ""
            skipped = mark == "skip" or (mark == "todo" and told[1])
            _note(found, name or told[2] or str(ran), None if skipped else not told[1])
    if ran < planned:
        return {}, f"{planned} tests were planned, and {ran} ran"
    return found, ""


def from_junit(told: bytes, content: Collection[str]) -> dict[str, bool | None]:
    """Test to whether it passed, from JUnit's XML, named as pytest takes them: `path::name`.

    Where the class is in no file of Python, it stays as it is: `com.shop.CartTest::adds`. Of a
    repeated name the worst counts: failed, skipped (None), passed.
    """
    try:
        root = ElementTree.fromstring(told)
    except (ElementTree.ParseError, ValueError, LookupError):  # of an encoding, too
        return {}
    found: dict[str, bool | None] = {}
    for case in root.iter():
        name = _path_of(case.get("classname") or "", content) + (case.get("name") or "")
        if _plain(case.tag) != "testcase" or not name:
            continue
        tags = {_plain(child.tag) for child in case}
        skipped = "skipped" in tags or case.get("status") in NOT_RUN
        _note(found, name, False if tags & {"failure", "error"} else None if skipped else True)
    return found


def _note(found: dict[str, bool | None], name: str, good: bool | None) -> None:
    """Keep the worst outcome of each test: failed, skipped, passed."""
    found[name] = min(found.get(name, True), good, key=(False, None, True).index)


def _plain(tag: object) -> str:
    """Returns the name of an element without its namespace; a comment has none."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _path_of(classname: str, content: Collection[str]) -> str:
    """`tests.test_x.TestY` as `tests/test_x.py::TestY::`."""
    parts = classname.split(".")
    for count in range(min(len(parts), DEEPEST), 0, -1):
        path = "/".join(parts[:count]) + ".py"
        if path in content:
            return "::".join([path, *parts[count:]]) + "::"
    return f"{classname}::" if classname else ""


@dataclass(frozen=True)
class GuardedRun:
    """What a test run is given besides the files of a commit."""

    line: str
    """The command."""
    env: Mapping[str, str]
    """Its environment."""
    given: Mapping[str, bytes] = field(default_factory=dict)
    """Path inside to files that can only be read."""


def guarded_run(
    plan: WorkPlan, line: str, content: Content | Mapping[str, bytes | File]
) -> GuardedRun:
    """Returns a command with the gate in front of it; other runners than Python's ignore it.

    Args:
        plan: has the environment, and says whether there is a gate.
        line: the command.
        content: the files of the commit.
    """
    if not plan.protect_runner:
        return GuardedRun(line, plan.env)
    work = "/task/" + (content.prefix if isinstance(content, Content) else "")
    own = "\n".join([work.rstrip("/"), f"{work}src", "", *sorted(_modules(content))])
    source = resources("counterpoint.workers.inside")
    given = {
        f"{FOLDER}/sitecustomize.py": source.joinpath("safe_path.py").read_bytes(),
        f"{FOLDER}/counterpoint_gate.py": source.joinpath("pytest_gate.py").read_bytes(),
        f"{FOLDER}/own.txt": own.encode("utf-8", "surrogateescape"),
    }
    env = {
        **plan.env, "PYTHONSAFEPATH": "1",
        "PYTHONPATH": ":".join(filter(None, [FOLDER, plan.env.get("PYTHONPATH")])),
        "PYTEST_ADDOPTS": f"{PLUGIN} {plan.env.get('PYTEST_ADDOPTS', '')}".strip(),
    }  # fmt: skip
    line = re.sub(r"\bPYTHONPATH=", f"PYTHONPATH={FOLDER}:", line)
    return GuardedRun(re.sub(r"\bPYTEST_ADDOPTS=", f"PYTEST_ADDOPTS='{PLUGIN} '", line), env, given)


def _modules(content: Mapping[str, Any]) -> set[str]:
    """Names of modules at the top of a commit, and in src."""
    found = set()
    for path in content:
        parts = path.removeprefix("src/").split("/")
        if parts[-1].endswith((".py", ".so")):
            found.add(parts[0].partition(".")[0])
    return {name for name in found if name.isidentifier()}


def trusted_outcomes(report: bytes) -> tuple[dict[str, str], str]:
    """Returns test to outcome, from the report of our plugin, and why none of it is believed.

    Something passes only if each canary came out as it has to: `passed` or `failed`.

    Args:
        report: lines of JSON: what each process of pytest says as it begins and as it ends.
    """
    begun: dict[object, object] = {}
    tests: dict[str, str] = {}
    try:
        for told in map(json.loads, report.splitlines()):
            if "begins" in told:
                begun[told["begins"]] = told["canaries"]
                continue
            wanted = begun.pop(told["ends"])
            good = {"passed", "collected"}.intersection(told["tests"].values())
            if good and told["canaries"] != wanted:
                return {}, f"{CHANGED}: a test that has to fail did not, or was not run"
            for name, outcome in told["tests"].items():
                tests[name] = min(tests.get(name, outcome), outcome, key=WORST.index)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}, f"{CHANGED}: its report cannot be read"
    if begun:
        return {}, f"{CHANGED}, or it ended before it could report"
    return tests, ""
