"""Each world's reward and baselines, worked by hand for one rollout."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import SettingError
from counterpoint.train.estimators import labels
from counterpoint.worlds import Play, World, find_world
from counterpoint.worlds.exact.world import CHANCE, TASK, one_hot, stack


def one_rollout(
    name: str, actions: list[int], settings: dict[str, str] | None = None, **chance: object
) -> Play:
    """One rollout in which everybody sees context 0, agent k takes `actions[k]`, and 0 is right."""
    world = find_world(name).make(settings)
    world.prompts = world.rollouts = 1
    agents, slots = len(world.agents), len(world.slots)
    tasks = {"target": np.zeros((1, agents, world.contexts), dtype=np.int64)}
    choice = np.repeat(np.array(actions)[:, None], world.contexts, axis=1)[None]
    drawn = {
        "context": np.zeros((1, 1, 1, slots), dtype=np.int64),
        "uniforms": np.full((1, 1, 1, slots), 0.5),
        **{key: np.array(value)[None, None, None] for key, value in chance.items()},
    }
    if "needed" in drawn:
        drawn["needed"] = drawn["needed"].reshape(1)
    return world.play(tasks, drawn, one_hot(choice, world.actions))


def batch(world: World, seeds: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The first batch of an untrained team: the labels of its decisions, and their rewards."""
    rngs = [np.random.default_rng([seed, TASK]) for seed in range(seeds)]
    tasks = stack([world.tasks(rng) for rng in rngs])
    draws = [world.draw(np.random.default_rng([seed, CHANCE]), 0) for seed in range(seeds)]
    play = world.play(tasks, stack(draws), world.uniform(seeds))
    rows, columns = labels(world, play.active)
    return columns, play.reward.ravel()[rows]


def test_all_hands_pays_only_if_everybody_is_right() -> None:
    settings = {"agents": "3"}
    assert one_rollout("all_hands", [0, 0, 0], settings).reward.tolist() == [[[[1, 1, 1]]]]
    play = one_rollout("all_hands", [0, 1, 0], settings)
    assert play.reward.tolist() == [[[[0, 0, 0]]]]
    assert play.components is not None
    assert play.components[0, 0, 0, 0].tolist() == [1, 0, 1]
    assert play.signals["own_component"].tolist() == [[[[1, 0, 1]]]]
    # agent_1 alone could have saved it, but its policy never does; the others could not
    assert play.signals["counterfactual"].tolist() == [[[[0, 0, 0]]]]


def test_all_hands_counterfactual_is_what_the_others_make_possible() -> None:
    world = find_world("all_hands").make({"agents": "2"})
    world.prompts = world.rollouts = 1
    probs = np.full((1, 2, 16, 3), 1 / 3)
    tasks = {"target": np.zeros((1, 2, 16), dtype=np.int64)}
    chance = {
        "context": np.zeros((1, 1, 1, 2), dtype=np.int64),
        "uniforms": np.array([[[[0.1, 0.9]]]]),  # agent_0 is right, agent_1 is not
    }
    play = world.play(tasks, chance, probs)
    # with agent_1 wrong nothing helps agent_0; with agent_0 right, agent_1 gets 1 in 3
    np.testing.assert_allclose(play.signals["counterfactual"], [[[[0.0, 1 / 3]]]])
    np.testing.assert_allclose(play.signals["difference"], [[[[0.0, 0.0]]]])


def test_dead_groups_of_all_hands_are_as_many_as_the_formula_says() -> None:
    """q = 3^-n; a group of 8 rollouts is dead with probability q^8 + (1 - q)^8."""
    for agents in (2, 3, 4):
        q = 3.0**-agents
        world = find_world("all_hands").make({"agents": str(agents)})
        columns, rewards = batch(world, 60)
        found = advantages(rewards, columns, catalogue()["grpo"])
        dead = (found.values == 0).mean()
        assert dead == pytest.approx(q**8 + (1 - q) ** 8, abs=4 * 0.5 / np.sqrt(60 * 16))


def test_unequal_stakes_by_hand() -> None:
    play = one_rollout("unequal_stakes", [0, 1, 0], {"agents": "3", "ratio": "100"})
    # stakes 1, 10, 100; the second agent is wrong
    np.testing.assert_allclose(play.reward, [[[[101, 101, 101]]]])
    assert play.components is not None
    np.testing.assert_allclose(play.components[0, 0, 0, 2], [1, 0, 100])
    np.testing.assert_allclose(play.signals["own_component"], [[[[1, 0, 100]]]])
    np.testing.assert_allclose(play.outcome, 101 / 111)
    assert find_world("unequal_stakes").make({"agents": "3"}).agents == (
        "stake_1",
        "stake_10",
        "stake_100",
    )
    assert len(set(find_world("unequal_stakes").make({"ratio": "1"}).agents)) == 8


