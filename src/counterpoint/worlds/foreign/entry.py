"""`ForeignEntry`: somebody else's environment, by its name in its package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.settings import from_text
from counterpoint.worlds.foreign.names import construct
from counterpoint.worlds.foreign.world import ForeignSettings, ForeignWorld
from counterpoint.worlds.sequential.entry import SequentialEntry
from counterpoint.worlds.sequential.world import StepSettings, StepWorld


class ForeignEntry(SequentialEntry):
    """A foreign environment; its package is imported when it is made.

    Args:
        name: such as `mpe2:simple_tag_v3`, or `package.module:Class`.
    """

    takes_arguments = True

    def __init__(self, name: str) -> None:
        summary = f"{name}, stepped one by one in Python"
        super().__init__(name, StepSettings, summary, ForeignWorld.source)

    def construct(self, settings: Mapping[str, Any] | None, copies: int, seed: int) -> StepWorld:
        given = {key: from_text(value) for key, value in (settings or {}).items()}
        ours = {key: given.pop(key) for key in ("reward", "stakes") if key in given}
        full = ForeignSettings(**ours, arguments=given)
        make = construct(self.name, given)
        return ForeignWorld(make, name=self.name, settings=full, copies=copies, seed=seed)
