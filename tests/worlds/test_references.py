"""References are what random and scripted teams get; twins do not care who is called what."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.errors import StatisticsError
from counterpoint.worlds import (
    FAMILIES,
    Kind,
    PermutedStepWorld,
    find_world,
    random_return,
    returns,
    worlds,
)
from counterpoint.worlds.sequential.particles import head_for, shortest_matching
from counterpoint.worlds.sequential.twin import scripted_team, silent_team
from counterpoint.worlds.sequential.world import (
    References,
    StepSettings,
    StepWorld,
    Team,
    uniform_actions,
)


def agrees(world: StepWorld, team: Team, wanted: float | None, episodes: int) -> bool:
    """Whether `wanted` is within 4 standard errors of what the team gets."""
    found = returns(world, team, episodes, seed=3)
    assert wanted is not None
    return abs(found.mean() - wanted) < 4 * found.std(ddof=1) / np.sqrt(len(found)) + 1e-9


@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.SEQUENTIAL)])
def test_stated_references_are_what_the_teams_get(name: str):
    for team, which in ((uniform_actions, "random"), (scripted_team, "reference")):
        world = find_world(name).make(copies=500, seed=31)
        assert agrees(world, team, getattr(world.references, which), 2000)


def test_the_stated_return_without_talk_is_what_the_silent_team_gets():
    world = find_world("speaker_listener").make(copies=500, seed=31)
    assert agrees(world, silent_team, world.references.silent, 2000)
    longer = find_world("speaker_listener").make({"horizon": 50}).references
    assert longer.random < longer.silent < longer.reference
    assert find_world("spread").make().references.silent is None


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("spread", {"agents": 8, "local_ratio": 0.1}),
        ("spread", {"continuous": True}),
        ("speaker_listener", {"continuous": True, "horizon": 50}),
        ("foraging", {"force_coop": True, "size": 6}),
    ],
)
def test_references_of_other_settings_are_measured_when_asked_for(name, settings):
    world = find_world(name).make(settings, copies=200, seed=8)
    scores = world.references
    assert scores.random < scores.reference
    assert agrees(world, uniform_actions, scores.random, 600)
    assert find_world(name).make({**settings, "reward": "common"}, seed=1).references == scores
    score = scores.normalized(np.array([scores.random, scores.reference]))
    assert score is not None
    assert score.tolist() == [0.0, 1.0]


def test_the_common_reward_does_not_change_the_references():
    assert (
        find_world("spread").make({"reward": "common"}).references
        == find_world("spread").make().references
    )


@pytest.mark.slow
def test_a_team_that_speaks_reaches_the_stated_reference_of_simple_reference():
    pytest.importorskip("mpe2", reason="needs mpe2")

    def team(world, view, rng):
        """Say the other's goal (seen as a colour, 8:11), go where the word (11:) points."""
        landmarks = view.seen[:, :, 2:8].reshape(-1, 2, 3, 2)
        heard = view.seen[:, :, 11:14]
        pointed = (landmarks * heard[..., None]).sum(axis=2)
        target = np.where(heard.any(axis=-1)[..., None], pointed, landmarks.mean(axis=2))
        away, speed = np.moveaxis(target, -1, 0), np.moveaxis(view.seen[:, :, :2], -1, 0)
        return head_for(away, np.zeros_like(away), speed) + 5 * view.seen[:, :, 8:11].argmax(-1)

    world = find_world("mpe2:simple_reference_v3").make(copies=2, seed=9)
    assert agrees(world, team, world.references.reference, 150)
    assert agrees(world, uniform_actions, world.references.random, 150)


def test_episodes_count_whole_and_copies_alike():
    world = find_world("foraging").make({"horizon": 30}, copies=7, seed=1)
    found = returns(world, scripted_team, 10)
    assert found.shape == (10,)
    assert (found <= 1 + 1e-9).all()
    mean, error = random_return(find_world("spread").make(copies=50), 200)
    assert mean == pytest.approx(-79.3, abs=5 * error)
    with pytest.raises(StatisticsError, match="in 20 steps"):
        returns(find_world("spread").make(), uniform_actions, 1, most_steps=20)


def test_scores_that_are_not_known_are_not_made_up():
    assert References(None, 1.0, "x").normalized(np.zeros(3)) is None
    pytest.importorskip("pettingzoo", reason="needs pettingzoo")
    assert find_world("foreign_envs:LeavesOneByOne").make().references.reference is None


@pytest.mark.parametrize("name", ["spread", "foraging"])
def test_twins_do_not_care_in_which_order_agents_are_listed(name: str):
    """The same state with agents renamed: what happens to each is the same."""
    order = [2, 0, 1]
    plain, turned = (find_world(name).make({"agents": 3}, copies=64, seed=4) for _ in range(2))
    held = {key: array.copy() for key, array in plain.held.items()}
    for key in ("position", "velocity", "agents"):
        if key in held:
            held[key] = held[key][:, order]
    turned.restore(held, plain.capture()[1])
    rng = np.random.default_rng(0)
    for _ in range(20):
        actions = rng.integers(5, size=(64, 3))
        one, two = plain.step(actions), turned.step(actions[:, order])
        assert np.allclose(one.own[:, order], two.own, atol=1e-12)
        assert np.array_equal(one.view.seen[:, order, :4], two.view.seen[..., :4])


def test_a_reordered_world_shows_and_pays_in_the_other_order():
    plain, inner = (find_world("speaker_listener").make({}, copies=3, seed=4) for _ in range(2))
    mixed = PermutedStepWorld(inner, [1, 0])
    assert mixed.agents == ("listener_0", "speaker_0")
    assert mixed.roles == ("listener", "speaker")
    assert mixed.seen_sizes == (11, 3)
    assert [can.size for can in mixed.actions] == [5, 3]
    assert mixed.references == plain.references
    one, two = plain.step(np.array([[1, 4]] * 3)), mixed.step(np.array([[4, 1]] * 3))
    assert np.array_equal(one.view.seen, two.view.seen[:, ::-1])
    assert np.array_equal(one.view.state, two.view.state)
    mixed.close()


def test_matchings_are_shortest_for_few_and_each_landmark_is_taken_once():
    rng = np.random.default_rng(0)
    ways = rng.random((3, 3, 50))
    mine = shortest_matching(ways)
    assert not (np.sort(mine, axis=0).T - np.arange(3)).any()
    sums = np.take_along_axis(ways, mine[:, None], axis=1)[:, 0].sum(axis=0)
    assert (sums <= ways[range(3), range(3)].sum(axis=0)).all()
    many = shortest_matching(rng.random((9, 9, 20)))
    assert not (np.sort(many, axis=0).T - np.arange(9)).any()


def test_settings_of_worlds_are_frozen_and_documented():
    for entry in worlds(Kind.SEQUENTIAL):
        facts = entry.describe()
        assert issubclass(entry.settings_type, StepSettings)
        assert facts.random < facts.reference
        assert "team sum" in facts.scale
        for setting, known in facts.settings.items():
            assert known.about.endswith("."), setting
    assert len(FAMILIES) == 4
    pytest.importorskip("pettingzoo", reason="needs pettingzoo")
    assert find_world("foreign_envs:LeavesOneByOne").describe().horizon == 3
