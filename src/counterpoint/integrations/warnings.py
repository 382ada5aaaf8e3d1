"""Warnings while a trainer of another package runs: each is one sentence with the remedy.

`EdgeCaseMonitor` reads the kernel's counts after every update and says which rewards were not used.
`check_updates` diagnoses the latest updates together. `TeamCredit` logs each sentence once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from counterpoint.arrays import Bools, Columns, Floats
from counterpoint.credit import AnyScheme, Scheme, Tally, scheme_name
from counterpoint.credit.scheme import plain_schemes
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.causes import CAUSE_WORDS
from counterpoint.errors import LabelError, RewardError
from counterpoint.integrations.recorder import plain_values
from counterpoint.records import LABELS, Decisions

ELSEWHERE = ("all_missing", "constant", "too_few", "groups_of_one", "agent_missing")
"""Faults that `EdgeCaseMonitor` reports in every update, or that disappear with more updates."""
SAME = 1e-9
"""Two advantages are equal if they differ by no more, relative to the largest advantage."""
Update = tuple[int, Floats, Columns]
"""Number, rewards [N, K] and labels of one update."""


class Checked(NamedTuple):
    """What a diagnosis of the latest updates says."""

    sentences: dict[str, str]
    """A key and a sentence for each fault of the rows, a no-op, and each lost signal."""
    signal_kept: dict[str, float]
    """Agent to the share of its signal that the scheme keeps, if it is known."""


def check_updates(updates: Sequence[Update], scheme: AnyScheme) -> Checked:
    """Returns what a diagnosis of the latest updates says.

    Args:
        updates: the latest updates; without labels `agent` and `rollout` there are no warnings.
        scheme: the scheme of the training.
    """
    decisions = decisions_of(updates)
    if decisions is None:
        return Checked({}, {})
    if not isinstance(scheme, Scheme):
        sentence = {
            "not diagnosed": (
                f"not diagnosed: {scheme_name(scheme)} is made of several schemes. Its advantages "
                "are right, but no agent's learning signal is checked during training."
            )
        }
        return Checked(sentence, {})
    try:
        diagnosis = diagnose(decisions, scheme, rng=np.random.default_rng(0))
    except (RewardError, LabelError) as error:
        why = f"unchecked: the latest updates could not be diagnosed: {error}."
        return Checked({"unchecked": why}, {})
    rows = f"(In the latest {diagnosis.rows} rows.)"
    sentences = {
        f"{fault.code} {fault.agent or ''}".strip():
        f"{fault.code.replace('_', ' ')}: {fault.sentence} {rows}"
        for fault in diagnosis.log_faults
        if fault.code not in ELSEWHERE
    }  # fmt: skip
    if len(diagnosis.agents) > 1:
        decoupling = diagnosis.decoupling
        if decoupling.verdict != "cannot tell" and decoupling.max_difference <= SAME:
            sentences["no-op"] = (
                f"no-op: in the latest {diagnosis.rows} rows, per-agent statistics change no "
                f"advantage under {diagnosis.scheme}. Decoupling does nothing here."
            )
        if not scheme.groups_by_agent and _apart(decisions):
            sentences["apart"] = (
                "apart: no update has rows of two agents for the same prompt, so that nothing "
                "compares them. Put the rows of one task into one batch (in TRL: one after the "
                "other, with shuffle_dataset=False)."
            )
    advice = diagnosis.recommendation
    for name, agent in diagnosis.agents.items():
        if not agent.cause:
            continue
        now, better = agent.signal_kept, ""
        new = None if advice is None else advice.signal_kept[name]
        if advice is not None and now is not None and new is not None and new > now:
            better = (
                f"On these rows {advice.scheme} keeps at most {new:.0%} of its signal, and "
                f"{diagnosis.scheme} {now:.0%}. "
            )
        sentences[f"{agent.cause} {name}"] = (
            f"{agent.cause}: agent '{name}' loses its learning signal under {diagnosis.scheme} "
            f"({CAUSE_WORDS[agent.cause]}). {agent.remedy} {better}(For details, run counterpoint "
            "diagnose on a recorded log.)"
        )
    kept = {name: one.signal_kept for name, one in diagnosis.agents.items()}
    return Checked(sentences, {name: x for name, x in kept.items() if x is not None})


def _apart(decisions: Decisions) -> bool:
    """Returns whether no prompt has rows of two agents in any update."""
    if decisions.step is None or "prompt" not in decisions.labels:
        return False
    columns = (decisions.step, decisions.labels["prompt"], decisions.labels["agent"])
    rows = set(zip(*(column.tolist() for column in columns), strict=True))
    return len({row[:2] for row in rows}) == len(rows)


def decisions_of(updates: Sequence[Update]) -> Decisions | None:
    """Returns several updates as one log, or None if their rows cannot be compared."""
    names = {name for name in (*LABELS, "action") if all(name in row for _, _, row in updates)}
    width = {rewards.shape[1] for _, rewards, _ in updates}
    if len(width) != 1 or not names >= {"agent", "rollout"}:
        return None
    columns = {
        name: np.array([value for _, _, row in updates for value in plain_values(row[name])])
        for name in (*LABELS, "action")
        if name in names
    }
    action = columns.pop("action", None)
    (count,) = width
    components = ("reward",) if count == 1 else tuple(f"reward_{k}" for k in range(count))
    steps = np.concatenate([np.full(len(rewards), step) for step, rewards, _ in updates])
    rewards = np.concatenate([table for _, table, _ in updates])
    return Decisions(rewards, components, columns, steps, action)


PATIENCE = 10
"""The number of consecutive updates without different rewards that is reported. A few are normal
if rewards are sparse."""
WORTH = {
    "mean": "the mean of its rows' rewards",
    "last": "the mean of its agents' last rewards",
    "sum": "the mean of its agents' summed rewards",
    "to_go": "the mean of its rows' rewards to go",
}
"""The value of a rollout that counts once, by the scheme's `rollout_reward`."""


