"""Equilibria beside those of others: nashpy, pygambit (Gambit) and open_spiel, where installed.

    python bench/games.py [--two 300] [--three 60] [--files FOLDER] [--out games.json]

Two players: random integers, small ones (degenerate games), games with dominated actions, payoffs
around 2^60 (the others get them without the 2^60, which changes no equilibrium), and fractions.
pygambit enumerates extreme equilibria in exact arithmetic, so that the lists have to be the same
fractions; nashpy's vertex enumeration is in floating point and misses some of degenerate games;
open_spiel measures what players can gain. Three players: pygambit's polynomial systems. Files: the
reduced normal form of each `.efg` and `.nfg` is compared with pygambit's; without a folder, those
that pygambit brings. An oracle that is not installed is skipped, with a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from fractions import Fraction
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.games import Game, equilibria, lemke_howson, read_game
from counterpoint.games.equilibria import Equilibrium, is_degenerate, is_equilibrium
from counterpoint.games.game import bimatrix
from counterpoint.games.search import has_ties, search_mixed

KINDS = ("integers", "degenerate", "dominated", "large", "fractions")
NEAR = 1e-6
"""Two mixes of floating-point oracles that differ by no more are the same."""
NEAR_OF_THREE = 1e-3


def oracle(name: str) -> ModuleType | None:
    """Returns a package, or None with a line if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        print(f"{name} is not installed: skipped")
        return None


def game_of_two(kind: str, rng: np.random.Generator) -> Game:
    """Returns a random game of two players."""
    rows, columns = (int(n) for n in rng.integers(2, 6, 2))
    if kind == "degenerate":
        first, second = rng.integers(-1, 2, (2, rows, columns))
    else:
        first, second = rng.integers(-20, 21, (2, rows, columns))
    if kind == "dominated":  # the last row and column pay less than the first ones
        first[-1], second[:, -1] = first[0] - 1, second[:, 0] - 1
    a, b = first.tolist(), second.tolist()
    if kind == "large":
        a, b = ([[2**60 + v for v in row] for row in table] for table in (a, b))
    if kind == "fractions":
        a, b = ([[f"{v}/{rng.integers(1, 8)}" for v in row] for row in table] for table in (a, b))
    return bimatrix(a, b)


def moved(game: Game) -> Game:
    """Returns the game with 2^60 less for everybody."""
    table = np.empty(game.payoffs.shape, dtype=object)
    for profile, values in game.exact.items():
        table[profile] = [value - 2**60 for value in values]
    return Game(table)


def gambit_game(gambit: Any, game: Game) -> Any:
    """Returns a game as pygambit has it, exactly."""
    arrays = []
    for player in range(game.count):
        table = np.empty(game.sizes, dtype=object)
        for profile, values in game.exact.items():
            table[profile] = gambit.Rational(values[player].numerator, values[player].denominator)
        arrays.append(table)
    return gambit.Game.from_arrays(*arrays)


def mixes_of(game: Any, profile: Any) -> tuple[tuple[Fraction, ...], ...]:
    """Returns the strategies of a profile of pygambit, in fractions."""
    return tuple(
        tuple(Fraction(str(profile[strategy])) for strategy in player.strategies)
        for player in game.players
    )


def flat(strategies: Any) -> np.ndarray:
    """Returns all probabilities in one row."""
    return np.concatenate([np.array([float(p) for p in own]) for own in strategies])


def lacking(some: list[Any], others: list[Any], near: float) -> int:
    """Returns how many of `some` are near none of `others`."""
    return sum(
        min((np.abs(flat(one) - flat(other)).max() for other in others), default=1.0) > near
        for one in some
    )


