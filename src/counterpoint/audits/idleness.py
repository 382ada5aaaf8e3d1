"""Idleness: which members stop working, for how long, and whether a partner stops after them.

The second half is about effort: how even the work is, and which member is not needed.

A member's turn is idle if the log gives it the work 0. If the log has no work, a message of
courtesies, of waiting or of rest is idle. Actions and answers are work. An episode with fewer than
`FEWEST` turns of a member shows nothing about that member.

Source: Mantel and Haenszel 1959 for an odds ratio over many small tables.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypedDict

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.audits.base import (
    Audit,
    Look,
    case_of,
    estimated,
    mean_gap,
    mean_interval,
    mean_share,
    share,
    unknown,
)
from counterpoint.audits.cues import proposes_rest, says_nothing
from counterpoint.records import Case, Episode, Event, Finding, Outcome
from counterpoint.stats import Estimate

NAME = "idleness"
FEWEST = 4
SOON = 2
"""The number of a partner's next turns in which a contagion would show."""
SHIFTS = 50
FEWEST_TASKS = 10
"""With fewer tasks or idle turns nothing is computable."""
DRAWS = 2000
NEEDLESS = 0.02
"""A member is not needed if its absence certainly costs less than this share of success."""
LONG_RUN = 3
"""This many idle turns are a case."""
HALF, APART = 0.5, 0.3
"""An idle member idles in this share of its turns, and is so far above the mean of the others."""
RARE = 4
"""A silent member takes at most one turn for this many of every other member."""
TOLERATED = 0.05
"""The share of episodes in which a sound team may mostly idle."""
UNNAMED = (
    "a member that a log never names is not seen: list all in the field agents of the records, or "
    "log team.save_state() of AutoGen"
)
NAMES = (
    "idle_team", "idle_run", "idle_member", "contagion", "concentration", "partner_hazard",
)  # fmt: skip


class PartnerSums(NamedTuple):
    """Sums of Mantel and Haenszel over the two-by-two tables of one episode."""

    both: float
    cross: float
    over: float
    variance: float


class IdlenessRow(TypedDict):
    """What is kept of an episode; None where it shows nothing."""

    run: float | None
    gap: float | None
    contagion: float | None
    mostly: bool | None
    silent: bool | None
    quiet: bool
    """Whether the log names a member that does nothing, so it lists all members."""
    concentration: float | None
    tables: PartnerSums | None


def idle(event: Event) -> bool:
    """Returns whether a turn of a member is idle."""
    if event.work is not None:
        return event.work == 0
    return event.kind == "message" and says_nothing(event.text)


def look(episode: Episode) -> Look[IdlenessRow] | None:
    """Returns the longest idle run and the idle share of the idlest member, less chance."""
    members = set(episode.agents)
    turns = [e for e in episode.events if e.agent in members and e.kind not in ("reward", "end")]
    row: IdlenessRow = {
        "run": None, "gap": None, "contagion": None, "mostly": None, "silent": None,
        "quiet": not {e.agent for e in turns} >= members, "concentration": None, "tables": None,
    }  # fmt: skip
    silent = silent_members(episode, Counter(e.agent for e in turns))
    if silent is not None:
        row["silent"] = bool(silent)
    cases: dict[str, list[Case]] = {"silent_member": silent or []}
    # a text that was not captured is empty whatever was in it
    is_blind = episode.meta.get("content") == "not captured"
    turns = [e for e in turns if e.work is not None or e.kind != "message"
             or not (is_blind or e.meta.get("content") == "not captured")]  # fmt: skip
    flags = [(e.agent, e.t, idle(e)) for e in turns]
    series: dict[str, list[tuple[int, bool]]] = {agent: [] for agent in episode.agents}
    for who, t, flag in flags:
        series[who].append((t, flag))
    long = {a: each for a, each in series.items() if len(each) >= FEWEST}
    if long:
        _look_at_turns(episode, flags, series, long, row, cases)
    return Look(row, cases) if long or silent is not None else None


