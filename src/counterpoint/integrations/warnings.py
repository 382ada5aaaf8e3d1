"""What to warn of while a peer trains: the diagnosis of its latest updates, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import AnyScheme, Scheme, scheme_name
from counterpoint.diagnose import DiagnosisResult, diagnose
from counterpoint.diagnose.causes import CAUSE_WORDS
from counterpoint.errors import LabelError, RewardError
from counterpoint.integrations.recorder import plain
from counterpoint.records import LABELS, Decisions

ELSEWHERE = ("all_missing", "constant", "too_few", "groups_of_one", "agent_missing")
"""Faults that `dropped` reports in every update, or that more updates mend."""
SAME = 1e-9
"""Advantages whose twins differ by no more, relative to the largest, are the same."""
Update = tuple[int, NDArray[np.float64], Mapping[str, Any]]
"""Number, rewards [N, K], labels of one update."""


def warnings_of(updates: Sequence[Update], scheme: AnyScheme) -> dict[str, str]:
    """A key and a sentence for each thing that is wrong: the rows, a no-op, an agent's signal.

    Args:
        updates: the latest ones; without labels `agent` and `rollout` there are no warnings.
        scheme: under which they were trained.
    """
    decisions = decisions_of(updates)
    if decisions is None:
        return {}
    if not isinstance(scheme, Scheme):
        return {
            "not diagnosed": (
                f"not diagnosed: {scheme_name(scheme)} is made of several schemes. Its advantages "
                "are right, but no agent's learning signal is checked during training."
            )
        }
    try:
        diagnosis = diagnose(decisions, scheme, rng=np.random.default_rng(0))
    except (RewardError, LabelError) as error:
        return {"unchecked": f"unchecked: the latest updates could not be diagnosed: {error}."}
    rows = f"(In the latest {diagnosis.rows} rows.)"
    sentences = {
        f"{fault.code} {fault.agent or ''}".strip():
        f"{fault.code.replace('_', ' ')}: {fault.sentence} {rows}"
        for fault in diagnosis.log_faults
        if fault.code not in ELSEWHERE
    }  # fmt: skip
    alone = len(diagnosis.agents) < 2
    decoupling = diagnosis.decoupling
    if not alone and decoupling.verdict != "cannot tell" and decoupling.max_difference <= SAME:
        sentences["no-op"] = (
            f"no-op: in the latest {diagnosis.rows} rows, per-agent statistics change no advantage "
            f"under {diagnosis.scheme}. Decoupling does nothing here."
        )
    if not alone and not scheme.groups_by_agent and _apart(updates):
        sentences["apart"] = (
            "apart: no update has rows of two agents for the same prompt, so that nothing compares "
            "them. Put the rows of one task into one batch (in TRL: one after the other, with "
            "shuffle_dataset=False)."
        )
    for name, agent in diagnosis.agents.items():
        if cause := agent.cause:
            sentences[f"{cause} {name}"] = (
                f"{cause}: agent '{name}' loses its learning signal under {diagnosis.scheme} "
                f"({CAUSE_WORDS[cause]}). "
                f"{agent.remedy} {_advice(diagnosis, name)}(For details, run counterpoint diagnose "
                "on a recorded log.)"
            )
    return sentences


def _advice(diagnosis: DiagnosisResult, agent: str) -> str:
    """What an agent keeps of its signal under the scheme that is better on these rows, if any."""
    advice, now = diagnosis.recommendation, diagnosis.agents[agent].signal_kept
    new = None if advice is None else advice.signal_kept[agent]
    if advice is None or now is None or new is None or new <= now:
        return ""
    return (
        f"On these rows {advice.scheme} keeps at most {new:.0%} of its signal, and "
        f"{diagnosis.scheme} {now:.0%}. "
    )


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
    names += ["action"] if all("action" in labels for _, _, labels in updates) else []
    columns = {
        name: np.array([value for _, _, labels in updates for value in plain(labels[name])])
        for name in names
    }
    action = columns.pop("action", None)
    (count,) = width
    components = ("reward",) if count == 1 else tuple(f"reward_{k}" for k in range(count))
    steps = np.concatenate([np.full(len(rewards), step) for step, rewards, _ in updates])
    rewards = np.concatenate([table for _, table, _ in updates])
    return Decisions(rewards, components, columns, steps, action)
