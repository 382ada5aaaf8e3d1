"""The question "does decoupling help?": the pair of schemes that answers it, and its control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.credit import Scheme, baselines, plain_scheme_named
from counterpoint.diagnose.log import SAME
from counterpoint.records import Decisions
from counterpoint.results.comparison import Control
from counterpoint.train.algorithms import algorithms

REFERENCE = "mappo_pooled"
"""The reference of a comparison, if it is among its schemes."""


@dataclass(frozen=True)
class Pair:
    """A coupled scheme, and the decoupled one that is compared with it."""

    name: str
    """Name of the coupled scheme: the reference of a comparison."""
    reference: Scheme
    """The coupled scheme."""
    decoupled_name: str | None
    """Name of the decoupled scheme among those compared; None if there is none."""

    @property
    def schemes(self) -> tuple[Scheme, Scheme]:
        """Returns the reference, and its exact twin with per-agent statistics."""
        return self.reference, self.reference.decoupled()


def pair_of(schemes: Sequence[str]) -> Pair:
    """Returns the reference among `schemes`, and its decoupled counterpart among them.

    The reference is `mappo_pooled` if it takes part, otherwise the first scheme that all agents
    share; without any, `mappo_pooled` all the same. The counterpart is the reference's exact twin
    if it takes part, otherwise the first scheme that groups by agent.
    """
    others = {*baselines(), *algorithms()}
    known = {n: plain_scheme_named(n) for n in schemes if n not in others}
    coupled = [n for n, scheme in known.items() if not scheme.groups_by_agent]
    name = REFERENCE if REFERENCE in coupled or not coupled else coupled[0]
    reference = plain_scheme_named(name)
    own = [n for n, scheme in known.items() if scheme.groups_by_agent]
    twins = [n for n in own if known[n] == reference.decoupled()]
    return Pair(name, reference, next(iter([*twins, *own]), None))


@dataclass(frozen=True)
class Probe:
    """Whether decoupling can matter, as the untrained team shows it."""

    verdict: str
    """`matters`, `no-op` or `cannot tell`."""
    conditions: tuple[str, ...]
    """Conditions under which it matters: C1 to C6."""
    max_difference: float | None = None
    """Largest difference of an advantage between the reference and its decoupled twin on the very
    same batches, relative to the largest; None if statistical tests gave the verdict."""


def untrained_control(setting: str, max_difference: float) -> Control:
    """Returns the control of a comparison whose advantages are compared before any training.

    Args:
        setting: what makes the world a control, in words.
        max_difference: as in `Probe`.
    """
    return Control(
        setting=setting,
        schemes={},
        max_advantage_difference=max_difference,
        max_curve_difference=None,
        decoupling="no-op" if max_difference <= SAME else "matters",
    )


def relative_difference(one: Floats, two: Floats) -> float:
    """Returns the largest difference of two arrays, relative to their largest value."""
    largest = max(float(abs(x).max(initial=0.0)) for x in (one, two))
    return float(abs(one - two).max()) / largest if largest > 0 else 0.0


def untrained_log(
    batches: Sequence[tuple[int, Floats, NamedArrays]], agents: Sequence[str],
    components: tuple[str, ...] = ("reward",),
) -> Decisions:  # fmt: skip
    """Returns batches of the untrained team as one log.

    Args:
        batches: the step of each, its rewards [N] or [N, K], and label name to column [N].
        agents: names of the agents, by the number in the column `agent`.
        components: names of the K rewards.
    """
    columns = {
        name: np.concatenate([columns[name] for _, _, columns in batches]) for name in batches[0][2]
    }
    columns["agent"] = np.asarray(agents)[columns["agent"]]
    rewards = np.concatenate([rewards for _, rewards, _ in batches])
    steps = np.concatenate([np.full(len(rewards), step) for step, rewards, _ in batches])
    return Decisions(rewards.reshape(-1, len(components)), components, columns, steps)
