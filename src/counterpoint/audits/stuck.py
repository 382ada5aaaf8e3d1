"""Stuck teams: loops, starting over, repeated calls, handoff ping-pong, deadlocks, and no end.

Nothing is done in a turn that repeats what its member said before, or a call that returned the same
before. Texts are compared by characters (`similar`), so the language and the length do not matter.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple, TypedDict

from counterpoint.audits.base import Audit, Look, case_of, share, unknown
from counterpoint.audits.calls import (
    handed_to,
    is_wait,
    plain,
    results,
    same_call,
    same_result,
)
from counterpoint.audits.cues import is_limit, waits
from counterpoint.audits.similar import Duplicates, normal
from counterpoint.records import Case, Episode, Event, Finding, Outcome

NAME = "stuck"
TIMES = 3
"""This many repetitions are a loop."""
SHORT_TIMES = 5
"""This many repetitions of messages under `SHORTEST` characters are a loop."""
SHORTEST = 40
"""The fewest characters of a message that is seldom repeated by a sound team."""
SHORTEST_LINE = 12
"""The fewest characters of a line of code that says something."""
_CODE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A block of code in a message."""
ROUNDS = 4
"""This many handoffs between the same two members are a ping-pong."""
STANDOFF = 8
"""This many short messages in a row, without an action, may be a deadlock."""
LONGEST_STANDOFF = 200
"""The most characters of a message in a deadlock."""
STALE = 0.6
"""The mean share of known trigrams in the later half of a deadlock."""
TOLERATED = 0.05
"""The share of episodes in which a sound team may be stuck."""
SHARES = (
    ("loop", "a member says or does nothing new for several turns"),
    ("starting_over", f"{TIMES} messages or more repeat an earlier one of the same member"),
    ("repeated_call", f"the same call with the same result {TIMES} times, and nothing in between"),
    ("handoff_ping_pong", f"two members hand the turn to each other {ROUNDS} times"),
    ("waiting", f"{TIMES} members' turns in a row that wait"),
    ("deadlock", "members talk without an action or a new fact until a limit ends it"),
    ("doubled_history", "the log has its own start twice, as after a resume"),
)
NO_CALLS = "the log has no actions"
NO_HANDOFFS = "the log has no handoffs"
NEEDS = {"repeated_call": NO_CALLS, "handoff_ping_pong": NO_HANDOFFS}
"""Finding to what the log lacks where it is not computable."""


class StuckRow(TypedDict):
    """What is kept of an episode."""

    cases: frozenset[str]
    acts: bool
    hands: bool
    ends: bool


class Turn(NamedTuple):
    """A member's turn in a run in which nothing is new."""

    t: int
    length: int


class Call(NamedTuple):
    """What is compared of a call."""

    agent: str
    same: tuple[str, str]
    """The tool and the arguments."""
    result: str


def look(episode: Episode) -> Look[StuckRow] | None:
    """Returns the cases in an episode, and whether it ends."""
    if len(episode.events) < TIMES:
        return None
    doubled = doubled_history(episode)
    events = episode.events[: doubled[0] if doubled else None]
    members = set(episode.agents)
    mine = [event for event in events if event.agent in members]
    calls = compared_calls(mine, results(episode))
    hands = any(handed_to(event) for event in mine)
    handed = ping_pong(episode, mine) if hands else []
    repeated = repetitions(episode, mine, calls)
    loops = [case for case in repeated["loop"] if not any(covers(each, case) for each in handed)]
    blocked = [case for case in deadlock(episode, mine) if not any(covers(x, case) for x in loops)]
    cases = {
        "loop": loops,
        "starting_over": repeated["starting_over"],
        "repeated_call": repeated_calls(episode, calls),
        "handoff_ping_pong": handed,
        "waiting": waiting(episode, mine),
        "deadlock": blocked,
        "doubled_history": _doubled(episode, doubled),
    }
    row: StuckRow = {
        "cases": frozenset(name for name, some in cases.items() if some),
        "acts": any(event.kind == "action" for event in mine),
        "hands": hands,
        "ends": bool(episode.ending)
        or any(e.kind in ("end", "answer") or "TERMINATE" in e.text for e in events),
    }
    return Look(row, cases)


