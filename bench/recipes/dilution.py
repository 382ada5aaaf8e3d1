"""n equal contributors, all present: pooled equals per agent, and only credit helps."""

from __future__ import annotations

from collections.abc import Sequence

from measured import Page, number, recipe, trained, updates_to

EARLIER = {2: ("9", "8"), 4: ("12", "8"), 8: ("18", "8"), 16: ("32", "8"), 32: ("89", "")}
ARMS = {
    "pooled": "mappo_pooled",
    "per agent": "mappo_per_agent",
    "counterfactual": "counterfactual",
    "difference": "difference",
    "GDPO": "gdpo",
}


def tables(seeds: int) -> Sequence[Page]:
    cells = []
    for agents, (pooled, coma) in EARLIER.items():
        settings = {"agents": agents, "parameters": "separate"}
        done = {name: trained("homogeneous", ARMS[name], seeds, settings) for name in ARMS}
        known = {"pooled": pooled, "per agent": pooled, "counterfactual": coma}
        for name, outcome in done.items():
            row = f"n={agents}"
            cells.append(updates_to(row, name, outcome.returns, 0.9, known.get(name, "")))
        gap = float(abs(done["pooled"].returns - done["per agent"].returns).max())
        cells.append(number(f"n={agents}", "pooled - per agent, largest", gap, form=".1e"))
    return [Page("Updates to a return of 90%, separate tables", cells)]


if __name__ == "__main__":
    recipe("dilution", tables, seeds=10)
