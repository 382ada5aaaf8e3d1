"""Our worlds as PettingZoo environments: PettingZoo's own tests, and the same rewards."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from counterpoint.errors import MissingPackageError, SettingError
from counterpoint.worlds import PermutedStepWorld, find_world, to_parallel_env
from counterpoint.worlds.sequential.particles import Spread

WORLDS = [
    ("spread", {}),
    ("spread", {"continuous": True, "agents": 2}),
    ("speaker_listener", {}),
    ("foraging", {"agents": 3, "sight": 2}),
]


@pytest.mark.parametrize(("name", "settings"), WORLDS)
def test_pettingzoos_own_tests_pass(name, settings):
    pytest.importorskip("pettingzoo", reason="needs pettingzoo")
    with warnings.catch_warnings():  # what pettingzoo's tests import is deprecated by pettingzoo
        warnings.simplefilter("ignore", DeprecationWarning)
        from pettingzoo.test import parallel_api_test, parallel_seed_test
    parallel_api_test(to_parallel_env(find_world(name).make(settings)), num_cycles=120)
    parallel_seed_test(lambda: to_parallel_env(find_world(name).make(settings)), num_cycles=120)


@pytest.mark.parametrize(("name", "settings"), [*WORLDS, ("spread", {"reward": "common"})])
def test_the_environment_does_what_the_world_does(name, settings):
    pytest.importorskip("pettingzoo", reason="needs pettingzoo")
    world, env = (
        find_world(name).make(settings, seed=5),
        to_parallel_env(find_world(name).make(settings)),
    )
    view, (seen, _) = world.reset(5), env.reset(seed=5)
    assert env.possible_agents == list(world.agents)
    for agent in env.agents:
        env.action_space(agent).seed(1)
    while env.agents:
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        rows = [np.resize(a, 5) if np.ndim(a) else a for a in actions.values()]
        for k, agent in enumerate(env.agents):
            assert np.array_equal(seen[agent], view.seen[0, k, : world.seen_sizes[k]])
            assert env.observation_space(agent).contains(seen[agent])
        seen, rewards, over, cut, _ = env.step(actions)
        step = world.step(np.array([rows]))
        view = step.last
        assert list(rewards.values()) == step.reward[0].tolist()
        assert list(over.values()) == step.terminated[0].tolist()
        assert np.array_equal(env.state(), view.state[0])
        assert all(o or c for o, c in zip(over.values(), cut.values(), strict=True)) == step.ended
    with pytest.raises(SettingError, match="wanted a reset first"):
        env.step({})
    env.close()


def test_masks_are_in_the_infos_and_turns_are_refused():
    pytest.importorskip("pettingzoo", reason="needs pettingzoo")

    class Masked(Spread):
        def view(self):
            view = super().view()
            legal = np.ones((*view.active.shape, 5), dtype=bool)
            legal[..., 2] = False
            return replace(view, legal=legal)

    _, infos = to_parallel_env(Masked()).reset()
    assert infos["agent_1"]["action_mask"].tolist() == [1, 1, 0, 1, 1]
    turns = to_parallel_env(find_world("foreign_envs:PassesAHat").make())
    with pytest.raises(SettingError, match="agents take turns"):
        turns.reset()


def test_what_cannot_be_is_refused(monkeypatch):
    with pytest.raises(SettingError, match="wanted each of 0 to 2 once"):
        PermutedStepWorld(find_world("spread").make(), [0, 1, 1])
    pytest.importorskip("pettingzoo", reason="needs pettingzoo")
    with pytest.raises(SettingError, match="wanted copies=1"):
        to_parallel_env(find_world("spread").make(copies=2))
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    with pytest.raises(MissingPackageError, match="pip install"):
        to_parallel_env(find_world("spread").make())