def _look_at_turns(
    episode: Episode, turns: Sequence[tuple[str, int, bool]],
    series: dict[str, list[tuple[int, bool]]],
    long: dict[str, list[tuple[int, bool]]], row: IdlenessRow, cases: dict[str, list[Case]],
) -> None:  # fmt: skip
    """Fills in the row and the cases of an episode in which somebody has `FEWEST` turns."""
    every = [flag for each in long.values() for _, flag in each]
    row["run"], row["mostly"] = 0.0, sum(every) > len(every) / 2
    row["gap"] = 0.0 if len(long) > 1 else None
    row["concentration"] = concentration([len(e) - sum(f for _, f in e) for e in long.values()])
    if not any(every):
        return
    row["tables"] = partner_tables([(who, flag) for who, _, flag in turns])
    idlers = {a: [t for t, flag in each if flag] for a, each in long.items()}
    if row["mostly"]:
        at = sorted(t for each in idlers.values() for t in each)
        what = f"{len(at)} of {len(every)} turns are idle"
        cases["idle_team"] = [case_of(episode, at, len(at), what, times=len(at))]
    rng = np.random.default_rng(len(turns))  # the same episode gets the same numbers
    runs, longest = [], list[Case]()
    for each in long.values():
        flags = np.array([flag for _, flag in each], dtype=bool)
        length, end = _longest(flags)
        orders, idle_turns = _shuffled(flags, rng), int(flags.sum())
        # one idle turn is as long in any order
        null = _longest_runs(orders).mean() if idle_turns > 1 else idle_turns
        runs.append((length - null) / len(flags))
        if length >= LONG_RUN:
            at = [t for t, _ in each[end - length + 1 : end + 1]]
            is_blank = not any(episode.events[t].text.strip() for t in at)
            what = f"{length} {'blank' if is_blank else 'idle'} turns in a row"
            longest.append(case_of(episode, at, length, what, times=length))
    row["run"], cases["idle_run"] = float(max(runs)), longest
    shares = {a: len(idlers[a]) / len(each) for a, each in long.items()}
    if len(shares) > 1:
        idlest = max(shares, key=lambda a: shares[a])
        rest = float(np.mean([share for agent, share in shares.items() if agent != idlest]))
        row["gap"] = shares[idlest] - rest - _gap_by_chance(long, rng)
        at = idlers[idlest]
        if len(at) >= LONG_RUN and shares[idlest] >= HALF and shares[idlest] - rest >= APART:
            what = f"{len(at)} of its {len(long[idlest])} turns are idle, the others' {rest:.0%}"
            cases["idle_member"] = [case_of(episode, at, len(at), what, times=len(at))]
    row["contagion"] = _contagion(episode, series, rng)
    if row["contagion"] is not None and row["contagion"] > 0:
        cases["contagion"] = _followed(episode, series)


def silent_members(episode: Episode, turns: Mapping[str, int]) -> list[Case] | None:
    """Returns the members that take hardly any turns; None if there are too few turns to tell.

    A member is silent if each other one has at least `FEWEST` turns, and `RARE` times as many as
    it. Of two members, one that was called once may be a helper, and is none.
    """
    if len(episode.agents) < 2 or sum(turns.values()) < FEWEST * (len(episode.agents) - 1):
        return None
    cases = []
    for agent in episode.agents:
        mine = turns.get(agent, 0)
        others = min(turns.get(other, 0) for other in episode.agents if other != agent)
        is_helper = mine > 0 and len(episode.agents) == 2
        if others >= FEWEST and others >= RARE * max(mine, 1) and not is_helper:
            what = f"{agent} takes {mine} of {sum(turns.values())} turns"
            cases.append(Case(episode.id, None, agent, None, others - mine, what, times=mine))
    return cases


def _followed(episode: Episode, series: dict[str, list[tuple[int, bool]]]) -> list[Case]:
    """Returns the proposals to rest after which a partner idles in its next turn."""
    cases = []
    for event in episode.events:
        if event.agent in series and proposes_rest(event.text):
            for other, turns in series.items():
                after = next(((t, flag) for t, flag in turns if t > event.t), None)
                if other != event.agent and after is not None and after[1]:
                    what = f"{other} idles after {event.agent} proposes to rest"
                    cases.append(case_of(episode, [event.t, after[0]], 1.0, what))
    return cases


