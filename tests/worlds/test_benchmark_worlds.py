"""The worlds of bench/epymarl.py: those of the published benchmark, and its units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench_modules import bench_module
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.particles import Spread, SpreadSettings
from counterpoint.worlds.sequential.world import uniform_actions

FORAGING = {
    "lbf 8x8-2p-2f-coop": "Foraging-8x8-2p-2f-coop-v3",
    "lbf 2s-8x8-2p-2f-coop": "Foraging-2s-8x8-2p-2f-coop-v3",
    "lbf 10x10-3p-3f": "Foraging-10x10-3p-3f-v3",
}


@pytest.mark.parametrize("task", FORAGING)
def test_foraging_has_the_settings_that_the_package_registers(task):
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("lbforaging")
    theirs = gymnasium.spec(FORAGING[task]).kwargs
    one = bench_module("epymarl").TASKS[task]
    ours = find_world(one.world, Kind.SEQUENTIAL).make(one.settings).settings
    assert theirs == {
        "players": ours.agents,
        "min_player_level": ours.min_level,
        "max_player_level": ours.max_level,
        "field_size": (ours.size, ours.size),
        "min_food_level": 1,
        "max_food_level": ours.max_food,
        "max_num_food": ours.food,
        "sight": ours.sight or ours.size,
        "max_episode_steps": ours.horizon,
        "force_coop": ours.force_coop,
        "grid_observation": False,
        "penalty": ours.penalty,
    }
    assert ours.normalize  # the package's default


def published_reward(position: NDArray[Any], landmarks: NDArray[Any]) -> float:
    """Their team reward of one step, positions [3, 2]: every agent is paid the distances, and pays
    for everybody whom it touches, itself included; the sum over agents."""
    gaps = np.linalg.norm(position[:, None] - landmarks, axis=-1)
    touching = np.linalg.norm(position[:, None] - position, axis=-1) < 0.3
    return float((-gaps.min(axis=0).sum() - touching.sum(axis=1)).sum())


def test_the_return_of_spread_is_theirs_after_scale_and_shift():
    task = bench_module("epymarl").TASKS["mpe spread"]
    world, rng = Spread(SpreadSettings(), copies=200, seed=3), np.random.default_rng(4)
    view, ours, theirs = world.reset(), np.zeros(200), np.zeros(200)
    world.held["position"] *= 0.3  # crowded, so that agents touch
    for t in range(24):  # the last step would start new episodes
        step = world.step(uniform_actions(world, view, rng))
        view, ours = step.view, ours + step.own.sum(axis=1)
        assert not step.ended.any(), t
        places = zip(world.held["position"].T, world.held["landmarks"].T, strict=True)
        theirs += [published_reward(*both) for both in places]
    assert theirs == pytest.approx(task.scale * ours + task.shift * 24 / 25)
    assert (theirs < -3 * 24).all()  # three agents that touch themselves


def test_evaluations_are_those_of_the_benchmark():
    greedily = bench_module("epymarl").played_greedily
    assert greedily("mpe spread", "qmix")
    assert greedily("lbf 10x10-3p-3f", "vdn")
    assert not greedily("lbf 10x10-3p-3f", "qmix")
    assert not greedily("rware tiny-2ag", "vdn")
    assert not greedily("mpe spread", "mappo_pooled")


def test_a_training_is_in_the_unit_of_the_benchmark():
    epymarl = bench_module("epymarl")
    tiny = {"copies": 4, "steps": 25}
    for arm, random in (("mappo_pooled", {"lr": 0.0}), ("vdn", {"epsilon_end": 1.0})):
        got = epymarl.curve("mpe spread", arm, 1000, 0, tiny | random)
        assert got["steps"] == [200, 400, 600, 800, 1000]
        played = [got["other way"]] if arm == "vdn" else got["theirs"]
        assert np.mean(played) == pytest.approx(2 * -79.29 - 75, abs=8)
        assert len(got["theirs"]) == 5


def test_pursuers_play_alone_and_the_prey_is_mirrored(tmp_path):
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("mpe2")
    layers = {"fc1": (128, 14), "fc2": (128, 128), "fc3": (5, 128)}
    policy = {f"in_fn.{name}": torch.ones(14) for name in ("weight", "running_var")}
    policy |= {f"in_fn.{name}": torch.zeros(14) for name in ("bias", "running_mean")}
    policy |= {f"{layer}.weight": torch.zeros(shape) for layer, shape in layers.items()}
    policy |= {f"{layer}.bias": torch.zeros(shape[0]) for layer, shape in layers.items()}
    policy["fc3.bias"][1] = 1.0
    saved = tmp_path / "prey.pt"
    torch.save({"agent_params": [{}, {"policy": policy}]}, saved)
    tag = bench_module("epymarl_tag")
    assert tag.Prey(str(saved))(np.zeros(14)) == 2  # its 1 is to the right, which is 2 in mpe2
    world = tag.Tag(str(saved))
    seen, _ = world.reset(seed=5)
    assert list(seen) == ["adversary_0", "adversary_1", "adversary_2"]
    steps = 0
    while world.agents:
        seen, rewards, *_ = world.step(dict.fromkeys(world.agents, 0))
        steps += 1
        assert len(set(rewards.values())) == 1  # every pursuer is paid for every catch
    assert steps == 25
    prey = world.inner.unwrapped.world.agents[-1]
    assert prey.state.p_vel[0] > 0.5  # it went to the right all the time
