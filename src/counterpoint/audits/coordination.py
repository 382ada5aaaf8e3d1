"""Coordination: the share of messages, duplicate work, failed merges, rework, pace and retention.

Retention is the success of a team over the success of one agent, from outcomes of both.

Source: Amdahl 1967 for the share of the work that more members cannot speed up; CooperBench (arXiv
2601.13295) for retention as a ratio of areas under success by difficulty.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.audits.base import (
    LONGEST_QUOTE,
    Audit,
    Look,
    case_of,
    estimated,
    mean_scores,
    mean_share,
    share,
    unknown,
    whole_teams,
)
from counterpoint.records import Case, Episode, Event, Finding, Outcome
from counterpoint.stats import Estimate, wilson_interval

NAME = "coordination"
TOLERATED = 0.05
SHORTEST = 8
"""The fewest characters of a line that counts: a brace alone means nothing."""
FEWEST = 5
"""With fewer episodes of one team size the pace is not computable."""
CHURN = 0.25
"""The share of written lines that a sound team may take back."""
FEWEST_TASKS = 10
BINS = 10
DRAWS = 2000


class CoordinationRow(TypedDict):
    """What is kept of an episode; None where the log does not say."""

    share: float | None
    actors: int
    twice: int
    conflict: bool | None
    churn: float | None
    pace: tuple[int, float] | None


def look(episode: Episode) -> Look[CoordinationRow]:
    """Returns characters of messages and of actions, and calls that two members made alike."""
    members = set(episode.agents)
    talk = sum(len(e.text) for e in episode.events if e.agent in members and e.kind == "message")
    work = sum(len(e.text) for e in episode.events if e.agent in members and e.kind == "action")
    first: dict[tuple[str, str], str] = {}
    twice = list[Case]()
    for event in episode.events:
        if event.kind != "action" or event.agent not in members:
            continue
        key = (event.tool, " ".join(event.text.split()))
        owner = first.setdefault(key, event.agent)
        if owner != event.agent and key[1]:
            twice.append(case_of(episode, [event.t], 1.0, f"{owner} made the same call before",
                                 before=owner))  # fmt: skip
    merge = episode.meta.get("merge")
    status = merge.get("status") if isinstance(merge, Mapping) else merge
    is_conflict = None if status is None else "conflict" in str(status).lower()
    row: CoordinationRow = {
        "share": talk / (talk + work) if work else None,
        "actors": len({e.agent for e in episode.events if e.kind == "action"} & members),
        "twice": len(twice),
        "conflict": is_conflict,
        "churn": churn(episode),
        "pace": pace(episode),
    }
    lost = [Case(episode.id, None, None, str(status)[:LONGEST_QUOTE], 1.0, "did not merge")]
    return Look(row, {
        "duplicate_work": twice if len(twice) > 1 else [],
        "merge_conflict": lost if is_conflict else [],
    })  # fmt: skip


def conclude(rows: Sequence[CoordinationRow], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns message share, duplicate work, conflicts, rework, pace and retention."""
    shares = [row["share"] for row in rows if row["share"] is not None]
    acting = [row["twice"] for row in rows if row["actors"] > 1]
    merged = [row for row in rows if row["conflict"] is not None]
    churned = [row["churn"] for row in rows if row["churn"] is not None]
    seen = len(rows)
    return [
        mean_share(NAME, "message_share", shares, "share of what members wrote that is messages "
                   "and not actions; there is no right one", none="the log has no actions",
                   seen=seen),
        share(NAME, "duplicate_work", sum(twice > 1 for twice in acting), len(acting),
              TOLERATED, "two members made the same call, more than once",
              none="in no episode two members act", seen=seen),
        share(NAME, "merge_conflict", sum(bool(row["conflict"]) for row in merged),
              len(merged), TOLERATED, "the members' changes did not merge",
              none="the log has no merges", seen=seen),
        mean_share(NAME, "churn", churned, "share of written lines that are taken back later",
                   CHURN, none="the log shows no lines that are written", seen=seen),
        _serial([row["pace"] for row in rows if row["pace"] is not None]),
        *retention_findings(outcomes),
    ]  # fmt: skip


