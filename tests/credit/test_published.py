"""Published estimators on tiny arrays, each worked by hand beside the numbers.

Prompt A has rewards 1 0 0 1 (mean 1/2, deviation 1/2), prompt B .2 .9 .2 .5 (mean .45, squares of
the deviations .0625 + .2025 + .0625 + .0025 = .33: deviation sqrt(.0825), with n - 1 sqrt(.11)).
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
import pytest
from test_catalogue import BY_HAND

from counterpoint.credit import Mix, PerRole, Scheme, advantages, catalogue
from counterpoint.errors import RewardError, SchemeError

A = np.array([1.0, 0.0, 0.0, 1.0])
B = np.array([0.2, 0.9, 0.2, 0.5])
OFF = B - 0.45
LABELS = {"prompt": [0] * 4, "rollout": range(4)}
BOTH = {"prompt": [0] * 4 + [1] * 4, "rollout": [*range(4)] * 2}


def of(name, rewards, labels=LABELS, **changes):
    scheme = replace(catalogue()[name], **changes) if changes else catalogue()[name]
    return advantages(rewards, labels, scheme).values


def test_every_entry_is_worked_by_hand_somewhere():
    here = {"mgpo", "gdpo_conditional", "mt_grpo", "adaptive"}  # the last in test_shrunken.py
    assert {*BY_HAND} | here == {*catalogue()}


@pytest.mark.parametrize(
    ("name", "epsilon"), [("trl", 1e-4), ("verl", 1e-6), ("slime", 1e-6), ("openrlhf", 1e-9)]
)
def test_trainers_divide_by_the_deviation_with_n_minus_1(name, epsilon):
    np.testing.assert_allclose(of(name, B), OFF / (sqrt(0.11) + epsilon), rtol=1e-13)


def test_trl_published_digits():
    np.testing.assert_allclose(of("trl", A), [0.8658754, -0.8658754, -0.8658754, 0.8658754], 1e-6)
    np.testing.assert_allclose(of("trl", B), [-0.7535512, 1.3563921, -0.7535512, 0.1507102], 1e-6)


def test_trl_batch_takes_the_deviation_of_raw_rewards():
    """All eight: mean .475, sum of squares 3.14 - 8 x .225625 = 1.335; over 7."""
    deviation = sqrt(1.335 / 7) + 1e-4
    wanted = np.concatenate([A - 0.5, OFF]) / deviation
    np.testing.assert_allclose(of("trl_batch", [*A, *B], BOTH), wanted, rtol=1e-12)


def test_verl_keeps_the_raw_reward_of_a_group_of_one():
    labels = {"prompt": [0, 1, 1], "rollout": [0, 0, 1]}
    np.testing.assert_allclose(of("verl", [7.0, 1.0, 0.0], labels)[0], 7.0)


def test_grpo_rows_is_what_trainers_do_where_agents_have_rewards_of_their_own():
    """Rows 5 0 6 1: mean 3, squares 4 + 9 + 9 + 4 = 26 over 4: deviation sqrt(6.5)."""
    labels = {"prompt": [0] * 4, "rollout": [0, 0, 1, 1], "agent": ["a", "b", "a", "b"]}
    rows = of("grpo_rows", [5.0, 0.0, 6.0, 1.0], labels)
    np.testing.assert_allclose(rows, np.array([2, -3, 3, -2]) / sqrt(6.5), rtol=1e-13)
    # GRPO over rollouts averages the agents first: 2.5 and 3.5
    np.testing.assert_allclose(of("grpo", [5.0, 0.0, 6.0, 1.0], labels), [-1, -1, 1, 1])


def test_reinforce_plus_plus_baseline_whitens_what_is_centered():
    """Squares 4 x .25 + .33 = 1.33 over 8."""
    wanted = np.concatenate([A - 0.5, OFF]) / sqrt(1.33 / 8)
    got = of("reinforce_plus_plus_baseline", [*A, *B], BOTH)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("weighting", "wanted"),
    [
        (None, [1, -1, -1, -1]),
        ("trajectory", [1, -1, -1, -1]),
        ("step", [sqrt(3), *[-1 / sqrt(3)] * 3]),
    ],
)
def test_the_last_pass_counts_rollouts_or_rows(weighting, wanted):
    """Returns 1 of one row and 0 of three, centered +-1/2; over rows the mean is -1/4 and the
    variance (9 + 3) / 64: trainers that whiten tokens do that."""
    labels = {"prompt": [0] * 4, "rollout": [0, 1, 1, 1], "agent": [0] * 4}
    name = "reinforce_plus_plus_baseline"
    got = of(name, [1.0, 0.0, 0.0, 0.0], labels, whiten_weighting=weighting)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize("name", ["grpo", "grpo_rows", "gdpo"])
def test_clip_cuts_on_both_sides_and_counts(name):
    """Rewards 2 1 1 0: deviation sqrt(1/2), so sqrt(2) 0 0 -sqrt(2)."""
    scheme = replace(catalogue()[name], clip=1.2)
    done = advantages([2.0, 1.0, 1.0, 0.0], LABELS, scheme)
    np.testing.assert_allclose(done.values, [1.2, 0, 0, -1.2])
    assert (done.tally.clipped, done.tally.rows, done.tally.groups) == (2, 4, 1)


def test_opo_weighs_rollouts_by_their_rows():
    """Returns 1 0 0 1 of 4, 1, 1, 2 rows: (4 + 2) / 8 = .75."""
    rollout = [0] * 4 + [1] + [2] + [3] * 2
    labels = {"prompt": [0] * 8, "rollout": rollout, "agent": [0] * 8}
    got = of("opo", A[rollout], labels)
    np.testing.assert_allclose(got[[0, 4, 5, 6]], [0.25, -0.75, -0.75, 0.25])


def test_maxrl_divides_by_the_mean():
    np.testing.assert_allclose(of("maxrl", [1.0, 0.0, 0.0, 0.0]), [3, -1, -1, -1])
    np.testing.assert_allclose(of("maxrl", B), OFF / 0.45, rtol=1e-13)


@pytest.mark.parametrize("rewards", [[0.0] * 4, [-1.0, -1.0, -1.0, 0.0]])
def test_maxrl_without_a_positive_mean_is_nothing_and_counted(rewards):
    done = advantages(rewards, LABELS, catalogue()["maxrl"])
    np.testing.assert_array_equal(done.values, 0.0)
    assert done.tally.constants == 1


@pytest.mark.parametrize("strength", [0.0, 1.0, 4.0])
def test_mgpo_weighs_a_prompt_by_how_uncertain_it_is(strength):
    """Success 1/4: the divergence from 1/2 is 1/4 ln(1/2) + 3/4 ln(3/2) = .1308120."""
    distance = 0.25 * log(0.5) + 0.75 * log(1.5)
    z = np.array([0.75, -0.25, -0.25, -0.25]) / sqrt(3 / 16)
    got = of("mgpo", [1.0, 0.0, 0.0, 0.0], group_strength=strength)
    np.testing.assert_allclose(got, exp(-strength * distance) * z, rtol=1e-13)
    np.testing.assert_allclose(of("mgpo", A), [1, -1, -1, 1])  # at 1/2 the weight is 1


def test_mgpo_wants_success_rates():
    with pytest.raises(RewardError, match="outside of 0 to 1"):
        of("mgpo", [5.0, 0.0, 6.0, 1.0])


def test_corpo_subtracts_at_least_the_floor():
    np.testing.assert_allclose(of("corpo", A, baseline_floor=0.6), [0.4, -0.6, -0.6, 0.4])
    np.testing.assert_allclose(of("corpo", A, baseline_floor=0.3), [0.5, -0.5, -0.5, 0.5])
    raised = advantages(A, LABELS, replace(catalogue()["corpo"], baseline_floor=0.6)).tally.raised
    assert raised == 4


def test_gdpo_condition_gates_a_component_before_it_is_normalized():
    """Component 1 counts where component 0 is 1: .2 0 0 .5 (mean .175), z-scored, plus z of A."""
    gated = np.array([0.2, 0.0, 0.0, 0.5])
    total = np.array([1, -1, -1, 1]) + (gated - 0.175) / gated.std()
    got = of("gdpo_conditional", np.stack([A, B], axis=1))
    np.testing.assert_allclose(got, total / total.std(), rtol=1e-12)


def test_a_condition_on_a_missing_component_leaves_the_other_missing():
    rewards = np.array([[1.0, 2.0], [0.0, 3.0], [np.nan, 4.0]])
    gated = Scheme(center="none", scale="none", conditions=((1, 0, 1.0),))
    done = advantages(rewards, {"rollout": range(3)}, gated)
    np.testing.assert_array_equal(done.values, [3.0, 0.0, 0.0])
    assert done.tally.left_out == 1


def test_dvao_weighs_components_by_their_deviations():
    """A z_A + ... with weights 1/2 and sqrt(.0825) over their sum: centered sums over that sum."""
    got = of("dvao", np.stack([A, B], axis=1))
    np.testing.assert_allclose(got, (A - 0.5 + OFF) / (0.5 + sqrt(0.0825)), rtol=1e-13)
    np.testing.assert_allclose(got, [0.3175700, -0.0635140, -0.9527099, 0.6986539], 1e-6)
    alone = of("dvao", np.stack([A, 0 * A + 3], axis=1))
    np.testing.assert_allclose(alone, [1, -1, -1, 1])


def test_gd2po_drops_rows_whose_components_disagree():
    """z-scores 1 -1 -1 1 and -.8704 1.5667 -.8704 .1741; rows 0 and 1 disagree in sign.

    The hard variant keeps rows 2 and 3, whose sums are weighed by 2/4 and whitened over the two.
    At .2 only row 0 goes: |.1296| / 1.8704 = .069 against .5667 / 2.5667 = .22.
    """
    both = np.stack([A, B], axis=1)
    hard = advantages(both, LABELS, replace(catalogue()["gd2po"], agreement=1.0))
    np.testing.assert_allclose(hard.values, [0, 0, -1, 1], atol=1e-12)
    assert hard.tally.conflicting == 2
    soft = advantages(both, LABELS, catalogue()["gd2po"])
    assert soft.tally.conflicting == 1
    sums = (np.array([1, -1, -1, 1]) + OFF / sqrt(0.0825))[1:]
    np.testing.assert_allclose(soft.values[1:], (sums - sums.mean()) / sums.std(), rtol=1e-12)
    bare = of("gd2po", both, whiten="none")
    np.testing.assert_allclose(bare, [0, *(0.75 * sums)], rtol=1e-12)


def test_gigpo_adds_steps_that_began_alike():
    """Episode a: s0 pays 0, s1 pays 1; b: s0 0, s2 0. Episodes +-1/2; steps from s0: .95 and 0."""
    labels = {
        "prompt": [0] * 4,
        "rollout": [0, 0, 1, 1],
        "turn": [0, 1, 0, 1],
        "context": ["s0", "s1", "s0", "s2"],
        "agent": ["a"] * 4,
    }
    got = of("gigpo", [0.0, 1.0, 0.0, 0.0], labels)
    np.testing.assert_allclose(got, [0.975, 0.5, -0.975, -0.5], rtol=1e-13)


def test_mt_grpo_adds_the_turn_to_the_outcome():
    """Turn rewards 1 0 0 1 in turn 0, outcomes 1 0 1 1 in turn 1: z of the outcome on both turns.

    Outcomes: mean 3/4, deviation sqrt(3)/4: .5774 and -1.7321.
    """
    nan = np.nan
    turns, outcomes = [1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 1.0]
    rewards = [pair for t, o in zip(turns, outcomes, strict=True) for pair in ([t, nan], [nan, o])]
    labels = {
        "prompt": [0] * 8,
        "rollout": np.repeat(range(4), 2),
        "turn": [0, 1] * 4,
        "agent": ["a"] * 8,
    }
    got = of("mt_grpo", rewards, labels).reshape(4, 2)
    outcome = np.array([0.25, -0.75, 0.25, 0.25]) / (sqrt(3) / 4)
    np.testing.assert_allclose(got[:, 0], outcome + np.array([1, -1, -1, 1]), rtol=1e-12)
    np.testing.assert_allclose(got[:, 1], outcome, rtol=1e-12)


def test_hierarchical_grpo_is_a_scheme_for_each_role():
    labels = {
        "prompt": [0] * 8,
        "rollout": [*range(4)] * 2,
        "role": ["planner"] * 4 + ["worker"] * 4,
        "agent": ["p"] * 4 + ["w"] * 4,
    }
    wanted = [1, -1, -1, 1, *(OFF / sqrt(0.0825))]
    np.testing.assert_allclose(of("hierarchical_grpo", [*A, *B], labels), wanted, rtol=1e-12)
    grpo, dr_grpo = catalogue()["grpo"], catalogue()["dr_grpo"]
    roles = PerRole({"planner": grpo, "worker": dr_grpo})
    got = advantages([*A, *B], labels, roles).values
    np.testing.assert_allclose(got, [1, -1, -1, 1, *OFF], rtol=1e-12)


class TestComposites:
    def test_a_mix_of_one_is_that_scheme(self):
        one = advantages(B, LABELS, Mix(((1.0, catalogue()["grpo"]),)))
        other = advantages(B, LABELS, catalogue()["grpo"])
        np.testing.assert_array_equal(one.values, other.values)
        assert one.tally == other.tally

    @pytest.mark.parametrize("kind", ["mix", "roles"])
    def test_memory_goes_through_json(self, kind):
        import json

        from counterpoint.credit import RunningState

        own = catalogue()["group_reward_decoupled"]
        pieces = ((0.5, own), (2.0, catalogue()["grpo"]))
        scheme = Mix(pieces) if kind == "mix" else PerRole({"p": own}, default=catalogue()["grpo"])
        labels = {**LABELS, "agent": ["p", "w", "p", "w"]}
        state, again = None, None
        for call in range(3):
            one = advantages(B + call, labels, scheme, state=state)
            other = advantages(B + call, labels, scheme, state=again)
            np.testing.assert_array_equal(one.values, other.values)
            state = one.state
            again = RunningState.from_dict(json.loads(json.dumps(state.to_dict())))

    def test_a_role_that_is_not_there_keeps_its_memory(self):
        own = catalogue()["group_reward_decoupled"]
        roles = PerRole({"p": own, "w": own})
        first = advantages([0.0, 1.0, 5.0, 7.0], {"agent": ["p", "p", "w", "w"]}, roles)
        then = advantages([9.0], {"agent": ["w"]}, roles, state=first.state)
        back = advantages([2.0], {"agent": ["p"]}, roles, state=then.state)
        np.testing.assert_allclose(back.values, [3.0])

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Mix(()),
            lambda: Mix(((float("nan"), Scheme()),)),
            lambda: Mix(((1.0, "grpo"),)),
            lambda: PerRole(),
            lambda: PerRole({"a": "grpo"}),
            lambda: PerRole((("a", Scheme()), ("a", Scheme()))),
            lambda: PerRole({"a": Scheme()}).of("b"),
        ],
    )
    def test_refused(self, make):
        with pytest.raises(SchemeError, match="got"):
            make()
