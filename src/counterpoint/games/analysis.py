"""The analysis of a game, and of the equilibria that learners reach in it. Start with
`analyze_game`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, TypeVar, get_args

import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.errors import MissingPackageError, SettingError, choices
from counterpoint.games.correlated import MOST_VARIABLES, Concept, correlated_equilibrium
from counterpoint.games.equilibria import (
    Equilibrium,
    equilibria,
    is_degenerate,
    lemke_howson,
    pure_equilibria,
)
from counterpoint.games.game import Game
from counterpoint.games.learners import REMEDIES, LearnedTeams, Learning, cross_play, learn_teams
from counterpoint.games.repeated import (
    STARTS,
    Repeated,
    critical_discount,
    feasible_rational,
    learn_repeated,
    minmax,
    price_of_anarchy,
    sigmoid,
)
from counterpoint.games.search import has_ties, search_mixed
from counterpoint.results.game import (
    Basins,
    EquilibriumPart,
    GameResult,
    Learned,
    LearnedArm,
    RepeatedArm,
)
from counterpoint.settings import MOST_SEEDS, require
from counterpoint.stats import bootstrap_interval, means, wilson_interval
from counterpoint.stats.estimate import Estimate

T = TypeVar("T")

HEARD = 0.05
"""Signals that a team meets less often than this are ignored when its equilibrium is determined."""
NEAR = 0.1
"""A team is at an equilibrium if no player's probabilities differ by more in all."""
MOST_PAYOFFS = 4000
"""Numbers of a game's payoffs up to which the result has them."""
SCHEMES = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "agent_mean")
"""The schemes that are compared by default."""


SHAPING = "shaping"
"""The remedy of repeated games of two actions: each player allows for the learning of the other."""
SHAPED = 3.0
"""Its strength: see `Repeated.shaping`."""


def analyze_game(game: Game) -> GameResult:
    """Returns the analysis of one game.

    A quantity that takes too long or needs a missing package is None, and `why` has the reason.

    Raises:
        CounterpointError: nothing at all can be said.
    """
    why: dict[str, str] = {}

    def attempt(name: str, compute: Callable[[], T]) -> T | None:
        try:
            return compute()
        except (SettingError, MissingPackageError) as error:
            why[name] = str(error)
            return None

    known, kind, degenerate, lacking = _known_equilibria(game)
    if lacking:
        why["equilibria"] = lacking
    sustained = attempt("critical_discount", lambda: critical_discount(game))
    anarchy = attempt("price_of_anarchy", lambda: price_of_anarchy(game)) or {}
    least = attempt("minmax", lambda: minmax(game).tolist())
    rational = None
    if game.count == 2:
        corners = attempt("feasible_rational", lambda: feasible_rational(game))
        rational = None if corners is None else [(float(a), float(b)) for a, b in corners]
    else:
        why["feasible_rational"] = f"drawn for two players; this game has {game.count}"
    sums: dict[str, float | None] = {}
    if np.prod(game.sizes) <= MOST_VARIABLES:
        for concept in get_args(Concept):
            for best in (True, False):
                name = f"{concept}_{'best' if best else 'worst'}"
                optimum = attempt(name, partial(correlated_equilibrium, game, concept, best=best))
                sums[name] = None if optimum is None else optimum[1]
    return GameResult(
        version=__version__,
        name=game.name,
        source=game.source,
        players=list(game.players),
        actions=[list(names) for names in game.actions],
        payoffs=game.payoffs.tolist() if game.payoffs.size <= MOST_PAYOFFS else None,
        exact_payoffs=_texts(game) if game.payoffs.size <= MOST_PAYOFFS else None,
        minmax=least,
        equilibria=[_equilibrium_part(one) for one in known],
        equilibria_are=kind,
        degenerate=degenerate,
        critical_discount=sustained.discount if sustained else None,
        sustained=sustained,
        feasible_rational=rational,
        price_of_anarchy=anarchy.get("anarchy"),
        price_of_stability=anarchy.get("stability"),
        optimum=anarchy.get("optimum"),
        sums=sums,
        why=why,
    )


