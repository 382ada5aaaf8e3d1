"""Ways to spend a budget: one learner, the best of several, population-based training, a league.

All are charged for everything: updates of all members, evaluations before copies, and those before
a champion is chosen. What a champion is worth is its exact value, not the estimate for which it was
chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.game import Game
from counterpoint.population.duels import Duellists, is_duel
from counterpoint.population.members import Members, Settings

LEAST_SPENT = 0.9
"""The share of the budget that an arm has to be able to use."""


@dataclass(frozen=True)
class Spending:
    """What came of one arm."""

    champion: Floats
    """[R] the worth of the champion: exact in a game."""
    believed: Floats
    """[R] the estimate for which it was chosen; where none is chosen, its worth."""
    spent: int
    """What one repeat was charged, in updates."""
    diversity: Floats | None = None
    """[R] effective number of different members in the end; None where it is not known."""
    against: Floats | None = None
    """[N, N] mean pay of each member (row) with or against each (column), the best member of each
    repeat first; of a league its mains, then its exploiters. None where members do not meet."""

    @classmethod
    def joined(cls, parts: list[Spending]) -> Spending:
        """Several repeats that ran apart, as one."""

        weights = np.array([len(one.champion) for one in parts], dtype=float)
        met = [one.against for one in parts if one.against is not None]
        different = [one.diversity for one in parts if one.diversity is not None]
        return cls(
            np.concatenate([one.champion for one in parts]),
            np.concatenate([one.believed for one in parts]),
            parts[0].spent,
            np.concatenate(different) if different else None,
            np.average(np.array(met), axis=0, weights=weights) if met else None,
        )


def team_of(
    game: Game, settings: Settings, repeats: int, count: int, seed: int
) -> Members | Duellists:
    """Members who learn to play together; of a game in which one wins what the other loses, against
    themselves."""
    made = Duellists if is_duel(game) else Members
    return made(game, settings, repeats, count, seed)


def best_of(
    game: Game, settings: Settings, members: int, budget: int, repeats: int, seed: int = 0
) -> Spending:
    """Members who learn alone; the one that does best in an evaluation is the champion.

    Raises:
        SettingError: the budget cannot be split so that nearly all of it is used.
    """
    alone = members == 1
    updates, spent = split_best(settings, members, budget)
    team = team_of(game, settings, repeats, members, seed)
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
    team = team_of(game, settings, repeats, members, seed)
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


def average(
    game: Game, settings: Settings, members: int, budget: int, repeats: int, seed: int = 0
) -> Spending:
    """One learner of a duel that meets itself. The champion is no policy that it ever had, but the
    even mixture of those that it had now and then: where play goes round in circles, their middle.

    Raises:
        SettingError: a game that is no duel.

    Source: Brown, Iterative solution of games by fictitious play (1951), whose averages converge.
    """
    return _mixture(game, settings, 1, budget, repeats, seed, past=False)


def past_selves(
    game: Game, settings: Settings, members: int, budget: int, repeats: int, seed: int = 0
) -> Spending:
    """As `average`, but it meets a past self in half of its batches.

    Raises:
        SettingError: a game that is no duel.

    Source: Heinrich, Lanctot and Silver, Fictitious self-play, ICML 2015.
    """
    return _mixture(game, settings, 1, budget, repeats, seed, past=True)


def league(
    game: Game, settings: Settings, members: int, budget: int, repeats: int, seed: int = 0
) -> Spending:
    """A main learner that meets itself and all past selves; exploiters that meet the main alone,
    and begin anew once they are frozen. The champion is the mixture of the main's selves.

    Raises:
        SettingError: as `best_of`, fewer than 2 members, or a game that is no duel.

    Source: after Vinyals et al., Grandmaster level in StarCraft II, Nature 575 (2019).
    """
    if members < 2:
        raise SettingError(f"got {members} members of a league; wanted 2 at least")
    return _mixture(game, settings, members, budget, repeats, seed, past=True)


def _mixture(
    game: Game, settings: Settings, members: int, budget: int, repeats: int, seed: int, *,
    past: bool,
) -> Spending:  # fmt: skip
    each, spent = split_even(members, budget)
    often = max(1, each // (4 * settings.rounds))
    team = Duellists(game, settings, repeats, members, seed)
    main, others, selves = slice(0, 1), slice(1, None), []
    for number in range(each):
        if number % often == 0:
            team.freeze(np.arange(members if number else 1))
            selves.append(team.probs()[:, 0])
            if number:
                team.logits[:, others] = team.fresh(members - 1)
        now = team.probs()[:, :1]
        team.meet(team.drawn() if past else now, main)
        if members > 1:
            team.meet(np.repeat(now, members - 1, axis=1), others)
    worth = team.held_to(np.mean(selves, axis=0))
    return Spending(worth, worth, spent, team.diversity(), team.against().mean(axis=0))


def split_even(members: int, budget: int) -> tuple[int, int]:
    """Updates of each member where nobody is evaluated, and what all are charged.

    Raises:
        SettingError: as `best_of`.
    """
    each = budget // members
    demand(each, members * each, budget, f"a league of {members}", 0)
    return each, members * each


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


def _champion(team: Members | Duellists, spent: int, alone: bool) -> Spending:
    values, met = team.values(), team.against()
    order = np.argsort(-values, axis=1, kind="stable")
    if met is not None:
        rows = np.arange(len(values))[:, None, None]
        met = met[rows, order[:, :, None], order[:, None]].mean(axis=0)
    if alone:
        return Spending(values[:, 0], values[:, 0], spent, team.diversity(), met)
    estimates = team.evaluate(team.settings.evaluations)
    rows, chosen = np.arange(len(values)), estimates.argmax(axis=1)
    return Spending(values[rows, chosen], estimates[rows, chosen], spent, team.diversity(), met)


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
