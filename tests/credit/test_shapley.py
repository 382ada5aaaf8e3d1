"""Leave-one-out and Shapley values: games worked by hand, the four axioms, and the interval."""

import math
from itertools import permutations

import numpy as np
import pytest
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.credit import leave_one_out, shapley
from counterpoint.errors import RewardError, SettingError

SEEDS = st.integers(0, 2**32 - 1)
GLOVES = [0, 0, 0, 0, 0, 1, 1, 1]  # agents 0 and 1 have a left glove, agent 2 the right one


def any_of_two(masks: np.ndarray) -> np.ndarray:
    return (masks[:, 0] | masks[:, 1]).astype(float)


def both_of_two(masks: np.ndarray) -> np.ndarray:
    return (masks[:, 0] & masks[:, 1]).astype(float)


def additive(worth: np.ndarray, offset: float = 0.0):
    return lambda masks: masks @ worth + offset


def pairs(worth: np.ndarray):
    """v(S) = sum of worth[i, j] over pairs in S; phi_k = half of agent k's pairs."""
    return lambda masks: np.einsum("ci,ij,cj->c", masks.astype(float), worth, masks.astype(float))


class TestLeaveOneOut:
    def test_by_hand(self) -> None:
        np.testing.assert_array_equal(leave_one_out(any_of_two, 2), [0.0, 0.0])
        np.testing.assert_array_equal(leave_one_out(both_of_two, 2), [1.0, 1.0])
        np.testing.assert_array_equal(leave_one_out(GLOVES, 3), [0.0, 0.0, 1.0])

    def test_additive_team_is_paid_exactly(self) -> None:
        worth = np.arange(30.0)
        np.testing.assert_array_equal(leave_one_out(additive(worth, 7.0), 30), worth)


class TestExact:
    def test_glove_game_by_hand(self) -> None:
        # The right glove is last or follows a left one in 4 of 6 orders; each left one in 1 of 6.
        got = shapley(GLOVES, 3)
        np.testing.assert_allclose(got.values, [1 / 6, 1 / 6, 4 / 6], atol=1e-15)
        assert got.method == "exact"
        assert got.evaluations == 8
        np.testing.assert_array_equal(got.low, got.values)
        np.testing.assert_array_equal(got.high, got.values)

    def test_shares_where_leave_one_out_pays_nobody(self) -> None:
        np.testing.assert_array_equal(shapley(any_of_two, 2).values, [0.5, 0.5])
        np.testing.assert_array_equal(shapley(both_of_two, 2).values, [0.5, 0.5])

    def test_one_agent_gets_what_it_adds(self) -> None:
        np.testing.assert_array_equal(shapley([3.0, 10.0], 1).values, [7.0])

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(SEEDS)
    def test_equals_the_mean_over_all_orders(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 6))
        table = rng.normal(size=2**n)
        total = np.zeros(n)
        for order in permutations(range(n)):
            coalition = 0
            for k in order:
                total[k] += table[coalition | 1 << k] - table[coalition]
                coalition |= 1 << k
        np.testing.assert_allclose(
            shapley(table, n).values, total / math.factorial(n), atol=1e-12, rtol=1e-12
        )

    def test_table_and_callable_agree(self) -> None:
        table = np.random.default_rng(0).normal(size=2**6)
        asked = shapley(lambda masks: table[masks @ (1 << np.arange(6))], 6)
        np.testing.assert_array_equal(asked.values, shapley(table, 6).values)
        assert asked.evaluations == 64

    def test_exact_up_to_ten_sampled_above(self) -> None:
        rng = np.random.default_rng(0)
        assert shapley(additive(np.ones(10)), 10, rng=rng).method == "exact"
        assert shapley(additive(np.ones(11)), 11, rng=rng).method == "sampled"
        assert shapley(np.zeros(2**11), 11).method == "exact"  # a table has been evaluated already


class TestAxioms:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(SEEDS)
    def test_efficiency_symmetry_null_player_linearity(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 8))
        table, other = rng.normal(size=(2, 2**n))
        coalitions = np.arange(2**n)
        values = shapley(table, n).values

        np.testing.assert_allclose(values.sum(), table[-1] - table[0], atol=1e-12)

        swapped = coalitions & ~3 | (coalitions & 1) << 1 | (coalitions & 2) >> 1
        alike = shapley((table + table[swapped]) / 2, n).values
        np.testing.assert_allclose(alike[0], alike[1], atol=1e-13)

        assert shapley(table[coalitions & ~1], n).values[0] == 0.0  # agent 0 never matters

        mixed = shapley(2.0 * table - 3.0 * other, n).values
        np.testing.assert_allclose(mixed, 2 * values - 3 * shapley(other, n).values, atol=1e-12)

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(SEEDS)
    def test_renaming_the_agents_renames_the_values(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 8))
        table, names = rng.normal(size=2**n), rng.permutation(n)
        value = shapley(table, n).values
        renamed = shapley(lambda m: table[m[:, np.argsort(names)] @ (1 << np.arange(n))], n).values
        np.testing.assert_allclose(renamed, value[np.argsort(np.argsort(names))], atol=1e-12)

    def test_a_large_offset_costs_no_digits(self) -> None:
        worth = np.array([0.25, 0.5, 1.0, 2.0])
        np.testing.assert_array_equal(shapley(additive(worth, 1e8), 4).values, worth)


