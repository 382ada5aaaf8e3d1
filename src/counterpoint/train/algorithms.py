"""The algorithms that can stand in the place of a credit scheme, by name.

A scheme says how PPO credits each agent. These answer a team reward in another way: VDN and QMIX
split the team's value among the agents, IQL has each agent learn alone, HAPPO has agents learn one
after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from counterpoint.errors import SchemeError
from counterpoint.worlds.kind import Kind


@dataclass(frozen=True)
class Algorithm:
    """One published algorithm."""

    name: str
    """Its name on the command line."""
    title: str
    """The method in a few words."""
    citation: str
    """The publication."""
    note: str
    """What it assumes about the team's reward, and what it needs."""


_ENTRIES = (
    Algorithm(
        "iql",
        "each agent learns the values of its own actions, alone",
        "Tan 1993, Multi-agent reinforcement learning; with replay as in Mnih et al. 2015",
        "assumes nothing; the other agents are a part of the world that changes as they learn. "
        "Discrete actions",
    ),
    Algorithm(
        "vdn",
        "the team's value is the sum of its agents' values",
        "Sunehag et al. 2018, arXiv 1706.05296",
        "assumes that the team's value is a sum over agents; learns from the sum of their rewards. "
        "Discrete actions",
    ),
    Algorithm(
        "qmix",
        "the team's value never falls where an agent's value rises",
        "Rashid et al. 2018, arXiv 1803.11485",
        "assumes that the best action of an agent does not depend on the others' actions; learns "
        "from the sum of their rewards. Discrete actions",
    ),
    Algorithm(
        "happo",
        "PPO of one agent after the other, in random order",
        "Kuba et al. 2022, arXiv 2109.11251; Zhong et al. 2024 (HARL), arXiv 2304.09870",
        "assumes one reward of the team: set reward=common. Advantages are normalized per agent, "
        "and each agent has a network of its own",
    ),
)

VALUE_BASED = ("iql", "vdn", "qmix")
"""The algorithms that learn action values from replay: `train/value`."""


def algorithms() -> Mapping[str, Algorithm]:
    """Returns name to algorithm."""
    return MappingProxyType({entry.name: entry for entry in _ENTRIES})


def refuse_algorithm(name: str, world: str, kind: Kind) -> None:
    """Raises SchemeError if `name` is an algorithm and the world is not sequential."""
    if name in algorithms() and kind is not Kind.SEQUENTIAL:
        raise SchemeError(
            f"got {name} for world '{world}'; wanted a scheme there: {name} learns in sequential "
            "environments (`counterpoint worlds` lists them)"
        )
