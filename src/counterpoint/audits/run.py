"""`audit` looks at episodes with all audits, in one pass; `audit_logs` reads them from files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from counterpoint import __version__
from counterpoint.audits import (
    agreement,
    attribution,
    coordination,
    cost,
    endings,
    hacking,
    idleness,
    stuck,
    worth,
)
from counterpoint.audits.across import Tally
from counterpoint.audits.base import Audit, Look, Row, outcome_of, quote_of
from counterpoint.audits.cases import CaseShelf
from counterpoint.audits.idleness import idle
from counterpoint.audits.judged import JudgedTally
from counterpoint.audits.transcript import MOST_ROWS, episode_row, transcript
from counterpoint.errors import NothingDoneError
from counterpoint.judge.mistakes import Judging
from counterpoint.plugins import Registry
from counterpoint.readers.logs import Names, Notes, noted_episodes
from counterpoint.records import CANNOT_TELL, FOUND, Case, Episode, Finding, Outcome
from counterpoint.results.audit import AuditResult, Mark, MessageCount, Timeline
from counterpoint.results.transcript import EpisodeRow, Transcript
from counterpoint.runs.stream import stream

AUDITS = Registry[Audit[Any]](
    "counterpoint.audits",
    {
        each.AUDIT.name: each.AUDIT
        for each in (
            stuck,
            endings,
            idleness,
            agreement,
            coordination,
            hacking,
            cost,
            worth,
            attribution,
        )
    },
    "a counterpoint.audits.Audit of the same name",
    lambda name, part: isinstance(part, Audit) and part.name == name,
)
"""By name."""
LEVEL = 0.05
"""The probability of any finding in a sound team, over all tests together (Holm 1979)."""
JUDGED = "judge", "mistake"
"""The name of a judge's opinion on the page of an episode; it is no finding."""
MOST_TIMELINES = 400
"""The most timelines of episodes with cases that are held before the mild ones are dropped."""
MOST_MARKS = 200
"""The most events of an episode in a timeline."""


def audit(
    episodes: Iterable[Episode],
    outcomes: Sequence[Outcome] = (),
    only: Sequence[str] = (),
    sample: int = 20,
    source: str = "",
    on_transcript: Callable[[Transcript], object] | None = None,
    judging: Judging | None = None,
    workers: int = 1,
) -> AuditResult:
    """Returns what the audits find after they have looked at every episode once.

    Args:
        episodes: they are taken one by one, and not kept.
        outcomes: outcomes of the same tasks alone, in isolation and as a team. If there are none,
            the `task` and `success` of the episodes are the outcomes.
        only: names of audits; empty means all.
        sample: the number of first episodes with a timeline. Those of the worst cases have one too.
        source: the name of the log or table.
        on_transcript: called with the transcript of each episode that is listed, as it is read.
        judging: what a judge says about the mistakes of these episodes, if one was asked.
        workers: the number of processes that look at a long log; the result is the same.

    Raises:
        UnknownNameError: There is no audit of that name.
        WorkerError: A process was killed.
    """
    chosen = [AUDITS.named(name) for name in only] if only else list(AUDITS.values())
    rows: dict[str, list[Row]] = {each.name: [] for each in chosen}
    formats: Counter[str] = Counter()
    agents: set[str] = set()
    events, timelines, own = 0, list[Timeline](), list[Outcome]()
    listed, late = list[EpisodeRow](), 0
    shelf, tally, later, outside = CaseShelf(), Tally(), dict[str, Timeline](), 0
    judged = JudgedTally(judging) if judging else None
    looks = partial(_looks, tuple(each.name for each in chosen))
    for episode, seen_by in stream(looks, episodes, workers):
        formats[str(episode.meta.get("format", "?"))] += 1
        agents.update(episode.agents)
        events += len(episode.events)
        cases: dict[tuple[str, str], Sequence[Case]] = {}
        for each, look in zip(chosen, seen_by, strict=True):
            if look is not None:
                rows[each.name].append(look.row)
                seen = {name: located(some, episode) for name, some in look.cases.items() if some}
                shelf.add(each.name, seen)
                cases.update({(each.name, name): some for name, some in seen.items()})
        tally.add(episode, cases)
        case = judged.add(episode) if judged else None
        number, has_case = formats.total(), any(cases.values())
        if number <= MOST_ROWS or (has_case and late < MOST_ROWS):
            late += number > MOST_ROWS
            row = episode_row(number, episode, cases, on_transcript is not None)
            listed.append(row)
            if on_transcript is not None:
                opinion = {JUDGED: [case]} if case else {}
                on_transcript(transcript(row, episode, {**cases, **opinion}, source))
        if number <= sample:
            timelines.append(timeline(episode))
        elif episode.id in shelf.shown(name for name, some in cases.items() if some):
            later[episode.id] = timeline(episode)
            if len(later) > MOST_TIMELINES:
                shown = shelf.shown(shelf.kept)
                later = {name: kept for name, kept in later.items() if name in shown}
        outcome = None if outcomes else outcome_of(episode)
        if outcome is not None:
            own.append(outcome)
        outside += episode.success is not None and not 0 <= episode.success <= 1
    findings = [f for each in chosen for f in each.conclude(rows[each.name], outcomes or own)]
    shown = shelf.shown(shelf.kept)
    timelines += [kept for name, kept in later.items() if name in shown]
    return AuditResult(
        version=__version__,
        source=source,
        config={"source": source},
        format=", ".join(sorted(formats)),
        formats=dict(formats),
        episodes=formats.total(),
        agents=len(agents),
        events=events,
        findings=[shelf.joined(finding) for finding in corrected(findings)],
        timelines=timelines,
        episode_rows=sorted(listed, key=_badness),
        talks=tally.talks.talks(),
        talk_shape=tally.talks.shape(),
        costs=tally.agent_costs(),
        endings=tally.ending_counts(),
        associations=tally.associations(),
        agreements=tally.label_agreements(),
        score_means=tally.score_means(),
        skipped=_outside(outside, formats.total()),
        judge=judged.report() if judged else None,
    )


