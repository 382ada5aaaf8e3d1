"""Tic-tac-toe solved: the most that any player can get against uniformly random moves.

    python bench/tictactoe.py

It prints, for each seat and for the mean of both, the largest probability to win, the largest
expected points (a draw counts 0.5), and what players get who never give away the value of the game:
with the best of their moves against random ones, and with each of them as likely as any other.
"""

from __future__ import annotations

from functools import cache

LINES = (
    (0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6),
)  # fmt: skip
Board = tuple[int, ...]
EMPTY: Board = (0,) * 9


def has_won(board: Board, player: int) -> bool:
    """Returns whether the player, 1 or 2, has three in a row."""
    return any(all(board[k] == player for k in line) for line in LINES)


def after_moves(board: Board, player: int) -> list[Board]:
    """Returns the boards after each of the player's moves."""
    return [(*board[:k], player, *board[k + 1 :]) for k, owner in enumerate(board) if owner == 0]


@cache
def game_value(board: Board, player: int) -> int:
    """Returns 1, 0 or -1: what the player who moves gets if both are perfect."""
    if has_won(board, 3 - player):
        return -1
    return max((-game_value(b, 3 - player) for b in after_moves(board, player)), default=0)


@cache
def against_random(seat: int, draw: float, among: str = "all") -> float:
    """Returns the largest expected score of a player against uniformly random moves.

    Args:
        seat: 1 moves first, 2 second.
        draw: the score of a draw; a win has 1.
        among: `all` moves, the `safe` ones, which keep the value of the game, or `any` of these,
            each as likely as any other.
    """

    @cache
    def score(board: Board, player: int) -> float:
        if has_won(board, 3 - player):
            return float(seat == 3 - player)
        boards = after_moves(board, player)
        if not boards:
            return draw
        if player == seat and among != "all":
            value = game_value(board, player)
            boards = [b for b in boards if -game_value(b, 3 - player) == value]
        scores = [score(b, 3 - player) for b in boards]
        best = player == seat and among != "any"
        return max(scores) if best else sum(scores) / len(scores)

    return score(EMPTY, 1)


def main() -> None:
    for name, draw, among in (
        ("wins, best", 0.0, "all"),
        ("points, best", 0.5, "all"),
        ("wins, never gives away the value", 0.0, "safe"),
        ("wins, any move that keeps the value", 0.0, "any"),
    ):
        first, second = (against_random(seat, draw, among) for seat in (1, 2))
        print(f"{name}: first {first:.4f}, second {second:.4f}, both {(first + second) / 2:.4f}")


if __name__ == "__main__":
    main()
