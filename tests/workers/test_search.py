"""The worker `search` on real pytest: a package in a style of its own, and one from an archive."""

from __future__ import annotations

import ast
import json
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_pytest import BUGS, pytest_plan, toolz_with_bugs, write

from counterpoint.cli.main import main
from counterpoint.workers import turn
from counterpoint.workers.inside.edits import apply_edits, find_edits
from counterpoint.workers.inside.search import pytest_options
from counterpoint.workers.loop import run_team
from counterpoint.workers.members import locate
from counterpoint.workers.plan import WorkerPlan, WorkPlan
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
CORE = '''
def clamp(value, low, high):
    if value <= low:
        return high
    return min(value, high)

def total(values):
    out = 1
    for value in values:
        out += value
    return out

class Box:
    def __init__(self):
        self.items = []

    def put(self, item):
        self.items.append(item)
        return len(self.items) - 1

def evens(most):
    """Even numbers.

    >>> evens(5)
    [0, 2, 4]
    """
    return [i for i in range(most) if i % 2 != 0]
'''
TESTS = """
import pathlib
import pytest
from pack import clamp, total

@pytest.mark.parametrize(("value", "want"), [(1, 2), (3, 3), (9, 5)])
def test_clamp(value, want):
    assert clamp(value, 2, 5) == want

@pytest.mark.parametrize("values", [[], [1, 2]], ids=["none", "two words"])
def test_total(values):
    assert total(values) == sum(values)

class TestBox:
    def test_put(self, box):
        assert box.put("a") == 1
        assert box.put("b") == 2

def test_no_line_of_the_package():
    assert pathlib.Path("missing").exists()
"""
FILES = {
    "src/pack/__init__.py": "from pack.core import *\n", "src/pack/core.py": CORE,
    "tests/test_core.py": TESTS,
    "tests/conftest.py": "import pytest\nfrom pack import Box\n\n"
                         "@pytest.fixture\ndef box():\n    return Box()\n",
    "pytest.ini": "[pytest]\naddopts = --doctest-modules\ntestpaths = src tests\n",
}  # fmt: skip
LINE = "python3 -m pytest -q {tests}"


def told(plan, folder):
    """The plan as TOML."""
    limits = plan.limits
    return (
        f"repository = {json.dumps(plan.repository)}\ntests = {json.dumps(plan.tests)}\n"
        f"readable = {json.dumps(list(plan.readable))}\nattempts = {plan.attempts}\n"
        f"[env]\nPYTHONPATH = {json.dumps(plan.env['PYTHONPATH'])}\n"
        f'PYTEST_DISABLE_PLUGIN_AUTOLOAD = "1"\n[limits]\nseconds = {limits.seconds}\n'
        f"[worker]\ntries = {plan.worker.tries}\n"
    )


def run_plan(plan, tmp_path, capsys):
    """What `counterpoint team run` says of a plan."""
    (tmp_path / "plan.toml").write_text(told(plan, tmp_path))
    main(["team", "run", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out"), "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_parameters_fixtures_classes_and_doctests_are_repaired(tmp_path, capsys):
    write(tmp_path / "source", FILES)
    plan = pytest_plan(tmp_path / "source", LINE, attempts=1, worker=WorkerPlan(tries=100))
    found = run_plan(plan, tmp_path, capsys)
    assert found["failing"] == ["tests/test_core.py::test_no_line_of_the_package"]
    state = TeamState.load(tmp_path / "out")
    first = state.queue.fact("first")
    assert (first["passed"], len(first["failed"])) == (2, 6)
    texts = [e.text for e in state.queue.events() if "cannot take" in e.text]
    assert texts[0].startswith("search cannot take 1 of 6 new tasks")
    assert "test_no_line_of_the_package" in texts[0]
    notes = {a.task: a.note for a in state.queue.attempts()}
    assert "runs no line that may be changed" in notes[found["failing"][0]]
    changed = state.repository.changed(state.queue.fact("planned"), state.repository.head())
    assert set(changed) <= {"src/pack/core.py"}


def test_all_tests_are_traced_in_one_run_and_tests_are_never_edited(tmp_path):
    write(tmp_path / "source", FILES)
    plan = pytest_plan(tmp_path / "source", LINE, worker=WorkerPlan(tries=100))
    state = TeamState(tmp_path / "run", plan, "solo", 1)
    state.create()
    tests = ["tests/test_core.py::test_total[two words]", "tests/test_core.py::TestBox::test_put",
             "src/pack/core.py::pack.core.evens", "tests/test_core.py::missing"]  # fmt: skip
    where = locate(plan, state.repository.content(state.repository.head()), tests)
    assert [where[test][0] for test in tests] == [("src/pack/core.py",)] * 3 + [()]
    # out = 1: 2 numbers; += : 1; out and value are no arguments
    assert where[tests[0]][1] == 3
    assert turn.plan(state, "planner") == 0
    assert len(state.queue.tasks()) == 6


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("python3 -m pytest -q -x {tests}", ["-q", "-x"]), ("pytest {tests}", []),
        ("/usr/bin/python3 -m pytest --junitxml={results}", []),
        ("NAME=1 python3 -m pytest -n 4 {tests}", ["-n", "4", "-n0"]),
        ("pytest --cov=shop", ["--cov=shop", "--no-cov"]), ("sh run.sh {tests}", None),
        ("cd web && pytest {tests}", None), ("pytest a; pytest b", None), ("tox -e pytest", None),
        ("python3 tap.py {tests}", None),
    ],
)  # fmt: skip
def test_which_commands_are_plain_pytest(command, options, monkeypatch):
    monkeypatch.setenv("NAME", "0")
    found = pytest_options(command)
    assert found == options


