"""A program that stands for a coding agent: it knows some repairs, and not which one is needed.

    python3 coding_agent.py REPAIRS COMMAND...

It reads its task on standard input, tries the repairs one after the other on a branch of git's,
runs the command after each, undoes with git what did not help, and writes down what it used.
REPAIRS is a file of JSON: a list of [path, old text, new text]. It runs on the standard library.
"""

import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path


def git(*words: str) -> None:
    """Run git, and stop where it fails."""
    subprocess.run(["git", *words], check=True, capture_output=True)


def applied(repairs: tuple[tuple[str, str, str], ...]) -> bool:
    """Edit the files; whether each repair still has something to change."""
    for path, old, new in repairs:
        text = Path(path).read_text()
        if old not in text:
            return False
        Path(path).write_text(text.replace(old, new))
    return bool(repairs)


def work(repairs: list[tuple[str, str, str]], command: list[str]) -> int:
    """Try the repairs alone, then in pairs; the number of runs of the command."""
    git("checkout", "-q", "-b", "work")
    runs = 0
    for some in (*combinations(repairs, 1), *combinations(repairs, 2)):
        if applied(some):
            runs += 1
            if subprocess.run(command, capture_output=True).returncode == 0:
                git("commit", "-qam", f"Repairs {some[0][0]}")
                break
        git("checkout", "-q", "--", ".")
    return runs


def main() -> None:
    """Read the task, work, say what it took."""
    task = sys.stdin.read()
    runs = work([tuple(one) for one in json.loads(Path(sys.argv[1]).read_text())], sys.argv[2:])
    sys.stdout.write(f"read {task.splitlines()[0]}, ran {runs} times\n")
    used = {"tokens": len(task) + 100 * runs, "dollars": runs / 100}
    Path(os.environ["COUNTERPOINT_USAGE"]).write_text(json.dumps(used))


if __name__ == "__main__":
    main()
