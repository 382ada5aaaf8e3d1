"""Ways to spend a budget: one learner, the best of several, population-based training, a league.

All are charged for everything: updates of all members, evaluations before copies, and those before
a champion is chosen. What a champion is worth is its exact value, not the estimate for which it was
chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.games.catalogue import game_catalogue, make_game
from counterpoint.games.game import Game, bimatrix
from counterpoint.population.cells import ArmOutcome, Facts, require_budget
from counterpoint.population.duels import Duellists, is_duel, require_halves
from counterpoint.population.members import Members, PopulationSettings
from counterpoint.settings import did_you_mean


def team_of(
    game: Game, settings: PopulationSettings, repeats: int, count: int, seed: int
) -> Members | Duellists:
    """Returns members who learn to play together; in a duel, members who play against
    themselves."""
    made = Duellists if is_duel(game) else Members
    return made(game, settings, repeats, count, seed)


def best_of(
    game: Game, settings: PopulationSettings, members: int, budget: int, repeats: int, seed: int = 0
) -> ArmOutcome:
    """Returns the outcome of members who learn alone; the best in an evaluation is the champion.

    Raises:
        SettingError: the budget cannot be split so that nearly all of it is used.
    """
    alone = members == 1
    updates, spent = split_best(settings, members, budget)
    team = team_of(game, settings, repeats, members, seed)
    team.update(updates)
    return _champion(team, spent, alone)


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
    game: Game, settings: PopulationSettings, members: int, budget: int, repeats: int, seed: int = 0
) -> ArmOutcome:
    """Returns the outcome of one learner of a duel that meets itself.

    The champion is the even mixture of the policies that the learner had over time: if play goes in
    circles, their middle.

    Raises:
        SettingError: a game that is no duel.

    Source: Brown, Iterative solution of games by fictitious play (1951), whose averages converge.
    """
    return _mixture(game, settings, 1, budget, repeats, seed, past=False)


def past_selves(
    game: Game, settings: PopulationSettings, members: int, budget: int, repeats: int, seed: int = 0
) -> ArmOutcome:
    """Returns the outcome of a learner as in `average`, which meets a past self in half of its
    batches.

    Raises:
        SettingError: a game that is no duel.

    Source: Heinrich, Lanctot and Silver, Fictitious self-play, ICML 2015.
    """
    return _mixture(game, settings, 1, budget, repeats, seed, past=True)


def league(
    game: Game, settings: PopulationSettings, members: int, budget: int, repeats: int, seed: int = 0
) -> ArmOutcome:
    """Returns the outcome of a league: a main learner and exploiters.

    The main learner meets itself and all past selves. Exploiters meet the main learner alone, and
    begin anew once they are frozen. The champion is the mixture of the main learner's selves.

    Raises:
        SettingError: as `best_of`, fewer than 2 members, or a game that is no duel.

    Source: after Vinyals et al., Grandmaster level in StarCraft II, Nature 575 (2019).
    """
    if members < 2:
        raise SettingError(f"got {members} members of a league; wanted 2 at least")
    return _mixture(game, settings, members, budget, repeats, seed, past=True)


def _mixture(
    game: Game, settings: PopulationSettings, members: int, budget: int, repeats: int, seed: int, *,
    past: bool,
) -> ArmOutcome:  # fmt: skip
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
    return ArmOutcome(worth, worth, spent, team.diversity(), team.against().mean(axis=0))


def split_even(members: int, budget: int) -> tuple[int, int]:
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
    """Returns the updates of each member before the first round and in each round, and the total
    charge.

    Raises:
        SettingError: as `population_based`.
    """
    if members < 4:
        raise SettingError(f"got {members} members of population-based training; wanted 4 at least")
    left = budget // members - settings.evaluations - (settings.rounds - 1)
    each = left // settings.rounds
    spent = members * (left + settings.evaluations + settings.rounds - 1)
    require_budget(
        each, spent, budget, f"population-based training of {members}", settings.evaluations
    )
    return left - each * settings.rounds, each, spent


def _champion(team: Members | Duellists, spent: int, alone: bool) -> ArmOutcome:
    values, met = team.values(), team.against()
    order = np.argsort(-values, axis=1, kind="stable")
    if met is not None:
        rows = np.arange(len(values))[:, None, None]
        met = met[rows, order[:, :, None], order[:, None]].mean(axis=0)
    if alone:
        return ArmOutcome(values[:, 0], values[:, 0], spent, team.diversity(), met)
    estimates = team.evaluate(team.settings.evaluations)
    rows, chosen = np.arange(len(values)), estimates.argmax(axis=1)
    return ArmOutcome(values[rows, chosen], estimates[rows, chosen], spent, team.diversity(), met)


SMOOTH = "smooth"
"""A game with one peak, of the same height as climbing's: the negative control."""
ARMS: dict[
    str, tuple[Callable[..., ArmOutcome], Callable[[PopulationSettings, int, int], object]]
] = {
    "single": (best_of, split_best),
    "average": (average, lambda _, members, budget: split_even(members, budget)),
    "past_selves": (past_selves, lambda _, members, budget: split_even(members, budget)),
    "best_of": (best_of, split_best),
    "pbt": (population_based, split_rounds),
    "league": (league, lambda _, members, budget: split_even(members, budget)),
}
"""Name without its size: what runs it, and what it is charged."""


