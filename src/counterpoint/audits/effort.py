"""Effort: how even the work is, whether idle turns follow a partner's, and who is needed at all.

Source: Mantel and Haenszel 1959 for an odds ratio over many small tables.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from counterpoint.audits.base import Row, mean_interval, mean_share, unknown
from counterpoint.records import CLEAR, FOUND, Finding, Outcome

NAME = "idleness"
FEWEST = 10
"""Tasks or idle turns below which nothing is said."""
DRAWS = 2000
NEEDLESS = 0.02
"""A member whose absence surely costs less than this share of success is not needed."""


def concentration(worked: Sequence[int]) -> float | None:
    """1 - H / log N of the members' working turns: 0 where all work alike, 1 where one does all."""
    n, whole = len(worked), sum(worked)
    if n < 2 or not whole:
        return None
    shares = [each / whole for each in worked if each]
    return 1 + sum(p * math.log(p) for p in shares) / math.log(n)


def partner_tables(turns: Sequence[tuple[str, bool]]) -> Mapping[str, float] | None:
    """Sums of Mantel and Haenszel over one episode: idle now, by whether the partner just was.

    A table for each member and each state of its own last turn, so that lazy members and members
    who go on idling are no sign of a partner.

    Args:
        turns: who, and whether the turn is idle, in order.
    """
    cells: dict[tuple[str, bool], np.ndarray] = defaultdict(lambda: np.zeros((2, 2)))
    own: dict[str, bool] = {}
    last: tuple[str, bool] | None = None  # the last turn of somebody else than who is next
    before: tuple[str, bool] | None = None
    for who, flag in turns:
        other = last if last and last[0] != who else before if before and before[0] != who else None
        if who in own and other is not None:
            cells[who, own[who]][int(not other[1]), int(not flag)] += 1
        own[who] = flag
        if last is None or last[0] != who:
            before = last
        last = (who, flag)
    told = {"both": 0.0, "cross": 0.0, "over": 0.0, "variance": 0.0}
    for (a, b), (c, d) in (table for table in cells.values()):
        n = a + b + c + d
        told["both"] += a * d / n
        told["cross"] += b * c / n
        told["over"] += a - (a + b) * (a + c) / n
        if n > 1:
            told["variance"] += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
    return told if told["variance"] > 0 else None


def effort_findings(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Concentration of the work, the odds of following a partner, and necessity of members."""
    shares = [row["concentration"] for row in rows if row["concentration"] is not None]
    if shares:
        reason = "1 - H / log N of members' working turns: 0 is even, 1 is one alone; none is right"
        found = [mean_share(NAME, "concentration", shares, reason)]
    else:
        found = [unknown(NAME, "concentration", "in no episode two members take turns", len(rows))]
    return [*found, _hazard([r["tables"] for r in rows if r["tables"]]), necessity(outcomes)]


def _hazard(tables: Sequence[Mapping[str, float]]) -> Finding:
    name = "partner_hazard"
    if len(tables) < 5 or sum(each["variance"] for each in tables) < FEWEST / 2:
        why = "too few idle turns follow turns of a partner"
        return unknown(NAME, name, why, len(tables))
    both, cross, over, variance = (
        np.array([each[key] for each in tables]) for key in ("both", "cross", "over", "variance")
    )
    if not cross.sum():
        return unknown(NAME, name, "idle turns follow nothing but idle turns", len(tables))
    value = float(both.sum() / cross.sum())
    drawn = np.random.default_rng(0).integers(len(tables), size=(DRAWS, len(tables)))
    below = cross[drawn].sum(axis=1)
    ratios = both[drawn].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    p = 0.5 * math.erfc(float(over.sum()) / math.sqrt(float(variance.sum())) / math.sqrt(2))
    reason = (
        "odds of an idle turn after an idle turn of the partner over those after a working one, "
        "for the same member after the same turn of its own"
    )
    verdict = FOUND if value >= 1.5 and low > 1 else CLEAR
    return Finding(NAME, name, value, len(tables), float(low), float(high), 1.0, verdict, reason,
                   p=p)  # fmt: skip


def necessity(outcomes: Sequence[Outcome]) -> Finding:
    """What the least needed member adds: the whole team less the team without it, same tasks."""
    name = "necessity"
    scores: dict[frozenset[str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in outcomes:
        if each.members and each.setting != "isolated":
            scores[frozenset(each.members)][each.task].append(each.score)
    whole = max(scores, key=lambda who: (len(who), len(scores[who]), *sorted(who)), default=None)
    gaps: dict[str, np.ndarray] = {}
    for member in sorted(whole or ()):
        without = scores.get(frozenset(whole or ()) - {member}, {})
        tasks = sorted(set(scores[whole]) & set(without)) if whole else []
        if len(tasks) >= FEWEST:
            gaps[member] = np.array(
                [np.mean(scores[whole][t]) - np.mean(without[t]) for t in tasks if whole]
            )
    if not gaps:
        why = f"the same {FEWEST} tasks with a member left out are wanted (--outcomes)"
        return unknown(NAME, name, why)
    least = min(gaps, key=lambda who: gaps[who].mean())
    told = mean_interval(gaps[least], level=1 - 0.05 / len(gaps))  # fmt: skip
    words = ", ".join(f"{who} {gap.mean():+.2f}" for who, gap in gaps.items())
    verdict = FOUND if told.high < NEEDLESS else CLEAR
    reason = f"what the least needed member, {least}, adds to success; of all: {words}"
    return Finding(NAME, name, told.value, len(gaps[least]), told.low, told.high, NEEDLESS, verdict,
                   reason)  # fmt: skip
