"""Where decoupling loses: a reserve that idled at a near-constant reward, and is then needed."""

from __future__ import annotations

from collections.abc import Sequence

from measured import Page, final_accuracy, iqm, recipe, trained

from counterpoint.credit import Scheme

ARMS: dict[str, tuple[str | Scheme, str]] = {
    "pooled": ("mappo_pooled", ".997"),
    "per agent": ("mappo_per_agent", ".885 [.784, .971]"),
    "GRPO group": ("grpo", ".957"),
    "running, per agent": ("group_reward_decoupled", ""),
    "per-agent mean, pooled std": ("agent_mean", ""),
    "per-agent std, floor .1": (Scheme(center_by=("agent",), floor=0.1), ""),
    "counterfactual": ("counterfactual", ""),
}


def tables(seeds: int) -> Sequence[Page]:
    pages = []
    for parameters in ("separate", "shared"):
        cells = []
        for name, (scheme, known) in ARMS.items():
            done = trained("idle_then_needed", scheme, seeds, {"parameters": parameters})
            earlier = known if parameters == "separate" else ""
            cells.append(iqm(name, "reserve", final_accuracy(done, 2), earlier))
            cells.append(iqm(name, "return", done.returns[:, -1]))
        pages.append(Page(f"Idle for half of the updates, {parameters} parameters", cells))
    return pages


if __name__ == "__main__":
    recipe("idle_then_needed", tables, seeds=16)