@dataclass(frozen=True)
class GameArms:
    """What a comparison needs of a game."""

    game: Game
    settings: PopulationSettings

    fractions = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
    """Of the budget: where arms are also measured, to find where one overtakes another."""
    repeats_at_once = 10_000
    """All side by side, in arrays."""

    @property
    def duel(self) -> bool:
        """Returns whether one wins what the other loses."""
        return is_duel(self.game)

    @property
    def span(self) -> tuple[float, float] | None:
        """Returns the lowest and highest payoff of a duel; None for other games."""
        own = self.game.payoffs[..., 0]
        return (float(own.min()), float(own.max())) if self.duel else None

    def arms(self, members: Sequence[int]) -> list[tuple[str, int]]:
        """Returns name and size of each arm."""
        arms: list[tuple[str, int]] = []
        for size in sorted(members):
            if size == 1:
                names = ["single", "average", "past_selves"] if self.duel else ["single"]
                arms += [(name, 1) for name in names]
                continue
            arms.append((f"best_of_{size}", size))
            if size >= 4:
                arms.append((f"pbt_{size}", size))
            if self.duel:
                arms.append((f"league_{size}", size))
        return arms

    def key(self) -> Mapping[str, object]:
        """Returns what results depend on."""
        return {"game": self.game.payoffs.tolist(), "settings": asdict(self.settings)}

    def facts(self) -> Facts:
        """Returns what the result says of the game."""
        best = self.game.payoffs.mean(axis=-1).max()  # of a duel that is half of what is shared
        held = "what it can be held to, at most the value of the game"
        return Facts(
            source=self.game.source,
            optimum=float(best),
            unit=held if self.duel else "mean payoff",
            exact=True,
            settings=asdict(self.settings),
        )

    def split(self, name: str, members: int, budget: int) -> None:
        """Checks that the budget can be split.

        Raises:
            SettingError: it cannot, or a duel with an odd batch.
        """
        if self.duel:
            require_halves(self.settings)
        ARMS[_kind(name)][1](self.settings, members, budget)

    def run(self, name: str, members: int, budget: int, first: int, repeats: int) -> ArmOutcome:
        """Returns the outcome of one arm at one budget, for repeats from `first` on.

        Raises:
            SettingError: the budget cannot be split.
        """
        arm = ARMS[_kind(name)][0]
        return arm(self.game, self.settings, members, budget, repeats, first)


def _kind(name: str) -> str:
    head, _, size = name.rpartition("_")
    return head if size.isdigit() else name


def game_of(world: str) -> Game:
    """Returns the game called `world`.

    Raises:
        UnknownNameError: there is none.
    """
    if world == SMOOTH:
        own = np.array([5.5, 2.0, 0.0])
        payoff = own[:, None] + own
        return bimatrix(payoff, payoff, name=SMOOTH, source="ours: what each does adds up")
    if world not in game_catalogue():
        known = (SMOOTH, *game_catalogue())
        raise UnknownNameError(
            f"got world '{world}'; wanted one of {', '.join(known)}{did_you_mean(world, known)}"
        )
    return make_game(world)