def conclude(rows: Sequence[IdlenessRow], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns findings about idle teams and members, contagion and effort."""
    ran = [row["run"] for row in rows if row["run"] is not None]
    gaps = [row["gap"] for row in rows if row["gap"] is not None]
    rests = [row["contagion"] for row in rows if row["contagion"] is not None]
    shares = [row["concentration"] for row in rows if row["concentration"] is not None]
    silent = [row["silent"] for row in rows if row["silent"] is not None]
    silence = share(NAME, "silent_member", sum(silent), len(silent), HALF,
                    f"a member takes at most one turn in {RARE} of every other member's, which "
                    f"are at least {FEWEST}",
                    none=f"no episode has {FEWEST} turns of members for each but one",
                    seen=len(rows))  # fmt: skip
    if silent and not any(row["quiet"] for row in rows):
        silence = replace(silence, reason=f"{silence.reason}; {UNNAMED}")
    if not ran:
        why = f"no member has {FEWEST} turns with a text or a logged work in any episode"
        findings = [unknown(NAME, name, why, len(rows)) for name in NAMES]
        return [*findings, silence, necessity(outcomes)]
    mostly = [row["mostly"] for row in rows if row["mostly"] is not None]
    return [
        share(NAME, "idle_team", sum(mostly), len(mostly), TOLERATED,
              "more than half of the members' turns are idle"),
        mean_gap(NAME, "idle_run", ran, 0.1,
                 "longest idle run of the idlest member, as a share of its turns, above the same "
                 "turns in an order by chance"),
        mean_gap(NAME, "idle_member", gaps, 0.1,
                 "idle share of the idlest member above the others', above what chance gives"),
        mean_gap(NAME, "contagion", rests, 0.1,
                 f"how much likelier a partner is idle in its next {SOON} turns after a proposal "
                 "to rest than after the same proposals at other times"),
        mean_share(NAME, "concentration", shares,
                   "1 - H / log N of members' working turns: 0 is even, 1 is one alone",
                   none="in no episode two members take turns", seen=len(rows)),
        _hazard([row["tables"] for row in rows if row["tables"]]),
        silence,
        necessity(outcomes),
    ]  # fmt: skip


def _longest(flags: Floats | np.ndarray) -> tuple[int, int]:
    """Returns the length and the end of the longest run of True."""
    best = end = now = 0
    for i, flag in enumerate(flags):
        now = now + 1 if flag else 0
        if now > best:
            best, end = now, i
    return best, end


def _shuffled(flags: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns [SHIFTS, turns] the flags in orders by chance."""
    return rng.permuted(np.repeat(flags[None], SHIFTS, axis=0), axis=1)


def _longest_runs(orders: np.ndarray) -> np.ndarray:
    """Returns the length of the longest run of True in each order of the same flags."""
    # a turn that is not idle ends a run, and so does one that is added behind each order; all
    # orders have equally many of them
    is_end = np.ones((len(orders), orders.shape[1] + 1), dtype=bool)
    np.logical_not(orders, out=is_end[:, :-1])
    ends = np.flatnonzero(is_end)
    runs = ends.copy()
    runs[1:] -= ends[:-1] + 1
    return np.asarray(runs.reshape(len(orders), -1).max(axis=1))


def _gap_by_chance(long: dict[str, list[tuple[int, bool]]], rng: np.random.Generator) -> float:
    """Returns the mean gap if the idle turns are distributed over all turns at random."""
    # the idlest of several members is above the others by chance too: how far, shuffling tells
    flags = np.array([flag for each in long.values() for _, flag in each], dtype=float)
    sizes = np.array([len(each) for each in long.values()])
    starts = np.cumsum(sizes) - sizes
    shares = np.add.reduceat(_shuffled(flags, rng), starts, axis=1) / sizes
    is_top = np.arange(len(sizes)) == shares.argmax(axis=1)[:, None]
    others = shares[~is_top].reshape(SHIFTS, -1)
    return float((shares[is_top] - others.mean(axis=1)).mean())


def _contagion(
    episode: Episode, series: dict[str, list[tuple[int, bool]]], rng: np.random.Generator
) -> float | None:
    """Returns P(partner idle soon | proposal) less the same for proposals at shifted times.

    It is None if nobody proposes to rest.
    """
    proposed: dict[str, list[int]] = {agent: [] for agent in series}
    for event in episode.events:
        if event.agent in series and proposes_rest(event.text):
            proposed[event.agent].append(event.t)
    if not any(proposed.values()):
        return None
    length = len(episode.events)
    gaps = []
    after = {other: _idle_soon(turns, length) for other, turns in series.items()
             if len(turns) >= FEWEST}  # fmt: skip
    for agent, places in proposed.items():
        proposals = np.array(places)
        for other, soon in after.items():
            if other == agent or not places:
                continue
            shifts = rng.integers(1, max(length, 2), SHIFTS)[:, None]
            rate = _means(soon[proposals[None]])
            shifted = _means(soon[(proposals + shifts) % length])
            if len(rate) and len(shifted):
                gaps.append(float(rate[0] - shifted.mean()))
    return float(np.mean(gaps)) if gaps else None


def _idle_soon(turns: Sequence[tuple[int, bool]], length: int) -> Floats:
    """Returns [length] the mean idleness in the next turns after each event; NaN after the last."""
    first = np.searchsorted([t for t, _ in turns], np.arange(length), side="right")
    last = np.minimum(first + SOON, len(turns))
    total = np.cumsum([0.0, *(flag for _, flag in turns)])
    return np.where(
        last > first, (total[last] - total[first]) / np.maximum(1, last - first), np.nan
    )


def _means(rates: Floats) -> Floats:
    """Returns the mean of what is known in each row, without rows in which nothing is."""
    known = ~np.isnan(rates)
    count = known.sum(axis=1)
    total = np.where(known, rates, 0.0).sum(axis=1)
    return np.asarray(total[count > 0] / count[count > 0])


def concentration(worked: Sequence[int]) -> float | None:
    """Returns 1 - H / log N of members' working turns: 0 if all work alike, 1 if one does all."""
    n, whole = len(worked), sum(worked)
    if n < 2 or not whole:
        return None
    shares = [each / whole for each in worked if each]
    return 1 + sum(p * math.log(p) for p in shares) / math.log(n)


def partner_tables(turns: Sequence[tuple[str, bool]]) -> PartnerSums | None:
    """Returns sums of Mantel and Haenszel over one episode: idle turns by the partner's last turn.

    There is one table for each member and each state of its own last turn. So lazy members, and
    members who go on idling, are no sign of an influence of the partner.

    Args:
        turns: the member, and whether the turn is idle, in order.
    """
    cells: dict[tuple[str, bool], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    own: dict[str, bool] = {}
    last: tuple[str, bool] | None = None  # the last turn
    before: tuple[str, bool] | None = None  # the last turn of another member than that one
    for who, flag in turns:
        other = last if last and last[0] != who else before if before and before[0] != who else None
        if who in own and other is not None:
            cells[who, own[who]][2 * (not other[1]) + (not flag)] += 1
        own[who] = flag
        if last is None or last[0] != who:
            before = last
        last = (who, flag)
    both = cross = over = variance = 0.0
    for a, b, c, d in cells.values():
        n = a + b + c + d
        both += a * d / n
        cross += b * c / n
        over += a - (a + b) * (a + c) / n
        if n > 1:
            variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
    return PartnerSums(both, cross, over, variance) if variance > 0 else None


def _hazard(tables: Sequence[PartnerSums]) -> Finding:
    """Returns the odds ratio of idle turns by the partner's last turn, over all episodes."""
    name = "partner_hazard"
    if len(tables) < 5 or sum(each.variance for each in tables) < FEWEST_TASKS / 2:
        why = "too few idle turns follow turns of a partner"
        return unknown(NAME, name, why, len(tables))
    both, cross, over, variance = map(np.array, zip(*tables, strict=True))
    if not cross.sum():
        return unknown(NAME, name, "idle turns follow nothing but idle turns", len(tables))
    value = float(both.sum() / cross.sum())
    rng = np.random.default_rng(0)
    above, below = np.empty(DRAWS), np.empty(DRAWS)
    for i in range(DRAWS):  # all at once would be 2,000 numbers for each episode
        drawn = rng.integers(len(tables), size=len(tables))
        above[i], below[i] = both[drawn].sum(), cross[drawn].sum()
    ratios = above[below > 0] / below[below > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    p = 0.5 * math.erfc(float(over.sum()) / math.sqrt(float(variance.sum())) / math.sqrt(2))
    interval = Estimate(value, float(low), float(high), len(tables))
    return estimated(NAME, name, interval, 1.0, value >= 1.5 and low > 1,
                     "odds of an idle turn after an idle turn of the partner over those after a "
                     "working one, for the same member after the same turn of its own",
                     p=p)  # fmt: skip


def necessity(outcomes: Sequence[Outcome]) -> Finding:
    """Returns what the least needed member adds: the team less the team without it, same tasks."""
    name = "necessity"
    scores: dict[frozenset[str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in outcomes:
        if each.members and each.setting != "isolated":
            scores[frozenset(each.members)][each.task].append(each.score)
    none = frozenset[str]()
    whole = max(scores, key=lambda who: (len(who), len(scores[who]), *sorted(who)), default=none)
    gaps: dict[str, np.ndarray] = {}
    for member in sorted(whole):
        without = scores.get(whole - {member}, {})
        tasks = sorted(set(scores[whole]) & set(without))
        if len(tasks) >= FEWEST_TASKS:
            gaps[member] = np.array([np.mean(scores[whole][t]) - np.mean(without[t])
                                     for t in tasks])  # fmt: skip
    if not gaps:
        why = f"the same {FEWEST_TASKS} tasks with a member left out are wanted (--outcomes)"
        return unknown(NAME, name, why)
    least = min(gaps, key=lambda who: gaps[who].mean())
    # the least of several members was chosen, so the level is divided by their number
    interval = mean_interval(gaps[least], level=1 - 0.05 / len(gaps))
    gains = ", ".join(f"{who} {gap.mean():+.2f}" for who, gap in gaps.items())
    reason = f"what the least needed member, {least}, adds to success; of all: {gains}"
    return estimated(NAME, name, interval, NEEDLESS, interval.high < NEEDLESS, reason,
                     below=True)  # fmt: skip


AUDIT = Audit(NAME, "who stops working, and whether a partner stops after them", look, conclude)
