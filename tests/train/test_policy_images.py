"""Convolutions see a picture first, wherever it stands in an observation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bit_worlds import NamesTheShape, NamesTheSmallBit
from step_worlds import small

from counterpoint.errors import SettingError
from counterpoint.train.ppo.images import ImageLayers, image_of, layout, sizes_of
from counterpoint.train.ppo.improve import split_by_set
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.networks import TeamNetworks
from counterpoint.train.ppo.plan import PolicyTrainer, TrainPlan
from counterpoint.train.ppo.probe import both_gradients
from counterpoint.train.ppo.settings import prepared
from counterpoint.worlds.sequential.pictures import channels_first
from counterpoint.worlds.sequential.world import SeenPart
from counterpoint.worlds.sequential.wrapped import PermutedStepWorld

CAMERA = SeenPart("camera", (8, 8, 3), 0, image=True)


def test_layers_halve_the_picture_until_no_side_is_longer_than_4():
    # channels in and out, height and width: the first layer keeps a small picture whole
    assert sizes_of(CAMERA) == [(3, 16, 8, 8), (16, 32, 4, 4)]
    large = sizes_of(SeenPart("", (3, 84, 60), 0, image=True))
    assert large[0] == (3, 16, 42, 30)
    assert [size[2:] for size in large] == [(42, 30), (21, 15), (11, 8), (6, 4), (3, 2)]


@pytest.mark.parametrize("shape", [(9, 11, 3), (3, 9, 11), (20, 17, 1)])
def test_it_is_torch_s_convolution_and_other_numbers_pass(shape):
    generator = torch.Generator().manual_seed(0)
    image = SeenPart("", shape, 2, image=True)
    layers = ImageLayers(image, torch.nn.Linear, lambda z: torch.tanh(z))
    size = int(np.prod(shape))
    x = torch.rand(2, 5, 1, size + 3, generator=generator)
    z = x[..., 2 : 2 + size].reshape(-1, *shape)
    z = z if channels_first(image) else z.permute(0, 3, 1, 2)
    height, width, _ = layout(image)
    for layer, (before, after, rows, columns) in zip(layers.layers, layers.sizes, strict=True):
        stride = 1 if (rows, columns) == (height, width) else 2
        weight = layer.weight.reshape(after, before, 3, 3)
        z = torch.tanh(torch.nn.functional.conv2d(z, weight, layer.bias, stride, 1))
        height, width = rows, columns
        assert z.shape[2:] == (rows, columns)
    out = layers(x)
    assert out.shape[-1] == x.shape[-1] + layers.more
    torch.testing.assert_close(out[..., 3:], z.reshape(2, 5, 1, -1))
    torch.testing.assert_close(out[..., :3], torch.cat([x[..., :2], x[..., -1:]], dim=-1))


def test_which_picture_is_seen():
    world, policy = NamesTheShape(), small()
    assert image_of(world, (0, 1), policy.images).name == "camera"
    assert image_of(PermutedStepWorld(world, [1, 0]), (0, 1), policy.images).name == "camera"
    assert image_of(world, (0, 1), "flat") is None
    assert image_of(NamesTheSmallBit(), (0, 1), policy.images) is None
    moved = CAMERA._replace(start=1)
    for parts in (
        ((CAMERA,), (moved,)),  # not in the same place
        ((CAMERA, moved), (CAMERA, moved)),  # two
        ((CAMERA._replace(image=False),),) * 2,
        ((CAMERA._replace(shape=(7, 8, 3)),),) * 2,  # too small
    ):
        world.seen_parts = parts
        assert image_of(world, (0, 1), policy.images) is None
    world.seen_parts = ((CAMERA,), (moved,))
    assert image_of(world, (1,), policy.images) == moved  # a network of its own


def test_actors_and_own_critics_have_it_and_central_critics_see_the_state():
    for critic in ("own", "central"):
        team = TeamNetworks(NamesTheShape(), small(critic=critic), 1, 0)
        assert team.actors[0].network.image is not None
        assert (team.critics[0].image is None) is (critic == "central")


@pytest.mark.parametrize("given", [{}, {"memory": "gru"}, {"parameters": "separate"}])
def test_micro_batches_sum_to_the_gradient_that_autograd_finds(given):
    world = NamesTheShape(copies=8, seed=1)
    learner = Learner(world, "happo_per_agent", small(**given), 0)
    batch = learner.collector.play(learner.team)
    estimate = learner.estimate(batch)
    parts = split_by_set(batch, estimate.advantage, estimate.target, learner.critics)
    (micro, _), _ = both_gradients(learner.team, parts, world.copies)
    start = 0
    for actor, group, part in zip(learner.team.actors, learner.team.sets, parts, strict=True):
        layers = [m for m in actor.modules() if isinstance(m, torch.nn.Linear)]
        size = sum(layer.weight.numel() + layer.bias.numel() for layer in layers)
        for i, k in enumerate(group.members):
            log_prob, _ = actor(part.seen, part.action, part.hidden, part.keep, part.legal)
            total = (log_prob * part.advantage)[i].mean()
            wanted = [gradient_of(total, layer).flatten() for layer in layers]
            flat = torch.cat(wanted).double().numpy()
            mine = micro[:, k, start : start + size].mean(axis=0)
            np.testing.assert_allclose(mine, flat, rtol=1e-3, atol=1e-7)
        start += size


def gradient_of(total, layer):
    """The gradient of a layer's weights with that of its biases behind them, [out, in + 1]."""
    weight, bias = torch.autograd.grad(total, [layer.weight, layer.bias], retain_graph=True)
    return torch.cat([weight, bias[:, None]], dim=1)


def test_old_configurations_mean_plain_numbers():
    plan = TrainPlan.of("spread", "none", 100, {}, None)
    config = plan.config()
    assert config["policy"]["images"] == "flat"  # there are none
    config["policy"]["images"] = "auto"
    assert TrainPlan.from_config(config).policy.images == "auto"
    del config["policy"]["images"]
    assert TrainPlan.from_config(config).policy.images == "flat"


@pytest.mark.parametrize("given", [{"frames": 4}, {"grayscale": True}])
def test_pictures_are_prepared_only_where_there_are_some(given):
    with pytest.raises(SettingError, match="see no picture"):
        TrainPlan.of("spread", "none", 100, given, None)
    assert prepared(NamesTheShape(), small(**given)).seen_sizes != NamesTheShape().seen_sizes


def correct(images, steps, seed=0):
    """Right names in 10 decisions, in the last batches of a training."""
    settings = small(copies=32, steps=15, hidden=32, lr=3e-3, images=images, diagnose_every=0)
    learner = Learner(NamesTheShape(copies=32, seed=seed), "mappo_pooled", settings, seed)
    team, right = PolicyTrainer(None, learner), []
    while learner.steps < steps:
        update = team.update(None)
        right.append(update.returned)
    return np.mean(right[-5:])


@pytest.mark.slow
def test_a_shape_that_moves_about_is_named_and_plain_layers_are_slower():
    assert correct("auto", 24_000) >= 9.5
    assert correct("flat", 24_000) < 9.0