def churn(episode: Episode) -> float | None:
    """Returns the share of written lines that are taken back later; None if the log has no lines.

    Lines are those of unified diffs, and of edits with `old_str` and `new_str`.
    """
    standing: Counter[str] = Counter()
    written = reverted = 0
    for event in episode.events:
        if event.kind != "action":
            continue
        gone, new = _lines(event)
        if not (gone or new):
            continue
        moved = gone & new  # a line that goes and comes in one action is neither written nor lost
        for line, times in (gone - moved).items():
            back = min(times, standing[line])
            reverted += back
            standing[line] -= back
        written += (new - moved).total()
        standing.update(new - moved)
    return reverted / written if written else None


def _lines(event: Event) -> tuple[Counter[str], Counter[str]]:
    """Returns the lines that an action removes, and the lines that it adds."""
    text = event.text
    if "old_str" in text or "\\n+" in text:
        try:
            edit = json.loads(text)
        except (ValueError, RecursionError):
            edit = None
        if isinstance(edit, dict):
            if isinstance(edit.get("old_str"), str) or isinstance(edit.get("new_str"), str):
                old, new = str(edit.get("old_str") or ""), str(edit.get("new_str") or "")
                return _counted(old.splitlines()), _counted(new.splitlines())
            text = "\n".join(value for value in edit.values() if isinstance(value, str))
    if "\n+" not in text or "@@" not in text:
        return Counter(), Counter()
    lines = text.splitlines()
    return (
        _counted(x[1:] for x in lines if x.startswith("-") and not x.startswith("--- ")),
        _counted(x[1:] for x in lines if x.startswith("+") and not x.startswith("+++ ")),
    )


def _counted(lines: Iterable[str]) -> Counter[str]:
    return Counter(line.strip() for line in lines if len(line.strip()) >= SHORTEST)


def pace(episode: Episode) -> tuple[int, float] | None:
    """Returns how many members act, and their actions per second; None if the log has no times."""
    members = set(episode.agents)
    acts = [e for e in episode.events if e.kind == "action" and e.agent in members]
    times = [e.seconds for e in acts if e.seconds is not None and math.isfinite(e.seconds)]
    if len(times) < 2 or max(times) <= min(times):
        return None
    return len({e.agent for e in acts}), (len(times) - 1) / (max(times) - min(times))


