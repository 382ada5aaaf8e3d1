"""`ComparisonResult`: the returns of teams under each scheme, and the scheme to use.

The recommendation follows from the numbers alone: `ComparisonResult.decision` computes it by
`stats.decide`, so that a saved verdict can never contradict the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec import field

from counterpoint.results.parts import Document, Part, Result, SeedMean, Settings, expect
from counterpoint.results.training import TalkVerdict, talk_verdict
from counterpoint.stats.decision import Contrast, Decision, decide

UNKNOWN = SeedMean(iqm=None, low=None, high=None)


class Band(Part, frozen=True, kw_only=True):
    """[X] a return along a training; None where a seed has no return yet."""

    iqm: list[float | None]
    low: list[float | None] | None
    """[X] lower ends; None with one seed."""
    high: list[float | None] | None
    """[X] upper ends; None with one seed."""


class AgentCurves(Part, frozen=True, kw_only=True):
    """[X] one agent along a training; None where too little was measured."""

    accuracy: list[float | None] | None
    """[X] probability of the right action; None if the world has no right action."""
    signal_kept: list[float | None] | None = None
    """[X] share of its signal that the scheme kept in the last measurements."""
    collapsed: list[float | None]
    """[X] share of the seeds in which the scheme collapses it."""
    cause: list[str | None]
    """[X] the cause that most seeds name."""


class Curves(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A training at X points, along updates or along steps."""

    update: list[int] | None = None
    """[X]"""
    step: list[int] | None = None
    """[X]"""
    returns: Band = field(name="return")
    agents: dict[str, AgentCurves] = field(default_factory=dict)

    @property
    def at(self) -> list[int]:
        """[X] the updates or the steps."""
        return self.update or self.step or []

    def __post_init__(self) -> None:
        known = (self.update is None) != (self.step is None)
        expect(known, "update", "update or step, one of them")
        band = self.returns
        self._require_points("return", (band.iqm, band.low, band.high))
        for name, one in self.agents.items():
            columns = (one.accuracy, one.signal_kept, one.collapsed, one.cause)
            self._require_points(f"agents.{name}", columns)

    def _require_points(
        self, path: str, columns: tuple[list[float | None] | list[str | None] | None, ...]
    ) -> None:
        sizes = {len(column) for column in columns if column is not None}
        expect(sizes == {len(self.at)}, path, f"{len(self.at)} values, one a point")


class AgentResult(Part, frozen=True, kw_only=True):
    """One agent under one scheme; None means that a number is not known."""

    accuracy: float | None = None
    """Probability of the right action at the end."""
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    signal_kept: SeedMean = UNKNOWN
    """Share of its signal that the scheme keeps."""
    task_noise: SeedMean = UNKNOWN
    """Share of its gradient that is noise under the best statistics."""
    collapsed: bool | None = None
    """Whether the scheme collapses it; None where too little was measured."""
    cause: str | None = None
    """One of `counterpoint.diagnose.CAUSES`, or None."""
    remedy: str | None = None
    difficulty: str | None = None
    """The cause that makes its task hard under every normalization: DILUTED, or None."""
    expected: str | None = None
    """The cause that the first tenth of the training was enough to expect."""
    returns: SeedMean | None = field(name="return", default=None)
    """Its part of the team's return; None where the return has no parts."""
    inflation: float | None = None
    signal_share: float | None = None
    dead_rate: float | None = None
    participation: float | None = None
    influence: float | None = None
    """Share of the reward's variance that its choices explain."""
    snr: float | None = None
    """Signal-to-noise ratio of its gradient."""
    credit_correlation: float | None = None


class TeamMessages(Part, frozen=True, kw_only=True):
    """What messages carry under one scheme: means over its speakers and listeners in each seed."""

    said_bits: SeedMean
    """Mutual information of what is seen and said."""
    heard_bits: SeedMean | None = None
    """Mutual information of what is heard and done; None if it is not known."""
    worth: SeedMean
    """Return, minus that of the same episodes with messages exchanged."""

    scale: float | None = None
    """Return of a good team minus that of a random one; None if it is not known."""

    @property
    def verdict(self) -> TalkVerdict:
        """Whether exchanging messages costs return, over the seeds: see `talk_verdict`."""
        return talk_verdict(self.worth.low, self.worth.high, self.scale)


