"""`foraging` by hand, and against lbforaging itself, transition for transition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.worlds.sequential.foraging import (
    EAST,
    LOAD,
    NOTHING,
    WEST,
    Foraging,
    ForagingSettings,
)


def originals(steps: int, seed: int, ours: ForagingSettings) -> list[dict[str, np.ndarray]]:
    """`steps` transitions of the real thing: agents that often crowd together, and often load."""
    foraging = pytest.importorskip("lbforaging.foraging.environment")
    env = foraging.ForagingEnv(
        players=ours.agents,
        min_player_level=ours.min_level,
        max_player_level=ours.max_level,
        min_food_level=1,
        max_food_level=ours.max_food,
        field_size=(ours.size, ours.size),
        max_num_food=ours.food,
        sight=ours.sight or ours.size,
        max_episode_steps=ours.horizon,
        force_coop=ours.force_coop,
        normalize_reward=ours.normalize,
        penalty=ours.penalty,
    )
    rng, rows = np.random.default_rng(seed), []
    twin, copy = Foraging(ours), np.random.default_rng(seed + 1)
    while len(rows) < steps:
        env.reset(seed=int(rng.integers(2**31)))
        over = False
        while not over:
            cells = np.argwhere(env.field)
            food = np.array([[*cell, env.field[tuple(cell)]] for cell in cells]).reshape(-1, 3)
            gone = np.zeros((ours.food - len(food), 3), dtype=np.int64)
            before: dict[str, Any] = {
                "food": np.concatenate([food, gone]),
                "agents": np.array([[*p.position, p.level] for p in env.players]),
                "spawned": int(env._food_spawned),
                "time": env.current_step,
            }
            twin.load(**{name: np.array([before[name]]) for name in twin.held})
            good = twin.scripted(copy)[0]
            actions = np.where(rng.random(ours.agents) < 0.5, rng.integers(6, size=len(good)), good)
            seen, rewards, over, _, _ = env.step([int(action) for action in actions])
            after = {"actions": actions, "seen": np.stack(seen), "own": np.array(rewards)}
            rows.append({**before, **after, "ended": over, "terminated": not env.field.any()})
    return rows


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, 2500),
        ({"agents": 4, "size": 6, "sight": 2, "penalty": 0.1}, 1500),
        ({"agents": 3, "size": 7, "food": 2, "force_coop": True, "horizon": 40}, 600),
        ({"food": 2, "force_coop": True, "sight": 2}, 600),
        ({"size": 10, "agents": 3}, 600),
        ({"size": 15, "agents": 3, "food": 5, "horizon": 300}, 1500),
        ({"agents": 3, "max_level": 4, "max_food": 2, "normalize": False, "sight": 1}, 600),
    ],
)
def test_every_transition_is_the_originals_to_the_last_bit(settings, steps):
    ours = ForagingSettings(**settings)
    rows = originals(steps, 1, ours)
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    world = Foraging(ours, copies=len(rows))
    world.load(**{name: stacked[name] for name in world.held})
    step = world.step(stacked["actions"])
    assert np.array_equal(step.own, stacked["own"])
    assert np.array_equal(step.last.seen, stacked["seen"])
    assert np.array_equal(step.ended, stacked["ended"])
    assert np.array_equal(
        step.terminated, np.repeat(stacked["terminated"][:, None], ours.agents, 1)
    )
    assert stacked["own"].any()
    assert stacked["terminated"].any()
    assert len({tuple(p) for p in stacked["agents"].reshape(-1, 3).tolist()}) > ours.size


def world_with(agents: list[list[int]], food: list[list[int]], **settings: Any) -> Foraging:
    world = Foraging(ForagingSettings(agents=len(agents), food=len(food), **settings))
    spawned = np.array([sum(level for _, _, level in food)])
    world.load(agents=np.array([agents]), food=np.array([food]), spawned=spawned)
    return world


def test_loading_together_pays_by_level():
    world = world_with([[2, 1, 1], [2, 3, 2]], [[2, 2, 3], [5, 5, 1]])
    alone = world.step(np.array([[NOTHING, LOAD]]))
    assert alone.own.tolist() == [[0.0, 0.0]]  # level 2 is not enough for 3
    both = world.step(np.array([[LOAD, LOAD]]))
    # levels 1 and 2 share 3 of the 4 units that there were
    assert both.own[0] == pytest.approx([1 / 3 * 3 / 4, 2 / 3 * 3 / 4])
    assert both.view.seen[0, 0].tolist() == [5, 5, 1, -1, -1, 0, 2, 1, 1, 2, 3, 2]
    assert both.view.seen[0, 1].tolist() == [5, 5, 1, -1, -1, 0, 2, 3, 2, 2, 1, 1]
    assert both.view.state[0].tolist() == [-1, -1, 0, 5, 5, 1, 2, 1, 1, 2, 3, 2]


def test_agents_that_want_the_same_cell_stay_and_swapping_is_allowed():
    world = world_with([[2, 1, 1], [2, 3, 1]], [[5, 5, 1]])
    clash = world.step(np.array([[EAST, WEST]]))
    assert clash.view.state[0, 3:].tolist() == [2, 1, 1, 2, 3, 1]
    swapped = world_with([[2, 1, 1], [2, 2, 1]], [[5, 5, 1]]).step(np.array([[EAST, WEST]]))
    assert swapped.view.state[0, 3:].tolist() == [2, 2, 1, 2, 1, 1]


def test_a_failed_load_costs_the_penalty():
    world = world_with([[2, 1, 1], [2, 3, 2]], [[2, 2, 3]], penalty=0.25)
    assert world.step(np.array([[LOAD, NOTHING]])).own.tolist() == [[-0.25, 0.0]]


def test_the_last_food_ends_the_episode_for_good_and_time_only_cuts_it_off():
    world = world_with([[2, 1, 1], [6, 6, 1]], [[2, 2, 1]], horizon=2)
    done = world.step(np.array([[LOAD, NOTHING]]))
    assert done.ended.tolist() == [True]
    assert done.terminated.tolist() == [[True, True]]
    assert done.own.sum() == 1.0
    world.step(np.zeros((1, 2), dtype=np.int64))
    late = world.step(np.zeros((1, 2), dtype=np.int64))
    assert late.ended.tolist() == [True]
    assert not late.terminated.any()


def test_starts_are_as_the_original_draws_them():
    world = Foraging(ForagingSettings(agents=3, food=4), copies=3000, seed=2)
    row, column, level = world.held["food"]
    assert ((row >= 1) & (row <= 6) & (column >= 1) & (column <= 6))[level > 0].all()
    assert (level > 0).mean() > 0.999
    for a in range(4):
        for b in range(a):
            apart = np.sort(abs(world.held["food"][:2, a] - world.held["food"][:2, b]), axis=0)
            both = (level[a] > 0) & (level[b] > 0)
            assert not ((apart[1] <= 1) & both).any()
            assert not ((apart[0] == 0) & (apart[1] <= 2) & both).any()
    most = np.sort(world.held["agents"][2], axis=0)[:3].sum(axis=0)
    assert (level.max(axis=0) <= most).all()
    assert world.held["spawned"].tolist() == level.sum(axis=0).tolist()
    places = world.held["agents"][0] * 8 + world.held["agents"][1]
    assert all(len(set(copy)) == 3 for copy in places.T.tolist())
    assert np.bincount(places.ravel(), minlength=64).min() > 90  # 141 expected in each cell
    forced = Foraging(ForagingSettings(force_coop=True), copies=200)
    assert (forced.held["food"][2] == forced.held["agents"][2].sum(axis=0)).all()


def test_a_start_like_the_originals():
    """Distribution of levels and of distances between the two nearest things, within 5 errors."""
    foraging = pytest.importorskip("lbforaging.foraging.environment")
    kwargs = {"field_size": (8, 8), "max_num_food": 3, "sight": 8, "max_episode_steps": 50}
    levels = {"min_player_level": 1, "max_player_level": 2, "min_food_level": 1}
    env = foraging.ForagingEnv(2, **levels, max_food_level=None, force_coop=False, **kwargs)
    theirs = []
    for seed in range(1500):
        env.reset(seed=seed)
        cells = np.argwhere(env.field)
        ways = [abs(cells - p.position).sum(axis=1).mean() for p in env.players]
        theirs.append([env.field.sum(), np.mean(ways), cells.std(), env.players[0].level])
    world = Foraging(copies=3000, seed=1)
    food, agents = world.held["food"], world.held["agents"]
    ways = abs(food[:2, :, None] - agents[:2, None]).sum(axis=0).mean(axis=(0, 1))
    ours = np.stack([food[2].sum(axis=0), ways, food[:2].std(axis=(0, 1)), agents[2, 0]], axis=1)
    gap = ours.mean(axis=0) - np.mean(theirs, axis=0)
    error = np.sqrt(ours.var(axis=0) / len(ours) + np.var(theirs, axis=0) / len(theirs))
    assert (abs(gap) < 5 * error).all()


def test_what_cannot_be_is_refused():
    for settings, complaint in (
        ({"size": 2}, "size=2"),
        ({"sight": 0}, "sight=0"),
        ({"max_level": 0}, "max_level=0"),
        ({"agents": 20, "food": 9}, "a larger field"),
    ):
        with pytest.raises(SettingError, match=complaint):
            ForagingSettings(**settings)
