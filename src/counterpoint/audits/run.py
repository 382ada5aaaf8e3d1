"""`audit`: one pass over episodes, all audits side by side. Start there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from counterpoint.audits import agreement, coordination, hacking, idleness, stuck, worth
from counterpoint.audits.base import MOST_EVIDENCE, Audit, Row, places_of
from counterpoint.plugins import Registry
from counterpoint.records import CLEAR, FOUND, Episode, Finding, Outcome

AUDITS = Registry[Audit](
    "counterpoint.audits",
    {
        each.AUDIT.name: each.AUDIT
        for each in (agreement, idleness, coordination, hacking, worth, stuck)
    },
    "a counterpoint.audits.Audit of the same name",
    lambda name, part: isinstance(part, Audit) and part.name == name,
)
"""By name."""
LEVEL = 0.05
"""Chance that a sound team's tests find anything at all, over all tests together (Holm 1979)."""


@dataclass(frozen=True)
class Report:
    """What came of an audit."""

    findings: tuple[Finding, ...]
    """Of every audit that was asked for."""
    episodes: int
    """How many were read."""
    agents: int
    """Different members in them."""
    events: int
    """How many were read."""
    formats: Mapping[str, int]
    """Format to its episodes."""
    sample: tuple[Episode, ...]
    """The first ones and the first in which something stands out, for a timeline."""


def audit(
    episodes: Iterable[Episode],
    outcomes: Sequence[Outcome] = (),
    only: Sequence[str] = (),
    sample: int = 20,
) -> Report:
    """Look at every episode once, and conclude.

    Args:
        episodes: they are taken one by one, and not kept.
        outcomes: of the same tasks alone, in isolation, as a team; empty takes those that the
            episodes themselves tell by their `task` and `success`.
        only: names of audits; empty takes all.
        sample: first episodes that are kept for a timeline, beside those in which something
            stands out.

    Raises:
        UnknownNameError: no audit of that name.
    """
    chosen = [AUDITS.named(name) for name in only] if only else list(AUDITS.values())
    rows: dict[str, list[Row]] = {each.name: [] for each in chosen}
    formats: Counter[str] = Counter()
    agents: set[str] = set()
    events, kept, own = 0, list[Episode](), list[Outcome]()
    places: Counter[tuple[str, str]] = Counter()
    for episode in episodes:
        formats[str(episode.meta.get("format", "?"))] += 1
        agents.update(episode.agents)
        events += len(episode.events)
        told = {each.name: each.look(episode) for each in chosen}
        for name, row in told.items():
            if row is not None:
                rows[name].append(row)
        shown = {(name, key) for name, row in told.items() if row for key in places_of(row)}
        if formats.total() <= sample or any(places[each] < MOST_EVIDENCE for each in shown):
            kept.append(episode)
        places.update(shown)
        if not outcomes and episode.success is not None and episode.task:
            setting = "team" if len(episode.agents) > 1 else "solo"
            own.append(Outcome(episode.task, setting, episode.agents, episode.success))
    found = [f for each in chosen for f in each.conclude(rows[each.name], outcomes or own)]
    return Report(tuple(corrected(found)), formats.total(), len(agents), events, dict(formats),
                  tuple(kept))  # fmt: skip


def corrected(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, those that many tests at once do not bear out turned to clear."""
    tested = sorted((f.p, i) for i, f in enumerate(findings) if f.p is not None)
    found = list(findings)
    held = True
    for rank, (p, i) in enumerate(tested):
        held = held and p <= LEVEL / (len(tested) - rank)
        if not held and found[i].verdict == FOUND:
            reason = f"{found[i].reason}; not beyond chance among {len(tested)} tests"
            found[i] = replace(found[i], verdict=CLEAR, reason=reason)
    return found


def to_json(finding: Finding) -> dict[str, Any]:
    """A finding, ready for JSON."""
    names = ("audit", "name", "value", "low", "high", "n", "null", "p", "verdict", "reason")
    return {name: getattr(finding, name) for name in names} | {
        "evidence": [dict(each) for each in finding.evidence]
    }
