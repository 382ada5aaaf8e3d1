"""Policies and optimizers: gradients against finite differences, steps by hand."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.train.estimators import labels
from counterpoint.train.tabular.learner import (
    Optimizer,
    clipped,
    entropy_gradient,
    logit_gradients,
)
from counterpoint.train.tabular.policies import (
    Policy,
    SharedLinear,
    TabularPolicy,
    masked_softmax,
    policy_for,
)
from counterpoint.worlds import find_world
from counterpoint.worlds.exact.world import CHANCE, TASK, Settings, stack

SEEDS = (3, 5)


def a_policy(parameters: str) -> Policy:
    return policy_for(find_world("regions").make({"parameters": parameters}), SEEDS)


@pytest.mark.parametrize("parameters", ["shared", "separate"])
def test_policies_start_uniform(parameters: str) -> None:
    policy = a_policy(parameters)
    np.testing.assert_array_equal(policy.probs(policy.start(2)), np.full((2, 4, 8, 4), 0.25))


def test_a_masked_action_has_probability_zero() -> None:
    legal = np.array([[[True, True, False], [True, False, False]]])
    probs = masked_softmax(np.zeros((1, 1, 2, 3)), legal)
    np.testing.assert_array_equal(probs[0, 0], [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])


def test_shared_features_belong_to_the_seed_and_have_length_one() -> None:
    world = find_world("regions").make()
    both, alone = SharedLinear.random(world, (3, 5)), SharedLinear.random(world, (5,))
    np.testing.assert_array_equal(both.features[1], alone.features[0])
    np.testing.assert_allclose((both.features**2).sum(axis=-1), 1.0)


@pytest.mark.parametrize("parameters", ["shared", "separate"])
def test_the_gradient_is_that_of_the_objective(parameters: str) -> None:
    """Finite differences of sum_i A_i log pi_i / N + entropy bonus, along a random direction."""
    world, policy = find_world("regions").make({"parameters": parameters}), a_policy(parameters)
    rng = np.random.default_rng(0)
    theta = policy.start(2) + rng.normal(size=policy.start(2).shape)
    probs = policy.probs(theta)
    tasks = stack([world.tasks(np.random.default_rng([s, TASK])) for s in SEEDS])
    chance = stack([world.draw(np.random.default_rng([s, CHANCE]), 0) for s in SEEDS])
    play = world.play(tasks, chance, probs)
    rows, columns = labels(world, play.active)
    values = rng.normal(size=len(rows))
    seed, agent = columns["batch"], columns["agent"]
    context, action = play.context.ravel()[rows], play.action.ravel()[rows]
    n = np.bincount(seed)[seed]

    def objective(parameters: np.ndarray) -> np.ndarray:
        p = policy.probs(parameters)[seed, agent, context]
        entropy = -(p * np.log(p)).sum(axis=-1)
        chosen = np.log(p[np.arange(len(rows)), action])
        return np.bincount(seed, (values * chosen + 0.3 * entropy) / n)

    logits, visits = logit_gradients(world, play, rows, columns, values, probs)
    per_agent = policy.per_agent(logits).sum(axis=1)
    bonus = policy.per_agent(0.3 * entropy_gradient(probs, visits)[:, None])[:, 0]
    gradient = policy.joined(per_agent + bonus)
    step = 1e-5 * rng.normal(size=theta.shape)
    measured = (objective(theta + step) - objective(theta - step)) / 2
    np.testing.assert_allclose((gradient * step).sum(axis=-1), measured, rtol=1e-5)
    np.testing.assert_allclose(visits.sum(axis=(1, 2)), 1.0)


def test_tables_keep_agents_apart() -> None:
    tables = TabularPolicy(np.ones((2, 1, 3), dtype=bool))
    gradient = np.zeros((1, 1, 2, 1, 3))
    gradient[0, 0, 1, 0] = [1.0, 2.0, 3.0]
    per_agent = tables.per_agent(gradient)
    assert per_agent.shape == (1, 1, 2, 3)
    np.testing.assert_array_equal(tables.joined(per_agent[:, 0]), [[0, 0, 0, 1, 2, 3]])


def test_clipping_scales_each_seed_by_itself() -> None:
    gradient = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(clipped(gradient, 1.0), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_array_equal(clipped(gradient, np.inf), gradient)
    np.testing.assert_array_equal(clipped(gradient, 0.0), 0 * gradient)


def test_sgd_by_hand() -> None:
    optimizer = Optimizer(Settings(optimizer="sgd", lr=0.5, clip=10.0))
    parameters, _ = optimizer.ascend(np.array([[1.0, 2.0]]), np.array([[0.2, -0.4]]))
    np.testing.assert_allclose(parameters, [[1.1, 1.8]])


def test_adam_by_hand() -> None:
    """The first step is lr x sign; the second mixes .9 x .1 g1 + .1 g2 over its debiasing .19."""
    optimizer = Optimizer(Settings(lr=0.5, clip=10.0))
    theta, optimizer = optimizer.ascend(np.zeros((1, 2)), np.array([[0.2, -3.0]]))
    np.testing.assert_allclose(theta, [[0.5, -0.5]], rtol=1e-6)
    theta, optimizer = optimizer.ascend(theta, np.array([[0.2, 3.0]]))
    mean = (0.9 * 0.1 * -3.0 + 0.1 * 3.0) / 0.19
    np.testing.assert_allclose(theta, [[1.0, -0.5 + 0.5 * mean / 3.0]], rtol=1e-6)
