"""Where decoupling within groups loses: workers that are called to few rollouts of a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from measured import Page, final_accuracy, iqm, recipe, trained

ARMS = {
    "pooled": ("mappo_pooled", ".997"),
    "per agent": ("mappo_per_agent", ".997"),
    "per agent in groups of 8": ("agent_wise", ".817"),
    "per agent and turn in groups": ("at_grpo", ""),
    "GRPO": ("grpo", ".906-.944"),
    "counterfactual": ("counterfactual", ".895 (.972 without)"),
}

NEVER_DELEGATE = "Whatever the scheme: exploration fails here, not normalization (alone pays .5)."


def tables(seeds: int) -> Sequence[Page]:
    pages = []
    for parameters in ("separate", "shared"):
        cells = []
        for name, (scheme, known) in ARMS.items():
            done = trained("planner_worker", scheme, seeds, {"parameters": parameters})
            earlier = known if parameters == "separate" else ".74-.79"
            cells.append(iqm(name, "return", done.returns[:, -1], earlier))
            cells.append(iqm(name, "planner", final_accuracy(done, 0)))
            cells.append(iqm(name, "workers", final_accuracy(done, slice(1, None))))
        note = "" if parameters == "separate" else NEVER_DELEGATE
        pages.append(Page(f"Planner and three workers, {parameters} parameters", cells, note))
    return pages


if __name__ == "__main__":
    recipe("planner_worker", tables, seeds=16)
