"""Two agents that share a model agree too much, and resist correction."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.claims.base import (
    Claim,
    ClaimPlan,
    Evidence,
    Progress,
    bisected,
    measured,
    outcome,
)
from counterpoint.claims.grown import Log, answers_of, detection, fresh_batch
from counterpoint.claims.peers import language_outcomes
from counterpoint.claims.trained import WAYS, Trainings
from counterpoint.train.tabular.learner import train
from counterpoint.worlds.exact.consensus import (
    DIRECTION,
    SIGNALS,
    STRONG,
    Consensus,
    ConsensusSettings,
)

LEAST = 0.03
PAID = {"agree": 1.0}
BESIDE_IS = (
    "probability of the right one of two words; below, the probability that a second model errs "
    "where a first one does. A model of 135M parameters is right little more often than a coin"
)


def habits(plan: ClaimPlan, **settings: object) -> dict[str, Floats]:
    """Returns what agents do with each other's signals at the end of their training, [S] each.

    Returns:
        `agree`: share of answers that are equal; `own`: of answers that follow the own signal,
        where the other's is stronger and differs (0 is Bayes); `resists`: of wrong answers, where
        the own signal is weak and wrong and the other's strong and right; `states`: of answers
        that claim to be sure, where both signals are weak.
    """
    world = Consensus(ConsensusSettings(**settings))  # type: ignore[arg-type]
    done = train(world, "mappo_pooled", plan.seeds)
    says = world.answers(done.probs)  # [S, A, own, other's, answer]
    ways = says.reshape(*says.shape[:-1], 2, 2).sum(axis=-1)  # ... answer's direction
    weight = world.joint.sum(axis=0)
    both = np.einsum("oh,saohx,sahox->s", weight, ways[:, :1], ways[:, 1:])
    follows = np.take_along_axis(
        ways, np.broadcast_to(DIRECTION[:, None, None], (*ways.shape[:4], 1)), axis=-1
    )[..., 0]
    differ = DIRECTION[:, None] != DIRECTION
    weaker = differ & (STRONG[:, None] == 0) & (STRONG == 1)
    sure = says[..., STRONG == 1].sum(axis=-1)
    weak = (STRONG[:, None] == 0) & (STRONG == 0)

    def mean(values: Floats, where: Bools) -> Floats:
        weights = np.where(where, weight, 0.0)
        got: Floats = (values * weights).sum(axis=(2, 3)).mean(axis=1) / weights.sum()
        return got

    truth = np.where(DIRECTION[None, :, None] == np.arange(2)[:, None, None], 0.0, 1.0)
    wrong = (world.joint * truth * weaker).sum(axis=0)  # own signal wrong, the other's right
    resists = (follows * wrong).sum(axis=(2, 3)).mean(axis=1) / wrong.sum()
    assert says.shape[2] == SIGNALS
    return {"agree": both, "own": mean(follows, weaker), "resists": resists,
            "states": mean(sure, weak)}  # fmt: skip


def _logs(teams: Trainings, **settings: object) -> list[Log]:
    """Returns the answers of the team of each seed, beside what its members know alone."""
    world = Consensus(ConsensusSettings(**settings))  # type: ignore[arg-type]
    play, chance = fresh_batch(world, teams.of("consensus", "mappo_pooled", **settings))
    return [answers_of(world, play, chance["truth"], s) for s in range(len(teams.seeds))]


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    teams = Trainings(plan)

    def lost(**settings: object) -> Floats:
        """Returns [S] the share of right answers that the best use of both signals has more."""
        return 0.825 - teams.ends("consensus", "mappo_pooled", **settings)

    best = teams.of("consensus", "mappo_pooled", **PAID)
    effect, control = lost(**PAID), lost(agree=0.0, parameters="separate")
    assert best.returns.shape[0] == plan.count
    progress(0.3)
    border = bisected("a weight of agreement in the reward", lambda agree: lost(agree=agree), 0.0,
                      1.0, border=2 * LEAST)  # fmt: skip
    progress(0.8)
    shared, apart = (lost(agree=0.5, parameters=kind) for kind in ("shared", "separate"))
    right = teams.ends("consensus", "mappo_pooled", agree=0.0)
    alone = teams.ends("consensus", "mappo_pooled", agree=0.0, isolated=True)
    ways = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "adaptive")
    outcomes = [
        outcome(f"paid half for agreement, {WAYS[way]}", teams.ends("consensus", way, agree=0.5))
        for way in ways
    ]
    outcomes += [
        outcome("paid for agreement", teams.ends("consensus", "mappo_pooled", **PAID)),
        outcome("paid for the team's success", right),
        outcome(
            "paid for own success", teams.ends("consensus", "mappo_pooled", agree=0.0, paid="own")
        ),
        outcome(
            "paid by a proper score",
            teams.ends("consensus", "mappo_pooled", agree=0.0, paid="scored"),
        ),
        outcome("isolated answers", alone),
    ]
    return Evidence(
        effect=measured("share of right answers lost by pay for agreement, to the best use of both "
                        "signals", effect),
        control=measured("the same with pay for success and a network each", control),
        remedy=measured("share of right answers, half paid for agreement, separate networks "
                        "minus a shared one", shared - apart),
        remedy_is="Pay for being right; where agreement must count, give each agent a network.",
        price=measured("share of right answers lost if answers are isolated", right - alone),
        boundary=border,
        detection=detection("agreement", _logs(teams, **PAID), _logs(teams, agree=0.0),
                            "flips_to_wrong"),
        outcome_is="share of right answers; the best use of both signals has 0.825",
        outcomes=tuple(outcomes),
        beside_is=BESIDE_IS if plan.large else "",
        beside=tuple(language_outcomes(plan, lambda share: progress(0.9 + 0.1 * share)))
        if plan.large
        else (),
        holds_when="agreement is paid for, or is taken for success.",
        fails_when="only right answers are paid for: then agents follow the stronger signal.",
        least=LEAST,
    )  # fmt: skip


AGREEMENT = Claim(
    "agreement",
    "Two agents that share a model agree too much: they reinforce each other's mistakes and resist "
    "correction.",
    "work on sycophancy and collapse of disagreement in debates of language models",
    "Debate between models helps weaker judges find the truth in some tasks (Khan et al. 2024, "
    "arXiv 2402.06782).",
    "Two agents have weak or strong signals, write drafts, read the other's, and answer. Some "
    "teams are paid for agreement.",
    _measure,
)
