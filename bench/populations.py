"""A population at a fixed budget, and where learners of games land: every number of both pages.

    python bench/populations.py --out counterpoint-out/bench/populations.json [--neural]

NumPy games first (under 90 seconds on two idle cores), then equilibria beside nashpy, strangers,
repetition, remedies and schemes; with --neural also populations of networks on two worlds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import msgspec
import nashpy
import numpy as np

from common import write_json
from counterpoint.games import Game, equilibria, make_game
from counterpoint.games.analysis import learn_game
from counterpoint.games.equilibria import is_degenerate, is_equilibrium
from counterpoint.games.game import bimatrix
from counterpoint.games.learners import Learning
from counterpoint.games.repeated import STARTS, Repeated, learn_repeated
from counterpoint.population import PopulationPlan, compare_populations
from counterpoint.results import document_of
from counterpoint.stats import wilson_interval

GAMES: tuple[tuple[str, int, dict[str, Any], tuple[int, ...]], ...] = (
    ("climbing", 6400, {}, (1, 4, 16)),
    ("climbing", 16000, {"start": "narrow"}, (1, 4, 16)),
    ("smooth", 16000, {}, (1, 4, 16)),
    ("penalty", 6400, {}, (1, 4, 16)),
    ("climbing", 6400, {"diverse": "hyper"}, (16,)),
    ("climbing", 6400, {"diverse": "scheme", "lr": 0.03}, (16,)),
    ("rock_paper_scissors", 6400, {"lr": 0.1}, (1, 4, 16)),
    ("blotto", 6400, {"lr": 0.5}, (1, 4, 16)),
    ("higher", 6400, {"lr": 0.1}, (1, 4, 16)),
)
NETWORKS: tuple[tuple[str, int, dict[str, Any], int, tuple[int, ...]], ...] = (
    ("spread", 80, {}, 5, (1, 4)),
    ("repeated_game", 800, {"game": "climbing", "rounds": 1, "copies": 64, "steps": 1,
                            "minibatches": 1, "epochs": 1, "hidden": 8, "layers": 1,
                            "parameters": "separate", "lr": 0.05}, 12, (1, 4, 8)),
)  # fmt: skip


def populations(plans: list[PopulationPlan]) -> list[dict[str, Any]]:
    """Champions at the whole budget, and crossovers."""
    print("| world | settings | budget | arm | champion | - single | believed | charged |")
    print("|---|---|---|---|---|---|---|---|")
    documents = []
    for plan in plans:
        result = compare_populations(plan)
        documents.append(document_of(result))
        for name, arm in result.arms.items():
            c, gap = arm.champion, (result.against_single or {}).get(name)
            apart = f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]" if gap else ""
            print(
                f"| {plan.world} | {dict(plan.settings)} | {plan.budget} | {name} | "
                f"{c.iqm:.3f} [{c.low:.3f}, {c.high:.3f}] | {apart} | "
                f"{arm.believed.iqm:.3f} | {arm.spent} |"
            )
        print(f"crossover: {result.crossover}", flush=True)
    return documents


def exactly(count: int = 200) -> dict[str, Any]:
    """Compares, in random games, every equilibrium in fractions with nashpy's two ways."""
    rng = np.random.default_rng(1)
    counts: dict[str, Any] = {"games": count, "equilibria": 0, "generic": 0, "odd": 0,
                             "vertex enumeration lacks": 0, "vertex enumeration has more": 0,
                             "support enumeration lacks": 0}  # fmt: skip
    for _ in range(count):
        rows, columns = rng.integers(2, 7, size=2)
        game = bimatrix(rng.normal(size=(rows, columns)).round(3),
                        rng.normal(size=(rows, columns)).round(3))  # fmt: skip
        ours = equilibria(game)
        assert all(is_equilibrium(game, one.strategies) for one in ours)
        counts["equilibria"] += len(ours)
        if not is_degenerate(game):
            counts["generic"] += 1
            counts["odd"] += len(ours) % 2
        peer = nashpy.Game(game.payoffs[..., 0], game.payoffs[..., 1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            vertex = sum(1 for _ in peer.vertex_enumeration())
            support = sum(1 for _ in peer.support_enumeration()) if rows * columns <= 20 else None
        counts["vertex enumeration lacks"] += vertex < len(ours)
        counts["vertex enumeration has more"] += vertex > len(ours)
        if support is not None:
            counts["support enumeration lacks"] += support < len(ours)
    return counts


def learned(name: str, remedies: tuple[str, ...], seeds: int, schemes: tuple[str, ...] = (),
            **settings: Any) -> dict[str, Any]:  # fmt: skip
    """Returns where learners end, and prints a line an arm."""
    game: Game = make_game(name)
    result = learn_game(game, schemes, remedies, seeds, Learning(**settings))
    for arm, one in result.arms.items():
        where = {key: round(share, 2) for key, share in one.equilibria.items()}
        print(f"{name} {settings or ''} {arm}: {one.payoff.value:.3f} [{one.payoff.low:.3f}, "
              f"{one.payoff.high:.3f}], {where}, cross-play {one.cross_play}")  # fmt: skip
    return msgspec.to_builtins(result)


def repetition(seeds: int = 200) -> dict[str, Any]:
    """Trains in the prisoner's dilemma with a memory of one round, by start and by foresight."""
    game, document = make_game("prisoners_dilemma"), {}
    for shaping in (0.0, 1.0, 3.0):
        count = seeds if shaping == 0 else 40
        for start in STARTS:
            both = learn_repeated(game, Repeated(start=start, shaping=shaping), count)
            share = both.first.mean(axis=1)
            ends = [wilson_interval(int(n), count)
                    for n in ((share > 0.9).sum(), (share < 0.1).sum())]  # fmt: skip
            document[f"{start}, shaping {shaping:g}"] = [vars(e) for e in ends]
            text = [f"{e.value:.1%} [{e.low:.1%}, {e.high:.1%}]" for e in ends]
            print(f"{start}, shaping {shaping:g}: cooperate {text[0]}, defect {text[1]}, pays "
                  f"{both.payoffs.mean():.3f}", flush=True)  # fmt: skip
    return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--neural", action="store_true")
    options = parser.parse_args()
    begun, document = time.monotonic(), {}
    document["games"] = populations(
        [
            PopulationPlan(name, sizes, budget, settings=given)
            for name, budget, given, sizes in GAMES
        ]
    )
    print(f"populations of games: {time.monotonic() - begun:.1f} s\n")
    print(document.setdefault("equilibria", exactly()), "\n")
    remedies = ("none", "convention", "cheap_talk", "other_play", "population")
    document["lever"] = learned("lever", remedies, 60, ("mappo_per_agent",), signals=10)
    for name in ("stag_hunt", "public_goods"):
        document[name] = learned(name, ("none",), 100)
    for name in ("stag_hunt", "battle_of_the_sexes", "chicken"):
        document[f"{name}, remedies"] = learned(
            name, ("none", "device", "cheap_talk", "convention", "population"), 100,
            ("mappo_per_agent",),
        )  # fmt: skip
    at = time.monotonic()
    document["repetition"] = repetition()
    print(f"repetition: {time.monotonic() - at:.1f} s; all so far {time.monotonic() - begun:.1f} s")
    if options.neural:
        document["networks"] = populations(
            [PopulationPlan(world, sizes, budget, repeats, given)
             for world, budget, given, repeats, sizes in NETWORKS]
        )  # fmt: skip
    write_json(options.out, document)


if __name__ == "__main__":
    main()