class TestSampled:
    @pytest.mark.parametrize("antithetic", [True, False])
    def test_additive_team_has_no_sampling_error(self, antithetic: bool) -> None:
        rng, worth = np.random.default_rng(1), np.arange(12.0)
        got = shapley(additive(worth, 3.0), 12, rng=rng, orders=60, antithetic=antithetic)
        np.testing.assert_array_equal(got.values, worth)
        np.testing.assert_array_equal(got.standard_error, np.zeros(12))
        assert got.method == "sampled"
        assert got.evaluations == 2 + 60 * 11
        assert got.samples == (30 if antithetic else 60)

    def test_states_the_evaluations_that_were_made(self) -> None:
        asked = []

        def value(masks: np.ndarray) -> np.ndarray:
            asked.append(len(masks))
            return masks.sum(axis=1) ** 2.0

        got = shapley(value, 40, rng=np.random.default_rng(0), orders=4000)
        assert got.evaluations == sum(asked)
        assert max(asked) <= 1 << 16  # bounded memory, however many orders

    @pytest.mark.parametrize("antithetic", [True, False])
    def test_interval_covers_the_truth_as_often_as_it_says(self, antithetic: bool) -> None:
        # 200 x 11 intervals of 95%; those of one game are dependent, so the bound on the mean
        # coverage is 4 standard errors of 200 independent games: .95 - 4 sqrt(.05 .95 / 200).
        rng, covered = np.random.default_rng(7), []
        for _ in range(200):
            table = rng.normal(size=2**11)
            truth = shapley(table, 11).values
            got = shapley(
                lambda m, t=table: t[m @ (1 << np.arange(11))],
                11,
                rng=rng,
                orders=200,
                antithetic=antithetic,
            )
            covered.append(np.mean((got.low <= truth) & (truth <= got.high)))
        assert 0.95 - 4 * math.sqrt(0.05 * 0.95 / 200) <= np.mean(covered) <= 0.985

    def test_antithetic_orders_are_exact_for_pairs_of_agents(self) -> None:
        rng = np.random.default_rng(3)
        worth = rng.normal(size=(12, 12))
        truth = (worth.sum(axis=0) + worth.sum(axis=1)) / 2
        both = shapley(pairs(worth), 12, rng=rng, orders=60)
        one = shapley(pairs(worth), 12, rng=rng, orders=60, antithetic=False)
        np.testing.assert_allclose(both.values, truth, atol=1e-12)
        assert np.all(one.standard_error > 1e-2)

    def test_sampled_values_add_up_to_the_whole(self) -> None:
        table = np.random.default_rng(5).normal(size=2**11)
        got = shapley(
            lambda m: table[m @ (1 << np.arange(11))], 11, rng=np.random.default_rng(0), orders=60
        )
        np.testing.assert_allclose(got.values.sum(), table[-1] - table[0], atol=1e-12)

    def test_the_same_seed_gives_the_same_result(self) -> None:
        value = pairs(np.random.default_rng(5).normal(size=(12, 12)))
        one, two = (
            shapley(value, 12, rng=np.random.default_rng(9), antithetic=False) for _ in range(2)
        )
        np.testing.assert_array_equal(one.values, two.values)
        np.testing.assert_array_equal(one.low, two.low)


class TestRefused:
    @pytest.mark.parametrize(
        ("agents", "options", "message"),
        [
            (0, {}, "at least 1"),
            (11, {}, "no rng"),
            (11, {"orders": 58}, "even number >= 60"),
            (11, {"orders": 61}, "even number"),
            (11, {"orders": 29, "antithetic": False}, ">= 30"),
        ],
    )
    def test_settings(self, agents: int, options: dict[str, object], message: str) -> None:
        if message != "no rng":
            options = {**options, "rng": np.random.default_rng(0)}
        with pytest.raises(SettingError, match=message):
            shapley(additive(np.ones(agents)), agents, **options)

    @pytest.mark.parametrize(
        "value",
        [
            [0.0, 1.0, 1.0],
            [[0.0, 1.0], [1.0, 2.0]],
            [0.0, 1.0, np.nan, 2.0],
            [0.0, 1.0, None, 2.0],
            [0.0, 1.0, np.inf, 2.0],
            ["a", "b", "c", "d"],
            lambda masks: masks,
            lambda masks: np.full(len(masks), np.inf),
        ],
    )
    def test_values(self, value: object) -> None:
        with pytest.raises(RewardError, match="wanted"):
            shapley(value, 2)
        with pytest.raises(RewardError, match="wanted"):
            leave_one_out(value, 2)
