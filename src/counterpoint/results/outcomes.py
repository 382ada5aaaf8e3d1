"""`OutcomesResult`: a team beside one agent and its members, decided from a table of outcomes."""

from __future__ import annotations

from msgspec import field

from counterpoint.records import Finding
from counterpoint.results.parts import Part, Result, Settings, expect

DECISIONS = ("better", "not worse", "worse", "cannot tell")


class Ratio(Part, frozen=True, kw_only=True):
    """A quotient with its 95% interval."""

    value: float
    low: float
    high: float


class Compared(Part, frozen=True, kw_only=True):
    """The team beside one other way of work, on the tasks that both have done."""

    against: str
    """`one agent`, `the best member` or `the mean member`."""
    n: int
    """Number of tasks."""
    team: float
    """Mean score of the team."""
    other: float
    """Mean score of the other."""
    difference: float
    low: float
    high: float
    p: float
    """Of the sign-flip test that there is no difference."""
    decision: str
    """`better`, `not worse` (within the margin), `worse` or `cannot tell`: the team."""
    tasks_needed: int | None = None
    """About how many more tasks would decide with probability 0.8; None if it is decided, or if no
    number would do."""


class OutcomesResult(Result, frozen=True, kw_only=True, tag="counterpoint.outcomes/1"):
    """Whether a team is worth having, from the scores of tasks."""

    source: str
    config: Settings = field(default_factory=dict)
    tasks: int
    """Number of tasks in the table."""
    margin: float
    """The largest loss that does not matter."""
    decision: str
    """The decision of the first comparison."""
    tasks_needed: int | None = None
    """As in the first comparison."""
    compared: list[Compared]
    """The most useful comparison first: one agent, the best member, the mean member."""
    cost_per_success: dict[str, float | None] = field(default_factory=dict)
    """`team` and `one agent` to the cost of a success, in the unit of the table; None where there
    is no success. It is empty if the table has no costs of both."""
    cost_ratio: Ratio | None = None
    """Mean cost of the team over that of one agent, on the same tasks."""
    findings: list[Finding] = field(default_factory=list)
    """What else the table shows: whatever it has the data for."""
    left_out: int | None = None
    """Number of members with and without whom the team did tasks enough for their contribution."""
    incomplete: str = ""
    """Tasks and members that were left out of the comparison with members, if any were."""

    def __post_init__(self) -> None:
        expect(bool(self.compared), "compared", "at least one comparison")
        for i, one in enumerate(self.compared):
            expect(one.decision in DECISIONS, f"compared[{i}].decision", " or ".join(DECISIONS))
