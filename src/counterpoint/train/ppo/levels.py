"""Where a credit scheme is applied in PPO: to rewards, to components, or to advantages.

Start with `Crediting.of`. At level `reward` the scheme normalizes the reward of each decision,
before any value is estimated. At `advantage` it normalizes the advantage estimate; at `component`
the estimate of each reward component, from a critic with one output for each. A sample is a
decision here: an agent that decides more often counts more often, whatever the scheme's weighting
and rollout_reward are, since each decision has an estimate of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.credit import (
    RunningState,
    Scheme,
    Tally,
    advantages,
    plain_scheme_named,
    scheme_name,
)
from counterpoint.errors import SchemeError
from counterpoint.train.estimators import NORMALIZED_BY
from counterpoint.train.ppo.rollout import Batch
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.world import StepWorld

Level = Literal["reward", "component", "advantage"]
COUNTERFACTUAL = "counterfactual"


@dataclass(frozen=True)
class Crediting:
    """A scheme, where it is applied, and whether the critic values each action (COMA)."""

    name: str
    """Its name in the catalogue (perhaps with fields that differ), or `counterfactual`."""
    scheme: Scheme
    """The scheme that normalizes, sample by sample."""
    level: Level
    """The quantity that is normalized."""
    counterfactual: bool = False
    """Whether the advantage is Q(s, u) - sum_m pi(m) Q(s, (u without the agent, m))."""

    @classmethod
    def of(cls, scheme: str | Scheme, world: StepWorld, settings: PolicySettings) -> Crediting:
        """Returns the crediting for a name in the catalogue, a `Scheme`, or `counterfactual`.

        Raises:
            UnknownNameError: nothing has that name.
            SchemeError: `counterfactual` with continuous actions or recurrent policies, a baseline
                that only worlds with exact answers have, or a level that cannot be.
        """
        if scheme in NORMALIZED_BY:
            return cls._baseline(str(scheme), world, settings)
        if isinstance(scheme, str):
            name, point = scheme, plain_scheme_named(scheme, also=(COUNTERFACTUAL,))
        else:
            name, point = scheme_name(scheme), scheme
        level: Level = settings.level if settings.level != "auto" else _natural(point)
        if level == "component" and len(world.components) == 1:
            level = "advantage"
        stepwise = replace(point, weighting="step", rollout_reward="mean", gamma=1.0)
        return cls(name, stepwise, level)

    @classmethod
    def _baseline(cls, name: str, world: StepWorld, settings: PolicySettings) -> Crediting:
        if name != COUNTERFACTUAL:
            raise SchemeError(
                f"got baseline '{name}' for world '{world.name}', which cannot answer it; the "
                f"baseline of sequential environments is {COUNTERFACTUAL}"
            )
        if world.actions[0].continuous or settings.memory != "none":
            raise SchemeError(
                "got counterfactual with continuous actions or recurrent policies; wanted discrete "
                "actions and memory=none, where a critic can value every action of an agent"
            )
        return cls(name, NORMALIZED_BY[name], "advantage", counterfactual=True)

    def outputs(self, world: StepWorld) -> int:
        """Returns how many values a critic predicts: one for each component, or one."""
        return len(world.components) if self.level == "component" else 1


def _natural(scheme: Scheme) -> Level:
    of_rewards = (
        scheme.scale == "mean" or scheme.group_weight != "none" or scheme.baseline_floor is not None
    )
    if scheme.keeps_state or of_rewards:
        return "reward"
    return "component" if scheme.components == "normalize_first" else "advantage"


@dataclass(frozen=True)
class Credited:
    """The output of a scheme for one batch."""

    values: Floats
    """[A, T, E] rewards or advantages; 0 where the agent did not decide."""
    given: Floats
    """[N] input of the scheme, components summed."""
    out: Floats
    """[N] output of the scheme."""
    columns: dict[str, Ints]
    """Label name to column [N], `batch` (all 0) among them."""
    state: RunningState | None
    """Running statistics after this batch."""
    tally: Tally
    """Counts of the edge cases of normalization."""


def credit_batch(
    what: Floats, batch: Batch, roles: Ints, scheme: Scheme, state: RunningState | None
) -> Credited:
    """Normalizes the reward or the advantage estimate of each decision.

    Args:
        what: [A, T, E, K] rewards or advantage estimates.
        batch: whose decisions these are.
        roles: [A] role of each agent, as a number.
        scheme: how to normalize.
        state: running statistics after the last batch.
    """
    t = what.shape[1]
    acts = batch.active[:, :t]
    rows: Floats = what[acts] if not acts.all() else what.reshape(-1, what.shape[-1])
    rows = rows[:, 0] if rows.shape[1] == 1 else rows
    columns = decision_labels(batch, acts, roles)
    credit = advantages(rows, columns, scheme, state=state)
    values = np.zeros(acts.shape)
    values[acts] = credit.values
    given = rows if rows.ndim == 1 else rows.sum(axis=-1)
    # `batch` comes after normalization: it is for measurements, and no scheme groups by it here.
    columns["batch"] = np.zeros(len(given), dtype=np.int64)
    return Credited(values, given, credit.values, columns, credit.state, credit.tally)


def decision_labels(batch: Batch, acts: Bools, roles: Ints) -> dict[str, Ints]:
    """Returns the columns [N] that schemes group by: agent, role, episode (`rollout`), and step of
    it (`turn`).

    There is no `prompt`: no two episodes share a start, so a prompt's group is the whole batch.
    """
    a, _, e = acts.shape
    agent = np.broadcast_to(np.arange(a)[:, None, None], acts.shape)[acts]
    rollout = np.broadcast_to(batch.episode * e + np.arange(e), acts.shape)[acts]
    turn: NDArray[np.int64] = np.broadcast_to(batch.clock, acts.shape)[acts]
    return {"agent": agent, "role": roles[agent], "rollout": rollout, "turn": turn}
