"""Which named topology a graph is like: exact, in every seating, ties and all."""

from __future__ import annotations

import pytest

from counterpoint.errors import SettingError
from counterpoint.topology import TOPOLOGIES, Nearest, make_topology, nearest_topologies


def graph(name, members, seats=None):
    topology = make_topology(name, members)
    return frozenset((topology.seated(seats) if seats else topology).edges)


@pytest.mark.parametrize("members", [3, 5, 8])
@pytest.mark.parametrize("name", list(TOPOLOGIES))
def test_each_topology_is_nearest_to_itself_in_any_seating(name, members):
    seats = [*range(2, members), 1, 0]
    nearest = nearest_topologies(members, graph(name, members, seats))
    assert name in nearest[0].names
    assert nearest[0][1:] == (0, 0)


def test_a_star_without_an_arrow_and_with_another_one():
    star = graph("star", 5)  # 8 arrows: 1 to 4 both ways with 0
    changed = (star - {(3, 0)}) | {(1, 2)}
    assert nearest_topologies(5, changed) == (Nearest(("star", "planner_workers"), 1, 1),)


def test_orders_to_workers_who_never_answer_are_as_near_to_silence_as_to_a_star():
    orders = frozenset({(0, 1), (0, 2), (0, 3)})
    assert nearest_topologies(4, orders) == (
        Nearest(("solo", "independent", "best_of_n"), 0, 3),
        Nearest(("star", "planner_workers"), 3, 0),
    )


def test_two_members_who_talk_both_ways_are_every_topology_that_does():
    (shape,) = nearest_topologies(2, frozenset({(0, 1), (1, 0)}))
    assert shape.names == ("ring", "star", "complete", "debate", "blackboard", "planner_workers")
    (one_way,) = nearest_topologies(2, frozenset({(1, 0)}))
    assert one_way.names == ("chain", "tree")


@pytest.mark.parametrize("members", [1, 9])
def test_seatings_of_too_many_are_an_error(members):
    with pytest.raises(SettingError, match="wanted 2 to 8"):
        nearest_topologies(members, frozenset())
