"""What to warn of while a peer trains: the diagnosis of its latest updates, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import Scheme
from counterpoint.diagnose import CAUSES, REMEDIES, diagnose
from counterpoint.errors import LabelError, RewardError
from counterpoint.integrations.recorder import plain
from counterpoint.records import LABELS, Decisions

SAME = 1e-9
"""Advantages whose twins differ by no more, relative to the largest, are the same."""
Update = tuple[int, NDArray[np.float64], Mapping[str, Any]]
"""Number, rewards [N, K], labels of one update."""


def warnings_of(updates: Sequence[Update], scheme: Scheme) -> dict[str, str]:
    """A key and a sentence for each thing that is wrong: a no-op, an agent that collapses.

    Args:
        updates: the latest ones; labels `agent` and `rollout` are needed, else nothing is said.
        scheme: under which they were trained.
    """
    decisions = decisions_of(updates)
    if decisions is None:
        return {}
    try:
        found = diagnose(decisions, scheme, rng=np.random.default_rng(0))
    except (RewardError, LabelError):
        return {}
    told: dict[str, str] = {}
    if len(found.agents) > 1 and found.max_difference <= SAME:
        told["no-op"] = (
            f"no-op: in {found.rows} rows statistics of each agent's own change no advantage under "
            f"{found.scheme}: decoupling does nothing here"
        )
    if len(found.agents) > 1 and not scheme.groups_by_agent and _apart(updates):
        told["apart"] = (
            "apart: in no update two agents have rows of the same prompt, so that nothing compares "
            "them; put the rows of one task into one batch (in TRL: one after the other, with "
            "shuffle_dataset=False)"
        )
    for name, cause in zip(found.agents, found.causes, strict=True):
        label = CAUSES[cause]
        if label == "SPIKY" and not scheme.keeps_state:
            continue  # a heavy tail of the rewards: there is no memory that could lag behind
        if label:
            told[f"{label} {name}"] = (
                f"{label}: agent '{name}' loses its learning signal under {found.scheme}. "
                f"{REMEDIES[label]} (A recorded log and counterpoint diagnose say more.)"
            )
    return told


def _apart(updates: Sequence[Update]) -> bool:
    """Whether no prompt has rows of two agents in any update."""
    for _, _, labels in updates:
        if "prompt" not in labels:
            return False
        seen: dict[Any, Any] = {}
        for prompt, agent in zip(plain(labels["prompt"]), plain(labels["agent"]), strict=True):
            if seen.setdefault(prompt, agent) != agent:
                return False
    return True


def decisions_of(updates: Sequence[Update]) -> Decisions | None:
    """Several updates as one log; None where there are no rows, or none can be compared."""
    if not updates or any(
        "agent" not in labels or "rollout" not in labels for _, _, labels in updates
    ):
        return None
    names = [name for name in LABELS if all(name in labels for _, _, labels in updates)]
    width = {rewards.shape[1] for _, rewards, _ in updates}
    if len(width) > 1:
        return None
    columns = {
        name: np.array([value for _, _, labels in updates for value in plain(labels[name])])
        for name in names
    }
    (count,) = width
    components = ("reward",) if count == 1 else tuple(f"reward_{k}" for k in range(count))
    steps = np.concatenate([np.full(len(rewards), step) for step, rewards, _ in updates])
    return Decisions(np.concatenate([r for _, r, _ in updates]), components, columns, steps)