def _serial(paces: Sequence[tuple[int, float]]) -> Finding:
    """Returns, by Amdahl's law, the serial share of the work from the pace of two team sizes."""
    by_size: dict[int, list[float]] = defaultdict(list)
    for size, each in paces:
        by_size[size].append(each)
    sizes = sorted(size for size, each in by_size.items() if len(each) >= FEWEST)
    if len(sizes) < 2:
        why = f"times of actions in {FEWEST} episodes of two team sizes each are wanted"
        return unknown(NAME, "serial_share", why, len(paces))
    few, many = sizes[0], sizes[-1]
    slow, fast = np.array(by_size[few]), np.array(by_size[many])
    rng = np.random.default_rng(0)
    drawn = [
        serial_share(few, many, float(rng.choice(fast, len(fast)).mean())
                     / float(rng.choice(slow, len(slow)).mean()))
        for _ in range(DRAWS)
    ]  # fmt: skip
    gained = float(fast.mean() / slow.mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    value, fair = serial_share(few, many, gained), many / few
    reason = (
        f"of the work, by Amdahl's law: {many} members act {gained:.2f} times as fast as {few}, "
        f"where {fair:.3g} times would be proportional; found where it is under half of that"
    )
    tolerated = serial_share(few, many, fair / 2)
    interval = Estimate(value, float(low), float(high), len(slow) + len(fast))
    return estimated(NAME, "serial_share", interval, tolerated, bool(low > tolerated), reason)


def serial_share(few: int, many: int, gained: float) -> float:
    """Returns the share s of the work, 0 to 1, with (s + (1-s)/few) / (s + (1-s)/many) = gained."""
    above = 1 / few - gained / many
    below = gained * (1 - 1 / many) - (1 - 1 / few)
    if below <= 0:
        return 1.0
    return float(np.clip(above / below, 0, 1))


def retention_findings(outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns the retention by mean scores and by area, and success by team size."""
    whole = whole_teams(outcomes)
    team, solo = mean_scores(whole, "team"), mean_scores(whole, "solo")
    tasks = sorted(set(team) & set(solo))
    if len(tasks) < FEWEST_TASKS:
        why = (
            f"{len(tasks)} tasks have outcomes of a team and of one agent, {FEWEST_TASKS} are "
            "wanted"
        )
        names = ("retention", "retention_auc")
        return [*(unknown(NAME, name, why, len(tasks)) for name in names), _by_size(outcomes)]
    t = np.array([team[task] for task in tasks])
    s = np.array([solo[task] for task in tasks])
    ratio = _ratio("retention", t, s, "team's mean score over one agent's, same tasks")
    if len(np.unique(s)) < 3:
        why = "difficulty is one agent's failure rate, and it has fewer than three values here"
        areas = unknown(NAME, "retention_auc", why, len(tasks))
    else:
        reason = "area under the team's success by difficulty over one agent's"
        areas = _ratio("retention_auc", t, s, reason, areas=True)
    return [ratio, areas, _by_size(outcomes)]


def success_area(success: Floats, difficulty: Floats) -> float:
    """Returns the area under mean success by difficulty, 0 to 1; it is linear over empty bins."""
    bins = np.minimum((difficulty * BINS).astype(int), BINS - 1)
    used = np.unique(bins)
    means = np.array([success[bins == b].mean() for b in used])
    places = (used + 0.5) / BINS
    if len(used) == 1:
        return float(means[0])
    return float(((means[1:] + means[:-1]) / 2 * np.diff(places)).sum())


def _ratio(name: str, team: Floats, solo: Floats, reason: str, areas: bool = False) -> Finding:
    """Returns a ratio with a bootstrap interval over tasks; found if all of it is below 1."""

    def of(rows: np.ndarray) -> float:
        if areas:
            below = success_area(solo[rows], 1 - solo[rows])
            return success_area(team[rows], 1 - solo[rows]) / below if below > 0 else np.nan
        below = float(solo[rows].sum())
        return float(team[rows].sum()) / below if below > 0 else np.nan

    value = of(np.arange(len(team)))
    if np.isnan(value):
        return unknown(NAME, name, "one agent succeeds at no task", len(team))
    rng = np.random.default_rng(0)
    drawn = np.array([of(rng.integers(len(team), size=len(team))) for _ in range(DRAWS)])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    interval = Estimate(value, float(low), float(high), len(team))
    return estimated(NAME, name, interval, 1.0, bool(high < 1), reason, below=True)


def _by_size(outcomes: Sequence[Outcome]) -> Finding:
    """Returns the success of the largest teams less the success of the smallest teams."""
    sizes: dict[int, list[float]] = defaultdict(list)
    for each in outcomes:
        if each.setting == "team" and each.members:
            sizes[len(each.members)].append(each.score)
    many = {size: scores for size, scores in sorted(sizes.items()) if len(scores) >= FEWEST_TASKS}
    if len(many) < 2:
        why = f"teams of two sizes, {FEWEST_TASKS} outcomes each, are wanted"
        return unknown(NAME, "team_size", why, sum(map(len, sizes.values())))
    rates = {size: wilson_interval(sum(scores), len(scores)) for size, scores in many.items()}
    small, large = rates[min(rates)], rates[max(rates)]
    by_size = ", ".join(f"{n}: {w.value:.2f} [{w.low:.2f}, {w.high:.2f}]" for n, w in rates.items())
    gap = Estimate(large.value - small.value, large.low - small.high, large.high - small.low,
                   sum(map(len, many.values())))  # fmt: skip
    reason = f"success of the largest teams less that of the smallest; by size {by_size}"
    return estimated(NAME, "team_size", gap, 0.0, gap.high < 0, reason, below=True)


AUDIT = Audit(
    NAME, "what talking takes, work done twice or taken back, merges, pace", look, conclude
)
