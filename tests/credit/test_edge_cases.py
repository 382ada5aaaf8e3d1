"""Degenerate rewards and teams: each has a defined result and a count, never a silent NaN."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from array_kinds import KINDS, credit_of
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from points import ANY, BATCH, EXACT, ONE, Z_SCORES
from random_teams import Team, rewards, scheme, uneven, with_gaps

from counterpoint.credit import Scheme, Tally, advantages, catalogue
from counterpoint.errors import LabelError, RewardError

pytestmark = pytest.mark.fault("R7")

SEEDS = st.integers(0, 2**32 - 1)
FUZZ = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
EVERY = list(ANY)
FAMILIES = {
    "batch": ["none", "center", "mappo_pooled", "reinforce_plus_plus", "lite_ppo", "agent_mean",
              "prpo", "reinforce_plus_plus_baseline"],
    "group": ["grpo", "dr_grpo", "rloo", "agent_wise", "at_grpo", "rank", "grpo_rows", "opo",
              "hierarchical_grpo", "corpo"],
    "trainer": ["trl", "trl_batch", "verl", "slime", "openrlhf", "art", "rllm", "magrpo"],
    "component": ["gdpo", "agent_x_component", "dvao", "gd2po"],
    "running": ["group_reward_decoupled", "spiral_rae", "marshal_style", "mappo_per_agent",
                "adaptive"],
}  # fmt: skip


def constant_groups(dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Rewards .01 to .99 in groups of 3, 4, 8 and 16: 396 groups; and the group of each row."""
    pairs = [(value, size) for value in range(1, 100) for size in (3, 4, 8, 16)]
    sizes = [size for _, size in pairs]
    reward = np.array([value / 100 for value, _ in pairs], dtype=dtype)
    return np.repeat(reward, sizes), np.repeat(np.arange(len(pairs)), sizes)


class TestConstantGroups:
    """396 groups in each of two precisions: 792 for every scheme that divides by a deviation."""

    def test_there_are_792(self) -> None:
        assert sum(1 + constant_groups(t)[1].max() for t in (np.float32, np.float64)) == 792

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("name", Z_SCORES)
    def test_exactly_zero_and_counted(self, name: str, dtype: type, kind: str) -> None:
        r, group = constant_groups(dtype)
        rows = np.arange(len(r))
        labels = {"batch": group, "prompt": group, "rollout": rows, "agent": 0 * rows}
        got = credit_of(kind, r, labels, catalogue()[name])
        np.testing.assert_array_equal(got.values, 0.0)
        levels = 1 if catalogue()[name].center_by == catalogue()[name].scale_by else 2
        assert got.tally.groups == got.tally.constants == 396 * levels

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("name", Z_SCORES)
    def test_a_last_digit_of_rounding_is_no_variance(self, name: str, dtype: type) -> None:
        """The same three components summed in another order: .6 and .6000000000000001."""
        parts = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.3, 0.1]], dtype=dtype)
        assert dtype is np.float32 or len(np.unique(parts.sum(axis=1))) > 1
        labels = {"rollout": range(3), "agent": [0, 0, 0]}
        summed = dataclasses.replace(
            ONE[name], components="sum_first", weigh_by="fixed", agreement=0.0
        )
        got = advantages(parts, labels, summed)
        np.testing.assert_array_equal(got.values, 0.0)
        assert got.tally.constants == got.tally.groups

    def test_a_real_difference_is_not_rounded_away(self) -> None:
        r = np.array([0.5, 0.5, 0.5 + 1e-12, 0.5 + 1e-12])
        got = advantages(r, {"prompt": [0] * 4, "rollout": range(4)}, catalogue()["grpo"])
        np.testing.assert_allclose(got.values, [-1, -1, 1, 1], rtol=1e-12)
        assert got.tally.constants == 0

    def test_unscaled_policy_keeps_the_centered_value(self) -> None:
        # Batch center 1 of (0, 0, 2, 2), own deviations 0: centered -1, -1, 1, 1, undivided.
        own = Scheme(center_by=(), scale_by=("agent",), scale_of="raw", constant="unscaled")
        got = advantages([0.0, 0.0, 2.0, 2.0], {"agent": [0, 0, 1, 1]}, own)
        np.testing.assert_array_equal(got.values, [-1.0, -1.0, 1.0, 1.0])

    def test_components_that_cancel_are_not_whitened_into_noise(self) -> None:
        """A bit and .3 - .7 of it: z-scores add up to 0 but for rounding, which is no signal."""
        bit = np.random.default_rng(0).integers(0, 2, 7 * 1000).astype(float)
        labels = {"prompt": np.repeat(np.arange(1000), 7), "rollout": np.tile(np.arange(7), 1000)}
        got = advantages(np.stack([bit, 0.3 - 0.7 * bit], axis=1), labels, catalogue()["gdpo"])
        np.testing.assert_array_equal(got.values, 0.0)


