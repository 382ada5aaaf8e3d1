"""The world in which agreement grows: exact values by hand, and samples that agree with them."""

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.worlds.exact.consensus import Consensus, ConsensusSettings
from counterpoint.worlds.exact.world import CHANCE, one_hot, stack

NOTHING = {"nothing": np.zeros((1, 1))}


def test_the_best_use_of_two_signals_by_hand():
    # Strong beside strong, .9 each: equal directions are right .81 of the time and wrong .01, and
    # the other .18 are a toss: .81 + .09 = .9. Weak beside weak: .36 + .24 = .6. Strong beside
    # weak: the strong one is followed, .9. A quarter each, and the mixed one twice.
    world = Consensus()
    assert world.optimal == pytest.approx((0.9 + 0.6 + 2 * 0.9) / 4)
    assert world.evaluate(NOTHING, world.solution(NOTHING)).returns == pytest.approx(world.optimal)
    alone = Consensus(ConsensusSettings(isolated=True))
    assert alone.evaluate(NOTHING, alone.solution(NOTHING)).returns == pytest.approx(0.75)


def test_a_team_that_always_says_the_same_is_right_half_of_the_time():
    world = Consensus()
    stubborn = one_hot(np.zeros((1, 2, world.contexts), dtype=int), 4)
    assert world.evaluate(NOTHING, stubborn).returns == pytest.approx(0.5)
    assert world.evaluate(NOTHING, world.uniform(1)).returns == pytest.approx(0.5)


@pytest.mark.parametrize("settings", [{}, {"isolated": True}, {"weak": 0.55, "often": 0.2}])
def test_what_is_played_has_the_exact_value_on_the_average(settings):
    world = Consensus(ConsensusSettings(**settings))
    rng = np.random.default_rng(3)
    probs = rng.dirichlet(np.ones(4) * 0.3, size=(1, 2, world.contexts))
    outcomes = []
    for update in range(150):
        chance = stack([world.draw(np.random.default_rng([0, CHANCE, update]), update)])
        outcomes.append(world.play(NOTHING, chance, probs).outcome.mean(axis=(1, 2)))  # items
    exact = world.evaluate(NOTHING, probs).returns[0]
    played = np.array(outcomes)[:, 0]
    assert abs(played.mean() - exact) < 4 * played.std() / np.sqrt(len(played))


def test_what_is_paid_by_hand():
    world = Consensus(ConsensusSettings(agree=0.25, paid="scored"))
    answers = np.array([[[[1, 2]]]])  # ann: 0, surely; bob: 1, not surely
    right = np.array([[[[True, False]]]])
    paid = world._paid(answers, right, np.array([[[False]]]))
    assert paid.ravel() == pytest.approx([0.75 * (1 - 0.1**2), 0.75 * (1 - 0.6**2)])
    team = Consensus(ConsensusSettings(agree=0.25))._paid(answers, right, np.array([[[True]]]))
    assert team.ravel() == pytest.approx([0.75 * 0.5 + 0.25] * 2)
    own = Consensus(ConsensusSettings(agree=0.0, paid="own"))
    assert own._paid(answers, right, np.array([[[True]]])).ravel().tolist() == [1.0, 0.0]


def test_weak_signals_that_are_stronger_are_refused():
    with pytest.raises(SettingError, match="wanted weak signals to be weaker"):
        ConsensusSettings(weak=0.95)