def of_two(count: int, oracles: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Returns the counts of agreement of each kind of game of two players."""
    told: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        rng = np.random.default_rng(number)
        game = game_of_two(kind, rng)
        ours, path = equilibria(game), lemke_howson(game)
        plain = moved(game) if kind == "large" else game
        tally, degenerate = told[kind], is_degenerate(game)
        tally["games"] += 1
        tally["equilibria"] += len(ours)
        tally["degenerate"] += degenerate
        tally["even and not degenerate"] += len(ours) % 2 == 0 and not degenerate
        tally["ours that are none"] += sum(not is_equilibrium(game, e.strategies) for e in ours)
        tally["Lemke-Howson not exact"] += not is_equilibrium(game, path.strategies)
        tally["Lemke-Howson not in the list"] += path.strategies not in {
            one.strategies for one in ours
        }
        if gambit := oracles["pygambit"]:
            theirs = gambit_game(gambit, plain)
            solved = gambit.nash.enummixed_solve(theirs, rational=True).equilibria
            listed = {mixes_of(theirs, profile) for profile in solved}
            same = listed == {one.strategies for one in ours}
            tally["same list as pygambit"] += same
            if not same:
                print(f"game {number} ({kind}): pygambit has {len(listed)}, ours {len(ours)}")
        if nashpy := oracles["nashpy"]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                listed = list(
                    nashpy.Game(plain.payoffs[..., 0], plain.payoffs[..., 1]).vertex_enumeration()
                )
            mine = [one.strategies for one in ours]
            tally["nashpy's that we lack"] += lacking(listed, mine, NEAR)
            tally["ours that nashpy lacks"] += lacking(mine, listed, NEAR)
        if spiel := oracles["pyspiel"]:
            tally["games in which open_spiel sees a gain"] += any(
                spiel_gain(spiel, plain, one) > 1e-6 for one in ours
            )
    return {kind: dict(tally) for kind, tally in told.items()}


def spiel_gain(spiel: Any, game: Game, one: Equilibrium) -> float:
    """Returns what both players can gain, as open_spiel measures it."""
    rows, columns = game.sizes
    theirs = spiel.convert_to_turn_based(
        spiel.create_matrix_game("t", "t", [f"r{i}" for i in range(rows)],
                                 [f"c{i}" for i in range(columns)], game.payoffs[..., 0],
                                 game.payoffs[..., 1])
    )  # fmt: skip
    begin = theirs.new_initial_state()
    x, y = one.floats()
    policy = spiel.TabularPolicy({
        begin.information_state_string(0): list(enumerate(x.tolist())),
        begin.child(0).information_state_string(1): list(enumerate(y.tolist())),
    })  # fmt: skip
    return float(spiel.nash_conv(theirs, policy))


def of_three(count: int, oracles: dict[str, Any]) -> dict[str, int]:
    """Returns the counts of agreement in games of three players."""
    told: Counter[str] = Counter()
    sizes = ((2, 2, 2), (3, 2, 2), (2, 3, 3), (3, 3, 3))
    for number in range(count):
        rng = np.random.default_rng(10_000 + number)
        shape = sizes[number % len(sizes)]
        table = rng.integers(-100, 101, (*shape, 3))
        game = Game(table)
        ours = search_mixed(game)
        ties = has_ties(game, ours)
        told["games"] += 1
        told["equilibria"] += len(ours)
        told["even, and said so"] += len(ours) % 2 == 0 and not ties
        told["ties"] += ties
        told["ours with a gain above 1e-6"] += sum(
            float(game.gain(one.floats()).max()) > 1e-6 * 200 for one in ours
        )
        if gambit := oracles["pygambit"]:
            theirs = gambit_game(gambit, game)
            solved = gambit.nash.enumpoly_solve(theirs).equilibria
            listed = [mixes_of(theirs, profile) for profile in solved]
            mine = [one.strategies for one in ours]
            they, we = lacking(mine, listed, NEAR_OF_THREE), lacking(listed, mine, NEAR_OF_THREE)
            told["pygambit's equilibria"] += len(listed)
            told["pygambit's that we lack"] += we
            told["ours that pygambit lacks"] += they
            told["games with the same list"] += not they and not we
            told["pygambit even"] += len(listed) % 2 == 0
            if they or we:
                print(f"three players, game {number} {shape}: {len(ours)} ours, {len(listed)} of "
                      f"pygambit; we lack {we}, pygambit lacks {they}")  # fmt: skip
    return dict(told)


def of_files(folder: Path, gambit: Any) -> dict[str, Any]:
    """Returns how many files are read alike: payoffs as a set of profiles, whatever their order."""
    told: Counter[str] = Counter()
    for path in sorted([*folder.rglob("*.efg"), *folder.rglob("*.nfg")]):
        told["files"] += 1
        try:
            ours = read_game(path)
        except SettingError as error:
            tree = path.suffix == ".efg" and gambit.read_efg(path)
            told["refused, of imperfect recall"] += bool(tree) and not tree.is_perfect_recall
            told["refused"] += 1
            print(str(error).replace(str(path), path.name))
            continue
        theirs = gambit.read_efg(path) if path.suffix == ".efg" else gambit.read_nfg(path)
        sizes = tuple(len(player.strategies) for player in theirs.players)
        same = sizes == ours.sizes
        if same and ours.payoffs.size <= 20_000:
            listed = Counter(
                tuple(Fraction(str(theirs[profile][player])) for player in theirs.players)
                for profile in product(*map(range, sizes))
            )
            same = listed == Counter(ours.exact.values())
        told["read alike"] += same
        if not same:
            print(f"{path.name}: sizes {ours.sizes}, pygambit {sizes}")
    return dict(told)


def main() -> int:
    """Compares, prints the counts, and writes them with --out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--two", type=int, default=300)
    parser.add_argument("--three", type=int, default=60)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    oracles = {name: oracle(name) for name in ("nashpy", "pygambit", "pyspiel")}
    begun = time.process_time()
    told: dict[str, Any] = {"two": of_two(chosen.two, oracles)}
    told["three"] = of_three(chosen.three, oracles)
    if gambit := oracles["pygambit"]:
        told["files"] = of_files(chosen.files or Path(str(gambit.__file__)).parent, gambit)
    told["cpu_seconds"] = round(time.process_time() - begun, 1)
    text = json.dumps(told, indent=1, default=int)
    print(text)
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
