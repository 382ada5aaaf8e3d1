"""`HookCheck` checks, at the first optimizer step, that a trainer trains with our advantages.

An adapter replaces a function of a trainer or is called by it. If the trainer makes its advantages
elsewhere (in a worker, a subclass, another loop), nothing would call the adapter, and the training
would go on without our credit and without a warning. So an adapter calls `before_step` where the
trainer updates its parameters, and the training stops there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from counterpoint.arrays import Array
from counterpoint.errors import HookError
from counterpoint.integrations.recorder import as_table
from counterpoint.integrations.team_credit import TeamCredit

HALF = 2.0**-8
"""The rounding of bfloat16, relative: a trainer may hold its advantages in half precision."""


class HookCheck:
    """Stops a training whose optimizer steps without the advantages of a `TeamCredit`.

    After the first step that is right, it does nothing: its cost is one comparison a step.

    Args:
        credit: the `TeamCredit` whose advantages are to be trained.
        hook: what the trainer should have called, for the message.
        remedy: the line to change, for the message.
        calls: returns how often the hook was called; by default, how many updates the credit
            computed.
    """

    def __init__(
        self,
        credit: TeamCredit,
        hook: str,
        remedy: str,
        *,
        calls: Callable[[], int] | None = None,
    ) -> None:
        self.credit, self.hook, self.remedy = credit, hook, remedy
        self.calls = calls or (lambda: credit.calls)
        self.proved = False
        """Whether a step was seen that trains with our advantages."""
        self._before = 0 if calls else credit.calls

    def before_step(self, trained: Array | None = None) -> None:
        """Checks the advantages of the next optimizer step; call it just before the step.

        Args:
            trained: advantages [n] of the step's rows, if the trainer shows them. Each must be one
                of those that the last call computed, up to the rounding of half precision.

        Raises:
            HookError: no advantage was computed before the step, or others are trained.
        """
        if self.proved:
            return
        if self.calls() == self._before:
            raise HookError(
                f"got an optimizer step before {self.hook} was called, so that the training would "
                f"go on without Counterpoint's credit; wanted its advantages first: {self.remedy}"
            )
        if trained is not None:
            strange = _unknown(as_table(trained)[:, 0], self.credit.latest)
            if len(strange):
                raise HookError(
                    f"got {len(strange)} rows with advantages that Counterpoint did not compute, "
                    f"the first {strange[0]:.6g}: something replaces them after {self.hook}; "
                    f"wanted those of the last call: {self.remedy}"
                )
        self.proved = True

    def watch(self, optimizer: Any) -> None:
        """Calls `before_step` before each step of a torch optimizer."""
        optimizer.register_step_pre_hook(lambda *_: self.before_step())


def _unknown(trained: Array, computed: Array) -> Array:
    """Returns the trained advantages that are none of the computed ones."""
    if not len(computed):
        return trained
    ordered = np.sort(computed)
    after = np.searchsorted(ordered, trained).clip(0, len(ordered) - 1)
    before = (after - 1).clip(0)
    off = np.minimum(abs(ordered[after] - trained), abs(ordered[before] - trained))
    return trained[~(off <= HALF * np.maximum(abs(trained), 1e-6))]
