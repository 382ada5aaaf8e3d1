"""`audit`: one pass over episodes, all audits side by side. Start there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from counterpoint import __version__
from counterpoint.audits import agreement, coordination, hacking, idleness, stuck, worth
from counterpoint.audits.base import MOST_EVIDENCE, Audit, Row, places_of
from counterpoint.audits.timeline import timeline
from counterpoint.plugins import Registry
from counterpoint.records import CLEAR, FOUND, Episode, Finding, Outcome
from counterpoint.results.audit import AuditResult, Timeline

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


def audit(
    episodes: Iterable[Episode],
    outcomes: Sequence[Outcome] = (),
    only: Sequence[str] = (),
    sample: int = 20,
    source: str = "",
) -> AuditResult:
    """Returns what the audits find after they have looked at every episode once.

    Args:
        episodes: they are taken one by one, and not kept.
        outcomes: of the same tasks alone, in isolation, as a team; empty takes those that the
            episodes themselves tell by their `task` and `success`.
        only: names of audits; empty takes all.
        sample: number of first episodes that get a timeline, beside those in which something
            stands out.
        source: name of the log or table.

    Raises:
        UnknownNameError: no audit of that name.
    """
    chosen = [AUDITS.named(name) for name in only] if only else list(AUDITS.values())
    rows: dict[str, list[Row]] = {each.name: [] for each in chosen}
    formats: Counter[str] = Counter()
    agents: set[str] = set()
    events, timelines, own = 0, list[Timeline](), list[Outcome]()
    shown: Counter[tuple[str, str]] = Counter()
    for episode in episodes:
        formats[str(episode.meta.get("format", "?"))] += 1
        agents.update(episode.agents)
        events += len(episode.events)
        looks = {each.name: each.look(episode) for each in chosen}
        for name, row in looks.items():
            if row is not None:
                rows[name].append(row)
        places = {(name, key) for name, row in looks.items() if row for key in places_of(row)}
        if formats.total() <= sample or any(shown[each] < MOST_EVIDENCE for each in places):
            timelines.append(timeline(episode))
        shown.update(places)
        if not outcomes and episode.success is not None and episode.task:
            setting = "team" if len(episode.agents) > 1 else "solo"
            own.append(Outcome(episode.task, setting, episode.agents, episode.success))
    findings = [f for each in chosen for f in each.conclude(rows[each.name], outcomes or own)]
    return AuditResult(
        version=__version__,
        source=source,
        config={"source": source},
        format=", ".join(sorted(formats)),
        formats=dict(formats),
        episodes=formats.total(),
        agents=len(agents),
        events=events,
        findings=corrected(findings),
        timelines=timelines,
        skipped=[],
    )


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
