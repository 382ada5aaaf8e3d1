"""`spread` by hand, and against mpe2's own simple_spread_v3, transition for transition."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from counterpoint.errors import SettingError, StateError
from counterpoint.worlds.sequential.particles import Spread, SpreadSettings
from counterpoint.worlds.sequential.world import uniform_actions


def originals(steps: int, seed: int, **settings: Any) -> list[dict[str, np.ndarray]]:
    """`steps` transitions of the real thing under random actions, agents crowded together."""
    made = pytest.importorskip("mpe2.simple_spread_v3").parallel_env(**settings)
    rng, rows = np.random.default_rng(seed), []
    while len(rows) < steps:
        made.reset(seed=int(rng.integers(2**31)))
        world = made.unwrapped.world
        for body in world.agents:
            body.state.p_pos = body.state.p_pos * rng.choice([0.1, 0.4, 1.0])
        while made.agents:
            before = {
                "position": np.array([body.state.p_pos for body in world.agents]),
                "velocity": np.array([body.state.p_vel for body in world.agents]),
                "landmarks": np.array([body.state.p_pos for body in world.landmarks]),
                "time": made.unwrapped.steps,
            }
            actions = {name: made.action_space(name).sample() for name in made.agents}
            if settings.get("continuous_actions"):
                actions = {n: rng.random(5).astype(np.float32) for n in actions}
            else:
                actions = {n: int(rng.integers(5)) for n in actions}
            seen, rewards, terminated, truncated, _ = made.step(actions)
            after = {
                "actions": np.array(list(actions.values())),
                "seen": np.array(list(seen.values())),
                "own": np.array(list(rewards.values())),
                "terminated": np.array(list(terminated.values())),
                "ended": all(truncated.values()),
                "state": made.state(),
            }
            rows.append({**before, **after})
    return rows


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("settings", "theirs", "steps"),
    [
        ({}, {}, 3000),
        ({"agents": 5, "local_ratio": 0.2, "horizon": 7}, {"local_ratio": 0.2}, 600),
        ({"continuous": True, "local_ratio": 1.0}, {"local_ratio": 1.0}, 600),
        ({"agents": 1}, {}, 100),
    ],
)
def test_every_transition_is_the_originals_to_the_last_bit(settings, theirs, steps):
    ours = SpreadSettings(**settings)
    rows = originals(
        steps,
        seed=1,
        N=ours.agents,
        max_cycles=ours.horizon,
        continuous_actions=ours.continuous,
        **theirs,
    )
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    world = Spread(ours, copies=len(rows))
    world.load(**{name: stacked[name] for name in world.held})
    step = world.step(stacked["actions"])
    assert np.array_equal(step.own, stacked["own"])
    assert np.array_equal(step.last.seen, stacked["seen"])
    assert np.array_equal(step.last.state, stacked["state"])
    assert np.array_equal(step.terminated, stacked["terminated"])
    assert np.array_equal(step.ended, stacked["ended"])
    assert step.ended.any()


def test_a_step_worked_by_hand():
    world = Spread(SpreadSettings(agents=2, local_ratio=0.25, horizon=3))
    world.load(
        position=np.array([[[0.0, 0.0], [1.0, 0.0]]]),
        velocity=np.array([[[1.0, 0.0], [0.0, 0.0]]]),
        landmarks=np.array([[[0.1, 0.0], [1.0, 2.0]]]),
    )
    step = world.step(np.array([[2, 4]]))  # right, up: they are felt in the velocity only
    seen = step.view.seen[0]
    assert seen[0, :2] == pytest.approx([0.75 * 1.0 + 0.1 * 5.0, 0.0])
    assert seen[1, :2] == pytest.approx([0.0, 0.5])
    assert seen[0, 2:4] == pytest.approx([0.1, 0.0])
    assert seen[0, 4:8] == pytest.approx([0.0, 0.0, 0.9, 2.0])
    assert seen[0, 8:10] == pytest.approx([0.9, 0.0])
    assert not seen[:, 10:].any()
    # landmark 0 is reached (0), landmark 1 is 2 from agent 1, nobody touches
    assert step.own[0] == pytest.approx([-0.75 * 2.0] * 2)


def test_agents_that_touch_push_each_other_apart_and_pay():
    world = Spread(SpreadSettings(agents=2, local_ratio=1.0))
    world.load(position=np.array([[[0.0, 0.0], [0.2, 0.0]]]), landmarks=np.zeros((1, 2, 2)))
    step = world.step(np.zeros((1, 2), dtype=np.int64))
    # penetration .1 at 100 a unit pushes with force 10 for .1 seconds
    assert step.view.seen[0, :, :2] == pytest.approx(np.array([[-1.0, 0.0], [1.0, 0.0]]))
    assert step.own[0] == pytest.approx([-1.0, -1.0])


def test_copies_that_end_start_anew_and_show_what_they_saw_last():
    world = Spread(SpreadSettings(horizon=4), copies=3, seed=5)
    world.load(time=np.array([0, 3, 1]))
    before = world.held["landmarks"].copy()
    step = world.step(np.zeros((3, 3), dtype=np.int64))
    assert step.ended.tolist() == [False, True, False]
    assert not step.terminated.any()
    assert world.held["time"].tolist() == [1, 0, 2]
    assert np.array_equal(before[..., [0, 2]], world.held["landmarks"][..., [0, 2]])
    assert not np.array_equal(before[..., 1], world.held["landmarks"][..., 1])
    assert np.array_equal(step.view.seen[[0, 2]], step.last.seen[[0, 2]])
    assert not np.array_equal(step.view.seen[1], step.last.seen[1])


def test_a_common_reward_is_the_sum_of_the_own_ones():
    own, common = (Spread(SpreadSettings(reward=r), copies=4, seed=1) for r in ("own", "common"))
    actions = np.random.default_rng(0).integers(5, size=(4, 3))
    one, two = own.step(actions), common.step(actions)
    assert np.array_equal(one.own, two.own)
    assert np.array_equal(one.reward, one.own)
    assert np.array_equal(two.reward, np.repeat(one.own.sum(axis=1)[:, None], 3, axis=1))


def test_a_restored_world_goes_on_bit_for_bit():
    world, rng = Spread(copies=5, seed=3), np.random.default_rng(0)
    view = world.reset()
    for _ in range(40):
        view = world.step(uniform_actions(world, view, rng)).view
    arrays, facts = world.capture()
    other = Spread(copies=5, seed=99)
    assert np.array_equal(other.restore(arrays, json.loads(json.dumps(facts))).seen, view.seen)
    for _ in range(40):
        actions = uniform_actions(world, view, rng)
        one, two = world.step(actions), other.step(actions)
        view = one.view
        assert np.array_equal(one.view.seen, two.view.seen)
        assert np.array_equal(one.own, two.own)


def test_what_cannot_be_is_refused():
    with pytest.raises(SettingError, match="agents=0"):
        SpreadSettings(agents=0)
    with pytest.raises(SettingError, match="local_ratio=2"):
        SpreadSettings(local_ratio=2)
    with pytest.raises(SettingError, match="copies=0"):
        Spread(copies=0)
    with pytest.raises(StateError, match="position of shape"):
        Spread(copies=2).load(position=np.zeros((1, 3, 2)))
    with pytest.raises(StateError, match="wanted one of time, position"):
        Spread().load(places=np.zeros(1))
    with pytest.raises(StateError, match="another world"):
        Spread().restore({"time": np.zeros(1)}, {})
