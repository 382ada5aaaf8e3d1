"""Copies of PettingZoo's connect_four and tictactoe in NumPy, for many trials of self-play.

    python bench/boards.py connect_four --budget 400000 --seeds 3
    python bench/boards.py tictactoe --set activation=relu pool_first=0.9

They show the same observations and masks, and end and pay as the originals do. A training takes a
third of the time. Each line says how often the team wins against random actions (both seats, and
each), its points, and how often it wins against its first self; actions are sampled.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.settings import settings_from
from counterpoint.train.ppo.competition.collector import CompetingCollector
from counterpoint.train.ppo.competition.games import (
    Entrant,
    Pairing,
    play_games,
    results_of,
)
from counterpoint.train.ppo.competition.guess import LEARNED_WITH
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.plan import GAME_DISCOUNT
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.actions import Actions
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import View
from tictactoe import LINES

STARTS = 500
"""Games on each side against each opponent."""


class Board(Twin):
    """Two players lay pieces in turn; who has a line wins."""

    summary, source, scale = "a board game", "PettingZoo's classic environments", "a win pays 1"
    shape: ClassVar[tuple[int, int]]
    """Rows and columns."""
    choices: ClassVar[int]
    """Actions of a player."""
    players = ("player_0", "player_1")
    python = True  # the defaults of an environment in Python, as the originals have them

    def build(self) -> None:
        rows, columns = self.shape
        self.agents, self.roles = self.players, ("player", "player")
        self.actions, self.seen_sizes = (Actions(self.choices),) * 2, (2 * rows * columns,) * 2
        self.state_size, self.horizon = 0, rows * columns
        self.held |= {
            "board": np.zeros((rows, columns, self.copies), dtype=np.int64),
            "turn": np.zeros(self.copies, dtype=np.int64),
        }

    def begin(self, copies: Ints) -> None:
        self.held["board"][:, :, copies], self.held["turn"][copies] = 0, 0

    def view(self) -> View:
        board, turn = self.held["board"], self.held["turn"]
        planes = [board == owner for owner in (1, 2)]
        seen = [np.stack(pair, axis=2).reshape(-1, self.copies) for pair in (planes, planes[::-1])]
        legal = np.repeat(self.legal().T[:, None], 2, axis=1)
        active = np.arange(2) == turn[:, None]
        state = np.zeros((self.copies, 0), dtype=np.float32)
        return View(np.stack(seen).transpose(2, 0, 1).astype(np.float32), state, active, legal)

    def advance(self, actions: NDArray[Any]) -> tuple[Floats, Bools]:
        turn = self.held["turn"]
        self.lay(actions[np.arange(self.copies), turn], turn + 1)
        board = self.held["board"]
        won = self.has_line(board == turn + 1)
        own = np.where(np.arange(2) == turn[:, None], 1.0, -1.0) * won[:, None]
        self.held["turn"] = 1 - turn
        return own, won | (board > 0).all(axis=(0, 1))

    def legal(self) -> Bools:
        """Returns [M, E]."""
        raise NotImplementedError

    def lay(self, action: Ints, piece: Ints) -> None:
        """Lays the pieces [E] of the players whose turn it is."""
        raise NotImplementedError

    def has_line(self, own: Bools) -> Bools:
        """Returns [E] whether the places `own` [rows, columns, E] have a line."""
        raise NotImplementedError

    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        raise NotImplementedError


class ConnectFour(Board):
    """Pieces fall to the lowest free place of a column; four in a line win."""

    name, shape, choices = "connect_four", (6, 7), 7

    def legal(self) -> Bools:
        return np.asarray(self.held["board"][0] == 0)

    def lay(self, action: Ints, piece: Ints) -> None:
        board, copies = self.held["board"], np.arange(self.copies)
        board[(board[:, action, copies] == 0).sum(axis=0) - 1, action, copies] = piece

    def has_line(self, own: Bools) -> Bools:
        found = np.zeros(self.copies, dtype=bool)
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            there = own if right >= 0 else own[:, ::-1]
            rows, columns = own.shape[0] - 3 * down, own.shape[1] - 3 * abs(right)
            four = [
                there[k * down : k * down + rows, k * abs(right) : k * abs(right) + columns]
                for k in range(4)
            ]
            found |= np.logical_and.reduce(four).any(axis=(0, 1))
        return found


class TicTacToe(Board):
    """Three in a line win. Places count down the columns in PettingZoo, which changes no line."""

    players = ("player_1", "player_2")
    name, shape, choices = "tictactoe", (3, 3), 9

    def legal(self) -> Bools:
        return np.asarray(self.held["board"].reshape(9, -1) == 0)

    def lay(self, action: Ints, piece: Ints) -> None:
        self.held["board"].reshape(9, -1)[action, np.arange(self.copies)] = piece

    def has_line(self, own: Bools) -> Bools:
        flat = own.reshape(9, -1)
        return np.any([flat[list(line)].all(axis=0) for line in LINES], axis=0)


BOARDS: dict[str, type[Board]] = {board.name: board for board in (ConnectFour, TicTacToe)}


def rated(learner: Learner, board: type[Board]) -> str:
    """Returns how often the team wins against random actions and its first self."""
    collector = learner.collector
    assert isinstance(collector, CompetingCollector)
    pool, sides = collector.pool, collector.sides
    entrants = Entrant("random", None), Entrant("first", 0), Entrant("team", pool.with_team())
    returns = play_games(
        lambda wave, copies: board(copies=copies, seed=wave),
        pool, replace(learner.settings, copies=STARTS), sides, entrants,
        [Pairing(2, 0, STARTS), Pairing(2, 1, STARTS)], 99,
    )  # fmt: skip
    assert returns is not None  # nothing asks it to stop
    games = [results_of(returns[:, part], sides, "game").games
             for part in (slice(STARTS), slice(STARTS, None))]  # fmt: skip
    wins = (games[0] == 1).mean(axis=1)
    return (
        f"{learner.steps:,} steps: {wins.mean():.3f} ({wins[0]:.3f}, {wins[1]:.3f}), points "
        f"{games[0].mean():.3f}, first self {(games[1] == 1).mean():.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("board", choices=BOARDS)
    parser.add_argument("--budget", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], help="settings, key=value")
    options = parser.parse_args()
    board = BOARDS[options.board]
    given = {"sides": "agents", "scoring": "game", "gamma": GAME_DISCOUNT, **LEARNED_WITH}
    given |= dict(pair.split("=", 1) for pair in options.set)
    settings = settings_from(given, PolicySettings, options.board).filled(python=True)
    for seed in range(options.seeds):
        begun = time.process_time()
        world = board(copies=settings.copies, seed=seed)
        learner = Learner(world, "mappo_pooled", settings, seed, options.budget)
        updates = -(-options.budget // learner.batch_steps)
        for update in range(updates):
            learner.update()
            if (update + 1) % max(1, updates // 3) == 0:
                print(f"{options.board} seed {seed}, {rated(learner, board)}", flush=True)
        print(f"  {time.process_time() - begun:.0f} CPU-seconds with the games", flush=True)


if __name__ == "__main__":
    main()