class SchemeResult(Part, frozen=True, kw_only=True):
    """One scheme or baseline, or one algorithm in the place of a scheme."""

    title: str = ""
    citation: str = ""
    kind: Literal["scheme", "baseline", "algorithm"] = "scheme"
    returns: SeedMean = field(name="return")
    normalized: SeedMean | None = None
    """The return on a scale on which 0 is a random team and 1 the reference team."""
    normalized_reason: str | None = None
    """Why the return is not normalized."""
    weighted_return: SeedMean | None = None
    """The reward-weighted return; None if it equals the return."""
    credit_correlation: SeedMean | None = None
    """Correlation of credit with the agents' own rewards, under a common reward."""
    gained: SeedMean | None = None
    """The return of the last tenth of the training minus that of its first tenth; None if there are
    fewer than two points."""
    doubts: list[str] = field(default_factory=list)
    """What is wrong with its trainings, and in how many seeds."""
    messages: TeamMessages | None = None
    """None if no agent of the world speaks, or if that is not known of each seed."""
    agents: dict[str, AgentResult]
    curves: Curves
    tally: dict[str, int] = field(default_factory=dict)
    """Edge case of normalization to its count, over updates and seeds."""

    def __post_init__(self) -> None:
        known = set(self.curves.agents) <= set(self.agents)
        expect(known, "curves.agents", "names of the scheme's agents")


class PairedDifference(Part, frozen=True, kw_only=True):
    """A return minus that of the reference over paired seeds; one seed has no more than `iqm`."""

    iqm: float
    """Difference of the two interquartile means."""
    low: float | None
    high: float | None
    p: float | None = None
    """Two-sided p of the paired t-test."""
    mean: float | None = None
    """Mean of the paired differences."""
    deviation: float | None = None
    """Sample standard deviation of the paired differences."""
    p_improvement: float | None = None
    """Share of the seeds in which the scheme is ahead; ties count half."""

    @property
    def contrast(self) -> Contrast:
        """The numbers from which a decision follows."""
        return Contrast(self.iqm, self.low, self.high, self.p, self.mean, self.deviation)


class Difference(PairedDifference, frozen=True, kw_only=True):
    """A scheme minus the reference of the comparison, in return and in reward-weighted return."""

    versus: str
    """Name of the reference."""
    weighted_return: PairedDifference | None = None

    @property
    def weighted_contrast(self) -> Contrast:
        """The same numbers of the reward-weighted return."""
        return self.weighted_return.contrast if self.weighted_return else Contrast()


class ControlScheme(Part, frozen=True, kw_only=True):
    """One scheme of the control."""

    returns: SeedMean = field(name="return")
    curves: Curves


class Control(Part, frozen=True, kw_only=True):
    """The same world with all agents present, or with equal rewards: decoupling must change
    nothing."""

    setting: str
    schemes: dict[str, ControlScheme]
    """Empty where nothing is trained: advantages are compared then."""
    max_advantage_difference: float | None
    max_curve_difference: float | None
    decoupling: str
    """`no-op`, `matters` or `cannot tell`."""


class References(Part, frozen=True, kw_only=True):
    """Returns to compare with; None means that a return is not known."""

    random: float | None = None
    """Return of a team that chooses uniformly."""
    optimal: float | None = None
    """The best possible return, in an exact world."""
    reference: float | None = None
    """Return of a good team, in any other world."""
    silent: float | None = None
    """Return of a good team that does not talk, in worlds with speakers."""
    scale: str | None = None
    """The scale of the returns, and the source of the reference."""


class ComparisonVerdict(Part, frozen=True, kw_only=True):
    """The conclusions of a comparison, in words."""

    decoupling: str = ""
    """`matters`, `no-op` or `cannot tell`: whether per-agent statistics can change anything."""
    conditions: list[str] = field(default_factory=list)
    """Conditions under which they can: C1 to C7."""
    decoupled: str | None = None
    """The scheme that decouples the reference."""
    effect: str | None = None
    """The effect of decoupling on the return: `helps`, `hurts`, `tie` where both schemes are equal
    on every seed, or `cannot tell`; None where they were not both compared."""
    recommended: str | None = None
    headline: str = ""
    """At most 15 words."""
    why: str = ""
    """The numbers and the rule."""
    decision: Decision | None = None
    """`ComparisonResult.decision` when it was saved; None in files that followed another rule."""


