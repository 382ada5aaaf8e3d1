"""Run a check with a peer's own interpreter: `run_peer`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL = 1e-6
"""How far a float32 of a peer may be from the kernel."""


def site_of(environment: str) -> Path:
    """The folder of packages of a peer's environment; skips the test where there is none."""
    site = sorted((ROOT / ".venv" / environment / "lib").glob("python*/site-packages"))
    if not site:
        pytest.skip(f"no .venv/{environment}: python bench/peer_environments.py {environment}")
    return site[0]


def run_peer(
    environment: str, script: str, *arguments: str | Path, processes: int = 1
) -> dict[str, Any]:
    """What a script in `peers/` prints in its last line of JSON.

    Several processes find each other by the variables that torch's launcher sets.
    """
    site_of(environment)
    python = ROOT / ".venv" / environment / "bin" / "python"
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    run = subprocess.run(
        [
            python,
            *(launcher if processes > 1 else []),
            ROOT / "tests/integrations/peers" / script,
            *arguments,
        ],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'bench' / 'peers'}",
            "OMP_NUM_THREADS": "1",
            "WANDB_MODE": "disabled",
            "TRL_EXPERIMENTAL_SILENCE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    printed: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return printed
