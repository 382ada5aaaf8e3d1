"""The sweeps behind the defaults of `PolicySettings`: two small grids, four twins.

    python bench/tune.py --out counterpoint-out/bench/tune.json
    python bench/tune.py --grid passes --workers 1

`rates` is learning rate x entropy weight, `passes` learning rate x epochs x whether agents share a
network. In one of the worlds teams have to talk, and episodes of one have 500 steps. Every setting
gets the same seeds and budget under the same scheme; scores are normalized returns of fresh
episodes, 0 for a random team and 1 for the scripted one. A second call goes on where the first one
ended.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import mean_estimate, with_interval, write_json
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance


class Swept(NamedTuple):
    """A world of the sweeps."""

    world: str
    settings: dict[str, str]
    budget: int


WORLDS = {
    "spread": Swept("spread", {}, 100_000),
    "speaker_listener": Swept("speaker_listener", {}, 200_000),
    "foraging": Swept("foraging", {}, 100_000),
    "foraging, 500 steps": Swept(
        "foraging", {"size": "16", "food": "8", "horizon": "500"}, 200_000
    ),
}
GRIDS: dict[str, dict[str, tuple[str, ...]]] = {
    "rates": {"lr": ("0.0003", "0.001", "0.003"), "entropy": ("0.001", "0.003", "0.01")},
    "passes": {
        "lr": ("0.001", "0.003"),
        "epochs": ("4", "8"),
        "parameters": ("shared", "separate"),
    },
}
DEFAULT = {"lr": "0.001", "entropy": "0.003", "epochs": "4", "parameters": "shared"}


@dataclass(frozen=True)
class Cell:
    """One training of a sweep."""

    world: str
    settings: tuple[tuple[str, str], ...]
    seed: int

    def __call__(self, advance: Advance) -> float:
        from counterpoint.train.loop import train_to_end
        from counterpoint.train.session import plan_of

        swept = WORLDS[self.world]
        given = {**swept.settings, **dict(self.settings)}
        given |= {"diagnose_every": "0", "evaluate_every": "0"}
        plan = replace(plan_of(swept.world, budget=swept.budget, given=given), seed=self.seed)
        normalized = train_to_end(plan).normalized
        assert normalized is not None  # twins have references
        advance(normalized)
        return normalized

    @property
    def key(self) -> str:
        """What tells it from other cells."""
        return json.dumps([*WORLDS[self.world], dict(self.settings), self.seed])


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/tune.json"))
    parser.add_argument("--grid", nargs="*", default=tuple(GRIDS), choices=tuple(GRIDS))
    parser.add_argument("--worlds", nargs="*", default=tuple(WORLDS), choices=tuple(WORLDS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args()
    cells = {name: cells_of(name, options.worlds, options.seeds) for name in options.grid}
    scores: dict[str, float] = {}
    if options.out.exists():
        scores = json.loads(options.out.read_text())
    every = {cell.key: cell for of_grid in cells.values() for cell in of_grid}
    left = [cell for key, cell in every.items() if key not in scores]

    def keep(number: int, score: float) -> None:
        scores[left[number].key] = score
        write_json(options.out, scores)

    run_tasks(left, workers=options.workers, on_message=keep)
    for name, of_grid in cells.items():
        print(f"{name}\n\n{table(of_grid, scores)}\n")


def cells_of(grid: str, worlds: list[str], seeds: int) -> list[Cell]:
    """Returns the trainings of a grid, one seed of all before the next."""
    points = [
        tuple(zip(GRIDS[grid], point, strict=True)) for point in product(*GRIDS[grid].values())
    ]
    return [
        Cell(world, point, seed) for seed in range(seeds) for point in points for world in worlds
    ]


def table(cells: list[Cell], scores: dict[str, float]) -> str:
    """Returns mean scores as Markdown: a row a setting, a column a world, their mean, and the
    difference from the defaults, paired over worlds and seeds."""
    names = [name for name, _ in cells[0].settings]
    worlds, points = dict.fromkeys(c.world for c in cells), dict.fromkeys(c.settings for c in cells)
    by_place = {(c.settings, c.world, c.seed): scores[c.key] for c in cells}
    default = tuple((name, DEFAULT[name]) for name in names)
    head = [*names, *worlds, "mean", "difference"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    places = sorted({(c.world, c.seed) for c in cells})
    for point in points:
        mine = np.array([by_place[(point, *place)] for place in places])
        usual = np.array([by_place[(default, *place)] for place in places])
        of_world = np.array([world for world, _ in places])
        means = [mine[of_world == world].mean() for world in worlds]
        difference = ""
        if point != default and len(places) > 1:
            difference = with_interval(mean_estimate(mine - usual), "+.3f")
        row = [*(value for _, value in point), *(f"{x:.3f}" for x in means)]
        lines.append(f"| {' | '.join([*row, f'{mine.mean():.3f}', difference])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
