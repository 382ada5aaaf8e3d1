"""The check before the start: each common mistake has its own sentence, and good ones have none."""

from __future__ import annotations

import importlib.util
import random
import re

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")
pytest.importorskip("gymnasium", reason="foreign worlds need gymnasium")

from gymnasium import spaces
from lamp_envs import Lamps, LampsInTurns

from counterpoint.errors import WorldError
from counterpoint.worlds import find_world
from counterpoint.worlds.foreign.check import check_environment


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"shows": "dict"}, {"shows": "nested"}, {"shows": "grid", "takes": "many"},
        {"takes": "four", "masks": "late"}, {"takes": "four", "masks": "yes", "crew": "swaps"},
        {"crew": "returns"}, {"crew": "dies"}, {"pays": "widow"}, {"states": "nothing"},
        {"takes": "knob"},
    ],
    ids=str,
)  # fmt: skip
def test_a_good_environment_gives_no_doubt(settings):
    assert find_world("lamp_envs:Lamps").check(settings) == ()


@pytest.mark.parametrize(
    "name",
    [
        "mpe2.simple_spread_v3:env", "lbforaging:Foraging-8x8-2p-3f-v3",
        "rware:rware-tiny-2ag-v2", "lamp_envs:LampsInTurns",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:The old environment creation API")
def test_published_environments_give_no_doubt(name):
    if importlib.util.find_spec(re.split("[.:]", name)[0]) is None:
        pytest.skip("not installed")
    assert find_world(name).check() == ()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mpe2:simple_tag_v3", r"adversary plays .* take adversary and agent_0 as sides"),
        ("pettingzoo.classic:connect_four_v3", r"adds up to 0 .* player_0 and player_1 as sides"),
    ],
)
@pytest.mark.filterwarnings("ignore:The old environment creation API")
def test_rivals_are_noticed(name, why):
    if importlib.util.find_spec(re.split("[.:]", name)[0]) is None:
        pytest.skip("not installed")
    (doubt,) = find_world(name).check()
    assert re.search(why, doubt)


@pytest.mark.fault("R41")
@pytest.mark.parametrize(
    ("settings", "doubt"),
    [
        ({"seeds": "global"}, r"same seed .* observations of (ann|bob) differed .*"
         r"self.rng = np.random.default_rng\(seed\).*never from np.random"),
        ({"rounds": 0}, r"no episode ended within \d+ steps: if none ends.*truncations"),
        ({"shows": "wide"}, r"ann's observation has shape \(1, 2\), its space \(2,\).*\(\d+ times"),
        ({"shows": "wide"}, r"ann's observation leaves its space: 3 is not within 0 and 1; noth"),
        ({"takes": "four", "masks": "empty"},
         r"mask of bob allows nothing in step 2.*all its actions.*\(2 times in 10 steps\)"),
        ({"crew": "vanishes"}, r"ann left agents in step 2 with neither.*waits until it is back"
         r".*terminations\['ann'\] = True"),
        ({"states": "some"}, r"state\(\) gives 1 or 2 or 3 or 4 or 5 numbers.*critic=central"),
        ({"takes": "many", "masks": "yes"}, r"mask of actions in MultiDiscrete.* 4 combinations"),
    ],
    ids=str,
)  # fmt: skip
def test_what_looks_like_a_mistake_is_a_doubt(settings, doubt):
    doubts = find_world("lamp_envs:Lamps").check(settings)
    assert any(re.search(doubt, text) for text in doubts), doubts


class IgnoresItsSeed(Lamps):
    def reset(self, seed=None, options=None):
        return super().reset(None, options)


class CarriesOver(Lamps):
    """The first lamps of a game are the last ones of the game before."""

    def reset(self, seed=None, options=None):
        kept = getattr(self, "lit", None)
        answer = super().reset(seed, options)
        if kept is None:
            return answer
        self.lit = kept
        return self._look(self.agents), answer[1]


class EndsByItself(Lamps):
    """Empties `agents` at the end, with flags that are all false."""

    def step(self, actions):
        seen, paid, over, cut, infos = super().step(actions)
        return seen, paid, over, dict.fromkeys(cut, False), infos


class MakesNewSpaces(Lamps):
    def observation_space(self, agent):
        return spaces.Box(0, 1 + self.rng.random(), (2,), np.float64)


class NamesItsMaskOtherwise(Lamps):
    def __init__(self):
        super().__init__()
        self._seen = spaces.Dict({"lamp": self._seen, "avail_actions": spaces.MultiBinary(2)})

    def _look(self, names):
        return {
            name: {"lamp": seen, "avail_actions": [1, 1]}
            for name, seen in super()._look(names).items()
        }


class MasksNowAndThen(Lamps):
    def _infos(self, names):
        return {name: {"action_mask": [1, 1]} if self.round % 2 else {} for name in names}


class SeesHalves(Lamps):
    def __init__(self):
        super().__init__()
        self._seen = spaces.Box(0, 1, (2,), np.int8)


class LeavesOneOut(Lamps):
    """There is a third player, who never plays."""

    def __init__(self):
        super().__init__()
        self.possible_agents = ["ann", "bob", "cat"]


