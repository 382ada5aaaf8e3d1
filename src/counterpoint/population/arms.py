"""Ways to spend a budget: one learner, the best of several, population-based training, a league.

All are charged for everything: updates of all members, evaluations before copies, and those before
a champion is chosen. The worth of a champion is its exact value, not the estimate for which it was
chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.games.catalogue import make_game
from counterpoint.games.game import Game, bimatrix
from counterpoint.population.cells import ArmOutcome, Arms, Facts, require_budget
from counterpoint.population.duels import Duellists, is_duel, require_halves
from counterpoint.population.members import Members, PopulationSettings
from counterpoint.results.parts import Settings

SMOOTH = "smooth"
"""A game with one peak, of the same height as climbing's: the negative control."""


def best_of(
    game: Game, settings: PopulationSettings, members: int, budget: int, repeats: int, seed: int = 0
) -> ArmOutcome:
    """Returns the outcome of members who learn alone; the best in an evaluation is the champion.

    In a duel members play against themselves. A single member is the champion without evaluation.

    Raises:
        SettingError: the budget cannot be split so that nearly all of it is used.
    """
    updates, spent = split_best(settings, members, budget)
    team = (Duellists if is_duel(game) else Members)(game, settings, repeats, members, seed)
    team.update(updates)
    return _champion(team, spent)


def population_based(
    game: Game, settings: PopulationSettings, members: int, budget: int, repeats: int, seed: int = 0
) -> ArmOutcome:
    """Returns the outcome of population-based training.

    In every round all learn and are evaluated. Then the worst quarter becomes copies of the best
    quarter, with other step sizes.

    Raises:
        SettingError: as `best_of`, or fewer than 4 members.

    Source: Jaderberg et al., Population based training of neural networks, arXiv 1711.09846.
    """
    rounds, quarter = settings.rounds, members // 4
    first, each, spent = split_rounds(settings, members, budget)
    team = (Duellists if is_duel(game) else Members)(game, settings, repeats, members, seed)
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
    return _champion(team, spent)


def league(
    game: Game, settings: PopulationSettings, members: int, budget: int, repeats: int,
    seed: int = 0, *, past: bool = True,
) -> ArmOutcome:  # fmt: skip
    """Returns the outcome of a league in a duel: a main learner, and exploiters if there are more.

    In half of its batches the main learner meets a past self, in the others itself. Exploiters meet
    the main learner alone, and begin anew once they are frozen. The champion is the even mixture of
    the policies that the main learner had over time: if play goes in circles, their middle.

    Args:
        past: whether the main learner meets past selves; without them it meets itself alone.

    Raises:
        SettingError: as `best_of`, or a game that is no duel.

    Source: after Vinyals et al., Grandmaster level in StarCraft II, Nature 575 (2019). With one
    member: Heinrich, Lanctot and Silver, Fictitious self-play, ICML 2015. Without past selves:
    Brown, Iterative solution of games by fictitious play (1951), whose averages converge.
    """
    each, spent = split_even(settings, members, budget)
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
    return ArmOutcome(worth, worth, spent, team.diversity(), team.against().mean(axis=0))


def split_even(settings: PopulationSettings, members: int, budget: int) -> tuple[int, int]:
    """Returns the updates of each member if nobody is evaluated, and what all are charged.

    Raises:
        SettingError: as `best_of`.
    """
    each = budget // members
    require_budget(each, members * each, budget, f"a league of {members}", 0)
    return each, members * each


def split_best(settings: PopulationSettings, members: int, budget: int) -> tuple[int, int]:
    """Returns the updates of each member, and what all are charged.

    Raises:
        SettingError: as `best_of`.
    """
    each = budget // members
    updates = each - (0 if members == 1 else settings.evaluations)
    require_budget(updates, members * each, budget, f"best of {members}", settings.evaluations)
    return updates, members * each


def split_rounds(settings: PopulationSettings, members: int, budget: int) -> tuple[int, int, int]:
    """Returns the updates of each member before the first round and in each round, and the charge.

    Raises:
        SettingError: as `population_based`.
    """
    if members < 4:
        raise SettingError(f"got {members} members of population-based training; wanted 4 at least")
    left = budget // members - settings.evaluations - (settings.rounds - 1)
    each = left // settings.rounds
    spent = members * (left + settings.evaluations + settings.rounds - 1)
    name = f"population-based training of {members}"
    require_budget(each, spent, budget, name, settings.evaluations)
    return left - each * settings.rounds, each, spent


def _champion(team: Members | Duellists, spent: int) -> ArmOutcome:
    """Returns the outcome of the member that is best in an evaluation, or of the only one."""
    values, met, rows = team.values(), team.against(), np.arange(team.logits.shape[0])
    if met is not None:
        # members are put in order, the best first, so that the mean over repeats makes sense
        order = np.argsort(-values, axis=1, kind="stable")
        met = met[rows[:, None, None], order[:, :, None], order[:, None]].mean(axis=0)
    estimates = values if team.count == 1 else team.evaluate(team.settings.evaluations)
    chosen = estimates.argmax(axis=1)
    return ArmOutcome(values[rows, chosen], estimates[rows, chosen], spent, team.diversity(), met)


Split = Callable[[PopulationSettings, int, int], object]
ARMS: dict[str, tuple[Callable[..., ArmOutcome], Split]] = {
    "single": (best_of, split_best),
    "average": (partial(league, past=False), split_even),
    "past_selves": (league, split_even),
    "best_of": (best_of, split_best),
    "pbt": (population_based, split_rounds),
    "league": (league, split_even),
}
"""The name of an arm without its size, to what runs it and what splits its budget."""


@dataclass(frozen=True)
class GameArms(Arms):
    """The arms of a game. All repeats of a cell lie side by side in arrays."""

    game: Game
    settings: PopulationSettings

    fractions = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
    repeats_at_once = 10_000

    @property
    def span(self) -> tuple[float, float] | None:
        own = self.game.payoffs[..., 0]
        return (float(own.min()), float(own.max())) if is_duel(self.game) else None

    def key(self) -> Settings:
        return {"game": self.game.payoffs.tolist(), "settings": asdict(self.settings)}

    def facts(self) -> Facts:
        duel = is_duel(self.game)
        return Facts(
            source=self.game.source,
            # in a duel the mean over players is half of what they share
            optimum=float(self.game.payoffs.mean(axis=-1).max()),
            unit="what it can be held to, at most the value of the game" if duel else "mean payoff",
            exact=True,
            settings=asdict(self.settings),
        )

    def split(self, name: str, members: int, budget: int) -> object:
        if is_duel(self.game):
            require_halves(self.settings)
        return _arm(name)[1](self.settings, members, budget)

    def run(self, name: str, members: int, budget: int, first: int, repeats: int) -> ArmOutcome:
        return _arm(name)[0](self.game, self.settings, members, budget, repeats, first)


def _arm(name: str) -> tuple[Callable[..., ArmOutcome], Split]:
    head, _, size = name.rpartition("_")
    return ARMS[head if size.isdigit() else name]


def game_of(world: str) -> Game:
    """Returns the game called `world`.

    Raises:
        UnknownNameError: there is none.
    """
    if world != SMOOTH:
        return make_game(world)
    own = np.array([5.5, 2.0, 0.0])
    payoff = own[:, None] + own
    return bimatrix(payoff, payoff, name=SMOOTH, source="ours: what each does adds up")
