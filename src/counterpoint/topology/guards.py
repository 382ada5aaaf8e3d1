"""Guards: rules of talk that can be switched on, one by one, under any topology."""

from __future__ import annotations

from dataclasses import dataclass, replace

from counterpoint.errors import SettingError
from counterpoint.topology.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Guards:
    """Which guards are on; none is by default.

    Raises:
        SettingError: fewer than one round.
    """

    isolated_drafts: bool = False
    """All speak at once before anybody has heard anything; then the topology begins."""
    most_rounds: int | None = None
    """Rounds after which talk ends."""
    dissenter: bool = False
    """The last who speaks argues for what the others do not favour; it still answers as it
    thinks."""
    fresh_context: bool = False
    """Members hear what was said since they spoke last, and not what was said before."""
    heartbeat: bool = False
    """A member that says nothing is asked once more."""
    outside_judge: bool = False
    """Somebody who hears all, and says nothing, decides."""

    def __post_init__(self) -> None:
        if self.most_rounds is not None and self.most_rounds < 1:
            raise SettingError(f"got most_rounds={self.most_rounds}; wanted at least 1")


def guarded(topology: Topology, guards: Guards) -> Topology:
    """The topology with those guards that change who hears whom, how often, or who decides.

    The judge is one member more, with the last number.
    """
    if guards.most_rounds is not None:
        topology = replace(topology, rounds=min(topology.rounds, guards.most_rounds))
    if guards.outside_judge:
        judge = topology.members
        hears = tuple((speaker, judge) for speaker in topology.speakers)
        topology = replace(
            topology, members=judge + 1, edges=topology.edges + hears, decides="member",
            decider=judge,
        )  # fmt: skip
    return topology
