"""The question "does decoupling help?": the pair of schemes that answers it, and its control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from counterpoint.arrays import Floats
from counterpoint.credit import Scheme, baselines, plain_scheme_named
from counterpoint.diagnose.log import SAME
from counterpoint.results.comparison import Control

REFERENCE = "mappo_pooled"
"""What a comparison is held against, where it is among its schemes."""


@dataclass(frozen=True)
class Pair:
    """A coupled scheme, and the decoupled one that is compared with it."""

    name: str
    """Name of the coupled scheme: the reference of a comparison."""
    reference: Scheme
    """The coupled scheme."""
    decoupled_name: str | None
    """Name of the decoupled scheme among those compared; None where there is none."""

    @property
    def schemes(self) -> tuple[Scheme, Scheme]:
        """The reference, and its exact twin with per-agent statistics."""
        return self.reference, self.reference.decoupled()


def pair_of(schemes: Sequence[str]) -> Pair:
    """Returns the reference among `schemes`, and its decoupled counterpart among them.

    The reference is `mappo_pooled` where it takes part, otherwise the first scheme that all agents
    share; without any, `mappo_pooled` all the same. The counterpart is the reference's exact twin
    where it takes part, otherwise the first scheme that groups by agent.
    """
    known = {n: plain_scheme_named(n) for n in schemes if n not in baselines()}
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
    same batches, relative to the largest; None where statistical tests gave the verdict."""


def untrained_control(setting: str, max_difference: float) -> Control:
    """Returns the control of a comparison whose advantages are compared before any training.

    Args:
        setting: what makes the world a control, in words.
        max_difference: largest difference of an advantage with and without per-agent statistics.
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
