"""HAPPO: agents learn one after the other, each on what those before it do now."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from step_worlds import SaysWhatIsOnTape, random_tape, small

from counterpoint.comparison import Plan
from counterpoint.comparison.run import backend_of
from counterpoint.errors import SchemeError, SettingError
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.improve import improve, ratios, split_by_set
from counterpoint.train.ppo.learner import Crediting, Learner
from counterpoint.train.session import plan_from_config, plan_of
from counterpoint.worlds import find_world

TURNS = {"update": "sequential", "parameters": "separate"}


def learner_and_batches(*, agents=3, **given):
    """A learner of agents that are sometimes absent, and the batch of each agent."""
    tape = random_tape(np.random.default_rng(4), agents=agents, leaving=True, copies=4)
    settings = small(**{**TURNS, "steps": 12, "copies": 4, "lr": 0.05, "max_norm": 0.3, **given})
    learner = Learner(SaysWhatIsOnTape(tape, (3,) * agents), "happo", settings, 0)
    batch = learner.collector.play(learner.team)
    assert not batch.active.all()
    estimate = learner.estimate(batch)
    return learner, split_by_set(batch, estimate.advantage, estimate.target, learner.critics)


def log_prob_of(actor, batch):
    """[rows] log-probabilities of the actions taken, from logits."""
    logits, _ = actor.network(batch.seen)
    return torch.log_softmax(logits[0, :, 0], dim=-1).gather(-1, batch.action[0]), logits[0, :, 0]


def test_an_update_is_that_of_the_published_algorithm_step_by_step():
    learner, batches = learner_and_batches(epochs=2, minibatches=1)
    settings, actors, rng = learner.settings, learner.team.actors, np.random.default_rng(9)
    wanted, shuffles = [], np.random.default_rng(9)
    factor = torch.ones(len(batches[0].log_prob[0]), 1)
    twin = learner_and_batches(epochs=2, minibatches=1)[0].team
    for i in shuffles.permutation(3).tolist():
        actor, batch = twin.actors[i], batches[i]
        adam = torch.optim.Adam(actor.parameters(), lr=settings.lr, eps=1e-5)
        old, acts = batch.log_prob[0], batch.active[0]
        weight = factor * batch.advantage[0]
        for _ in range(2):
            shuffles.permutation(len(old))
            new, logits = log_prob_of(actor, batch)
            ratio = (new - old).exp()
            low, high = 1 - settings.clip, 1 + settings.clip
            gain = torch.minimum(ratio * weight, ratio.clamp(low, high) * weight)
            chances = torch.softmax(logits, dim=-1)
            entropy = -(chances * chances.log()).sum(dim=-1, keepdim=True)
            loss = -((gain + settings.entropy * entropy) * acts).sum() / acts.sum()
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(actor.parameters(), settings.max_norm)
            adam.step()
        with torch.no_grad():
            new, _ = log_prob_of(actor, batch)
            factor = factor * torch.where(acts > 0, (new - old).exp(), 1.0)
        wanted.append(i)
    assert sorted(wanted) == [0, 1, 2]
    assert (factor - 1).abs().max() > 0.05  # it matters who came before
    before = [p.clone() for p in actors[wanted[0]].parameters()]
    improve(learner.critics, learner.adam, batches, rng, settings.lr)
    for mine, theirs in zip(actors, twin.actors, strict=True):
        for one, two in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, two, atol=2e-5, rtol=1e-4)
    moved = [
        (x - y).abs().max() for x, y in zip(actors[wanted[0]].parameters(), before, strict=True)
    ]
    assert max(moved) > 0.01
    assert learner.adam.steps == 2


def test_the_critics_learn_as_if_agents_learned_together():
    sequential, batches = learner_and_batches(epochs=1, minibatches=1)
    together, others = learner_and_batches(epochs=1, minibatches=1)
    object.__setattr__(together.settings, "update", "simultaneous")
    improve(sequential.critics, sequential.adam, batches, np.random.default_rng(0), 0.01)
    improve(together.critics, together.adam, others, np.random.default_rng(0), 0.01)
    for one, two in zip(sequential.team.critics, together.team.critics, strict=True):
        for mine, theirs in zip(one.parameters(), two.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_an_agent_that_did_not_decide_multiplies_by_one():
    learner, batches = learner_and_batches()
    for part in learner.team.actors[0].parameters():
        part.data += 0.3
    found, acts = ratios(learner.team.actors[0], batches[0]), batches[0].active
    assert (found[acts == 0] == 1).all()
    assert (found[acts > 0] != 1).any()


def test_one_network_for_several_agents_is_refused():
    with pytest.raises(SettingError, match="parameters=separate"):
        plan_of("spread", "happo", given={"parameters": "shared"})
    with pytest.raises(SchemeError, match="update=sequential"):
        Crediting.of("happo", find_world("spread").make(), small())


def test_happo_is_an_arm_with_settings_of_its_own():
    plan = plan_of("spread", "happo", given={"hidden": "8"})
    assert (plan.policy.update, plan.policy.parameters) == ("sequential", "separate")
    assert plan_from_config(json.loads(json.dumps(plan.config()))) == plan
    both = backend_of(Plan("spread", ("happo", "mappo_pooled"), settings={"hidden": "8"}))
    assert both.training("happo", 0).policy.update == "sequential"
    assert both.training("mappo_pooled", 0).policy.update == "simultaneous"
    assert both.settings["parameters"] == "shared"  # those of the schemes
    scheme = Crediting.of("happo", find_world("spread").make(), plan.policy)
    assert scheme.scheme.groups_by_agent


def test_a_stopped_training_in_turn_continues_bit_for_bit(tmp_path):
    given = {"hidden": 8, "copies": 8, "steps": 5, "minibatches": 2, "diagnose_every": 2}
    plan = replace(plan_of("foraging", "happo", budget=160, given=given), episodes=4)
    straight, rows = train_to_end(plan), []
    for until in (1, 3, 99):
        there = (tmp_path / "run").exists()
        run = (
            RunDirectory.open(tmp_path / "run")
            if there
            else RunDirectory.create(tmp_path / "run", plan.config())
        )
        with run:
            before = len(run.rows())
            rows.clear()
            done = train_to_end(
                plan, run=run, on_row=rows.append,
                should_stop=lambda before=before, until=until: before + len(rows) >= until,
            )  # fmt: skip
    assert [replace(row, seconds=0) for row in done.rows] == [
        replace(row, seconds=0) for row in straight.rows
    ]
    np.testing.assert_array_equal(done.returns, straight.returns)


def test_a_run_under_the_former_name_of_its_scheme_is_one_of_the_same_plan():
    former, now = (plan_of("spread", f"{name}_per_agent") for name in ("happo", "mappo"))
    assert former == now
    assert plan_from_config({**now.config(), "scheme": "happo_per_agent"}) == now
    compared = backend_of(Plan("spread", ("mappo_pooled", "happo_per_agent")))
    assert compared.training("happo_per_agent", 0) == now
