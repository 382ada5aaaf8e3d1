"""The parts that all audits share: `Audit` itself, and functions that make findings.

`share`, `mean_share` and `mean_gap` make a `Finding` of numbers of episodes, with an interval.
`unknown` makes a finding that is not computable.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Generic, TypeVar

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.records import (
    CANNOT_TELL,
    FOUND,
    NOT_COMPUTABLE,
    NOT_FOUND,
    Case,
    Cost,
    Episode,
    Event,
    Finding,
    Outcome,
)
from counterpoint.stats import Estimate, bootstrap_interval, means, wilson_interval

Row = Mapping[str, object]
"""What every row is: a few numbers of one episode. Each audit types its rows as a `TypedDict`."""
Kept = TypeVar("Kept", bound=Row)

NOTHING = "there is nothing to count"
FEWEST = 5
"""With fewer episodes the mean of a difference is not computable."""
MANY = 400
DRAWS = 4000
MOST_DRAWN = 10_000
LONGEST_QUOTE = 120
"""The most characters of a quotation."""
MOST_CASES = 50
"""The most cases that a finding keeps, worst first; all are counted."""


@dataclass(frozen=True)
class Look(Generic[Kept]):
    """What an audit keeps of one episode."""

    row: Kept
    """A few numbers."""
    cases: Mapping[str, Sequence[Case]] = field(default_factory=dict)
    """Name of a finding to its cases in this episode, at most one for each time that it happens."""


@dataclass(frozen=True)
class Audit(Generic[Kept]):
    """One kind of failure that logs can show."""

    name: str
    """The name in `counterpoint audit --only NAME`."""
    summary: str
    """A description of one line."""
    look: Callable[[Episode], Look[Kept] | None]
    """Returns what is kept of an episode; None if the episode shows nothing."""
    conclude: Callable[[Sequence[Kept], Sequence[Outcome]], list[Finding]]
    """Returns the findings from all rows, and from a table of outcomes, which may be empty."""


def unknown(audit: str, name: str, why: str, n: int = 0) -> Finding:
    """Returns a finding that is not computable."""
    return Finding(audit, name, None, n, None, None, None, NOT_COMPUTABLE,
                   f"not computable because {why}")  # fmt: skip


def estimated(
    audit: str, name: str, interval: Estimate, null: float | None, is_found: bool, reason: str,
    *, below: bool = False, least: float = 0.0, p: float | None = None,
) -> Finding:  # fmt: skip
    """Returns the finding that an estimate with its interval makes.

    It is `not found` if the whole interval is on the sound side of the null, or so near to it that
    it does not matter. Otherwise, and without a null, it `cannot tell`.

    Args:
        audit, name: the names of the audit and of the finding.
        interval: the estimate.
        null: the value without the fault; None for a measurement.
        is_found: whether the estimate shows the fault.
        reason: the meaning of the number.
        below: whether the fault is a value below the null.
        least: the smallest distance from the null that matters.
        p: the p-value, if there is a test.
    """
    is_sound = null is not None and (
        interval.low >= null - least if below else interval.high <= null + least
    )
    verdict = FOUND if is_found else NOT_FOUND if is_sound else CANNOT_TELL
    if null is None:
        reason = f"{reason} (a measurement: no value is right)"
    elif verdict == CANNOT_TELL:
        reason = f"{reason}; too few or too different to tell"
    return Finding(audit, name, interval.value, interval.n, interval.low, interval.high, null,
                   verdict, reason, p)  # fmt: skip


def share(
    audit: str, name: str, hits: int, n: int, tolerated: float, reason: str,
    of: str = "episodes", *, none: str = NOTHING, seen: int = 0,
) -> Finding:  # fmt: skip
    """Returns a share of episodes and its Wilson interval.

    The verdict is `found` if the whole interval is above the tolerated share, and `not found` if
    all of it is at most that.

    Args:
        audit, name: the names of the audit and of the finding.
        hits, n: the number of episodes with a hit, and of all that could have one.
        tolerated: the share in a sound team, which is the null; 1 if a share is no fault.
        reason: the meaning of a hit.
        of: the noun for what is counted.
        none: the reason why nothing is computable if `n` is 0.
        seen: the number of episodes behind that reason.
    """
    if not n:
        return unknown(audit, name, none, seen)
    interval, null = wilson_interval(hits, n), tolerated if tolerated < 1 else None
    reason = f"{hits} of {n} {of}: {reason}"
    return estimated(audit, name, interval, null, interval.low > tolerated, reason)


def mean_share(
    audit: str, name: str, shares: Sequence[float], reason: str, tolerated: float | None = None,
    *, none: str = NOTHING, seen: int = 0,
) -> Finding:  # fmt: skip
    """Returns a mean over episodes of shares.

    The verdict is `found` if the whole interval is above the tolerated share.

    Args:
        audit, name: the names of the audit and of the finding.
        shares: the share of each episode.
        reason: the meaning of the number.
        tolerated: the share in a sound team; None if there is no right value.
        none: the reason why nothing is computable if there are no shares.
        seen: the number of episodes behind that reason.
    """
    values = np.asarray(shares, dtype=float)
    if not len(values):
        return unknown(audit, name, none, seen)
    if len(values) == 1:
        only = Estimate(float(values[0]), -math.inf, math.inf, 1)
        finding = estimated(audit, name, only, tolerated, False, reason)
        return replace(finding, low=None, high=None)
    interval = mean_interval(values)
    is_found = tolerated is not None and interval.low > tolerated
    return estimated(audit, name, interval, tolerated, is_found, reason)


def mean_gap(audit: str, name: str, gaps: Sequence[float], least: float, reason: str) -> Finding:
    """Returns a mean over episodes of a difference from its own null, which is 0.

    Args:
        audit, name: the names of the audit and of the finding.
        gaps: the difference of each episode.
        least: the smallest mean that matters; p decides whether chance explains it.
        reason: the meaning of the number.
    """
    values = np.asarray(gaps, dtype=float)
    if len(values) < FEWEST:
        why = f"{len(values)} episodes can tell, and {FEWEST} are wanted"
        return unknown(audit, name, why, len(values))
    interval = mean_interval(values)
    is_found = interval.value >= least and interval.low > 0
    reason = f"{reason}; less than {least:g} does not matter"
    return estimated(audit, name, interval, 0.0, is_found, reason, least=least,
                     p=sign_flip(values))  # fmt: skip


def sign_flip(values: Floats) -> float:
    """Returns how often the mean is as high if each episode's difference has a random sign.

    With more than `MANY` episodes it uses the normal distribution with the exact variance.
    """
    if len(values) > MANY:
        spread = math.sqrt(float((values**2).sum()))
        return 0.5 * math.erfc(float(values.sum()) / spread / math.sqrt(2)) if spread else 1.0
    rng = np.random.default_rng(0)
    signs = rng.integers(0, 2, (DRAWS, len(values))) * 2 - 1
    means_by_chance = (signs * np.abs(values)).mean(axis=1)
    # one more in both counts: the data themselves are one of the orders, so p is never 0
    return float((1 + (means_by_chance >= values.mean() - 1e-12).sum()) / (DRAWS + 1))


def case_of(
    episode: Episode, at: Sequence[int], weight: float, what: str = "", *,
    times: int | None = None, before: str | None = None, now: str | None = None,
) -> Case:  # fmt: skip
    """Returns the case that events of an episode make; the last one of them is quoted.

    Args:
        episode: the episode.
        at: places of its events, at least one, in order.
        weight: how bad it is.
        what: what is seen, in a few words.
        times, before, now: see `Case`.
    """
    event = episode.events[at[-1]]
    return Case(
        episode.id, event.t, event.agent, quote_of(event), weight, what,
        at[0] if at[0] != event.t else None, times, before, now,
        cost_of([episode.events[t] for t in at]),
    )  # fmt: skip


def cost_of(events: Sequence[Event]) -> Cost | None:
    """Returns the sums over events; None if the log says nothing about any of them."""
    read = [e.tokens_in for e in events if e.tokens_in is not None]
    made = [e.tokens for e in events if e.tokens is not None]
    dollars = [e.cost for e in events if e.cost is not None]
    lasted = [e.duration for e in events if e.duration is not None]
    if not (read or made or dollars or lasted):
        return None
    return Cost(
        calls=sum(e.kind == "action" for e in events),
        tokens_in=sum(read) if read else None,
        tokens_out=sum(made) if made else None,
        dollars=math.fsum(dollars) if dollars else None,
        seconds=math.fsum(lasted) if lasted else None,
    )


def added(one: Cost | None, other: Cost) -> Cost:
    """Returns the sum of two costs; what neither says stays None."""
    if one is None:
        return other
    return Cost(
        one.calls + other.calls,
        _sum(one.tokens_in, other.tokens_in),
        _sum(one.tokens_out, other.tokens_out),
        _total(one.dollars, other.dollars),
        _total(one.seconds, other.seconds),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def _total(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def quote(text: str) -> str:
    """Returns the start of a text, on one line."""
    # no more words than fill it: a text may be long
    text = " ".join(text.split(None, LONGEST_QUOTE // 2 + 1)[: LONGEST_QUOTE // 2 + 1])
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."


def quote_of(event: Event) -> str:
    """Returns the start of the text of an event; of a call or a handoff without words, its names.

    Such a text is `{}`: `transfer_to_bob, ann to bob` is more to look for.
    """
    if any(map(str.isalnum, event.text)) or not (event.tool or event.to):
        return quote(event.text)
    to = f" to {', '.join(event.to)}" if event.to else ""
    return quote(f"{event.tool or event.kind}, {event.agent}{to}")


def mean_interval(values: Floats, level: float = 0.95) -> Estimate:
    """Returns the mean and its bootstrap interval, the normal one above `MOST_DRAWN` values.

    Args:
        values: two or more numbers.
        level: the share that the interval aims to cover.
    """
    if len(values) > MOST_DRAWN:
        mean, spread = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
        reach = NormalDist().inv_cdf((1 + level) / 2) * spread
        return Estimate(mean, mean - reach, mean + reach, len(values))
    return bootstrap_interval(values, rng=np.random.default_rng(0), statistic=means, level=level)


def outcome_of(episode: Episode) -> Outcome | None:
    """Returns the outcome of an episode; None without a task and a success from 0 to 1."""
    if not episode.task or episode.success is None or not 0 <= episode.success <= 1:
        return None
    spent = cost_of(episode.events)
    setting = "team" if len(episode.agents) > 1 else "solo"
    return Outcome(episode.task, setting, episode.agents, episode.success,
                   spent.dollars if spent else None)  # fmt: skip


def whole_teams(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Returns the outcomes without those of a part of a team: members who are some of those of
    another row of the same task. A set of members that is a part at one task is one at all."""
    sets: dict[str, set[frozenset[str]]] = defaultdict(set)
    for each in outcomes:
        if each.setting == "team":
            sets[each.task].add(frozenset(each.members))
    parts = {one for there in sets.values() for one in there if one and any(one < o for o in there)}
    return [o for o in outcomes if o.setting != "team" or frozenset(o.members) not in parts]