class EdgeCaseMonitor:
    """Reports rewards that one update could not use, from the counts of every update.

    Its memory decides only which sentences are logged, never an advantage.

    Args:
        components: [K] names of the reward components, for the sentences.
    """

    def __init__(self, components: Sequence[str] = ()) -> None:
        self.components = tuple(components)
        self._seen: set[tuple[bool, ...]] = set()
        """The sets of components that rows of earlier updates had."""
        self._without_signal = 0
        """The number of latest consecutive updates without two different rewards in a group."""

    def sentences(
        self, update: int, tally: Tally, present: Bools, scheme: AnyScheme
    ) -> dict[str, str]:
        """Returns a key and a sentence for each kind of reward that the update could not use.

        Args:
            update: the number of the update.
            tally: counts of its rows, without those that the trainer left out on purpose.
            present: [N, K] whether the component of a row has a value.
            scheme: the scheme of the advantages.
        """
        parts = plain_schemes(scheme)
        sentences = {}
        if tally.left_out == tally.rows > 0:
            sentences["no rewards"] = (
                f"missing: none of the {tally.rows} rows of update {update} has a reward, since "
                "every reward function returned None or NaN. All advantages are 0, this update "
                "changes nothing, and the training continues. In every update, the metric "
                "counterpoint/left_out counts rows without a reward."
            )
        elif tally.left_out:
            sentences["left out"] = (
                f"missing: {tally.left_out} of the {tally.rows} rows of update {update} have no "
                "reward (None or NaN in every component that has a weight). Their advantage is 0 "
                "and no statistic counts them. The metric counterpoint/left_out counts them in "
                "every update."
            )
        sentences |= self._missing_components(update, present, parts)
        if tally.disagreeing:
            part = next((one for one in parts if one.weighting == "trajectory"), parts[0])
            sentences["disagreeing"] = (
                f"disagreeing: {tally.disagreeing} rollouts of update {update} have rows with "
                "different rewards, and this scheme counts a rollout once, with "
                f"{WORTH[part.rollout_reward]}. If every row is to keep its own reward, use "
                "grpo_rows or agent_wise. The metric counterpoint/disagreeing counts such rollouts "
                "in every update."
            )
        if tally.singletons >= tally.groups > 0:
            worth = "its raw reward" if parts[0].singleton == "raw" else "0"
            sentences["groups of one"] = (
                f"groups of one: each of the {tally.groups} groups of update {update} has one row, "
                f"and a comparison needs two, so that every advantage is {worth}. If this is not "
                "intended, check which rows share the labels of the scheme's groups."
            )
        flat = tally.constants > 0 and tally.constants + tally.singletons >= tally.groups > 0
        self._without_signal = self._without_signal + 1 if flat else 0
        if self._without_signal >= PATIENCE:
            sentences["no signal"] = (
                f"no signal: in the latest {PATIENCE} updates the rewards of every group were "
                "equal, so that every advantage was 0 and nothing was learned. The metric "
                "counterpoint/constants counts such groups in every update."
            )
        return sentences

    def _missing_components(
        self, update: int, present: Bools, parts: Sequence[Scheme]
    ) -> dict[str, str]:
        """Returns sentences for components that stopped: no row of the update has a value of them.

        If each reward function serves one task, rows have a few sets of components, and an update
        may lack a task. A set is a fault if it is new and lacks one component of an earlier set.
        """
        rows, count = present.shape
        if present.all():
            self._seen.add((True,) * count)
            return {}
        kinds = {tuple(kind) for kind in np.unique(present, axis=0).tolist() if any(kind)}
        new, known = kinds - self._seen, set(self._seen)
        self._seen |= kinds
        weights = [part.weights or (1.0,) * count for part in parts]
        weighed = [any(column) for column in zip(*weights, strict=True)]
        lost = [
            k for k in np.flatnonzero(~present.any(axis=0)).tolist()
            if weighed[k] and any((*kind[:k], True, *kind[k + 1 :]) in known for kind in new)
        ]  # fmt: skip
        names, sentences = self.components, {}
        for k in lost:
            name = (
                f"the reward component '{names[k]}'" if k < len(names) else f"reward component {k}"
            )
            sentences[f"component {k}"] = (
                f"missing: no row of update {update} ({rows} rows) has a value of {name}, "
                "which rows like them had in earlier updates. They count with the sum of their "
                "other components. In every update, the metric counterpoint/missing counts rows "
                "that lack a component."
            )
        return sentences
