"""Rewards enter exactly, whatever type stores them; only what arithmetic can leave is constant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import RewardError

pytestmark = pytest.mark.fault("R39")

GRPO, LABELS = catalogue()["grpo"], {"prompt": [0] * 4, "rollout": range(4)}
LAW = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)


@LAW
@given(st.lists(st.floats(-1000, 1000, width=16), min_size=2, max_size=12))
def test_half_precision_is_its_exact_values(rewards: list[float]) -> None:
    stored = np.array(rewards, dtype=np.float16)
    labels = {"rollout": range(len(stored))}
    got, wanted = (advantages(r, labels, GRPO) for r in (stored, stored.astype(np.float64)))
    np.testing.assert_array_equal(got.values, wanted.values)
    assert got.tally == wanted.tally


def test_one_step_of_a_half_is_a_difference() -> None:
    """1 and 1.0009765625 are neighbours in float16: 1, 1, 1, 1 + d give -1/sqrt(3) and sqrt(3)."""
    r = np.array([1, 1, 1, np.nextafter(np.float16(1), np.float16(2))], dtype=np.float16)
    got = advantages(r, LABELS, GRPO)
    np.testing.assert_allclose(got.values, [-(3**-0.5)] * 3 + [3**0.5], rtol=1e-9)
    assert got.tally.constants == 0


def test_single_precision_rounding_is_still_constant() -> None:
    """.7 in float32 and its neighbour: what summing equal rewards can leave."""
    r = np.float32(0.7)
    got = advantages(np.array([r, r, r, np.nextafter(r, np.float32(1))]), LABELS, GRPO)
    np.testing.assert_array_equal(got.values, 0.0)
    assert got.tally.constants == 1


@pytest.mark.parametrize("n", [10**3, 10**6])
def test_one_real_difference_among_many_is_no_rounding(n: int) -> None:
    """The deviation is the difference over sqrt(n): far below what a range may be off by."""
    r = np.ones(n)
    r[0] = 1 + 1e-13  # 450 ulps
    got = advantages(r, {"rollout": np.arange(n)}, Scheme())
    np.testing.assert_allclose(got.values[0], np.sqrt(n - 1), rtol=1e-2)
    assert got.tally.constants == 0


@pytest.mark.parametrize("scale_by", [(), ("agent",)])
def test_what_acts_is_counted(scale_by: tuple[str, ...]) -> None:
    """Squares of 1e-170 are 0: nothing to divide by, and that is counted."""
    r = np.array([1e-170, 0.0, 1e-170, 0.0])
    scheme = Scheme(center_by=("prompt",), scale_by=scale_by)
    done = advantages(r, {"prompt": [0] * 4, "agent": [0] * 4}, scheme)
    np.testing.assert_array_equal(done.values, 0.0)
    assert done.tally.constants == 1


def test_whole_numbers_and_truths_are_rewards() -> None:
    for r in ([True, False, False, True], np.array([1, 0, 0, 1], np.int8), [1, 0, 0, 1]):
        np.testing.assert_array_equal(advantages(r, LABELS, GRPO).values, [1, -1, -1, 1])


@pytest.mark.parametrize("weight", [1e-9, 1e9])
def test_extreme_weights_of_single_precision_components(weight: float) -> None:
    rng = np.random.default_rng(0)
    r = rng.integers(0, 3, (64, 2)).astype(np.float32)
    labels = {"prompt": np.repeat(range(8), 8), "rollout": np.tile(range(8), 8)}
    scheme = replace(catalogue()["gdpo"], weights=(weight, 1.0))
    done = advantages(r, labels, scheme)
    loud = r[:, 0] if weight > 1 else r[:, 1]
    np.testing.assert_allclose(
        done.values, advantages(loud, labels, catalogue()["gdpo"]).values, atol=1e-6
    )
    assert done.tally.flat == 0


def test_a_batch_that_cancels_is_counted_where_it_is_whitened() -> None:
    bit = np.array([1.0, 0, 0, 1])
    done = advantages(np.stack([bit, -bit], axis=1), LABELS, catalogue()["gdpo"])
    np.testing.assert_array_equal(done.values, 0.0)
    assert done.tally.flat == 1


@pytest.mark.slow
class TestTorch:
    @pytest.mark.parametrize("name", ["float16", "bfloat16"])
    def test_sixteen_bits_come_back_in_32(self, name: str) -> None:
        import torch

        dtype = getattr(torch, name)
        r = torch.tensor([12.0, 12.5, 12.25, 12.0], dtype=dtype)
        got = advantages(r, LABELS, GRPO).values
        z = (r.double() - r.double().mean()) / r.double().std(unbiased=False)
        assert got.dtype == torch.float32
        np.testing.assert_allclose(got.numpy(), z.numpy(), rtol=1e-6)

    def test_eight_bits_enter_too(self) -> None:
        import torch

        r = torch.tensor([1.0, 3.0, 1.0, 3.0], dtype=torch.float8_e4m3fn)
        got = advantages(r, LABELS, catalogue()["mappo_pooled"]).values
        assert got.dtype == torch.float32
        np.testing.assert_array_equal(got.numpy(), [-1.0, 1.0, -1.0, 1.0])

    def test_complex_rewards_are_refused_not_cut(self) -> None:
        import torch

        with pytest.raises(RewardError, match="complex64"):
            advantages(torch.tensor([1.0 + 1j, 2.0, 3.0, 4.0]), LABELS, GRPO)

    def test_nothing_overflows(self) -> None:
        import torch

        r = torch.tensor([65504.0, -65504, 1, 2], dtype=torch.float16)
        got = advantages(r, LABELS, catalogue()["rloo"]).values
        assert torch.isfinite(got).all()
        np.testing.assert_allclose(got[0].item(), 65504 - (-65504 + 3) / 3, rtol=1e-6)


class TestRunningVariance:
    OWN = catalogue()["group_reward_decoupled"]

    def after(self, *calls: list[float]) -> list[np.ndarray]:
        values, state = [], None
        for call in calls:
            done = advantages(call, {"agent": ["a"] * len(call)}, self.OWN, state=state)
            values.append(done.values)
            state = done.state
        return values

    def test_the_first_success_after_quiet_updates_is_a_success(self) -> None:
        """Mean 0 so far, variance not known: the call's own deviation sqrt(3)/4 divides."""
        *_, first = self.after(*[[0.0] * 4] * 20, [0.0, 0, 0, 1])
        np.testing.assert_allclose(first, [0, 0, 0, 4 / 3**0.5], rtol=1e-12)

    def test_and_the_next_one_is_no_spike(self) -> None:
        *_, second = self.after(*[[0.0] * 4] * 20, [0.0, 0, 0, 1], [0.0, 0, 0, 1])
        assert 1 < second[3] < 5

    def test_quiet_updates_count_once_for_the_variance(self) -> None:
        """With d = .98, a = .02 / (1 - d^21) for the mean of call 21, b = 1 / 1.98 for the variance
        of the second call that counts: b 3/16 + a (1 - a) (1/4)^2."""
        state = None
        for call in [*[[0.0] * 4] * 20, [0.0, 0, 0, 1]]:
            state = advantages(call, {"agent": ["a"] * 4}, self.OWN, state=state).state
        a, b = 0.02 / (1 - 0.98**21), 1 / 1.98
        np.testing.assert_allclose(state.center[0].mean, a / 4)
        np.testing.assert_allclose(state.center[0].var, b * 3 / 16 + a * (1 - a) / 16)

    def test_a_team_that_varies_from_the_start_is_averaged_as_before(self) -> None:
        """Debiased averages of x and x^2 over three calls."""
        calls = [[0.0, 2], [1.0, 1], [5.0, 3]]
        state = None
        for call in calls:
            state = advantages(call, {"agent": ["a"] * 2}, self.OWN, state=state).state
        weight = 0.98 ** np.array([2, 1, 0])
        weight /= weight.sum()
        first = (weight * [np.mean(c) for c in calls]).sum()
        second = (weight * [np.mean(np.square(c)) for c in calls]).sum()
        np.testing.assert_allclose(state.center[0].var, second - first**2, rtol=1e-12)

    def test_rounding_of_equal_rewards_is_no_movement(self) -> None:
        tenth = 0.1
        *_, last = self.after(
            [tenth] * 3, [tenth + 2e-17 + 1e-17] * 3, [np.nextafter(tenth, 1)] * 3
        )
        np.testing.assert_array_equal(last, 0.0)
