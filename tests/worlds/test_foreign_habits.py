"""Habits of users that were silent, or refused with a sentence that did not help."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")
pytest.importorskip("gymnasium", reason="foreign worlds need gymnasium")

import gymnasium
from gymnasium import spaces
from lamp_envs import Lamps, LampsInTurns

from counterpoint.errors import SettingError, UnknownNameError, WorldError
from counterpoint.worlds import find_world
from counterpoint.worlds.foreign.check import check_environment
from counterpoint.worlds.foreign.names import construct
from counterpoint.worlds.foreign.spaces import choices_or_numbers, note_mask

THIS = "test_foreign_habits"


class PaysTheRightAlone(Lamps):
    """A player that is wrong has no reward at all."""

    def step(self, actions):
        seen, paid, *rest = super().step(actions)
        return seen, {name: reward for name, reward in paid.items() if reward}, *rest


def test_random_actions_do_not_repeat_the_chance_of_the_environment():
    # the lamps are drawn by default_rng(seed).integers(2); so were the actions, always right
    with pytest.raises(WorldError, match=r"got no reward for .* in step 1 of an episode"):
        check_environment(PaysTheRightAlone, "mine")


def as_list(place: int):
    """A class of lamps whose `step` has a list in the place of one dict."""

    class Lists(Lamps):
        def step(self, actions):
            answer = list(super().step(actions))
            answer[place] = list(answer[place].values())
            return tuple(answer)

    return Lists


class ResetsToAList(Lamps):
    def reset(self, seed=None, options=None):
        seen, infos = super().reset(seed, options)
        return list(seen.values()), infos


class OneInfo(LampsInTurns):
    def reset(self, seed=None, options=None):
        super().reset(seed, options)
        self.infos = [{}, {}]


class SeesNothingOnce(Lamps):
    def _look(self, names):
        return {
            name: None if self.round == 3 else seen for name, seen in super()._look(names).items()
        }


class SeesADict(Lamps):
    """The mask stands beside the observation, and the space says nothing of it."""

    def _look(self, names):
        return {
            name: {"observation": seen, "action_mask": np.ones(2)}
            for name, seen in super()._look(names).items()
        }


class AddsToItsMask(Lamps):
    """A mask that is to be added to logits: 0 where legal, -inf where not."""

    def __init__(self):
        super().__init__(takes="four", masks="yes")

    def _mask(self, name):
        return np.where(super()._mask(name), 0.0, -np.inf)


class GrowsItsTeam(Lamps):
    def reset(self, seed=None, options=None):
        seen, infos = super().reset(seed, options)
        return {**seen, "dan": seen["ann"]}, infos


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (as_list(1), "a step that returns rewards of type list; wanted a dict with the names"),
        (as_list(2), "a step that returns terminations of type list"),
        (as_list(3), "a step that returns truncations of type list"),
        (as_list(4), "a step that returns infos of type list"),
        (ResetsToAList, "a reset that returns observations of type list; wanted a dict"),
        (OneInfo, "an attribute infos of type list; wanted a dict"),
        (SeesNothingOnce, r"an observation of type NoneType of ann; wanted shape \(2,\)"),
        (SeesADict, r"an observation of type dict of ann; wanted shape \(2,\)"),
        (AddsToItsMask, "a mask with -inf for ann; wanted 1 where an action is legal, 0 where"),
        (GrowsItsTeam, "for dan .*possible_agents, which has to hold all that ever take part"),
    ],
)
def test_what_is_refused_says_what_to_change(broken, complaint):
    with pytest.raises(WorldError, match=complaint):
        check_environment(broken, "mine")


class ListsLegalMoves(Lamps):
    """The legal moves have a name of their own, and an illegal one is an error."""

    def __init__(self):
        super().__init__(takes="four", masks="yes")

    def _infos(self, names):
        return {name: {"legal_moves": self._mask(name)} for name in names}


class HidesItsMask(Lamps):
    """The mask stands in the observation, and not in its space."""

    def __init__(self):
        super().__init__(takes="four", masks="seen")
        self._seen = spaces.Dict({"lamp": self._seen})

    def _look(self, names):
        return {
            name: {"lamp": seen, "action_mask": self._mask(name)}
            for name, seen in super()._look(names).items()
        }


class ShrinksItsChoices(Lamps):
    """From the third round on there are two choices; another one is an error."""

    def action_space(self, agent):
        return spaces.Discrete(2 if getattr(self, "round", 0) > 2 else 40)

    def _paid(self, name, action):
        assert action in self.action_space(name)
        return 0.0


@pytest.mark.parametrize(
    ("broken", "noticed"),
    [
        (ListsLegalMoves, "'legal_moves' in infos looks like a mask .*call it 'action_mask'"),
        (HidesItsMask, "ann's observation has 'action_mask', which its space has not"),
        (ShrinksItsChoices, r"action_space\('ann'\) is another than before the first episode"),
    ],
)
def test_an_error_of_an_environment_has_what_was_noticed_before(broken, noticed):
    with pytest.raises(WorldError, match=f"AssertionError.* Noticed before: .*{noticed}"):
        check_environment(broken, "mine")


class PaysAround(Lamps):
    """A constant stands beside what is paid."""

    def __init__(self, constant, **settings):
        super().__init__(**settings)
        self.constant = constant

    def _paid(self, name, action):
        return self.constant + super()._paid(name, action)


class PaysLittle(Lamps):
    def _paid(self, name, action):
        return 1e-4 * super()._paid(name, action)


class CountsFar(Lamps):
    def __init__(self):
        super().__init__()
        self._seen = spaces.Discrete(5000)

    def _look(self, names):
        return {name: 4000 + self.lit[name] for name in names}


@pytest.mark.parametrize(
    ("broken", "doubt"),
    [
        (lambda: PaysAround(-100.0), r"paid -99\.\d+ on average, .* subtract the constant"),
        (PaysLittle, r"paid at most 0\.0001 in 10 steps, .* multiply rewards"),
        (CountsFar, r"Discrete\(5000\) in the observation of ann is 5,000 numbers.*as a Box"),
    ],
)
def test_what_slows_learning_is_a_doubt(broken, doubt):
    doubts = check_environment(broken, "mine")
    assert any(re.search(doubt, text) for text in doubts), doubts


@pytest.mark.parametrize(
    "fine",
    [
        lambda: PaysAround(-3.0),
        lambda: PaysAround(-100.0, crew="dies"),  # how long an agent lives may be what is paid for
        lambda: Lamps(pays="widow", crew="all"),
    ],
)
def test_other_rewards_give_no_doubt(fine):
    doubts = check_environment(fine, "mine")
    assert not any(re.search("constant|multiply", text) for text in doubts), doubts


class SeesNaNLater(Lamps):
    """One observation in many is NaN."""

    def _look(self, names):
        self.looks = getattr(self, "looks", 0) + 1
        return {
            name: seen * (np.nan if self.looks == 40 and name == "bob" else 1.0)
            for name, seen in super()._look(names).items()
        }


def test_an_observation_that_is_not_finite_ends_a_training():
    world = find_world(f"{THIS}:SeesNaNLater").make(copies=4, seed=0)
    world.reset()

    def play():
        for _ in range(60):
            world.step(np.zeros((4, 2), dtype=np.int64))

    with pytest.raises(WorldError, match="NaN or infinite for bob in step"):
        play()


class HasNoFiniteState(Lamps):
    def state(self):
        return np.array([np.nan if self.round == 2 else 0.0, 7.0, 7.0])


def test_a_state_that_is_not_finite_ends_a_training_that_reads_it():
    world = find_world(f"{THIS}:HasNoFiniteState").make(copies=2, seed=0)
    world.reset()
    world.step(np.zeros((2, 2), dtype=np.int64))
    with pytest.raises(WorldError, match=r"a state\(\) that is NaN or infinite"):
        world.step(np.zeros((2, 2), dtype=np.int64))
    world = find_world(f"{THIS}:HasNoFiniteState").make(copies=2, seed=0)
    world.omit_state()  # as where no critic reads it
    world.reset()
    for _ in range(4):
        world.step(np.zeros((2, 2), dtype=np.int64))


def test_a_tuple_of_masks_allows_the_combinations_of_what_they_allow():
    legal = np.zeros(6, dtype=bool)
    note_mask(legal, (np.array([1, 0]), np.array([1, 0, 1])), "ann")
    assert legal.tolist() == [True, False, True, False, False, False]
    note_mask(legal, (0, 1, 0, 0, 0, 1), "ann")  # one mask of all combinations, as a tuple
    assert legal.tolist() == [False, True, False, False, False, True]


def reversed_box():
    space = spaces.Box(-1, 1, (1,))
    space.low, space.high = space.high, space.low
    return space


@pytest.mark.parametrize("space", [reversed_box(), spaces.Box(0, 1, (0,))], ids=str)
def test_a_box_that_holds_nothing_is_refused(space):
    with pytest.raises(WorldError, match="which holds nothing to choose"):
        choices_or_numbers(space, "ann")


class Team(gymnasium.Env):
    """Two agents of a gymnasium environment, with the spaces that are given."""

    def __init__(self, sees, does):
        self.observation_space, self.action_space = sees, does


BITS, PAIR = spaces.Discrete(2), spaces.Tuple([spaces.Discrete(2)] * 2)
NAMED = spaces.Dict({"ann": BITS, "bob": BITS})


@pytest.mark.parametrize(
    ("sees", "does", "complaint"),
    [
        (NAMED, NAMED, r"action_space Dict\('ann': Discrete\(2\).*are a Tuple of spaces each"),
        (BITS, PAIR, r"observation_space Discrete\(2\) and action_space Tuple"),
        (spaces.Tuple([BITS] * 3), PAIR, r"observation_space Tuple\(.*one for each agent"),
        ([BITS] * 2, [BITS] * 2, r"with observation_space \[Discrete\(2\), Discrete\(2\)\]"),
    ],
)
def test_spaces_of_a_team_that_are_no_tuples(sees, does, complaint):
    with pytest.raises(WorldError, match=complaint):
        check_environment(lambda: Team(sees, does), "mine")


class HasDictsOfSpaces:
    """Names its spaces as RLlib does."""

    def __init__(self):
        self.possible_agents = ["ann"]
        self.observation_spaces = self.action_spaces = {"ann": BITS}

    def reset(self, seed=None, options=None):
        return {"ann": 0}, {}

    def step(self, actions):
        return {"ann": 0}, {"ann": 0.0}, {"ann": False}, {"ann": True}, {}


def test_what_a_class_has_not_is_named():
    with pytest.raises(WorldError, match="OfSpaces without observation_space and action_space; w"):
        check_environment(HasDictsOfSpaces, "mine")


class NeedsASize(Lamps):
    def __init__(self, size, *, colour, rounds=5):
        super().__init__(rounds=rounds)


def test_an_argument_that_is_missing_is_named_with_the_way_to_give_it():
    with pytest.raises(SettingError, match=r"'size'.*: give size=\.\.\. colour=\.\.\. with --set"):
        construct(f"{THIS}:NeedsASize", {})()
    with pytest.raises(SettingError, match=r": give colour=\.\.\. with --set, or name a function"):
        construct(f"{THIS}:NeedsASize", {"size": 3})()
    construct(f"{THIS}:NeedsASize", {"size": 3, "colour": "red"})()


def test_an_argument_that_is_none_of_the_constructor_has_the_nearest_one():
    with pytest.raises(SettingError, match=r"'round'.* did you mean rounds\? wanted one of size"):
        construct(f"{THIS}:NeedsASize", {"size": 3, "colour": "red", "round": 3})()


class Refuses(Lamps):
    def __init__(self, rounds=5):
        if rounds != 5:
            raise AssertionError


def test_an_assertion_without_a_message_has_its_name():
    with pytest.raises(SettingError, match=r"rounds=4 .* which refuses them: AssertionError"):
        construct(f"{THIS}:Refuses", {"rounds": 4})()


@pytest.mark.parametrize(
    ("typed", "correct"),
    [
        ("my_env.py:MyEnv", "my_env:MyEnv"),
        ("./my_env.py:MyEnv", "my_env:MyEnv"),
        ("mine/my_env.py", "mine.my_env:CLASS"),
        ("mine/my_env:MyEnv", "mine.my_env:MyEnv"),
        ("/my_env.py:MyEnv", "my_env:MyEnv"),
        ("my_env.MyEnv", "my_env:MyEnv"),
        ("my_env", "my_env:CLASS"),
    ],
)
def test_a_name_that_looks_like_a_file_is_spelled_correctly(typed, correct, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_env.py").write_text("")
    with pytest.raises(UnknownNameError, match=f"got world '{typed}'.*wanted .*{correct}$"):
        find_world(typed)


def test_a_name_of_nothing_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean spread"):
        find_world("spred")


@pytest.mark.parametrize("name", [":Env", ".env:Env", "env.:Env", "a..b:Env"])
def test_a_name_without_a_module_is_refused(name):
    with pytest.raises(UnknownNameError, match=f"got world '{name}', without a module; wanted"):
        find_world(name)
