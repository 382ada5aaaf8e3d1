"""What one call of a scheme could not use, in sentences: read from the kernel's edge-case counts.

`TeamCredit` logs each sentence once. Its metrics hold the counts of every update.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import AnyScheme, Scheme, Tally
from counterpoint.integrations.parts import parts_of

PATIENCE = 10
"""So many updates in a row without any difference of rewards are reported; one or two are normal
in a training whose rewards are sparse."""
WORTH = {
    "mean": "the mean of its rows' rewards",
    "last": "the mean of its agents' last rewards",
    "sum": "the mean of its agents' summed rewards",
    "to_go": "the mean of its rows' rewards to go",
}
"""What a rollout is worth where it counts once, by the scheme's `rollout_reward`."""


class Dropped:
    """Looks at the counts of every update.

    Its memory decides only which sentences are logged, never an advantage.

    Args:
        components: [K] names of the reward components, for the sentences.
    """

    def __init__(self, components: Sequence[str] = ()) -> None:
        self.components = tuple(components)
        self._seen: set[tuple[bool, ...]] = set()
        """Which components rows of earlier updates had together."""
        self._without_signal = 0
        """Latest updates in a row in which no group had two different rewards."""

    def sentences(
        self, update: int, tally: Tally, present: NDArray[np.bool_], scheme: AnyScheme
    ) -> dict[str, str]:
        """A key and a sentence for each thing that the update dropped.

        Args:
            update: its number.
            tally: counts of its rows, without those that the trainer left out on purpose.
            present: [N, K] which components of those rows have a value.
            scheme: under which advantages were computed.
        """
        parts = parts_of(scheme)
        sentences = _missing_rows(update, tally)
        sentences |= self._missing_components(update, present, parts)
        sentences |= _disagreeing(update, tally, parts)
        sentences |= _groups_of_one(update, tally, parts)
        return sentences | self._no_signal(tally)

    def _missing_components(
        self, update: int, present: NDArray[np.bool_], parts: Sequence[Scheme]
    ) -> dict[str, str]:
        """Components that no row of an update has, although rows like them had it before.

        Functions that answer for one task each leave rows of a few kinds, and an update may well
        lack a task. A row of a new kind, which lacks one component of an earlier kind, is no task.
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
            if weighed[k] and any(_with(kind, k) in known for kind in new)
        ]  # fmt: skip
        return {
            f"component {k}": (
                f"missing: no row of update {update} ({rows} rows) has a value of "
                f"{self._name(k)}, which rows like them had in earlier updates. They count with "
                "the sum of their other components. In every update, the metric "
                "counterpoint/missing counts rows that lack a component."
            )
            for k in lost
        }

    def _name(self, k: int) -> str:
        known = k < len(self.components)
        return f"the reward component '{self.components[k]}'" if known else f"reward component {k}"

    def _no_signal(self, tally: Tally) -> dict[str, str]:
        flat = tally.groups > 0 and tally.constants + tally.singletons >= tally.groups
        self._without_signal = self._without_signal + 1 if flat and tally.constants else 0
        if self._without_signal < PATIENCE:
            return {}
        return {
            "no signal": (
                f"no signal: in the latest {PATIENCE} updates the rewards of every group were "
                "equal, so that every advantage was 0 and nothing was learned. The metric "
                "counterpoint/constants counts such groups in every update."
            )
        }


def _with(kind: tuple[bool, ...], k: int) -> tuple[bool, ...]:
    return (*kind[:k], True, *kind[k + 1 :])


def _missing_rows(update: int, tally: Tally) -> dict[str, str]:
    if not tally.left_out:
        return {}
    if tally.left_out == tally.rows:
        return {
            "no rewards": (
                f"missing: none of the {tally.rows} rows of update {update} has a reward, since "
                "every reward function returned None or NaN. All advantages are 0, this update "
                "changes nothing, and the training continues. In every update, the metric "
                "counterpoint/left_out counts rows without a reward."
            )
        }
    return {
        "left out": (
            f"missing: {tally.left_out} of the {tally.rows} rows of update {update} have no reward "
            "(None or NaN in every component that has a weight). Their advantage is 0 and no "
            "statistic counts them. The metric counterpoint/left_out counts them in every update."
        )
    }


def _disagreeing(update: int, tally: Tally, parts: Sequence[Scheme]) -> dict[str, str]:
    if not tally.disagreeing:
        return {}
    part = next((one for one in parts if one.weighting == "trajectory"), parts[0])
    return {
        "disagreeing": (
            f"disagreeing: {tally.disagreeing} rollouts of update {update} have rows with "
            "different rewards, and this scheme counts a rollout once, with "
            f"{WORTH[part.rollout_reward]}. If every row is to keep its own reward, use grpo_rows "
            "or agent_wise. The metric counterpoint/disagreeing counts such rollouts in every "
            "update."
        )
    }


def _groups_of_one(update: int, tally: Tally, parts: Sequence[Scheme]) -> dict[str, str]:
    if not tally.groups or tally.singletons < tally.groups:
        return {}
    worth = "its raw reward" if parts[0].singleton == "raw" else "0"
    return {
        "groups of one": (
            f"groups of one: each of the {tally.groups} groups of update {update} has one row, and "
            f"a comparison needs two, so that every advantage is {worth}. If this is not intended, "
            "check which rows share the labels of the scheme's groups."
        )
    }
