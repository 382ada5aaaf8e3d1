"""The sweep behind the defaults of `PolicySettings`: learning rate x entropy weight, three twins.

    python bench/tune.py --out counterpoint-out/bench/tune.json

Every setting gets the same seeds and budget under the same scheme; scores are normalized returns
of fresh episodes, 0 for a random team and 1 for the scripted one.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from common import write_json
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance

BUDGETS = {"spread": 150_000, "speaker_listener": 150_000, "foraging": 200_000}
RATES = (3e-4, 1e-3, 3e-3)
ENTROPIES = (0.001, 0.003, 0.01)


@dataclass(frozen=True)
class Cell:
    """One training of the sweep."""

    world: str
    lr: float
    entropy: float
    seed: int

    def __call__(self, advance: Advance) -> float:
        from counterpoint.train.loop import train_to_end
        from counterpoint.train.ppo.plan import TrainPlan
        from counterpoint.train.ppo.settings import PolicySettings

        policy = PolicySettings(lr=self.lr, entropy=self.entropy, diagnose_every=0)
        plan = TrainPlan(self.world, "mappo_pooled", self.seed, BUDGETS[self.world], policy=policy)
        normalized = train_to_end(plan).normalized
        advance()
        assert normalized is not None  # twins have references
        return normalized


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/tune.json"))
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    cells = [
        Cell(world, lr, entropy, seed)
        for world in BUDGETS
        for lr in RATES
        for entropy in ENTROPIES
        for seed in range(options.seeds)
    ]
    scores = run_tasks(cells)
    rows = [asdict(cell) | {"score": score} for cell, score in zip(cells, scores, strict=True)]
    write_json(options.out, {"budgets": BUDGETS, "rows": rows})
    print(table(rows))


def table(rows: list[dict[str, object]]) -> str:
    """Returns mean scores as Markdown: a row a setting, a column a world, and a mean."""
    lines = [f"| lr | entropy | {' | '.join(BUDGETS)} | mean |", "|---" * (len(BUDGETS) + 3) + "|"]
    for lr in RATES:
        for entropy in ENTROPIES:
            mine = [row for row in rows if row["lr"] == lr and row["entropy"] == entropy]
            by_world = [
                float(np.mean([row["score"] for row in mine if row["world"] == world]))
                for world in BUDGETS
            ]
            cells = " | ".join(f"{score:.3f}" for score in [*by_world, float(np.mean(by_world))])
            lines.append(f"| {lr:g} | {entropy:g} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
