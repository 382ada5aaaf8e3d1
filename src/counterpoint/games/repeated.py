"""The payoffs that repetition can sustain: punishment values, feasible and rational payoffs,
patience.

And repeated games of two actions, played with a memory of one round: exact values (`values`),
learning (`learn_repeated`), and who punishes. A strategy is five probabilities of the first action:
in the first round, and after each outcome (own action, the other's).

Source: Friedman, Rev. Econ. Stud. 38 (1971); Fudenberg and Maskin, Econometrica 54 (1986).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.correlated import solved
from counterpoint.games.equilibria import equilibria
from counterpoint.games.game import Game
from counterpoint.results.game import Sustained
from counterpoint.settings import CheckedSettings, Range

Point = tuple[Fraction, Fraction]
DENOMINATOR = 10**6
"""Values of linear programs become the nearest fraction with at most this denominator."""


def minmax(game: Game) -> NDArray[np.float64]:
    """Returns the lowest payoff to which the others can hold a player that responds best, [A].

    If there are more than two players, the others may coordinate: they mix over their joint
    actions.

    Raises:
        MissingPackageError: scipy is not installed, and some player has more than one action.
    """
    values = []
    for player in range(game.count):
        table = np.moveaxis(game.payoffs[..., player], player, 0).reshape(game.sizes[player], -1)
        pure = table.max(axis=0).min()
        low = table.min(axis=1).max()
        values.append(pure if pure == low else zero_sum_value(table))
    return np.array(values)


def zero_sum_value(table: NDArray[np.float64]) -> float:
    """Returns the value of a matrix game to the row player, who maximizes; the column player
    minimizes.

    Raises:
        SettingError: payoffs too far apart for floats.
        MissingPackageError: scipy is not installed.
    """
    rows, columns = table.shape
    shift = float(table.min())
    moved = table - shift
    solution = solved(
        c=[*[0.0] * columns, 1.0],
        A_ub=np.hstack([moved, -np.ones((rows, 1))]),
        b_ub=np.zeros(rows),
        A_eq=[[*[1.0] * columns, 0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * (columns + 1),
    )
    return float(solution.fun) + shift


def feasible_rational(game: Game) -> list[Point]:
    """Returns the vertices, in order, of the feasible and rational payoffs of two players.

    Feasible payoffs are means of profiles; rational ones give each player its minmax value at
    least. All is exact but for the minmax value of mixes.

    Raises:
        MissingPackageError: as `minmax`.
    """
    hull = convex_hull([(p[0], p[1]) for p in game.exact.values()])
    for axis, value in enumerate(minmax(game)):
        least = Fraction(float(value)).limit_denominator(DENOMINATOR)
        hull = _clipped(hull, axis, least)
    return hull


def convex_hull(points: Sequence[Point]) -> list[Point]:
    """Returns the corners of the convex hull, counterclockwise from the lowest to the left.

    Source: Andrew's monotone chain (1979).
    """
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered

    def turn(o: Point, a: Point, b: Point) -> Fraction:
        return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])

    def half(line: Sequence[Point]) -> list[Point]:
        kept: list[Point] = []
        for point in line:
            while len(kept) > 1 and turn(kept[-2], kept[-1], point) <= 0:
                kept.pop()
            kept.append(point)
        return kept

    lower, upper = half(ordered), half(ordered[::-1])
    return lower[:-1] + upper[:-1]


def _clipped(hull: Sequence[Point], axis: int, least: Fraction) -> list[Point]:
    """Returns the part of a polygon where a coordinate is at least `least`."""
    corners: list[Point] = []
    for i, here in enumerate(hull):
        before = hull[i - 1]
        if (here[axis] >= least) != (before[axis] >= least):
            share = (least - before[axis]) / (here[axis] - before[axis])
            other = before[1 - axis] + share * (here[1 - axis] - before[1 - axis])
            corners.append((least, other) if axis == 0 else (other, least))
        if here[axis] >= least:
            corners.append(here)
    return list(dict.fromkeys(corners))


def critical_discount(game: Game, profile: Sequence[int] | None = None) -> Sustained:
    """Returns the least discount factor at which players keep to a profile.

    A deviation ends in the worst equilibrium of the stage game for ever: delta >= (deviation -
    reward) / (deviation - punishment) of the player who gains most by deviating.

    Args:
        game: the stage game.
        profile: the profile to sustain; by default the one with the largest sum of payoffs.

    Source: Friedman, Rev. Econ. Stud. 38 (1971).
    """
    if profile is None:
        profile = max(game.exact, key=lambda actions: sum(game.exact[actions]))
    profile = tuple(profile)
    paid = game.exact[profile]
    payoffs = tuple(map(float, paid))
    bad = (
        [min(one.payoffs[i] for one in known) for i in range(game.count)]
        if (known := equilibria(game))
        else None
    )
    worst, who = Fraction(0), None
    for player in range(game.count):
        best = max(
            game.exact[(*profile[:player], action, *profile[player + 1 :])][player]
            for action in range(game.sizes[player])
        )
        if best == paid[player]:
            continue
        if bad is None or bad[player] >= paid[player]:
            return Sustained(profile=profile, payoffs=payoffs, discount=None, player=player)
        needed = (best - paid[player]) / (best - bad[player])
        if needed > worst:
            worst, who = needed, player
    return Sustained(profile=profile, payoffs=payoffs, discount=float(worst), player=who)


def price_of_anarchy(game: Game) -> dict[str, float | None]:
    """Returns the largest sum of payoffs over that of the worst equilibrium (`anarchy`) and of the
    best (`stability`); None if that is not above 0.

    Source: Koutsoupias and Papadimitriou (1999); Anshelevich et al. (2004).
    """
    known = equilibria(game)
    best = float(game.payoffs.sum(axis=-1).max())
    sums = [float(sum(one.payoffs)) for one in known]
    prices: dict[str, float | None] = {"optimum": best}
    for name, value in (("anarchy", min(sums, default=0.0)), ("stability", max(sums, default=0.0))):
        prices[name] = best / value if value > 0 and best > 0 else None
    return prices


MIRRORED = (0, 1, 3, 2, 4)
"""Where the column player's five probabilities stand when rows look: its own action is second."""
STARTS: dict[str, tuple[float, ...]] = {
    "random": (0.0, 0.0, 0.0, 0.0, 0.0),
    "grim": (2.0, 2.0, -2.0, -2.0, -2.0),
    "tit_for_tat": (2.0, 2.0, -2.0, 2.0, -2.0),
    "defect": (-2.0, -2.0, -2.0, -2.0, -2.0),
}
"""Name to mean logits in the beginning: first round, then after (own, other) = 00, 01, 10, 11."""


