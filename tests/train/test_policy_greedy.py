"""Greedy evaluations on the way: what they say, and that they change nothing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from step_worlds import PaysTheBetterArm, small

from counterpoint.report.pages.training import training_page
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.plan import PolicyTrainer, TrainPlan
from counterpoint.train.result import training_result


def without_greedy(row):
    metrics = {k: v for k, v in row.metrics.items() if k != "greedy_return"}
    return replace(row, metrics=metrics, seconds=0)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("world", "settings", "given"),
    [
        ("spread", {}, {}),
        ("speaker_listener", {"continuous": True}, {"memory": "gru", "critic": "central"}),
    ],
)
def test_a_training_is_bit_for_bit_the_same_without_it(world, settings, given):
    plan = TrainPlan(
        world, "happo_per_agent", 3, 8 * 4 * 5, None, settings, small(**given), episodes=8
    )
    plain = train_to_end(plan)
    policy = replace(plan.policy, evaluate_every=2)
    evaluated = train_to_end(replace(plan, policy=policy))
    assert [without_greedy(row) for row in evaluated.rows] == [
        replace(row, seconds=0) for row in plain.rows
    ]
    assert evaluated.returns.tolist() == plain.returns.tolist()
    where = [row.update for row in evaluated.rows if "greedy_return" in row.metrics]
    assert where == [2, 4]
    assert not any("greedy_return" in row.metrics for row in plain.rows)


@pytest.mark.parametrize("continuous", [False, True])
def test_the_most_probable_action_is_taken_and_the_mean_of_continuous_ones(continuous):
    world = PaysTheBetterArm(4, continuous=continuous)
    learner = Learner(world, "none", small(), 0)
    plan = SimpleNamespace(
        seed=0, make_world=lambda _, n: PaysTheBetterArm(n, continuous=continuous)
    )
    team = PolicyTrainer(plan, learner)
    with torch.no_grad():
        head = learner.team.actors[0].network.head
        head.weight.zero_()
        head.bias[-1] = 0.01 if not continuous else -0.5
    # 2 agents, 2 steps: the better arm by a hair, or the number 0.5 in [0, 2] that -0.5 stands for
    wanted = 4 * (0.5 if continuous else 1.0)
    assert team.greedy_return() == {"greedy_return": pytest.approx(wanted)}
    sampled = learner.collector.play(learner.team).own.mean()
    assert abs(sampled - wanted / 4) > 0.05
    team.close()


def test_episodes_that_do_not_end_give_no_number(monkeypatch):
    monkeypatch.setattr("counterpoint.train.stepwise.LONGEST_EVALUATION", 40)
    policy = small(evaluate_every=1)
    plan = TrainPlan("spread", "none", 0, 64, None, {"horizon": 60}, policy)
    trainer = plan.trainer()
    assert trainer.greedy_return() == {}
    trainer.close()


def test_by_default_it_is_as_often_as_3_percent_of_the_time_allow():
    # 0.15 * 25 steps / 25 steps / 0.03, and twice that for episodes of 50 steps
    assert TrainPlan.of("spread", "none", None, {}, None).policy.evaluate_every == 5
    assert TrainPlan.of("foraging", "none", None, {}, None).policy.evaluate_every == 10
    given = TrainPlan.of("spread", "none", None, {"evaluate_every": 0}, None)
    assert given.policy.evaluate_every == 0
    config = given.config()
    del config["policy"]["evaluate_every"]
    assert TrainPlan.from_config(config) == given  # an old run has none


def test_the_page_draws_it(tmp_path):
    plan = TrainPlan("spread", "none", 0, 128, policy=small(evaluate_every=2), episodes=2)
    with RunDirectory.create(tmp_path / "run", plan.config()) as run:
        train_to_end(plan, run=run)
    result = training_result(tmp_path / "run")
    first, second, third, fourth = result.curve["greedy_return"]
    assert first is third is None
    assert second < 0
    assert fourth < 0
    figure = training_page(result).contents["curve"]
    assert figure.header[-1] == "greedy"
    assert [row[-1] for row in figure.rows] == [None, second, None, fourth]
    assert "greedy actions" in figure.wide
