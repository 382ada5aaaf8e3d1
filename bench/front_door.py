"""What a newcomer meets: command lines, packages and installs of Counterpoint and four peers.

    python bench/front_door.py [NAME ...] [--into FOLDER] [--out bench/data/front_door.json]

Each package is installed by its name, ours from this checkout, in an environment of its own, which
is removed afterwards unless a folder is given. The table is in docs/compared.md. Times are CPU
seconds, the least of five runs, so that other work on the machine adds little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 5
NARROW = 60
"""Columns of the narrow terminal."""
NAME = re.compile(
    r"^(?:[A-Z][a-z]++)? {2,9}([a-z][\w-]*+(?:, [a-z][\w-]*+)*+)\*? {2,}\S", re.MULTILINE
)
"""A command with its summary in a help page of click, argparse or ours."""
FACTS = """
import json, sys
from importlib.metadata import distribution
from pathlib import Path
known = distribution(sys.argv[1])
files = [Path(str(file)) for file in known.files]
root = Path(str(known.locate_file("")))
sizes = {}
for file in root.rglob("*"):
    if file.is_file():
        top = file.relative_to(root).parts[0].split("-")[0]
        sizes[top] = sizes.get(top, 0) + file.stat().st_size
size = sum(size for top, size in sizes.items() if top not in ("pip", "setuptools"))
print(json.dumps({
    "version": known.version,
    "requires_python": known.metadata["Requires-Python"],
    "typed": any(f.name == "py.typed" for f in files),
    "install_mb": round(size / 1e6),
    "torch_mb": round(sum(sizes.get(top, 0) for top in ("torch", "nvidia", "triton")) / 1e6),
    "links": len(known.metadata.get_all("Project-URL") or []),
}))
"""


@dataclass(frozen=True)
class Package:
    """One package: how it is installed, imported and typed."""

    install: str
    distribution: str
    module: str
    command: str = ""
    """Empty if it has no command line."""
    typo: str = ""
    """A command with two letters exchanged, or one missing."""
    meant: str = ""
    completion: tuple[tuple[str, ...], dict[str, str]] = ((), {})
    """Arguments and variables that print a completion script for bash."""


PACKAGES = {
    "counterpoint": Package(str(ROOT), "counterpoint-rl", "counterpoint", "counterpoint",
                            "comapre", "compare", (("completion", "bash"), {})),
    "llm": Package("llm", "llm", "llm", "llm", "modles", "models",
                   ((), {"_LLM_COMPLETE": "bash_source"})),
    "inspect_ai": Package("inspect-ai", "inspect-ai", "inspect_ai", "inspect", "evla", "eval",
                          ((), {"_INSPECT_COMPLETE": "bash_source"})),
    "trl": Package("trl", "trl", "trl", "trl", "gpro", "grpo"),
    "pettingzoo": Package("pettingzoo", "pettingzoo", "pettingzoo"),
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    status: int
    out: str
    err: str
    seconds: float
    """CPU seconds of the process and its children."""


def run(command: list[str], **variables: str) -> Ended:
    """Returns how a process ended, in an empty folder as its home."""
    with tempfile.TemporaryDirectory() as home:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=home,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": home, "COLUMNS": "80", "NO_COLOR": "1",
                 "TERM": "dumb", "LANG": "C.UTF-8"} | variables,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(done.returncode, done.stdout, done.stderr, seconds)


def least(command: list[str]) -> float:
    """Returns the least CPU seconds of several runs."""
    return round(min(run(command).seconds for _ in range(REPEATS)), 2)


def command_line(package: Package, program: str) -> dict[str, object]:
    """Returns what can be measured of a command line."""
    page = run([program, "--help"], COLUMNS=str(NARROW)).out
    lines = NAME.findall(page.partition("Examples:")[0])
    names = list(dict.fromkeys(name for line in lines for name in line.split(", ")))
    helps = [run([program, name, "--help"]).out for name in names]
    version = run([program, "--version"])
    wrong = run([program, package.typo])
    arguments, variables = package.completion
    script = run([program, *arguments], **variables)
    words = " ".join((wrong.out + wrong.err).split())
    quoted = re.search(rf"[Dd]id you mean [^?]*\b{package.meant}\b", words)
    return {
        "commands": len(names),
        "help_seconds": least([program, "--help"]),
        "version_seconds": least([program, "--version"]) if version.status == 0 else None,
        "widest_help_line_at_60": max(map(len, page.splitlines())),
        "cut_summaries_at_60": page.count("..."),
        "commands_with_json": sum("--json" in text for text in helps),
        "mean_seconds_of_command_help": round(
            mean(run([program, name, "--help"]).seconds for name in names), 2
        ),
        "typo_status": wrong.status,
        "typo": "names it" if quoted else "lists all" if package.meant in words else "no hint",
        "completion": bool(arguments or variables)
        and script.status == 0
        and "complet" in script.out,
    }  # fmt: skip


def measure(name: str, folder: Path) -> dict[str, object]:
    """Returns the numbers of one package; it is installed if the folder does not have it."""
    package, place = PACKAGES[name], folder / name
    python = str(place / "bin" / "python")
    if not place.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", package.install], check=True)
    facts: dict[str, object] = json.loads(run([python, "-c", FACTS, package.distribution]).out)
    with tempfile.TemporaryDirectory() as wheels:
        if Path(package.install).exists():
            verb = ["wheel", package.install]
        else:
            verb = ["download", f"{package.distribution}=={facts['version']}"]
        subprocess.run(
            [python, "-m", "pip", "--disable-pip-version-check", "--quiet", *verb, "--no-deps",
             *(["-w"] if verb[0] == "wheel" else ["-d"]), wheels],
            check=True,
        )  # fmt: skip
        facts["wheel_kb"] = round(sum(f.stat().st_size for f in Path(wheels).iterdir()) / 1e3)
    bare = least([python, "-c", "pass"])
    facts["import_seconds"] = round(least([python, "-c", f"import {package.module}"]) - bare, 2)
    if package.command:
        facts |= command_line(package, str(place / "bin" / package.command))
    return facts


def main() -> int:
    """Measures the packages and writes the numbers, beside those of packages not measured now."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[[], *PACKAGES])
    parser.add_argument("--into", type=Path, help="folder of the environments; they are kept there")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "data" / "front_door.json")
    options = parser.parse_args()
    folder = options.into or Path(tempfile.mkdtemp())
    document = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    measured = document.get("packages", {})
    for name in options.names or PACKAGES:
        measured[name] = measure(name, folder)
        print(name, json.dumps(measured[name]))
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    document = {"date": date.today().isoformat(), "machine": machine, "packages": measured}
    options.out.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if not options.into:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
