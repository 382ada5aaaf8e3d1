"""`ContributionResult`: what each member of a team adds, from the scores of its subsets."""

from __future__ import annotations

from msgspec import field

from counterpoint.results.parts import Part, Result, Settings, expect


class Effect(Part, frozen=True, kw_only=True):
    """What a member adds to the score. The null is 0: a member without whom nothing changes."""

    value: float
    low: float
    """Lower end of the interval; those of all members hold together at 95%."""
    high: float
    n: int
    """Number of tasks."""
    p: float
    """Of the sign-flip test that it is 0."""
    null: float = 0.0
    decision: str
    """`helps`, `hurts`, `no effect` (within the margin) or `cannot tell`."""
    tasks_needed: int | None = None
    """About how many more tasks would decide with probability 0.8; None if it is decided, or if no
    number would do."""


class MemberContribution(Part, frozen=True, kw_only=True):
    """What one member adds."""

    leave_one_out: Effect | None = None
    """Score of the whole team less its score without the member."""
    shapley: Effect | None = None
    """The mean of what the member adds to the members before it, over all orders."""
    cost: float | None = None
    """Mean cost of the whole team less its cost without the member, in the unit of the table."""
    reasons: list[str] = field(default_factory=list)
    """Why something is not computable."""


class Cover(Part, frozen=True, kw_only=True):
    """How far two members stand in for each other."""

    first: str
    second: str
    value: float
    """Score of all, less that without the first, less that without the second, plus that without
    both. Below 0 each covers for the other; above 0 they need each other."""
    low: float
    high: float
    n: int
    """Number of tasks."""


class ContributionResult(Result, frozen=True, kw_only=True, tag="counterpoint.contribution/1"):
    """What each member of a team adds."""

    source: str
    config: Settings = field(default_factory=dict)
    tasks: int
    """Number of tasks in the table."""
    margin: float
    """The largest effect that does not matter."""
    team: float | None = None
    """Mean score of the whole team; None if it never worked as a whole."""
    members: dict[str, MemberContribution]
    covers: list[Cover]
    """The pairs for which it can be computed, substitutes first."""
    missing: list[str]
    """Subsets of the team that no task has, as names joined by `+`, the largest first; the first 20
    of them. Of a team of more than 10 members only those that leave out one member or none."""
    missing_total: int
    """Number of such subsets."""

    def __post_init__(self) -> None:
        expect(len(self.members) > 1, "members", "at least two members")
