"""How long the commands of the README and of the start pages take, from a fresh clone on.

    python bench/times.py [NAME ...] [--out bench/data/times.json]

tests/test_page_numbers.py holds the times that the pages name against the file. `install` is
`make demo` in a new clone, with a new environment; the others run in the environment of this
script, in an empty folder. Wall-clock seconds contain whatever else the machine does; CPU seconds,
of all processes together, do not. `twin` is no time: it is how many times more steps a CPU-second
our twin of simple_spread makes, with the copies that a training has, than the original.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np

from counterpoint.worlds import find_world

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "bench" / "data" / "times.json"
UNEQUAL = ["compare", "spread", "--set", "stakes=agent_0:100", "--out", "stakes"]
COPIES = 128
"""Copies side by side that a training of one of our own environments has."""
COMMANDS = {
    "demo": ["demo"],
    "compare": UNEQUAL,
}
"""Name to the arguments of `counterpoint`, as the pages have them."""


@dataclass(frozen=True)
class Spent:
    """The time that a command took."""

    wall_seconds: float
    cpu_seconds: float
    """Of the command and all its processes."""


def timed(command: list[str], folder: Path) -> Spent:
    """Returns the time of a command in a folder."""
    before, began = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, getrusage(RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(round(wall, 1), round(cpu, 1))


def install() -> Spent:
    """Returns the time of `make demo` in a new clone."""
    with tempfile.TemporaryDirectory(prefix="a clone ") as folder:
        clone = Path(folder) / "counterpoint"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        return timed(["make", "demo"], clone)


def command(arguments: list[str]) -> Spent:
    """Returns the time of one command in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        return timed([sys.executable, "-m", "counterpoint", *arguments], Path(folder))


def twin(seconds: float = 3.0) -> float:
    """Returns the steps a CPU-second of our twin of simple_spread, over those of the original."""
    from mpe2 import simple_spread_v3

    original = simple_spread_v3.parallel_env()
    ours = find_world("spread").make(copies=COPIES)
    still = np.zeros((COPIES, len(ours.agents)), dtype=np.int64)

    def play_original() -> None:
        if not original.agents:
            original.reset(seed=0)
        original.step(dict.fromkeys(original.agents, 0))

    original.reset(seed=0)
    ours.reset(0)
    return COPIES * _calls(lambda: ours.step(still), seconds) / _calls(play_original, seconds)


def _calls(function: Callable[[], object], seconds: float) -> float:
    """Returns the calls of a function in a CPU-second."""
    began, calls = time.process_time(), 0
    while (used := time.process_time() - began) < seconds:
        function()
        calls += 1
    return calls / used


MEASURES: dict[str, Callable[[], Spent | float]] = {
    "install": install,
    **{name: partial(command, arguments) for name, arguments in COMMANDS.items()},
    "twin": twin,
}
"""Name to the function that measures it."""


def main() -> int:
    """Measures the commands and writes their times, beside those that are not measured now."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *MEASURES])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    numbers = json.loads(options.out.read_text("utf-8"))["numbers"] if options.out.exists() else {}
    for name in options.names or MEASURES:
        value = MEASURES[name]()
        numbers[name] = asdict(value) if isinstance(value, Spent) else round(value)
        print(name, numbers[name])
        document = {
            "date": date.today().isoformat(),
            "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "numbers": numbers,
        }
        options.out.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