def test_homogeneous_agents_have_equal_parts() -> None:
    play = one_rollout("homogeneous", [0, 1, 0, 0], {"agents": "4"})
    np.testing.assert_allclose(play.reward, 0.75)
    np.testing.assert_allclose(play.signals["difference"], [[[[0.25, 0, 0.25, 0.25]]]])


def test_on_call_by_hand() -> None:
    settings = {"offset": "3", "scale": "10"}
    alone = one_rollout("on_call", [0, 0, 1, 0], settings, called=False, noise=1.0)
    assert alone.active.tolist() == [[[[True, True, True, False]]]]
    # two of three are right, + .1 x 1
    np.testing.assert_allclose(alone.reward, 2 / 3 + 0.1)
    joined = one_rollout("on_call", [0, 0, 1, 0], settings, called=True, noise=1.0)
    # three of four are right: 10 x (.75 + .1) + 3
    np.testing.assert_allclose(joined.reward, 11.5)
    # called to 1 rollout in 10, which is to weigh a half: .75 x .5 / .1
    np.testing.assert_allclose(joined.outcome, 3.75)


def test_variable_calls_by_hand() -> None:
    easy = one_rollout("variable_calls", [0, 1], hard=False, rounds=1, noise=0.0)
    assert easy.active[0, 0, 0].tolist() == [True, True] + 6 * [False]
    np.testing.assert_allclose(easy.reward, 0.5)
    hard = one_rollout("variable_calls", [0, 1], hard=True, rounds=3, noise=0.0)
    assert hard.active[0, 0, 0].sum() == 6
    np.testing.assert_allclose(hard.reward, 0.0)  # the same half of its steps, minus .5


def test_counting_rollouts_leaves_mass_on_the_steps_and_counting_steps_does_not() -> None:
    world = find_world("variable_calls").make()
    columns, rewards = batch(world, 60)
    verifier = columns["agent"] == 1
    by_rollout = advantages(rewards, columns, catalogue()["reinforce_plus_plus"]).values
    by_step = advantages(rewards, columns, catalogue()["mappo_pooled"]).values
    own = Scheme(center_by=("agent",), weighting="trajectory")
    assert by_rollout[verifier].mean() == pytest.approx(-0.33, abs=0.03)
    assert advantages(rewards, columns, own).values[verifier].mean() < -0.3  # no agent split helps
    assert by_step[verifier].mean() == pytest.approx(0.0, abs=1e-12)


def test_a_reserve_is_idle_first_and_needed_later() -> None:
    settings = {"level": "2", "quiet": "0.5"}
    given = {"reserve": True, "noise": 1.0}
    idle = one_rollout("idle_then_needed", [0, 0, 1], settings, needed=False, **given)
    np.testing.assert_allclose(idle.reward, 2.5)
    np.testing.assert_allclose(idle.signals["counterfactual"], 2.5)
    needed = one_rollout("idle_then_needed", [0, 0, 1], settings, needed=True, **given)
    np.testing.assert_allclose(needed.reward, 0.1)  # wrong, + .1 x 1
    regular = one_rollout(
        "idle_then_needed", [0, 1, 1], settings, needed=False, reserve=False, noise=0.0
    )
    assert regular.active.tolist() == [[[[True, True, False]]]]
    np.testing.assert_allclose(regular.reward, 0.5)
    world = find_world("idle_then_needed").make({"updates": "10", "idle": "0.3"})
    drawn = [world.draw(np.random.default_rng(0), update)["needed"] for update in range(5)]
    assert [bool(needed) for needed in drawn] == [False, False, False, True, True]


def test_the_planner_decides_who_acts_and_what_a_right_answer_is_worth() -> None:
    expert = one_rollout("planner_worker", [0, 0, 0, 0])
    assert expert.active.tolist() == [[[[True, True, False, False]]]]
    assert expert.outcome.tolist() == [[[1.0]]]
    other = one_rollout("planner_worker", [1, 0, 0, 0])
    assert other.active.tolist() == [[[[True, False, True, False]]]]
    assert other.outcome.tolist() == [[[0.5]]]
    assert one_rollout("planner_worker", [1, 0, 2, 0]).outcome.tolist() == [[[0.0]]]
    alone = one_rollout("planner_worker", [3, 0, 0, 0], {"alone": "0.7"})
    assert alone.active.tolist() == [[[[True, False, False, False]]]]
    assert alone.outcome.tolist() == [[[0.7]]]
    assert find_world("planner_worker").make().roles == ("planner", "worker", "worker", "worker")


@pytest.mark.parametrize(
    ("world", "setting", "value"),
    [
        ("on_call", "rate", "0"),
        ("all_hands", "agents", "1"),
        ("planner_worker", "alone", "1"),
        ("idle_then_needed", "idle", "1"),
        ("variable_calls", "hard", "1.5"),
        ("unequal_stakes", "ratio", "0.1"),
        ("homogeneous", "agents", "0"),
    ],
)
def test_settings_out_of_range_are_refused(world: str, setting: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"got {setting}={value}"):
        find_world(world).make({setting: value})
