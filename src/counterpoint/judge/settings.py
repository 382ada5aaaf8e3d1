"""What is set about judging: what a judge is asked, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from counterpoint.errors import SettingError
from counterpoint.judge.modes import MODES
from counterpoint.judge.present import LONGEST
from counterpoint.settings import require


@dataclass(frozen=True)
class RankSettings:
    """What a judge is asked, and what is made of it.

    Raises:
        SettingError: a value out of range.
    """

    mode: Literal["listwise", "pairwise", "swiss", "adaptive", "pointwise"] = "listwise"
    """The whole group at once; all pairs; rounds of pairs; the least certain pairs; one by one."""
    orders: int = 2
    """How often each question is asked, each second time backwards."""
    calls: int = 0
    """Most calls a group, repairs and canaries aside; 0 takes what the mode needs."""
    aggregate: Literal["bradley_terry", "plackett_luce", "borda"] = "bradley_terry"
    """How many rankings become one."""
    rewards: Literal["ranks", "scores"] = "ranks"
    """Evenly spaced by rank, or by strength."""
    shrink: bool = False
    """Whether rewards are multiplied by the reliability; it was measured to teach no faster."""
    least: float = 0.0
    """A group whose reliability is not above it is void."""
    canaries: Literal["strict", "relaxed", "none"] = "strict"
    """Relaxed, for judges known to be weak: only a canary above all runs makes a group void."""
    credit: Literal["team", "agents", "both"] = "team"
    """Whether runs are ranked, or the agents inside each run, or both."""
    repairs: int = 2
    """So often a reply that cannot be read is asked for again."""
    criteria: str = ""
    """What is good, in words, for judges that read."""
    longest: int = LONGEST
    """Characters of a run that a judge reads; more are cut out of its middle, visibly."""
    seed: int = 0
    """Of orders, ids, fences, canaries' places, and a judge's own chance."""

    def __post_init__(self) -> None:
        require("orders", self.orders, 1, 64)
        require("calls", self.calls, 0, 1_000_000)
        require("least", self.least, 0.0, 1.0)
        require("repairs", self.repairs, 0, 100)
        require("longest", self.longest, 2, 10_000_000)
        require("seed", self.seed, 0, 2**31 - 1)
        if self.mode not in (*MODES, "pointwise"):
            raise SettingError(
                f"got mode={self.mode!r}; wanted one of {', '.join((*MODES, 'pointwise'))}"
            )
        if self.calls and self.calls < self.orders:
            raise SettingError(
                f"got calls={self.calls} and orders={self.orders}; wanted at least one question in "
                "all its orders"
            )