@dataclass(frozen=True)
class Contest:
    """The two schemes that the decision is about, and the first minus the second.

    The first is the recommended scheme; where none is, the one that differs most from the
    reference.
    """

    ours: str
    theirs: str
    returns: Contrast
    weighted_returns: Contrast
    p_improvement: float | None


class ComparisonResult(Result, frozen=True, kw_only=True, tag="counterpoint.comparison/1"):
    """Schemes over the same seeds on one world; schemes in the order in which they were given."""

    world: str
    summary: str = ""
    kind: Literal["exact", "steps", "text"]
    """The kind of the world: exactly evaluated, sequential, or a text environment."""
    axis: Literal["update", "step"]
    """The axis of the curves."""
    references: References
    config: Settings
    seeds: list[int]
    agents: list[str]
    schemes: dict[str, SchemeResult]
    differences: dict[str, Difference]
    """Scheme to its difference from the one reference."""
    control: Control | None
    verdict: ComparisonVerdict = field(default_factory=ComparisonVerdict)

    def __post_init__(self) -> None:
        expect(bool(self.schemes), "schemes", "at least one scheme")
        for name, scheme in self.schemes.items():
            known = set(scheme.agents) == set(self.agents)
            expect(known, f"schemes.{name}.agents", "one for each of $.agents")
        for name, difference in self.differences.items():
            path = f"differences.{name}"
            expect(name in self.schemes, path, "a name of $.schemes")
            one = difference.versus == self.versus and self.versus in self.schemes
            expect(one, f"{path}.versus", "one reference, a name of $.schemes")

    @property
    def ranked(self) -> dict[str, SchemeResult]:
        """The schemes, highest return first; those without a return last."""
        values = {name: scheme.returns.iqm for name, scheme in self.schemes.items()}
        order = sorted(values, key=lambda name: (values[name] is None, -(values[name] or 0.0)))
        return {name: self.schemes[name] for name in order}

    @property
    def versus(self) -> str:
        """The reference of all differences; empty where there is no difference."""
        return next((one.versus for one in self.differences.values()), "")

    @property
    def decision(self) -> Decision:
        """The recommendation: `stats.decide` on the differences and the returns.

        A baseline that needs the world is recommended only if nothing else was compared.
        """
        levels = {n: s.returns.iqm for n, s in self.schemes.items() if s.returns.iqm is not None}
        contrasts = {n: d.contrast for n, d in self.differences.items() if n != self.versus}
        candidates = [name for name, s in self.schemes.items() if s.kind != "baseline"]
        return decide(levels, contrasts, self.versus, len(self.seeds), candidates)

    @property
    def contest(self) -> Contest | None:
        """The two schemes of the decision; None if nothing was compared."""
        decision = self.decision
        if decision.arm is None:
            return None
        difference, reference = self.differences[decision.arm], decision.reference
        returns, weighted = difference.contrast, difference.weighted_contrast
        ahead = difference.p_improvement
        if decision.recommended != reference:
            return Contest(decision.arm, reference, returns, weighted, ahead)
        behind = None if ahead is None else 1 - ahead
        return Contest(reference, decision.arm, returns.reversed, weighted.reversed, behind)


def earlier_comparison(document: Document) -> Document:
    """Returns a document of an earlier version with the names that its parts have today.

    The reward-weighted return was called `price`. Curves without an `axis` run along updates, and
    without a `kind` of the world the axis tells which kind it is.
    """
    axis = document.get("axis", "update")
    renamed = {
        part: {
            name: {"weighted_return": entry["price"], **entry}
            if isinstance(entry, Mapping) and "price" in entry
            else entry
            for name, entry in document[part].items()
        }
        for part in ("schemes", "differences")
        if isinstance(document.get(part), Mapping)
    }
    return {"kind": "steps" if axis == "step" else "exact", "axis": axis, **document, **renamed}
