"""Mutation testing: does a test fail when the code is wrong? `make test-all` ends with this.

mutmut changes one thing at a time in the bodies of functions (an operator, a number, an argument,
a string), runs the tests that reach the changed function, and notes whether one of them fails.
Constants of a module and fields of a class are not mutated. A mutant that survives is either a
hole in the tests or equivalent: no test could tell. They are all listed, with their change.

    python bench/mutation.py                   # credit and stats
    python bench/mutation.py stats --floor .9  # one room, another pass line

A room is tested by its own tests alone (`tests/ROOM`). Everything runs in a temporary copy. It
ends with 0 if every room passes the line, 1 if one does not, 2 if mutmut could not run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ROOMS = ("credit", "stats")

KILLED = ("killed", "timeout")
"""mutmut's words for a mutant that was noticed; one that never ends is noticed too."""

ELSEWHERE = ("x__torch", "x__jax", "x_traced_ids", "x_traced_pairs", "x_traced_places",
             "x_traced_order", "x__real")  # fmt: skip
"""Functions that only torch or JAX reach. The slow tests hold them to NumPy's results; no test
that runs here reaches them, so their mutants are left out of the count, and reported."""

MOST_EXAMPLES = 25
"""Examples a property test may draw for one mutant: 1,000 would cost an hour. A mutant that only
the 26th example betrays counts as a survivor, so the share killed is a lower bound."""

PROFILE = """
from hypothesis import HealthCheck, Phase, settings

# The same examples for every mutant, and no time spent on making a failing one small. Health
# checks would fail without a fault: mutmut runs the same test several times in one process.
settings.register_profile(
    "mutation", max_examples={most}, derandomize=True, database=None, deadline=None,
    phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutation")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: hasattr(item.obj, "hypothesis"))  # cheap tests first
"""


@dataclass(frozen=True)
class Mutant:
    """One change and what became of it."""

    name: str
    """mutmut's name of it: module, mangled function, number."""
    status: str
    """mutmut's verdict: killed, timeout, survived, no tests, ..."""

    @property
    def file(self) -> str:
        """Path of the mutated module inside the package."""
        return "/".join(self.name.split(".")[1:-1]) + ".py"

    @property
    def function(self) -> str:
        """Mangled name of the mutated function."""
        return self.name.rpartition(".")[2].rpartition("__mutmut_")[0]

    @property
    def room(self) -> str:
        """The room that the module is in."""
        return self.name.split(".")[1]


def main() -> int:
    parser = argparse.ArgumentParser(description="mutation testing of the rooms that compute")
    parser.add_argument("rooms", nargs="*", default=ROOMS, help=f"default: {' '.join(ROOMS)}")
    parser.add_argument("--floor", type=float, default=0.85, help="share that must be killed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if find_spec("mutmut") is None:
        return _cannot("mutmut is not installed here; pip install -e '.[dev,mutation]'")
    if unknown := [r for r in asked.rooms if not (PROJECT / "tests" / r).is_dir()]:
        return _cannot(f"got rooms {unknown}; wanted rooms that have a folder in tests/")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutation-") as stage:
        build(Path(stage), asked.rooms)
        run = mutmut(Path(stage), "run", "--max-children", str(asked.workers))
        mutants = list(verdicts(mutmut(Path(stage), "results", "--all", "true").stdout))
        if run.returncode or not mutants or any(m.status == "not checked" for m in mutants):
            return _cannot(f"mutmut did not finish:\n{run.stdout[-4000:]}{run.stderr[-4000:]}")
        counted = [m for m in mutants if m.function not in ELSEWHERE or m.status != "no tests"]
        survivors = [m for m in counted if m.status not in KILLED]
        with ThreadPoolExecutor(asked.workers) as pool:  # a process each: reading takes a second
            shown = pool.map(lambda m: mutmut(Path(stage), "show", m.name).stdout, survivors)
        changes = [change(output) for output in shown]
    for mutant, lines in zip(survivors, changes, strict=True):
        print(f"{mutant.status}: {mutant.file} {mutant.name.rpartition('.')[2]}\n{lines}\n")
    low = report(counted, asked.floor)
    print(f"{len(mutants) - len(counted)} mutants of {', '.join(ELSEWHERE)} are not counted")
    print(f"{time.monotonic() - start:.0f} s with {asked.workers} workers")
    return 1 if low else 0


def build(stage: Path, rooms: list[str]) -> None:
    """Copy what mutmut needs into `stage`, with a configuration for these rooms."""
    junk = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "src", stage / "src", ignore=junk)
    for folder in ("data", *rooms):
        shutil.copytree(PROJECT / "tests" / folder, stage / "tests" / folder, ignore=junk)
    for test in (stage / "tests").rglob("*.py"):
        test.write_text(re.sub(r"max_examples=(\d+)", _fewer, test.read_text("utf-8")), "utf-8")
    (stage / "mutation_profile.py").write_text(PROFILE.format(most=MOST_EXAMPLES))
    mutated = ", ".join(f'"src/counterpoint/{room}/*"' for room in rooms)
    tests = ", ".join(f'"tests/{room}"' for room in rooms)
    configuration = (
        '\n[tool.mutmut]\nsource_paths = ["src"]\nalso_copy = ["mutation_profile.py"]\n'
        f"only_mutate = [{mutated}]\npytest_add_cli_args_test_selection = [{tests}]\n"
        'pytest_add_cli_args = ["-p", "mutation_profile"]\n'
    )
    (stage / "pyproject.toml").write_text((PROJECT / "pyproject.toml").read_text() + configuration)


def mutmut(stage: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run mutmut in `stage`, one thread a worker; what a test starts imports the copy as it was."""
    settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    settings["COUNTERPOINT_EXAMPLES"] = str(MOST_EXAMPLES)  # what tests/credit/examples.py reads
    environment = {**os.environ, **settings, "PYTHONPATH": str(stage / "src")}
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(
        command, cwd=stage, env=environment, capture_output=True, text=True, check=False
    )


def verdicts(output: str) -> Iterator[Mutant]:
    """The mutants that `mutmut results --all true` lists as `name: status`."""
    for name, status in re.findall(r"^\s+(\S+__mutmut_\d+): (.+)$", output, re.MULTILINE):
        yield Mutant(name, status)


def change(output: str) -> str:
    """The changed lines alone of the diff that `mutmut show` prints."""
    lines = [line for line in output.splitlines() if re.match(r"[-+](?![-+]{2} )", line)]
    return "\n".join(f"    {line}" for line in lines)


def report(mutants: list[Mutant], floor: float) -> list[str]:
    """Print killed / total for each file and room; return the rooms below the floor."""
    low = []
    for room in sorted({m.room for m in mutants}):
        inside = [m for m in mutants if m.room == room]
        for file in sorted({m.file for m in inside}):
            print(_row(file, [m for m in inside if m.file == file]))
        share = sum(m.status in KILLED for m in inside) / len(inside)
        print(_row(f"{room} (wanted {floor:.0%})", inside) + (" TOO LOW" if share < floor else ""))
        low += [room] if share < floor else []
    return low


def _fewer(examples: re.Match[str]) -> str:
    return f"max_examples={min(int(examples[1]), MOST_EXAMPLES)}"


def _row(name: str, mutants: list[Mutant]) -> str:
    killed = sum(m.status in KILLED for m in mutants)
    return f"{name:<32} {killed:>5} / {len(mutants):<5} {killed / len(mutants):6.1%}"


def _cannot(why: str) -> int:
    print(why, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
