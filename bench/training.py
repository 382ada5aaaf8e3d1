"""How fast policies train: thresholds, a peer in the same run, processes, worlds in Python.

    python bench/training.py --out counterpoint-out/bench/training.json

BenchMARL and VMAS are installed into an environment of their own, `.venv/peers`; if that fails,
the comparison is left out with a warning. Every figure of ours is a whole process, imports
included, or CPU-seconds where it says so. JaxMARL's trainer is in no package, so its figures are
recorded ones, from another machine of the same kind.
"""

from __future__ import annotations

import argparse
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common import PROJECT, peer_python, run_json, run_task, write_json

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
    options = parser.parse_args()
    document: dict[str, Any] = {"recorded": RECORDED}
    for name, part in (
        ("thresholds", lambda: thresholds(options.runs)),
        ("peer", lambda: peer(max(3, options.runs // 2))),
        ("processes", processes),
        ("diagnosis", diagnosis),
        ("python_worlds", python_worlds),
    ):
        document[name] = part()
        print(name, json.dumps(document[name], indent=1), flush=True)
    write_json(options.out, document)


def ours(task: str, **options: Any) -> dict[str, Any]:
    """Returns what one task of bench/training_task.py prints, in a process of its own."""
    return run_task("training_task.py", task, **options)


def thresholds(runs: int) -> dict[str, Any]:
    """Returns seconds from process start to a team return of -69, -65 and -60 on spread."""
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
    """Returns steps per CPU-second against BenchMARL: same network, epochs and minibatches, in
    turns.
    """
    python = peer_python("peers")
    if python is None:
        return {"left out": "BenchMARL could not be installed"}
    script = str(PROJECT / "bench" / "peers" / "benchmarl_speed.py")
    pairs = []
    for _ in range(runs):
        theirs = run_json([python, script, "--envs=256", "--steps=200000"])
        mine = ours("speed", copies=256, steps=400_000)
        pairs.append((mine["steps_per_cpu_second"], theirs["steps_per_cpu_second"]))
    return {
        "ours": statistics.median(mine for mine, _ in pairs),
        "benchmarl": statistics.median(theirs for _, theirs in pairs),
        "ratio": statistics.median(mine / theirs for mine, theirs in pairs),
        "pairs": pairs,
    }


def processes() -> dict[str, Any]:
    """Returns the steps per second of two seeds in two processes, over those of one."""
    alone = [ours("speed", steps=400_000)["steps_per_second"] for _ in range(3)]
    both = []
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            pair = list(pool.map(lambda seed: ours("speed", steps=400_000, seed=seed), (0, 1)))
        both.append(sum(one["steps_per_second"] for one in pair))
    return {"one": statistics.median(alone), "two": statistics.median(both),
            "ratio": statistics.median(both) / statistics.median(alone)}  # fmt: skip


def diagnosis() -> dict[str, Any]:
    """Returns what measuring each agent's gradient costs at its default interval."""
    pairs = []
    for _ in range(3):
        without = ours("speed", steps=400_000, diagnose_every=0)["steps_per_cpu_second"]
        pairs.append(without / ours("speed", steps=400_000)["steps_per_cpu_second"] - 1)
    return {"share of training time": statistics.median(pairs), "all": pairs}


def python_worlds() -> dict[str, Any]:
    """Returns the CPU time of training over that of stepping the same world with random actions."""
    return {name: ours("overhead", world=name)["ratio"] for name in PYTHON_WORLDS}


if __name__ == "__main__":
    main()
