"""`counterpoint game`: equilibria, what repetition sustains, and which equilibria learners
reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from msgspec.structs import replace
from rich.console import RenderableType

from counterpoint.cli.progress import Bar
from counterpoint.cli.results import command_line, finish, prepare
from counterpoint.credit import split_names
from counterpoint.errors import SettingError
from counterpoint.games import game_catalogue, make_game, read_game
from counterpoint.games.analysis import SCHEMES, analyze_game, learn_game
from counterpoint.games.game import Game
from counterpoint.games.learners import Learning
from counterpoint.report.terminal.parts import game_parts
from counterpoint.report.terminal.tables import text_table
from counterpoint.settings import settings_from, split_list, split_pairs


@dataclass(frozen=True)
class GameCommand:
    """Analyze a game and, with --learn, report which equilibria learners reach.

    The analysis has the equilibria (exact), minmax values, the feasible and rational payoffs, the
    patience that cooperation needs, correlated equilibria, and the prices of anarchy and stability.
    With --learn, each scheme is trained over many seeds. The result shows which equilibrium each
    team reaches and whether its players can play with partners of other teams. In a game of two
    actions it also shows where pairs with a memory of one round end, by their start.

    GAME is a name or a file. A JSON file has payoffs, with one for each player innermost, such as
    {"payoffs": [[[3,3],[0,5]],[[5,0],[1,1]]]}, or two matrices, {"A": [[3,0],[5,1]],
    "B": [[3,5],[0,1]]}. With "prior", the chance of each profile of types, it is a Bayesian game,
    with an axis for the types of each player (of length 1 for a player with one type) before those
    of actions. Names are optional: name, players, actions, types, source. Gambit's .nfg and .efg
    files are read too; a game tree is reduced to normal form. Numbers are exact: integers of any
    size, decimals, and fractions as text ("1/3"). To let networks play a game, use the world
    repeated_game.

    Examples:
      counterpoint game
      counterpoint game prisoners_dilemma
      counterpoint game stag_hunt --learn --out stag
      counterpoint game lever --learn --schemes mappo_per_agent --remedies none,other_play
      counterpoint game prisoners_dilemma --learn --remedies none,cheap_talk,shaping
      counterpoint game public_goods players=4 factor=2 --learn
      counterpoint game mine.json --json
      counterpoint game poker.efg
    """

    game: Annotated[str | None, tyro.conf.Positional] = None
    """The name of a game, or a file (JSON, .nfg, .efg). Without it, the games are listed."""
    learn: bool = False
    """Also let teams learn the game."""
    schemes: str = ""
    """With --learn: credit schemes, separated by commas; default pooled, per agent, running per
    agent, and the per-agent mean alone."""
    remedies: str = "none"
    """With --learn: remedies, separated by commas, of which one at a time is used: none,
    convention, device, cheap_talk, other_play, population; shaping, for pairs that repeat a game of
    two actions, where each player allows for the learning of the other."""
    seeds: int | None = None
    """With --learn: number of teams for each scheme; default: 100."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An option of the game (players=4), or of the learners (updates, batch, lr, entropy, start,
    paid=team, signals, partners, restarts); may be repeated."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Analyzes, learns, saves and prints."""
        if self.game is None:
            if self != GameCommand(json=self.json):
                raise SettingError("got options and no game; wanted counterpoint game NAME")
            return list_games(self.json)
        options = split_pairs(self.set, "--set")
        own = {key: options.pop(key) for key in LEARNER if key in options}
        only_learn = [*own, *(["--schemes"] if self.schemes else []),
                 *(["--remedies"] if self.remedies != "none" else []),
                 *(["--seeds"] if self.seeds is not None else [])]  # fmt: skip
        if only_learn and not self.learn:
            raise SettingError(f"got {', '.join(only_learn)} without --learn; wanted both")
        seeds = 100 if self.seeds is None else self.seeds
        game = made(self.game, options)
        if self.out:
            prepare(self.out)
        result = analyze_game(game)
        if self.learn:
            schemes = split_names(self.schemes)
            remedies = split_list(self.remedies)
            with Bar(f"learning {game.name}") as report:
                learned = learn_game(
                    game, schemes or SCHEMES, remedies, seeds,
                    settings_from(own, Learning, "learners"), report,
                )  # fmt: skip
            result = replace(result, learned=learned)
        config = {"game": self.game, "settings": {**options, **own}, "seeds": seeds}
        # the result has the name of a game, which may be that of a file or have options
        then = "" if self.learn else command_line("game", self.game, *self.set, "--learn")
        finish(replace(result, config=config), game_parts, self.out, self.json, then)
        return 0


def made(name: str, options: dict[str, str]) -> Game:
    """Returns the game of that name or in that file."""
    path = Path(name)
    if name in game_catalogue() or not (path.suffix.lower() in SUFFIXES or path.exists()):
        return make_game(name, options)
    if options:
        raise SettingError(f"got {', '.join(options)} for a file; only named games have options")
    return read_game(path)


def list_games(json: bool) -> int:
    """Prints the list of games; returns the exit status."""
    made = {name: make_game(name) for name in game_catalogue()}
    facts: dict[str, dict[str, Any]] = {
        name: {"summary": entry.summary, "options": list(entry.options),
               "players": made[name].count, "actions": list(made[name].sizes),
               "source": made[name].source}
        for name, entry in game_catalogue().items()
    }  # fmt: skip
    finish(facts, _list_parts, None, json, "counterpoint game NAME")
    return 0


def _list_parts(facts: Mapping[str, Mapping[str, Any]]) -> list[RenderableType]:
    titles = ("game", "what it is", "players", "actions", "options", "source")
    rows = [
        (name, game["summary"], str(game["players"]), " x ".join(map(str, game["actions"])),
         ", ".join(game["options"]), game["source"])
        for name, game in facts.items()
    ]  # fmt: skip
    return [text_table(titles, rows, title="Games", numeric=("players",))]


SUFFIXES = (".json", ".nfg", ".efg")
"""Ends of the names of files of games."""
LEARNER = ("updates", "batch", "signals", "partners", "restarts", "lr", "entropy", "start", "paid")
"""Settings of learners."""
