"""Rules that all adapters share: missing rewards, rows without an agent, schemes and settings.

The kernel refuses rewards and labels that cannot be right, and counts edge cases. The rules here
are about trainers: an adapter calls those that apply to it, and a table in the documentation says
which those are. Start with `reward_value`.
"""

from __future__ import annotations

import math
from typing import Any

from counterpoint.arrays import Columns
from counterpoint.credit import AnyScheme, scheme_name
from counterpoint.credit.scheme import plain_schemes
from counterpoint.errors import LabelError, SchemeError, SettingError


def reward_value(reward: Any) -> float:
    """Returns a reward as a float. None is NaN, which is a missing reward and never 0."""
    return math.nan if reward is None else float(reward)


def require_agents(labels: Columns, scheme: AnyScheme, wanted: str) -> None:
    """Raises LabelError if the scheme needs agents, and the rows have neither agents nor roles.

    Args:
        labels: name to [N] values.
        scheme: the scheme of the training.
        wanted: where the trainer's rows can name their agent, for the message.
    """
    if scheme.groups_by_agent and not {"agent", "role"} & set(labels):
        raise LabelError(
            f"got rows without an agent, and {scheme_name(scheme)} has per-agent statistics; "
            f"wanted {wanted}"
        )


def nameless_rows(scheme: AnyScheme, place: str) -> dict[str, str]:
    """Returns a warning for rows without an agent, by its key; none if the scheme needs no agents.

    Such rows are right in a training of one agent, so they are not refused.

    Args:
        scheme: the scheme of the training.
        place: where rows would name their agent, for the message.
    """
    if not scheme.groups_by_agent:
        return {}
    return {
        "agents": (
            f"agents: {scheme_name(scheme)} has per-agent statistics, and no row names its agent, "
            f"so that all rows count as one agent. If there are several, name them in {place}."
        )
    }


def refuse_rollouts(scheme: AnyScheme) -> None:
    """Raises SchemeError if the scheme combines the rows of a rollout.

    Where each step has its own advantage, every row keeps its own value.
    """
    if any(
        part.weighting == "trajectory" or part.rollout_reward != "mean"
        for part in plain_schemes(scheme)
    ):
        raise SchemeError(
            f"got {scheme_name(scheme)}, which takes the steps of a rollout together; wanted a "
            "scheme with weighting='step' and rollout_reward='mean', such as mappo_per_agent or "
            "group_reward_decoupled: each step has its own advantage"
        )


def refuse_second_normalization(loss: Any) -> None:
    """Raises SettingError if a loss of TorchRL standardizes the advantages that it is given."""
    norm = getattr(loss, "advantage_norm", None)
    if getattr(loss, "normalize_advantage", False) or norm is not None:
        raise SettingError(
            f"got a {type(loss).__name__} that normalizes advantages itself, by the minibatch; "
            "wanted normalize_advantage=False and no advantage_norm"
        )