class TestFarFromZero:
    @pytest.mark.fault("R39")
    @pytest.mark.parametrize("name", [n for n in BATCH if ONE[n].baseline_floor is None])
    def test_rewards_of_1e8_keep_their_digits(self, name: str) -> None:
        team = uneven(11)
        r = np.random.default_rng(0).integers(0, 4, len(team)).astype(float)
        r = r[team.rollouts]  # one reward a rollout
        near = advantages(r, team.labels, catalogue()[name]).values
        far = advantages(1e8 + r, team.labels, catalogue()[name]).values
        far = far - 1e8 if name == "none" else far
        np.testing.assert_allclose(far, near, rtol=0, atol=1e-14 * np.abs(near).max())

    @pytest.mark.fault("R39")
    @pytest.mark.parametrize("name", ["group_reward_decoupled", "marshal_style", "spiral_rae"])
    def test_running_means_keep_what_a_float_at_1e8_can(self, name: str) -> None:
        team, states = uneven(11), [None, None]
        for call in range(5):
            r = np.random.default_rng(call).integers(0, 4, len(team)).astype(float)
            near = advantages(r, team.labels, catalogue()[name], state=states[0])
            far = advantages(1e8 + r, team.labels, catalogue()[name], state=states[1])
            # The mean itself is stored to half an ulp of 1e8, 7.5e-9, once a call.
            np.testing.assert_allclose(far.values, near.values, rtol=0, atol=1e-6)
            states = [near.state, far.state]

    @pytest.mark.fault("R39")
    @pytest.mark.parametrize("name", EVERY)
    @pytest.mark.parametrize("size", [1e-300, 1e-160, 1e-30, 1e30, 1e200, 1.7e308])
    def test_huge_and_tiny_rewards_are_finite_or_refused(self, name: str, size: float) -> None:
        r = size * np.array([1.0, -1.0, 0.5, 0.25, 1.0, -1.0])
        labels = {"rollout": range(6), "agent": [0, 0, 0, 1, 1, 1]}
        if size > 1e100:  # squares would overflow
            with pytest.raises(RewardError, match="wanted"):
                advantages(r, labels, catalogue()[name])
            return
        got = advantages(r, labels, catalogue()[name])
        assert np.isfinite(got.values).all()
        if name in EXACT and size > 1e-100:  # below, squares are 0
            assert np.abs(got.values).max() > 0.5


