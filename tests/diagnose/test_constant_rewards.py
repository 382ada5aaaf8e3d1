"""An agent whose reward never varies: its numbers are the same for every constant.

The mean of equal rewards differs from them by rounding (28 times 0.7), or not at all (28 times
0.5). A share of that rounding is no influence, and must not speak for the agents beside it.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from planted import EXAMPLES, cube, judged, made, numbers

CONSTANTS = st.floats(-1e6, 1e6).filter(lambda c: c == 0 or abs(c) > 1e-6)


def critic_beside_worker(constant, offset=0.0, steps=1, noise=0.0):
    """A worker with a normal reward and a critic with a constant one, both choosing by chance.

    `offset` times the number of the prompt is added to the critic's, and `noise` times machine
    epsilon, as arithmetic leaves it.
    """
    rng = np.random.default_rng(0)
    step, prompt, rollout, agent = cube(steps, 6, 28 // steps, 2)
    action = np.array(["x", "y"])[rng.integers(0, 2, len(step))]
    worker = rng.normal(size=len(step))
    critic = constant + offset * prompt
    critic = critic * (1 + noise * np.finfo(float).eps * rng.integers(-1, 2, len(step)))
    rewards = np.where(agent == 0, worker, critic)
    labels = {"prompt": prompt, "rollout": rollout, "agent": np.array(["worker", "critic"])[agent]}
    return made(rewards, labels, step, action)


@settings(max_examples=EXAMPLES, deadline=None)
@given(CONSTANTS, st.sampled_from([0.0, 0.1, -7.3, 100.0]), st.sampled_from([1, 2]))
@example(0.7, 0.0, 1)
@example(0.7, 0.1, 1)
def test_the_influence_on_a_constant_reward_is_unknown(constant, offset, steps):
    diagnosis = judged(critic_beside_worker(constant, offset, steps), "agent_wise")
    worker, critic = diagnosis.agents["worker"], diagnosis.agents["critic"]
    assert critic.influence is None
    assert (critic.cause, worker.cause) == ("DEAD", "DILUTED")
    assert worker.influence is not None
    assert worker.influence < 0.1


@settings(max_examples=EXAMPLES, deadline=None)
@given(CONSTANTS, st.sampled_from([0, 1, 4]))
@example(0.7, 0)
def test_a_constant_reward_has_deviation_0_and_its_own_mean(constant, noise):
    diagnosis = judged(critic_beside_worker(constant, noise=noise), "mappo_per_agent")
    critic = diagnosis.agents["critic"]
    assert (critic.deviation, critic.scale_ratio) == (0.0, 0.0)
    assert critic.influence is None
    assert critic.mean == pytest.approx(constant)
    if not noise:
        assert critic.mean == constant


@settings(max_examples=EXAMPLES, deadline=None)
@given(CONSTANTS, st.sampled_from(["agent_wise", "mappo_per_agent", "group_reward_decoupled"]))
@example(0.7, "agent_wise")
def test_every_constant_gives_both_agents_the_same_numbers(constant, scheme):
    half, other = (judged(critic_beside_worker(c, steps=2), scheme) for c in (0.5, constant))
    for name in ("influence", "entropy", "deviation", "dead_rate", "stuck_rate", "signal_kept"):
        same = pytest.approx(numbers(half, name), nan_ok=True)
        assert numbers(other, name) == same, name
    assert [a.cause for a in other.agents.values()] == [a.cause for a in half.agents.values()]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.floats(-1e5, 1e5), st.sampled_from([0.0, 1.0, -300.0]))
def test_a_constant_beside_what_varies_changes_no_influence(constant, offset):
    step, prompt, rollout, agent = cube(4, 5, 12, 2)
    rng = np.random.default_rng(0)
    action = rng.integers(0, 2, len(step))
    rewards = action * (agent == 0) + rng.normal(size=len(step))
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent}
    found = [
        numbers(judged(made(r, labels, step, action.astype(str))), "influence")
        for r in (rewards, rewards + constant + offset * prompt)
    ]
    assert found[0][0] > 0.1
    assert found[1] == pytest.approx(found[0], rel=1e-6, abs=1e-9)


def test_one_prompt_in_which_the_reward_varies_is_enough():
    """Its rewards are 0.7 but for one prompt, in which the action decides: that one counts."""
    step, prompt, rollout, _ = cube(1, 6, 28, 1)
    action = rollout % 2
    rewards = 0.7 + 0.1 * action * (prompt == 3)
    labels = {"prompt": prompt, "rollout": rollout, "agent": np.full(len(step), "a")}
    diagnosis = judged(made(rewards, labels, step, action.astype(str)))
    assert diagnosis.agents["a"].influence == pytest.approx(1)
