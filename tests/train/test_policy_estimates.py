"""Advantage estimates along an agent's own decisions, by hand and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from step_worlds import SaysWhatIsOnTape, played, random_tape, small

from counterpoint.train.ppo.critics import (
    ValueScale,
    generalized_advantages,
    rewards_by_decision,
    team_values,
)
from counterpoint.train.ppo.learner import Learner

GAMMA, LAMBDA = 0.5, 0.5


def estimate(reward, value, left_value, active, terminated, ended):
    """Paid, after and advantages of one agent in one copy; arguments are lists over time."""
    t = len(reward)
    paid, after = rewards_by_decision(
        np.array(reward, float).reshape(1, t, 1, 1),
        np.array(active, bool).reshape(1, t + 1, 1),
        np.array(terminated, bool).reshape(1, t, 1),
        np.array(ended, bool).reshape(t, 1),
        GAMMA,
    )
    found = generalized_advantages(
        paid,
        np.array(value, float).reshape(1, t + 1, 1, 1),
        np.array(left_value, float).reshape(1, t, 1, 1),
        after,
        np.array(active, bool).reshape(1, t + 1, 1),
        GAMMA,
        LAMBDA,
    )
    return paid.ravel().tolist(), after.step.ravel().tolist(), found.ravel().tolist()


def test_an_agent_that_always_acts_gets_the_usual_estimate():
    paid, after, found = estimate(
        [1, 2, 3], value=[4, 6, 8, 10], left_value=[9, 9, 9], active=[1] * 4,
        terminated=[0] * 3, ended=[0] * 3,
    )  # fmt: skip
    assert paid == [1, 2, 3]
    assert after == [1, 2, 3]
    # delta: 1 + .5*6 - 4 = 0; 2 + .5*8 - 6 = 0; 3 + .5*10 - 8 = 0
    assert found == [0, 0, 0]
    _, _, found = estimate(
        [1, 2, 4], value=[4, 6, 8, 10], left_value=[9, 9, 9], active=[1] * 4,
        terminated=[0] * 3, ended=[0] * 3,
    )  # fmt: skip
    # the last delta is 1; before it .25 * 1, before that .25 * .25
    assert found == [0.0625, 0.25, 1.0]


def test_nothing_is_expected_after_an_end_for_good_and_the_last_view_after_a_cut():
    for terminated, expected in ((1, 0.0), (0, 20.0)):
        given_left = [0, 0.0 if terminated else 20.0, 0]
        _, after, found = estimate(
            [1, 2, 4], value=[4, 6, 8, 10], left_value=given_left, active=[1] * 4,
            terminated=[0, terminated, 0], ended=[0, 1, 0],
        )  # fmt: skip
        assert after == [1, -2, 3]
        last = 2 + 0.5 * expected - 6
        # the first is 1 + .5*6 - 4 = 0 and a quarter of the second; the third is another episode
        assert found == [0.25 * last, last, 1.0]


def test_in_turns_an_agent_is_paid_until_its_next_turn():
    paid, after, found = estimate(
        [1, 2, 3, 4, 5], value=[10, 0, 20, 0, 30, 7], left_value=[0] * 5,
        active=[1, 0, 1, 0, 1, 0], terminated=[0] * 5, ended=[0] * 5,
    )  # fmt: skip
    assert paid == [1 + 2, 0, 3 + 4, 0, 5]
    assert after[0] == 2
    assert after[2] == 4
    assert after[4] == 5
    # deltas of the decisions: 3 + .5*20 - 10 = 3; 7 + .5*30 - 20 = 2; 5 + .5*7 - 30 = -21.5
    third = -21.5
    second = 2 + 0.25 * third
    assert found == [3 + 0.25 * second, 0, second, 0, third]


def test_what_is_paid_after_an_episode_s_end_is_not_handed_back():
    paid, after, _ = estimate(
        [1, 2, 4, 8], value=[0] * 5, left_value=[0] * 4, active=[1, 0, 0, 1, 1],
        terminated=[0, 1, 0, 0], ended=[0, 1, 0, 0],
    )  # fmt: skip
    assert paid == [1 + 2, 0, 0, 8]  # the 4 comes before the first decision of the new episode
    assert after[0] == -2


def test_an_agent_that_ends_before_the_others_expects_nothing_more_but_what_it_is_paid():
    paid, after, found = estimate(
        [1, 2, 4, 8], value=[3, 3, 50, 50, 50], left_value=[0] * 4, active=[1, 1, 0, 0, 0],
        terminated=[0, 1, 1, 1], ended=[0, 0, 0, 1],
    )  # fmt: skip
    # alone in the copy: while it is gone nobody decides, and gamma^0 discounts nothing
    assert paid == [1, 2 + 4 + 8, 0, 0]
    assert after[1] == -2
    # 14 - 3 = 11, and 1 + .5*3 - 3 = -.5 with a quarter of that
    assert found == [2.25, 11, 0, 0]


def both(reward, active, terminated, ended, **options):
    """Paid, next step and discount of the first of two agents, in one copy."""
    shape = (2, len(reward), 1)
    paid, after = rewards_by_decision(
        np.array([reward, [0] * len(reward)], float).reshape(*shape, 1),
        np.array(active, bool)[..., None],
        np.array(terminated, bool).reshape(shape),
        np.array(ended, bool)[:, None],
        GAMMA,
        **options,
    )
    fade = None if after.faded is None else after.faded[0].ravel().tolist()
    return paid[0].ravel().tolist(), after.step[0].ravel().tolist(), fade


def test_what_is_paid_after_an_agent_s_death_is_discounted_as_if_it_lived():
    here, gone = [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]
    case = ([1, 2, 4, 8], [gone, here], [[1, 1, 1, 1], [0, 0, 0, 0]], [0, 0, 0, 0])
    paid, after, fade = both(*case)
    assert paid == [1 + 2 / 2 + 4 / 4 + 8 / 8, 0, 0, 0]  # as for one that decides at every step
    assert after[0] == -1
    assert fade[0] == 1  # what comes after its death is worth 0
    _, after, fade = both(*case, common=True)
    assert after[0] == 4
    assert fade[0] == 1 / 8  # and once more gamma, as after every decision
    turns = [[1, 0, 0, 0, 0], [0, 1, 0, 1, 0]]  # in the third step, a third one would act
    paid, _, _ = both([1, 2, 4, 8], turns, [[0, 1, 1, 1], [0, 0, 0, 0]], [0, 0, 0, 0])
    assert paid[0] == 1 + 2 + 4 + 8 / 2  # nobody decides in the third step


def test_a_return_is_a_new_stretch_unless_the_reward_is_common():
    """Dead at the views 1 and 2, back at view 3: two steps pass dead, then it decides again."""
    active = [[1, 0, 0, 1, 1], [1] * 5]
    case = ([1, 2, 4, 8], active, [[1, 1, 0, 0], [0] * 4], [0] * 4)
    paid, after, _ = both(*case)
    assert paid == [1 + 2 / 2 + 4 / 4, 0, 0, 8]
    assert after[0] == -1
    assert after[3] == 4
    paid, after, fade = both(*case, common=True)
    assert paid == [1 + 2 / 2 + 4 / 4, 0, 0, 8]
    assert after[0] == 3
    assert fade[0] == 1 / 4
    assert fade[3] == 1


def test_an_agent_that_ends_in_the_last_step_of_a_batch_expects_nothing_more():
    """Everybody acted at every step: the short way must see it as well."""
    _, after, found = estimate(
        [1, 2], value=[3, 3, 50], left_value=[0, 0], active=[1, 1, 0],
        terminated=[0, 1], ended=[0, 0],
    )  # fmt: skip
    assert after == [1, -2]
    assert found == [-0.75, -1]


def test_an_agent_that_was_cut_off_before_the_others_expects_what_it_saw_last():
    _, after, found = estimate(
        [1, 2, 4, 8], value=[3, 3, 50, 50, 50], left_value=[0, 0, 0, 6], active=[1, 1, 0, 0, 0],
        terminated=[0] * 4, ended=[0, 0, 0, 1],
    )  # fmt: skip
    assert after[1] == -4
    last = (2 + 4 + 8) + 0.5 * 6 - 3
    assert found == [1 + 0.5 * 3 - 3 + 0.25 * last, last, 0, 0]


def by_loop(k, reward, value, left_value, active, terminated, ended, gamma, gae, common):
    """Paid and advantages of agent `k` in one copy, decision by decision.

    Of every agent: active [A, T+1], terminated [A, T]. Of this one: reward, left_value [T], value.
    """
    t = len(reward)
    paid, found = np.zeros(t), np.zeros(t)

    def gone(a, i):
        return terminated[a, i - 1] and not ended[i - 1] and not active[a, i]

    for i in reversed(np.flatnonzero(active[k, :t]).tolist()):
        j, weight, left = i, 1.0, None
        while True:
            paid[i] += weight * reward[j]
            if left is None and (ended[j] or (terminated[k, j] and not common)):
                left, faded = j, weight
            if ended[j] or j + 1 == t or active[k, j + 1]:
                break
            j += 1
            if gone(k, j):
                living = sum(not gone(a, j) for a in range(len(active)))
                weight *= gamma ** (active[:, j].sum() / max(living, 1))
        if left is not None:
            expected, later = left_value[left], 0.0
        else:
            expected, later, faded = value[j + 1], found[j + 1] if j + 1 < t else 0.0, weight
        found[i] = paid[i] + gamma * faded * expected - value[i] + gamma * faded * gae * later
    return paid, found


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 12),
    agents=st.integers(1, 3),
    turns=st.booleans(),
    leaving=st.sampled_from(["", "for good", "and returning"]),
    components=st.sampled_from([1, 2]),
    common=st.booleans(),
)
def test_it_is_what_a_plain_loop_over_decisions_finds(
    seed, steps, agents, turns, leaving, components, common
):
    rng = np.random.default_rng(seed)
    tape = random_tape(
        rng, steps=steps + 1, copies=2, agents=agents, turns=turns, leaving=bool(leaving),
        returning=leaving == "and returning",
    )  # fmt: skip
    active, terminated = (tape[n].transpose(2, 0, 1) for n in ("active", "terminated"))
    terminated, ended = terminated[:, :steps], tape["ended"][:steps]
    reward, left_value = rng.normal(size=(2, agents, steps, 2, components))
    left_value[terminated] = 0.0
    value = rng.normal(size=(agents, steps + 1, 2, components))
    paid, after = rewards_by_decision(reward, active, terminated, ended, 0.9, common=common)
    found = generalized_advantages(paid, value, left_value, after, active, 0.9, 0.8)
    for a, e, k in np.ndindex(agents, 2, components):
        wanted = by_loop(
            a, reward[a, :, e, k], value[a, :, e, k], left_value[a, :, e, k], active[..., e],
            terminated[..., e], ended[:, e], 0.9, 0.8, common,
        )  # fmt: skip
        np.testing.assert_allclose(paid[a, :, e, k], wanted[0], atol=1e-12)
        np.testing.assert_allclose(found[a, :, e, k], wanted[1], atol=1e-12)


def test_with_one_reward_the_dead_expect_what_their_team_expects():
    """Three agents in two copies: the third dies in both; the second copy ends at the last step."""
    tape = random_tape(np.random.default_rng(0), steps=3, copies=2, agents=3)
    tape["active"][:], tape["terminated"][:], tape["ended"][:] = True, False, False
    tape["active"][1:, :, 2], tape["terminated"][:, :, 2] = False, True
    tape["ended"][1, 1] = True
    world, policies = SaysWhatIsOnTape(tape, (2, 2, 2)), small(copies=2, steps=2)
    batch = played(world, Learner(world, "none", policies, 0).team, policies)
    rng, stakes = np.random.default_rng(1), np.array([1.0, 2.0, 10.0])
    value, left = rng.normal(size=(3, 3, 2, 1)), rng.normal(size=(3, 2, 2, 1))
    new, new_left = team_values(value, left, batch, stakes)
    assert new[2, 2, 0, 0] == pytest.approx(10 * (value[0, 2, 0, 0] + value[1, 2, 0, 0] / 2) / 2)
    assert new_left[2, 1, 1, 0] == pytest.approx(10 * (left[0, 1, 1, 0] + left[1, 1, 1, 0] / 2) / 2)
    new[2, 2, 0], new_left[2, 1, 1] = value[2, 2, 0], left[2, 1, 1]
    np.testing.assert_allclose(new, value)  # of the second copy a new episode is seen
    np.testing.assert_allclose(new_left[:, :, 1], left[:, :, 1])


def test_a_value_scale_is_right_from_the_first_batch_on():
    scale = ValueScale(1, 1, on=True)
    mean, std = scale.numbers()
    assert (mean.item(), std.item()) == (0, 1)
    scale.update(np.array([1.0, 3.0]).reshape(1, 2, 1, 1), np.ones((1, 2, 1), bool))
    mean, std = scale.numbers()
    assert mean.item() == pytest.approx(2)  # debiased: not .01 * 2
    assert std.item() == pytest.approx(1)
    scale.update(np.array([5.0, 5.0]).reshape(1, 2, 1, 1), np.ones((1, 2, 1), bool))
    # weights .99 and 1 over 1.99: mean (.99*2 + 5) / 1.99, square (.99*5 + 25) / 1.99
    first, second = (0.99 * 2 + 5) / 1.99, (0.99 * 5 + 25) / 1.99
    mean, std = scale.numbers()
    assert mean.item() == pytest.approx(first)
    assert std.item() == pytest.approx(np.sqrt(second - first**2))


def test_each_agent_and_component_has_a_scale_of_its_own():
    scale, rng = ValueScale(3, 2, on=True), np.random.default_rng(0)
    target = rng.normal(size=(3, 40, 5, 2)) * np.array([1, 100, 1])[:, None, None, None] + 7
    decided = np.ones((3, 40, 5), bool)
    decided[0, ::2], decided[2] = False, False
    scale.update(target, decided)
    mean, std = scale.numbers()
    np.testing.assert_allclose(mean[0, 0, 0], target[0, 1::2].mean(axis=(0, 1)))
    np.testing.assert_allclose(std[1, 0, 0], target[1].std(axis=(0, 1)))
    assert (mean[2] == 0).all()  # it never decided
    assert (std[2] == 1).all()


def test_a_scale_goes_on_where_it_was_captured():
    rng, decided = np.random.default_rng(1), np.ones((2, 4, 3), bool)
    one = ValueScale(2, 1, on=True)
    one.update(rng.normal(size=(2, 4, 3, 1)), decided)
    other = ValueScale(2, 1, on=True)
    other.restore(one.capture())
    more = rng.normal(size=(2, 4, 3, 1))
    one.update(more, decided)
    other.update(more, decided)
    np.testing.assert_array_equal(one.numbers(), other.numbers())


def test_without_a_scale_critics_predict_returns_as_they_are():
    scale = ValueScale(2, 1, on=False)
    scale.update(np.full((2, 4, 3, 1), 50.0), np.ones((2, 4, 3), bool))
    mean, std = scale.numbers()
    assert (mean == 0).all()
    assert (std == 1).all()
