"""The factorial: what is measured against what, and its negative controls."""

import numpy as np
import pytest

from counterpoint.errors import LogError, SettingError, UnknownNameError
from counterpoint.topology import make_topology
from counterpoint.topology.design import (
    SeedScores,
    TopologyPlan,
    compare_topologies,
    references,
    summarize,
)
from counterpoint.topology.play import Guards
from counterpoint.topology.search import search_topologies


def small(**more):
    return TopologyPlan(**{
        "world": "hidden_profile", "topologies": ("independent", "star", "complete"),
        "prompts": ("opinion", "optimal"),
        "seeds": 6, "items": 40, **more,
    })  # fmt: skip


def test_who_hears_whom_matters_where_messages_hold_much_and_members_tell_facts():
    result = compare_topologies(
        small(prompts=("facts", "optimal"), settings={"bits": 200}), workers=1
    )
    shares = result.shares
    assert shares["topology"].low > 0.8
    assert shares["prompt"].high < 0.05
    assert sum(one.value for one in shares.values()) == pytest.approx(1)


def test_how_members_behave_matters_where_all_hear_all():
    result = compare_topologies(
        small(topologies=("star", "complete", "blackboard"), settings={"bits": 200}), workers=1
    )
    assert result.shares["prompt"].low > result.shares["topology"].high + 0.3


def test_the_same_topology_by_two_names_explains_nothing():
    result = compare_topologies(
        small(topologies=("complete", "complete:rounds=1"), prompts=("naive",)), workers=1
    )
    assert result.shares["topology"].value < 0.2
    assert result.shares["topology"].low < 0.05


def test_serial_and_processes_say_the_same():
    plan = small(seeds=3)
    assert compare_topologies(plan, workers=1) == compare_topologies(plan, workers=2)


def test_a_team_that_hears_nobody_is_no_better_than_its_members_and_one_that_talks_is():
    result = compare_topologies(small(), workers=1)
    alone, star = result.scores["independent"].gap, result.scores["star"].gap
    assert alone["mean"].high < 0.1
    assert star["mean"].low > 0.1
    assert result.best.prompt == "optimal"
    assert result.gap["oracle"].low > 0  # talk brings what nobody knows alone
    assert result.gap["single_agent"].high < 0.05
    assert result.scores["star"].orders == 4
    assert len(result.scores["star"].order_scores) == 4


def test_trained_members_are_at_least_as_good_as_named_ones():
    result = compare_topologies(
        small(topologies=("blackboard",), prompts=("naive", "trained"), orders=1), workers=1
    )
    by_prompt = result.scores["blackboard"].by_prompt
    assert by_prompt["trained"].low > by_prompt["naive"].high
    assert len(result.ways["blackboard"]) == 5


def test_guards_hold_in_all_cells():
    result = compare_topologies(
        small(topologies=("debate",), prompts=("naive",), guards=Guards(most_rounds=1)), workers=1
    )
    assert result.scores["debate"].calls == 8  # four turns and four answers


def test_the_best_member_is_chosen_on_other_items():
    # member 0 is right in the first half alone, member 1 in the second: who looks best in one half
    # fails in the other, so the best member is worth 0 and the oracle 1
    members = np.zeros((1, 2, 4))
    members[0, 0, :2] = members[0, 1, 2:] = 1
    batch = SeedScores({"t": np.ones((1, 1))}, members, np.array([0.5]), {"t": 1.0})
    levels = references([batch, batch])
    assert levels["best_member"].tolist() == [[0], [0]]
    assert levels["oracle"].tolist() == [[1], [1]]
    assert levels["mean"].tolist() == [[0.5], [0.5]]
    summary = summarize({"t": [make_topology("star", 2)]}, ["p"], [batch, batch])
    assert summary.shares is None
    assert "never vary" in summary.why_no_shares
    assert summary.gap["single_agent"].value == 0.5


def test_successive_halving_finds_the_best_and_measures_it_again():
    plan = small(seeds=5)
    search = search_topologies(plan, 3000)
    assert search.winner.prompt == "optimal"
    assert search.winner.topology in ("star", "complete")
    assert search.spent <= search.budget == 3000
    assert search.fresh.n == 200
    assert [one.candidates for one in search.rounds] == [12, 6, 3, 2]
    with pytest.raises(SettingError, match="at least 48"):
        search_topologies(plan, 47)


def test_a_search_where_scores_are_no_shares():
    plan = TopologyPlan("idea_search", ("star", "complete"), ("follow",), 2, 20)
    fresh = search_topologies(plan, 400).fresh
    assert fresh.low < fresh.value < fresh.high
    assert fresh.n == 40


def test_idea_search_loses_by_talk():
    plan = TopologyPlan("idea_search", ("best_of_n", "complete:rounds=20"), ("follow",), 4, 60)
    result = compare_topologies(plan, workers=1)
    scores = result.scores
    assert scores["best_of_n"].low > scores["complete:rounds=20"].high
    assert scores["best_of_n"].gap["best_member"].low > 0


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"seeds": 1}, SettingError, "seeds=1"), ({"topologies": ()}, SettingError, "no topol"),
        ({"topologies": ("star", "star")}, SettingError, "twice"),
        ({"topologies": ("sun",)}, UnknownNameError, "'sun'"),
        ({"prompts": ("trained",), "model": "tiny"}, SettingError, "one of them"),
        ({"base_url": "http://127.0.0.1:1/v1"}, SettingError, "no model"),
        ({"world": "hidden_profiles"}, UnknownNameError, "hidden_profile"),
        ({"topologies": ("ring:reach=many",)}, SettingError, "whole number"),
    ],
)  # fmt: skip
def test_plans_that_cannot_be(wrong, error, message):
    with pytest.raises(error, match=message):
        small(**wrong)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"prompts": ("clever",)}, UnknownNameError, "trained"),
        ({"settings": {"bits": "many"}}, SettingError, "whole number"),
        ({"settings": {"bitz": 3}}, UnknownNameError, "bits"),
        ({"topologies": ("ring:reach=9",)}, SettingError, "reach=9"),
        ({"world": "tasks:no_such_file.json"}, LogError, "no_such_file"),
    ],
)
def test_what_depends_on_the_world_is_refused_before_anything_is_played(wrong, error, message):
    plan = small(**wrong)  # a plan makes no world
    for refuses in (lambda: compare_topologies(plan), lambda: search_topologies(plan, 3000)):
        with pytest.raises(error, match=message):
            refuses()
