"""One team of two inside other trainers' real packages: our schemes, and the trainer's own.

    python bench/trainers.py [--trainers NAME ...] [--seeds 5] [--updates N] [--out FOLDER]
    python bench/trainers.py --publish      # bench/data/trainers.json, of which docs have the table

A teller is to write digits, a writer small letters; each is paid its own share, the writer ten
times as much and 5 on top (bench/peers/own_rewards.py). Every cell is a training in the trainer's
environment (bench/peer_environments.py), on a CPU, in a file of its own; cells that have a file are
not run again. Seeds come first, so that a stopped run has all schemes of some seeds. A trainer
whose environment is missing is left out with a warning.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import ONE_THREAD, PROJECT, mean_estimate, warn_loudly, with_interval, write_json
from counterpoint.stats import paired_t_test
from counterpoint.stats.estimate import Estimate

SCHEMES = ("pooled", "per agent", "adaptive", "own")
QUIET, LOUD = "teller", "writer"
DATA = PROJECT / "bench" / "data" / "trainers.json"


@dataclass(frozen=True)
class Trainer:
    """A trainer in which the team is trained."""

    title: str
    environment: str
    own: str
    """What the scheme "own" is there."""
    updates: int = 20

    def script(self, name: str) -> Path:
        return PROJECT / "bench" / "peers" / f"trains_{name}.py"


TRAINERS = {
    "trl": Trainer("TRL", "peers-language", "each prompt's group, which is of one agent"),
    "comlrl": Trainer("CoMLRL", "peers-language", "both agents are paid the mean of the two"),
    "torchrl": Trainer("TorchRL", "peers-torchrl", "IPPOLoss: each minibatch, per agent", 16),
    "benchmarl": Trainer("BenchMARL", "peers", "no normalization", 16),
    "tinker": Trainer(
        "tinker-cookbook", "peers-tinker", "minus the mean of the group of both agents"
    ),
    "ms_swift": Trainer("ms-swift", "peers-ms-swift", "each prompt's group, which is of one agent"),
}
"""The name that the script has to the trainer."""


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=PROJECT / "counterpoint-out/bench/trainers")
    parser.add_argument("--trainers", nargs="*", default=list(TRAINERS), choices=list(TRAINERS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--together", type=int, default=1, help="seeds of one process")
    parser.add_argument("--updates", type=int, help="instead of those of each trainer")
    parser.add_argument("--publish", action="store_true", help="run nothing; write bench/data")
    options = parser.parse_args()
    failed = 0
    if not options.publish:
        failed = run_all(options)
    document = summary(options.trainers, options.out)
    if options.publish:
        document = with_published(document, json.loads(DATA.read_text("utf-8")))
    print(table(document))
    if options.publish:
        write_json(DATA, document)
    return int(failed > 0)


def run_all(options: argparse.Namespace) -> int:
    """Runs the cells that have no file; returns how many processes failed."""
    failed = 0
    chunks = [range(i, min(i + options.together, options.seeds))
              for i in range(0, options.seeds, options.together)]  # fmt: skip
    for seeds in [None, *chunks]:  # None is the resume
        for name in options.trainers:
            trainer, folder = TRAINERS[name], options.out / name
            python = PROJECT / ".venv" / trainer.environment / "bin" / "python"
            if not python.exists():
                if seeds is None:
                    warn_loudly(f"{trainer.title} left out: no .venv/{trainer.environment}")
                continue
            words = ["--resume"]
            wanted = [folder / "resume.json"]
            if seeds is not None:
                wanted = [cell(folder, scheme, seed) for seed in seeds for scheme in SCHEMES]
                words = ["--seeds", *map(str, seeds)]
                words += ["--updates", str(options.updates or trainer.updates)]
            if all(file.exists() for file in wanted):
                continue
            print(f"{trainer.title} {' '.join(words)}", flush=True)
            command = [str(python), "-W", "ignore", str(trainer.script(name))]
            path = f"{PROJECT / 'src'}{os.pathsep}{PROJECT / 'bench' / 'peers'}"
            run = subprocess.run(
                [*command, "--out", str(folder), *words],
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            if run.returncode:
                failed += 1
                warn_loudly(f"{trainer.title} failed:\n{run.stderr[-2000:]}")
    return failed


def cell(folder: Path, scheme: str, seed: int) -> Path:
    """Returns the file of a training."""
    return folder / f"{scheme.replace(' ', '_')}.{seed}.json"


def summary(names: Sequence[str], out: Path) -> dict[str, Any]:
    """Returns what the files say, trainer by trainer, of those with two seeds of every scheme."""
    trainers = {}
    for name in names:
        folder = out / name
        files = {
            scheme: [json.loads(file.read_text("utf-8"))
                     for file in sorted(folder.glob(f"{scheme.replace(' ', '_')}.*.json"))]
            for scheme in SCHEMES
        }  # fmt: skip
        if len(common_seeds(files)) > 1:
            trainers[name] = trainer_summary(TRAINERS[name], files, folder / "resume.json")
    return {"trainers": trainers}


def with_published(document: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the new rows, and the published ones of trainers without cells, which are named."""
    rows = {**before["trainers"], **document["trainers"]}
    for name in before["trainers"]:
        if name not in document["trainers"]:
            row = rows[name]
            warn_loudly(f"{row['title']} has no cells here: its row of {row['date']} is kept")
    order = [name for name in TRAINERS if name in rows]
    return {"trainers": {name: rows[name] for name in order}}


