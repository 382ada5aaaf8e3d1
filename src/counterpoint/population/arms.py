"""Ways to spend a budget: one learner, the best of several, population-based training.

All are charged for everything: updates of all members, evaluations before copies, and those before
a champion is chosen. What a champion is worth is its exact value, not the estimate for which it was
chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.games.game import Game
from counterpoint.population.members import Members, Settings

Floats = NDArray[np.float64]
LEAST_SPENT = 0.9
"""The share of the budget that an arm has to be able to use."""


@dataclass(frozen=True)
class Spending:
    """What came of one arm."""

    champion: Floats
    """[R] the exact worth of the champion."""
    believed: Floats
    """[R] the estimate for which it was chosen; that of a single learner is its worth."""
    spent: int
    """What one repeat was charged, in updates."""
    diversity: Floats
    """[R] effective number of different members in the end."""


def best_of(
    game: Game, settings: Settings, members: int, budget: int, repeats: int, seed: int = 0
) -> Spending:
    """Members who learn alone; the one that does best in an evaluation is the champion.

    Raises:
        SettingError: the budget cannot be split so that nearly all of it is used.
    """
    alone = members == 1
    updates, spent = split_best(settings, members, budget)
    team = Members(game, settings, repeats, members, seed)
    team.update(updates)
    return _champion(team, spent, alone)


def population_based(
    game: Game, settings: Settings, members: int, budget: int, repeats: int, seed: int = 0
) -> Spending:
    """In every round all learn and are evaluated, and the worst quarter becomes copies of the best
    quarter, with other step sizes.

    Raises:
        SettingError: as `best_of`, or fewer than 4 members.

    Source: Jaderberg et al., Population based training of neural networks, arXiv 1711.09846.
    """
    rounds, quarter = settings.rounds, members // 4
    first, each, spent = split_rounds(settings, members, budget)
    team = Members(game, settings, repeats, members, seed)
    rows = np.arange(repeats)[:, None]
    for number in range(rounds):
        team.update(each + (first if number == 0 else 0))
        if number == rounds - 1:
            break
        order = np.argsort(team.evaluate(1), axis=1)
        worst, best = order[:, :quarter], order[:, -quarter:]
        team.logits[rows, worst] = team.logits[rows, best]
        factor = np.stack([rng.choice((0.8, 1.25), size=quarter) for rng in team.rngs])
        team.lr[rows, worst] = team.lr[rows, best] * factor
    return _champion(team, spent, False)


def split_best(settings: Settings, members: int, budget: int) -> tuple[int, int]:
    """Updates of each member, and what all are charged.

    Raises:
        SettingError: as `best_of`.
    """
    each = budget // members
    updates = each - (0 if members == 1 else settings.evaluations)
    demand(updates, members * each, budget, f"best of {members}", settings.evaluations)
    return updates, members * each


def split_rounds(settings: Settings, members: int, budget: int) -> tuple[int, int, int]:
    """Updates of each member before the first round, those of each round, and what all are charged.

    Raises:
        SettingError: as `population_based`.
    """
    if members < 4:
        raise SettingError(f"got {members} members of population-based training; wanted 4 at least")
    left = budget // members - settings.evaluations - (settings.rounds - 1)
    each = left // settings.rounds
    spent = members * (left + settings.evaluations + settings.rounds - 1)
    demand(each, spent, budget, f"population-based training of {members}", settings.evaluations)
    return left - each * settings.rounds, each, spent


def _champion(team: Members, spent: int, alone: bool) -> Spending:
    values = team.values()
    if alone:
        return Spending(values[:, 0], values[:, 0], spent, team.diversity())
    estimates = team.evaluate(team.settings.evaluations)
    rows, chosen = np.arange(len(values)), estimates.argmax(axis=1)
    return Spending(values[rows, chosen], estimates[rows, chosen], spent, team.diversity())


def demand(updates: int, spent: int, budget: int, arm: str, evaluations: int) -> None:
    """Return where a budget can be split.

    Raises:
        SettingError: a member would have no update besides its evaluations, or less than nine
            tenths of the budget would be used.
    """
    if updates < 1 or not LEAST_SPENT * budget <= spent <= budget:
        raise SettingError(
            f"got a budget of {budget} updates, of which {arm} can use {max(0, spent)}: wanted one "
            f"that leaves each member an update besides its evaluations ({evaluations}), and of "
            f"which {LEAST_SPENT:.0%} is used"
        )
