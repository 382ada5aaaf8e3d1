"""The worker `search`, from outside: what it is asked in the sandbox, and what it answers.

Start with `search`; `locate` asks where tests run, for planners.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from typing import Any

from counterpoint.workers.gate.checks import guarded_run
from counterpoint.workers.gate.gate import Gate
from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.sandbox import Limits, SandboxResult, run

FOLDER, PACKAGE = "/given", "counterpoint_search"
PROGRAM = f"import sys; sys.path.append({FOLDER!r}); from {PACKAGE}.search import main; main()"
FILES = ("search.py", "edits.py")


@dataclass(frozen=True)
class SearchResult:
    """What a search came to."""

    files: Mapping[str, File]
    """Path from the top to the edited file; empty if no edit makes the test pass."""
    tries: int
    """How many edits were tried."""
    note: str
    """Which edits, or why there are none."""


def locate(
    plan: WorkPlan, content: Content, tests: Sequence[str]
) -> dict[str, tuple[tuple[str, ...], int]]:
    """Returns each test's files, and in how many ways they could be edited where the test runs.

    The tests are traced in one sandbox. A test without files is one that `search` cannot take.
    """
    if not tests:
        return {}
    told = _run_search(plan, content, {"locate": list(tests)}, plan.limits)[0]
    found = {}
    for test in tests:
        one = told.get(test)
        one = one if isinstance(one, dict) else {}
        files, size = one.get("files", ()), one.get("size", 1)
        found[test] = (tuple(map(str, files)), size if isinstance(size, int) and size else 1)
    return found


def search(
    plan: WorkPlan, content: Content, test: str, keep: Sequence[str], tries: int, seed: int
) -> SearchResult:
    """Search for edits that make a test pass, and leave those passing that do.

    Args:
        plan: says how tests are run, and what the search may use.
        content: the files of a commit.
        test: what has to pass.
        keep: what has to go on passing.
        tries: most edits.
        seed: of the order of edits.
    """
    asked = {"test": test, "keep": list(keep), "tries": tries, "seed": seed,
             "think_seconds": plan.worker.think_seconds}  # fmt: skip
    told, ended = _run_search(plan, content, asked, plan.worker_limits)
    cost = told.get("tries")
    cost = cost if isinstance(cost, int) and 0 <= cost <= tries else tries
    if told.get("found") is not True or not isinstance(told.get("edits"), list):
        said = str(told.get("why", "")) or " ".join(ended.errors.split())[-200:]
        return SearchResult({}, cost, ended.stopped or said or "no edit makes it pass")
    edits = [edit for edit in told["edits"] if isinstance(edit, list) and len(edit) == 4]
    paths = {f"{content.prefix}{edit[0]}" for edit in edits}
    files = {path: file for path, file in ended.changed.items() if path in paths}
    return SearchResult(
        files, cost, "edits " + "; ".join(f"{path}: {new!r}" for path, _, _, new in edits)
    )


def _run_search(
    plan: WorkPlan, content: Content, asked: Mapping[str, Any], limits: Limits
) -> tuple[dict[str, Any], SandboxResult]:
    """The answer to a question, as the last line of what is printed, and how the run ended."""
    gate, start = Gate(plan, content), len(content.prefix)
    tests = [path[start:] for path in gate.entries
             if path.startswith(content.prefix) and gate.is_edited_by_nobody(path)]  # fmt: skip
    more = {"command": plan.tests, "tests": tests, "seconds": limits.seconds / 3}
    source, way = resources("counterpoint.workers.inside"), guarded_run(plan, plan.tests, content)
    given = {f"{FOLDER}/{PACKAGE}/{name}": source.joinpath(name).read_bytes() for name in FILES}
    env = {**way.env, "PYTEST_ADDOPTS": plan.env.get("PYTEST_ADDOPTS", "")}
    ended = run([_python(plan.tests), "-c", PROGRAM], content, limits, env=env,
                readable=plan.readable_folders, stdin=json.dumps({**asked, **more}).encode(),
                given={**way.given, **given, f"{FOLDER}/{PACKAGE}/__init__.py": b""})  # fmt: skip
    last = (ended.output.strip().splitlines() or [""])[-1]
    try:
        told = json.loads(last)
    except (ValueError, RecursionError):
        told = {}
    return told if isinstance(told, dict) else {}, ended


def _python(command: str) -> str:
    """The interpreter that a command names, or the first `python3` in the sandbox's `PATH`."""
    for word in shlex.split(command):
        folder, name = os.path.split(word)
        if re.fullmatch(r"python[\d.]*", name) and (not folder or folder.startswith("/")):
            return word
        if folder.startswith("/") and name in ("pytest", "py.test"):
            return f"{folder}/python3"
        if "=" not in word:
            break
    return "python3"
