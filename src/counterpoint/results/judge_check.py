"""`JudgeCheckResult`: how good a judge is, on groups whose truth is known."""

from __future__ import annotations

from msgspec import field

from counterpoint.results.parts import Part, Result, Settings
from counterpoint.results.ranking import UnseenTotal

FEWEST_GROUPS = 5
"""Groups below which a measure has no interval, and nothing is decided."""


class Measure(Part, frozen=True, kw_only=True):
    """One property of a judge."""

    name: str
    value: float | None
    """The mean over groups; None if it is not computable."""
    low: float | None
    """Lower end of the 95% bootstrap interval over groups."""
    high: float | None
    """Upper end."""
    null: float | None
    """The value of a judge without the property."""
    n: int
    """Number of groups that the value is a mean of."""
    meaning: str
    """The meaning of the number, or the reason why there is none."""
    found: bool
    """Whether the interval leaves the null out, and Student's t-test agrees: p is at most .05."""


class JudgeCheckResult(Result, frozen=True, kw_only=True, tag="counterpoint.judge/1"):
    """How good a judge is."""

    judge: dict[str, str]
    """The facts on which the opinions of the judge depend."""
    measures: list[Measure]
    orders: int | None
    """Orders of a group that reach the wanted reliability; None if no number of them does."""
    wanted: float
    """The wanted reliability."""
    groups: int
    """Number of groups of two runs or more."""
    unreadable: int
    """Replies that could not be read."""
    calls: int
    """How often the judge was asked."""
    lost: int = 0
    """Questions that got no reply; once the judge refuses, no other group is measured."""
    why_lost: str = ""
    """Why the first of them got none."""
    tokens: int | None
    """Tokens; None if they were not counted."""
    cost_dollars: float | None
    """None if the price is not known."""
    void: int = 0
    """Number of groups that are left out: their runs have no text, or differ only in what is not
    shown."""
    settings: Settings = field(default_factory=dict)
    """The settings of the questions; empty in results of earlier versions."""
    unseen: UnseenTotal | None = None
    """What the judge does not read; None in results of earlier versions."""
    config: Settings = field(default_factory=dict)
    """`file`, `judge` and `settings`, as the user gave them."""