def common_seeds(files: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[int]:
    """Returns the seeds of which every scheme has a file."""
    return sorted(set.intersection(*({int(one["seed"]) for one in of} for of in files.values())))


def trainer_summary(
    trainer: Trainer, files: Mapping[str, Sequence[Mapping[str, Any]]], resume: Path
) -> dict[str, Any]:
    """Returns the row of one trainer: its facts, and the estimates of each scheme."""
    first = files[SCHEMES[0]][0]
    resumed = json.loads(resume.read_text("utf-8")) if resume.exists() else {}
    ends = {
        scheme: {role: {one["seed"]: end(one, role) for one in of} for role in (QUIET, LOUD)}
        for scheme, of in files.items()
    }
    seeds = common_seeds(files)
    hooked = [one for scheme in ("pooled", "per agent") for one in files[scheme]]
    gained = [ends["per agent"][QUIET][s] - ends["pooled"][QUIET][s] for s in seeds]
    return {
        "title": trainer.title,
        "own": trainer.own,
        "packages": first["packages"],
        "date": max(one["date"] for of in files.values() for one in of),
        "updates": first["updates"],
        "seeds": seeds,
        "ends": {
            scheme: {role: stated([of[role][s] for s in seeds]) for role in of}
            for scheme, of in ends.items()
        },
        "start": {role: float(np.mean([one["shares"][0][role] for of in files.values()
                                       for one in of])) for role in (QUIET, LOUD)},
        "gained": {**stated(gained), "p": paired_t_test(gained)},
        "milliseconds": 1e3 * float(
            np.median([one["seconds"] / (one["updates"] - 1) for one in hooked])
        ),
        "overhead": float(
            sum(one["hook_seconds"] for one in hooked) / sum(one["seconds"] for one in hooked)
        ),
        "diagnosis_milliseconds": 1e3 * float(
            np.median([x for one in hooked for x in one["diagnosis_seconds"]] or [np.nan])
        ),
        "restored": resumed.get("restored"),
    }  # fmt: skip


def end(one: Mapping[str, Any], role: str) -> float:
    """Returns the mean share of an agent over the last quarter of the updates."""
    shares = [update[role] for update in one["shares"]]
    return float(np.mean(shares[-(len(shares) // 4) :]))


def stated(values: Sequence[float]) -> dict[str, float]:
    """Returns the mean with its bootstrap interval."""
    estimate = mean_estimate(values)
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def table(document: Mapping[str, Any]) -> str:
    """Returns the table of the ends of both agents, in Markdown."""
    lines = [
        f"| trainer | {' | '.join(SCHEMES)} | per agent − pooled | step, ms | ours | restored |",
        f"|{'---|' * (len(SCHEMES) + 5)}",
    ]
    for one in document["trainers"].values():
        for role in (QUIET, LOUD):
            ends = [with_interval(Estimate(**one["ends"][s][role])) for s in SCHEMES]
            gained = with_interval(
                Estimate(**{k: one["gained"][k] for k in ("value", "low", "high", "n")})
            )
            last = [gained, f"{one['milliseconds']:.0f}", f"{100 * one['overhead']:.2f}%",
                    str(one["restored"])] if role == QUIET else [""] * 4  # fmt: skip
            lines.append(f"| {one['title']}, {role} | {' | '.join([*ends, *last])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
