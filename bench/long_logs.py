"""How fast long logs are imported and audited, and in how much memory: the command line, by CPU.

    python bench/long_logs.py [--megabytes 120] [--runs 3] [--against OTHER/src] [--out FILE]

The log is OpenAI's JSON lines, a conversation a line, and the same for the same size. With
--against, another checkout reads the same log by turns with this one, so that the ratio is of one
run on one machine. Start reading in `main`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from common import ONE_THREAD, PROJECT, write_json

MEMBERS = ("planner", "coder", "reviewer", "tester", "researcher")
TOOLS = ("read_file", "run_command", "search_code", "edit_file", "fetch_page")
COMMON = """
the a of to and in is that it for on with as this be are was from we you will can have not should
file line test value function result error change list module agent plan step next then first check
run read write call return data table user request response server client config default number name
path type field empty missing wrong right because however before after between again instead still
already only also more less same other new old failed passes works expects returns raises handles
keeps moves adds removes reports
"""
SYLLABLES = ("ba", "ke", "lo", "mu", "ni", "pa", "re", "so", "ti", "vu", "xo", "za", "der", "fil")
IDLE = ("Ok, thanks!", "I'm waiting for the others.", "Let's take a break, I think.", "Great work!")
SENTENCES = 20_000
"""The number of different sentences; a conversation draws from all of them."""


def vocabulary(rng: random.Random) -> list[str]:
    """Returns common words often, and thousands of rarer ones."""
    rare = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(6000)]
    return [*COMMON.split() * 100, *rare]


def pools(rng: random.Random) -> tuple[list[str], list[str]]:
    """Returns sentences of a conversation, and lines of what tools return."""
    words = vocabulary(rng)
    sentences, lines = [], []
    for _ in range(SENTENCES):
        text = " ".join(rng.choices(words, k=rng.randint(6, 22))).capitalize()
        sentences.append(text + rng.choice((". ", ". ", ". ", "? ", ":\n- ", ".\n\n")))
        a, b, c = rng.choices(words, k=3)
        lines.append(rng.choice((
            f"src/{a}/{b}.py:{rng.randint(1, 900)}:    {c} = self.{a}({b}, {rng.randint(0, 99)})\n",
            f"2026-03-{rng.randint(10, 28)}T10:{rng.randint(10, 59)}:07 INFO {a}: {text[:80]}\n",
            f'  "{a}_{b}": {{"{c}": {rng.random():.6f}, "count": {rng.randint(0, 9999)}}},\n',
            f"    def {a}_{b}(self, {c}: int) -> str:  # {text[:50]}\n",
        )))  # fmt: skip
    return sentences, lines


def conversations(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yields conversations of 4 to 40 turns without end; one in 25 has a planted loop."""
    rng = random.Random(seed)
    sentences, lines = pools(rng)

    def text(mean: int, pool: list[str] = sentences) -> str:
        return "".join(rng.choices(pool, k=1 + min(60, int(rng.expovariate(1 / mean)))))

    number = 0
    while True:
        number += 1
        team = rng.sample(MEMBERS, rng.randint(2, 5))
        messages: list[dict[str, Any]] = [{"role": "user", "content": text(6)}]
        loop = text(3) if number % 25 == 0 else ""
        for turn in range(rng.randint(4, 40)):
            who = rng.choice(team)
            if loop and turn > 2 and rng.random() < 0.5:
                said = {"role": "assistant", "name": team[0], "content": f"{loop}Try {turn}."}
                messages.append(said)
            elif rng.random() < 0.35:
                call = f"call_{number}_{turn}"
                tool, about = rng.choice(TOOLS), text(1)
                given = {"path": f"src/part_{rng.randint(0, 400)}.py", "about": about}
                function = {"name": tool, "arguments": json.dumps(given)}
                messages.append({
                    "role": "assistant", "name": who, "content": text(1) if turn % 2 else None,
                    "tool_calls": [{"id": call, "type": "function", "function": function}],
                })  # fmt: skip
                failed = "Error: no such file\n" if rng.random() < 0.08 else ""
                result = failed + text(8, lines)
                messages.append({"role": "tool", "tool_call_id": call, "content": result})
            else:
                said = rng.choice(IDLE) if rng.random() < 0.04 else text(6)
                messages.append({"role": "assistant", "name": who, "content": said})
        line: dict[str, Any] = {"id": f"run-{number}", "messages": messages}
        if number % 2:
            line |= {"task": f"task-{number % 500}", "success": rng.random() < 0.6}
        yield line


def write_log(path: Path, megabytes: float) -> int:
    """Writes conversations until the log has its size; returns their number."""
    lines, size = 0, 0
    with path.open("wb") as file:
        for each in conversations():
            size += file.write(json.dumps(each).encode() + b"\n")
            lines += 1
            if size >= megabytes * 1e6:
                break
    return lines


class Used(NamedTuple):
    """What a command took."""

    cpu_seconds: float
    seconds: float
    peak_megabytes: float


def used(arguments: list[str], source: Path) -> Used:
    """Returns what one command of the command line takes, with the package of a folder.

    Raises:
        CalledProcessError: It failed.
    """
    command = [sys.executable, "-m", "counterpoint", *arguments]
    variables = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(source)}
    start = time.perf_counter()
    with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return Used(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=120)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--against", type=Path, help="folder src of another checkout")
    parser.add_argument("--only-write", type=Path, help="write the log to this file, and end")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.only_write:
        print(write_log(options.only_write, options.megabytes), "conversations")
        return
    sources = {"this": PROJECT / "src"}
    if options.against:
        sources["other"] = options.against.resolve()
    report: dict[str, Any] = {"megabytes": options.megabytes, "runs": options.runs}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        report["conversations"] = write_log(log, options.megabytes)
        commands = {
            "import": ["import", str(log), "-o", str(Path(folder) / "runs.jsonl")],
            "audit": ["audit", str(log), "--json"],
            "audit --out": ["audit", str(log), "--out", str(Path(folder) / "pages")],
        }
        for name, arguments in commands.items():
            runs: dict[str, list[Used]] = {which: [] for which in sources}
            for _ in range(options.runs):
                for which, source in sources.items():
                    runs[which].append(used(arguments, source))
            for which, each in runs.items():
                cpu = statistics.median(one.cpu_seconds for one in each)
                wall = statistics.median(one.seconds for one in each)
                peak = max(one.peak_megabytes for one in each)
                row = {"cpu_seconds": cpu, "seconds": wall, "peak_megabytes": peak,
                       "megabytes_per_cpu_second": options.megabytes / cpu}  # fmt: skip
                report[f"{name}, {which}"] = row
                print(f"{name:12} {which:6} {cpu:7.1f} CPU-s {wall:7.1f} s {peak:6.0f} MB peak "
                      f"{options.megabytes / cpu:6.1f} MB per CPU-s", flush=True)  # fmt: skip
    if options.out:
        write_json(options.out, report)


if __name__ == "__main__":
    main()
