"""Recipes run from the command line, print their tables and write the numbers behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_recipe_prints_its_table_and_writes_its_numbers(tmp_path: Path) -> None:
    done = run(str(BENCH / "run.py"), "variable_calls", "--seeds", "2", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Net advantage mass per verifier step" in done.stdout
    document = json.loads((tmp_path / "variable_calls.json").read_text())
    assert document["seeds"] == 2
    cells = {(c["row"], c["column"]): c for c in document["tables"][0]["cells"]}
    by_rollout = cells["by rollout, shared", "first 10 updates"]
    assert by_rollout["value"] == pytest.approx(-0.33, abs=0.06)
    assert by_rollout["low"] <= by_rollout["value"] <= by_rollout["high"]
    by_step = cells["by step, shared", "first 10 updates"]
    assert by_step["value"] == pytest.approx(0.0, abs=1e-12)


def test_an_unknown_recipe_is_refused_by_name() -> None:
    done = run(str(BENCH / "run.py"), "variable_call")
    assert done.returncode == 2
    assert "got recipes variable_call; wanted some of" in done.stderr
