"""`DiagnosisResult`: which agents of a log lose their learning signal, why, and what to use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import field
from msgspec.structs import astuple

from counterpoint.results.parts import Part, Result, Settings, expect

FATAL = frozenset({"all_missing", "constant", "two_runs", "repeated_keys", "too_few"})
"""Codes of the faults that make every number of a diagnosis meaningless, or too uncertain for a
verdict."""


class LogFault(Part, frozen=True, kw_only=True):
    """One thing that is wrong with a log, or that changes how it must be read."""

    code: str
    """One of the codes in the table of `counterpoint.diagnose.faults`."""
    count: int
    """Number of rows, keys, rollouts, prompts or components, as the sentence says."""
    sentence: str
    """The fault and its remedy, in words."""
    agent: str | None = None
    """The agent with the fault; None if it is a fault of the whole log."""

    @property
    def fatal(self) -> bool:
        """Whether no verdict can be given."""
        return self.code in FATAL


class ConditionTest(Part, frozen=True, kw_only=True):
    """One test of one condition for one agent."""

    condition: str
    """`C1`, `C2`, `C3`, `C5` or `C6`."""
    agent: str | None = None
    """The agent, or None where the test is about all of them."""
    p: float | None = None
    """Permutation p-value, or None if no test is needed."""
    q: float | None = None
    """p among all tests of the log (Benjamini-Hochberg)."""
    effect: float | None = None
    """Correlation with the reward (or its square); for C3 the share of rollouts that differ."""
    detected: bool = False
    """Whether the condition holds, at the error rate."""
    level: str = ""
    """The shuffled units: `rollouts`, `prompts` or `steps`."""
    about: str = ""
    """Whether the effect is stronger on the mean or on the spread of the reward."""
    label: str = ""
    """The label, for C5."""


class Decoupling(Part, frozen=True, kw_only=True):
    """Whether per-agent statistics can change what the scheme under judgement learns."""

    verdict: Literal["matters", "no-op", "cannot tell"]
    conditions: list[str]
    """Which of C1, C2, C3, C5, C6 hold in the log."""
    tests: list[ConditionTest]
    error_rate: float
    """Error rate: the largest probability that a log without any of the conditions gets one."""
    not_readable: dict[str, str]
    """Conditions that rewards cannot show, and why."""
    max_difference: float
    """Largest difference of the advantages with and without per-agent statistics, relative to
    them."""


class AgentDiagnosis(Part, frozen=True, kw_only=True):
    """The numbers of one agent of the log; a number is None if it is undefined."""

    norm_inflation: float | None
    inflation: float | None
    """Factor by which pooled statistics divide the signal-to-noise of its advantages."""
    signal_share: float | None
    """Variance of its own rewards over that of the scale that it shares."""
    missing_rate: float | None = None
    """Share of its decisions without a reward."""
    signal_kept: float | None = None
    """Share of its signal that the scheme keeps at most; None too where the log is at fault."""
    dead_rate: float | None
    """Share of its decisions to which no difference of its own rewards arrives."""
    stuck_rate: float | None = None
    """The same among the decisions that could still gain."""
    net_mass: float | None
    """Mean advantage."""
    participation: float | None
    """Share of the rollouts in which it acts."""
    resolution: float | None
    """Distinct advantages in a prompt and update."""
    decisions: float
    """Its decisions, with or without a reward."""
    mean: float | None
    """Mean reward."""
    deviation: float | None
    """Standard deviation of its reward."""
    scale_ratio: float | None
    """Its standard deviation over the largest one in the team."""
    spike_rate: float | None
    """Share of its advantages that running statistics blow up."""
    influence: float | None
    """Share of the reward's variance that its choices explain."""
    entropy: float | None
    """Entropy of its choices, in nats."""
    cause: str | None
    """One of `counterpoint.diagnose.CAUSES`, or None."""
    remedy: str | None
    evidence: str
    """The numbers behind the cause, as a sentence."""


class AgentTimeline(Part, frozen=True, kw_only=True):
    """[T] numbers of one agent over the updates, as in `AgentDiagnosis`; None where undefined."""

    inflation: list[float | None]
    signal_share: list[float | None]
    dead_rate: list[float | None]
    stuck_rate: list[float | None] | None = None
    net_mass: list[float | None]
    cause: list[str | None]


class Timeline(Part, frozen=True, kw_only=True):
    """The agents over the updates of the log."""

    step: list[int]
    """[T] numbers of the updates."""
    agents: dict[str, AgentTimeline]


class Kept(Part, frozen=True, kw_only=True):
    """The share of each agent's signal that a scheme keeps on this log."""

    scheme: str
    signal_kept: dict[str, float | None]
    """Agent to the share of its signal that is kept at most; None where there is none."""
    dead_rate: dict[str, float | None]


class Recommendation(Kept, frozen=True, kw_only=True):
    """The scheme to use instead."""

    change: str = ""
    """The difference of the scheme, as the subject of a sentence."""


class DiagnosisResult(Result, frozen=True, kw_only=True, tag="counterpoint.diagnosis/1"):
    """The diagnosis of a log of rewards of a team under one scheme."""

    scheme: str
    """Name of the scheme under judgement."""
    log_faults: list[LogFault] = field(default_factory=list)
    """The faults of the log, and the facts that change how it is read; the worst first."""
    rows: int
    """Decisions in the log."""
    updates: int
    """Training updates in the log."""
    decoupling: Decoupling
    agents: dict[str, AgentDiagnosis]
    timeline: Timeline
    groupings: dict[str, Kept] = field(default_factory=dict)
    """Grouping of the statistics to what it keeps; empty where the log is at fault."""
    best_grouping: str | None = None
    """The grouping that keeps most of the agents' signal, the coarsest of equal ones."""
    signal_kept: str = ""
    """The definition of `signal_kept`, in words."""
    recommended: str | None
    """Name of the scheme to use instead; None where none is better, or the log cannot tell."""
    recommendation: Recommendation | None = None
    """That scheme with its numbers on this log."""
    why: str
    """Why, in words."""
    source: str = ""
    """File name of the log."""
    config: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        expect(bool(self.agents), "agents", "at least one agent")
        self._require_agents("timeline.agents", self.timeline.agents)
        for name, agent in self.timeline.agents.items():
            sizes = {len(column) for column in astuple(agent) if column is not None}
            whole = sizes == {len(self.timeline.step)}
            expect(whole, f"timeline.agents.{name}", "a value for each of $.timeline.step")
        judged: dict[str, Kept] = {f"groupings.{name}": g for name, g in self.groupings.items()}
        if self.recommendation is not None:
            judged["recommendation"] = self.recommendation
        for path, kept in judged.items():
            self._require_agents(f"{path}.signal_kept", kept.signal_kept)
            self._require_agents(f"{path}.dead_rate", kept.dead_rate)
        best = self.best_grouping
        expect(best is None or best in self.groupings, "best_grouping", "one of $.groupings")

    def _require_agents(self, path: str, names: Iterable[str]) -> None:
        expect(set(names) == set(self.agents), path, "one for each of $.agents")
