"""Run every recipe in bench/recipes and write their numbers: the tables behind the documentation.

Recipes run two at a time, one thread each; their output appears as each of them ends.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).parent
RECIPES = sorted(path for path in (HERE / "recipes").glob("*.py") if path.stem != "measured")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", help="names of recipes; all of them if not said")
    parser.add_argument(
        "--out", type=Path, default=Path("counterpoint-out/bench"), help="folder for the JSON"
    )
    parser.add_argument("--seeds", type=int, help="seeds per cell, instead of each recipe's own")
    parser.add_argument("--workers", type=int, default=2, help="recipes at a time")
    given = parser.parse_args()
    known = {path.stem: path for path in RECIPES}
    unknown = sorted(set(given.recipes) - set(known))
    if unknown:
        parser.error(f"got recipes {', '.join(unknown)}; wanted some of {', '.join(known)}")
    chosen = [known[name] for name in given.recipes or known]
    options = ["--out", str(given.out)]
    options += [] if given.seeds is None else ["--seeds", str(given.seeds)]
    with ThreadPoolExecutor(given.workers) as pool:
        running = [pool.submit(_run, path, options) for path in chosen]
        failed = 0
        for done in as_completed(running):
            output, code = done.result()
            print(output, flush=True)
            failed += code != 0
    return 1 if failed else 0


def _run(path: Path, options: list[str]) -> tuple[str, int]:
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, str(path), *options],
        env={**os.environ, **threads},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout, done.returncode


if __name__ == "__main__":
    sys.exit(main())
