"""Conformity: what members answer in the team beside what the same members answer alone.

Source: metrics after arXiv 2605.00914; the expectation under independence is Cohen's (1960).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from counterpoint.audits.base import Row, mean_interval, share, unknown
from counterpoint.records import CLEAR, FOUND, Finding, Outcome

NAME = "agreement"
TOLERATED = 0.1
"""Share of answers that a sound team may spoil."""
NAMES = (
    "excess_agreement", "flips_to_wrong", "recovery", "modal_adoption", "disagreement_collapse",
    "oracle_gap",
)  # fmt: skip
Answers = Mapping[str, str]
"""Member to answer."""


def conformity_findings(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Six findings of episodes whose members' isolated answers are known.

    Args:
        rows: `answers` of the members in the team, `task`, the right answer as `gold`.
        outcomes: with isolated answers.
    """
    alone: dict[str, dict[str, str]] = defaultdict(dict)
    for each in outcomes:
        if each.setting == "isolated" and len(each.members) == 1 and each.answer is not None:
            alone[each.task][each.members[0]] = each.answer
    right = {o.task: o.answer for o in outcomes if o.score == 1 and o.answer is not None}
    right |= {row["task"]: str(row["gold"]) for row in rows if row["gold"] is not None}
    met: list[tuple[Answers, Answers, str | None]] = [
        (row["answers"], alone[row["task"]], right.get(row["task"]))
        for row in rows
        if len(row["answers"]) > 1 and len(alone.get(row["task"], {})) > 1
    ]
    if not met:
        why = "no isolated answers of the members are known (--outcomes)"
        return [unknown(NAME, name, why) for name in NAMES]
    return [_excess(met), *_flips(met), _adoption(met), _collapse(met), _oracle(met)]


def _flips(met: Sequence[tuple[Answers, Answers, str | None]]) -> list[Finding]:
    """Vulnerability and recovery: right answers that turn wrong, wrong ones that turn right."""
    spoiled = right = mended = wrong = 0
    for together, own, gold in met:
        for agent in set(together) & set(own) if gold is not None else ():
            if own[agent] == gold:
                right += 1
                spoiled += together[agent] != gold
            else:
                wrong += 1
                mended += together[agent] == gold
    none = "no member's answer alone is known to be "
    return [
        _share("flips_to_wrong", spoiled, right, TOLERATED, none + "right",
               "answers that are right in isolation and wrong in the team"),
        _share("recovery", mended, wrong, 1.0, none + "wrong",
               "answers that are wrong in isolation and right in the team: the more the better"),
    ]  # fmt: skip


def _adoption(met: Sequence[tuple[Answers, Answers, str | None]]) -> Finding:
    """How often a member whose own answer is another takes the answer that most others gave."""
    taken = n = good = bad = 0
    for together, own, gold in met:
        for agent in set(together) & set(own):
            others = Counter(answer for who, answer in own.items() if who != agent).most_common(2)
            tie = len(others) > 1 and others[0][1] == others[1][1]
            if tie or others[0][0] == own[agent]:
                continue
            n += 1
            if together[agent] == others[0][0]:
                taken += 1
                good += together[agent] == gold and own[agent] != gold
                bad += gold is not None and own[agent] == gold
    why = "no member's own answer differs from what most others answer alone"
    reason = (
        "a member whose own answer differs takes what most others answered alone; "
        f"{good} of them turn right by it, {bad} turn wrong"
    )
    return _share("modal_adoption", taken, n, 1.0, why, reason)


def _collapse(met: Sequence[tuple[Answers, Answers, str | None]]) -> Finding:
    """Tasks in which members differ alone and one is right: how often nobody is, together."""
    differ = [
        (t, gold) for t, own, gold in met if gold in own.values() and len({*own.values()}) > 1
    ]
    hits = sum(gold not in together.values() for together, gold in differ)
    return _share("disagreement_collapse", hits, len(differ), TOLERATED,
                  "in no task one of differing members is right",
                  "members differ alone, one is right, and nobody is in the team")  # fmt: skip


def _oracle(met: Sequence[tuple[Answers, Answers, str | None]]) -> Finding:
    """P(somebody is right alone) - P(the team's vote is right); a tied vote is not right."""
    gaps = []
    for together, own, gold in met:
        if gold is not None:
            votes = Counter(together.values()).most_common(2)
            tie = len(votes) > 1 and votes[0][1] == votes[1][1]
            gaps.append(float(gold in own.values()) - float(not tie and votes[0][0] == gold))
    if len(gaps) < 2:
        return unknown(NAME, "oracle_gap", "of fewer than two tasks a right answer is known",
                       len(gaps))  # fmt: skip
    told = mean_interval(np.array(gaps))
    return Finding(NAME, "oracle_gap", told.value, len(gaps), told.low, told.high, 0.0,
                   reason="tasks that somebody solves alone less tasks that the team's vote "
                   "solves; no team has to reach all")  # fmt: skip


def _excess(met: Sequence[tuple[Answers, Answers, str | None]]) -> Finding:
    """(A - p) / (1 - p): agreement in the team above what the members' own answers make expected.

    p of a task is 1 where the members agree alone and 0 where they do not: so only tasks where they
    differ alone can tell of conformity, and members who are both right are never blamed. A team
    that agrees there on answers that are right more often than its members' own has learned from
    each other, and is not blamed either; without right answers nobody can tell the two apart.
    """
    a = np.array([float(len(set(together.values())) == 1) for together, _, _ in met])
    p = np.array([float(len(set(own.values())) == 1) for _, own, _ in met])
    if p.mean() == 1:
        return unknown(NAME, "excess_agreement", "members agree on all tasks alone", len(met))
    value = float((a.mean() - p.mean()) / (1 - p.mean()))
    reason = (
        "agreement in the team above the members' agreement alone; the interval is of tasks where "
        "they differ alone"
    )
    if (p == 0).sum() < 2:
        return Finding(NAME, "excess_agreement", value, len(met), null=0.0, reason=reason)
    told = mean_interval(a[p == 0])
    found = told.low > 0.5 and (p == 0).sum() >= 5
    if found and _learned(met):
        found = False
        reason += ", and they agree on what is right more often than what each answers alone"
    return Finding(NAME, "excess_agreement", value, len(met), told.low, told.high, 0.0,
                   FOUND if found else CLEAR, reason)  # fmt: skip


def _learned(met: Sequence[tuple[Answers, Answers, str | None]]) -> bool:
    """Whether answers that a team agrees on are right more often than its members' own."""
    gains = [
        float(gold in together.values()) - sum(a == gold for a in own.values()) / len(own)
        for together, own, gold in met
        if gold is not None and len(set(together.values())) == 1 < len(set(own.values()))
    ]
    return len(gains) > 1 and mean_interval(np.array(gains)).low > 0


def _share(name: str, hits: int, n: int, tolerated: float, why: str, reason: str) -> Finding:
    if not n:
        return unknown(NAME, name, why)
    return share(NAME, name, hits, n, tolerated, reason, of="cases")