def learn_game(
    game: Game,
    schemes: Sequence[str] = (),
    remedies: Sequence[str] = ("none",),
    seeds: int = 100,
    learning: Learning | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Learned:
    """Returns where learners end: for each scheme and remedy, and in repeated 2 x 2 games.

    Learners of repeated games have a memory of one round.

    Args:
        game: the game.
        schemes: how rewards become advantages; `SCHEMES` if none is named.
        remedies: names in `REMEDIES`.
        seeds: number of teams for each scheme and remedy.
        learning: how teams learn; each scheme and remedy replaces its own. The defaults if None.
        on_progress: called with the number of finished arms, and of all.

    Raises:
        UnknownNameError, SchemeError, SettingError: as `learn_teams`.
    """
    for remedy in remedies:
        if remedy not in (*REMEDIES, SHAPING):
            ending = choices(remedy, (*REMEDIES, SHAPING))
            raise SettingError(f"got remedy '{remedy}'{ending}")
    require("seeds", seeds, 2, MOST_SEEDS)
    repeated = game.sizes == (2, 2)
    if SHAPING in remedies and not repeated:
        raise SettingError(f"got remedy {SHAPING} in a game of {game.sizes} actions; wanted 2 x 2")
    cells = [(scheme, remedy) for remedy in remedies if remedy != SHAPING
             for scheme in schemes or SCHEMES]  # fmt: skip
    known = _known_equilibria(game)[0]
    strengths = (0.0, SHAPED) if SHAPING in remedies else (0.0,)
    pairs = [(start, shaping) for shaping in strengths for start in STARTS] if repeated else []
    total = len(cells) + len(pairs)

    arms: dict[str, LearnedArm] = {}
    for done, (scheme, remedy) in enumerate(cells):
        how = replace(learning or Learning(), scheme=scheme, remedy=remedy)  # type: ignore[arg-type]
        name = scheme if remedy == "none" else f"{scheme}, {remedy}"
        arms[name] = _learned_arm(game, how, seeds, known)
        if on_progress:
            on_progress(done + 1, total)
    if not repeated:
        return Learned(seeds=seeds, arms=arms, repeated=None)

    rounds: dict[str, RepeatedArm] = {}
    for done, (start, shaping) in enumerate(pairs):
        name = f"{start}, shaping" if shaping else start
        rounds[name] = _repeated_arm(game, Repeated(start=start, shaping=shaping), seeds)
        if on_progress:
            on_progress(len(cells) + done + 1, total)
    return Learned(seeds=seeds, arms=arms, repeated=rounds, basins=basins(game, known))


def _repeated_arm(game: Game, how: Repeated, seeds: int) -> RepeatedArm:
    """Returns where pairs with a memory of one round end, from one kind of start."""
    pairs = learn_repeated(game, how, seeds)
    both = pairs.first.mean(axis=1)
    return RepeatedArm(
        discount=how.discount,
        first_action=wilson_interval(int((both > 0.9).sum()), seeds),
        second_action=wilson_interval(int((both < 0.1).sum()), seeds),
        punishes=wilson_interval(int(pairs.punishes.all(axis=1).sum()), seeds),
        payoff=_mean_of(pairs.payoffs.mean(axis=1)),
    )


def _learned_arm(game: Game, how: Learning, seeds: int, known: Sequence[Equilibrium]) -> LearnedArm:
    learned = learn_teams(game, how, seeds)
    at = [_nearest(learned, s, known) for s in range(seeds)]
    counts = Counter(at)
    shares = np.array(list(counts.values())) / seeds
    team = learned.payoffs.mean(axis=1)
    best = float(game.payoffs.mean(axis=-1).max())
    worst = min((float(sum(one.payoffs)) / game.count for one in known), default=float("nan"))
    pairs = cross_play(game, learned) if game.count == 2 else (float(team.mean()), None)
    gains = np.zeros((seeds, game.count))  # by deviating after each signal, which a player knows
    for s, signal in np.ndindex(learned.weights.shape):
        mix = [strategy[s, signal] for strategy in learned.strategies]
        gains[s] += learned.weights[s, signal] * game.gain(mix)
    return LearnedArm(
        scheme=how.scheme,
        remedy=how.remedy,
        payoff=_mean_of(team),
        by_player=[_mean_of(column) for column in learned.payoffs.T],
        equilibria={str(key): n / seeds for key, n in sorted(counts.items(), key=str)},
        entropy_bits=float(-(shares * np.log2(shares)).sum()) + 0.0,
        selection_efficiency=(
            float((team.mean() - worst) / (best - worst)) if best > worst else None
        ),
        self_play=pairs[0],
        cross_play=pairs[1],
        deviation_gain=_mean_of(gains.max(axis=1)),
    )


@lru_cache(maxsize=8)
def _known_equilibria(game: Game) -> tuple[tuple[Equilibrium, ...], str, bool | None, str]:
    """Returns the numbered equilibria, which ones they are, whether the game is degenerate (None if
    that was not checked), and why not all are known."""
    try:
        if game.count == 2:
            return tuple(equilibria(game)), "all extreme ones", is_degenerate(game), ""
        found = tuple(search_mixed(game))
        # the search sees only equilibria: others of the game may be degenerate
        degenerate = True if has_ties(game, found) else None
        lacking = ""
        if len(found) % 2 == 0 and not degenerate:
            lacking = (
                f"{len(found)} is an even number: at least one is missing, unless the game is "
                "degenerate (which was not checked)"
            )
        return found, "all pure ones, mixed ones by search", degenerate, lacking
    except (SettingError, MissingPackageError) as error:
        known, kind, lacking = pure_equilibria(game), "the pure ones", str(error)
    if game.count > 2:
        return tuple(known), kind, None, f"{lacking}; no method looks for mixed ones here"
    try:
        one = lemke_howson(game)
    except SettingError as error:
        return tuple(known), kind, None, f"{lacking}; {error}"
    if one.strategies not in {other.strategies for other in known}:
        known.append(one)
    return tuple(known), "the pure ones, and one by Lemke-Howson", None, lacking


def _nearest(learned: LearnedTeams, seed: int, known: Sequence[Equilibrium]) -> int | str:
    """Returns the number of the equilibrium of a team, `none`, or `0+2` if signals differ."""
    places: set[int] = set()
    for signal in np.flatnonzero(learned.weights[seed] >= HEARD):
        own = [strategy[seed, signal] for strategy in learned.strategies]
        for number, one in enumerate(known):
            apart = [np.abs(mine - theirs).sum() for mine, theirs in
                     zip(own, one.floats(), strict=True)]  # fmt: skip
            if max(apart) <= NEAR:
                places.add(number)
                break
        else:
            return "none"
    return min(places) if len(places) == 1 else "+".join(map(str, sorted(places)))


def _mean_of(samples: Floats) -> Estimate:
    return bootstrap_interval(samples, rng=np.random.default_rng(0), statistic=means)


def _equilibrium_part(one: Equilibrium) -> EquilibriumPart:
    return EquilibriumPart(
        strategies=[[float(p) for p in strategy] for strategy in one.strategies],
        exact=[
            [str(p) if one.exact else f"{float(p):.6g}" for p in strategy]
            for strategy in one.strategies
        ],
        payoffs=[float(value) for value in one.payoffs],
        exact_payoffs=[str(value) for value in one.payoffs] if one.exact else [],
        is_exact=one.exact,
    )


def _texts(game: Game) -> list[Any] | None:
    """Returns the exact payoffs as text, [M_1, ..., M_A, A]; None if floating point holds them."""
    if not game.is_rounded:
        return None
    texts = np.empty(game.payoffs.shape, dtype=object)
    for profile, values in game.exact.items():
        texts[profile] = [str(value) for value in values]
    listed: list[Any] = texts.tolist()
    return listed


POINTS = 19
"""Starts of each player: probabilities of the first action from 5% to 95%."""
STEPS, LR = 4000, 0.5


def basins(game: Game, known: Sequence[Equilibrium], near: float = 0.1) -> Basins:
    """Returns where two players end who climb their exact gradients, from a grid of starts.

    Args:
        game: of two players with two actions each.
        known: its equilibria, which are numbered in this order.
        near: how far a player's probabilities may be from those of an equilibrium, in all.

    Raises:
        SettingError: another game.
    """
    if game.sizes != (2, 2):
        raise SettingError(f"got a game of {game.sizes} actions; basins are drawn for 2 x 2")
    starts = np.linspace(0.05, 0.95, POINTS)
    begin = np.log(starts / (1 - starts))
    x, y = (each.ravel() for each in np.meshgrid(begin, begin, indexing="ij"))
    scale = max(float(np.ptp(game.payoffs)), 1e-300)
    a, b = game.payoffs[..., 0] / scale, game.payoffs[..., 1] / scale
    for _ in range(STEPS):
        p, q = sigmoid(x), sigmoid(y)
        rows = (a[0, 0] - a[1, 0]) * q + (a[0, 1] - a[1, 1]) * (1 - q)
        columns = (b[0, 0] - b[0, 1]) * p + (b[1, 0] - b[1, 1]) * (1 - p)
        x, y = x + LR * p * (1 - p) * rows, y + LR * q * (1 - q) * columns
    p, q = sigmoid(x), sigmoid(y)
    ends = np.full(len(p), -1, dtype=np.int64)
    for number, one in enumerate(known):
        first, second = (strategy[0] for strategy in one.floats())
        apart = 2 * np.maximum(np.abs(p - first), np.abs(q - second))
        ends[(apart <= near) & (ends < 0)] = number
    shares = {str(i): float((ends == i).mean()) for i in range(-1, len(known)) if (ends == i).any()}
    return Basins(starts=starts.tolist(), ends=ends.reshape(POINTS, POINTS).tolist(), shares=shares)