class TestSingletons:
    def test_zero_and_counted(self) -> None:
        got = advantages([5.0, 1.0, 0.0], {"prompt": [0, 1, 1], "rollout": [0, 0, 1]}, grpo())
        np.testing.assert_array_equal(got.values, [0.0, 1.0, -1.0])
        assert (got.tally.groups, got.tally.singletons, got.tally.constants) == (2, 1, 0)

    def test_raw_on_request(self) -> None:
        raw = dataclasses.replace(grpo(), singleton="raw")
        got = advantages([5.0, 1.0, 0.0], {"prompt": [0, 1, 1], "rollout": [0, 0, 1]}, raw)
        np.testing.assert_array_equal(got.values, [5.0, 1.0, -1.0])

    @pytest.mark.parametrize("name", ["rloo", "dr_grpo", "grpo", "lite_ppo", "gdpo", "rank"])
    def test_three_rows_of_one_rollout_are_one_sample(self, name: str) -> None:
        labels = {"prompt": [0, 0, 0, 1, 1], "rollout": [0, 0, 0, 0, 1], "agent": [0, 1, 2, 0, 0]}
        got = advantages([7.0, 7.0, 7.0, 1.0, 0.0], labels, catalogue()[name])
        np.testing.assert_array_equal(got.values[:3], 0.0)
        assert got.tally.singletons == 1

    def test_own_running_statistics_judge_a_single_sample(self) -> None:
        own, labels = catalogue()["group_reward_decoupled"], {"agent": ["a", "a"]}
        first = advantages([0.0, 1.0], labels, own)  # mean .5, deviation .5
        got = advantages([2.0], {"agent": ["a"]}, own, state=first.state)
        np.testing.assert_allclose(got.values, [3.0])  # (2 - .5) / .5
        assert got.tally.singletons == 0

    def test_a_rollout_without_others_is_worth_nothing_wherever_its_rewards_lie(self) -> None:
        """Prompt 0 has one rollout of two rows. It adds nothing to the batch's deviation, which is
        of 0, 0, 1 and -1: sqrt(1/2)."""
        others = Scheme(center_by=("prompt",), scale_by=(), center="leave_one_out")
        labels = {"prompt": [0, 0, 1, 1], "rollout": [0, 0, 0, 1], "agent": [0, 1, 0, 0]}
        for low in (0.0, 7.0):
            got = advantages([low, low + 10, 1.0, 0.0], labels, others)
            np.testing.assert_allclose(got.values, [0, 0, 2**0.5, -(2**0.5)])
            assert got.tally.singletons == 1


class TestRowsAreCountedAsGiven:
    """Two agents share the reward of each rollout: whatever is counted, it is in their rows."""

    @pytest.mark.parametrize("gap", [False, True])
    def test_raised_and_conflicting(self, gap: bool) -> None:
        rollout = np.repeat(range(4), 2)
        labels = {"prompt": 0 * rollout, "rollout": rollout, "agent": [0, 1] * 4}
        success = np.array([1.0, 0.0, 0.0, 1.0])[rollout]
        if gap:  # rows are then looked at one by one
            labels = {name: [*column, 9] for name, column in labels.items()}
            success = np.append(success, np.nan)
        corpo = dataclasses.replace(catalogue()["corpo"], baseline_floor=0.6)
        assert advantages(success, labels, corpo).tally.raised == 8
        both = np.stack([success, 1 - success], axis=1)
        gd2po = dataclasses.replace(catalogue()["gd2po"], whiten="none")
        assert advantages(both, labels, gd2po).tally.conflicting == 8


