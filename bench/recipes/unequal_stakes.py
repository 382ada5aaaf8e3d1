"""One summed reward whose parts weigh from 1 to 100: who learns the small ones, and the cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from measured import Page, iqm, recipe, trained

from counterpoint.credit import Scheme

RUNNING = Scheme(center="running_mean", scale="running_std", memory="ema")
ARMS: dict[str, tuple[str | Scheme, str]] = {
    "team z-score, running": (RUNNING, ".56-.63"),
    "running, per agent": ("group_reward_decoupled", ".56-.63"),
    "team z-score, batch": ("mappo_pooled", ""),
    "GRPO": ("grpo", ""),
    "GDPO": ("gdpo", ".99"),
    "own component": ("own_component", ""),
    "counterfactual": ("counterfactual", ""),
}
SUMMED = {
    ("separate", "team z-score, running"): ".982",
    ("separate", "GDPO"): "1.000",
    ("shared", "team z-score, running"): ".886",
    ("shared", "GDPO"): ".778",
}
NOTE = "Earlier summed returns are those of small networks: the direction is comparable."


def tables(seeds: int) -> Sequence[Page]:
    pages = []
    for parameters in ("separate", "shared"):
        cells = []
        for name, (scheme, known) in ARMS.items():
            done = trained("unequal_stakes", scheme, seeds, {"parameters": parameters})
            worst = done.accuracy[:, -1].min(axis=-1)
            earlier = known if parameters == "separate" else ""
            cells.append(iqm(name, "worst agent", np.asarray(worst), earlier))
            cells.append(iqm(name, "smallest stake", done.accuracy[:, -1, 0]))
            cells.append(iqm(name, "largest stake", done.accuracy[:, -1, -1]))
            summed = SUMMED.get((parameters, name), "")
            cells.append(iqm(name, "summed return", done.returns[:, -1], summed))
        pages.append(
            Page(f"Unequal stakes, n=8, c from 1 to 100, {parameters} parameters", cells, NOTE)
        )
    return pages


if __name__ == "__main__":
    recipe("unequal_stakes", tables, seeds=16)
