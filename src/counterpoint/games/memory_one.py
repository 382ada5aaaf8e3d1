"""Repeated games of two actions, played with a memory of one round: exact values, learning, and who
punishes. Start with `values`; a strategy is five probabilities of the first action: in the first
round, and after each outcome (own action, the other's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.game import Game
from counterpoint.settings import CheckedSettings, Range

STATES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Outcomes of a round: the row's action, the column's."""
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
    """What the next round is worth, of this one."""
    updates: Annotated[int, Range(1, 100_000)] = 300
    """Steps of exact gradient ascent."""
    lr: Annotated[float, Range(0.0, 1000.0)] = 1.0
    """Step size, on logits."""
    start: str = "random"
    """Of `STARTS`."""
    spread: Annotated[float, Range(0.0, 100.0)] = 1.0
    """Standard deviation of the logits about their mean in the beginning."""
    shaping: Annotated[float, Range(0.0, 1000.0)] = 0.0
    """How large a step of the other each expects and takes into account (LOLA, Foerster et al.,
    AAMAS 2018); 0 is none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in STARTS:
            raise SettingError(f"got start {self.start!r}; wanted one of {', '.join(STARTS)}")


@dataclass(frozen=True)
class LearnedPairs:
    """Where learners landed."""

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
        payoffs: [2, 2, K] anything that is paid in a round.
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
    """Returns the chances of the first outcome, [..., 4], and of the next after each,
    [..., 4, 4]."""
    other = second[..., list(MIRRORED)]
    joint = np.stack([first * other, first * (1 - other), (1 - first) * other,
                      (1 - first) * (1 - other)], axis=-1)  # fmt: skip
    return joint[..., 0, :], joint[..., 1:, :]


def learn_repeated(game: Game, how: Repeated, seeds: int, seed: int = 0) -> LearnedPairs:
    """Trains two learners for each seed, who each climb their own value.

    Args:
        game: of two players with two actions each.
        how: they learn.
        seeds: S, how many pairs.
        seed: of the first.

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
    """Returns whether each makes the other regret a single deviation from mutual first actions, [S,
    2]."""
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


def _players(logits: Floats) -> tuple[Floats, Floats]:
    probs = 1 / (1 + np.exp(-logits))
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
