"""Batches hold what the world said and what was done, in whatever kind of world."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from step_worlds import PaysTheBetterArm, SaysWhatIsOnTape, played, random_tape, small

from counterpoint.errors import WorldError
from counterpoint.train.ppo.networks import TeamNetworks
from counterpoint.train.ppo.rollout import RolloutCollector
from counterpoint.worlds import find_world


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_a_batch_holds_what_the_world_said(memory):
    tape = random_tape(np.random.default_rng(3), turns=True, leaving=True, legal=3, components=2)
    world, settings = SaysWhatIsOnTape(tape, (3, 3)), small(memory=memory)
    batch = played(world, TeamNetworks(world, settings, 1, 0), small(memory=memory, steps=12))
    for name in ("active", "terminated", "legal", "components"):
        wanted = np.moveaxis(tape[name], 2, 0)
        np.testing.assert_array_equal(getattr(batch, name)[:, :12], wanted, err_msg=name)
    np.testing.assert_array_equal(batch.seen[:, :12], np.moveaxis(tape["seen"], 2, 0))
    np.testing.assert_array_equal(batch.seen[:, 12], np.moveaxis(tape["seen"][0], 1, 0))
    np.testing.assert_array_equal(batch.state[:12], tape["seen"].reshape(12, 3, -1))
    np.testing.assert_array_equal(batch.reward, np.moveaxis(tape["own"], 2, 0))
    np.testing.assert_array_equal(batch.own, batch.reward)
    np.testing.assert_array_equal(batch.ended, tape["ended"])
    np.testing.assert_array_equal(batch.starts[1:], tape["ended"])
    assert batch.starts[0].all()
    assert sorted(batch.last) == np.flatnonzero(tape["ended"].any(axis=1)).tolist()
    for i, view in batch.last.items():
        np.testing.assert_array_equal(view.seen, tape["last"][i])
    np.testing.assert_array_equal(np.array(world.did).transpose(2, 0, 1), batch.action)
    taken = np.take_along_axis(batch.legal, batch.action[..., None], axis=-1)
    assert taken.all()


def test_returns_episodes_and_clocks_count_from_start_to_end_across_batches():
    tape = random_tape(np.random.default_rng(4), steps=20)
    world, settings = SaysWhatIsOnTape(tape, (2, 2)), small(steps=10)
    team, collector = TeamNetworks(world, settings, 1, 0), RolloutCollector(world, settings, 0)
    batches = [collector.play(team) for _ in range(2)]
    wanted, episodes = [], np.zeros(3, int)
    begun = np.zeros(3, int)
    for i in range(20):
        batch, at = batches[i // 10], i % 10
        np.testing.assert_array_equal(batch.clock[at], i - begun)
        np.testing.assert_array_equal(batch.episode[at], episodes)
        for e in np.flatnonzero(tape["ended"][i]):
            wanted.append((e, tape["own"][begun[e] : i + 1, e].sum()))
            begun[e] = i + 1
            episodes[e] += 1
    found = [(int(e), r) for b in batches for e, r in zip(b.finished, b.returns, strict=True)]
    assert [e for e, _ in found] == [e for e, _ in wanted]
    np.testing.assert_allclose([r for _, r in found], [r for _, r in wanted])


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_probabilities_are_those_of_the_networks(memory):
    tape = random_tape(np.random.default_rng(5), agents=3, legal=4)
    settings = small(memory=memory, parameters="separate", steps=12)
    world = SaysWhatIsOnTape(tape, (4, 2, 3))
    team = TeamNetworks(world, settings, 1, 0)
    batch = played(world, team, settings)
    keep = torch.from_numpy(~batch.starts[:12]).float().T[None]
    for actor, whose in zip(team.actors, team.sets, strict=True):
        m = whose.rows

        def fold(x):
            return torch.from_numpy(x).transpose(1, 2)

        hidden = torch.from_numpy(batch.hidden[m]) if memory == "gru" else None
        with torch.no_grad():
            log_prob, _ = actor(
                actor.inputs(fold(batch.seen[m, :12])),
                fold(batch.action[m]),
                hidden,
                keep,
                fold(batch.legal[m]),
            )
        np.testing.assert_allclose(log_prob.transpose(1, 2), batch.log_prob[m], atol=2e-6)
    np.testing.assert_allclose(batch.probs.sum(axis=-1), 1, rtol=1e-5)
    assert (batch.probs[~batch.legal] == 0).all()
    assert (batch.probs[1, ..., 2:] == 0).all()


def test_numbers_stay_within_each_agent_s_bounds():
    tape = random_tape(np.random.default_rng(6), steps=50)
    world, settings = SaysWhatIsOnTape(tape, (1, 3), bounds=(-2.0, 5.0)), small(steps=50)
    team = TeamNetworks(world, settings, 1, 0)
    with torch.no_grad():
        team.actors[0].log_std.fill_(1.0)
    batch, did = played(world, team, settings), np.array(world.did)
    assert did.shape == (50, 3, 2, 3)
    assert did[:, :, 1].min() == -2.0  # some raw ones lie outside -1 to 1
    assert did[:, :, 1].max() == 5.0
    assert (did[:, :, 0, 1:] == 0).all()
    inside = abs(batch.action[1]) < 1
    wanted = -2.0 + (batch.action[1] + 1) / 2 * 7
    np.testing.assert_allclose(did[:, :, 1][inside], wanted[inside], atol=1e-6)  # single precision


def test_actions_come_as_often_as_their_probability_says():
    settings = small(steps=50, copies=400)
    world = PaysTheBetterArm(400)
    team = TeamNetworks(world, settings, 1, 0)
    with torch.no_grad():
        team.actors[0].network.head.bias.copy_(torch.tensor([0.0, 1.2]))
    batch = played(world, team, settings)
    p, n = batch.probs[0, 0, 0, 1], batch.action[0].size
    assert 0.7 < p < 0.85
    for k in range(2):  # five standard errors
        assert abs(batch.action[k].mean() - p) < 5 * np.sqrt(p * (1 - p) / n)
    assert abs(np.corrcoef(batch.action[0].ravel(), batch.action[1].ravel())[0, 1]) < 5 / np.sqrt(n)


@pytest.mark.parametrize("given", [{}, {"memory": "gru"}, {"parameters": "separate"}])
def test_the_same_seed_plays_the_same_batch(given):
    settings = small(**given)
    found = []
    for seed in (0, 0, 1):
        world = find_world("foraging").make(copies=8, seed=3)
        found.append(played(world, TeamNetworks(world, settings, 1, 0), settings, seed))
    np.testing.assert_array_equal(found[0].action, found[1].action)
    np.testing.assert_array_equal(found[0].seen, found[1].seen)
    assert (found[0].action != found[2].action).any()


@pytest.mark.parametrize("name", ["own", "seen"])
def test_numbers_that_are_not_finite_are_told_and_not_learned_from(name):
    tape = random_tape(np.random.default_rng(7))
    tape[name][5, 1, 0] = np.nan
    world, settings = SaysWhatIsOnTape(tape, (2, 2)), small(steps=12)
    with pytest.raises(WorldError, match=r"agent_0.*not finite"):
        played(world, TeamNetworks(world, settings, 1, 0), settings)
