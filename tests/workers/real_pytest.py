"""A repository whose tests real pytest runs in the sandbox, and the plan for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from counterpoint.errors import SettingError
from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.sandbox.sandbox import Limits, SandboxInputs, run

SITE = Path(pytest.__file__).parent.parent
BUGS = (
    ("itertoolz.py", "return len(seq) == len(set(seq))", "==", "!="),
    ("itertoolz.py", "if val not in seen:", "not in", "in"),
    ("itertoolz.py", "itertools.islice(seq, 0, None, n)", "0", "1"),
    ("itertoolz.py", "if k not in d:\n            if is_no_default", "not in", "in"),
    ("dicttoolz.py", "        if predicate(v):", "if ", "if not "),
)
"""File, line, what is right in it, and what is planted there: five bugs of one token."""
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
        run(["/bin/true"], {}, inputs=SandboxInputs(readable=plan.readable_folders))
    except SettingError as error:
        pytest.skip(str(error))
    return plan


def toolz_with_bugs(tmp_path: Path) -> Path:
    """A package with its own tests, as its makers published it, in which `BUGS` are planted.

    The test is skipped where it cannot be downloaded.
    """
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
         "--no-build-isolation", "--dest", str(tmp_path), "toolz==1.0.0"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    archives = list(tmp_path.glob("toolz-*.tar.gz"))
    if not archives:
        pytest.skip(f"toolz cannot be downloaded here: {fetched.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / "toolz-1.0.0"
    for name, line, old, new in BUGS:
        path = source / "toolz" / name
        text = path.read_text()
        assert text.count(line) == 1
        path.write_text(text.replace(line, line.replace(old, new)))
    return source
