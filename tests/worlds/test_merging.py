"""The world in which features collide: exact values by hand, and which teams learn to merge."""

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.train.tabular.learner import train
from counterpoint.worlds import find_world
from counterpoint.worlds.exact.merging import Merging, MergingSettings
from counterpoint.worlds.exact.world import CHANCE, one_hot, stack

NOTHING = {"nothing": np.zeros((1, 1))}
THREE = {"places": 3, "worst": 0.5}  # worth 1, 0.75 and 0.5


def made(**settings):
    return Merging(MergingSettings(**settings))


def test_two_members_by_hand():
    # ann: first or second place, half each; bob: second or last, half each. They collide at the
    # second in 1 of 4 cases. Otherwise: 1 + .75, 1 + .5, .75 + .5, of the best 1 + .75.
    world = made(**THREE)
    probs = np.array([[[[0.5, 0.5, 0.0]], [[0.0, 0.5, 0.5]]]])
    exact = world.evaluate(NOTHING, probs)
    assert exact.returns == pytest.approx((1.75 + 1.5 + 1.25) / 4 / 1.75)
    assert exact.accuracy.tolist() == [[1.0, 0.75]]  # merged in order: bob's is refused
    # ann at the first: (1.75 + 1.5) / 2; bob at the last: (1.5 + 1.25) / 2
    best = np.array([3.25, 2.75]) / 2 / 1.75
    assert exact.regret[0] == pytest.approx(best - exact.returns[0])


def test_random_teams_by_hand():
    # of 6 places, n members find n different ones in 5/6, 5/6 4/6 and 5/6 4/6 3/6 of the cases;
    # the mean worth is .75, that of the best places .95, .9 and .85
    apart = [5 / 6, 5 / 6 * 4 / 6, 5 / 6 * 4 / 6 * 3 / 6]
    for n, merges, best in zip((2, 3, 4), apart, (0.95, 0.9, 0.85), strict=True):
        assert made(members=n).random == pytest.approx(merges * 0.75 / best)
        assert made(members=n, works="in_turn").random == pytest.approx(merges * 0.75 / best)
        assert made(members=n, works="alone").random == pytest.approx(merges * 0.75 / best)
        assert made(members=n, files="own").random == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("settings", "places", "paid", "whole"),
    [
        ({}, [0, 0], [0.8, 0.8], 0.0),  # collide, and each one's own tests pass
        ({}, [0, 2], [0.8 + 0.2 * 1.5 / 1.75, 0.4 + 0.2 * 1.5 / 1.75], 1.5 / 1.75),
        ({"works": "in_turn"}, [0, 0], [0.8, 0.0], 0.0),  # bob sees that it does not work
        ({"works": "alone"}, [1, 1], [0.6, 0.0], 0.0),
        ({"files": "own"}, [0, 0], [1.0, 1.0], 1.0),
        ({"files": "own"}, [0, 1], [0.8 + 0.2 * 1.75 / 2, 0.6 + 0.2 * 1.75 / 2], 1.75 / 2),
    ],
)
def test_what_is_paid_by_hand(settings, places, paid, whole):
    world = made(merged=0.2, **THREE, **settings)
    world.prompts = world.rollouts = 1
    agents = len(world.agents)
    own = np.array(places[:agents])[None, :, None]
    probs = one_hot(np.broadcast_to(own, (1, agents, world.contexts)), 3)
    play = world.play(NOTHING, {"uniforms": np.full((1, 1, 1, 2), 0.5)}, probs)
    assert play.action[0, 0, 0].tolist() == places
    assert play.reward[0, 0, 0] == pytest.approx(paid)
    assert play.components[0, 0, 0].sum(axis=-1) == pytest.approx(paid)
    assert play.outcome[0, 0, 0] == pytest.approx(whole)
    assert world.evaluate(NOTHING, probs).returns == pytest.approx(whole)


def test_baselines_by_hand():
    # ann at the first place, bob at the last; ann's policy is a half for each of the first two
    world = made(merged=0.2, **THREE)
    world.prompts = world.rollouts = 1
    probs = np.array([[[[0.5, 0.5, 0.0]], [[0.0, 0.0, 1.0]]]])
    play = world.play(NOTHING, {"uniforms": np.full((1, 1, 1, 2), 0.25)}, probs)
    assert play.action[0, 0, 0].tolist() == [0, 2]
    first, second = 0.8 + 0.2 * 1.5 / 1.75, 0.6 + 0.2 * 1.25 / 1.75
    average = play.signals["counterfactual"][0, 0, 0]
    assert average == pytest.approx([(first + second) / 2, play.reward[0, 0, 0, 1]])
    without = 0.2 * np.array([0.5, 1.0]) / 1.75  # what the other alone makes of the whole
    assert play.signals["difference"][0, 0, 0] == pytest.approx(play.reward[0, 0, 0] - without)


@pytest.mark.parametrize(
    "settings",
    [{"members": 3}, {"members": 4, "works": "in_turn"}, {"members": 3, "works": "alone"},
     {"files": "own"}, {"places": 2, "worst": 0.0}],
)  # fmt: skip
def test_what_is_played_has_the_exact_value_on_the_average(settings):
    world = made(**settings)
    rng = np.random.default_rng(3)
    size = (1, len(world.agents), world.contexts)
    probs = rng.dirichlet(np.ones(world.actions), size=size)
    outcomes = []
    for update in range(150):
        chance = stack([world.draw(np.random.default_rng([0, CHANCE, update]), update)])
        outcomes.append(world.play(NOTHING, chance, probs).outcome.mean(axis=(1, 2)))
    played = np.array(outcomes)[:, 0]
    assert abs(played.mean() - world.evaluate(NOTHING, probs).returns[0]) < (
        4 * played.std() / np.sqrt(len(played))
    )


def test_collisions_grow_where_nobody_sees_the_others_and_nowhere_else():
    def returns(**settings):
        return train(find_world("merging").make(settings), "mappo_pooled", range(3)).returns

    apart = returns()
    assert apart[:, 0].min() > 0.6
    assert apart[:, -1].max() < 0.01
    for settings in ({"works": "in_turn"}, {"works": "alone"}, {"files": "own"}, {"merged": 0.5}):
        assert returns(**settings)[:, -1].min() > 0.95


def test_more_members_than_places_are_refused():
    with pytest.raises(SettingError, match="wanted a place for each"):
        MergingSettings(members=4, places=3)
