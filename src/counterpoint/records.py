"""The shared words: `Decisions` (what a trainer hands over) and `Finding` (what we conclude).

Both are plain frozen values over NumPy; nothing here reads or writes files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import LabelError, RewardError

LABELS = ("prompt", "rollout", "agent", "role", "turn", "context")
"""The label columns that a credit scheme may group by."""


@dataclass(frozen=True)
class Decisions:
    """One row a decision: who decided, in which rollout of which prompt, and what it was worth.

    Raises:
        LabelError: a column is as long as something else than the rewards.
        RewardError: the rewards are not of shape [N, K], or the names are not K.
    """

    rewards: NDArray[np.float64]
    """[N, K] value of each reward component; NaN where it is missing."""
    components: tuple[str, ...]
    """[K] names of the components; `("reward",)` for a single one."""
    labels: Mapping[str, NDArray[Any]]
    """Label name to its column [N]; the names are those of `LABELS`."""
    step: NDArray[np.int64] | None = None
    """[N] training update of each row, or None where the log is one batch."""
    action: NDArray[Any] | None = None
    """[N] what was decided, where the log says so (`action` or `answer`)."""

    def __post_init__(self) -> None:
        if self.rewards.ndim != 2 or self.rewards.shape[1] != len(self.components):
            raise RewardError(
                f"got rewards of shape {self.rewards.shape} and {len(self.components)} component "
                "names; wanted [N, K] and K names"
            )
        columns = {**self.labels, "step": self.step, "action": self.action}
        for name, column in columns.items():
            if column is not None and len(column) != len(self.rewards):
                raise LabelError(
                    f"got {len(column)} values of '{name}' for {len(self.rewards)} rows of "
                    "rewards; wanted as many values as rows"
                )

    def __len__(self) -> int:
        return len(self.rewards)


@dataclass(frozen=True)
class Finding:
    """One claim with the evidence for it. It never says 0 where it cannot know."""

    claim: str
    """What was looked at, as a sentence without a verdict."""
    value: float | None
    """The estimate, or None where it is not computable."""
    n: int
    """How many independent samples stand behind the value."""
    low: float | None = None
    """Lower end of the 95% interval."""
    high: float | None = None
    """Upper end of the 95% interval."""
    baseline: float | None = None
    """What the value would be if nothing were the matter (the null)."""
    verdict: str = ""
    """What follows, in words."""
    why_not: str = ""
    """`not computable because ...`, where `value` is None."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """The numbers and quotations behind the claim, ready for JSON."""
