"""`RankingResult`: the ranking of groups of runs by a judge, and its cost."""

from __future__ import annotations

from msgspec import field

from counterpoint.results.parts import Part, Result, Settings, expect


class Strength(Part, frozen=True, kw_only=True):
    """Log-strength of a run and its 95% interval; None where it is not finite."""

    value: float | None
    low: float | None
    high: float | None


class Unseen(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What a judge does not read of a run."""

    characters: int
    """Number of characters of the run, before a cut."""
    cut_characters: int = 0
    """Number of them that are cut out of its middle."""
    invisible_characters: int = 0
    """Number of control and zero-width characters, which are taken out."""
    parts: dict[str, int] = field(default_factory=dict)
    """Kind to number of pictures and other parts that are no text: a mark is shown for each."""
    reasoning: int = 0
    """Number of reasoning texts that are not shown."""
    empty: bool = False
    """Whether the run has no text at all."""
    alike: bool = False
    """Whether another run of the group, which is not the same, is shown with the same text."""


class UnseenTotal(Part, frozen=True, kw_only=True):
    """What a judge does not read of all runs together."""

    runs: int
    """Number of all runs."""
    cut_runs: int
    """Number of runs that are cut."""
    cut_characters: int
    """Number of characters that are cut out of them."""
    longest: int
    """Number of characters of the longest run that is cut; 0 if none is."""
    invisible_characters: int
    parts: dict[str, int]
    """Kind to number of pictures and other parts that are no text."""
    reasoning: int
    """Number of reasoning texts that are not shown."""
    empty_runs: int
    """Number of runs without any text."""
    alike_runs: int
    """Number of runs that differ from another one only in what is not shown."""


class RankedGroup(Part, frozen=True, kw_only=True, omit_defaults=True):
    """The result of one group: `ranking` or `void`, or neither if only agents were ranked."""

    group: str
    """Id of the group."""
    void: str = ""
    """Why there are no rewards."""
    ranking: list[list[str]] = field(default_factory=list)
    """Tied sets of run ids, best first."""
    reliability: float | None
    """How far orders of the same runs agree, 0 to 1; None if nothing was ranked twice."""
    rewards: dict[str, float]
    """Run to reward, with mean 0; empty if the group is void."""
    strengths: dict[str, Strength]
    """Run to strength."""
    agents: dict[str, dict[str, float]] = field(default_factory=dict)
    """Run to agent to reward, if the members of each run were ranked."""
    calls: int
    """How often the judge was asked, repairs and canaries included."""
    repaired: int
    """Replies that could not be read and were asked for again."""
    lost: int
    """Questions that brought no reply."""
    tokens: int | None
    """None if nobody counted."""
    cost_dollars: float | None
    """None if the price is not known."""
    unseen: dict[str, Unseen] = field(default_factory=dict)
    """Run to what the judge does not read of it; without the runs that are shown in full."""


class RankingResult(Result, frozen=True, kw_only=True, tag="counterpoint.rank/1"):
    """The ranking of groups of runs by a judge."""

    judge: dict[str, str]
    """The facts on which the opinions of the judge depend."""
    settings: Settings
    """The settings of the questions and of the rewards."""
    groups: list[RankedGroup]
    void: int
    """Number of void groups."""
    calls: int
    """How often the judge was asked about these groups, now or earlier."""
    asked_now: int
    """How often it was asked now; the other replies were kept from earlier."""
    lost: int = 0
    """Questions that got no reply, or were not asked because others had been refused."""
    why_lost: str = ""
    """Why the first of them got none."""
    tokens: int | None
    """None if nobody counted."""
    cost_dollars: float | None
    """None if the price is not known."""
    unseen: UnseenTotal | None = None
    """What the judge does not read; None in results of earlier versions."""
    config: Settings = field(default_factory=dict)
    """`file`, `judge` and `settings`, as the user gave them."""

    def __post_init__(self) -> None:
        for i, group in enumerate(self.groups):
            ranked_or_void = not (group.ranking and group.void)
            expect(ranked_or_void, f"groups[{i}].ranking", "none in a void group")
