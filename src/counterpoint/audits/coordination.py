"""Coordination: what talking takes, the same work done twice, merges that fail.

How much less a team reaches than one agent needs outcomes of both: `retention.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from counterpoint.audits.base import PLACES, Audit, Row, mean_share, place_of, share, unknown
from counterpoint.audits.retention import retention_findings
from counterpoint.audits.rework import churn, pace, rework_findings
from counterpoint.records import Episode, Finding, Outcome, Place

NAME = "coordination"
TOLERATED = 0.05


def look(episode: Episode) -> Row | None:
    """Characters of messages and of actions; calls that two members made alike."""
    members = set(episode.agents)
    talk = sum(len(e.text) for e in episode.events if e.agent in members and e.kind == "message")
    work = sum(len(e.text) for e in episode.events if e.agent in members and e.kind == "action")
    first: dict[tuple[str, str], str] = {}
    twice = list[Place]()
    for event in episode.events:
        if event.kind != "action" or event.agent not in members:
            continue
        key = (str(event.meta.get("name", "")), " ".join(event.text.split()))
        owner = first.setdefault(key, event.agent)
        if owner != event.agent and key[1] and len(twice) < PLACES:
            twice.append(replace(place_of(episode, event.t), before=owner))
    merge = episode.meta.get("merge")
    status = merge.get("status") if isinstance(merge, dict) else merge
    return {
        "share": talk / (talk + work) if work else None,
        "actors": len({e.agent for e in episode.events if e.kind == "action"} & members),
        "twice": twice,
        "conflict": None if status is None else "conflict" in str(status).lower(),
        "id": episode.id,
        "churn": churn(episode),
        "pace": pace(episode),
    }


def conclude(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Message share, duplicate work, conflicts, rework, pace, and what outcomes tell."""
    shares = [row["share"] for row in rows if row["share"] is not None]
    if shares:
        reason = (
            "share of what members wrote that is messages and not actions; there is no right one"
        )
        found = [mean_share(NAME, "message_share", shares, reason)]
    else:
        found = [unknown(NAME, "message_share", "the log has no actions", len(rows))]
    acting = [row for row in rows if row["actors"] > 1]
    if acting:
        places = [place for row in acting for place in row["twice"]]
        hits = sum(len(row["twice"]) > 1 for row in acting)
        reason = "two members made the same call, more than once"
        found.append(share(NAME, "duplicate_work", hits, len(acting), TOLERATED, reason, places))
    else:
        why = "in no episode two members act"
        found.append(unknown(NAME, "duplicate_work", why, len(rows)))
    merged = [row for row in rows if row["conflict"] is not None]
    if merged:
        places = [Place(row["id"]) for row in merged if row["conflict"]]
        found.append(share(NAME, "merge_conflict", len(places), len(merged), TOLERATED,
                           "the members' changes did not merge", places))  # fmt: skip
    else:
        found.append(unknown(NAME, "merge_conflict", "the log has no merges", len(rows)))
    return [*found, *rework_findings(rows), *retention_findings(outcomes)]


AUDIT = Audit(
    NAME, "what talking takes, work done twice or taken back, merges, pace", look, conclude
)
