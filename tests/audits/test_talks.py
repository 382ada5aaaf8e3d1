"""Who talks to whom as a topology: measured, or said to be unknown."""

from __future__ import annotations

import pytest

from counterpoint.audits.talks import BY_ALL, NAMED, TalkTally, measured
from counterpoint.records import Episode, Event
from counterpoint.report.pages.talks import topology_line, topology_table, topology_words


def episode(*turns, members=("a", "b", "c", "d"), name="e"):
    """Turns are (sender, receivers); a receiver of "" is none."""
    events = tuple(
        Event(t, sender, "message", f"item {t}", tuple(to)) for t, (sender, to) in enumerate(turns)
    )
    return Episode(name, events, members, ("user",))


def shape(*episodes):
    tally = TalkTally()
    for each in episodes:
        tally.add(each)
    return tally.shape()


STAR = [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("a", "d"), ("d", "a")]


def test_a_star_is_measured_by_hand():
    got = shape(episode(*STAR), episode(*STAR, ("a", "b")))
    (reading,) = got.readings
    # 6 of 12 ordered pairs; degrees 3, 1, 1, 1: (0 + 2 + 2 + 2) / (3 x 2) = 1
    assert (reading.density, reading.centralization, reading.reach) == (0.5, 1.0, 1.0)
    assert reading.hops == pytest.approx((6 * 1 + 6 * 2) / 12)
    assert (reading.assumption, reading.episodes) == (NAMED, 2)
    assert got.nearest == ["star", "planner_workers"]
    assert (got.addressed, got.unaddressed) == (13, 0)
    assert (reading.nearest[0].missing, reading.nearest[0].extra) == (0.0, 0.0)
    assert "nearest named topology is star, also planner_workers" in topology_words(got)


def test_a_chain_reaches_half_of_the_pairs():
    density, centralization, reach, hops, nearest = measured(3, frozenset({(0, 1), (1, 2)}))
    assert (density, reach) == (pytest.approx(2 / 6), 0.5)
    assert hops == pytest.approx((1 + 1 + 2) / 3)
    assert centralization == 1.0  # undirected degrees 1, 2, 1
    assert "chain" in {name for shape in nearest for name in shape.names}


def test_without_any_receiver_it_cannot_be_told_and_the_assumption_is_named():
    got = shape(episode(("a", ""), ("b", ""), ("c", ""), ("d", "")))
    assert got.nearest == []
    assert got.reason == "no message names a member as its receiver"
    (reading,) = got.readings
    assert (reading.assumption, reading.density) == (BY_ALL, 1.0)
    assert "cannot be told" in topology_words(got)
    assert BY_ALL in topology_line(got)


def test_it_cannot_be_told_if_the_readings_differ():
    got = shape(episode(*STAR, ("b", "")))
    # b speaks to all: two more arrows, 8 of 12
    assert [reading.density for reading in got.readings] == [0.5, pytest.approx(8 / 12)]
    assert got.nearest == ["star", "planner_workers"]  # still the nearest, with two extra
    assert got.readings[1].nearest[0].extra == 2.0
    other = shape(episode(*STAR, ("b", ""), ("c", ""), ("d", "")))
    assert other.nearest == []
    assert (
        other.reason == "messages without a receiver could be for all members, or for one of them"
    )


def test_messages_to_tools_and_people_make_no_arrow():
    got = shape(episode(("a", "b"), ("b", ["user"]), members=("a", "b")))
    assert got.readings[0].density == 0.5
    assert got.addressed == 2


def test_handoffs_count_and_calls_do_not():
    events = (
        Event(0, "a", "handoff", "", ("b",)),
        Event(1, "b", "action", "{}", (), tool="search"),
    )
    got = shape(Episode("e", events, ("a", "b")))
    assert (got.addressed, got.unaddressed, got.readings[0].density) == (1, 0, 0.5)
    assert got.readings[0].centralization is None


def test_teams_of_one_and_of_many_are_not_measured():
    many = tuple(f"m{i}" for i in range(9))
    assert shape(episode(("a", ""), members=("a",))) is None
    got = shape(episode(("m0", ["m1"]), members=many))
    assert (got.too_large, got.readings, got.nearest) == (1, [], [])
    assert "1 episode of more than eight members" in topology_words(got)
    assert topology_table(got) is None


def test_a_tie_is_not_told_as_one_of_its_shapes():
    got = shape(episode(("a", "b"), ("a", "c"), ("a", "d")))
    assert got.nearest == []
    assert got.reason.startswith("no shape alone is the nearest one in most episodes")
    table = topology_table(got)
    assert table is not None
    assert len(table.rows[0].cells[1].lines) == 2
