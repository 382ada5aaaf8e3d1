"""`speaker_listener` by hand, and against mpe2's own, transition for transition."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.worlds.sequential.particles import SpeakerListener, SpeakerListenerSettings


def originals(steps: int, continuous: bool, horizon: int) -> list[dict[str, np.ndarray]]:
    module = pytest.importorskip("mpe2.simple_speaker_listener_v4")
    env = module.parallel_env(continuous_actions=continuous, max_cycles=horizon)
    rng, rows = np.random.default_rng(0), []
    while len(rows) < steps:
        env.reset(seed=int(rng.integers(2**31)))
        world = env.unwrapped.world
        speaker, listener = world.agents
        while env.agents:
            before = {
                "position": listener.state.p_pos.copy(),
                "velocity": listener.state.p_vel.copy(),
                "landmarks": np.array([body.state.p_pos for body in world.landmarks]),
                "goal": world.landmarks.index(speaker.goal_b),
                "message": np.array(speaker.state.c, dtype=np.float64),
                "time": env.unwrapped.steps,
            }
            said, moved = int(rng.integers(3)), int(rng.integers(5))
            actions = np.array([said, moved])
            if continuous:
                actions = rng.random((2, 5)).astype(np.float32)
                said, moved = actions[0, :3], actions[1]
            seen, rewards, _, cut, _ = env.step({"speaker_0": said, "listener_0": moved})
            after = {
                "actions": actions,
                "speaker": seen["speaker_0"],
                "listener": seen["listener_0"],
                "own": np.array(list(rewards.values())),
                "ended": all(cut.values()),
                "state": env.state(),
            }
            rows.append({**before, **after})
    return rows


@pytest.mark.parametrize(("continuous", "horizon"), [(False, 25), (True, 9)])
def test_every_transition_is_the_originals_to_the_last_bit(continuous, horizon):
    rows = originals(2000, continuous, horizon)
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    settings = SpeakerListenerSettings(continuous=continuous, horizon=horizon)
    world = SpeakerListener(settings, copies=len(rows))
    world.load(**{name: stacked[name] for name in world.held})
    step = world.step(stacked["actions"])
    assert np.array_equal(step.own, stacked["own"])
    assert np.array_equal(step.last.seen[:, 0, :3], stacked["speaker"])
    assert not step.last.seen[:, 0, 3:].any()
    assert np.array_equal(step.last.seen[:, 1], stacked["listener"])
    assert np.array_equal(step.last.state, stacked["state"])
    assert np.array_equal(step.ended, stacked["ended"])
    assert not step.terminated.any()
    assert world.seen_sizes == (3, 11)


def test_a_step_worked_by_hand():
    world = SpeakerListener()
    world.load(
        position=np.array([[0.0, 0.0]]),
        velocity=np.array([[1.0, 0.0]]),
        landmarks=np.array([[[1.0, 0.0], [0.0, 1.0], [0.1, 2.0]]]),
        goal=np.array([2]),
    )
    step = world.step(np.array([[1, 3]]))  # the speaker says 1, the listener pushes down
    assert step.own[0] == pytest.approx([-4.0, -4.0])  # it glides to (.1, 0)
    assert step.view.seen[0, 0, :3] == pytest.approx([0.15, 0.15, 0.65])
    heard = [0.75, -0.5, 0.9, 0.0, -0.1, 1.0, 0.0, 2.0, 0.0, 1.0, 0.0]
    assert step.view.seen[0, 1] == pytest.approx(heard, abs=1e-6)
