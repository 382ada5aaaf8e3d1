import numpy as np
import pytest

from counterpoint.diagnose.association import associations


def test_exact_p_by_hand():
    # One stratum of 4, feature (1, 1, 0, 0), scores (2, 1, 0, -1): of the 6 ways to choose two
    # units, 2 are as extreme as the sum 3 (mirror image included), so p = 1/3.
    found = associations(
        [np.array([[1.0], [1], [0], [0]])], np.array([[2.0], [1], [0], [-1]]),
        np.zeros(4, int), 60_000, np.random.default_rng(0),
    )[0]  # fmt: skip
    assert found.p == pytest.approx(1 / 3, abs=0.08)  # it stops early: p is not small
    # Correlation: sum of products 2, sums of squares 1 and 5.
    assert found.effect == pytest.approx(2 / np.sqrt(5))


def test_p_values_are_uniform_under_the_null_with_uneven_strata():
    rng = np.random.default_rng(1)
    p = []
    for _ in range(300):
        strata = np.repeat(np.arange(12), rng.integers(1, 9, 12))
        feature = (rng.random((len(strata), 1)) < 0.3) * 1.0
        scores = rng.exponential(size=(len(strata), 1)) * (1 + strata[:, None])
        found = associations([feature], np.column_stack([scores, scores**2]), strata, 199, rng)
        p.append(found[0].p)
    p = np.array(p)[~np.isnan(p)]
    assert (p <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(p))
    assert abs((p <= 0.5).mean() - 0.5) < 3 * 0.5 / np.sqrt(len(p)) + 0.02


def test_strata_are_never_mixed():
    # Feature and score agree between strata and are unrelated within them.
    strata = np.repeat([0, 1], 50)
    feature = np.column_stack([strata * 1.0]) + np.tile([0.0, 1], 50)[:, None]
    scores = strata[:, None] * 10.0 + np.random.default_rng(2).normal(size=(100, 1))
    assert associations([feature], scores, strata, 999, np.random.default_rng(0))[0].p > 0.01


def test_the_smallest_p_is_one_in_draws_plus_one():
    feature = np.arange(200.0)[:, None]
    found = associations([feature], feature, np.zeros(200, int), 999, np.random.default_rng(0))
    assert found[0].p == pytest.approx(1 / 1000)
    assert found[0].effect == pytest.approx(1)


def test_several_columns_are_one_test_and_several_features_several():
    rng = np.random.default_rng(3)
    noise, signal = rng.normal(size=(300, 2)), np.arange(300.0)[:, None]
    features = [noise, np.column_stack([noise[:, :1], signal]), signal]
    found = associations(features, signal, np.zeros(300, int), 999, rng)
    assert len(found) == 3
    assert found[0].p > 0.01
    assert found[1].p == found[2].p == pytest.approx(1 / 1000)


@pytest.mark.parametrize("scores", [np.ones((4, 1)), np.arange(4.0)[:, None]])
def test_nothing_that_varies_is_nothing_to_test(scores):
    rng = np.random.default_rng(0)
    constant = associations([np.ones((4, 1))], scores, np.zeros(4, int), 99, rng)[0]
    assert np.isnan(constant.p)
    alone = associations([np.arange(4.0)[:, None]], scores, np.arange(4), 99, rng)[0]
    assert np.isnan(alone.p)


def test_averages_of_few_samples_need_the_studentized_statistic():
    # Prompts of 1 to 16 rollouts: in small ones the share that acts and the mean reward are both
    # extreme, without having anything to do with each other.
    plain, studentized = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        block = np.repeat(np.arange(100), rng.integers(1, 17, 100))
        acts, reward = rng.random(len(block)) < 0.5, rng.random(len(block)) < 0.1
        count = np.bincount(block)
        feature = (np.bincount(block, weights=acts) / count)[:, None]
        scores = (np.bincount(block, weights=reward) / count)[:, None]
        for found, on in ((plain, False), (studentized, True)):
            test = associations([feature], scores, np.zeros(100, int), 199, rng, studentized=on)
            found.append(test[0].p)
    # The bound is .05 plus three standard errors; the plain statistic breaks it.
    bound = 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(np.array(studentized) <= 0.05) <= bound
    assert np.mean(np.array(plain) <= 0.05) > bound