def _looks(audits: Sequence[str], episode: Episode) -> list[Look[Any] | None]:
    """Returns what each audit keeps of an episode; called in processes of `stream`, too."""
    return [AUDITS.named(name).look(episode) for name in audits]


def _outside(count: int, episodes: int) -> list[str]:
    if not count:
        return []
    return [
        f"{count} of {episodes} episodes have a success outside 0 to 1; it is no outcome of a task"
    ]


def _badness(row: EpisodeRow) -> tuple[float, float, float, float]:
    """Returns the order of an episode in the list: long cases, many cases, and failures first."""
    success = 0.5 if row.success is None else row.success
    return -row.in_cases, -row.cases, success, row.number


def audit_logs(
    path: Path,
    outcomes: Sequence[Outcome] = (),
    only: Sequence[str] = (),
    names: Names | None = None,
    on_note: Callable[[str], object] = lambda line: None,
    on_episode: Callable[[int], object] = lambda count: None,
    on_transcript: Callable[[Transcript], object] | None = None,
    judging: Judging | None = None,
    workers: int = 1,
) -> AuditResult:
    """Returns what the audits find in a log or a folder of logs, and notes on what was left out.

    Args:
        path: the file or folder.
        outcomes, only: as for `audit`.
        names: the user's mapping of names and members.
        on_note: called with a line for each part of the log that is left out.
        on_episode: called with the number of episodes that have been read.
        on_transcript, judging, workers: as for `audit`.

    Raises:
        UnknownNameError: There is no audit of that name.
        LogError: There is no log, or one is broken; the message names file, line and field.
        NothingDoneError: There is no episode in it.
        WorkerError: A process was killed.
    """
    notes = Notes(on_note)
    episodes = noted_episodes(path, names, notes, on_episode)
    result = audit(episodes, outcomes, only, source=path.name,
                   on_transcript=on_transcript, judging=judging, workers=workers)  # fmt: skip
    if result.episodes == 0:
        raise NothingDoneError(f"got no episode in {path}; wanted a log of a team")
    if notes.reasoning:
        texts = "reasoning text" if notes.reasoning == 1 else "reasoning texts"
        notes.add(f"not read: {notes.reasoning:,} {texts}; audits read what members say and do")
    for line in result.skipped:
        notes.add(line)
    return structs.replace(result, warning=notes.warning, skipped=notes.lines)


def located(cases: Sequence[Case], episode: Episode) -> Sequence[Case]:
    """Returns cases of an episode with their places in the log, if those are known."""
    whole = episode.location
    places = [
        whole if case.event is None else episode.events[case.event].location or whole
        for case in cases
    ]
    return [replace(case, location=at) for case, at in zip(cases, places, strict=True)]


def corrected(findings: Sequence[Finding]) -> list[Finding]:
    """Returns the findings; those that chance explains among so many tests are `cannot tell`."""
    tested = sorted((f.p, i) for i, f in enumerate(findings) if f.p is not None)
    result = list(findings)
    held = True  # Holm's procedure: after the first p above its threshold, all larger ones fail
    for rank, (p, i) in enumerate(tested):
        held = held and p <= LEVEL / (len(tested) - rank)
        if not held and result[i].verdict == FOUND:
            reason = f"{result[i].reason}; not beyond chance among {len(tested)} tests"
            result[i] = replace(result[i], verdict=CANNOT_TELL, reason=reason)
    return result


def timeline(episode: Episode) -> Timeline:
    """Returns the first events with the kind of each, and the number of messages by pair."""
    sent = Counter((event.agent, to) for event in episode.events for to in event.to)
    marks = []
    for event in episode.events[:MOST_MARKS]:
        kind = "action" if event.kind == "action" else "message"
        kind = "idle" if idle(event) else kind
        kind = kind if event.agent in episode.agents else "other"
        marks.append(Mark(episode=episode.id, t=event.t, agent=event.agent,
                          quote=quote_of(event), what=kind))  # fmt: skip
    return Timeline(
        episode=episode.id,
        agents=[*episode.agents, *episode.tools],
        events=marks,
        left_out=max(0, len(episode.events) - MOST_MARKS),
        messages=[
            MessageCount(sender=sender, receiver=receiver, count=count)
            for (sender, receiver), count in sorted(sent.items())
        ],
        success=episode.success,
    )