def conclude(rows: Sequence[StuckRow], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns the share of episodes with each kind of case, and of those without an end."""
    if not rows:
        names = (*(name for name, _ in SHARES), "missing_end")
        return [unknown(NAME, name, f"no episode has {TIMES} events") for name in names]
    findings = []
    for name, reason in SHARES:
        able = [
            row
            for row in rows
            if (name != "repeated_call" or row["acts"])
            and (name != "handoff_ping_pong" or row["hands"])
        ]
        hits = sum(name in row["cases"] for row in able)
        findings.append(share(NAME, name, hits, len(able), TOLERATED, reason,
                              none=NEEDS.get(name, ""), seen=len(rows)))  # fmt: skip
    ending = rows if any(row["ends"] for row in rows) else []
    hits = sum(not row["ends"] for row in ending)
    end = share(NAME, "missing_end", hits, len(ending), 0.5, "no answer, end or TERMINATE",
                none="no episode marks its end", seen=len(rows))  # fmt: skip
    return [*findings, end]


def compared_calls(mine: Sequence[Event], returned: Mapping[int, Event]) -> Mapping[int, Call]:
    """Returns the place of each action to its call.

    The result of a call that its member makes only once is "": it is compared with no other.
    """
    acts = [(event.t, event.agent, same_call(event)) for event in mine if event.kind == "action"]
    times = Counter((agent, call) for _, agent, call in acts)
    return {
        t: Call(agent, call, same_result(returned.get(t)) if times[agent, call] > 1 else "")
        for t, agent, call in acts
    }


def repetitions(
    episode: Episode, mine: Sequence[Event], calls: Mapping[int, Call]
) -> dict[str, list[Case]]:
    """Returns the loops, and the messages with which members start over.

    A loop is a run of a member's turns none of which is new. A member starts over if it repeats
    earlier messages, say of a plan, although there were new ones in between. A loop is
    not counted again there. Code that is written again with a line that its member never wrote
    before is new, however much of it is the same.
    """
    known: defaultdict[str, Duplicates] = defaultdict(Duplicates)
    written: defaultdict[str, set[int]] = defaultdict(set)
    done: set[Call] = set()
    runs: dict[str, list[Turn]] = {}
    loops, again = list[list[int]](), list[int]()
    for event in mine:
        if event.kind == "message":
            text = normal(event.text)
            if not text:
                continue
            _, is_new = known[event.agent].of(text)
            length = len(text)
            if code := code_lines(event.text):
                before = written[event.agent]
                is_new = is_new or not code <= before
                before |= code
            if not is_new and length >= SHORTEST:
                again.append(event.t)
        elif event.kind == "action":
            call = calls[event.t]
            is_new, length = call not in done or is_wait(event), SHORTEST
            done.add(call)
        elif event.kind == "handoff":
            continue
        else:
            is_new, length = True, 0
        run = runs.setdefault(event.agent, [])
        if is_new:
            loops += _loop(episode, run)
            run.clear()
        run.append(Turn(event.t, length))
    for run in runs.values():
        loops += _loop(episode, run)
    looped = {t for at in loops for t in at}
    return {"loop": _joined(episode, loops), "starting_over": _restart(episode, again, looped)}


def code_lines(text: str) -> set[int]:
    """Returns the hashes of the lines of the code in a message, without those that are short."""
    if "```" not in text:
        return set()
    lines = (line.strip() for block in _CODE.findall(text) for line in block.split("\n"))
    return {hash(line) for line in lines if len(line) >= SHORTEST_LINE}


def _restart(episode: Episode, again: Sequence[int], looped: Set[int]) -> list[Case]:
    """Returns the case that repeated messages beside those of loops make, if there are enough."""
    at = [t for t in again if t not in looped]
    if len(at) < TIMES:
        return []
    by_author = Counter(episode.events[t].agent for t in at)
    agents = " and ".join(f"{name} {times}" for name, times in by_author.most_common(3))
    what = f"the team starts over: {len(at)} messages repeat earlier ones ({agents})"
    return [case_of(episode, at, len(at), what, times=len(at))]


def _loop(episode: Episode, run: Sequence[Turn]) -> list[list[int]]:
    """Returns the loop that a run is, if it is long enough; its first turn was new."""
    if len(run) < TIMES:
        return []
    long = sum(turn.length >= SHORTEST for turn in run)
    if long < TIMES and len(run) < SHORT_TIMES:
        return []
    at = [turn.t for turn in run]
    # calls alone are for `repeated_calls`
    return [] if all(episode.events[t].kind == "action" for t in at) else [at]


def _joined(episode: Episode, loops: Sequence[list[int]]) -> list[Case]:
    """Returns one case for loops of several members that go on at the same time."""
    joined: list[list[int]] = []
    for at in sorted(loops):
        last = joined[-1] if joined else []
        both = min(last[-1], at[-1]) - at[0] + 1 if last else 0
        if last and 2 * both >= min(last[-1] - last[0], at[-1] - at[0]):
            joined[-1] = sorted((*last, *at))
        else:
            joined.append(at)
    cases = []
    for at in joined:
        names = sorted({episode.events[t].agent for t in at})
        verb = "repeats itself" if len(names) == 1 else "repeat themselves"
        what = f"{' and '.join(names)} {verb} for {len(at)} turns"
        cases.append(case_of(episode, at, len(at), what, times=len(at)))
    return cases


def covers(one: Case, other: Case) -> bool:
    """Returns whether the events of a case span more than half of those of another one."""
    start, end = _span(other)
    first, last = _span(one)
    return 2 * (min(end, last) - max(start, first) + 1) > end - start + 1


def _span(case: Case) -> tuple[int, int]:
    end = case.event or 0
    return (end if case.first is None else case.first), end


def repeated_calls(episode: Episode, calls: Mapping[int, Call]) -> list[Case]:
    """Returns where a member makes the same call, with the same result, and nothing in between.

    A call whose result changes later was polling for that change, and is none.
    """
    since: dict[Call, list[int]] = {}
    seen: set[Call] = set()
    latest: dict[tuple[str, tuple[str, str]], str] = {}
    repeated: list[tuple[Call, list[int]]] = []

    def close() -> None:
        repeated.extend((call, at) for call, at in since.items() if len(at) >= TIMES)
        since.clear()

    for t, call in calls.items():
        latest[call.agent, call.same] = call.result
        if call not in seen or is_wait(episode.events[t]):
            close()  # something is done
        seen.add(call)
        since.setdefault(call, []).append(t)
    close()
    cases = []
    for call, at in repeated:
        first = episode.events[at[0]]
        if latest[call.agent, call.same] == call.result and not handed_to(first):
            what = f"{first.tool or 'the same call'} {len(at)} times"
            what += f", each time: {call.result[:60]}" if call.result else ""
            cases.append(case_of(episode, at, len(at), what, times=len(at)))
    return cases


def ping_pong(episode: Episode, mine: Sequence[Event]) -> list[Case]:
    """Returns where two members hand the turn to each other and do nothing else."""
    cases, at = list[Case](), list[int]()
    pair: frozenset[str] = frozenset()
    last: tuple[str, str] | None = None
    texts: set[tuple[str, str]] = set()
    for event in mine:
        to = handed_to(event)
        if to:
            now = (plain(event.agent), plain(to))
            if now == last:  # the call of the tool, and the handoff that it made
                continue
            if frozenset(now) != pair or (last is not None and now[0] == last[0]):
                cases += _ping_pong(episode, at)
                at, pair = [], frozenset(now)
            at.append(event.t)
            last = now
        elif event.kind != "message" or (event.agent, event.text) not in texts:
            texts.add((event.agent, event.text))
            if event.kind != "message" or len(event.text) >= SHORTEST:
                cases += _ping_pong(episode, at)
                at, pair, last = [], frozenset(), None
    return cases + _ping_pong(episode, at)


def _ping_pong(episode: Episode, at: Sequence[int]) -> list[Case]:
    if len(at) < ROUNDS:
        return []
    event = episode.events[at[-1]]
    other = episode.events[at[-2]].agent
    tool = event.tool or f"handoff to {handed_to(event)}"
    a, b = sorted((event.agent, other))
    what = f"handoff ping-pong: {tool} and back, {len(at)} times between {a} and {b}"
    return [case_of(episode, at, len(at), what, times=len(at))]


def waiting(episode: Episode, mine: Sequence[Event]) -> list[Case]:
    """Returns where members wait for several turns in a row."""
    cases, at = list[Case](), list[int]()
    for event in mine:
        if event.kind == "message" and waits(event.text):
            at.append(event.t)
        else:
            cases += _waiting(episode, at)
            at = []
    return cases + _waiting(episode, at)


def _waiting(episode: Episode, at: Sequence[int]) -> list[Case]:
    what = f"{len(at)} turns in a row that wait"
    return [case_of(episode, at, len(at), what, times=len(at))] if len(at) >= TIMES else []


def deadlock(episode: Episode, mine: Sequence[Event]) -> list[Case]:
    """Returns the standoff in which an episode ends at a limit, in whatever words.

    Its last messages are short and of several members. Nobody acts or brings a number, and the
    later half has hardly a run of three characters that was not there before.
    """
    if not is_limit(episode.ending):
        return []
    tail: list[Event] = []
    for event in reversed(mine):
        text = event.text
        if event.kind != "message" or not 0 < len(text) <= LONGEST_STANDOFF:
            break
        if any(character.isdigit() for character in text):
            break
        tail.append(event)
    tail.reverse()
    members = {event.agent for event in tail}
    if len(tail) < STANDOFF or len(members) < 2:
        return []
    known, shares = set[str](), list[float]()
    for event in tail:
        text = normal(event.text)
        grams = {text[i : i + 3] for i in range(max(1, len(text) - 2))}
        shares.append(len(grams & known) / len(grams))
        known |= grams
    late = shares[len(shares) // 2 :]
    if sum(late) / len(late) < STALE:
        return []
    what = f"{len(tail)} turns of {' and '.join(sorted(members))} without an action or a new fact"
    return [case_of(episode, [e.t for e in tail], len(tail), what, times=len(tail))]


def doubled_history(episode: Episode) -> tuple[int, int] | None:
    """Returns where the start of an episode comes again, and how many events of it.

    The start is a task by a person, which no loop of members repeats.
    """
    events = episode.events
    tools = {event.tool for event in events}
    if not events or events[0].agent in (*episode.agents, *tools) or not events[0].text:
        return None
    start = _key(events[0])
    for t in range(TIMES + 1, len(events)):
        if _key(events[t]) == start:
            count = min(t, len(events) - t)
            if count > TIMES and _keys(events[:count]) == _keys(events[t : t + count]):
                return t, count
    return None


def _key(event: Event) -> tuple[str, str, str, str]:
    return event.agent, event.kind, event.tool, event.text


def _keys(events: Iterable[Event]) -> list[tuple[str, str, str, str]]:
    return [_key(event) for event in events]


def _doubled(episode: Episode, doubled: tuple[int, int] | None) -> list[Case]:
    if doubled is None:
        return []
    t, count = doubled
    what = f"events {t} to {t + count - 1} are events 0 to {count - 1} again"
    return [case_of(episode, [t], count, what, times=count)]


AUDIT = Audit(
    NAME, "loops, starting over, repeated calls, handoff ping-pong, deadlocks", look, conclude
)
