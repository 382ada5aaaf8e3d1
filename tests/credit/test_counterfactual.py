"""Difference rewards, COMA and own components: worked by hand, then as laws."""

import dataclasses

import numpy as np
import pytest
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.credit.counterfactual import (
    baselines,
    coma,
    difference_rewards,
    own_components,
    replayed_difference,
)
from counterpoint.errors import CounterpointError, LabelError, RewardError

SEEDS = st.integers(0, 2**32 - 1)


class TestDifferenceRewards:
    def test_one_agent_by_hand(self) -> None:
        # G = 5, without the agent 3: it added 2. G = 1, without it 4: it cost 3.
        np.testing.assert_array_equal(difference_rewards([5.0, 1.0], [3.0, 4.0]), [2.0, -3.0])

    def test_a_column_an_agent(self) -> None:
        got = difference_rewards([5.0, 1.0], [[3.0, 5.0, 0.0], [1.0, 0.0, 4.0]])
        np.testing.assert_array_equal(got, [[2.0, 0.0, 5.0], [0.0, 1.0, -3.0]])

    def test_missing_stays_missing_in_its_own_cell(self) -> None:
        got = difference_rewards([5.0, None], [[3.0, np.nan], [1.0, 1.0]])
        np.testing.assert_array_equal(got, [[2.0, np.nan], [np.nan, np.nan]])

    def test_nothing_in_nothing_out(self) -> None:
        assert difference_rewards([], np.zeros((0, 3))).shape == (0, 3)

    @pytest.mark.parametrize(
        ("team", "without"),
        [
            ([1.0, 2.0], [1.0]),
            ([[1.0]], [[1.0]]),
            ([np.inf], [1.0]),
            ([1.0], [-np.inf]),
            (["many"], [1.0]),
            ([1.7e308], [-1.7e308]),
        ],
    )
    def test_refused(self, team: object, without: object) -> None:
        with pytest.raises(RewardError, match="wanted"):
            difference_rewards(team, without)