def smaller_teams(outcomes: Sequence[Outcome]) -> str:
    """Returns how many rows are of some of the members of another task's team, and who they are; an
    empty text if there are none. They count as the team of their task: teams may differ.

    Args:
        outcomes: of whole teams: see `whole_teams`.
    """
    rows = [frozenset(each.members) for each in outcomes if each.setting == "team" and each.members]
    sets = set(rows)
    small = {one for one in sets if any(one < other for other in sets)}
    if not small:
        return ""
    first = ";".join(sorted(min(small, key=sorted)))
    count = sum(each in small for each in rows)
    return (f"{count} rows count as the team though their members, such as {first}, are some of "
            "another task's team")  # fmt: skip


def two_teams(outcomes: Sequence[Outcome]) -> str:
    """Returns the members of two teams at one task, as `ann;bob and ann;carl`; an empty text if
    there is one team at each task.

    Args:
        outcomes: of whole teams: see `whole_teams`.
    """
    first: dict[str, tuple[str, ...]] = {}
    for each in outcomes:
        if each.setting == "team" and each.members:
            other = first.setdefault(each.task, each.members)
            if set(other) != set(each.members):
                return f"{';'.join(other)} and {';'.join(each.members)}"
    return ""


def mean_scores(outcomes: Sequence[Outcome], setting: str) -> dict[str, float]:
    """Returns the mean score of each task in one setting."""
    scores: dict[str, list[float]] = defaultdict(list)
    for each in outcomes:
        if each.setting == setting:
            scores[each.task].append(each.score)
    return {task: float(np.mean(values)) for task, values in scores.items()}
