"""Paid only if everybody is right: how long the team's bit takes, and how long the agents' bits.

The success bits of the agents are more information than the team's reward. A scheme that is
given them is not better than one that is not: it knows more.
"""

from __future__ import annotations

from collections.abc import Sequence

from measured import Page, final_accuracy, iqm, number, recipe, trained, updates_to

ARMS = {
    "team z-score (grpo)": ("grpo", "244", "never (400)"),
    "team z-score of the batch": ("mappo_pooled", "", ""),
    "GDPO with success bits": ("gdpo", "58", "76"),
    "own bit": ("own_component", "38", "47"),
    "counterfactual": ("counterfactual", "", ""),
}


def dead_groups(seeds: int) -> Page:
    """Groups without variance in the first batch, against q^8 + (1 - q)^8 with q = 3^-n."""
    cells = []
    for agents in (2, 3, 4, 6, 8):
        q = 3.0**-agents
        done = trained("all_hands", "grpo", 4 * seeds, {"agents": agents, "updates": 1})
        dead = done.rewards["dead_rate"][:, 0].mean(axis=-1)
        cells.append(number(f"n={agents}", "predicted", q**8 + (1 - q) ** 8))
        cells.append(number(f"n={agents}", "measured", float(dead.mean())))
    return Page("Dead groups of an untrained team, 8 rollouts", cells)


def tables(seeds: int) -> Sequence[Page]:
    cells, accuracy = [], []
    for agents in (6, 8):
        settings = {"agents": agents, "parameters": "separate"}
        for name, (scheme, six, eight) in ARMS.items():
            done = trained("all_hands", scheme, seeds, settings)
            known = six if agents == 6 else eight
            cells.append(updates_to(f"n={agents}", name, done.returns, 0.9, known))
            accuracy.append(iqm(f"n={agents}", name, final_accuracy(done, slice(None))))
    return [
        Page("Updates to a return of 90%, separate tables, 16 prompts x 8 rollouts", cells),
        Page("Accuracy of the agents after 400 updates (chance .333)", accuracy),
        dead_groups(seeds),
    ]


if __name__ == "__main__":
    recipe("all_hands", tables, seeds=12)