class TestReplayedDifference:
    def test_team_that_needs_both_by_hand(self) -> None:
        # G = a0 * a1. Joint (2, 3): G = 6; agent 0 at its default 0 leaves 0, so both added 6.
        # Joint (2, 0): G = 0 whoever is replaced.
        got = replayed_difference(lambda a: a[:, 0] * a[:, 1], [[2, 3], [2, 0]], 0)
        np.testing.assert_array_equal(got, [[6.0, 6.0], [0.0, 0.0]])

    def test_one_default_an_agent(self) -> None:
        # G = a0 + 10 a1 with defaults (1, 2): D = (a0 - 1, 10 (a1 - 2)).
        got = replayed_difference(lambda a: a @ [1.0, 10.0], [[4, 4], [1, 2]], [1, 2])
        np.testing.assert_array_equal(got, [[3.0, 20.0], [0.0, 0.0]])

    def test_asks_the_world_once(self) -> None:
        asked = []

        def value(joint: np.ndarray) -> np.ndarray:
            asked.append(joint.shape)
            return joint.sum(axis=1)

        replayed_difference(value, np.ones((5, 3), dtype=int), 0)
        assert asked == [(20, 3)]  # 5 rows, as they happened and with each of 3 replaced

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(SEEDS)
    def test_equals_difference_rewards_of_each_replacement(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        agents, actions = int(rng.integers(1, 6)), int(rng.integers(1, 4))
        payoff = rng.normal(size=(actions,) * agents)
        joint = rng.integers(0, actions, (int(rng.integers(0, 9)), agents))
        default = rng.integers(0, actions, joint.shape)

        def value(rows: np.ndarray) -> np.ndarray:
            return payoff[tuple(rows.T)]

        without = np.empty(joint.shape)
        for k in range(agents):
            other = joint.copy()
            other[:, k] = default[:, k]
            without[:, k] = value(other)
        got = replayed_difference(value, joint, default)
        np.testing.assert_array_equal(got, difference_rewards(value(joint), without))

    @pytest.mark.parametrize(
        ("value", "actions", "default"),
        [
            (lambda a: a.sum(axis=1), [1, 2], 0),
            (lambda a: a.sum(axis=1), np.zeros((2, 0)), 0),
            (lambda a: a.sum(axis=1), [[1, 2]], [0, 0, 0]),
            (lambda a: a, [[1, 2]], 0),
            (lambda a: a.sum(axis=1) + np.inf, [[1, 2]], 0),
        ],
    )
    def test_refused(self, value: object, actions: object, default: object) -> None:
        with pytest.raises(RewardError, match="wanted"):
            replayed_difference(value, actions, default)


class TestComa:
    def test_by_hand(self) -> None:
        # Row 0: baseline .25 * 4 + .75 * 0 = 1; took action 0, worth 4: advantage 3.
        # Row 1: baseline .5 * 2 + .5 * 6 = 4; took action 0, worth 2: advantage -2.
        got = coma([[4.0, 0.0], [2.0, 6.0]], [[0.25, 0.75], [0.5, 0.5]], [0, 0])
        np.testing.assert_array_equal(got.baseline, [1.0, 4.0])
        np.testing.assert_array_equal(got.values, [3.0, -2.0])
        assert got.missing == 0

    def test_missing_values_are_zero_and_counted_where_the_policy_can_go(self) -> None:
        q = [[4.0, np.nan], [4.0, np.nan], [4.0, None]]
        policy = [[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]]
        got = coma(q, policy, [0, 0, 1])  # the last row took what its policy never takes
        np.testing.assert_array_equal(got.values, [0.0, 0.0, 0.0])
        np.testing.assert_array_equal(got.baseline, [np.nan, 4.0, 4.0])
        assert got.missing == 2

    def test_no_rows(self) -> None:
        got = coma(np.zeros((0, 3)), np.zeros((0, 3)), [])
        assert got.values.shape == (0,)
        assert got.missing == 0

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(SEEDS)
    def test_mean_under_the_policy_is_zero_and_offsets_cancel(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n, m = int(rng.integers(1, 9)), int(rng.integers(1, 6))
        q, policy = rng.normal(size=(n, m)), rng.dirichlet(np.ones(m), n)
        each = np.stack([coma(q, policy, np.full(n, a)).values for a in range(m)], axis=1)
        np.testing.assert_allclose(np.sum(policy * each, axis=1), 0.0, atol=1e-12)
        moved = coma(q + 100.0, policy, np.zeros(n, dtype=int)).values
        np.testing.assert_allclose(moved, each[:, 0], atol=1e-11)

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(SEEDS)
    def test_always_finite_and_counted(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n, m = int(rng.integers(0, 9)), int(rng.integers(1, 5))
        q = np.where(rng.random((n, m)) < 0.3, np.nan, rng.normal(size=(n, m)) * 1e6)
        policy = np.where(rng.random((n, m)) < 0.3, 0.0, rng.random((n, m)))
        policy[:, 0] += 1e-3
        policy /= policy.sum(axis=1, keepdims=True)
        got = coma(q, policy, rng.integers(0, m, n))
        assert np.isfinite(got.values).all()
        assert got.missing >= np.isnan(got.baseline).sum()
        assert np.all(got.values[np.isnan(got.baseline)] == 0)

    @pytest.mark.parametrize(
        ("q", "policy", "action"),
        [
            ([1.0, 2.0], [0.5, 0.5], [0]),
            ([[1.0, 2.0]], [[0.5, 0.4, 0.1]], [0]),
            ([[1.0, np.inf]], [[0.5, 0.5]], [0]),
            ([[1.0, 2.0]], [[0.5, 0.6]], [0]),
            ([[1.0, 2.0]], [[1.5, -0.5]], [0]),
            ([[1.0, 2.0]], [[np.nan, 1.0]], [0]),
            ([[1.0, 2.0]], [[0.5, 0.5]], [2]),
            ([[1.0, 2.0]], [[0.5, 0.5]], [-1]),
            ([[1.0, 2.0]], [[0.5, 0.5]], [0.0]),
            ([[1.0, 2.0]], [[0.5, 0.5]], [0, 1]),
        ],
    )
    def test_refused(self, q: object, policy: object, action: object) -> None:
        with pytest.raises(RewardError, match="wanted"):
            coma(q, policy, action)


class TestOwnComponents:
    def test_by_hand(self) -> None:
        rewards = [[1.0, 10.0, 100.0], [2.0, 20.0, 200.0], [3.0, 30.0, 300.0]]
        owners = {"planner": [0], "worker": [1, 2], "watcher": []}
        got = own_components(rewards, ["planner", "worker", "watcher"], owners)
        np.testing.assert_array_equal(got, [1.0, 220.0, 0.0])

    def test_only_an_own_missing_component_is_missing(self) -> None:
        got = own_components([[None, 1.0], [np.nan, 2.0]], ["a", "b"], {"a": [0], "b": [1]})
        np.testing.assert_array_equal(got, [np.nan, 2.0])

    def test_owning_everything_is_the_sum(self) -> None:
        rewards = np.arange(12.0).reshape(4, 3)
        got = own_components(rewards, [0, 1, 0, 1], {0: range(3), 1: range(3)})
        np.testing.assert_array_equal(got, rewards.sum(axis=1))

    def test_no_rows(self) -> None:
        assert own_components(np.zeros((0, 2)), [], {}).shape == (0,)

    @pytest.mark.parametrize(
        ("agent", "owners", "message"),
        [
            (["a", "b"], {"a": [0]}, "no entry"),
            (["a", "a"], {"a": [2]}, r"numbers from 0 to 1"),
            (["a", "a"], {"a": [-1]}, r"numbers from 0 to 1"),
            (["a", "a"], {"a": [0, 0]}, "different"),
            (["a"], {"a": [0]}, "one a row"),
        ],
    )
    def test_labels_refused(self, agent: list[str], owners: object, message: str) -> None:
        with pytest.raises(LabelError, match=message):
            own_components([[1.0, 2.0], [3.0, 4.0]], agent, owners)

    @pytest.mark.parametrize("rewards", [[1.0, 2.0], [[np.inf, 1.0], [0.0, 0.0]], [["x"], ["y"]]])
    def test_rewards_refused(self, rewards: object) -> None:
        with pytest.raises(RewardError, match="wanted"):
            own_components(rewards, ["a", "a"], {"a": [0]})


def _infinite(of: str) -> str:
    return f"got an infinite value in {of}; wanted finite numbers, or NaN for a missing one"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda: difference_rewards([1.0, 2.0], [1.0]),
            "got team of shape (2,) and without of shape (1,); wanted [N] and [N] or [N, A]: one "
            "row a decision of the team",
        ),
        (lambda: difference_rewards([np.inf], [1.0]), _infinite("team")),
        (lambda: difference_rewards([1.0], [np.inf]), _infinite("without")),
        (lambda: difference_rewards([1.7e308], [-1.7e308]), _infinite("difference")),
        (
            lambda: replayed_difference(lambda a: a, [1], 0),
            "got actions of shape (1,); wanted [N, A], a column an agent",
        ),
        (
            lambda: replayed_difference(lambda a: a, [[1, 2]], [0, 0, 0]),
            "got default of shape (3,) for actions of shape (1, 2); wanted one action, [A] or "
            "[N, A]",
        ),
        (
            lambda: replayed_difference(lambda a: a, [[1, 2]], 0),
            "got rewards of shape (3, 2) from `value` for joint actions of shape (3, 2); wanted "
            "[3]",
        ),
        (
            lambda: replayed_difference(lambda a: a[:, 0] + np.inf, [[1, 2]], 0),
            _infinite("the rewards that `value` returned"),
        ),
        (
            lambda: coma([1.0], [0.5], [0]),
            "got q of shape (1,) and policy of shape (1,); wanted [N, M] both",
        ),
        (lambda: coma([[np.inf]], [[1.0]], [0]), _infinite("q")),
        (lambda: coma([[1.0]], [[np.inf]], [0]), _infinite("policy")),
        (
            lambda: coma([[1.0, 2.0]], [[0.5, 0.6]], [0]),
            "got a policy with rows that are not probabilities; wanted numbers >= 0 that sum to 1 "
            "in each row (normalize, or apply a softmax first)",
        ),
        (
            lambda: coma([[1.0, 2.0]], [[0.5, 0.5]], [0.0]),
            "got actions of shape (1,) and type float64; wanted [1] integers",
        ),
        (
            lambda: coma([[1.0, 2.0]], [[0.5, 0.5]], []),
            "got actions of shape (0,) and type float64; wanted [1] integers",
        ),
        (
            lambda: coma(np.zeros((0, 2)), np.zeros((0, 2)), [1]),
            "got actions of shape (1,) and type int64; wanted [0] integers",
        ),
        (
            lambda: coma([[1.0, 2.0]] * 2, [[0.5, 0.5]] * 2, [-1, 2]),
            "got actions from -1 to 2; wanted 0 to 1, columns of q",
        ),
        (
            lambda: own_components([1.0], ["a"], {"a": [0]}),
            "got rewards of shape (1,); wanted [N, K], a column a part",
        ),
        (lambda: own_components([[np.inf]], ["a"], {"a": [0]}), _infinite("rewards")),
        (
            lambda: own_components([[1.7e308, 1.7e308]], ["a"], {"a": [0, 1]}),
            _infinite("own components"),
        ),
        (
            lambda: own_components([[1.0]], ["a", "b"], {"a": [0]}),
            "got agents of shape (2,); wanted [1], one a row",
        ),
        (
            lambda: own_components([[1.0]], ["b"], {"a": [0]}),
            "got decisions of 'b' but no entry for it in owners; wanted its component columns, or "
            "an empty sequence if it is paid by none",
        ),
        (
            lambda: own_components([[1.0, 2.0]], ["a"], {"a": [0, 2]}),
            "got columns [0, 2] for 'a'; wanted different numbers from 0 to 1",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_was_got_and_what_was_wanted_is_said(ask: object, said: str) -> None:
    with pytest.raises(CounterpointError) as refused:
        ask()  # type: ignore[operator]
    assert str(refused.value) == said


def test_probabilities_are_believed_to_six_digits() -> None:
    for off, fine in ((9e-7, True), (-9e-7, True), (2e-6, False), (-2e-6, False)):
        if fine:
            assert coma([[1.0, 2.0]], [[0.5, 0.5 + off]], [0]).missing == 0
        else:
            with pytest.raises(RewardError, match="probabilities"):
                coma([[1.0, 2.0]], [[0.5, 0.5 + off]], [0])


class TestBaselines:
    def test_names_in_order(self) -> None:
        assert list(baselines()) == ["counterfactual", "difference", "own_component"]

    def test_every_entry_says_everything_once(self) -> None:
        for entry in baselines().values():
            told = dataclasses.astuple(entry)
            assert all(told)
            assert len(set(told)) == len(told)
            assert entry.needs.count(".") == 1

    def test_a_caller_cannot_change_the_next_ones(self) -> None:
        with pytest.raises(TypeError):
            baselines()["difference"] = None

    def test_errors_are_of_one_family(self) -> None:
        assert issubclass(RewardError, CounterpointError)
        assert issubclass(LabelError, CounterpointError)
