"""What is known of a game, for a terminal: start at `game_parts`."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.pages.game import (
    equilibrium_table,
    learned_table,
    reasons,
    repeated_table,
    sentences,
)
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.results.game import GameResult, Learned

SHOWN = 20
"""Most equilibria that are listed."""


def game_parts(game: GameResult) -> list[RenderableType]:
    """Returns what is known, in words and tables."""
    parts: list[RenderableType] = [Text(line) for line in sentences(game)]
    if table := equilibrium_table(game, ""):
        parts.append(terminal_table(table, SHOWN))
    more = len(game.equilibria) - SHOWN
    if more > 0:
        parts.append(f"and {more} more (--json has them all)")
    if game.feasible_rational:
        corners = ", ".join(f"({a:.4g}, {b:.4g})" for a, b in game.feasible_rational)
        parts.append(f"feasible and rational: {corners}")
    sums = [f"{k.replace('_', ' ')} {v:.4g}" for k, v in game.sums.items() if v is not None]
    if sums:
        parts.append(f"sums of payoffs in correlated equilibria: {', '.join(sums)}")
    parts += [Text(line) for line in reasons(game)]
    return [*parts, *(_learned(game.learned) if game.learned else ())]


def _learned(learned: Learned) -> list[RenderableType]:
    parts: list[RenderableType] = [f"{learned.seeds} teams of each:"]
    parts.append(terminal_table(learned_table(learned, "")))
    if learned.repeated:
        parts += ["Repeated:", terminal_table(repeated_table(learned, ""))]
    if learned.basins:
        shares = ", ".join(
            f"{'none' if key == '-1' else key}: {share:.0%}"
            for key, share in learned.basins.shares.items()
        )
        parts.append(f"basins, share of starts that end at each equilibrium: {shares}")
    return parts
