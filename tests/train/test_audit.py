"""The credit audit of a real batch: own returns worked by hand, and silence where all are paid."""

import numpy as np
import pytest

pytest.importorskip("torch")

from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.probe import credit_audit, own_returns
from counterpoint.train.ppo.settings import PolicySettings

POLICY = PolicySettings(copies=8, steps=5, hidden=8, diagnose_every=1)


@pytest.fixture(scope="module")
def batch():
    plan = TrainPlan("spread", "none", world_settings={"horizon": 5, "agents": 3}, policy=POLICY)
    learner = plan.learner()
    return learner.collector.play(learner.team)


def test_own_returns_are_discounted_sums_of_own_rewards(batch):
    found = own_returns(batch, 0.5)
    own = batch.own
    np.testing.assert_allclose(found[:, 4], own[:, 4])
    np.testing.assert_allclose(found[:, 2], own[:, 2] + 0.5 * own[:, 3] + 0.25 * own[:, 4])


def test_own_returns_as_credit_are_their_own_credit(batch):
    batch.own[0] += np.random.default_rng(0).normal(size=batch.own[0].shape)
    found = credit_audit(batch, own_returns(batch, 0.9), 0.9)
    np.testing.assert_allclose(found, 1.0)
    noise = np.random.default_rng(1).normal(size=batch.own.shape)
    assert all(abs(value) < 0.7 for value in credit_audit(batch, noise, 0.9))


def test_it_says_nothing_where_all_own_rewards_are_the_same(batch):
    batch.own[:] = batch.own[:1]
    assert credit_audit(batch, own_returns(batch, 0.9), 0.9) == [None, None, None]
