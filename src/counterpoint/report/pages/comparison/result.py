"""A comparison document as values with names: what every table and picture of it reads.

`read_comparison` is the one place that knows the document's keys. Absent parts become None or
empty, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from counterpoint.report.toolkit.document import Document, items, mapping, number, series, text
from counterpoint.report.toolkit.estimate import (
    Band,
    Estimate,
    Values,
    padded,
    read_band,
    read_estimate,
)
from counterpoint.report.toolkit.numerals import counted
from counterpoint.stats.decision import Contrast, Decision, decide

KINDS = ("exact", "steps", "text")
"""Of worlds."""


@dataclass(frozen=True)
class AgentResult:
    """One agent under one scheme."""

    accuracy: Estimate
    kept: Estimate
    """Share of its signal that the scheme keeps."""
    noise: Estimate
    """Share of its gradient that is noise under the best statistics."""
    is_collapsed: bool | None
    """Whether the scheme collapses it; None where too little was measured."""
    difficulty: str | None
    """What makes its task hard whatever normalizes: DILUTED, or nothing."""
    cause: str | None
    remedy: str
    measures: dict[str, float | None]
    """Those named in `MEASURES`."""
    accuracies: Values
    """[T] at the points of the scheme's curve."""
    kept_lately: Values
    """[T] share of its signal kept in the last measurements."""
    collapsed: Values
    """[T] share of seeds in which it is collapsed."""
    causes: list[str | None]
    """[T] the cause named most often."""


@dataclass(frozen=True)
class SchemeResult:
    """One scheme or baseline."""

    name: str
    title: str
    citation: str
    kind: str
    returns: Estimate
    normalized: Estimate
    weighted_returns: Estimate
    """The return with its parts weighted by the reward paid for them."""
    credit: Estimate
    """How far credit goes with the agents' own rewards, under a common reward."""
    agents: dict[str, AgentResult]
    curve: Band


@dataclass(frozen=True)
class Difference:
    """A scheme minus its reference over paired seeds."""

    versus: str
    returns: Contrast
    weighted_returns: Contrast
    p_improvement: float | None

    @property
    def reversed(self) -> Difference:
        """The reference minus the scheme."""
        p = self.p_improvement
        back = None if p is None else 1 - p
        weighted = self.weighted_returns.reversed
        return Difference("", self.returns.reversed, weighted, back)


@dataclass(frozen=True)
class Contest:
    """The two arms that the verdict is about, and the first minus the second.

    The first is the recommended scheme; where none is, the one that differs most from the
    reference.
    """

    ours: SchemeResult
    theirs: SchemeResult
    difference: Difference


@dataclass(frozen=True)
class Control:
    """The same comparison with everybody present."""

    setting: str
    schemes: dict[str, SchemeResult]
    decoupling: str
    max_advantage_difference: float | None
    max_curve_difference: float | None


@dataclass(frozen=True)
class Comparison:
    """A whole comparison; schemes in the order in which they were asked for."""

    world: str
    summary: str
    version: str
    config: dict[str, Any]
    seeds: list[int]
    agents: list[str]
    kind: str
    """Of the world: `exact`, `steps`, or `text`, where language models were trained."""
    axis: str
    """What curves run along: `update`, or `step` where networks were trained."""
    references: dict[str, float]
    """Name to return, best first."""
    scale: str
    """Whose the reference is, and on which scale; nothing where returns are exact."""
    schemes: dict[str, SchemeResult]
    differences: dict[str, Difference]
    control: Control | None
    decoupling: str
    decoupled: str
    why: str
    """Empty in documents of earlier versions, which followed another rule."""
    decision: Decision

    @property
    def recommended(self) -> str:
        """The scheme to use, or nothing."""
        return self.decision.recommended or ""

    @property
    def sampled(self) -> bool:
        """Whether teams were evaluated by sampled episodes: returns are exact otherwise."""
        return self.kind != "exact"

    @property
    def ranked(self) -> list[SchemeResult]:
        """The schemes, highest return first; those without one last."""
        found = self.schemes.values()
        return sorted(found, key=lambda s: (s.returns.value is None, -(s.returns.value or 0.0)))

    @property
    def versus(self) -> str:
        """The one reference that all differences share, or nothing."""
        found = {d.versus for d in self.differences.values()}
        return found.pop() if len(found) == 1 else ""

    @property
    def contest(self) -> Contest | None:
        """The two arms of the decision; None where nothing was compared."""
        arm = self.decision.arm
        if arm is None:
            return None
        one, reference = self.schemes[arm], self.schemes[self.decision.reference]
        if self.decision.recommended == reference.name:
            return Contest(reference, one, self.differences[arm].reversed)
        return Contest(one, reference, self.differences[arm])

    @property
    def seed_count(self) -> str:
        """`10 seeds`."""
        return counted(len(self.seeds), "seed")


