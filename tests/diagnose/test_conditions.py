import numpy as np
import planted
import pytest
from planted import by_prompt, log, sometimes

from counterpoint.credit import catalogue
from counterpoint.diagnose.conditions import ERROR_RATE, find_conditions
from counterpoint.diagnose.log import Log
from counterpoint.records import Decisions


def conditions(decisions, scheme="mappo_pooled", seed=0):
    tests = find_conditions(Log.of(decisions), catalogue()[scheme], np.random.default_rng(seed))
    return {test.condition for test in tests if test.detected}


def noise(rng, acts, step, block):
    return rng.normal(size=len(step))


def better_when_a0_acts(rng, acts, step, block):
    return noise(rng, acts, step, block) + 0.7 * acts[:, 0]


def wilder_when_a0_acts(rng, acts, step, block):
    return noise(rng, acts, step, block) * np.where(acts[:, 0], 3, 1)


def drifting(rng, acts, step, block):
    return noise(rng, acts, step, block) + 0.1 * step


def once_or_twice(rng, value, step, block):
    return 1 + (rng.random((len(step), 3)) < 0.5)


def more_when_it_goes_well(rng, value, step, block):
    return 1 + (rng.random((len(step), 3)) < np.where(value > 0, 0.7, 0.3)[:, None])


def swapped_roles(rng, value, step, block):
    return np.where(rng.random((len(step), 1)) < 0.5, [0, 1, 2], [1, 0, 2])


def role_by_success(rng, value, step, block):
    return np.where((value > 0.3)[:, None], [0, 1, 2], [1, 0, 2])


def absent_from_steps(rng, step, block):
    return (rng.random((step.max() + 1, 3)) < 0.6)[step]


PLANTED = {
    "C1 rollouts, mean": ("C1", {"acts": sometimes, "reward": better_when_a0_acts}),
    "C1 rollouts, spread": ("C1", {"acts": sometimes, "reward": wilder_when_a0_acts}),
    "C1 prompts, mean": ("C1", {"acts": by_prompt, "reward": better_when_a0_acts}),
    "C1 prompts, spread": ("C1", {"acts": by_prompt, "reward": wilder_when_a0_acts}),
    "C2": ("C2", {"count": more_when_it_goes_well}),
    "C3": ("C3", {"own": lambda rng, agent: rng.normal(size=len(agent))}),
    "C5": ("C5", {"role": role_by_success}),
    "C6": ("C6", {"acts": absent_from_steps, "reward": drifting}),
}
CLEAN = {
    "C1 rollouts": {"acts": sometimes},
    "C1 prompts": {"acts": by_prompt},
    "C2": {"count": once_or_twice},
    "C3": {},
    "C5": {"role": swapped_roles},
    "C6, no drift": {"acts": absent_from_steps},
    "C6, same clocks": {"reward": drifting},
    "heavy tails": {"acts": sometimes, "reward": lambda rng, a, s, b: rng.standard_t(2, len(s))},
    "rare success": {
        "acts": by_prompt,
        "reward": lambda rng, a, s, b: (rng.random(len(s)) < 0.05) * 1.0,
    },
}


@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_condition_is_found_and_no_other(name):
    condition, plant = PLANTED[name]
    for seed in range(3):
        assert conditions(log(seed, **plant)) == {condition}


@pytest.mark.few(5)
@pytest.mark.parametrize("name", CLEAN)
def test_each_clean_twin_stays_silent(name):
    # At an error rate of .01, 2 or more of 8 logs are flagged with probability .0027.
    found = [conditions(log([seed, 5], **CLEAN[name])) for seed in range(8)]
    assert sum(bool(c) for c in found) <= 1, found


def test_everybody_present_with_one_reward_settles_every_condition_without_a_test():
    tests = find_conditions(Log.of(log(0)), catalogue()["mappo_pooled"], np.random.default_rng(0))
    assert [test.condition for test in tests] == ["C1", "C2", "C3", "C6"]  # C5: there is no label
    assert not any(test.detected for test in tests)
    assert {test.p for test in tests} == {None}


