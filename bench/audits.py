"""How often audits find what was planted, and how often they blame a sound team.

    python bench/audits.py --out counterpoint-out/bench/audits.json [--real FOLDER]

Logs are generated (tests/audits/planted_logs.py) and read by the real readers. With --real, also
what the audits say of the Who&When transcripts: how often they name whom people blame.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.audits import audit
from counterpoint.readers import read_logs
from counterpoint.records import FOUND
from counterpoint.stats import wilson_interval

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "audits"))
from planted_episodes import PLANTED as IN_EPISODES
from planted_episodes import make
from planted_logs import FORMATS, write

from common import write_json

PLANTED = {
    "idle": "idleness.idle_member",
    "contagion": "idleness.contagion",
    "echo": "agreement.echo",
    "loop": "stuck.loop",
    "calls": "stuck.repeated_call",
    "checks": "hacking.edits_checks",
    "follow": "idleness.partner_hazard",
    "drift": "agreement.drift",
    "churn": "coordination.churn",
}
STRENGTHS = (0.25, 0.5, 0.75, 1.0)


def findings_in(path: Path) -> set[str]:
    """Returns the names of what audits find in a log."""
    return {f"{f.audit}.{f.name}" for f in audit(read_logs(path)).findings if f.verdict == FOUND}


def power(folder: Path, logs: int) -> dict[str, Any]:
    """Returns the share of logs in which the planted failure is found, by strength; a log has 12
    episodes.
    """
    out: dict[str, Any] = {}
    print("| planted | " + " | ".join(f"strength {s:g}" for s in STRENGTHS) + " |")
    print("|---" * (len(STRENGTHS) + 1) + "|")
    for failure, name in PLANTED.items():
        row = []
        for strength in STRENGTHS:
            hits = 0
            for seed in range(logs):
                kind = list(FORMATS)[seed % len(FORMATS)]
                path = write(folder / "log.jsonl", kind, seed, failure, strength)
                hits += name in findings_in(path)
            row.append(hits / logs)
        out[name] = row
        print(f"| {name} | " + " | ".join(f"{x:.2f}" for x in row) + " |", flush=True)
    return out


def episodes(logs: int) -> dict[str, Any]:
    """Returns the same for answers, rewards and tables, with 40 episodes or tasks; strength 0 is
    clean.
    """
    out: dict[str, Any] = {}
    every = (0.0, *STRENGTHS)
    print("\n| planted | " + " | ".join(f"strength {s:g}" for s in every) + " |")
    print("|---" * (len(every) + 1) + "|")
    for which, names in IN_EPISODES.items():
        for name in names:
            row = []
            for strength in every:
                hits = 0
                for seed in range(logs):
                    records, outcomes = make(name, strength, seed)
                    findings = audit(records, outcomes, (which,)).findings
                    hits += any(f.name == name and f.verdict == FOUND for f in findings)
                row.append(hits / logs)
            out[f"{which}.{name}"] = row
            print(f"| {which}.{name} | " + " | ".join(f"{x:.2f}" for x in row) + " |", flush=True)
    return out


def alarms(folder: Path, logs: int) -> dict[str, Any]:
    """Returns the share of clean logs in which anything at all is found."""
    blamed = 0
    by_name: dict[str, int] = {}
    for seed in range(logs):
        kind = list(FORMATS)[seed % len(FORMATS)]
        seen = findings_in(write(folder / "log.jsonl", kind, 10_000 + seed))
        blamed += bool(seen)
        for name in seen:
            by_name[name] = by_name.get(name, 0) + 1
    share = wilson_interval(blamed, logs)
    print(f"\n{blamed} of {logs} clean logs were blamed: {blamed / logs:.3f} "
          f"[{share.low:.3f}, {share.high:.3f}]; {by_name}", flush=True)  # fmt: skip
    return {"logs": logs, "blamed": blamed, "by finding": by_name}


def real(folder: Path) -> dict[str, Any]:
    """Returns whom `stuck` and `idleness` point at in real transcripts, beside whom people name."""
    out: dict[str, Any] = {}
    episodes = list(read_logs(folder))
    for name in ("stuck", "idleness"):
        pointing = [(e, [c for f in audit([e], (), (name,)).findings for c in f.cases])
                for e in episodes]  # fmt: skip
        pointed = [(e, places[0]) for e, places in pointing if places and places[0].agent]
        who = sum(p.agent == e.labels["mistake_agent"] for e, p in pointed)
        near = sum(abs(p.event - int(e.labels["mistake_step"])) <= 2 for e, p in pointed)
        first = sum(e.agents[0] == e.labels["mistake_agent"] for e, _ in pointed)
        chance = float(np.mean([1 / len(e.agents) for e, _ in pointed])) if pointed else 0.0
        close = float(np.mean([min(5, len(e.events)) / len(e.events) for e, _ in pointed] or [0]))
        n = len(pointed)
        out[name] = {"pointed": n, "who": who, "near": near, "first": first, "chance": chance,
                     "chance near": close}  # fmt: skip
        print(f"\n{name}: points somewhere in {n} of {len(episodes)}; at whom people blame {who}, "
              f"chance {chance * n:.1f}, always the first {first}; within two steps {near}, "
              f"chance {close * n:.1f}", flush=True)  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/audits.json"))
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--real", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        document = {"power": power(Path(name), max(20, options.logs // 20)),
                "alarms": alarms(Path(name), options.logs)}  # fmt: skip
    document["episodes"] = episodes(max(20, options.logs // 20))
    if options.real:
        document["real"] = real(options.real)
    write_json(options.out, document)


if __name__ == "__main__":
    main()
