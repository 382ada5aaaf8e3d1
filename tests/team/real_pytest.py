"""A repository whose tests real pytest runs in the sandbox, and the plan for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from counterpoint.errors import SettingError
from counterpoint.team.plan import WorkPlan
from counterpoint.team.sandbox import Limits, run

SITE = Path(pytest.__file__).parent.parent
JUNIT = "python3 -m pytest -q -p no:cacheprovider --junitxml={results} {tests}"


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def pytest_plan(repository: Path, tests: str = JUNIT, **more: object) -> WorkPlan:
    """The plan of a team whose sandbox can read pytest; the test is skipped where it cannot."""
    told = subprocess.run(["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"],
                          capture_output=True, text=True, check=False).stdout  # fmt: skip
    if told.strip() != str(sys.version_info[:2]) or not os.access(SITE, os.R_OK):
        pytest.skip("the system's Python is another one, so it cannot import this pytest")
    env = {"PYTHONPATH": str(SITE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plan = WorkPlan(repository=str(repository), tests=tests, readable=(str(SITE),), env=env,
                    limits=Limits(seconds=60), **more)  # type: ignore[arg-type]  # fmt: skip
    try:
        run(["/bin/true"], {}, readable=plan.readable_folders)
    except SettingError as error:
        pytest.skip(str(error))
    return plan
