"""Teams that learn action values with memory: sequences from the replay, and what they remember."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bit_worlds import NamesTheBit, NamesTheLargeBit, NamesTheSmallBit, RemembersTheBit
from step_worlds import GoesOnOnTape, random_tape

from counterpoint.train.algorithms import VALUE_BASED
from counterpoint.train.session import plan_of
from counterpoint.train.value.collector import ValueCollector
from counterpoint.train.value.learner import LARGE, ValueLearner
from counterpoint.train.value.plan import ValuePlan
from counterpoint.train.value.settings import ValueSettings
from counterpoint.worlds import find_world

SMALL = ValueSettings(
    memory="gru", hidden=8, layers=1, mixing=4, copies=3, steps=5, batch=15, passes=2
)
LENGTH = 7


def played(algorithm, steps=40, tape_of=None, **given):
    """A learner that has played a whole tape without learning, and the tape."""
    tape = random_tape(np.random.default_rng(5), steps=steps, **(tape_of or {}))
    agents = tape["seen"].shape[2]
    learner = ValueLearner(
        GoesOnOnTape(tape, (3,) * agents), algorithm, replace(SMALL, **given), 0, 1000
    )
    chance = torch.Generator().manual_seed(1)
    for team in (learner.team, learner.target):  # two networks, both far from their start
        for part in team.parameters():
            part.data += 0.5 * torch.randn(part.shape, generator=chance)
    learner.collector.play(learner.team, steps, 0.5, learner.take)
    return learner, tape


def starts_of(batch, replay):
    """[N] the steps and the copies at which drawn sequences start, found by what was seen there."""
    first = batch.seen[0, :, 0].numpy()
    same = (replay.arrays["seen"][0][None] == first[:, None, None]).all(axis=-1)
    assert (same.sum(axis=(1, 2)) == 1).all()
    return np.argwhere(same)[:, 1:]


def test_a_sequence_is_steps_that_follow_each_other_and_the_memory_before_them():
    learner, tape = played("iql", tape_of={"turns": True}, replay=20 * 3)
    replay = learner.replay
    assert (replay.size, replay.at) == (20, 0)
    learner.collector.play(learner.team, 46, 0.5, learner.take)  # the ring comes round
    assert replay.at == 6
    batch = replay.draw(500, np.random.default_rng(0), LENGTH)
    seams = set()
    for n, (first, copy) in enumerate(starts_of(batch, replay)):
        steps = [(first + i) % 20 for i in range(LENGTH)]
        assert 5 not in steps[:-1]  # the newest step has nothing after it
        seams.add(19 in steps[:-1])
        for name in ("seen", "action", "acts", "reward", "over"):
            wanted = replay.arrays[name][:, steps, copy]
            np.testing.assert_array_equal(getattr(batch, name)[:, n], wanted)
        np.testing.assert_array_equal(batch.memory[:, n], replay.arrays["memory"][:, first, copy])
        # Step r of the ring is step r + 60 of the play, or r + 80 before the newest.
        began = tape["ended"][[(s + 60 + 20 * (s < 6) - 1) % 40 for s in steps], copy]
        np.testing.assert_array_equal(batch.keep[:, n], 1.0 - np.stack([began] * 2))
    assert seams == {True, False}
    assert len({tuple(x) for x in starts_of(batch, replay)}) == 14 * 3  # every one, 14 = 20 - 7 + 1


def test_what_was_played_is_remembered_again_where_the_networks_did_not_change():
    learner, _ = played("qmix", tape_of={"leaving": True, "agents": 3}, parameters="separate")
    batch = learner.replay.draw(50, np.random.default_rng(0), LENGTH)
    with torch.no_grad():
        _, remembered = learner.team(batch.seen, batch.memory, batch.keep)
    for n, (first, copy) in enumerate(starts_of(batch, learner.replay)):
        stored = learner.replay.arrays["memory"][:, first + 1 : first + LENGTH, copy]
        np.testing.assert_allclose(remembered[:, n, :-1], stored, atol=1e-5)


def step_by_step(team, batch, n):
    """[L, A, H] what agents remember after each step of a sequence, one step after the other."""
    memory, out = batch.memory[:, n : n + 1], []
    for i in range(batch.seen.shape[2]):
        if batch.keep[0, n, i] == 0:
            memory = torch.zeros_like(memory)
        here = torch.ones(len(memory), 1, 1)
        memory = team(batch.seen[:, n : n + 1, i : i + 1], memory, here)[1][:, :, 0]
        out.append(memory)
    return out


@pytest.mark.parametrize("algorithm", ["iql", "vdn"])
@pytest.mark.parametrize("kind", [{}, {"turns": True}, {"leaving": True}, {"legal": 3}])
def test_targets_are_values_after_what_each_network_remembers(algorithm, kind):
    learner, tape = played(algorithm, tape_of=kind)
    batch = learner.replay.draw(20, np.random.default_rng(0), LENGTH)
    together, gamma, checked = algorithm == "vdn", learner.settings.gamma, 0
    zero, one = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    with torch.no_grad():
        _, remembered = learner.team(batch.seen, batch.memory, batch.keep)
        found = learner.targets(batch, remembered, zero, one)
        for n, (first, copy) in enumerate(starts_of(batch, learner.replay)):
            memories = [step_by_step(team, batch, n) for team in (learner.team, learner.target)]
            for who in [0] if together else range(2):
                mine = [0, 1] if together else [who]
                decides = tape["active"][:, copy][:, mine].any(axis=1)
                for i in range(LENGTH):
                    last = first + i  # the step with which it is known what comes next
                    while last < 39:
                        gone, ended = tape["terminated"][last, copy], tape["ended"][last, copy]
                        if ended or (not together and gone[who]) or decides[last + 1]:
                            break
                        last += 1
                    at = last - first
                    within = decides[first + i] and at < LENGTH
                    held = learner.replay.arrays["ready"][who, first + i, copy]
                    assert batch.ready[who, n, i] == (held and within)
                    if not batch.ready[who, n, i]:
                        continue
                    checked += 1
                    seen = batch.after_seen[:, n : n + 1, i : i + 1]
                    can = batch.after_legal
                    can = None if can is None else can[:, n : n + 1, i : i + 1]
                    choose, value = (
                        team(seen, memory[at], torch.ones(2, 1, 1), can)[0][:, 0, 0]
                        for team, memory in zip(
                            (learner.team, learner.target), memories, strict=True
                        )
                    )
                    best = value[[0, 1], choose.argmax(dim=-1)] * batch.after_acts[:, n, i]
                    after = best.sum() if together else best[who]
                    over = batch.over[who, n, i]
                    if not together and not over:
                        after = value[who, choose[who].argmax()]
                    wanted = batch.reward[who, n, i] + gamma * after * (1 - over)
                    torch.testing.assert_close(found[who, n, i], wanted, atol=1e-5, rtol=1e-5)
    assert checked > 60


def right(world, algorithm, budget, **given):
    """The share of right names under the best actions, of those that are paid."""
    many = {
        "copies": 16, "steps": 10, "hidden": 16, "lr": 5e-3, "batch": 160, "passes": 8,
        "replay": 4_000, "tau": 0.05, "epsilon_end": 0.1, "memory": "none",
    }  # fmt: skip
    settings = replace(SMALL, **{**many, **given})
    learner = ValueLearner(world(copies=16, seed=1), algorithm, settings, 0, budget)
    while learner.steps < budget:
        learner.update()
    memory = learner.collector.memory.shape[-1]
    team = ValueCollector(world(copies=64, seed=2), 3, memory)
    return team.play(learner.team, 50, 0.0).by_agent.sum(axis=1).mean() / world.measured[1]


@pytest.mark.few(1)
@pytest.mark.parametrize("algorithm", ["vdn", "iql", "qmix"])
def test_what_was_seen_at_the_first_step_alone_is_named_later(algorithm):
    assert right(RemembersTheBit, algorithm, 8_000, memory="gru") > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", VALUE_BASED)
def test_stored_memory_reaches_beyond_a_sequence(algorithm):
    given = {"memory": "gru", "steps": 2, "batch": 40, "passes": 4}  # episodes have 5 steps
    assert right(RemembersTheBit, algorithm, 8_000, **given) > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", VALUE_BASED)
def test_without_memory_it_stays_at_chance(algorithm):
    assert abs(right(RemembersTheBit, algorithm, 16_000) - 0.5) < 0.05


@pytest.mark.few(1)
@pytest.mark.parametrize("algorithm", VALUE_BASED)
@pytest.mark.parametrize("world", [NamesTheLargeBit, NamesTheBit])
def test_a_bit_in_another_unit_is_learned_like_0_and_1(world, algorithm):
    assert right(world, algorithm, 8_000, gamma=0.0, observations="auto") > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", VALUE_BASED)
def test_raw_numbers_are_learned_where_they_are_small(algorithm):
    assert right(NamesTheSmallBit, algorithm, 8_000, gamma=0.0, observations="raw") > 0.99
    assert right(NamesTheBit, algorithm, 8_000, gamma=0.0, observations="raw") < 0.7


def test_the_replay_keeps_raw_numbers_and_both_networks_see_them_on_one_scale():
    settings = replace(SMALL, observations="normalized")
    learner = ValueLearner(NamesTheBit(copies=3), "qmix", settings, 0, 1000)
    learner.update()
    held = learner.replay.arrays["seen"][:, : learner.replay.size]
    assert set(np.unique(held)) == {3.0, 1e5, 1e5 + 1}
    # The first view counts twice: the first statistics are its, and then it is a step.
    scale, shown = learner.scales.seen, held[..., 0].astype(np.float64)
    numbers = np.concatenate([shown.ravel(), shown[:, 0].ravel()])
    assert scale.count[0, 0] == 2 * 15 + 2 * 3
    np.testing.assert_allclose(scale.mean[0, 0], numbers.mean(), rtol=1e-12)
    assert learner.team.agents[0].inputs.scale is learner.target.agents[0].inputs.scale is scale
    states = torch.from_numpy(learner.replay.arrays["state"])
    assert learner.largest > LARGE
    assert learner.scaled(states).abs().max() <= 10.0


def test_old_configurations_mean_what_they_meant_and_a_plan_names_what_auto_is():
    assert (ValueSettings().length, ValueSettings(memory="gru").length) == (1, 25)
    plan = plan_of("spread", "vdn", budget=100)
    assert (plan.value.observations, plan.value.memory) == ("raw", "none")
    wanted = plan_of(
        "spread", "vdn", budget=100, given={"observations": "normalized", "memory": "gru"}
    )
    config = wanted.config()
    assert ValuePlan.from_config(config) == wanted
    for name in ("observations", "memory"):
        del config["value"][name]
    older = ValuePlan.from_config(config).value
    assert (older.observations, older.memory) == ("raw", "none")


def test_what_was_heard_is_not_asked_of_a_team_that_remembers():
    given = {"hidden": 8, "copies": 8, "steps": 5, "memory": "gru"}
    plan = replace(plan_of("speaker_listener", "vdn", budget=40, given=given), episodes=4)
    team = plan.trainer()
    team.update(None)
    returns, _ = team.evaluate(lambda: False)
    assert len(returns) == 4
    assert [one.bits for one in team.messages.heard] == [None]
    assert find_world("speaker_listener").make().speakers == ("speaker_0",)
