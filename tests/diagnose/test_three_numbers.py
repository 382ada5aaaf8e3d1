import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import judged, made

from counterpoint.credit import scheme_named
from counterpoint.diagnose import three_numbers
from counterpoint.diagnose.updates import UpdateNumbers
from counterpoint.errors import RewardError


def together(rewards, agent, **more):
    """Everybody in one group."""
    rewards = np.asarray(rewards, dtype=float)
    return three_numbers(rewards, np.zeros(len(rewards), int), np.asarray(agent), 1, 2, **more)


def test_offset_agents_by_hand():
    # Agent 0 has {5, 6}, agent 1 {0, 1}: own variance .25, means 5.5 and .5, mu = 3, offset 2.5,
    # sigma^2 = .25 + 6.25 = 6.5. f = 1; inflation = 1 + 6.25 / .25 = 26; share = .25 / 6.5.
    found = together([5, 6, 0, 1], [0, 0, 1, 1])
    assert found.norm_inflation[0] == pytest.approx([1, 1])
    assert found.inflation[0] == pytest.approx([26, 26])
    assert found.signal_share[0] == pytest.approx([0.25 / 6.5] * 2)


def test_loud_beside_quiet_by_hand():
    # Agent 0 has {-1, 1}, agent 1 {-10, 10}: means 0, sigma^2 = (1 + 100) / 2.
    found = together([-1, 1, -10, 10], [0, 0, 1, 1])
    assert found.inflation[0] == pytest.approx([1, 1])
    assert found.signal_share[0] == pytest.approx([1 / 50.5, 100 / 50.5])
    assert found.norm_inflation[0] == pytest.approx([1 / 50.5, 100 / 50.5])


def test_groups_are_averaged_by_the_agents_samples():
    # Group 0: {0, 1} for agent 0 alone, share 1. Group 1: agent 0 {0, 2, 0, 2}, agent 1 {1, 1}:
    # own variance 1, sigma^2 = 4/6, share 1.5. Average (2 * 1 + 4 * 1.5) / 6.
    rewards = np.array([0, 1, 0, 2, 0, 2, 1, 1], dtype=float)
    found = three_numbers(
        rewards, np.array([0, 0, 1, 1, 1, 1, 1, 1]), np.array([0, 0, 0, 0, 0, 0, 1, 1]), 2, 2
    )
    assert found.signal_share[0] == pytest.approx([8 / 6, 0])
    assert found.inflation[0, 0] == pytest.approx(1)
    assert np.isnan(found.inflation[0, 1])  # a constant agent has no signal to lose


def test_undefined_is_nan_and_never_infinite():
    found = together([2, 2, 2, 2], [0, 0, 1, 1])
    for values in (found.norm_inflation, found.inflation, found.signal_share):
        assert np.isnan(values).all()
    alone = together([0, 1], [0, 0])
    assert np.isnan(alone.signal_share[0, 1])  # agent 1 has no samples


def test_sums_of_equal_decimals_are_constant():
    rewards = [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2] * 50
    assert np.isnan(together(rewards, [0, 1] * 100).signal_share).all()


def test_batches_side_by_side_equal_separate_calls():
    rng = np.random.default_rng(0)
    rewards, agent = rng.normal(size=60), rng.integers(0, 2, 60)
    batch, group = np.repeat([0, 1, 2], 20), rng.integers(0, 3, 60)
    found = three_numbers(rewards, group, agent, 3, 2, batch=batch, n_batches=3)
    for b in range(3):
        here = batch == b
        alone = three_numbers(rewards[here], group[here], agent[here], 3, 2)
        assert found.inflation[b] == pytest.approx(alone.inflation[0], nan_ok=True)
        assert found.norm_inflation[b] == pytest.approx(alone.norm_inflation[0], nan_ok=True)


def test_few_groups_out_of_a_large_range_of_ids():
    rewards, agent = np.array([5.0, 6, 0, 1]), np.array([0, 0, 1, 1])
    far = three_numbers(rewards, np.full(4, 10**7), agent, 10**7 + 1, 2)
    assert far.inflation[0] == pytest.approx([26, 26])


def test_missing_rewards_and_zero_weights_count_nowhere():
    found = together(
        [5, 6, 0, 1, np.nan, 99], [0, 0, 1, 1, 0, 1], weights=np.array([1, 1, 1, 1, 1, 0.0])
    )
    assert found.inflation[0] == pytest.approx([26, 26])


def test_weights_count_like_repeated_rows():
    found = together([5, 6, 0, 1], [0, 0, 1, 1], weights=np.array([2, 1, 1, 1.0]))
    repeated = together([5, 5, 6, 0, 1], [0, 0, 0, 1, 1])
    assert found.inflation == pytest.approx(repeated.inflation)
    assert found.norm_inflation == pytest.approx(repeated.norm_inflation)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-1e8, 1e8))
def test_affine_changes_of_the_reward_do_not_matter(seed, scale, shift):
    rng = np.random.default_rng(seed)
    rewards = rng.integers(0, 4, 40).astype(float)
    agent, group = rng.integers(0, 2, 40), rng.integers(0, 4, 40)
    one = three_numbers(rewards, group, agent, 4, 2)
    two = three_numbers(scale * rewards + shift, group, agent, 4, 2)
    for name in ("norm_inflation", "inflation", "signal_share"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-4, nan_ok=True)


def test_bad_rewards_are_refused():
    with pytest.raises(RewardError, match="infinite"):
        together([np.inf, 1], [0, 1])
    with pytest.raises(RewardError, match="lengths"):
        three_numbers(np.zeros(3), np.zeros(2, int), np.zeros(3, int), 1, 1)


@pytest.mark.parametrize(("own_scale", "loud", "quiet"), [(0, 1.9802, 0.0198), (1, 1.0, 1.0)])
def test_a_scale_that_is_shrunk_lies_between_the_batch_and_the_agent(own_scale, loud, quiet):
    """Own variances 100 and 1: 50.5 in the batch; half of the way divides by its root."""
    rewards = np.array([10.0, -10, 10, -10, 1, -1, 1, -1])
    columns = {
        "batch": np.zeros(8, int), "agent": np.repeat([0, 1], 4), "prompt": np.zeros(8, int),
        "rollout": np.tile(np.arange(4), 2),
    }  # fmt: skip

    def shares(spec):
        return UpdateNumbers(scheme_named(spec), 1, 2).of(columns, rewards, rewards)

    ends = shares(f"adaptive,own_scale={own_scale}")
    np.testing.assert_allclose(ends["signal_share"], [[loud, quiet]], atol=1e-4)
    half = shares("adaptive")
    np.testing.assert_allclose(half["signal_share"], np.sqrt([[100 / 50.5, 1 / 50.5]]))
    np.testing.assert_allclose(half["norm_inflation"], half["signal_share"])  # without offsets
    labels = {name: columns[name] for name in ("rollout", "agent")}
    logged = judged(made(rewards, labels), "adaptive").agents.values()
    np.testing.assert_allclose([a.signal_share for a in logged], half["signal_share"][0])
