"""Other people's environments as worlds: by name, at equal terms, and resumed from their seeds."""

from __future__ import annotations

import importlib.util
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")
pytest.importorskip("gymnasium", reason="foreign worlds need gymnasium")

from foreign_envs import LeavesOneByOne
from gymnasium import spaces

from counterpoint.errors import (
    MissingPackageError,
    SettingError,
    StateError,
    UnknownNameError,
    WorldError,
)
from counterpoint.testing import check_step_world
from counterpoint.testing.steps import check_capture, check_order, check_play, check_seeds
from counterpoint.worlds import find_world
from counterpoint.worlds.foreign.names import constructor_arguments
from counterpoint.worlds.foreign.world import ForeignWorld
from counterpoint.worlds.sequential.world import endless, uniform_actions
from counterpoint.worlds.sequential.wrapped import by_name

REAL = {
    "mpe2:simple_spread_v3": {},
    "mpe2:simple_speaker_listener_v4": {"continuous_actions": "true"},
    "mpe2:simple_reference_v3": {},
    "mpe2:simple_tag_v3": {"reward": "common"},
    "mpe2.simple_spread_v3:env": {},  # turn by turn
    "lbforaging:Foraging-8x8-2p-3f-v3": {},
    "lbforaging:Foraging-2s-6x6-3p-2f-coop-v3": {"penalty": "0.1"},
    "rware:rware-tiny-2ag-v2": {"max_steps": "20", "msg_bits": "2"},
    "pettingzoo.classic.tictactoe_v3:env": {},
    "pettingzoo.classic:connect_four_v3": {},
}
deprecated = pytest.mark.filterwarnings("ignore:The old environment creation API")


@pytest.mark.few(2)
@pytest.mark.parametrize("name", REAL)
@deprecated
def test_real_environments_keep_the_promises_of_worlds(name: str):
    package = name.partition(":")[0].partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    check_step_world(
        lambda copies, seed: find_world(name).make(REAL[name], copies, seed),
        steps=30,
        episodes=60,
        most_steps=3000,
    )


@pytest.mark.parametrize(
    "name", ["mpe2:simple_spread_v3", "lbforaging:Foraging-8x8-2p-3f-v3", "rware:rware-tiny-2ag-v2"]
)
def test_a_restored_world_goes_on_bit_for_bit_over_many_episodes(name: str):
    pytest.importorskip(name.partition(":")[0])
    world, rng = find_world(name).make(copies=3, seed=1), np.random.default_rng(0)
    view = world.reset()
    for _ in range(70):
        view = world.step(uniform_actions(world, view, rng)).view
    arrays, facts = world.capture()
    assert len(arrays["actions"]) < 71
    other = find_world(name).make(copies=3, seed=2)
    there = other.restore(arrays, json.loads(json.dumps(facts)))
    assert np.array_equal(there.state, view.state)
    for _ in range(70):
        actions = uniform_actions(world, view, rng)
        one, two = world.step(actions), other.step(actions)
        view = one.view
        assert np.array_equal(one.own, two.own)
        assert np.array_equal(one.ended, two.ended)
        assert np.array_equal(one.view.seen, two.view.seen)
        assert np.array_equal(one.last.state, two.last.state)


def test_steps_are_those_of_the_environment_itself():
    module = pytest.importorskip("mpe2.simple_tag_v3")
    world, rng = find_world("mpe2:simple_tag_v3").make(copies=2, seed=4), np.random.default_rng(0)
    envs = [module.parallel_env(), module.parallel_env()]
    starts = [env.reset(seed=int(s))[0] for env, s in zip(envs, world._seeds, strict=True)]
    view = world.restore(*world.capture())
    for e in range(2):
        assert np.array_equal(view.seen[e, 0], starts[e]["adversary_0"])
        assert np.array_equal(view.seen[e, 3, :14], starts[e]["agent_0"])
    for _ in range(25):
        actions = rng.integers(5, size=(2, 4))
        step = world.step(actions)
        for e, env in enumerate(envs):
            given = dict(zip(world.agents, actions[e].tolist(), strict=True))
            seen, rewards, *_ = env.step(given)
            assert step.own[e].tolist() == list(rewards.values())
            assert np.array_equal(step.last.seen[e, 3, :14], seen["agent_0"])
            assert np.array_equal(step.last.state[e], env.state())
    assert step.ended.all()
    assert not step.terminated.any()
    assert world.roles == ("adversary", "adversary", "adversary", "agent")


