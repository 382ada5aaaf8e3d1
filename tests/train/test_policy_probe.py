"""The gradients of micro-batches are the gradient; the dead have none, a signal shows."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from step_worlds import PaysTheBetterArm, SaysWhatIsOnTape, random_tape, small

from counterpoint.train.ppo.improve import split_by_set
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.probe import MICRO_BATCHES, both_gradients, measure_policies
from counterpoint.train.ppo.settings import PolicySettings

TEAMS = [
    {},
    {"parameters": "separate"},
    {"parameters": "per_role", "names": ("a_0", "b_0", "a_1")},
    {"memory": "gru"},
    {"memory": "gru", "parameters": "per_role", "names": ("a_0", "b_0", "a_1")},
    {"bounds": (-1.0, 1.0)},
    {"activation": "relu", "layers": 3, "parameters": "separate", "memory": "gru"},
]


def measured(given, *, copies=16, steps=6, seed=0, always=False):
    given = dict(given)
    names, bounds = given.pop("names", None), given.pop("bounds", None)
    tape = random_tape(
        np.random.default_rng(seed), steps=steps, copies=copies, agents=3, turns=not always,
        leaving=not always, legal=0 if bounds or always else 3,
    )  # fmt: skip
    world = SaysWhatIsOnTape(tape, (2, 3, 3), bounds, names)
    learner = Learner(
        world, "mappo_per_agent", small(**{"steps": steps, "copies": copies, **given}), 0
    )
    batch = learner.collector.play(learner.team)
    estimate = learner.estimate(batch)
    parts = split_by_set(batch, estimate.advantage, estimate.target, learner.critics)
    return learner, parts, estimate, batch


def mean_gradient(actor, part, member, rows):
    """Gradient of the mean of A log pi over `rows` of sequences for one agent, by autograd."""
    log_prob, _ = actor(part.seen, part.action, part.hidden, part.keep, part.legal)
    weight = part.advantage if part.active is None else part.advantage * part.active
    target = (log_prob * weight)[member, rows].mean()
    named = {n: x for n, x in actor.named_parameters() if n != "log_std"}
    grads = torch.autograd.grad(target, list(named.values()))
    return {name: g.double().numpy() for name, g in zip(named, grads, strict=True)}


def by_layer(actor, flat):
    """A row of micro-gradients as parameters by name, in the order in which layers were called."""
    layers = {n: m for n, m in actor.named_modules() if isinstance(m, torch.nn.Linear)}
    order = [
        *[n for n in layers if "layers" in n],
        *[n for n in layers if "cell" in n],
        "network.head",
    ]
    found, at = {}, 0
    for name in order:
        rows, columns = layers[name].weight.shape
        size = rows * (columns + 1)
        both = flat[at : at + size].reshape(rows, columns + 1)
        found[f"{name}.weight"], found[f"{name}.bias"] = both[:, :-1], both[:, -1]
        at += size
    assert at == len(flat)
    return found


@pytest.mark.parametrize("given", TEAMS, ids=str)
@pytest.mark.parametrize("copies", [16, 9])
def test_micro_batches_sum_to_the_gradient_that_autograd_finds(given, copies):
    learner, parts, _, batch = measured(given, copies=copies)
    (micro, _), decided = both_gradients(learner.team, parts, copies)
    assert micro.shape[:2] == decided.shape == (MICRO_BATCHES, 3)
    acts = batch.active[:, :6]
    assert not acts.all()
    start = 0
    for actor, part, whose in zip(learner.team.actors, parts, learner.team.sets, strict=True):
        n = part.seen.shape[1]
        by_copy = np.arange(n).reshape(n // copies, copies).T.ravel()
        used = by_copy[: n // MICRO_BATCHES * MICRO_BATCHES]
        groups = used.reshape(MICRO_BATCHES, -1)
        size = sum(x.numel() for name, x in actor.named_parameters() if name != "log_std")
        for member, k in enumerate(whose.members):
            outside = np.delete(micro[:, k], np.s_[start : start + size], axis=-1)
            assert (outside == 0).all()
            for flat, rows in ((micro[:, k].mean(axis=0), used), (micro[3, k], groups[3])):
                wanted = mean_gradient(actor, part, member, rows)
                found = by_layer(actor, flat[start : start + size])
                assert found.keys() == wanted.keys()
                for name in wanted:
                    np.testing.assert_allclose(
                        found[name], wanted[name], rtol=1e-4, atol=1e-6, err_msg=name
                    )
            if copies == 16:
                np.testing.assert_allclose(decided[:, k].mean(), acts[k].mean(), rtol=1e-6)
        start += size
    assert start == micro.shape[-1]


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_a_micro_batch_is_whole_copies(memory):
    """Advantages of copies 4 and 5 of 16 alone: the third micro-batch has all of the gradient."""
    learner, _, estimate, batch = measured({"memory": memory}, always=True)
    advantage = np.zeros_like(estimate.advantage)
    advantage[:, :, 4:6] = 1.0
    parts = split_by_set(batch, advantage, estimate.target, learner.critics)
    (micro, _), _ = both_gradients(learner.team, parts, 16)
    there = abs(micro).max(axis=(1, 2)) > 0
    assert there.tolist() == [False, False, True, *[False] * 5]


def test_noise_that_copies_share_is_not_taken_for_a_signal():
    """10 copies, each with one advantage of chance for all its steps: the mean cosine stays near 0.

    Were steps of a copy put into different micro-batches, they would agree about that chance.
    """
    learner, _, estimate, batch = measured({}, copies=10, steps=20, always=True)
    rng, found = np.random.default_rng(0), []
    for _ in range(60):
        chance = rng.normal(size=(3, 1, 10)) * np.ones((3, 20, 10))
        parts = split_by_set(batch, chance, estimate.target, learner.critics)
        credited = replace(estimate.credited, out=chance.ravel())
        told, _ = measure_policies(learner, parts, credited)
        found += [numbers["cosine"] for numbers in told]
    assert abs(np.mean(found)) < 0.12


def test_a_dead_agent_has_no_gradient_and_its_clean_twin_has():
    learner, parts, estimate, batch = measured({}, always=True)
    clean, _ = measure_policies(learner, parts, estimate.credited)
    assert all(told["norm"] > 0 and told["dead_rate"] == 0 for told in clean)
    advantage, out = estimate.advantage.copy(), estimate.credited.out.copy()
    advantage[1] = 0.0
    out[estimate.credited.columns["agent"] == 1] = 0.0
    dead_parts = split_by_set(batch, advantage, estimate.target, learner.critics)
    credited = replace(estimate.credited, out=out)
    dead, team = measure_policies(learner, dead_parts, credited)
    assert dead[1]["norm"] == dead[1]["share"] == dead[1]["cosine"] == 0.0
    assert dead[1]["dead_rate"] == 1.0
    assert dead[1]["cosine_low"] == -1.0
    for k in (0, 2):
        assert dead[k]["norm"] == pytest.approx(clean[k]["norm"])
    assert team["participation_ratio"] <= 2.0 + 1e-9


@pytest.mark.parametrize("given", [{}, {"memory": "gru"}, {"parameters": "separate"}], ids=str)
def test_a_planted_signal_is_told_from_zero(given):
    world = PaysTheBetterArm(64)
    learner = Learner(world, "mappo_per_agent", small(copies=64, **given), 0)
    batch = learner.collector.play(learner.team)
    estimate = learner.estimate(batch)
    parts = split_by_set(batch, estimate.advantage, estimate.target, learner.critics)
    told, _ = measure_policies(learner, parts, estimate.credited)
    for numbers in told:
        assert numbers["snr"] > 10
        assert numbers["cosine_low"] > 0
        assert numbers["entropy"] == pytest.approx(np.log(2), rel=1e-3)
        assert numbers["participation"] == 1.0


def test_too_few_copies_of_a_recurrent_team_are_no_measurement():
    learner, parts, estimate, _ = measured({"memory": "gru"}, copies=5)
    told, team = measure_policies(learner, parts, estimate.credited)
    for numbers in told:
        for name in ("snr", "cosine", "cosine_low", "norm", "share"):
            assert numbers[name] is None
        assert numbers["entropy"] > 0
        assert 0 < numbers["participation"] < 1
    assert team == {"participation_ratio": None, "effective_rank": None}


def test_an_agent_that_decides_in_few_micro_batches_is_not_measured():
    learner, parts, estimate, batch = measured({}, always=True)
    batch.active[0, :, 4:] = False  # of 16 copies: 2 of 8 micro-batches are left
    parts = split_by_set(batch, estimate.advantage, estimate.target, learner.critics)
    acts = batch.active[:, :6]
    kept = acts.ravel()
    credited = replace(
        estimate.credited,
        given=estimate.credited.given[kept],
        out=estimate.credited.out[kept],
        columns={name: x[kept] for name, x in estimate.credited.columns.items()},
    )
    told, _ = measure_policies(learner, parts, credited)
    assert told[0]["cosine"] is None
    assert told[0]["participation"] == 0.25
    assert told[1]["cosine"] is not None


def test_measuring_changes_nothing():
    learner, parts, estimate, _ = measured({})
    before = copy.deepcopy(learner.adam.capture())
    measure_policies(learner, parts, estimate.credited)
    for name, x in learner.adam.capture().items():
        np.testing.assert_array_equal(x, before[name])
    assert (learner.adam.gradient == 0).all()


@pytest.mark.parametrize(
    ("scheme", "parameters", "told"),
    [("none", "separate", False), ("none", "shared", True), ("mappo_pooled", "separate", True)],
)
def test_a_share_of_the_scale_is_told_where_something_is_shared(scheme, parameters, told):
    settings = {"copies": 8, "steps": 5, "hidden": 8, "parameters": parameters}
    plan = TrainPlan("spread", scheme, budget=40, policy=PolicySettings(**settings))
    learner, found = plan.learner(), []

    def look(batch, estimate, parts):
        found.append(measure_policies(learner, parts, estimate.credited)[0])

    learner.update(look)
    assert [(agent["signal_share"] is not None) for agent in found[0]] == [told] * 3
