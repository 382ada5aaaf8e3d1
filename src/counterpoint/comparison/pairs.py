"""The pair that answers "does decoupling help?": one scheme without and with own statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from counterpoint.credit import Scheme, baselines, plain_scheme_named

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
        """The reference and its exact twin with statistics of each agent's own."""
        return self.reference, self.reference.decoupled()


def pair_of(schemes: Sequence[str]) -> Pair:
    """The reference among `schemes`, and its decoupled counterpart among them.

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
