"""Torch takes a second to import: only what trains neural policies does so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "pettingzoo", "gymnasium")
TOLD = f"import sys; print([n for n in {HEAVY} if n in sys.modules])"


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{TOLD}"],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def command(*arguments):
    return f"""
import sys
from counterpoint.cli.main import run
sys.argv = ["counterpoint", *{list(arguments)!r}]
try:
    run()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "code",
    [
        "import counterpoint.credit",
        "import counterpoint.diagnose, counterpoint.stats, counterpoint.worlds, counterpoint.runs",
        "from counterpoint.worlds import find_world; find_world('spread').make()",
        "from counterpoint.train import train; from counterpoint.train.ppo.settings import *",
        "import counterpoint.lm.fetch, counterpoint.lm.models, counterpoint.lm.tiny",
        command("--help"),
        command("model", "list"),
        command(
            "compare",
            "regions",
            "--schemes",
            "grpo",
            "--seeds",
            "2",
            "--set",
            "updates=3",
            "--workers",
            "1",
        ),
    ],
    ids=["credit", "arrays", "twins", "tables", "talk", "help", "models", "compare"],
)
def test_torch_is_not_imported(code: str, tmp_path: Path) -> None:
    assert run(code, tmp_path) == "[]"
