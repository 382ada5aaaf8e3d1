"""Networks see wide numbers in units of their running mean and deviation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bit_worlds import NamesTheBit, NamesTheSmallBit
from step_worlds import small

from counterpoint.population.neural import copy
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.plan import PolicyTrainer, TrainPlan
from counterpoint.train.scaling import BOUND, InputScale, normalized_numbers, scales_of
from counterpoint.worlds import find_world
from counterpoint.worlds.sequential.world import Extent
from counterpoint.worlds.sequential.wrapped import PermutedStepWorld

CPU = torch.device("cpu")


def scaled(scale, x, rows=slice(None)):
    """[A, E, D] through `apply`, which takes [A, N, L, D]."""
    return scale.apply(torch.from_numpy(x[:, :, None]), rows)[:, :, 0].numpy()


def test_statistics_are_those_of_all_rows_of_a_group_that_counted():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(3, 8, 5, 2)) * [3.0, 0.01] + [1e4, -2.0]).astype(np.float32)
    counted = rng.random((3, 8, 5)) < 0.6
    scale = InputScale(np.array([0, 1, 0]), np.ones((3, 2), dtype=bool))
    for part in (slice(0, 1), slice(1, 4), slice(4, 8)):  # in unequal pieces
        scale.update(values[:, part], counted[:, part])
    wanted = np.empty_like(values[:, 0])
    for members in ([0, 2], [1]):
        rows = values[members][counted[members]].astype(np.float64)
        np.testing.assert_allclose(scale.mean[members[0] % 2], rows.mean(axis=0), rtol=1e-12)
        z = (values[members, 0] - rows.mean(axis=0)) / rows.std(axis=0)
        wanted[members] = np.clip(z, -BOUND, BOUND)
    found = scaled(scale, values[:, 0])
    np.testing.assert_allclose(found[..., 1], wanted[..., 1], atol=1e-4)
    np.testing.assert_allclose(found[..., 0], wanted[..., 0], atol=2e-3)  # float32 of 10,000
    np.testing.assert_array_equal(scaled(scale, values[1:, 0], [1, 2]), found[1:])


def test_what_never_varied_is_0_and_what_lies_far_out_is_clipped_and_counted():
    scale = InputScale(np.zeros(1, int), np.array([[True, True, False]]))
    values = np.array([[[[1.0, 7.1, 9.0]], [[3.0, 7.1, 5.0]]]], dtype=np.float32)
    scale.update(values, np.ones((1, 2, 1), dtype=bool))
    np.testing.assert_allclose(scaled(scale, values[:, 0]), [[[-1.0, 0.0, 9.0]]])
    far = np.array([[[[13.0, 7.1, 1e6]], [[12.0, 8.0, 0.0]]]], dtype=np.float32)
    np.testing.assert_allclose(scaled(scale, far[:, 0]), [[[BOUND, 0.0, 1e6]]])
    assert scale.clipped == 0
    scale.update(far, np.ones((1, 2, 1), dtype=bool))
    assert scale.clipped == 1  # (13 - 2) / 1 lies beyond 10; (12 - 2) / 1 does not


def test_before_the_first_row_and_without_rows_nothing_changes():
    scale, x = InputScale(np.zeros(1, int), np.ones((1, 2), dtype=bool)), np.full((1, 1, 2), 1e3)
    np.testing.assert_array_equal(scaled(scale, x), x)
    scale.update(np.ones((1, 2, 3, 2), np.float32), np.zeros((1, 2, 3), dtype=bool))
    np.testing.assert_array_equal(scaled(scale, x), x)


def test_which_numbers_are_normalized():
    world = NamesTheBit()
    world.extents = np.array([[Extent.WIDE, Extent.NARROW], [Extent.WIDE, Extent.CHOICE]], np.int8)
    wanted = {
        "raw": [[False, False], [False, False]],
        "auto": [[True, False], [True, False]],
        "normalized": [[True, True], [True, False]],
    }
    for observations, numbers in wanted.items():
        np.testing.assert_array_equal(normalized_numbers(world, observations), numbers)
    permuted = PermutedStepWorld(world, [1, 0])
    np.testing.assert_array_equal(normalized_numbers(permuted, "normalized"), [[1, 0], [1, 1]])
    listener = find_world("speaker_listener").make()
    of_listener = normalized_numbers(listener, "normalized")
    np.testing.assert_array_equal(of_listener.sum(axis=1), listener.seen_sizes)  # nothing padded
    assert not normalized_numbers(listener, "auto").any()


def test_agents_share_a_scale_by_role_or_have_one_each():
    for parameters, groups in (("shared", [0, 0]), ("per_role", [0, 0]), ("separate", [0, 1])):
        scales = scales_of(NamesTheBit(), small(parameters=parameters), CPU, state=False)
        np.testing.assert_array_equal(scales.seen.groups, groups)
        assert scales.state is None
    assert scales_of(NamesTheBit(), small(), CPU, state=True).state.on.shape == (1, 4)
    assert scales_of(NamesTheBit(), small(observations="raw"), CPU, state=True).capture() == {}


def correct(world, **given):
    """The share of right names in the last batch of 12,000 steps."""
    settings = small(**{"copies": 16, "steps": 15, "hidden": 16, "lr": 1e-2, "epochs": 2, **given})
    learner = Learner(world(copies=16, seed=1), "mappo_pooled", settings, 0)
    while learner.steps < 12_000:
        batch, losses = learner.update()
    assert ("clipped_inputs" in losses) is (settings.observations != "raw")
    return batch.reward.mean()


def test_a_bit_in_another_unit_is_learned_like_0_and_1():
    assert correct(NamesTheBit) > 0.99
    assert correct(NamesTheSmallBit, observations="raw") > 0.99
    assert correct(NamesTheBit, observations="raw") < 0.6


@pytest.mark.parametrize("given", [{"critic": "central"}, {"memory": "gru"}])
def test_what_was_played_is_learned_from_on_the_same_scale(given):
    """At the first minibatch of an update the ratio of probabilities is 1."""
    settings = small(observations="normalized", epochs=1, minibatches=1, **given)
    learner = Learner(find_world("spread").make(copies=8), "mappo_pooled", settings, 0)
    for _ in range(3):
        _, losses = learner.update()
        assert abs(losses["kl"]) < 1e-6
        assert losses["clipped"] == 0.0


def test_old_configurations_mean_raw_and_a_plan_names_what_auto_is():
    plan = TrainPlan.of("spread", "none", 100, {}, None)
    assert plan.policy.observations == "raw"
    wanted = TrainPlan.of("spread", "none", 100, {"observations": "normalized"}, None)
    assert wanted.policy.observations == "normalized"
    config = wanted.config()
    assert TrainPlan.from_config(config) == wanted
    del config["policy"]["observations"]
    assert TrainPlan.from_config(config).policy.observations == "raw"


def test_a_copied_team_sees_on_the_scale_it_learned_with():
    good, bad = (
        PolicyTrainer(None, Learner(NamesTheBit(copies=8, seed=seed), "none", small(), seed))
        for seed in range(2)
    )
    good.update(None)
    copy(good, bad, 1.0)
    one, two = (team.learner.team.scales.capture() for team in (good, bad))
    assert one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


def test_how_many_numbers_were_clipped_is_said():
    learner = Learner(NamesTheBit(copies=4), "none", small(), 0)
    team = PolicyTrainer(None, learner)
    assert team.notes() == ()
    learner.team.scales.seen.clipped = 1200
    assert team.notes() == ("1,200 numbers that agents saw were clipped at 10 deviations",)
