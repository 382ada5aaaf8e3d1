"""Installs the built wheel with each extra in an empty environment, and runs one command there.

    python bench/wheel.py [EXTRA ...] [--python PATH ...]

`core` is the wheel without an extra. Versions are those of constraints.txt. Each environment is
removed after its check; its size goes to bench/data/environments.json, and from there to the
table of docs/how-to/install.md, with the versions of Python on which the check passed. Exits with
1 if a check failed.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "bench" / "data" / "environments.json"
LARGEST_WHEEL = 2_000_000
"""Bytes of the wheel: more would be a file that nobody meant to ship."""
CHECKS: dict[str, tuple[str, ...]] = {
    "core": ("-m", "counterpoint", "demo", "--seeds", "2", "--out", "out"),
    "torch": ("-m", "counterpoint", "train", "spread", "--budget", "2000", "--out", "out"),
    "worlds": ("-m", "counterpoint", "worlds", "mpe2:simple_spread_v3"),
    "language": ("-m", "counterpoint", "train", "lewis", "--budget", "1", "--out", "out"),
    "llm": (
        "-c",
        "import openai\n"
        "from counterpoint.speakers import Server, ServerSettings\n"
        "Server(ServerSettings('model', 'http://127.0.0.1:9/v1'), api_key='x')",
    ),
    "logs": ("-c", "import zstandard, counterpoint.readers"),
    "graphs": (
        "-c",
        "from counterpoint.topology import make_topology, to_networkx\n"
        "assert len(to_networkx(make_topology('ring', 4)))",
    ),
    "games": ("-m", "counterpoint", "game", "stag_hunt", "--out", "out"),
    "ray": (
        *("-m", "counterpoint", "compare", "regions", "--seeds", "2", "--executor", "ray"),
        *("--out", "out"),
    ),
    "tensorboard": (
        "-c",
        "from tensorboard.compat.proto import event_pb2\nimport counterpoint.runs.exporters",
    ),
    "wandb": ("-c", "import wandb, counterpoint.runs.exporters"),
    "mlflow": ("-c", "from mlflow.tracking import MlflowClient\nimport sqlalchemy, alembic"),
    "trackio": ("-c", "import trackio, counterpoint.runs.exporters"),
    "sweep": ("-c", "import optuna"),
    "jax": (
        "-c",
        "import jax.numpy as jnp\nimport counterpoint as cp\n"
        "labels = {'agent': ['a', 'b'] * 2, 'rollout': [0, 0, 1, 1]}\n"
        "scheme = cp.scheme_named('mappo_per_agent')\n"
        "assert cp.advantages(jnp.arange(4.0), labels, scheme).values.shape == (4,)",
    ),
}
"""Extra to the arguments of Python that show that it works."""


@dataclass(frozen=True)
class Checked:
    """One environment, after its check."""

    python: str
    """Version of the interpreter, such as 3.12."""
    megabytes: int
    """Size of the installed packages, without pip."""
    fault: str = ""
    """The last line of an installation or a check that failed."""


def build(folder: Path) -> Path:
    """Returns the wheel of this checkout, built into a folder."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*pip, str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def requirement(wheel: Path, extra: str) -> str:
    """Returns the argument of pip for the wheel with an extra."""
    return str(wheel) if extra == "core" else f"{wheel}[{extra}]"


def check(wheel: Path, extra: str, interpreter: str) -> Checked:
    """Installs the wheel with an extra into an empty environment and runs its check there."""
    with tempfile.TemporaryDirectory(prefix="an environment ") as folder:
        place = Path(folder) / "venv"
        subprocess.run([interpreter, "-m", "venv", str(place)], check=True)
        python = place / "bin" / "python"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        constraints = str(ROOT / "constraints.txt")
        installed = _run([*pip, "-c", constraints, requirement(wheel, extra)], folder)
        fault = installed or _run([python, "-W", "error::SyntaxWarning", *CHECKS[extra]], folder)
        files = (f for f in (place / "lib").rglob("*") if f.is_file() and not f.is_symlink())
        size = sum(f.stat().st_size for f in files if not {"pip", "setuptools"} & set(f.parts))
        (library,) = (place / "lib").glob("python3*")
        return Checked(library.name.removeprefix("python"), round(size / 1e6), fault)


def _run(command: list[object], folder: str) -> str:
    """Returns the last line of a command that failed, or an empty text."""
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False
    )
    lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
    return lines[-1] if done.returncode else ""


def main() -> int:
    """Checks the extras, writes their sizes, and returns 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("extras", nargs="*", choices=[[], *CHECKS])
    parser.add_argument("--python", nargs="*", default=[sys.executable], metavar="PATH")
    options = parser.parse_args()
    document = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {"environments": {}}
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        size = wheel.stat().st_size
        print(f"{wheel.name}: {size / 1e6:.2f} MB")
        failed |= size > LARGEST_WHEEL
        for extra, python in product(options.extras or CHECKS, options.python):
            one = check(wheel, extra, python)
            failed |= bool(one.fault)
            print(f"{extra}, {one.python}: {one.megabytes} MB {one.fault or 'works'}", flush=True)
            if one.fault:
                continue
            known = document["environments"].setdefault(extra, {"megabytes": 0, "python": []})
            known["megabytes"] = max(known["megabytes"], one.megabytes)
            known["python"] = sorted({*known["python"], one.python})
            document |= {
                "date": date.today().isoformat(),
                "machine": f"{platform.system()} {platform.machine()}",
                "wheel_kb": round(size / 1e3),
            }
            OUT.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