def test_agents_that_leave_one_by_one():
    world = find_world("foreign_envs:LeavesOneByOne").make({"prize": "2.5"})
    assert world.agents == ("walker_0", "walker_1", "walker_2")
    assert world.roles == ("walker",) * 3
    assert world.horizon == 3
    nothing = np.zeros((1, 3), dtype=np.int64)
    one, two, three = (world.step(nothing) for _ in range(3))
    assert one.own.tolist() == [[2.5, 2.5, 2.5]]
    assert one.view.active.tolist() == [[False, True, True]]
    assert one.terminated.tolist() == [[True, False, False]]
    assert two.own.tolist() == [[0.0, 2.5, 2.5]]
    assert two.view.active.tolist() == [[False, False, True]]
    assert two.terminated.tolist() == [[True, False, False]]  # walker_1 is cut off
    assert two.view.seen[0, :, 1].tolist() == [1.0, 2.0, 2.0]  # what each saw last
    assert three.own.tolist() == [[0.0, 0.0, 2.5]]
    assert three.terminated.tolist() == [[True, False, True]]
    assert [step.ended.item() for step in (one, two, three)] == [False, False, True]
    assert three.view.active.all()
    assert three.view.seen[0, :, 1].tolist() == [0.0, 0.0, 0.0]
    check_step_world(
        lambda e, s: find_world("foreign_envs:LeavesOneByOne").make({"agents": 4}, e, s)
    )


def play(name: str, settings: dict[str, Any], steps: int):
    world = find_world(name).make(settings)
    for _ in range(steps):
        world.step(np.zeros((1, len(world.agents)), dtype=np.int64))


@pytest.mark.parametrize("whom", ["walker_1", "walker_2"])  # one of them leaves in that very step
def test_an_agent_that_is_there_must_be_told_its_reward(whom: str):
    play("foreign_envs:ForgetsToPay", {"whom": whom}, 1)
    with pytest.raises(WorldError, match=f"no reward for {whom} in step 2 of an episode"):
        play("foreign_envs:ForgetsToPay", {"whom": whom}, 2)
    with pytest.raises(WorldError, match="no reward for c in step 1"):
        play("foreign_envs:PassesAHatAndForgets", {}, 1)


def test_an_agent_that_has_left_is_told_nothing():
    play("foreign_envs:ForgetsToPay", {"whom": "walker_0"}, 3)


def test_the_setting_that_ends_episodes_is_known():
    assert find_world("spread").make().limit == "horizon"
    assert find_world("foreign_envs:NeverEnds").make().limit == "max_cycles"
    assert find_world("foreign_envs:LeavesOneByOne").make().limit == ""
    assert by_name(find_world("spread").make()).limit == "horizon"
    assert "set horizon" in endless(find_world("spread").make())
    assert "truncate its episodes" in endless(find_world("foreign_envs:LeavesOneByOne").make())


def test_turns_and_rewards_that_come_in_between():
    world = find_world("foreign_envs:PassesAHat").make()
    view = world.reset()
    own, order = [], []
    for turn in range(6):
        order.append(int(view.active[0].argmax()))
        assert view.active.sum() == 1
        assert view.seen[0, order[-1]].argmax() == turn
        assert view.legal is not None
        assert view.legal[0, order[-1]].tolist() == [k != order[-1] for k in range(3)]
        step = world.step(np.array([[0, 1, 2]]))
        own.append(step.own[0].tolist())
        view = step.view
    assert order == [0, 1, 2, 0, 1, 2]
    assert own[:3] == [[-1, 1, 0], [0, -1, 1], [1, 0, -1]]
    assert np.sum(own, axis=0).tolist() == [0, 0, 0]  # each reward is given out once
    assert step.ended.all()
    assert step.terminated.all()
    assert world._here.players[0].env.heard == []  # a new episode
    world.step(np.array([[2, 0, 0]]))
    assert world._here.players[0].env.heard == [("a", 3)]  # actions of that space start at 1
    check_step_world(lambda e, s: find_world("foreign_envs:PassesAHat").make({}, e, s))


@pytest.mark.parametrize(
    ("sees", "size"), [("box", 6), ("dict", 6), ("one", 4), ("several", 5), ("bits", 3)]
)
def test_observations_of_all_kinds(sees: str, size: int):
    world = find_world("foreign_envs:ActsInManyWays").make({"sees": sees}, seed=3)
    assert world.seen_sizes == (size,)
    step = world.step(np.array([[1]]))
    row, shown = step.view.seen[0, 0], world._here.players[0].env.shown
    if sees in ("box", "dict"):
        shown = shown["observation"] if sees == "dict" else shown
        assert np.array_equal(row, shown.ravel().astype(np.float32))
    elif sees == "one":
        assert row.tolist() == [float(k == shown - 2) for k in range(4)]
    elif sees == "several":
        assert row.tolist() == [*np.eye(2)[shown[0]], *np.eye(3)[shown[1]]]
    else:
        assert row.tolist() == shown.tolist()
    assert (step.view.legal is None) == (sees != "dict")
    if sees == "dict":
        assert np.flatnonzero(step.view.legal).tolist() == [1, 2, 5]


