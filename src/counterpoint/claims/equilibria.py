"""Almost anything can be an equilibrium, so teams miscoordinate."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.base import (
    Claim,
    ClaimPlan,
    Evidence,
    Progress,
    bisected,
    measured,
    outcome,
)
from counterpoint.games.catalogue import make_game
from counterpoint.games.game import Game, bimatrix
from counterpoint.games.learners import LearnedTeams, Learning, learn_teams

LEAST = 0.05
TEAMS = 6
"""Teams of a seed, who meet each other."""


def _lost(game: Game, plan: ClaimPlan, **how: object) -> Floats:
    """Returns [S] what is lost when players of different teams meet: self-play minus cross-play."""
    return np.array([_gap(game, _teams(game, seed, **how)) for seed in plan.seeds])


def _teams(game: Game, seed: int, **how: object) -> LearnedTeams:
    return learn_teams(game, Learning(paid="team", updates=200, **how), TEAMS, 1000 * seed)  # type: ignore[arg-type]


def _gap(game: Game, learned: LearnedTeams) -> float:
    first, second = learned.strategies
    common = game.payoffs.mean(axis=-1)
    met = np.einsum("sza,ab,tzb->st", first, common, second) / first.shape[1]
    others = ~np.eye(len(met), dtype=bool)
    return float(np.diag(met).mean() - met[others].mean())


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    def with_best(payoff: float) -> Floats:
        table = np.diag([*np.ones(9), payoff])
        return _lost(bimatrix(table, table), plan) / payoff

    lever = make_game("lever")
    effect = _lost(lever, plan)
    progress(0.3)
    control = _lost(make_game("lever", {"levers": 2}), plan, remedy="convention")
    fixed = _lost(lever, plan, remedy="other_play")
    alone = np.array([_teams(lever, seed).payoffs.mean() for seed in plan.seeds])
    robust = np.array([_teams(lever, seed, remedy="other_play").payoffs.mean()
                       for seed in plan.seeds])  # fmt: skip
    progress(0.8)
    border = bisected("a payoff of one lever, where the others pay 1,", with_best,
                      1.0, 20.0, border=LEAST, logarithmic=True)  # fmt: skip
    ways = [
        outcome(
            name,
            np.array([_teams(lever, seed, scheme=scheme).payoffs.mean() for seed in plan.seeds]),
        )
        for scheme, name in (("mappo_pooled", "pooled"), ("mappo_per_agent", "per agent"))
    ]
    return Evidence(
        effect=measured("share of the payoff lost when players of different teams meet", effect),
        control=measured("the same with a convention that all know", control),
        remedy=measured("loss avoided if alike actions are learned as one", effect - fixed),
        remedy_is="Other-Play, or a convention.",
        price=measured("payoff of a team with itself, plain minus Other-Play", alone - robust),
        boundary=border,
        outcome_is="payoff of a team with itself",
        outcomes=tuple(ways),
        holds_when="several ways of doing the right thing are equally good.",
        beside_is="share of the best payoff lost when players of different teams meet, where one "
        "lever pays more than the nine others",
        beside=(
            outcome("one lever pays 1.2 times as much", with_best(1.2)),
            outcome("one lever pays 20 times as much", with_best(20.0)),
        ),
        fails_when="everybody knows the same convention, or alike actions are learned as one. That "
        "one lever pays 20 times as much is not enough: some teams never find it.",
        least=LEAST,
    )  # fmt: skip


EQUILIBRIA = Claim(
    "equilibria",
    "Almost every outcome that is better than mutual punishment can be an equilibrium, so teams "
    "end in different ones and miscoordinate.",
    "the folk theorem (Fudenberg and Maskin 1986); Hu et al. 2020, Other-Play (arXiv 2003.02979)",
    "Learners do not end anywhere: with memory and foresight most pairs find mutual cooperation "
    "(Foerster et al. 2018, LOLA, arXiv 1709.04326), and one team alone miscoordinates seldom.",
    "Two players are paid if they pull the same of ten levers. Each team learns one; players of "
    "different teams then meet.",
    _measure,
)
