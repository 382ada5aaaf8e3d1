"""The random worlds of bench/adaptive.py: exact values, rewards by hand, bounds of the draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench_modules import bench_module
from counterpoint.testing.batches import batch, bernstein
from counterpoint.testing.worlds import check_world
from counterpoint.worlds.exact.world import CHANCE, TASK, Settings, one_hot, stack

worlds = bench_module("random_worlds")

KINDS = {
    "mixture in two regions": 0,
    "stakes": 2,
    "own rewards, new agents": 4,
    "all hands in two regions": 9,
    "mixture in three regions": 10,
    "all hands, own contexts": 13,
    "all hands and own rewards": 16,
    "share in two regions, new agents": 22,
}
"""Numbers of worlds that differ in what is evaluated."""


@pytest.mark.parametrize("number", KINDS.values(), ids=list(KINDS))
def test_the_promises_of_a_world_hold(number):
    check_world(worlds.random_world(number))


@pytest.mark.parametrize("number", KINDS.values(), ids=list(KINDS))
def test_the_reward_weighted_return_is_the_mean_of_what_acting_agents_are_paid(number):
    """What a policy is paid beside one that is never right has no offset and no noise in it."""
    world = worlds.random_world(number)
    seeds, last = range(4), world.settings.updates - 1
    tasks = stack([world.tasks(np.random.default_rng([seed, TASK])) for seed in seeds])
    right = world.solution(tasks)
    wrong = one_hot((tasks["target"] + 1) % world.actions, world.actions)
    half = (right + world.uniform(4)) / 2
    weighted = world.evaluate(tasks, half).weighted_returns
    rngs = [np.random.default_rng([seed, CHANCE]) for seed in seeds]
    samples = []
    for _ in range(60):
        chance = stack([world.draw(rng, last) for rng in rngs])
        plays = [world.play(tasks, chance, probs) for probs in (half, right, wrong)]
        active = plays[0].active
        paid, best, nothing = ((p.reward * active).sum(-1) / active.sum(-1) for p in plays)
        samples.append((paid - nothing - weighted[:, None, None] * (best - nothing)).mean(-1))
    drawn = np.stack(samples, axis=1).reshape(4, -1)
    assert abs(drawn.mean()) <= bernstein(drawn, 0.0)
    assert (best - nothing).mean() > 0


def by_hand(**changes: object) -> worlds.RandomWorld:
    """Returns a regular and a part-time post with stakes 1 and 1/2, in one region of scale 10."""
    traits = worlds.Traits(
        number=0, region=np.array([0, 0]), region_rate=np.array([1.0]), regions_by="prompt",
        rate=np.array([1.0, 0.5]), by_prompt=np.array([False, False]),
        replaced=np.array([], dtype=int), reward="stakes", own=0.0, stake=np.array([1.0, 0.5]),
        scale=np.array([10.0]), loud=np.array([1.0, 4.0]), offset=np.array([2.0]),
        joined=np.array([0.0, 3.0]), own_offset=np.array([1.0, 0.0]), noise=0.0, difficulty=0.0,
        drift="none", drift_scale=1.0, drift_offset=0.0, contexts=2, own_contexts=True, actions=2,
        prompts=16, rollouts=4, settings=Settings(updates=10),
    )  # fmt: skip
    return worlds.RandomWorld(replace(traits, **changes))


def test_rewards_of_stakes_by_hand():
    world = by_hand()
    tasks, chance, _ = batch(world, [0, 1])
    play = world.play(tasks, chance, world.solution(tasks))
    joined = chance["acts"][..., 1]
    assert 0 < joined.mean() < 1
    assert np.array_equal(play.active[..., 1], joined)
    # both: 40 (1 + 1/2) / (3/2) + 10 (2 + 3); the first alone: 10 (1) / (3/2) + 10 (2)
    assert np.allclose(play.reward, np.where(joined, 90.0, 10 / 1.5 + 20)[..., None])


def test_both_returns_of_stakes_by_hand():
    world = by_hand()
    tasks, _, _ = batch(world, [0])
    probs = world.solution(tasks)
    probs[:, 1] = 0.5
    value = world.evaluate(tasks, probs)
    assert value.returns == pytest.approx([0.75])
    # half the rollouts pay 10 a / 1.5, the others 40 (a + b / 2) / 1.5: (25 a + 10 b) / 35
    assert value.weighted_returns == pytest.approx([30 / 35])


def test_own_rewards_by_hand():
    world = by_hand(own=1.0)
    tasks, chance, _ = batch(world, [0])
    play = world.play(tasks, chance, world.solution(tasks))
    joined = chance["acts"][..., 1]
    # 40 s + 10 (2 + 3 + own offset) with both, 10 s + 10 (2 + own offset) alone
    assert np.allclose(play.reward[..., 0], np.where(joined, 100, 40))
    assert np.allclose(play.reward[joined][:, 1], 70)
    tasks, _, _ = batch(world, [0])
    probs = world.solution(tasks)
    probs[:, 1] = 0.5
    # alone 10 a; both 40 (a + b / 2) / 2: (15 a + 5 b) / 20
    assert world.evaluate(tasks, probs).weighted_returns == pytest.approx([17.5 / 20])


def test_all_hands_by_hand():
    world = by_hand(reward="all hands")
    tasks, _, _ = batch(world, [0])
    probs = np.full((1, 2, 2, 2), 0.5)
    value = world.evaluate(tasks, probs)
    assert value.returns == pytest.approx([world.random]) == [0.5 * 0.5 + 0.5 * 0.25]
    # half the rollouts pay 10 a, the others 40 a b
    assert value.weighted_returns == pytest.approx([(10 * 0.5 + 40 * 0.25) / 50])


def test_shared_contexts_make_the_answers_of_a_team_depend_on_each_other():
    value = {}
    for own_contexts in (True, False):
        world = by_hand(reward="all hands", own_contexts=own_contexts, rate=np.array([1.0, 1.0]))
        tasks, _, _ = batch(world, [0])
        probs = world.solution(tasks)
        probs[:, :, 1] = probs[:, :, 1, ::-1]  # right in context 0, wrong in context 1
        value[own_contexts] = world.evaluate(tasks, probs).returns
    assert value[True] == pytest.approx([0.25])
    assert value[False] == pytest.approx([0.5])


def test_a_new_agent_takes_over_halfway():
    world = by_hand(replaced=np.array([0]))
    assert world.agents == ("agent_0", "agent_1", "agent_2")
    rng = np.random.default_rng(0)
    tasks = stack([world.tasks(rng)])
    never = one_hot(1 - tasks["target"], 2)
    never[:, 2] = world.solution(tasks)[:, 2]  # the new agent alone is right
    for update, acting in ((4, [True, False]), (5, [False, True])):
        chance = stack([world.draw(rng, update)])
        play = world.play(tasks, chance, never)
        assert play.active[..., [0, 2]].reshape(-1, 2).all(axis=0).tolist() == acting
        assert not (play.active[..., 0] & play.active[..., 2]).any()
        alone = ~play.active[..., 1]
        paid = 10 / 1.5 + 20 if acting[1] else 20
        assert np.allclose(play.reward[alone], paid)
        assert np.allclose(play.outcome, 0.5)  # of the last team, at any time
    value = world.evaluate(tasks, never)
    assert value.returns == pytest.approx([0.5])
    assert value.regret[0] == pytest.approx([0.0, 0.5, 0.0])


@pytest.mark.parametrize(("drift", "middle"), [("none", 0.0), ("linear", 4 / 9), ("jump", 0.0)])
def test_rewards_drift(drift, middle):
    world = by_hand(drift=drift, drift_scale=3.0, drift_offset=2.0, rate=np.array([1.0, 1.0]))
    tasks = stack([world.tasks(np.random.default_rng(0))])
    for update, moved in ((0, 0.0), (4, middle), (9, 0.0 if drift == "none" else 1.0)):
        chance = stack([world.draw(np.random.default_rng(1), update)])
        reward = world.play(tasks, chance, world.solution(tasks)).reward
        assert np.allclose(reward, 40 * 3**moved + 10 * (5 + 2 * moved))


def test_a_number_always_gives_the_same_world():
    assert worlds.random_world(3).describe() == worlds.random_world(3).describe()
    assert worlds.random_world(3).describe() != worlds.random_world(4).describe()


def test_draws_stay_in_their_bounds_and_meet_every_kind():
    drawn = [worlds.Traits.drawn(number) for number in range(1000, 1300)]
    for t in drawn:
        posts = len(t.region)
        assert 2 <= posts <= 10
        assert set(t.region) == set(range(len(t.region_rate)))
        assert t.region_rate.sum() == pytest.approx(1.0)
        assert ((t.rate == 1) | ((t.rate >= 0.01) & (t.rate <= 0.8))).all()
        assert all((t.rate[t.region == region] == 1).any() for region in set(t.region))
        assert ((t.scale >= 1) & (t.scale <= 100)).all()
        assert ((t.loud >= 1) & (t.loud <= 100)).all()
        assert all(x.min() >= 0 and x.max() <= 10 for x in (t.offset, t.joined, t.own_offset))
        assert 0 <= t.noise <= 3
        assert 4 <= t.prompts <= 16
        assert t.rollouts in (4, 8, 16)
        assert 100 <= t.settings.updates <= 300
        assert 0.1 <= t.drift_scale <= 10
        assert abs(t.drift_offset) <= 10
        moves = t.drift_scale != 1 or t.drift_offset != 0
        assert moves == (t.drift != "none")
    assert {t.reward for t in drawn} == {"share", "stakes", "all hands"}
    assert {t.drift for t in drawn} == {"none", "linear", "jump"}
    assert {len(t.region_rate) for t in drawn} == {1, 2, 3}
    assert {t.settings.optimizer for t in drawn} == {"adam", "sgd"}
    assert {t.own in (0, 1) for t in drawn} == {True, False}
    assert {len(t.replaced) > 0 for t in drawn} == {True, False}


def test_the_unit_of_the_noise_is_the_deviation_under_the_uniform_policy():
    world = by_hand(rate=np.array([1.0, 1.0]))
    # (right_1 + right_2 / 2) / 1.5, with two actions each: sqrt((1 + 1/4) / 4) / 1.5
    assert world.signal == pytest.approx(np.sqrt(1.25 / 4) / 1.5)
    assert by_hand(reward="all hands").signal == pytest.approx(np.sqrt((1 / 4 + 3 / 16) / 2))
    assert by_hand(reward="share").signal == pytest.approx(np.sqrt((1 / 4 + 1 / 8) / 2))
