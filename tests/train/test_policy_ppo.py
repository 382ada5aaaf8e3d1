"""Improving: the better arm becomes likelier, the loss has the gradient it says, Adam is Adam."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from step_worlds import PaysTheBetterArm, SaysWhatIsOnTape, random_tape, small
from torch import nn

from counterpoint.credit import entries
from counterpoint.train.adam import Adam
from counterpoint.train.ppo.improve import (
    active_mean,
    improve,
    policy_losses,
    split_by_set,
    value_loss,
)
from counterpoint.train.ppo.learner import COUNTERFACTUAL, Learner
from counterpoint.worlds.sequential.channels import Channel

ARMS = (*(name for name, entry in entries().items() if not entry.needs), COUNTERFACTUAL)


def chance_of_the_better_arm(team, world):
    """[A] probability of arm 1, or the mean of the number."""
    seen = torch.from_numpy(world.reset().seen.swapaxes(0, 1)[:, :1, None])
    policy = team.actors
    found = []
    with torch.no_grad():
        for actor, whose in zip(policy, team.sets, strict=True):
            hidden = torch.zeros(len(whose.members), 1, 16)
            keep = torch.ones(len(whose.members), 1, 1)
            out, _ = actor.respond(actor.inputs(seen[whose.rows]), hidden, keep)
            found += [out[..., 0] if actor.continuous else torch.softmax(out, -1)[..., 1]]
    return torch.cat(found).ravel().numpy()


def moved(scheme, updates=1, **changes):
    continuous = changes.pop("continuous", False)
    world = PaysTheBetterArm(continuous=continuous, parts=changes.pop("parts", False))
    given = {"copies": 64, "steps": 4, "hidden": 16, "lr": 0.01, **changes}
    learner = Learner(world, scheme, small(**given), 0)
    before = chance_of_the_better_arm(learner.team, PaysTheBetterArm(continuous=continuous))
    for _ in range(updates):
        learner.update()
    return chance_of_the_better_arm(learner.team, PaysTheBetterArm(continuous=continuous)) - before


@pytest.mark.parametrize("scheme", ARMS)
def test_one_update_makes_the_better_arm_likelier_under_every_scheme(scheme):
    if scheme == COUNTERFACTUAL:  # its critic of actions knows nothing before the first update
        assert (abs(moved(scheme)) < 0.01).all()  # entropy alone
    assert (moved(scheme, updates=1 + (scheme == COUNTERFACTUAL)) > 0.02).all()


@pytest.mark.parametrize("scheme", ["gdpo", "agent_x_component", "mappo_pooled"])
def test_components_lead_to_the_better_arm_as_well(scheme):
    assert (moved(scheme, parts=True) > 0.02).all()


@pytest.mark.few(4)
@pytest.mark.parametrize(
    "given",
    [
        {"parameters": "separate"},
        {"parameters": "per_role"},
        {"critic": "central"},
        {"memory": "gru"},
        {"memory": "gru", "parameters": "separate", "critic": "central"},
        {"continuous": True},
        {"continuous": True, "parameters": "separate", "memory": "gru"},
        {"identity": False},
        {"activation": "relu", "layers": 2},
        {"value_norm": False},
        {"minibatches": 1, "epochs": 1},
    ],
    ids=str,
)
def test_so_does_every_kind_of_team(given):
    assert (moved("mappo_per_agent", updates=3, **given) > 0.02).all()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ARMS)
def test_forty_updates_find_the_better_arm(scheme):
    assert (moved(scheme, updates=40) > 0.4).all()


TALK = {"signalling": 2.0}
CHANNELS = (
    Channel(0, np.array([0, 1]), ((1, np.array([1, 3])),), np.array([2])),
    Channel(1, np.array([0, 1, 1]), ((0, np.array([0])),), np.array([], dtype=int)),
)


def batch_of(seed=0, scheme="mappo_per_agent", bounds=None, legal=3, **changes):
    tape = random_tape(
        np.random.default_rng(seed), steps=6, turns=True, leaving=True, legal=0 if bounds else legal
    )
    world = SaysWhatIsOnTape(tape, (2, 3), bounds)
    settings = small(**{"steps": 6, "hidden": 4, **changes})
    learner = Learner(world, scheme, settings, seed, channels=CHANNELS if bounds is None else ())
    batch = learner.collector.play(learner.team)
    estimate = learner.estimate(batch)
    return learner, split_by_set(batch, estimate.advantage, estimate.target, learner.critics)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"memory": "gru"}, {"bounds": (-1.0, 1.0)}, {"critic": "central"},
        {"scheme": COUNTERFACTUAL}, {"activation": "relu", "parameters": "separate"},
        TALK, {**TALK, "memory": "gru", "parameters": "separate"},
    ],
    ids=str,
)  # fmt: skip
def test_the_gradient_is_that_of_the_loss(given):
    """Central differences at single precision: to 2% of the largest entry, over a step of 1e-2."""
    learner, parts = batch_of(**given)

    def loss():
        total = torch.zeros(())
        for i, part in enumerate(parts):
            policy_loss, _ = policy_losses(learner.team.actors[i], part, learner.settings)
            total = total + policy_loss + value_loss(learner.critics, i, part)
        return total

    learner.adam.zero()
    loss().backward()
    gradient, weights = learner.adam.gradient, learner.adam.weights
    rng, largest = np.random.default_rng(0), float(gradient.abs().max())
    assert largest > 0
    step = 1e-2
    for i in rng.choice(len(weights), 40, replace=False):
        kept = float(weights[i])
        with torch.no_grad():
            weights[i] = kept + step
            above = float(loss())
            weights[i] = kept - step
            below = float(loss())
            weights[i] = kept
        assert abs((above - below) / (2 * step) - float(gradient[i])) < 0.02 * largest + 2e-4


def test_agents_that_did_not_decide_do_not_count():
    for given in ({}, {"memory": "gru"}, {"bounds": (-1.0, 1.0)}):
        learner, parts = batch_of(**given)
        (part,) = parts
        assert 0 < float(part.active.mean()) < 1
        other = copy.copy(part)
        silent = part.active == 0
        noise = torch.randn_like(part.log_prob)
        changed = {
            "log_prob": torch.where(silent, part.log_prob + noise, part.log_prob),
            "advantage": torch.where(silent, noise, part.advantage),
            "target": torch.where(silent[..., None], noise[..., None], part.target),
        }
        other = type(part)(**{**vars(part), **changed})
        for one, two in zip(
            policy_losses(learner.team.actors[0], part, learner.settings)[1].values(),
            policy_losses(learner.team.actors[0], other, learner.settings)[1].values(),
            strict=True,
        ):
            torch.testing.assert_close(one, two)
        found = [value_loss(learner.critics, 0, p) for p in (part, other)]
        torch.testing.assert_close(*found)


def test_the_surrogate_is_clipped_on_the_side_that_gains():
    learner, (part,) = batch_of(seed=1, legal=0)
    ratio = torch.full_like(part.log_prob, 1.5)
    actor = learner.team.actors[0]
    with torch.no_grad():
        now, entropy = actor(part.seen, part.action, None, None, part.legal)
    for advantage, gain in ((2.0, 1.2 * 2), (-2.0, 1.5 * -2)):
        given = {"log_prob": now - ratio.log(), "advantage": torch.full_like(now, advantage)}
        shifted = type(part)(**{**vars(part), **given})
        with torch.no_grad():
            loss, told = policy_losses(actor, shifted, learner.settings)
        assert float(told["policy_loss"]) == pytest.approx(-gain, rel=1e-5)
        assert float(told["clipped"]) == 1.0
        assert float(told["kl"]) == pytest.approx(0.5 - np.log(1.5), rel=1e-4)
        bonus = learner.settings.entropy * float(active_mean(entropy, part.active))
        assert float(loss) == pytest.approx(-gain - bonus, rel=1e-5)


def test_losses_are_means_over_the_parts_however_many_there_are():
    """9 sequences in 4 parts: 3, 2, 2, 2, with nothing learned between them."""
    world = PaysTheBetterArm(9)
    learner = Learner(world, "none", small(copies=9, steps=1, minibatches=4, epochs=2), 0)
    batch = learner.collector.play(learner.team)
    estimate = learner.estimate(batch)
    parts = split_by_set(batch, estimate.advantage, estimate.target, learner.critics)
    losses = improve(learner.critics, learner.adam, parts, learner.shuffles, lr=0.0)
    assert losses["entropy"] == pytest.approx(np.log(2), rel=1e-3)
    assert learner.adam.steps == 8


def test_every_sequence_in_which_somebody_decided_is_seen_once_a_pass(monkeypatch):
    learner, parts = batch_of(epochs=3, minibatches=5)
    decided = parts[0].active.sum(dim=(0, 2)).nonzero()[:, 0].tolist()
    assert 5 < len(decided) < 18
    seen = []
    at = type(parts[0]).at
    monkeypatch.setattr(type(parts[0]), "at", lambda s, which: seen.append(which) or at(s, which))
    improve(learner.critics, learner.adam, parts, learner.shuffles, 0.0)
    assert len(seen) == 15
    for i in range(0, 15, 5):
        assert torch.cat(seen[i : i + 5]).sort().values.tolist() == decided
    assert seen[0].tolist() != seen[5].tolist()


def test_the_learning_rate_falls_to_zero_along_the_budget():
    world, settings = PaysTheBetterArm(8), small(anneal=True, lr=0.01)
    learner = Learner(world, "none", settings, 0, budget=4 * 32)
    rates = []
    for _ in range(5):
        rates.append(learner.lr)
        learner.update()
    np.testing.assert_allclose(rates, [0.01, 0.0075, 0.005, 0.0025, 0.0])


def test_the_entropy_bonus_goes_to_its_end_along_the_budget():
    world, settings = PaysTheBetterArm(8), small(entropy=0.4, entropy_end=0.1)
    learner = Learner(world, "none", settings, 0, budget=3 * 32)
    weights = []
    for _ in range(5):
        weights.append(learner.entropy)
        learner.update()
    np.testing.assert_allclose(weights, [0.4, 0.3, 0.2, 0.1, 0.1])
    assert Learner(world, "none", small(entropy=0.4), 0, budget=32).entropy == 0.4


@pytest.mark.parametrize(
    "given", [{}, {"update": "sequential", "parameters": "separate"}], ids=["together", "in turn"]
)
def test_the_present_weight_of_the_entropy_bonus_is_the_one_that_learns(given):
    def learned(**changes):
        world = PaysTheBetterArm(8)
        learner = Learner(world, "none", small(**given, **changes), 0, budget=4 * 32)
        learner.update()
        learner.update()
        return learner.adam.weights.clone()

    constant = learned(entropy=0.4)
    assert torch.equal(learned(entropy=0.4, entropy_end=0.4), constant)
    assert not torch.equal(learned(entropy=0.4, entropy_end=0.0), constant)


def nets():
    torch.manual_seed(0)
    return nn.ModuleList([nn.Linear(3, 4), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))])


@pytest.mark.parametrize("size", [0.1, 30.0])
def test_adam_is_torch_s_adam_with_each_network_clipped_on_its_own(size):
    mine, theirs = nets(), nets()
    adam = Adam(list(mine), max_norm=0.5)
    other = torch.optim.Adam(theirs.parameters(), lr=0.01, eps=1e-5)
    for step in range(12):
        adam.zero()
        generator = torch.Generator().manual_seed(step)
        for x, y in zip(mine.parameters(), theirs.parameters(), strict=True):
            gradient = size * torch.randn(x.shape, generator=generator)
            (x * gradient).sum().backward()
            y.grad = gradient
        for net in theirs:
            nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        adam.step(0.01)
        other.step()
        for x, y in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-7)


def test_a_loud_network_does_not_take_the_others_gradient():
    mine = nets()
    adam = Adam(list(mine), max_norm=0.5)
    adam.gradient[:16] = 1e6
    adam.gradient[16:] = 0.01
    adam.step(0.0)
    assert float(adam.gradient[:16].norm()) == pytest.approx(0.5)
    assert (adam.gradient[16:] == 0.01).all()


def test_adam_goes_on_where_it_was_captured():
    one, other = nets(), nets()
    first = Adam(list(one), 0.5)
    for step in range(3):
        first.gradient.fill_(step - 1.0)
        first.step(0.01)
    second = Adam(list(other), 0.5)
    second.restore(first.capture())
    for adam in (first, second):
        adam.gradient.fill_(0.3)
        adam.step(0.01)
    assert torch.equal(first.weights, second.weights)
    for x, y in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(x, y)  # the networks hold what was restored