def read_comparison(document: Document) -> Comparison:
    """The comparison in a document that `open_document` has let in."""
    verdict, references = mapping(document, "verdict"), mapping(document, "references")
    entries = mapping(document, "schemes")
    axis, kind = text(document.get("axis")) or "update", text(document.get("kind"))
    schemes = {name: _scheme(name, mapping(entries, name), axis) for name in entries}
    named = [text(a) for a in items(document, "agents")]
    seen = list(dict.fromkeys(a for scheme in schemes.values() for a in scheme.agents))
    compared = mapping(document, "differences")
    differences = {name: _difference(mapping(compared, name)) for name in compared}
    seeds = [int(s) for s in series(document, "seeds") if s is not None]
    return Comparison(
        world=text(document.get("world")),
        summary=text(document.get("summary")),
        version=text(document.get("version")),
        config=dict(mapping(document, "config")),
        seeds=seeds,
        agents=named or seen,
        kind=kind if kind in KINDS else "steps" if axis == "step" else "exact",
        axis=axis,
        references=_references(references, "words" if kind == "text" else "actions"),
        scale=text(references.get("scale")),
        schemes=schemes,
        differences=differences,
        control=_control(mapping(document, "control")),
        decoupling=text(verdict.get("decoupling")),
        decoupled=text(verdict.get("decoupled")),
        why=text(verdict.get("why")) if "decision" in verdict else "",
        decision=decision_of(schemes, differences, len(seeds) or counted_seeds(schemes)),
    )


def counted_seeds(schemes: Mapping[str, SchemeResult]) -> int:
    """How many seeds every scheme has, where the document does not list them."""
    return min((s.returns.n or 0 for s in schemes.values()), default=0)


def decision_of(
    schemes: Mapping[str, SchemeResult], differences: Mapping[str, Difference], seeds: int
) -> Decision:
    """What to use: `stats.decide` on the schemes that were compared with one reference.

    A baseline that needs the world is recommended only where nothing else was compared.
    """
    versus = next((d.versus for d in differences.values() if d.versus in schemes), "")
    contrasts = {
        name: difference.returns
        for name, difference in differences.items()
        if versus and difference.versus == versus and name in schemes and name != versus
    }
    levels = {n: s.returns.value for n, s in schemes.items() if s.returns.value is not None}
    candidates = [name for name, scheme in schemes.items() if scheme.kind != "baseline"]
    return decide(levels, contrasts, versus, seeds, candidates)


def _references(entry: Document, what: str) -> dict[str, float]:
    titles = {
        "optimal": "best possible",
        "reference": "reference team",
        "random": f"random {what}",
    }
    found = {title: number(entry.get(key)) for key, title in titles.items()}
    return {title: value for title, value in found.items() if value is not None}


def _scheme(name: str, entry: Document, axis: str = "update") -> SchemeResult:
    curves, agents = mapping(entry, "curves"), mapping(entry, "agents")
    curve = read_band(curves, axis)
    return SchemeResult(
        name=name,
        title=text(entry.get("title")),
        citation=text(entry.get("citation")),
        kind=text(entry.get("kind")),
        returns=read_estimate(entry, "return"),
        normalized=read_estimate(entry, "normalized"),
        weighted_returns=_weighted(entry),
        credit=read_estimate(entry, "credit_correlation"),
        agents={
            a: _agent(mapping(agents, a), mapping(curves, "agents", a), len(curve.at))
            for a in agents
        },
        curve=curve,
    )


def _weighted(entry: Document) -> Estimate:
    """The reward-weighted return, which earlier documents called `price`."""
    return read_estimate(entry, _weighted_key(entry))


def _weighted_key(entry: Document) -> str:
    return "weighted_return" if "weighted_return" in entry else "price"


def _contrast(entry: Document) -> Contrast:
    keys = ("iqm", "low", "high", "p", "mean", "deviation")
    return Contrast(*(number(entry.get(key)) for key in keys))


def _agent(entry: Document, curves: Document, count: int) -> AgentResult:
    low, high = number(entry.get("accuracy_low")), number(entry.get("accuracy_high"))
    causes = [text(c) or None for c in items(curves, "cause")]
    return AgentResult(
        accuracy=Estimate(number(entry.get("accuracy")), low, high),
        kept=read_estimate(entry, "signal_kept"),
        noise=read_estimate(entry, "task_noise"),
        is_collapsed=_flag(entry.get("collapsed")),
        difficulty=text(entry.get("difficulty")) or None,
        cause=text(entry.get("cause")) or None,
        remedy=text(entry.get("remedy")),
        measures={k: number(entry.get(k)) for k in MEASURES},
        accuracies=padded(series(curves, "accuracy"), count),
        kept_lately=padded(series(curves, "signal_kept"), count),
        collapsed=padded(series(curves, "collapsed"), count),
        causes=(causes + [None] * count)[:count],
    )


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


MEASURES = ("inflation", "signal_share", "dead_rate", "snr", "credit_correlation")


def _difference(entry: Document) -> Difference:
    return Difference(
        versus=text(entry.get("versus")),
        returns=_contrast(entry),
        weighted_returns=_contrast(mapping(entry, _weighted_key(entry))),
        p_improvement=number(entry.get("p_improvement")),
    )


def _control(entry: Document) -> Control | None:
    if not entry:
        return None
    schemes = mapping(entry, "schemes")
    return Control(
        setting=text(entry.get("setting")),
        schemes={name: _scheme(name, mapping(schemes, name)) for name in schemes},
        decoupling=text(entry.get("decoupling")),
        max_advantage_difference=number(entry.get("max_advantage_difference")),
        max_curve_difference=number(entry.get("max_curve_difference")),
    )
