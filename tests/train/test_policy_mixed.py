"""Teams in which some agents choose and others give numbers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from bit_worlds import SortsAndAims
from step_worlds import played, small

from counterpoint.errors import SchemeError
from counterpoint.testing import check_step_world
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.improve import improve, ratios, split_by_set
from counterpoint.train.ppo.learner import Crediting, Learner
from counterpoint.train.ppo.networks import TeamNetworks, sets_of
from counterpoint.train.ppo.plan import PolicyTrainer, TrainPlan
from counterpoint.train.ppo.rollout import RolloutCollector, within_bounds
from counterpoint.worlds import to_parallel_env
from counterpoint.worlds.sequential.world import StepSettings

OWN = "mixed_env:SortsAndAims"


def test_the_world_keeps_the_promises_of_worlds():
    check_step_world(lambda copies, seed: SortsAndAims(copies=copies, seed=seed), steps=20)


def test_a_team_learns_the_best_choices_and_numbers_from_one_reward():
    given = {"hidden": 16, "copies": 64, "steps": 25, "lr": 0.01, "entropy": 0.001}
    policy = small(**given)
    world = SortsAndAims(StepSettings(reward="common"), copies=64, seed=1)
    learner = Learner(world, "mappo_pooled", policy, 0)
    for _ in range(25):
        learner.update()
    greedy = RolloutCollector(SortsAndAims(copies=64, seed=9), policy, 0, greedy=True)
    returns = greedy.play(learner.team, 25).returns  # 5 is the best, about 0 a random team's
    assert returns.mean() >= 4.75


def test_log_probabilities_are_those_of_choices_and_of_densities():
    world, policy = SortsAndAims(copies=3, seed=2), small(identity=False)
    team = TeamNetworks(world, policy, 1, 4)
    batch = played(world, team, policy)
    assert batch.action.shape == (2, 4, 3, 2)  # the largest number of dimensions, not of choices
    by_set = {group.name: actor for actor, group in zip(team.actors, team.sets, strict=True)}
    seen = torch.from_numpy(batch.seen[:, :4].copy())
    with torch.inference_mode():
        logits = by_set["team (choices)"].network(seen[1:, :, :])[0][0].double().numpy()
        mean = by_set["team (numbers)"].network(seen[:1, :, :])[0][0].double().numpy()
    choice = batch.action[1, ..., 0].astype(int)
    assert set(choice.ravel()) <= {0, 1, 2}
    weights = np.exp(logits)
    chance = np.take_along_axis(weights, choice[..., None], -1)[..., 0] / weights.sum(-1)
    np.testing.assert_allclose(batch.log_prob[1], np.log(chance), rtol=1e-5)
    std = np.exp(-0.5)  # at first
    density = np.exp(-(((batch.action[0] - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(batch.log_prob[0], np.log(density.prod(-1)), rtol=1e-4)


def test_what_the_world_gets_is_the_choice_and_numbers_within_bounds():
    raw = np.array([[[-3.0, 0.5], [2.0, 2.0]]])
    assert within_bounds(SortsAndAims(), raw).tolist() == [[[-1.0, 0.5], [2.0, 0.0]]]


@pytest.mark.parametrize("given", [{}, {"memory": "gru"}, {"critic": "central"}])
def test_the_update_judges_the_actions_as_the_rollout_did(given):
    learner = Learner(SortsAndAims(copies=8, seed=1), "mappo_per_agent", small(**given), 0)
    batch = learner.collector.play(learner.team)
    estimate = learner.estimate(batch)
    parts = split_by_set(batch, estimate.advantage, estimate.target, learner.critics)
    choices, numbers = parts
    assert choices.action.dtype == torch.int64
    assert choices.action.shape == choices.log_prob.shape
    assert numbers.action.shape == (*numbers.log_prob.shape, 2)
    for actor, part in zip(learner.team.actors, parts, strict=True):
        torch.testing.assert_close(ratios(actor, part), torch.ones_like(part.log_prob))
    losses = improve(learner.critics, learner.adam, parts, learner.shuffles, 0.0)
    with torch.inference_mode():
        for name, actor, part in zip(
            ("entropy", "density_entropy"), learner.team.actors, parts, strict=True
        ):
            _, entropy = actor(part.seen, part.action, part.hidden, part.keep)
            assert losses[name] == pytest.approx(float(entropy.mean()), rel=1e-5)
    # two dimensions of deviation exp(-0.5): log(2 pi e) - 1
    assert losses["density_entropy"] == pytest.approx(np.log(2 * np.pi * np.e) - 1, rel=1e-5)


def test_kinds_never_share_a_network():
    world = SortsAndAims()
    names = {p: [g.name for g in sets_of(world, small(parameters=p))] for p in
             ("shared", "per_role", "separate")}  # fmt: skip
    assert names["shared"] == ["team (choices)", "team (numbers)"]
    assert names["per_role"] == names["separate"] == ["aimer", "sorter"]
    world.roles = ("agent", "agent")
    sets = sets_of(world, small(parameters="per_role"))
    assert [(group.name, group.members) for group in sets] == [
        ("agent (choices)", (1,)), ("agent (numbers)", (0,)),
    ]  # fmt: skip


def test_a_plan_says_so_and_measures_each_agent():
    plan = TrainPlan.of(OWN, "happo_per_agent", 100, {"copies": 16, "hidden": 8}, None)
    (note,) = plan.notes
    assert "parameters=shared means one for each kind" in note
    assert "team (choices): sorter_0; team (numbers): aimer_0" in note
    assert TrainPlan.of(OWN, "none", 9, {"parameters": "separate"}, None).notes == ()
    trainer = plan.trainer()
    assert isinstance(trainer, PolicyTrainer)
    assert trainer.continuous == {"aimer_0"}
    aimer, sorter = trainer.update(None).measured[0]
    assert sorter["entropy"] == pytest.approx(np.log(6), abs=0.01)
    assert aimer["entropy"] == pytest.approx(np.log(2 * np.pi * np.e) - 1, abs=0.01)
    assert aimer["snr"] is not None
    assert np.isfinite(trainer.greedy_return()["greedy_return"])
    trainer.close()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("scheme", "given"),
    [
        ("mappo_pooled", {}),
        ("happo", {"update": "sequential", "parameters": "separate"}),
        ("group_reward_decoupled", {"memory": "gru", "parameters": "per_role"}),
    ],
)
def test_agents_may_be_listed_in_any_order(scheme, given):
    results = []
    for names in itertools.permutations(("sorter_0", "aimer_0", "sorter_1")):
        policy = small(copies=4, steps=7, diagnose_every=1, **given)
        settings = {"names": " ".join(names), "masks": True}
        plan = TrainPlan(OWN, scheme, 1, 56, None, settings, policy, episodes=4)
        result = train_to_end(plan)
        rows = [replace(row, seconds=0) for row in result.rows]
        results.append((rows, result.returns.tolist(), result.agents))
    assert all(result == results[0] for result in results)


def test_counterfactual_needs_choices_of_every_agent():
    with pytest.raises(SchemeError, match="wanted discrete actions of every agent"):
        Crediting.of("counterfactual", SortsAndAims(), small())


def test_pettingzoo_plays_it():
    pytest.importorskip("pettingzoo", reason="needs pettingzoo")
    env, world = to_parallel_env(SortsAndAims(seed=3)), SortsAndAims(seed=3)
    env.reset(seed=5)
    world.reset(5)
    _, rewards, *_ = env.step({"aimer": np.array([0.25, 0.0]), "sorter": 1})
    step = world.step(np.array([[[0.25, 0.0], [1.0, 0.0]]]))
    assert list(rewards.values()) == step.reward[0].tolist()
