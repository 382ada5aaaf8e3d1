"""Whether the audits see the loops that a team itself notices, and spare healthy logs.

    python bench/loops.py --who-and-when FOLDER [--healthy FOLDER] [--out loops.json]

An orchestrator of Magentic-One asks itself after each step whether the team is in a loop, and
writes the answer into its ledger. A run in which it says so `OFTEN` times is in a loop, and a run
in which it never says so is not. The audits read what the team did; the ledger's answer alone is
used to sort the runs. Healthy logs are files of sound runs, in which nothing should be seen.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from common import write_json
from counterpoint.audits import audit
from counterpoint.errors import CounterpointError
from counterpoint.readers import read_logs
from counterpoint.records import Episode, Finding
from counterpoint.stats import wilson_interval

OFTEN = 3
SAYS = re.compile(
    r"\"is_in_loop\": {0,4}\{\s{0,40}\"reason\": \"[^\"]{0,4000}\",\s{0,40}\"answer\": true"
)
LOOPS = ("loop", "starting_over", "repeated_call", "handoff_ping_pong", "deadlock")
"""The findings of `stuck` that are loops."""


def accused(episodes: Iterable[Episode], only: tuple[str, ...] = ()) -> set[str]:
    """Returns the names of the findings that have a case."""
    findings: list[Finding] = audit(episodes, (), only).findings
    return {f"{each.audit}.{each.name}" for each in findings if each.cases}


def shown(hits: int, n: int) -> str:
    """Returns `11 of 15 (0.73 [0.48, 0.89])`."""
    if not n:
        return "0 of 0"
    share = wilson_interval(hits, n)
    return f"{hits} of {n} ({share.value:.2f} [{share.low:.2f}, {share.high:.2f}])"


def teams_that_say_so(folder: Path) -> dict[str, object]:
    """Prints and returns how many runs that notice a loop are found, and how many others are."""
    loops = {f"stuck.{name}" for name in LOOPS}
    seen: dict[bool, list[str]] = {True: [], False: []}
    total: Counter[bool] = Counter()
    by_name: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for path in sorted(folder.rglob("*.json")):
        history = json.loads(path.read_text("utf-8"))["history"]
        times = sum(SAYS.search(message["content"]) is not None for message in history)
        if 0 < times < OFTEN:
            continue
        names = accused(read_logs(path), ("stuck",)) & loops
        total[times > 0] += 1
        by_name[times > 0].update(names)
        if names:
            seen[times > 0].append(path.name)
    print(f"the team says {OFTEN} times that it is in a loop: found in",
          shown(len(seen[True]), total[True]), dict(by_name[True]))  # fmt: skip
    print("the team never says so: accused in",
          shown(len(seen[False]), total[False]), dict(by_name[False]))  # fmt: skip
    return {"says": total[True], "found": len(seen[True]), "silent": total[False],
            "accused": len(seen[False])}  # fmt: skip


def healthy(folder: Path) -> dict[str, object]:
    """Prints and returns how many files of sound runs are accused of anything."""
    files, blamed = 0, dict[str, list[str]]()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            names = accused(read_logs(path))
        except CounterpointError as error:
            if path.suffix != ".md":
                print(f"not read: {path.relative_to(folder)}: {str(error)[-80:]}")
            continue
        files += 1
        if names:
            blamed[str(path.relative_to(folder))] = sorted(names)
    print("healthy files accused of anything:", shown(len(blamed), files), blamed)
    return {"files": files, "blamed": blamed}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--who-and-when", type=Path, required=True)
    parser.add_argument("--healthy", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/loops.json"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    document = {"who_and_when": teams_that_say_so(options.who_and_when)}
    if options.healthy:
        document["healthy"] = healthy(options.healthy)
    write_json(options.out, document)


if __name__ == "__main__":
    main()
