"""`baselines()`: credit that needs the world, named beside the schemes that need only rewards.

A comparison that lists schemes lists these too: each is computed by a world that can answer
"what if", with the functions of `counterpoint.credit.counterfactual`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Baseline:
    """One way to credit an agent that no rearrangement of its rewards can replace."""

    title: str
    """A few words for a table."""
    citation: str
    """Where it was published."""
    needs: str
    """What a world must be able to answer."""
    summary: str
    """What it does for an agent, and what it does not do."""


_BASELINES = MappingProxyType(
    {
        "counterfactual": Baseline(
            title="Counterfactual baseline (COMA)",
            citation="Foerster et al. 2018, Counterfactual multi-agent policy gradients",
            needs="The expected reward over the agent's own policy with the others' actions fixed.",
            summary=(
                "Reward minus what the agent's average action would have got beside the same "
                "partners: undoes dilution and leaves the unit, so a quiet agent stays quiet."
            ),
        ),
        "difference": Baseline(
            title="Difference reward",
            citation=("Wolpert & Tumer 2001, Optimal payoff functions for members of collectives"),
            needs="The reward with the agent's action replaced by a default one, or without it.",
            summary=(
                "Reward minus the reward without the agent: aligned with the team's reward and "
                "free of the others' noise as far as the reward is a sum."
            ),
        ),
        "own_component": Baseline(
            title="Own component",
            citation="Ours: the difference reward of a reward with one part for each agent",
            needs="A reward with a component for each agent.",
            summary=(
                "Each agent is paid by its own part alone: more information than the team's "
                "scalar, and blind to what it does for the others."
            ),
        ),
    }
)


def baselines() -> Mapping[str, Baseline]:
    """Name to `Baseline`, in the order in which tables list them."""
    return _BASELINES
