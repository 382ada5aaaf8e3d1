"""A test run whose results the code under test cannot name: what goes in, and what is believed.

Start with `way_in` and `believed`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as resources
from typing import Any

from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.repository import Content

FOLDER, PLUGIN = "/given/gate", "-p counterpoint_gate"
WORST = ("failed", "skipped", "passed", "collected")
"""Outcomes of a test, the last of a file: of several, the first of these counts."""
CHANGED = "the test runner was changed"


@dataclass(frozen=True)
class WayIn:
    """What a test run is given besides the files of a commit."""

    line: str
    """The command."""
    env: Mapping[str, str]
    """Its environment."""
    given: Mapping[str, bytes] = field(default_factory=dict)
    """Path inside to files that can only be read."""


def way_in(plan: WorkPlan, line: str, content: Content | Mapping[str, bytes | File]) -> WayIn:
    """Returns a command with the gate in front of it; other runners than Python's ignore it.

    Args:
        plan: has the environment, and says whether there is a gate.
        line: the command.
        content: the files of the commit.
    """
    if not plan.protect_runner:
        return WayIn(line, plan.env)
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
    return WayIn(re.sub(r"\bPYTEST_ADDOPTS=", f"PYTEST_ADDOPTS='{PLUGIN} '", line), env, given)


def _modules(content: Mapping[str, Any]) -> set[str]:
    """Names of modules at the top of a commit, and in src."""
    found = set()
    for path in content:
        parts = path.removeprefix("src/").split("/")
        if parts[-1].endswith((".py", ".so")):
            found.add(parts[0].partition(".")[0])
    return {name for name in found if name.isidentifier()}


def believed(report: bytes) -> tuple[dict[str, str], str]:
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
