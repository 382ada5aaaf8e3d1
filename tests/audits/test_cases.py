"""Cases: the worst first, all counted, whatever the verdict; verdicts that follow their numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.audits import audit
from counterpoint.audits.base import MOST_CASES, case_of, estimated, share
from counterpoint.audits.cases import CaseShelf
from counterpoint.records import (
    CANNOT_TELL,
    FOUND,
    NOT_FOUND,
    Case,
    Cost,
    Episode,
    Event,
    Finding,
)
from counterpoint.stats import Estimate


def case(weight: float, name: str = "e") -> Case:
    return Case(name, 0, "ann", "text", weight)


@given(st.lists(st.floats(0, 9), max_size=60), st.integers(1, 8))
def test_the_worst_are_kept_whatever_the_order_and_all_are_counted(weights, most):
    shelf = CaseShelf(most)
    for i, weight in enumerate(weights):
        shelf.add("stuck", {"loop": [case(weight, str(i))]})
    worst = shelf.worst("stuck", "loop")
    assert [each.weight for each in worst] == sorted(weights, reverse=True)[:most]
    kept = shelf.joined(Finding("stuck", "loop", 0.5, 2))
    assert kept.cases_total == len(weights)
    assert kept.cases == tuple(worst)
    ties = [int(each.episode) for each in worst if each.weight == worst[0].weight]
    assert ties == sorted(ties)  # of equals the earliest come first


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.05, 0.1, 0.5]))
def test_the_verdict_of_a_share_follows_its_interval(hits, n, tolerated):
    finding = share("stuck", "loop", min(hits, n), n, tolerated, "it loops")
    wanted = FOUND if finding.low > tolerated else NOT_FOUND if finding.high <= tolerated else None
    assert finding.verdict == (wanted or CANNOT_TELL)


def test_few_episodes_cannot_tell_and_many_can():
    # Wilson: 0 of 20 reaches 0.161, 0 of 100 reaches 0.037
    assert share("a", "b", 0, 20, 0.05, "x").verdict == CANNOT_TELL
    assert share("a", "b", 0, 100, 0.05, "x").verdict == NOT_FOUND
    assert share("a", "b", 3, 100, 0.05, "x").verdict == CANNOT_TELL


def test_a_measurement_has_no_verdict_of_health():
    finding = estimated("cost", "calls", Estimate(3.0, 2.0, 4.0, 9), None, False, "calls")
    assert finding.verdict == CANNOT_TELL
    assert "no value is right" in finding.reason


def test_the_cost_of_a_case_is_the_sum_over_its_events():
    events = (
        Event(0, "ann", "message", "a", tokens=5, tokens_in=100, cost=0.25),
        Event(1, "bob", "message", "b", tokens=999),
        Event(2, "ann", "action", "c", tokens=7, duration=2.0, tool="search"),
    )
    made = case_of(Episode("e", events, ("ann", "bob")), [0, 2], 2.0, "loops")
    assert made.cost == Cost(1, 100, 12, 0.25, 2.0)
    assert (made.first, made.event, made.quote) == (0, 2, "c")
    bare = Event(0, "ann", "message", "a")
    assert case_of(Episode("e", (bare,), ("ann",)), [0], 1.0).cost is None  # the log says nothing


def looping(name: str, times: int) -> Episode:
    text = "The build is red and nobody knows the reason for it."
    return Episode(name, tuple(Event(t, "ann", "message", text) for t in range(times)), ("ann",))


def working(name: str) -> Episode:
    texts = ("open the box", "count the screws", "write the bill", "call the customer")
    events = (Event(t, "ann", "message", f"{name}: {text}") for t, text in enumerate(texts))
    return Episode(name, tuple(events), ("ann",))


def test_three_that_loop_among_a_hundred_are_named_though_the_team_is_not_blamed():
    episodes = [working(f"w{i}") for i in range(97)]
    episodes[10:10] = [looping("short", 4), looping("long", 60), looping("middle", 9)]
    result = audit(episodes, only=("stuck",))
    loop = next(f for f in result.findings if f.name == "loop")
    assert (loop.verdict, loop.cases_total) == (CANNOT_TELL, 3)
    assert [each.episode for each in loop.cases] == ["long", "middle", "short"]
    assert [each.times for each in loop.cases] == [60, 9, 4]


def test_a_finding_keeps_the_worst_of_many_and_a_timeline_of_the_very_worst():
    episodes = [looping(f"e{i}", 3 + i) for i in range(MOST_CASES + 30)]
    result = audit(episodes, only=("stuck",), sample=2)
    loop = next(f for f in result.findings if f.name == "loop")
    assert loop.cases_total == MOST_CASES + 30
    assert [each.times for each in loop.cases] == list(range(82, 82 - MOST_CASES, -1))
    names = {timeline.episode for timeline in result.timelines}
    assert names == {"e0", "e1", *(f"e{i}" for i in range(75, 80))}


def test_texts_that_were_not_captured_are_neither_idle_nor_loops():
    events = tuple(Event(t, "ab"[t % 2], "message", "", tokens=9) for t in range(20))
    for meta in ({"content": "not captured"}, {}):
        result = audit([Episode("e", events, ("a", "b"), meta=meta)])
        seen = {f.name for f in result.findings if f.cases}
        assert seen == (set() if meta else {"idle_team", "idle_run"})
    some = tuple(replace(e, meta={"content": "not captured"} if e.t else {}) for e in events)
    partly = audit([Episode("e", (*some, Event(20, "a", "message", "So.")), ("a", "b"))])
    assert not any(f.cases for f in partly.findings if f.name in ("idle_team", "idle_run"))
    idle = next(f for f in result.findings if f.name == "idle_run")
    assert idle.cases[0].what == "10 blank turns in a row"


@pytest.mark.parametrize(("turns", "silent"), [((10, 10, 1), ["c"]), ((10, 10, 0), ["c"]),
                                               ((10, 10, 3), []), ((20, 1), []), ((9, 0), ["b"]),
                                               ((3, 3, 0), [])])  # fmt: skip
def test_a_member_with_hardly_a_turn_among_busy_ones_is_silent(turns, silent):
    names = [name for name, n in zip("abc", turns, strict=False) for _ in range(n)]
    events = tuple(Event(t, name, "message", f"part {t}") for t, name in enumerate(names))
    result = audit([Episode("e", events, tuple("abc"[: len(turns)]))], only=("idleness",))
    finding = next(f for f in result.findings if f.name == "silent_member")
    assert [each.agent for each in finding.cases] == silent
    # who is never named is not seen, unless the log lists members who do nothing
    assert ("team.save_state()" in finding.reason) == (0 not in turns)


def test_a_finding_has_the_cost_of_all_its_cases():
    text = "The build is red and nobody knows the reason for it."
    turns = tuple(Event(t, "ann", "message", text, tokens=2, cost=0.5) for t in range(4))
    result = audit([Episode(f"e{i}", turns, ("ann",)) for i in range(3)], only=("stuck",))
    told = {f.name: f for f in result.findings}
    assert told["loop"].cost == Cost(0, None, 24, 6.0, None)
    assert told["waiting"].cost is None