def edited(source):
    """Every edited version of a source whose lines all run."""
    lines = set(range(1, source.count("\n") + 2))
    return {apply_edits(source, [edit]) for edit in find_edits(source, lines)}


def test_edits_by_hand():
    assert edited("x = 1 if a is b else 5\n") == {
        "x = 1 if a is not b else 5\n", "x = 1 if not (a is b) else 5\n",
        "x = 2 if a is b else 5\n", "x = 0 if a is b else 5\n",
        "x = 1 if a is b else 6\n", "x = 1 if a is b else 4\n", "x = 1 if a is b else 0\n",
    }  # fmt: skip
    assert edited("x -= y\n") == {"x += y\n"}
    assert edited("é = not ü\n") == {"é = ü\n"}
    names = "def f(a, b):\n    return a\ndef g(c):\n    return c\n"
    assert edited(names) == {names.replace("return a", "return b")}  # c belongs to another function


@given(st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "in", "not in", "is", "is not"]),
       st.sampled_from(["+", "-", "*", "//"]))  # fmt: skip
def test_every_edit_is_a_program_and_some_edit_undoes_it(compare, operate):
    source = f"def f(ä, b):\n    return (ä {compare} b) and (b {operate} ä)\n"
    for new in edited(source):
        ast.parse(new)
    swapped = {new for new in edited(source) if " or " in new}
    assert all(source in edited(new) for new in swapped)
    assert swapped


@pytest.mark.slow
def test_a_package_from_an_archive_with_five_planted_bugs(tmp_path, capsys):
    source = toolz_with_bugs(tmp_path)
    plan = pytest_plan(source, LINE, attempts=2, worker=WorkerPlan(tries=400))
    plan = replace(plan, limits=replace(plan.limits, seconds=300))
    found = run_plan(plan, tmp_path, capsys)
    state = TeamState.load(tmp_path / "out")
    content = state.repository.content(state.repository.head())
    assert state.queue.fact("first")["failed"]
    mended = [line for name, line, old, new in BUGS
              if line.replace(old, new).encode() not in content[f"toolz/{name}"]]  # fmt: skip
    assert len(mended) >= 4, (mended, found["failing"])


SETUP = """
mkdir /setup/bin
printf '#!/bin/sh\\nWHOSE=mine exec /usr/bin/python3 "$@"\\n' > /setup/bin/python3
chmod +x /setup/bin/python3
"""
RUN = """
import test_a
try:
    test_a.test_f()
    print("ok - test_a.py::test_f")
except AssertionError:
    print("not ok - test_a.py::test_f")
"""


@pytest.mark.few(1)
@pytest.mark.parametrize("python", ["python3", "/setup/bin/python3"])
def test_the_python_of_setup_runs_the_search_too(tmp_path, python):
    write(tmp_path / "repo", {
        "a.py": "def f(n):\n    return n - 1\n", "run_tests.py": RUN,
        "test_a.py": "import os\nfrom a import f\n\ndef test_f():\n"
                     "    assert f(2) == 3 and os.environ['WHOSE'] == 'mine'\n",
    })  # fmt: skip
    plan = WorkPlan(repository=str(tmp_path / "repo"), tests=f"{python} run_tests.py", setup=SETUP)
    state = TeamState(tmp_path / "run", plan, "solo", 1, runs=1)
    state.create()
    result = run_team(state.folder)
    assert result.done == 1, result.unfinished