def test_what_varies_and_cannot_be_shuffled_is_neither_held_nor_settled():
    # One prompt a step with one rollout each: who acts varies, and nothing is exchangeable.
    plant = {"acts": sometimes, "steps": 50, "prompts": 1, "rollouts": 1}
    found = log(0, **plant)
    tests = find_conditions(Log.of(found), catalogue()["mappo_pooled"], np.random.default_rng(0))
    assert "C1" not in {test.condition for test in tests}


def test_a_role_that_is_only_another_name_of_the_agent_settles_c5():
    plant = {"role": lambda rng, value, step, block: np.tile([0, 1, 2], (len(step), 1))}
    tests = find_conditions(
        Log.of(log(0, **plant)), catalogue()["mappo_pooled"], np.random.default_rng(0)
    )
    assert [test.p for test in tests if test.condition == "C5"] == [None]


def test_one_prompt_and_one_step_shuffles_rollouts():
    plant = {"acts": sometimes, "reward": better_when_a0_acts}
    assert conditions(log(0, steps=1, prompts=1, rollouts=400, **plant)) == {"C1"}


def test_one_rollout_a_prompt_shuffles_prompts():
    plant = {"acts": sometimes, "reward": better_when_a0_acts}
    found = log(0, steps=1, prompts=400, rollouts=1, **plant)
    tests = find_conditions(Log.of(found), catalogue()["mappo_pooled"], np.random.default_rng(0))
    assert {test.level for test in tests if test.condition == "C1"} == {"prompts"}
    assert any(test.detected for test in tests)


def test_too_few_prompts_can_show_nothing():
    # Four prompts in one step have 24 orders: no p-value reaches 1%.
    plant = {"acts": by_prompt, "reward": wilder_when_a0_acts}
    assert conditions(log(1, steps=1, prompts=4, **plant)) == set()


def test_own_terms_count_where_the_scheme_looks():
    # The agents' components differ, their sums do not.
    labels = {"prompt": [0] * 4, "rollout": [0, 0, 1, 1], "agent": ["a", "b"] * 2}
    columns = {name: np.array(values) for name, values in labels.items()}
    rewards = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    decisions = Decisions(rewards, ("x", "y"), columns)
    assert conditions(decisions, "mappo_pooled") == set()
    assert conditions(decisions, "agent_x_component") == {"C3"}


def test_rounding_is_no_reward_term():
    plant = {"own": lambda rng, agent: 1e-13 * agent, "reward": lambda r, a, s, b: 1.0 + s}
    assert conditions(log(0, **plant)) == set()


def test_all_tests_are_corrected_together_and_repeatable():
    decisions = log(0, acts=sometimes, reward=better_when_a0_acts)
    one, two = (
        find_conditions(Log.of(decisions), catalogue()["mappo_pooled"], np.random.default_rng(7))
        for _ in range(2)
    )
    assert one == two
    for test in one:
        if test.p is not None:
            assert test.q >= test.p
            assert test.detected == (test.q <= ERROR_RATE)
    found = [test for test in one if test.detected]
    assert {test.agent for test in found} == {"a0"}
    assert {test.about for test in found} == {"mean"}
    assert found[0].effect > 0.2


def test_a_large_log_is_sampled(monkeypatch):
    monkeypatch.setattr("counterpoint.diagnose.conditions.MOST_ROLLOUTS", 300)
    plant = {"acts": sometimes, "reward": lambda r, a, s, b: r.normal(size=len(s)) + 2 * a[:, 0]}
    for shape in ({"steps": 40}, {"steps": 1, "prompts": 160}, {"steps": 1, "prompts": 1}):
        size = {"rollouts": 2000} if shape.get("prompts") == 1 else {}
        assert conditions(log(0, **shape, **size, **plant)) == {"C1"}


def test_missing_rewards_are_left_out():
    decisions = log(0, acts=sometimes, reward=better_when_a0_acts)
    decisions.rewards[::7] = np.nan
    assert conditions(decisions) == {"C1"}
    decisions.rewards[:] = np.nan
    assert conditions(decisions) == set()


def test_the_helper_keeps_one_agent_always_present():
    assert (planted.log(0, acts=sometimes).labels["agent"] == "a2").sum() == 20 * 4 * 8