class TestMissing:
    @pytest.mark.fault("R40")
    def test_left_out_and_counted(self) -> None:
        labels = {"prompt": [0] * 4, "rollout": range(4)}
        got = advantages([1.0, None, 3.0, np.nan], labels, grpo())
        np.testing.assert_array_equal(got.values, [-1.0, 0.0, 1.0, 0.0])
        assert (got.tally.rows, got.tally.missing, got.tally.left_out) == (4, 2, 2)

    def test_as_zero_on_request(self) -> None:
        zero = dataclasses.replace(grpo(), missing="as_zero", scale="none")
        got = advantages([1.0, None, 5.0], {"prompt": [0] * 3, "rollout": range(3)}, zero)
        np.testing.assert_array_equal(got.values, [-1.0, -2.0, 3.0])  # the mean is 6 / 3 = 2
        assert (got.tally.missing, got.tally.left_out) == (1, 0)

    def test_a_sum_is_of_the_components_that_are_there(self) -> None:
        """Sums 2, 0 and 9 - 8 = 1, whose second component is missing: mean 1."""
        labels = {"prompt": [0] * 3, "rollout": range(3)}
        rewards = [[1.0, 1.0], [0.0, 0.0], [1.0, np.nan]]
        got = advantages(rewards, labels, dataclasses.replace(grpo(), scale="none"))
        np.testing.assert_array_equal(got.values, [1.0, -1.0, 0.0])
        assert (got.tally.missing, got.tally.left_out) == (1, 0)

    @pytest.mark.fault("R40")
    def test_functions_that_answer_off_their_task_with_none(self) -> None:
        """Two tasks, a reward function for each: z-scores of 1 0 0 1 and of .2 .9 .2 .5."""
        math, code = [1.0, 0.0, 0.0, 1.0], [0.2, 0.9, 0.2, 0.5]
        rewards = [[r, None] for r in math] + [[None, r] for r in code]
        labels = {"prompt": [0] * 4 + [1] * 4, "rollout": [0, 1, 2, 3] * 2}
        got = advantages(rewards, labels, grpo())
        z = (np.array(code) - 0.45) / np.sqrt(0.0825)  # deviations -.25 .45 -.25 .05
        np.testing.assert_allclose(got.values, [1, -1, -1, 1, *z], rtol=1e-12)
        assert (got.tally.missing, got.tally.left_out) == (8, 0)

    def test_a_component_of_weight_zero_is_only_logged(self) -> None:
        labels = {"prompt": [0] * 4, "rollout": range(4)}
        rewards = [[1, 0.3], [0, np.nan], [0, np.inf], [1, -1e300]]
        for components in ("sum_first", "normalize_first"):
            scheme = dataclasses.replace(grpo(), weights=(1.0, 0.0), components=components)
            got = advantages(rewards, labels, scheme)
            np.testing.assert_array_equal(got.values, [1, -1, -1, 1])
            assert (got.tally.missing, got.tally.left_out) == (0, 0)

    @pytest.mark.fault("R40")
    @pytest.mark.parametrize("name", [n for n in EVERY if ONE[n].components == "sum_first"])
    def test_a_missing_component_is_a_sum_without_it(self, name: str) -> None:
        """Whatever the scheme: the batch of sums gives the same numbers, and so does the past."""
        team = uneven(8)
        parts = with_gaps(1, rewards(1, 3 * len(team), (0,)).reshape(-1, 3), 0.3)
        sums = np.where(np.isnan(parts).all(axis=1), np.nan, np.nansum(parts, axis=1))
        one = advantages(parts, team.labels, catalogue()[name])
        np.testing.assert_allclose(
            one.values, advantages(sums, team.labels, catalogue()[name]).values, atol=1e-12
        )
        again = advantages(parts, team.labels, catalogue()[name])
        np.testing.assert_array_equal(one.values, again.values)

    @pytest.mark.fault("R40")
    def test_one_missing_component_leaves_only_itself_out_of_gdpo(self) -> None:
        plain = dataclasses.replace(catalogue()["gdpo"], whiten="none")
        labels = {"prompt": [0] * 3, "rollout": range(3)}
        got = advantages([[1.0, 1.0], [1.0, 0.0], [4.0, np.nan]], labels, plain)
        # first component: mean 2, deviation sqrt(2): -1, -1, 2; second: 1, -1 of two rows
        first = np.array([-1.0, -1.0, 2.0]) / np.sqrt(2)
        np.testing.assert_allclose(got.values, first + np.array([1.0, -1.0, 0.0]), rtol=1e-15)
        assert (got.tally.missing, got.tally.left_out) == (1, 0)

    @pytest.mark.fault("R40")
    @pytest.mark.parametrize("name", EVERY)
    def test_everything_missing(self, name: str) -> None:
        team = uneven(4)
        got = advantages(np.full((len(team), 2), np.nan), team.labels, catalogue()[name])
        np.testing.assert_array_equal(got.values, 0.0)
        assert got.tally == Tally(rows=len(team), missing=len(team), left_out=len(team))

    @pytest.mark.fault("R40")
    @pytest.mark.parametrize("name", [n for n in EVERY if ONE[n].rollout_reward == "mean"])
    def test_a_missing_row_changes_no_other(self, name: str) -> None:
        team = uneven(5)
        r = np.random.default_rng(0).normal(size=len(team))
        kept = np.arange(len(team)) != 3
        gap = np.where(kept, r, np.nan)
        alone = advantages(r[kept], team.take(kept).labels, catalogue()[name]).values
        got = advantages(gap, team.labels, catalogue()[name]).values
        np.testing.assert_allclose(got[kept], alone, rtol=0, atol=1e-13)
        assert got[3] == 0.0

    @pytest.mark.parametrize("name", [n for n in EVERY if ONE[n].weighting == "trajectory"])
    def test_a_row_without_a_reward_has_the_worth_of_its_rollout(self, name: str) -> None:
        """A decision in the middle of an episode that is paid at its end is no missing one."""
        rows = {"prompt": [0] * 4, "rollout": range(4), "agent": ["a"] * 4}
        one = advantages([1.0, 0.0, 0.3, 0.9], rows, catalogue()[name]).values
        twice = {"prompt": [0] * 8, "rollout": np.repeat(range(4), 2), "agent": ["a"] * 8}
        paid = [r for reward in (1.0, 0.0, 0.3, 0.9) for r in (None, reward)]
        got = advantages(paid, twice, catalogue()[name])
        np.testing.assert_allclose(got.values, np.repeat(one, 2), atol=1e-12)
        assert (got.tally.missing, got.tally.left_out) == (4, 0)


