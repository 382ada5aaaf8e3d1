"""What the scripts of this folder share: JSON files, intervals as text, processes and peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.stats import bootstrap_interval
from counterpoint.stats.estimate import Estimate
from peer_environments import ENVIRONMENTS, make

PROJECT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def write_json(path: Path, document: Any) -> None:
    """Writes a document, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def with_interval(estimate: Estimate, form: str = ".3f") -> str:
    """Returns an estimate with its interval as text, each number in the format `form`."""
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def mean(values: np.ndarray) -> np.ndarray:
    """Returns the mean over the last axis, as a statistic of the bootstrap."""
    return np.asarray(values.mean(axis=-1))


def mean_estimate(values: Sequence[float] | np.ndarray) -> Estimate:
    """Returns the mean of samples with its bootstrap interval."""
    return bootstrap_interval(values, rng=np.random.default_rng(0), statistic=mean)


def run_json(command: Sequence[str], variables: Mapping[str, str] = ONE_THREAD) -> dict[str, Any]:
    """Returns the JSON document that a process prints last.

    Args:
        command: the command line.
        variables: variables of its environment, beside our own.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    document: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return document


def run_task(
    script: str, task: str, variables: Mapping[str, str] = ONE_THREAD, **options: Any
) -> dict[str, Any]:
    """Returns what one task of a script in this folder prints, in a process of its own."""
    words = [f"--{name}={value}" for name, value in options.items()]
    return run_json([sys.executable, str(PROJECT / "bench" / script), task, *words], variables)


def peer_python(name: str) -> str | None:
    """Returns the interpreter of a peer's environment, which is made if it is missing.

    If it cannot be made, this prints a warning and returns None.
    """
    python = PROJECT / ".venv" / name / "bin" / "python"
    if not python.exists() and (why := make(name, PROJECT / ".venv")):
        warn_loudly(f"{', '.join(ENVIRONMENTS[name].steps[-1])} could not be installed: {why}")
        return None
    return str(python)


def warn_loudly(text: str) -> None:
    """Prints a line that a reader does not miss, since a part of the measurement is left out."""
    print(f"## {text} ##", file=sys.stderr, flush=True)