@dataclass(frozen=True, kw_only=True)
class Repeated(CheckedSettings):
    """How two learners with a memory of one round learn.

    Raises:
        SettingError: a number out of its range, or an unknown start.
    """

    discount: Annotated[float, Range(0.0, 0.9999)] = 0.96
    """Discount factor: the weight of the next round relative to the present one."""
    updates: Annotated[int, Range(1, 100_000)] = 300
    """Number of steps of exact gradient ascent."""
    lr: Annotated[float, Range(0.0, 1000.0)] = 1.0
    """Step size, on logits."""
    start: str = "random"
    """A name of `STARTS`."""
    spread: Annotated[float, Range(0.0, 100.0)] = 1.0
    """Standard deviation of the logits about their mean in the beginning."""
    shaping: Annotated[float, Range(0.0, 1000.0)] = 0.0
    """Size of the other player's step that each player anticipates (LOLA, Foerster et al., AAMAS
    2018); 0 means none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in STARTS:
            raise SettingError(f"got start {self.start!r}; wanted one of {', '.join(STARTS)}")


@dataclass(frozen=True)
class LearnedPairs:
    """The values and actions of learners at the end of their training."""

    logits: Floats
    """[S, 2, 5]."""
    payoffs: Floats
    """[S, 2] discounted mean payoff of a round."""
    first: Floats
    """[S, 2] discounted share of rounds in which each takes its first action."""
    punishes: NDArray[np.bool_]
    """[S, 2] whether a single deviation from the first action costs the other more than it
    gains, through what this player does then; and the pair does take its first actions."""


def values(payoffs: Floats, first: Floats, second: Floats, discount: float) -> Floats:
    """Returns discounted mean payoffs of a round, exactly: (1 - d) p_0 (I - d T)^-1 u.

    Args:
        payoffs: [2, 2, K] any quantities that are paid in a round.
        first, second: [..., 5] probabilities of the first action, as each player sees outcomes.
        discount: d, below 1.

    Returns: [..., K].
    """
    start, chain = _chain(first, second)
    paid = payoffs.reshape(4, -1)
    inverse = np.linalg.solve(np.eye(4) - discount * chain, np.broadcast_to(
        paid, (*chain.shape[:-2], *paid.shape)))  # fmt: skip
    return np.asarray((1 - discount) * (start[..., None, :] @ inverse)[..., 0, :])


def _chain(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Returns the chances of the first outcome [..., 4], and of the next [..., 4, 4]."""
    other = second[..., list(MIRRORED)]
    joint = np.stack([first * other, first * (1 - other), (1 - first) * other,
                      (1 - first) * (1 - other)], axis=-1)  # fmt: skip
    return joint[..., 0, :], joint[..., 1:, :]


