"""`Estimator`: one way to credit a team, by a scheme or by a baseline that the world can compute.

Start with `estimator`. It turns a play into rewards, one row a decision, and a `Scheme` turns these
into advantages. A baseline differs from a scheme only in what it takes for the reward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.credit import Scheme, baselines, plain_scheme_named, scheme_name
from counterpoint.errors import SchemeError
from counterpoint.worlds.exact.world import Play, World

SCALED = Scheme(center="none", scale="std")
"""A counterfactual advantage has mean 0 already; the batch only gives it a unit."""
OWN_MEAN = Scheme(center_by=("agent",), scale_by=())
"""Each agent's reward is centered on its per-agent mean and keeps its size beside the others'."""

NORMALIZED_BY = {"counterfactual": SCALED, "difference": OWN_MEAN, "own_component": OWN_MEAN}
"""The scheme that scales each baseline's signal to an advantage of a size that suits an
optimizer."""


@dataclass(frozen=True)
class Estimator:
    """One way to estimate advantages: a name, and how rewards become advantages under it."""

    name: str
    """Its name in the catalogue, perhaps with fields that differ: `grpo,floor=0.05`."""
    scheme: Scheme
    """How the rewards, or a baseline's signal, are normalized."""
    baseline: bool = False
    """Whether the world's signal called `name` takes the place of the reward."""

    def rewards(self, play: Play, rows: Ints) -> Floats:
        """Returns [N] or [N, K], the input of the scheme for the decisions `rows` (flat indices)
        [N]."""
        if self.baseline:
            signal = play.signals[self.name]
            if self.name == "counterfactual":
                signal = play.reward - signal
            return signal.ravel()[rows]
        if self.scheme.components == "normalize_first" and play.components is not None:
            return play.components.reshape(-1, play.components.shape[-1])[rows]
        return play.reward.ravel()[rows]


def estimator(scheme: str | Scheme, world: World) -> Estimator:
    """Returns the estimator for a name in `catalogue()` or `baselines()`, or for a `Scheme`.

    Raises:
        UnknownNameError: neither a scheme nor a baseline has that name.
        SchemeError: a baseline that this world cannot answer, or weights for other components.
    """
    if isinstance(scheme, Scheme):
        built = Estimator(scheme_name(scheme), scheme)
    elif scheme in NORMALIZED_BY:
        if scheme not in world.baselines:
            answers = ", ".join(world.baselines) or "none"
            raise SchemeError(
                f"got baseline '{scheme}' for world '{world.name}', which does not know it; "
                f"baselines of this world: {answers}"
            )
        built = Estimator(scheme, NORMALIZED_BY[scheme], baseline=True)
    else:
        built = Estimator(scheme, plain_scheme_named(scheme, also=baselines()))
    return built


def labels(world: World, active: Bools) -> tuple[Ints, dict[str, Ints]]:
    """Returns the decisions of a batch as rows, and the columns that schemes group by.

    Args:
        world: whose slots and roles these are.
        active: [S, P, G, L] which slots were used.

    Returns:
        Flat indices [N] of the used slots, in order, and label name to column [N]. `batch` is the
        seed: seeds never share a statistic.
    """
    rows = np.flatnonzero(active)
    seed, prompt, rollout, slot = np.unravel_index(rows, active.shape)
    agent, turn = np.array(world.slots).T
    columns = {
        "batch": seed,
        "prompt": prompt,
        "rollout": rollout,
        "agent": agent[slot],
        "turn": turn[slot],
    }
    if world.roles is not None:
        _, role = np.unique(world.roles, return_inverse=True)
        columns["role"] = role[agent[slot]]
    return rows, columns