def test_actions_of_all_kinds():
    world = find_world("foreign_envs:ActsInManyWays").make({"does": "many"})
    got = []
    for k in range(world.actions[0].size):
        world.step(np.array([[k]]))
        got.append(world._here.players[0].env.got.tolist())
    assert got == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert find_world("foreign_envs:ActsInManyWays").make({"does": "bits"}).actions[0].size == 4
    world = find_world("foreign_envs:ActsInManyWays").make({"does": "numbers"})
    assert world.actions[0].low == (-1.0,) * 4
    assert world.actions[0].high == (2.0,) * 4
    assert world.step(np.array([[[0.5, 1.0, 0.0, -1.0]]])).own.tolist() == [[0.5]]
    assert world._here.players[0].env.got.shape == (2, 2)
    assert world._here.players[0].env.got.dtype == np.float32


def test_what_cannot_be_resumed_says_so():
    world = find_world("foreign_envs:ForgetsItsSeed").make()
    world.step(np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(WorldError, match="does not obey its seed"):
        world.restore(*world.capture())
    other = find_world("foreign_envs:LeavesOneByOne").make()
    with pytest.raises(StateError, match=r"ForgetsItsSeed.*wanted one of.*LeavesOneByOne"):
        other.restore(*world.capture())
    two = find_world("foreign_envs:LeavesOneByOne").make(copies=2)
    with pytest.raises(StateError, match="the same settings and number of copies"):
        two.restore(*other.capture())


def test_the_facts_have_the_arguments_of_the_constructor():
    facts = find_world("foreign_envs:ForgetsToPay").describe()
    defaults = {name: one.default for name, one in facts.settings.items()}
    assert defaults == {
        "reward": "own", "stakes": "", "speakers": "", "processes": 1, "executor": "processes",
        "whom": "walker_1", "when": 2, "agents": 3,
    }  # fmt: skip
    assert facts.settings["whom"].about == "argument of its constructor"


def test_a_maker_that_hands_on_its_arguments_takes_those_of_the_class():
    env = LeavesOneByOne()
    taken = constructor_arguments(lambda **given: LeavesOneByOne(**given), env)
    assert taken == {"agents": 3, "prize": 1.0}
    env.spec = SimpleNamespace(kwargs={"prize": 2.0, "else": 1})
    taken = constructor_arguments(lambda **given: LeavesOneByOne(**given), env)
    assert taken == {"agents": 3, "prize": 2.0}
    assert constructor_arguments(lambda shape=(2, 2): env, env) == {"shape": "(2, 2)"}


class SeesIntegers(LeavesOneByOne):
    """Everybody sees an integer within bounds and one without, and nothing else."""

    def observation_space(self, agent):
        low, high = np.array([-3, np.iinfo(np.int64).min]), np.array([5, np.iinfo(np.int64).max])
        return spaces.Box(low, high, dtype=np.int64)

    def _look(self):
        return {name: self.rng.integers(-3, 6, 2) for name in self.agents}


def test_a_run_from_before_integers_were_scaled_says_so():
    world = ForeignWorld(SeesIntegers, name="mine", copies=2, seed=1)
    world.step(np.zeros((2, 3), dtype=int))
    arrays, facts = world.capture()
    world.restore(arrays, facts)
    plain = arrays["seen"].copy()
    plain[..., 0] = np.rint((plain[..., 0] + 1) * 4 - 3)  # 8 integers from -3 on are 2 units
    with pytest.raises(StateError, match="began when integers with bounds were not scaled"):
        world.restore({**arrays, "seen": plain}, facts)
    plain[0, 0, 1] += 1
    with pytest.raises(WorldError, match="it does not obey its seed"):
        world.restore({**arrays, "seen": plain}, facts)


@pytest.mark.parametrize("masks", [False, True])
def test_some_agents_choose_while_others_give_numbers(masks):
    entry, given = find_world("foreign_envs:MixesKinds"), {"masks": masks}
    for check in (check_play, check_seeds, check_capture, check_order):
        check(lambda e, s: entry.make(given, e, s), steps=20)
    world = entry.make(given, copies=2)
    view = world.reset(0)
    assert [can.size for can in world.actions] == [3, 4, 2]
    assert (view.legal is not None) is masks
    # the choices: 2 of 4 is (2, 1) of a MultiDiscrete that starts at 1; 1 of 2 is 1
    step = world.step(np.array([[[0.1, 0.2, 0.3], [2, 9, 9], [1, 9, 9]]] * 2))
    assert step.own.tolist() == [[0.6000000238418579, 3.0, 1.0]] * 2
    assert (step.view.legal is not None) is masks
    if masks:
        t, f = True, False
        assert step.view.legal[0, 1:].tolist() == [[t, t, t, t], [f, t, f, f]]
    doubts = entry.check(given)
    assert len(doubts) == 2 * masks
    assert all("action_mask" in doubt or "a mask of actions" in doubt for doubt in doubts)


@pytest.mark.parametrize(
    ("name", "settings", "error", "complaint"),
    [
        ("nowhere:Env", {}, UnknownNameError, "there is no module nowhere"),
        ("pettingzoo.nowhere:Env", {}, UnknownNameError, "wanted one of .*classic"),
        ("foreign_envs:LeavesOneByTwo", {}, UnknownNameError, "did you mean LeavesOneByOne"),
        ("foreign_envs:NOT_AN_ENVIRONMENT", {}, WorldError, "which is of type int"),
        (
            "foreign_envs:makes_a_list",
            {},
            WorldError,
            "which makes a value of type list; wanted a PettingZoo",
        ),
        ("foreign_envs:HasNoNames", {}, WorldError, "without possible_agents"),
        ("foreign_envs:LeavesOneByOne", {"price": "3"}, SettingError, "price=3.*refuses them"),
        ("foreign_envs:LeavesOneByOne", {"reward": "mine"}, SettingError, "reward='mine'"),
        ("foreign_envs:ActsInManyWays", {"sees": "text"}, WorldError, "observations of solo"),
        ("foreign_envs:ActsInManyWays", {"does": "too_many"}, WorldError, "400 combinations"),
        ("foreign_envs:ActsInManyWays", {"does": "unbounded"}, WorldError, "finite bounds"),
        ("mpe2:simple_tags_v3", {}, UnknownNameError, "did you mean simple_tag_v3"),
        ("lbforaging:Foraging-8x8-2p-3f-v2", {}, UnknownNameError, "did you mean Foraging-8x8"),
        ("spred", {}, UnknownNameError, "did you mean spread"),
        ("spread", {"agent": "3"}, UnknownNameError, "did you mean agents"),
        ("spread", {"agents": "many"}, SettingError, "agents"),
    ],
)
def test_what_is_refused_and_how(name: str, settings: Any, error: Any, complaint: str):
    for package in ("mpe2", "lbforaging"):
        if name.startswith(package):
            pytest.importorskip(package)
    with pytest.raises(error, match=complaint):
        find_world(name).make(settings)


def test_a_module_of_the_current_folder_says_how_to_import_it(tmp_path, monkeypatch):
    """The folder is put on Python's path by the user alone: a stranger's results cannot."""
    (tmp_path / "my_own_env.py").write_text("class Tug: ...", "utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match=r"put PYTHONPATH=\. before the command"):
        find_world("my_own_env:Tug").make({})


@pytest.mark.parametrize("name", ["mpe2:simple_tag_v3", "lbforaging:X", "rware:X"])
def test_a_package_that_is_missing_says_how_to_install_it(name: str, monkeypatch):
    package = name.partition(":")[0]
    find, load = importlib.util.find_spec, importlib.import_module

    def lost(wanted: str, *rest: Any) -> Any:
        if wanted.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return load(wanted, *rest)

    monkeypatch.setattr(importlib, "import_module", lost)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *r: None if n == package else find(n, *r)
    )
    with pytest.raises(MissingPackageError, match=r"pip install .*\[worlds\]"):
        find_world(name).make()


def test_text_becomes_the_constructors_arguments():
    world = find_world("foreign_envs:LeavesOneByOne").make({"agents": "5", "reward": "common"})
    assert world.settings.arguments == {"agents": 5}
    step = world.step(np.zeros((1, 5), dtype=np.int64))
    assert step.own.tolist() == [[1.0] * 5]
    assert step.reward.tolist() == [[5.0] * 5]


def test_a_world_from_a_function():
    from foreign_envs import LeavesOneByOne

    with pytest.raises(SettingError, match="copies=0"):
        ForeignWorld(LeavesOneByOne, copies=0)
    world = ForeignWorld(LeavesOneByOne, name="mine", copies=2)
    assert world.name == "mine"
    assert world.python
    assert world.references.random is None
    world.close()
