"""`regions`: the reward by hand, the null control by arithmetic, the published prediction."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.credit import advantages, catalogue
from counterpoint.diagnose import three_numbers
from counterpoint.errors import SettingError
from counterpoint.worlds import Play, find_world
from counterpoint.worlds.exact.regions import Regions, RegionsSettings
from counterpoint.worlds.exact.world import CHANCE, TASK, stack


def played(world: Regions, seeds: range, update: int = 0) -> Play:
    tasks = stack([world.tasks(np.random.default_rng([s, TASK])) for s in seeds])
    chance = stack([world.draw(np.random.default_rng([s, CHANCE]), update) for s in seeds])
    return world.play(tasks, chance, world.uniform(len(seeds)))


def one_rollout(participation: str, volatile: bool, noise: float) -> Play:
    """Four agents that see context 0; targets are 0, 1, 2, 3 and everybody takes action 0 or 1."""
    world = find_world("regions").make({"participation": participation, "scale": "10"})
    world.prompts = world.rollouts = 1
    targets = np.repeat(np.arange(4)[:, None], 8, axis=1)[None]
    probs = np.zeros((1, 4, 8, 4))
    probs[:, [0, 2], :, 0] = 1.0  # stable_0 is right with action 0
    probs[:, [1, 3], :, 1] = 1.0  # stable_1 is right with action 1, the volatile ones never are
    chance = {
        "volatile": np.array([[[volatile]]]),
        "context": np.zeros((1, 1, 1, 4), dtype=np.int64),
        "noise": np.array([[[noise]]]),
        "uniforms": np.full((1, 1, 1, 4), 0.5),
    }
    return world.play({"target": targets}, chance, probs)


def test_the_reward_of_the_stable_region_by_hand() -> None:
    play = one_rollout("by_region", volatile=False, noise=2.0)
    assert play.active.tolist() == [[[[True, True, False, False]]]]
    # both stable agents are right: 1, and .1 x 2.0 of noise
    np.testing.assert_allclose(play.reward[..., :2], 1.2)
    np.testing.assert_allclose(play.outcome, 1.2)


def test_the_reward_of_the_volatile_region_by_hand() -> None:
    play = one_rollout("by_region", volatile=True, noise=2.0)
    assert play.active.tolist() == [[[[False, False, True, True]]]]
    # nobody is right: 10 x (0 + 2.0); the outcome is in the unit of the region, 2.0
    np.testing.assert_allclose(play.reward[..., 2:], 20.0)
    np.testing.assert_allclose(play.outcome, 2.0)


def test_with_everybody_present_the_region_only_sets_the_noise() -> None:
    # two of four are right: .5, and 10 x 2.0 or .1 x 2.0 of noise
    np.testing.assert_allclose(one_rollout("everyone", True, 2.0).reward, 20.5)
    np.testing.assert_allclose(one_rollout("everyone", False, 2.0).reward, 0.7)


def test_half_of_a_team_of_eight_is_stable() -> None:
    world = find_world("regions").make({"agents": "8"})
    assert world.agents[3:5] == ("stable_3", "volatile_0")
    assert len(world.slots) == 8


@pytest.mark.parametrize("bad", [{"agents": 5}, {"agents": 0}, {"scale": 0.0}, {"lr": -1.0}])
def test_settings_out_of_range_name_what_was_got(bad: dict[str, float]) -> None:
    (name, value) = next(iter(bad.items()))
    with pytest.raises(SettingError, match=f"got {name}={value}"):
        RegionsSettings(**bad)  # type: ignore[arg-type]


def test_inflation_at_the_start_is_what_was_published() -> None:
    """1 + (mu_i - mu)^2 / sigma_i^2 with mu = (.25 + .25 s) / 2 and sigma^2 = .1875 / 2 + .01."""
    for scale, published in ((3.0, 1.6), (10.0, 13.2), (30.0, 128.0), (100.0, 1477.0)):
        offset = (0.25 + 0.25 * scale) / 2 - 0.25
        assert 1 + offset**2 / (0.1875 / 2 + 0.01) == pytest.approx(published, rel=0.01)
        play = played(Regions(RegionsSettings(scale=scale)), range(200))
        rows = np.flatnonzero(play.active)
        agent = rows % 4
        # all seeds as one batch: the statistics of a batch of 12,800 rollouts
        found = three_numbers(play.reward.ravel()[rows], 0 * agent, agent, 1, 4)
        assert found.inflation[0, 0] == pytest.approx(published, rel=0.25)


@pytest.mark.parametrize("agents", [2, 4, 6, 8])
def test_with_everybody_present_pooled_and_per_agent_advantages_agree(agents: int) -> None:
    world = Regions(RegionsSettings(agents=agents, participation="everyone"))
    play = played(world, range(3))
    seed, prompt, rollout, agent = (c.ravel() for c in np.indices(play.active.shape))
    labels = {"batch": seed, "prompt": prompt, "rollout": rollout, "agent": agent}
    known = catalogue()
    for pooled, own in (("mappo_pooled", "mappo_per_agent"), ("grpo", "agent_wise")):
        one = advantages(play.reward.ravel(), labels, known[pooled]).values
        two = advantages(play.reward.ravel(), labels, known[own]).values
        assert abs(one).max() > 1
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