@pytest.mark.fault("R41")
@pytest.mark.parametrize(
    ("broken", "doubt"),
    [
        (IgnoresItsSeed, "same seed"),
        (CarriesOver, "same seed"),
        (EndsByItself, "ann left agents in step 5 .* its episode counts as cut off"),
        (MakesNewSpaces, r"observation_space\('ann'\) is another than before.*in __init__"),
        (NamesItsMaskOtherwise, "'avail_actions' looks like a mask.*call it 'action_mask'"),
        (MasksNowAndThen, "infos of ann have no action_mask, which they had before"),
        (SeesHalves, "ann's observation is float64, its space int8"),
        (LeavesOneOut, "cat never decided in 10 steps"),
    ],
)
def test_habits_that_look_like_mistakes(broken, doubt):
    doubts = check_environment(broken, "mine")
    assert any(re.search(doubt, text) for text in doubts), doubts


class TakesNoSeed(Lamps):
    def reset(self, options=None):
        return super().reset(None, options)


class ReturnsObservationsAlone(Lamps):
    def reset(self, seed=None, options=None):
        return super().reset(seed, options)[0]


class ReturnsFourThings(Lamps):
    def step(self, actions):
        seen, paid, over, _, infos = super().step(actions)
        return seen, paid, over, infos


class HidesAnAgent(Lamps):
    def step(self, actions):
        seen, *rest = super().step(actions)
        seen.pop("bob")
        return seen, *rest


class SpeaksOfStrangers(Lamps):
    def step(self, actions):
        seen, *rest = super().step(actions)
        return {**seen, "dan": seen["ann"]}, *rest


class SeesNothingFinite(Lamps):
    def _look(self, names):
        odd = np.inf if self.round == 3 else 0.0
        return {name: seen + odd for name, seen in super()._look(names).items()}


class Breaks(Lamps):
    def step(self, actions):
        raise KeyError("lamp")


class NeverBuriesItsDead(LampsInTurns):
    def step(self, action):
        if not self.terminations[self.agent_selection]:
            super().step(action)


@pytest.mark.fault("R41")
@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (TakesNoSeed, r"a reset that takes no seed; wanted def reset\(self, seed=None"),
        (ReturnsObservationsAlone, "a reset that returns a value of type dict; wanted def reset"),
        (ReturnsFourThings, r"a step that returns 4 values; wanted step\(actions\), which returns"),
        (HidesAnAgent, "no observation for bob in step 1"),
        (SpeaksOfStrangers, "an observation for dan in step 1.*names out of possible_agents"),
        (SeesNothingFinite, "an observation that is NaN or infinite for ann in step 3"),
        (lambda: Lamps(pays="nothing"), "reward None of ann in step 1"),
        (lambda: Lamps(pays="list"), r"reward \[1.0, 2.0\] of ann in step 1"),
        (lambda: Lamps(shows="scalar"), r"of shape \(\) of ann; wanted shape \(2,\)"),
        (Breaks, "world 'mine' failed in the check before the start.*KeyError: 'lamp'"),
        (NeverBuriesItsDead, r"step\(None\) without effect for ann.*_was_dead_step"),
    ],
)
def test_what_nothing_can_be_learned_from_is_an_error(broken, complaint):
    with pytest.raises(WorldError, match=complaint):
        check_environment(broken, "mine")


def test_global_generators_are_left_as_they_were():
    before = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    check_environment(lambda: Lamps(seeds="global"), "mine")
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # noqa: NPY002


def test_what_an_environment_prints_is_no_result(capsys):
    class Talks(Lamps):
        def reset(self, seed=None, options=None):
            print("hello")  # noqa: T201
            return super().reset(seed, options)

    assert check_environment(Talks, "mine") == ()
    assert capsys.readouterr().out == ""


class NamesItsLimitOtherwise(Lamps):
    """Its game has 30 rounds, which only `horizon` says; `time_limit` is another number."""

    def __init__(self, horizon=30, dead_at=()):
        super().__init__(rounds=horizon)
        self.max_cycles, self.horizon, self.time_limit, self.dead_at = None, horizon, 7, dead_at

    def step(self, actions):
        seen, paid, over, cut, infos = super().step(actions)
        if self.round in self.dead_at:
            self.agents, over = [], dict.fromkeys(over, True)
        return seen, paid, over, cut, infos


class SaysNoLimit(NamesItsLimitOtherwise):
    def __init__(self):
        super().__init__()
        del self.horizon


def test_a_limit_that_is_not_stated_is_a_doubt_with_the_line_to_change():
    (doubt,) = check_environment(NamesItsLimitOtherwise, "mine")
    assert doubt.startswith("no limit of steps was found, so that by default gamma is 0.95 ")
    assert doubt.endswith(
        "each episode of the check was cut off in step 30, its horizon: "
        "set self.max_cycles = self.horizon"
    )
    (doubt,) = check_environment(SaysNoLimit, "mine")
    assert doubt.endswith("in step 30: if that is its limit, set self.max_cycles = 30")


def test_a_limit_is_not_guessed_from_episodes_that_end_by_themselves():
    (doubt,) = check_environment(lambda: NamesItsLimitOtherwise(dead_at=(30,)), "mine")
    assert doubt.endswith("if it has one, call it max_cycles")


def test_no_limit_is_read_from_other_names():
    assert find_world("lamp_envs:Lamps").make().horizon == 5
    world = find_world("test_foreign_check:NamesItsLimitOtherwise").make()
    assert world.horizon is None
