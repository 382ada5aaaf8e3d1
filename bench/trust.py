"""Run the tests of the faults in bench/faults.toml, and keep how many cases passed and failed.

    python bench/trust.py                  # the fast tests of all rows, 10 minutes
    python bench/trust.py --rows R6 R9     # of some rows
    python bench/trust.py --slow           # all tests, hours: what a nightly machine runs

The counts go into bench/data/trust.json, the fast ones and those of all tests apart, each with its
date; `make docs` writes the table of docs/discussion/trust.md from them. The exit status is 1 if a
case failed, and 2 if the tests could not be run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT / "bench" / "data" / "trust.json"
MARK = re.compile(r"mark\.fault\(([^)]*)\)")
GATE = "test_fault_rows.py"
"""The tests of the table itself, which name rows without testing them."""
EXAMPLES = "1000"
"""Examples of each property test with `--slow`, as in `make test-all`."""


def faults() -> dict[str, dict[str, str]]:
    """Returns the rows of bench/faults.toml by name, without the list of untested ones."""
    document = tomllib.loads((PROJECT / "bench" / "faults.toml").read_text("utf-8"))
    return {name: row for name, row in document.items() if isinstance(row, dict)}


def marked_files(rows: list[str]) -> list[str]:
    """Returns the test files that name one of these rows, or any row."""
    wanted = re.compile(f'"({"|".join(rows)})"' if rows else "")
    texts = {path: path.read_text("utf-8") for path in (PROJECT / "tests").rglob("test_*.py")}
    named = {path: MARK.findall(text) for path, text in texts.items() if path.name != GATE}
    return sorted(str(path) for path, marks in named.items() if any(map(wanted.search, marks)))


def counted(rows: list[str], slow: bool, workers: int) -> dict[str, dict[str, int]] | None:
    """Runs the tests of these rows, or of all; returns their counts, or None if that failed."""
    with tempfile.TemporaryDirectory(prefix="trust-") as folder:
        told = Path(folder) / "counts.json"
        line = [sys.executable, "-m", "pytest", *marked_files(rows), "-rs", f"--faults={told}"]
        line += ["-n", str(workers), "-m", "fault" if slow else "fault and not slow"]
        line += [f"--rows={','.join(rows)}"] if rows else []
        more = {"COUNTERPOINT_EXAMPLES": EXAMPLES} if slow else {}
        status = subprocess.run(line, cwd=PROJECT, env={**os.environ, **more}).returncode
        if status not in (0, 1) or not told.exists():
            return None
        counts: dict[str, dict[str, int]] = json.loads(told.read_bytes())
        # a test may name other rows, too, of which these are not all tests
        return {name: one for name, one in counts.items() if not rows or name in rows}


def merged(known: dict[str, Any], counts: dict[str, dict[str, int]], slow: bool) -> dict[str, Any]:
    """Returns the document with these counts in place of earlier ones of the same kind."""
    sys.path.insert(0, str(PROJECT / "src"))
    from counterpoint import __version__

    about = {
        "date": datetime.date.today().isoformat(),
        "version": __version__,
        "python": platform.python_version(),
    }
    kind = "all" if slow else "fast"
    rows = {name: {**known.get(name, {}), kind: {**about, **one}} for name, one in counts.items()}
    return {name: (known | rows)[name] for name in faults() if name in known | rows}


def main() -> int:
    parser = argparse.ArgumentParser(description="cases of each fault in bench/faults.toml")
    parser.add_argument("--rows", nargs="*", default=[], help="only these, as in R6 R9")
    parser.add_argument("--slow", action="store_true", help="also the slow tests")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if unknown := [row for row in options.rows if row not in faults()]:
        print(f"got {unknown}; wanted rows of bench/faults.toml", file=sys.stderr)
        return 2
    counts = counted(options.rows, options.slow, options.workers)
    if counts is None:
        print("the tests did not run to their end: nothing is kept", file=sys.stderr)
        return 2
    known = json.loads(DATA.read_bytes()) if DATA.exists() else {}
    document = merged(known, counts, options.slow)
    DATA.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, one in counts.items():
        print(name, *(f"{key} {one[key]}" for key in sorted(one)))
    return int(any(one.get("failed") for one in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
