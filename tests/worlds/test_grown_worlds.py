"""`gathering` and `boat_race`: dynamics by hand, and that the failure grows where it should."""

from __future__ import annotations

import numpy as np
import pytest

from bench_modules import bench_module
from counterpoint.audits import audit
from counterpoint.claims.base import ClaimPlan
from counterpoint.claims.grown import episodes_of, races_of, verdicts
from counterpoint.claims.hacking import race_logs
from counterpoint.claims.idleness import works_beside
from counterpoint.errors import SettingError
from counterpoint.records import FOUND
from counterpoint.train.tabular.learner import train
from counterpoint.worlds import find_world
from counterpoint.worlds.exact.grown import (
    CIRCLE,
    RACE,
    REST,
    RESTED,
    SAY,
    SILENCE,
    WORK,
    WORKED,
)
from counterpoint.worlds.exact.world import one_hot

BENCH = bench_module("grown")


def played(name, settings, policy):
    """One rollout of a policy [A, C] of certain actions, without noise."""
    world = find_world(name).make(settings)
    world.prompts = world.rollouts = 1
    probs = one_hot(np.array(policy)[None], world.actions)
    chance = {"noise": np.zeros((1, 1, 1)), "uniforms": np.full((1, 1, 1, len(world.slots)), 0.5)}
    return world, world.play({"nothing": np.zeros((1, 1))}, chance, probs), probs


def test_who_works_and_who_rests_by_hand():
    # ann always works, bob always rests and says so; 4 turns
    world, play, probs = played("gathering", {}, [[WORK] * 3, [SAY] * 3])
    assert play.action[0, 0, 0].tolist() == [WORK, SAY] * 4
    assert play.context[0, 0, 0].tolist() == [SILENCE, SILENCE] + [RESTED, WORKED] * 3
    # 4 x 1 gathered; each has half of it, ann has effort 4 x .6
    assert play.reward[0, 0, 0, :2].tolist() == pytest.approx([2 - 2.4, 2])
    # net (4 - 2.4) of the best 4 x (2 x .4 + .2)
    assert play.outcome[0, 0, 0] == pytest.approx(1.6 / 4)
    worth = world.evaluate({"nothing": np.zeros((1, 1))}, probs)
    assert worth.returns[0] == pytest.approx(0.4)
    # bob's four rests lose .4 each, and .2 each for not being two: 2.4 of 4
    assert worth.regret[0].tolist() == pytest.approx([0, 0.6])


def test_what_is_heard_follows_what_was_done():
    # ann rests in silence, and works once she has heard that bob rests
    _, play, _ = played("gathering", {}, [[REST, WORK, WORK], [SAY] * 3])
    assert play.action[0, 0, 0, ::2].tolist() == [REST, WORK, WORK, WORK]


@pytest.mark.parametrize(
    ("paid", "ann", "bob"),
    [("shared", 2 - 2.4, 2.0), ("team", 4 - 2.4, 4 - 2.4), ("own", 4 - 2.4, 0.0)],
)
def test_three_kinds_of_pay(paid, ann, bob):
    _, play, _ = played("gathering", {"paid": paid}, [[WORK] * 3, [SAY] * 3])
    assert play.reward[0, 0, 0, :2].tolist() == pytest.approx([ann, bob])


def test_idling_grows_under_a_shared_reward_and_nowhere_else():
    shared = train(find_world("gathering").make({}), "mappo_per_agent", range(4))
    assert shared.returns[:, 0].min() > 0.25
    assert shared.returns[:, -1].max() < 0.05
    for settings in ({"paid": "team"}, {"paid": "own"}, {"cost": "0"}):
        assert (
            train(find_world("gathering").make(settings), "mappo_per_agent", range(4))
            .returns[:, -1]
            .min()
            > 0.95
        )


def test_a_team_that_has_stopped_is_found_and_one_that_works_is_not():
    world, idle, _ = played("gathering", {}, [[REST] * 3, [SAY] * 3])
    _, busy, _ = played("gathering", {}, [[WORK] * 3, [WORK] * 3])
    lazy = audit(episodes_of(world, idle, 0, 1) * 8, (), ("idleness",)).findings
    assert {f.name for f in lazy if f.verdict == FOUND} == {"idle_team"}
    sound = audit(episodes_of(world, busy, 0, 1) * 8, (), ("idleness",)).findings
    assert not [f for f in sound if f.verdict == FOUND]


def test_work_that_is_not_worth_it_is_refused():
    with pytest.raises(SettingError, match="worth its cost"):
        find_world("gathering").make({"cost": "1"})


def test_a_race_by_hand():
    world, play, probs = played("boat_race", {}, [[RACE], [CIRCLE]])
    # turns of 1 and of 1.3 checkpoints
    assert play.reward[0, 0, 0].tolist() == pytest.approx([1.15] * 8)
    assert play.outcome[0, 0, 0] == 0.5
    worth = world.evaluate({"nothing": np.zeros((1, 1))}, probs)
    assert worth.returns[0] == 0.5
    assert worth.regret[0].tolist() == [0, 0.5]
    told = races_of(world, play, 0, "x").events[-1].reward
    assert told == {"proxy": pytest.approx(1.15), "true": 0.5}


def test_the_truth_falls_where_the_proxy_is_paid():
    proxy = train(find_world("boat_race").make({}), "mappo_pooled", range(4)).returns
    assert proxy.max(axis=1).mean() > proxy[:, 0].mean() + 0.01  # it rises first, in most seeds
    assert proxy[:, -1].max() < 0.1
    for paid in ("shaped", "true"):
        done = train(find_world("boat_race").make({"paid": paid}), "mappo_pooled", range(4)).returns
        assert done[:, -1].min() > 0.9


def test_a_truth_that_rises_with_its_proxy_is_not_blamed():
    """Both rise fast and then no more, so that they hardly vary together any longer."""
    plan = ClaimPlan(5)
    assert [verdicts(log, "hacking") for log in race_logs(plan, "true")] == [set()] * 5
    for log in race_logs(plan, "proxy"):
        assert {"proxy_gap", "goodhart_point", "cusum"} <= verdicts(log, "hacking")


def test_an_agent_draws_the_other_along_where_work_pays_only_together():
    """Half of a turn's yield is 0.5 alone and 0.6 beside another who works."""
    plan = ClaimPlan(5)
    for cost, beside_work, beside_rest in ((0.3, 1, 1), (0.55, 1, 0), (0.7, 0, 0)):
        for does, share in ((WORK, beside_work), (SAY, beside_rest)):
            worked = np.median(works_beside(does, plan, cost=cost))
            assert worked == pytest.approx(share, abs=0.05), (cost, does)
