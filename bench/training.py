"""How fast policies train: thresholds, a peer in the same run, processes, worlds in Python.

    python bench/training.py --out counterpoint-out/bench/training.json

BenchMARL and VMAS are installed into an environment of their own, `.venv/peers`; where that fails
the comparison is left out, loudly. Every figure of ours is a whole process, imports included, or
CPU-seconds where it says so. JaxMARL's trainer is in no package, so its figures are recorded ones,
from another machine of the same kind.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PEER = PROJECT / ".venv" / "peers"
PEER_PACKAGES = (
    *("torch==2.13.0", "tensordict==0.11.0", "torchrl==0.11.1", "benchmarl==1.5.2"),
    *("vmas==1.5.2", "msgspec>=0.19"),
)
"""A set that works together; without pins, pip takes a BenchMARL that cannot use its TorchRL."""
RECORDED = {"-69 seconds": 26.0, "-65 well tuned seconds": 15.1}
"""JaxMARL's IPPO, imports and compilation included. The second: 12.7 s of them, and 130,000 steps
at 54,900 a second, by interpolation between -66 after 65,000 and -62.6 after 400,000 steps."""
PYTHON_WORLDS = (
    "mpe2:simple_spread_v3",
    "mpe2:simple_speaker_listener_v4",
    "lbforaging:Foraging-8x8-2p-3f-v3",
    "rware:rware-tiny-2ag-v2",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/training.json"))
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, Any] = {"recorded": RECORDED}
    for name, part in (
        ("thresholds", lambda: thresholds(asked.runs)),
        ("peer", lambda: peer(max(3, asked.runs // 2))),
        ("processes", processes),
        ("diagnosis", diagnosis),
        ("python_worlds", python_worlds),
    ):
        found[name] = part()
        print(name, json.dumps(found[name], indent=1), flush=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def ours(task: str, **options: Any) -> dict[str, Any]:
    """Run one task of bench/training_task.py as a process of its own; what it printed."""
    words = [f"--{name}={value}" for name, value in options.items()]
    return run([sys.executable, str(PROJECT / "bench" / "training_task.py"), task, *words])


def run(command: Sequence[str]) -> dict[str, Any]:
    """A process that prints one JSON document last; with the wall time of all of it."""
    start = time.perf_counter()
    environment = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    document: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**document, "wall_seconds": time.perf_counter() - start}


def thresholds(runs: int) -> dict[str, Any]:
    """Seconds from the start of the process to a team return of -69, -65 and -60 on spread."""
    series = [ours("thresholds", seed=seed) for seed in range(runs)]
    return {
        name: {
            "median": statistics.median(one[name] for one in series),
            "all": [round(one[name], 2) for one in series],
        }
        for name in series[0]
        if name.startswith("-")
    }


def peer(runs: int) -> dict[str, Any]:
    """Steps per CPU-second against BenchMARL: same network, epochs and minibatches, in turns."""
    python = peer_python()
    if python is None:
        return {"left out": "BenchMARL could not be installed"}
    script = str(PROJECT / "bench" / "peers" / "benchmarl_speed.py")
    pairs = []
    for _ in range(runs):
        theirs = run([python, script, "--envs=256", "--steps=200000"])
        mine = ours("speed", copies=256, steps=400_000)
        pairs.append((mine["steps_per_cpu_second"], theirs["steps_per_cpu_second"]))
    return {
        "ours": statistics.median(mine for mine, _ in pairs),
        "benchmarl": statistics.median(theirs for _, theirs in pairs),
        "ratio": statistics.median(mine / theirs for mine, theirs in pairs),
        "pairs": pairs,
    }


def peer_python() -> str | None:
    """The interpreter of the peer's environment, made where it is missing."""
    python = PEER / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
        if subprocess.run(
            [str(python), "-c", "import benchmarl, vmas, msgspec"], capture_output=True
        ).returncode:
            pip = [str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES]
            subprocess.run(pip, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"## BenchMARL could not be installed ({error}): no comparison ##", file=sys.stderr)
        return None
    return str(python)


def processes() -> dict[str, Any]:
    """Steps per second of two seeds in two processes, over those of one."""
    alone = [ours("speed", steps=400_000)["steps_per_second"] for _ in range(3)]
    both = []
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            pair = list(pool.map(lambda seed: ours("speed", steps=400_000, seed=seed), (0, 1)))
        both.append(sum(one["steps_per_second"] for one in pair))
    return {"one": statistics.median(alone), "two": statistics.median(both),
            "ratio": statistics.median(both) / statistics.median(alone)}  # fmt: skip


def diagnosis() -> dict[str, Any]:
    """What measuring each agent's gradient costs at its default interval."""
    pairs = []
    for _ in range(3):
        without = ours("speed", steps=400_000, diagnose_every=0)["steps_per_cpu_second"]
        pairs.append(without / ours("speed", steps=400_000)["steps_per_cpu_second"] - 1)
    return {"share of training time": statistics.median(pairs), "all": pairs}


def python_worlds() -> dict[str, Any]:
    """CPU time of training over that of stepping the same world with random actions."""
    return {name: ours("overhead", world=name)["ratio"] for name in PYTHON_WORLDS}


if __name__ == "__main__":
    main()
