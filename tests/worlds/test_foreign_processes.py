"""Copies of a foreign environment over processes: the results are those of one process."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

pytest.importorskip("pettingzoo")

from counterpoint.errors import CounterpointError, SettingError, WorkerError, WorldError
from counterpoint.runs.remote import InProcess
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.world import StepWorld, uniform_actions

SPREAD, OWN = "mpe2:simple_spread_v3", "uneven_world:Uneven"
SOURCE = '''
import multiprocessing

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from pettingzoo import ParallelEnv

class Uneven(ParallelEnv):
    """Episodes of uneven lengths, masks that sometimes allow nothing, and a state."""

    metadata, possible_agents = {"name": "uneven"}, ["ann", "bob"]

    def __init__(self, breaks=False):
        self.breaks = breaks

    def observation_space(self, agent):
        return Box(0, 1, (2,))

    def action_space(self, agent):
        return Discrete(3)

    def reset(self, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.agents, self.left = list(self.possible_agents), int(self.rng.integers(2, 6))
        return self.seen(), {}

    def seen(self):
        return {a: self.rng.random(2).astype(np.float32) for a in self.agents}

    def state(self):
        return np.array([self.left, 7.0, 1.0], dtype=np.float32)

    def step(self, actions):
        if self.breaks and multiprocessing.parent_process():
            raise ZeroDivisionError("of my own")
        self.left -= 1
        rewards = {a: float(actions[a] + self.rng.random()) for a in self.agents}
        over = dict.fromkeys(self.agents, self.left == 0)
        masks = {a: {"action_mask": self.rng.integers(0, 2, 3).astype(np.int8)} for a in over}
        seen = self.seen()
        self.agents = [] if self.left == 0 else self.agents
        return seen, rewards, over, dict.fromkeys(over, False), masks
'''


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "uneven_world.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))


def made(name: str, processes: int, **given: object) -> StepWorld:
    return find_world(name).make({"processes": processes, **given}, copies=9, seed=3)


def played(world: StepWorld, view, steps: int) -> list[np.ndarray]:
    rng, numbers = np.random.default_rng(5), []
    for _ in range(steps):
        step = world.step(uniform_actions(world, view, rng))
        view = step.view
        numbers += [step.own, step.terminated, step.ended, step.last.seen, view.seen, view.state]
        numbers += [view.active, np.zeros(0) if view.legal is None else view.legal]
    return numbers


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("name", [pytest.param(SPREAD, marks=pytest.mark.slow), OWN])
def test_any_number_of_processes_plays_the_same_also_after_a_restore(name):
    alone, split = made(name, 1), made(name, 2)
    assert same(played(alone, alone.reset(), 12), played(split, split.reset(), 12))
    assert alone.notes() == split.notes()
    captured = split.capture()
    assert same([*captured.arrays.values()], [*alone.capture().arrays.values()])
    back = made(name, 2)
    views = [back.restore(*captured), alone.restore(*captured)]
    assert same(played(back, views[0], 6), played(alone, views[1], 6))
    if name == OWN:
        assert alone.state_size == 3
        assert "allowed nothing" in alone.notes()[0]
    for world in (alone, split, back):
        world.close()


def test_each_process_has_at_least_four_copies():
    worlds = [find_world(OWN).make({"processes": 8}, copies=n) for n in (3, 8)]
    assert [len(world._hosts) for world in worlds] == [1, 2]
    for world in worlds:
        world.close()


def test_an_error_of_the_environment_comes_from_there_as_itself():
    world = made(OWN, 2, breaks=True)
    view = world.reset()
    with pytest.raises(WorldError, match="failed in step: ZeroDivisionError: of my own"):
        world.step(uniform_actions(world, view, np.random.default_rng(0)))
    world.close()


def test_a_process_that_is_killed_is_named():
    world = made(OWN, 2)
    view = world.reset()
    remote = world._hosts[1][1]
    assert isinstance(remote, InProcess)
    os.kill(remote._process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"copies 5 to 8 of 'uneven_world:Uneven'.*SIGKILL"):
        world.step(uniform_actions(world, view, np.random.default_rng(0)))
    world.close()
    assert not remote._process.is_alive()


def test_settings_of_processes_are_checked():
    with pytest.raises(SettingError, match="processes"):
        made(OWN, 0)
    with pytest.raises(CounterpointError, match="raay"):
        made(OWN, 2, executor="raay")


@pytest.mark.slow
def test_a_ray_cluster_plays_the_same():
    ray = pytest.importorskip("ray")
    alone, split = made(SPREAD, 1), made(SPREAD, 2, executor="ray")
    try:
        assert same(played(alone, alone.reset(), 12), played(split, split.reset(), 12))
        split.close()
    finally:
        ray.shutdown()
