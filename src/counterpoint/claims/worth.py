"""A team is seldom better than its best member, except where ideas must be diverse."""

from __future__ import annotations

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
from counterpoint.claims.grown import Log, detection
from counterpoint.claims.talked import talks
from counterpoint.topology.design import TopologyPlan
from counterpoint.topology.records import logs

LEAST = 0.02
TEAM, NAIVE, FACTS = "complete", "naive", "facts"
AUDITED = 200
"""Tasks of a team that is audited: a tenth between a team and its best member shows in so many."""


def _logs(plan: ClaimPlan, prompt: str) -> list[Log]:
    """Returns the scores of the team of each seed and of its members alone."""
    design = TopologyPlan("hidden_profile", (TEAM,), prompts=(prompt,), items=AUDITED)
    return [([], one.outcomes) for seed in plan.seeds for one in logs(design, seed)]


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    played = talks(plan, "hidden_profile")
    member, one = played.best_member[:, 0], played.one_agent[:, 0]
    progress(0.1)

    def lost(bits: float) -> Floats:
        there = talks(plan, "hidden_profile", bits=round(bits))
        return there.best_member[:, 0] - there.at(TEAM, NAIVE)

    ideas = talks(plan, "idea_search", items=20)
    alone = ideas.scores["solo"][:, ideas.prompts.index("own")]
    progress(0.6)
    border = bisected("bits of a message", lost, 6, 200, border=LEAST, logarithmic=True)
    return Evidence(
        effect=measured("share of items that the best member gets right, minus the team",
                        member - played.at(TEAM, NAIVE)),
        control=measured("the same where ideas must be diverse, as values of the best idea found",
                         alone - ideas.at("independent", "own")),
        remedy=measured("share of items right, members that pass facts on minus naive ones",
                        played.at(TEAM, FACTS) - played.at(TEAM, NAIVE)),
        remedy_is="Members say what they alone know, and not what they think.",
        price=measured("share of items right that one agent with all clues is ahead by, even then",
                       one - played.at(TEAM, FACTS)),
        boundary=border,
        detection=detection("worth", _logs(plan, NAIVE), _logs(plan, FACTS), "team_minus_best"),
        outcome_is="share of items right",
        outcomes=(outcome("the best member alone", member),
                  outcome("team, naive", played.at(TEAM, NAIVE)),
                  outcome("team, opinions", played.at(TEAM, "opinion")),
                  outcome("team, facts", played.at(TEAM, FACTS)),
                  outcome("one agent with all clues", one)),
        holds_when="what only one member knows decides, and messages are short.",
        fails_when="messages can carry what each knows, or the team is to find something new.",
        least=LEAST,
    )  # fmt: skip


WORTH = Claim(
    "worth",
    "A team is seldom better than its best member; where ideas must be diverse, it is.",
    "Stasser and Titus 1985 (hidden profiles); HiddenBench, arXiv 2505.11556",
    "Groups beat even their best member at problems whose solution can be shown to be right "
    "(Laughlin et al. 2006, JPSP 90).",
    "Four members hire one of three. What all know speaks for the wrong one; what each knows alone "
    "speaks for the right one.",
    _measure,
)
