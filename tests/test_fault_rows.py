"""The catalogue of faults: every row has a test or says that it has none; no test names another.

The counts come from reports, so they are held here to a small run in a process of its own.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from bench_modules import bench_module

PROJECT = Path(__file__).resolve().parents[1]
TRUST = bench_module("trust")


def named_rows(sources):
    """The rows that markers in these sources name."""
    return {row for text in sources for mark in TRUST.MARK.findall(text) for row in re.findall(
        r'"([^"]*)"', mark)}  # fmt: skip


def wrong_rows(rows, untested, named):
    """What is wrong with a catalogue, its list of untested rows and the rows that tests name."""
    return (
        [f"no test names {row}" for row in rows if row not in named and row not in untested]
        + [f"{row} has a test and is listed as untested" for row in untested if row in named]
        + [f"{row} is no row" for row in sorted({*named, *untested} - set(rows))]
    )


def test_the_gate_finds_what_is_planted_and_nothing_else():
    named = named_rows(['@pytest.mark.fault("R1", cases=3)\n', 'x = mark.fault("R2", "R3")'])
    assert named == {"R1", "R2", "R3"}
    assert wrong_rows(["R1", "R2", "R3", "R4"], ["R4"], named) == []
    assert wrong_rows(["R1", "R2", "R3", "R4"], [], named) == ["no test names R4"]
    assert wrong_rows(["R1", "R2", "R3"], ["R1"], named) == [
        "R1 has a test and is listed as untested"
    ]
    assert wrong_rows(["R1", "R2"], ["R9"], named) == ["R3 is no row", "R9 is no row"]


def test_every_row_has_a_test_or_says_that_it_has_none():
    document = tomllib.loads((PROJECT / "bench" / "faults.toml").read_text("utf-8"))
    rows = TRUST.faults()
    by_script = [row for row, about in rows.items() if "script" in about]
    files = [path for path in (PROJECT / "tests").rglob("test_*.py") if path != Path(__file__)]
    named = named_rows(path.read_text("utf-8") for path in files)
    assert wrong_rows(rows, [*document["untested"], *by_script], named) == []
    assert {key for about in rows.values() for key in about} == {
        *("fault", "how", "line", "lacks", "script")
    }


SMALL = """
import pytest
from hypothesis import given, settings, strategies as st

pytestmark = pytest.mark.fault("R1")

@pytest.mark.parametrize("n", [1, 2])
def test_one_case_each(n):
    pass

@pytest.mark.fault("R2", cases=7)
def test_many_inside():
    pass

@pytest.mark.fault("R2")
def test_as_many_as_it_says(record_property):
    record_property("cases", 4)

@pytest.mark.fault("R3")
@settings(max_examples=30, database=None)
@given(st.integers())
def test_examples(n):
    pass

@pytest.mark.fault("R4", cases=50)
def test_fails():
    raise ValueError("planted")

@pytest.mark.fault("R4")
@pytest.mark.skip("not here")
def test_is_skipped():
    pass

@pytest.mark.fault("R5")
@pytest.mark.slow
def test_is_slow():
    pass
"""


def test_what_is_counted(tmp_path):
    (tmp_path / "test_small.py").write_text(SMALL)
    (tmp_path / "conftest.py").write_text((PROJECT / "tests" / "conftest.py").read_text())
    counts = tmp_path / "counts.json"
    line = [sys.executable, "-m", "pytest", tmp_path, "-p", "no:cacheprovider", "-c",
            PROJECT / "pyproject.toml", "--rootdir", tmp_path, f"--faults={counts}"]  # fmt: skip
    for more in (["-n0"], ["-n2"]):
        ran = subprocess.run(
            [*line, *more], capture_output=True, text=True, cwd=PROJECT / "tests",
            env={"PATH": "", "PYTHONPATH": f"{PROJECT / 'tests'}"},
        )  # fmt: skip
        assert ran.returncode == 1, ran.stdout + ran.stderr
        told = json.loads(counts.read_bytes())
        assert told["R2"] == {"tests": 2, "passed": 11}
        assert told["R3"] == {"tests": 1, "passed": 30}
        assert told["R4"] == {"tests": 2, "failed": 1, "skipped": 1}
        assert told["R1"] == {"tests": 7, "passed": 43, "failed": 1, "skipped": 1}
        assert "R5" not in told
    subprocess.run([*line, "-n0", "--rows=R3"], cwd=PROJECT / "tests", capture_output=True,
                   env={"PATH": "", "PYTHONPATH": f"{PROJECT / 'tests'}"})  # fmt: skip
    assert set(json.loads(counts.read_bytes())) == {"R1", "R3"}
    counts.unlink()
    (tmp_path / "test_broken.py").write_text("import no_such_module")
    subprocess.run([*line, "-n2"], cwd=PROJECT / "tests", capture_output=True,
                   env={"PATH": "", "PYTHONPATH": f"{PROJECT / 'tests'}"})  # fmt: skip
    assert not counts.exists()
