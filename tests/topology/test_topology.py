"""Topologies: what can travel where, by hand, and what seating changes."""

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.topology import (
    TOPOLOGIES,
    Topology,
    from_networkx,
    hops,
    make_topology,
    measures,
    orders,
    to_networkx,
)

INF = np.inf


def test_hops_of_a_chain_lead_forward_only():
    assert hops(make_topology("chain", 3)).tolist() == [[0, 1, 2], [INF, 0, 1], [INF, INF, 0]]


def test_a_second_round_of_a_ring_brings_news_of_the_neighbours_neighbour():
    one = hops(make_topology("ring:rounds=1", 4))
    two = hops(make_topology("ring:rounds=2", 4))
    assert one[0].tolist() == [0, 1, INF, INF]
    assert two[0].tolist() == [0, 1, 2, INF]


def test_who_speaks_at_once_is_heard_in_the_next_turn():
    together = Topology("t", 3, ((0, 1), (1, 2)), ((0, 1, 2),))
    one_by_one = Topology("t", 3, ((0, 1), (1, 2)), ((0,), (1,), (2,)))
    assert hops(together)[0, 2] == INF
    assert hops(one_by_one)[0, 2] == 2


def test_the_hub_of_a_star_hears_all_before_it_speaks():
    star = hops(make_topology("star", 4))
    assert star[:, 0].tolist() == [0, 1, 1, 1]
    assert star[1, 2] == 2  # through the hub
    assert hops(make_topology("planner_workers", 4))[1, 2] == INF  # the hub spoke first


def test_measures_by_hand():
    told = measures(make_topology("star", 4))
    assert (told.density, told.turns, told.messages, told.depth) == (0.5, 4, 6, 2)
    assert (told.reach, told.path) == (1.0, 0.0)
    tree = measures(make_topology("tree", 4), expert=3)  # 3 under 1 under 0
    assert tree.path == 2
    assert measures(make_topology("independent", 4)).path is None
    assert measures(make_topology("independent", 4)).reach == 0.25
    assert measures(make_topology("complete", 4)).path == 0.75  # itself 0, three others 1


@pytest.mark.parametrize(
    ("told", "count"),
    [("complete", 1), ("star", 4), ("solo", 4), ("chain", 24), ("ring", 6), ("debate", 1),
     ("blackboard", 24), ("planner_workers", 4), ("independent", 1), ("tree", 24)],
)  # fmt: skip
def test_orders_that_make_a_difference(told, count):
    found = orders(make_topology(told, 4))
    assert len(found) == count
    assert len({one.shape for one in found}) == count


def test_the_first_order_is_its_own_and_limits_hold():
    chain = make_topology("chain", 5)
    few = orders(chain, 6, np.random.default_rng(0))
    assert few[0] == chain
    assert len(few) == 6
    many = orders(make_topology("chain", 12), 5, np.random.default_rng(0))
    assert len({one.shape for one in many}) == 5
    with pytest.raises(SettingError, match="limit"):
        orders(make_topology("chain", 12))


@given(st.sampled_from(sorted(TOPOLOGIES)), st.integers(1, 7), st.randoms())
def test_seating_moves_hops_and_changes_no_measure(name, members, random):
    topology = make_topology(name, members)
    seats = list(range(members))
    random.shuffle(seats)
    seated = topology.seated(seats)
    assert np.array_equal(hops(seated)[np.ix_(seats, seats)], hops(topology))
    assert measures(seated, expert=seats[0]) == measures(topology)


@given(st.sampled_from(sorted(TOPOLOGIES)), st.integers(1, 7))
def test_networkx_there_and_back(name, members):
    topology = make_topology(name, members)
    assert from_networkx(to_networkx(topology)).shape == topology.shape


def test_a_drawn_graph_becomes_a_topology():
    made = from_networkx(networkx.path_graph(["a", "b", "c"]))
    assert made.edges == ((0, 1), (1, 2), (1, 0), (2, 1))
    assert made.order == ((0, 1, 2),)
    assert made.decides == "vote"


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": ((0, 0),)}, {"edges": ((0, 5),)}, {"edges": ((0, 1), (0, 1))}, {"order": ()},
        {"order": ((0, 0),)}, {"order": ((9,),)}, {"rounds": 0}, {"members": 0},
        {"decides": "member"}, {"decider": 1}, {"decides": "luck"},
        {"decides": "member", "decider": 7},
    ],
)  # fmt: skip
def test_what_is_no_topology_is_refused(wrong):
    with pytest.raises(SettingError, match="got"):
        Topology(**{"name": "t", "members": 3, "edges": (), "order": ((0, 1, 2),), **wrong})


def test_names_and_options_that_do_not_exist():
    with pytest.raises(UnknownNameError, match="wanted one of solo"):
        make_topology("stra", 3)
    with pytest.raises(UnknownNameError, match="reach"):
        make_topology("ring:width=2", 3)
    with pytest.raises(SettingError, match="whole number"):
        make_topology("ring:reach=x", 3)
    with pytest.raises(SettingError, match="ring of 3"):
        make_topology("ring:reach=3", 3)
    with pytest.raises(SettingError, match="order of"):
        make_topology("chain", 3).seated([0, 0, 1])
