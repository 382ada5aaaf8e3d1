"""Rollouts of different length: what a baseline that counts rollouts leaves on every step."""

from __future__ import annotations

from collections.abc import Sequence

from measured import Page, final_accuracy, iqm, recipe, trained

from counterpoint.credit import Scheme

ARMS: dict[str, tuple[str | Scheme, str]] = {
    "by rollout, shared": ("reinforce_plus_plus", "-.33"),
    "by rollout, per agent": (Scheme(center_by=("agent",), weighting="trajectory"), ""),
    "by rollout, in groups (grpo)": ("grpo", ""),
    "by step, shared": ("mappo_pooled", "0"),
    "by step, per agent": ("mappo_per_agent", ""),
}


def tables(seeds: int) -> Sequence[Page]:
    cells = []
    for name, (scheme, known) in ARMS.items():
        done = trained("variable_calls", scheme, seeds, {"parameters": "separate"})
        mass = done.rewards["net_mass"][:, :, 1]
        cells.append(iqm(name, "first 10 updates", mass[:, :10].mean(axis=1), known))
        cells.append(iqm(name, "all updates", mass.mean(axis=1)))
        cells.append(iqm(name, "verifier's accuracy", final_accuracy(done, 1)))
    note = "Agent identity and step weighting are two different fixes."
    return [Page("Net advantage mass per verifier step, separate tables", cells, note)]


if __name__ == "__main__":
    recipe("variable_calls", tables, seeds=16)
