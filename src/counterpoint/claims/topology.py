"""Prompts do not close the synergy gap, the communication structure does."""

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
from counterpoint.claims.talked import Talks, talks

LEAST = 0.02
STRUCTURES = ("independent", "ring", "complete", "debate")
"""Structures in which all members decide: the others differ in who decides, too."""
BITS = 200
"""Bits of a message that can hold all that a member knows, as sentences can."""


def lever(played: Talks) -> Floats:
    """Returns [S] how much more the structure moves the score than the prompt does.

    Both are the distance between the best and the worst, at a fixed other. Which they are is
    chosen on the other seeds, so that noise moves nothing.
    """
    table = played.table(STRUCTURES)  # [T, S, P]
    seeds = table.shape[1]
    out = np.zeros(seeds)
    for seed in range(seeds):
        others = np.delete(table, seed, axis=1).mean(axis=1)  # [T, P]
        here = table[:, seed]
        rows, columns = np.arange(others.shape[0]), np.arange(others.shape[1])
        structure = here[others.argmax(0), columns] - here[others.argmin(0), columns]
        prompt = here[rows, others.argmax(1)] - here[rows, others.argmin(1)]
        out[seed] = structure.mean() - prompt.mean()
    return out


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    played = talks(plan, "hidden_profile", bits=BITS)
    progress(0.1)

    def moved(bits: float) -> Floats:
        return lever(talks(plan, "hidden_profile", bits=round(bits)))

    control = moved(0)
    border = bisected("bits of a message", moved, 4, BITS, border=LEAST, logarithmic=True)
    progress(0.9)
    best = max(STRUCTURES, key=lambda name: float(played.scores[name].mean()))
    return Evidence(
        effect=measured("share of items right that the structure moves, minus the prompt",
                        lever(played)),
        control=measured("the same where messages are empty", control),
        remedy=measured(f"share of items right, {best} minus members who do not talk",
                        played.scores[best].mean(axis=1)
                        - played.scores["independent"].mean(axis=1)),
        remedy_is="Let everybody hear everybody before anybody decides.",
        price=measured("calls more for an item than one agent needs",
                       np.full(plan.count, played.calls[best] - played.calls["solo"])),
        boundary=border,
        outcome_is="share of items right, mean over prompts",
        outcomes=tuple(outcome(name, values.mean(axis=1))
                       for name, values in played.scores.items()),
        holds_when="members could say enough, and who hears whom decides whether it arrives.",
        fails_when="messages are so short that what is said matters more than to whom.",
        least=LEAST,
    )  # fmt: skip


TOPOLOGY = Claim(
    "topology",
    "Prompts do not close the gap between a team and what it knows together; the structure of "
    "communication does.",
    "HiddenBench, arXiv 2505.11556; work on communication topologies of language-model teams",
    "At equal budgets a single agent with good prompts often matches structured teams (for example "
    "arXiv 2402.18272).",
    "The hidden profile under four structures and four prompts, with messages that can hold what a "
    "member knows. Which of the two moves the score more?",
    _measure,
)
