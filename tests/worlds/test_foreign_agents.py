"""Agents of other people's environments come and go, and are learned from rightly."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")
pytest.importorskip("gymnasium", reason="foreign worlds need gymnasium")

from lamp_envs import ROUNDS, Lamps
from pettingzoo.utils.wrappers import BaseWrapper

from counterpoint.errors import WorldError
from counterpoint.testing import check_step_world
from counterpoint.worlds import find_world
from counterpoint.worlds.foreign.dialects import facts_of
from counterpoint.worlds.foreign.world import ForeignWorld
from counterpoint.worlds.sequential.world import SeenPart, uniform_actions
from counterpoint.worlds.sequential.wrapped import PermutedStepWorld

pytestmark = pytest.mark.fault("R41")


def course(settings, name="lamp_envs:Lamps"):
    """Who is active at each view, and terminated after each step, as texts of 0 and 1."""
    world, rng = find_world(name).make(settings), np.random.default_rng(0)
    view, active, terminated, ended = world.reset(), [], [], False
    while not ended:
        active.append("".join(map(str, view.active[0].astype(int))))
        step = world.step(uniform_actions(world, view, rng))
        terminated.append("".join(map(str, step.terminated[0].astype(int))))
        view, ended = step.view, bool(step.ended[0])
    assert view.active[0, 0] or settings.get("crew") == "joins"  # a new episode
    return active, terminated


def test_an_agent_that_returns_is_active_and_no_longer_terminated():
    assert course({"crew": "returns"}) == (
        ["11", "01", "01", "11", "11"], ["10", "10", "00", "00", "00"]
    )  # fmt: skip
    assert course({"crew": "dies"}) == (
        ["11", "11", "01", "01", "01"], ["00", "10", "10", "10", "10"]
    )  # fmt: skip


def test_agents_that_swap_places_in_one_step_are_known_by_name():
    """ann and cat change at once, so that the number of agents stays 2."""
    assert course({"crew": "swaps"}) == (
        ["110", "011", "110", "011", "110"], ["100", "001", "100", "001", "001"]
    )  # fmt: skip


def test_an_agent_that_leaves_without_a_flag_waits_and_is_terminated_at_the_end():
    assert course({"crew": "vanishes"}) == (
        ["11", "11", "01", "01", "01"], ["00", "00", "00", "00", "10"]
    )  # fmt: skip


def test_an_agent_that_joins_later():
    assert course({"crew": "joins"})[0] == ["10", "10", "11", "11", "11"]


def test_an_agent_of_a_turn_based_environment_that_returns():
    active, terminated = course({}, "lamp_envs:LampsInTurns")
    assert active == ["10", "01", "01", "01", "10", "01", "10", "01"]
    assert terminated == ["10", "10", "10", "00", "00", "00", "00", "00"]
    active, terminated = course({"returns": "false"}, "lamp_envs:LampsInTurns")
    assert active == ["10", "01", "01", "01", "01", "01"]
    assert terminated == ["10"] * 6


@pytest.mark.parametrize(
    "settings",
    [
        {"crew": "returns"}, {"crew": "swaps", "masks": "late", "takes": "four"},
        {"crew": "joins", "shows": "dict"}, {"takes": "many", "shows": "nested"},
        {"takes": "knob", "shows": "grid"}, {"pays": "widow", "reward": "common"},
    ],
    ids=str,
)  # fmt: skip
def test_worlds_of_agents_that_come_and_go_keep_every_promise(settings):
    check_step_world(
        lambda copies, seed: find_world("lamp_envs:Lamps").make(settings, copies, seed),
        steps=14, episodes=4,
    )  # fmt: skip


def test_turns_with_a_return_keep_every_promise():
    check_step_world(
        lambda copies, seed: find_world("lamp_envs:LampsInTurns").make({}, copies, seed), steps=20
    )


def test_a_return_is_resumed_bit_for_bit():
    entry, rng = find_world("lamp_envs:Lamps"), np.random.default_rng(1)
    world = entry.make({"crew": "returns"}, 3)
    view = world.reset()
    for _ in range(2 * ROUNDS + 3):
        view = world.step(uniform_actions(world, view, rng)).view
    arrays, facts = world.capture()
    other = entry.make({"crew": "returns"}, 3, seed=9)
    there = other.restore(arrays, json.loads(json.dumps(facts)))
    for _ in range(2 * ROUNDS):
        assert np.array_equal(view.active, there.active)
        actions = uniform_actions(world, view, rng)
        one, two = world.step(actions), other.step(actions)
        assert np.array_equal(one.terminated, two.terminated)
        assert np.array_equal(one.own, two.own)
        view, there = one.view, two.view


def test_a_world_knows_the_parts_of_its_observations():
    world = find_world("lamp_envs:Lamps").make({"shows": "dict"})
    parts = (SeenPart("lit", (2,), 0), SeenPart("photo", (2, 3, 1), 2, image=True))
    assert world.seen_parts == (parts, parts)
    assert PermutedStepWorld(world, [1, 0]).seen_parts == (parts, parts)
    assert [part.described for part in parts] == ["lit 2", "photo 2x3x1"]
    features = find_world("lamp_envs:Lamps").describe().features
    assert features == {"ann": ["numbers 2"], "bob": ["numbers 2"]}
    assert find_world("spread").describe().features == {}


def test_masks_that_come_after_the_reset_hold_from_then_on():
    world = find_world("lamp_envs:Lamps").make({"takes": "four", "masks": "late"}, 2, seed=4)
    view = world.reset()
    assert view.legal is None  # none has come in this world
    view = world.step(np.zeros((2, 2), dtype=np.int64)).view
    assert view.legal.sum(axis=-1).tolist() == [[2, 2], [2, 2]]
    for _ in range(ROUNDS - 1):
        view = world.step(uniform_actions(world, view, np.random.default_rng(0))).view
    assert view.legal.all()  # a new episode has none yet


def test_a_mask_of_zeros_allows_everything_and_is_counted():
    world = find_world("lamp_envs:Lamps").make({"takes": "four", "masks": "empty"}, 2)
    view, rng = world.reset(), np.random.default_rng(0)
    assert world.notes() == ()
    for _ in range(2 * ROUNDS):
        view = world.step(uniform_actions(world, view, rng)).view
        assert view.legal.any(axis=-1).all()
    assert world.notes() == tuple(
        f"a mask of {who} allowed nothing in 4 of its decisions: all its actions were taken as "
        "legal there"
        for who in ("ann", "bob")
    )


@pytest.mark.parametrize(
    ("pays", "complaint"),
    [
        (
            "nothing",
            r"got reward None of ann in step 1 of an episode; wanted one number up to 1e\+15",
        ),
        ("no_number", "got reward nan of ann in step 1"),
        ("huge", r"reward 1e\+200 of ann in step 1 .*up to 1e\+15: pay in a larger unit"),
        ("list", r"reward \[1.0, 2.0\] of ann in step 1 .*add its parts up"),
    ],
)
def test_what_is_no_reward_is_refused_by_name(pays, complaint):
    world = find_world("lamp_envs:Lamps").make({"pays": pays}, 2)
    with pytest.raises(WorldError, match=complaint):
        world.step(np.zeros((2, 2), dtype=np.int64))
    world = find_world("lamp_envs:Lamps").make({"pays": "array"})
    assert set(world.step(np.zeros((1, 2), dtype=np.int64)).own.ravel()) <= {0.0, 1.0}


def test_one_reward_for_a_team_of_tuples_is_refused():
    class Shared:
        """Two agents, one reward: tuples of gymnasium."""

        from gymnasium import spaces

        unwrapped = property(lambda self: self)
        observation_space = spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2)))
        action_space = spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2)))

        def reset(self, seed=None, options=None):
            return (0, 1), {}

        def step(self, actions):
            return (0, 1), 1.0, [True, False], [False, False], {}

    world = ForeignWorld(Shared, name="shared")
    with pytest.raises(WorldError, match=r"got rewards 1.0 in step 1.*wanted 2, one for each"):
        world.step(np.zeros((1, 2), dtype=np.int64))


def test_a_state_that_changes_its_size_concerns_the_central_critic_alone():
    world = ForeignWorld(lambda: Lamps(states="some"), name="lamps", copies=2)
    assert world.state_size == 4  # all observations: the state is not read
    world.omit_state()
    assert world.reset().state.shape == (2, 0)

    class Late(Lamps):
        """Its state grows after the steps in which a world finds out what it has."""

        def state(self):
            return np.zeros(9 if self.round < 7 else 10)

    world = ForeignWorld(lambda: Late(rounds=20), name="late")
    assert world.state_size == 9
    nothing = np.zeros((1, 2), dtype=np.int64)
    for _ in range(6):
        world.step(nothing)
    with pytest.raises(WorldError, match=r"state\(\) of 10 numbers .* which had 9 before"):
        world.step(nothing)


def test_facts_are_read_where_they_are_found_unless_a_wrapper_has_its_own():
    connect_four = pytest.importorskip("pettingzoo.classic.connect_four.connect_four")

    class Doubles(BaseWrapper):
        """Pays twice."""

        @property
        def rewards(self):
            return {agent: 2 * paid for agent, paid in self.env.rewards.items()}

        @rewards.setter
        def rewards(self, value):
            raise AssertionError("nobody writes it")

    class Swaps(BaseWrapper):
        """Has rewards of its own from its first step on."""

        def step(self, action):
            super().step(action)
            self.rewards = dict.fromkeys(self.agents, 7)

    plain = connect_four.env()
    plain.reset(seed=0)
    assert facts_of(plain) is plain.unwrapped
    assert facts_of(BaseWrapper(plain)) is plain.unwrapped
    for inner in (plain, BaseWrapper(plain)):
        outer = Doubles(inner)
        assert facts_of(outer) is outer
        assert facts_of(BaseWrapper(outer)) is outer
    world = ForeignWorld(lambda: Swaps(connect_four.env()))
    for _ in range(2):
        assert world.step(np.zeros((1, 2), dtype=np.int64)).own.tolist() == [[7, 7]]
    world = ForeignWorld(lambda: Doubles(connect_four.env()))
    paid = [world.step(np.array([[k % 2, k % 2]])).own.tolist() for k in range(7)]
    assert paid[5:] == [[[0, 0]], [[2, -2]]]  # the first one has four in a column