def learn_repeated(game: Game, how: Repeated, seeds: int, seed: int = 0) -> LearnedPairs:
    """Trains two learners for each seed, who each climb their own value.

    Args:
        game: a game of two players with two actions each.
        how: the settings of the learners.
        seeds: S, the number of pairs.
        seed: seed of the first pair.

    Raises:
        SettingError: another game.
    """
    payoffs = _payoffs(game)
    rngs = [np.random.default_rng([seed + s, 21]) for s in range(seeds)]
    logits = np.array(STARTS[how.start]) + how.spread * np.stack(
        [rng.standard_normal((2, 5)) for rng in rngs]
    )
    for _ in range(how.updates):
        logits = logits + how.lr * _gradient(payoffs, logits, how)
        logits = np.clip(logits, -12.0, 12.0)
    takes_first = np.array([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])
    first = values(takes_first, *_players(logits), how.discount)
    paid = values(payoffs, *_players(logits), how.discount)
    return LearnedPairs(logits, paid, first, punishes(payoffs, logits, how.discount))


def punishes(payoffs: Floats, logits: Floats, discount: float) -> NDArray[np.bool_]:
    """Returns whether each punishes a single deviation from mutual first actions, [S, 2]."""
    first, second = _players(logits)
    _, chain = _chain(first, second)
    paid = payoffs.reshape(4, -1)
    follow = np.linalg.solve(np.eye(4) - discount * chain, np.broadcast_to(
        paid, (*chain.shape[:-2], *paid.shape)))  # fmt: skip
    # worth of the game from the round in which the outcome is c, to each player
    keeps = first[:, 1] > 0.5
    result = np.zeros((len(logits), 2), dtype=bool)
    for player, outcome in ((0, 1), (1, 2)):  # the row punishes the column's deviation to (0, 1)
        deviator = 1 - player
        result[:, player] = (follow[:, outcome, deviator] < follow[:, 0, deviator]) & keeps
    return result & (second[:, 1] > 0.5)[:, None]


def sigmoid(x: Floats) -> Floats:
    """Returns the chance that each logit means."""
    with np.errstate(over="ignore"):  # one over infinity is the 0 that is meant
        return np.asarray(1 / (1 + np.exp(-x)))


def _players(logits: Floats) -> tuple[Floats, Floats]:
    probs = sigmoid(logits)
    return probs[..., 0, :], probs[..., 1, :]


def _gradient(payoffs: Floats, logits: Floats, how: Repeated) -> Floats:
    """Returns the gradient of each player's own exact value, [S, 2, 5], by central differences."""
    if how.shaping == 0:
        return _naive(payoffs, logits, how.discount)
    step = 1e-4
    gradient = np.zeros_like(logits)
    for player in range(2):
        for k in range(5):
            ends = []
            for sign in (1, -1):
                moved = logits.copy()
                moved[:, player, k] += sign * step
                answer = _naive(payoffs, moved, how.discount)
                moved[:, 1 - player] += how.shaping * answer[:, 1 - player]
                ends.append(values(payoffs, *_players(moved), how.discount)[:, player])
            gradient[:, player, k] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def _naive(payoffs: Floats, logits: Floats, discount: float) -> Floats:
    """Returns what one more of each logit adds to the player's own value, [S, 2, 5]."""
    step = 1e-5
    # all moved copies stand in one array, so that the linear systems are solved in one call
    moved = np.repeat(logits[:, None, None, None], 2, axis=1)  # [S, player, k, sign, 2, 5]
    moved = np.repeat(np.repeat(moved, 5, axis=2), 2, axis=3)
    for player in range(2):
        for k in range(5):
            moved[:, player, k, 0, player, k] += step
            moved[:, player, k, 1, player, k] -= step
    worth = values(payoffs, *_players(moved), discount)  # [S, player, k, sign, 2]
    own = np.stack([worth[:, 0, ..., 0], worth[:, 1, ..., 1]], axis=1)
    return np.asarray((own[..., 0] - own[..., 1]) / (2 * step))


def _payoffs(game: Game) -> Floats:
    if game.sizes != (2, 2):
        raise SettingError(
            f"got a game of {game.sizes} actions; a memory of one round is for 2 x 2"
        )
    return np.array(game.payoffs)
