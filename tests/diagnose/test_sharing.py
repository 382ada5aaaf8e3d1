import numpy as np
import pytest

from counterpoint.diagnose import three_numbers
from counterpoint.diagnose.inflation import sharing


def test_large_groups_need_no_correction():
    rng = np.random.default_rng(0)
    n = 20_000
    agent = rng.integers(0, 2, n)
    rewards = rng.normal(size=n) * np.where(agent == 0, 1, 3) + 2 * (agent == 0)
    zeros = np.zeros(n, int)
    plain = three_numbers(rewards, zeros, agent, 1, 2)
    found = sharing(rewards, zeros, agent, np.arange(n), 1, 2)
    assert found.inflation == pytest.approx(plain.inflation[0], rel=2e-3)
    assert found.signal_share == pytest.approx(plain.signal_share[0], rel=2e-3)


def test_by_hand_in_one_group():
    # Agent 0 {0, 2}, agent 1 {5, 7, 9, 11}: mu = 34/6, sigma^2 n/(n-1) = (sum of squares 280 -
    # 34^2/6) / 5. Own variance of agent 0 with n_k/(n_k - 1): 2. Offset^2 = (1 - 34/6)^2, minus
    # its own 2 (1/2 - 1/6) for chance.
    rewards, agent = np.array([0.0, 2, 5, 7, 9, 11]), np.array([0, 0, 1, 1, 1, 1])
    var = (280 - 34**2 / 6) / 5
    found = sharing(rewards, np.zeros(6, int), agent, np.arange(6), 1, 2)
    assert found.signal_share[0] == pytest.approx(2 / var)
    assert found.inflation[0] == pytest.approx(1 + ((1 - 34 / 6) ** 2 - 2 * (1 / 2 - 1 / 6)) / 2)


def test_an_agent_called_now_and_then_shows_no_offset_by_chance():
    rng = np.random.default_rng(1)
    groups, size = 3000, 8
    group = np.repeat(np.arange(groups), 2 * size)
    rollout = np.repeat(np.arange(groups * size), 2)
    agent = np.tile([0, 1], groups * size)
    keep = (agent == 1) | (rng.random(len(agent)) < 0.1)
    rewards = rng.normal(size=groups * size)[rollout]
    columns = (rewards[keep], group[keep], agent[keep], rollout[keep])
    found = sharing(*columns, groups, 2)
    # A ratio of two estimates from 8 rollouts is off by order 1/8, not by the factors that matter.
    assert found.inflation == pytest.approx([1, 1], abs=1 / 8)
    assert found.signal_share == pytest.approx([1, 1], abs=1 / 8)
    # The uncorrected numbers take the same log for an offset and a drowned agent.
    plain = three_numbers(*columns[:3], groups, 2)
    assert plain.norm_inflation[0, 0] / plain.signal_share[0, 0] > 2


def test_rows_of_one_rollout_are_one_sample():
    rewards, agent = np.array([0.0, 2, 5, 9]), np.array([0, 0, 1, 1])
    once = sharing(rewards, np.zeros(4, int), agent, np.array([0, 1, 0, 1]), 1, 2)
    twice = sharing(
        np.repeat(rewards, 2), np.zeros(8, int), np.repeat(agent, 2),
        np.repeat([0, 1, 0, 1], 2), 1, 2,
    )  # fmt: skip
    assert twice.inflation == pytest.approx(once.inflation)
    assert twice.signal_share == pytest.approx(once.signal_share)


def test_single_rollouts_and_constant_groups_say_nothing():
    found = sharing(
        np.array([1.0, 2, 3, 3]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.arange(4), 2, 2
    )
    assert np.isnan(found.inflation).all()
    assert np.isnan(found.signal_share).all()
