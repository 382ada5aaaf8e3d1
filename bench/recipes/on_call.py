"""A specialist who is rarely called, to rollouts of another offset or scale, with Adam and SGD."""

from __future__ import annotations

from collections.abc import Sequence

from measured import Page, final_accuracy, iqm, recipe, trained

from counterpoint.credit import Scheme

ARMS: dict[str, tuple[str | Scheme, str]] = {
    "pooled": ("mappo_pooled", ".55-.89"),
    "per-agent mean": ("agent_mean", ".85-.98"),
    "per-agent mean and std": ("mappo_per_agent", ".95-.99"),
    "per-agent std, pooled mean": (Scheme(center_by=(), scale_by=("agent",)), "below pooled"),
    "counterfactual": ("counterfactual", ""),
}
REWARDS = {"offset 3": {"offset": 3.0, "scale": 1.0}, "scale 5": {"offset": 0.0, "scale": 5.0}}
OPTIMIZERS = {"Adam": {"optimizer": "adam"}, "SGD": {"optimizer": "sgd", "lr": 32.0}}


def tables(seeds: int) -> Sequence[Page]:
    cells = []
    for rate in (0.1, 0.02):
        for reward, given in REWARDS.items():
            for optimizer, how in OPTIMIZERS.items():
                row = f"{rate:.0%}, {reward}, {optimizer}"
                settings = {"rate": rate, "parameters": "separate", **given, **how}
                for name, (scheme, known) in ARMS.items():
                    done = trained("on_call", scheme, seeds, settings)
                    cells.append(iqm(row, name, final_accuracy(done, -1), known))
    return [Page("Accuracy of the specialist (chance .5), separate tables", cells)]


if __name__ == "__main__":
    recipe("on_call", tables, seeds=12)
