"""Tests as back-pressure: run a commit's tests in the sandbox, and know which pass."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from counterpoint.team.content import Content, File
from counterpoint.team.guarded import believed, way_in
from counterpoint.team.plan import WorkPlan
from counterpoint.team.sandbox import RESULTS, Ended, run

DEEPEST = 64
"""Folders in each other from which on a class name is taken for no path."""
_TAP = re.compile(r"(not )?ok\b\s*+\d*+\s*+(?:- )?")


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
    way = way_in(plan, plan.tests.replace("{tests}", chosen), content)
    ended = run(["/bin/sh", "-c", way.line], content, plan.limits, env=way.env, given=way.given,
                readable=plan.readable_folders, bring=False,
                report=plan.protect_runner)  # fmt: skip
    found, why = _found(plan, ended, content, files)
    if not found:
        said = " ".join((ended.errors + " " + ended.output).split())[-300:]
        return Results(frozenset(), frozenset(), ended.stopped or why or said or "no test ran",
                       ended.seconds)  # fmt: skip
    passed, failed = (frozenset(name for name, good in found.items() if good is which)
                      for which in (True, False))  # fmt: skip
    return Results(passed, failed, "", ended.seconds)


def _found(
    plan: WorkPlan, ended: Ended, content: Collection[str], files: Collection[str]
) -> tuple[dict[str, bool | None], str]:
    """Test to whether it passed (None: it was skipped), or why nothing that was said is believed.

    Where our plugin of pytest began to report, its report alone counts.
    """
    if plan.protect_runner and ended.report:
        told, why = believed(ended.report)
        good = {"passed": True, "failed": False, "skipped": None}
        return {name: good.get(outcome, name in files) for name, outcome in told.items()
                if outcome != "collected" or name in files}, why  # fmt: skip
    if RESULTS in plan.tests:
        return from_junit(ended.results, content), ""
    return {**from_tap(ended.output)}, ""


def check_fails(plan: WorkPlan, check: str, content: Content) -> str:
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


def from_tap(output: str) -> dict[str, bool]:
    """Test to whether it passed, from the Test Anything Protocol; of a repeated name the worst."""
    found: dict[str, bool] = {}
    for row in output.splitlines():
        told = _TAP.match(row)
        name = row[told.end() :].partition("#")[0].rstrip() if told else ""
        if told and name:
            found[name] = found.get(name, True) and not told[1]
    return found


def from_junit(told: bytes, content: Collection[str]) -> dict[str, bool | None]:
    """Test to whether it passed, from JUnit's XML, named as pytest takes them: `path::name`.

    Of a repeated name the worst counts: failed, skipped (None), passed.
    """
    try:
        root = ElementTree.fromstring(told)
    except ElementTree.ParseError:
        return {}
    found: dict[str, bool | None] = {}
    for case in root.iter("testcase"):
        name = _path_of(case.get("classname") or "", content) + (case.get("name") or "")
        tags = {child.tag for child in case}
        good = False if tags & {"failure", "error"} else None if "skipped" in tags else True
        found[name] = min(found.get(name, True), good, key=(False, None, True).index)
    return found


def _path_of(classname: str, content: Collection[str]) -> str:
    """`tests.test_x.TestY` as `tests/test_x.py::TestY::`."""
    parts = classname.split(".")
    for count in range(min(len(parts), DEEPEST), 0, -1):
        path = "/".join(parts[:count]) + ".py"
        if path in content:
            return "::".join([path, *parts[count:]]) + "::"
    return "::".join(part for part in parts if part) + "::" if classname else ""