class TestInfinite:
    @pytest.mark.parametrize("name", EVERY)
    @pytest.mark.parametrize("bad", [np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_refused(self, name: str, bad: float, dtype: type) -> None:
        r = np.array([[1.0, 0.0], [0.0, bad]], dtype=dtype)
        with pytest.raises(RewardError, match="infinite"):
            advantages(r, {"rollout": [0, 1], "agent": [0, 1]}, catalogue()[name])


class TestPresence:
    def test_an_absent_agent_keeps_its_memory(self) -> None:
        own = catalogue()["group_reward_decoupled"]
        first = advantages([0.0, 1.0, 5.0, 7.0], {"agent": ["a", "a", "b", "b"]}, own)
        then = advantages([3.0, 9.0], {"agent": ["b", "b"]}, own, state=first.state)
        back = advantages([2.0], {"agent": ["a"]}, own, state=then.state)
        np.testing.assert_allclose(back.values, [3.0])  # still (2 - .5) / .5
        assert (back.tally.cold, then.tally.cold, first.tally.cold) == (0, 0, 2)

    def test_uneven_calls_leave_an_agent_no_net_mass_of_its_own(self) -> None:
        """A verifier called 3, 1, 0, 0, 1, 0, 4, 0 times in 8 rollouts, often in the failures.

        Rewards 0, 1, 1, 1, 1, 1, 0, 1: rollout mean 3/4, deviation sqrt(3)/4, so a failure is
        worth -sqrt(3) and a success 1/sqrt(3). Its nine calls: 7 in failures, 2 in successes.
        """
        calls, r = [3, 1, 0, 0, 1, 0, 4, 0], np.array([0.0, 1, 1, 1, 1, 1, 0, 1])
        rollout = np.concatenate([np.arange(8), np.repeat(np.arange(8), calls)])
        agent = np.repeat(["solver", "verifier"], [8, 9])
        labels = {"prompt": np.zeros(17, dtype=int), "rollout": rollout, "agent": agent}
        pooled = advantages(r[rollout], labels, grpo()).values[8:]
        np.testing.assert_allclose(pooled.mean(), (-7 * np.sqrt(3) + 2 / np.sqrt(3)) / 9)
        own = advantages(r[rollout], labels, catalogue()["agent_wise"]).values[8:]
        assert abs(own.mean()) < 1e-15

    @pytest.mark.parametrize("name", EVERY)
    def test_no_rows(self, name: str) -> None:
        labels = {label: [] for label in ("prompt", "rollout", "agent", "turn")}
        got = advantages(np.zeros((0, 3)), labels, catalogue()[name])
        assert got.values.shape == (0,)
        assert got.tally == Tally()

    @pytest.mark.parametrize("name", EVERY)
    def test_one_row(self, name: str) -> None:
        got = advantages([4.0], {"rollout": [0], "agent": ["a"]}, catalogue()[name])
        raw = name == "none" or ONE[name].singleton == "raw"
        np.testing.assert_array_equal(got.values, [4.0 if raw else 0.0])


class TestAlwaysDefined:
    """R7: any team, any finite rewards, any gaps: finite results, gaps 0, everything counted."""

    @pytest.mark.parametrize("family", FAMILIES)
    @FUZZ
    @given(SEEDS, st.data())
    def test_every_registered_scheme(
        self, family: str, structure: int, data: st.DataObject
    ) -> None:
        team = small(structure)
        r = data.draw(hnp.arrays(np.float64, (len(team), 2), elements=finite_or_missing()))
        for name in FAMILIES[family]:
            check_defined(r, team.labels, catalogue()[name])

    def test_the_families_are_all(self) -> None:
        assert sorted(name for names in FAMILIES.values() for name in names) == sorted(EVERY)

    @pytest.mark.parametrize("memory", ["batch", "ema", "welford"])
    @FUZZ
    @given(SEEDS, SEEDS, st.data())
    def test_every_point_of_the_algebra(
        self, memory: str, structure: int, point: int, data: st.DataObject
    ) -> None:
        team, state = small(structure), None
        any_scheme = scheme(point, memory=memory) if memory == "batch" else running(point, memory)
        for _ in range(1 if memory == "batch" else 2):
            r = data.draw(hnp.arrays(np.float64, len(team), elements=finite_or_missing()))
            state = check_defined(r, team.labels, any_scheme, state)

    @pytest.mark.parametrize("label", ["prompt", "rollout", "agent"])
    def test_a_label_that_is_needed_is_named(self, label: str) -> None:
        labels = {"prompt": [0, 0], "rollout": [0, 1], "agent": [0, 0], "turn": [0, 0]}
        del labels[label]
        needs = Scheme(center_by=("prompt", "agent"), weighting="trajectory")
        if label == "prompt":  # one prompt is the default
            assert advantages([0.0, 1.0], labels, needs).tally.groups == 1
        else:
            with pytest.raises(LabelError, match=f"'{label}'"):
                advantages([0.0, 1.0], labels, needs)


def grpo() -> Scheme:
    return catalogue()["grpo"]


def running(point: int, memory: str) -> Scheme:
    """A random scheme that keeps statistics in `memory`."""
    return scheme(point, memory=memory, center="running_mean")


def small(structure: int) -> Team:
    """At most a dozen rows of an uneven team."""
    team = uneven(structure)
    return team.take(np.arange(min(12, len(team))))


def finite_or_missing() -> st.SearchStrategy[float]:
    """Bits, gaps, offsets, and anything whose square, and that of its ratios, is a float."""
    usual = st.sampled_from([0.0, 1.0, np.nan, 0.1, -1.0, 1e8, 1e8 + 1])
    return usual | st.floats(1e-60, 1e60) | st.floats(-1e60, -1e-60)


def check_defined(r: np.ndarray, labels: dict, given: Scheme, state: object = None) -> object:
    got = advantages(r, labels, given, state=state)
    gaps = np.isnan(r.reshape(len(r), -1))
    assert got.values.shape == (len(r),)
    assert np.isfinite(got.values).all()
    assert got.tally.rows == len(r)
    assert got.tally.missing == gaps.any(axis=1).sum()
    if given.missing == "leave_out":
        out = gaps.all(axis=1)
        if given.rollout_reward != "mean":  # missing only where the agent's rollout is
            out = np.array([out[labels_of(labels) == who].all() for who in labels_of(labels)])
        np.testing.assert_array_equal(got.values[out], 0.0)
        assert got.tally.left_out == out.sum()
    assert got.tally.singletons + got.tally.constants <= got.tally.groups  # each counts once
    return got.state


def labels_of(labels: dict) -> np.ndarray:
    """[N] one id for each (prompt, rollout, agent)."""
    return Team(labels).speakers
