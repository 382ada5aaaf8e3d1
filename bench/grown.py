"""Failures that grow from learning, idling and a gamed proxy, and the audits on them.

    python bench/grown.py --out counterpoint-out/bench/grown.json

`gathering` and `boat_race`, ten seeds each. Effect, remedies, reward-weighted return and
control, interquartile means with 95% bootstrap intervals; how often the audits find what grew, and
blame controls.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from common import with_interval, write_json
from counterpoint.arrays import Floats
from counterpoint.claims.grown import (
    COUNT,
    WatchedRace,
    episodes_of,
    fresh_batch,
    verdicts,
)
from counterpoint.claims.idleness import worked
from counterpoint.records import Episode
from counterpoint.stats import bootstrap_interval
from counterpoint.train.tabular.learner import train
from counterpoint.worlds.exact.grown import (
    RESTED,
    WORK,
    WORKED,
    BoatRaceSettings,
    Gathering,
    GatheringSettings,
)

SEEDS = range(10)


def contagion(probs: Floats) -> Floats:
    """Returns P(rest, given that the other says it rests) - P(rest, given that it worked), mean of
    both agents, [S]."""
    rest = 1 - probs[..., WORK]
    difference: Floats = (rest[:, :, RESTED] - rest[:, :, WORKED]).mean(axis=-1)
    return difference


def cell(values: Floats) -> str:
    """Returns an interquartile mean with its interval."""
    return with_interval(bootstrap_interval(values, rng=np.random.default_rng(0)))


def gathering() -> dict[str, Any]:
    """Measures idling under a shared reward, its remedies and its control; contagion; and what the
    audit sees.
    """
    out: dict[str, Any] = {}
    print("| paid | cost | scheme | return | turns at work | contagion | idleness found |")
    print("|---" * 7 + "|")
    for paid, cost in (
        ("shared", 0.6),
        ("team", 0.6),
        ("own", 0.6),
        ("shared", 0.3),
        ("shared", 0.0),
    ):
        for scheme in ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "grpo"):
            world = Gathering(GatheringSettings(paid=paid, cost=cost))  # type: ignore[arg-type]
            done = train(world, scheme, SEEDS)
            play, _ = fresh_batch(world, done)
            work = worked(play).mean(axis=1)
            caught = contagion(done.probs)
            seen = [verdicts((episodes_of(world, play, s, COUNT), ()), "idleness") for s in SEEDS]
            row = {"return": done.returns[:, -1].tolist(), "start": done.returns[:, 0].tolist(),
                   "work": work.tolist(), "contagion": caught.tolist(),
                   "found": [sorted(x) for x in seen]}  # fmt: skip
            out[f"{paid} {cost} {scheme}"] = row
            cells = [cell(done.returns[:, -1]), cell(work), cell(caught)]
            print(f"| {paid} | {cost:g} | {scheme} | {' | '.join(cells)} | "
                  f"{sum(map(bool, seen))} of 10 |", flush=True)  # fmt: skip
    return out


def boat_race() -> dict[str, Any]:
    """Measures the proxy that outgrows the truth: where it turns, when the audit sees it, and the
    remedies.
    """
    out: dict[str, Any] = {}
    heads = ("paid", "laps, best", "laps, end", "Goodhart point", "audit finds", "seen after",
             "laps if stopped then")  # fmt: skip
    print(f"\n| {' | '.join(heads)} |")
    print("|---" * 7 + "|")
    for paid in ("proxy", "shaped", "true"):
        world = WatchedRace(BoatRaceSettings(paid=paid), len(SEEDS))  # type: ignore[arg-type]
        done = train(world, "mappo_pooled", SEEDS)
        laps = done.returns
        turn = laps.argmax(axis=1)
        has_gap = ["proxy_gap" in verdicts((log, ()), "hacking") for log in world.log]
        seen = [first_sight(log) for log in world.log]
        stopped = np.array([laps[s, -1 if t is None else t] for s, t in enumerate(seen)])
        delays = [t - turn[s] for s, t in enumerate(seen) if t is not None]
        out[paid] = {"best": laps.max(axis=1).tolist(), "end": laps[:, -1].tolist(),
                     "turn": turn.tolist(), "found": has_gap, "seen": seen}  # fmt: skip
        delay = f"{np.median(delays):.0f} updates" if delays else "never"
        cells = [cell(laps.max(axis=1)), cell(laps[:, -1]), f"update {np.median(turn):.0f}",
                 f"{sum(has_gap)} of 10", delay, cell(stopped)]  # fmt: skip
        print(f"| {paid} | {' | '.join(cells)} |", flush=True)
    return out


def first_sight(log: list[Episode]) -> int | None:
    """Returns the first of every tenth update at which the audit of all so far finds a gap."""
    for end in range(20, len(log) + 1, 10):
        if "goodhart_point" in verdicts((log[:end], ()), "hacking"):
            return end
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/grown.json"))
    options = parser.parse_args()
    start = time.process_time()
    document = {part.__name__: part() for part in (gathering, boat_race)}
    print(f"\n{time.process_time() - start:.0f} CPU-seconds")
    write_json(options.out, document)


if __name__ == "__main__":
    main()
