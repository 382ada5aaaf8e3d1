"""`ClaimResult` and `ClaimsResult`: claims about teams of agents, each settled by measurements."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import field

from counterpoint.results.parts import Part, Result, expect

ClaimVerdict = Literal["reproduced", "conditional", "not reproduced", "cannot tell"]
VERDICTS: tuple[str, ...] = get_args(ClaimVerdict)


class Measure(Part, frozen=True, kw_only=True):
    """A number with its 95% interval."""

    what: str
    """What it is, in words, such as "team return, per agent minus pooled"."""
    value: float
    low: float
    high: float
    n: int
    """Number of seeds, or of other independent samples."""


class Boundary(Part, frozen=True, kw_only=True):
    """The setting at which a claim turns false, found by bisection."""

    setting: str
    """What is varied, in words."""
    value: float | None
    """Where the effect crosses the border; None if it does so nowhere between the ends."""
    low: float | None
    high: float | None
    n: int
    """Number of seeds."""
    least: float
    """The smallest value that was tried."""
    most: float
    """The largest value that was tried."""
    holds: Literal["above", "below", "everywhere", "nowhere"]
    """On which side of `value` the claim holds."""


class Detection(Part, frozen=True, kw_only=True):
    """How often an audit sees the failure that grew, and blames teams in which none did."""

    audit: str
    """The command that sees it."""
    finding: str = ""
    """The only finding that counts; if it is empty, any does."""
    found: int
    failed: int
    """Number of teams in which the failure grew."""
    blamed: int
    healthy: int
    """Number of teams without it."""


class Outcome(Part, frozen=True, kw_only=True):
    """What a credit scheme or another way of learning makes of the world of a claim."""

    way: str
    value: float
    low: float
    high: float
    n: int


class ClaimResult(Result, frozen=True, kw_only=True, tag="counterpoint.claim/1"):
    """A claim, what was measured, and whether it holds."""

    name: str
    claim: str
    """The claim of its source, in our words."""
    source: str
    against: str
    """The sharpest evidence against it that was published."""
    story: str
    """The world in which the failure grows, and how it is measured."""
    effect: Measure
    control: Measure
    """The same number where the claim says that nothing should happen."""
    remedy: Measure
    remedy_is: str
    """What is done about it."""
    price: Measure
    boundary: Boundary
    least: float = 0.0
    """The smallest effect that counts; that of the control must be below it."""
    detection: Detection | None = None
    outcome_is: str = ""
    """The unit of `outcomes`."""
    outcomes: list[Outcome] = field(default_factory=list)
    beside_is: str = ""
    """The unit of `beside`."""
    beside: list[Outcome] = field(default_factory=list)
    """What was measured in another way, with language models."""
    holds_when: str
    fails_when: str
    verdict: ClaimVerdict
    why: str
    """The sentence that the verdict follows from."""
    command: str
    seeds: list[int]
    seconds: float
    """CPU-seconds."""

    def __post_init__(self) -> None:
        for name in ("effect", "control", "remedy", "price"):
            one: Measure = getattr(self, name)
            expect(one.low <= one.value <= one.high, name, "a value within its interval")


class ClaimsResult(Result, frozen=True, kw_only=True, tag="counterpoint.claims/1"):
    """Several claims side by side."""

    claims: list[ClaimResult]
    seconds: float
    """CPU-seconds of all."""
