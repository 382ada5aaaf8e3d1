"""What an update could not use is reported, each kind once, and a clean twin is silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from counterpoint.credit import catalogue
from counterpoint.integrations import TeamCredit

NAN = float("nan")
LABELS = {"prompt": [0, 0, 1, 1], "rollout": [0, 1, 0, 1], "agent": ["a"] * 4}


def warned_by(scheme, batches, labels=LABELS, **more):
    warned = []
    credit = TeamCredit(scheme, warn=warned.append, check_every=0, **more)
    for rewards in batches:
        credit(rewards, labels)
    return [line for line in warned if not line.startswith("no-op")], credit


def test_a_healthy_training_is_silent():
    rng = np.random.default_rng(0)
    assert warned_by("agent_wise", rng.normal(size=(60, 4)))[0] == []


def test_some_rows_without_a_reward():
    warned, credit = warned_by("grpo", [[1.0, 0.0, None, 1.0]] * 3)
    assert warned == [
        "missing: 1 of the 4 rows of update 0 have no reward (None or NaN in every component that "
        "has a weight). Their advantage is 0 and no statistic counts them. The metric "
        "counterpoint/left_out counts them in every update."
    ]
    assert credit.total.left_out == 3


def test_a_component_that_stops_is_named():
    both, one = [[1.0, 2.0], [0.0, 1.0]] * 2, [[1.0, NAN], [0.0, NAN]] * 2
    warned, credit = warned_by("grpo", [both, one, one, both], components=("right", "judge"))
    assert warned == [
        "missing: no row of update 1 (4 rows) has a value of the reward component 'judge', which "
        "rows like them had in earlier updates. They count with the sum of their other components. "
        "In every update, the metric counterpoint/missing counts rows that lack a component."
    ]
    assert credit.total.missing == 8
    assert warned_by("grpo", [one, one])[0] == []  # it never had a value: nothing stopped
    logged = replace(catalogue()["grpo"], weights=(1.0, 0.0))
    assert warned_by(logged, [both, one])[0] == []  # it is only logged


def test_an_update_without_one_of_two_tasks_is_healthy():
    right, code = [[1.0, NAN], [0.0, NAN]] * 2, [[NAN, 1.0], [NAN, 0.0]] * 2
    assert warned_by("grpo", [right[:2] + code[:2], right, right, code])[0] == []
    judged, down = [[1.0, NAN, 3.0], [NAN, 1.0, 2.0]] * 2, [[1.0, NAN, NAN], [NAN, 1.0, NAN]] * 2
    warned, _ = warned_by("grpo", [judged, down])
    assert len(warned) == 1
    assert "reward component 2" in warned[0]


def test_rewards_of_agents_that_a_scheme_averages():
    labels = {"prompt": [0] * 4, "rollout": [0, 0, 1, 1], "agent": ["a", "b", "a", "b"]}
    warned, credit = warned_by("grpo", [[5.0, 0.0, 6.0, 2.0]] * 3, labels)
    assert len(warned) == 1
    assert warned[0].startswith("disagreeing: 2 rollouts of update 0 have rows with different")
    assert "grpo_rows or agent_wise" in warned[0]
    assert credit.total.disagreeing == 6
    assert warned_by("grpo", [[5.0, 5.0, 6.0, 6.0]] * 3, labels)[0] == []


@pytest.mark.parametrize(("scheme", "worth"), [
    ("grpo", "0"), (replace(catalogue()["grpo"], singleton="raw"), "its raw reward"),
])  # fmt: skip
def test_groups_of_one(scheme, worth):
    labels = {"prompt": [0, 1, 2, 3], "rollout": [0] * 4, "agent": ["a"] * 4}
    warned, credit = warned_by(scheme, [[1.0, 2.0, 3.0, 4.0]] * 2, labels)
    assert len(warned) == 1
    assert warned[0].startswith("groups of one: each of the 4 groups of update 0 has one row")
    assert f"every advantage is {worth}." in warned[0]
    assert credit.total.singletons == 8
    some = {**LABELS, "prompt": [0, 0, 0, 1], "rollout": [0, 1, 2, 0]}
    assert warned_by(scheme, [[1.0, 2.0, 3.0, 4.0]], some)[0] == []


def test_ten_updates_without_a_difference():
    flat, some = [1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0]
    warned, credit = warned_by("grpo", [flat] * 30)
    assert len(warned) == 1
    assert warned[0].startswith("no signal: in the latest 10 updates the rewards of every group")
    assert credit.total.constants == 60
    assert warned_by("grpo", ([flat] * 9 + [some]) * 3)[0] == []
    assert warned_by("none", [[1.0] * 4] * 30)[0] == []  # the advantage is the reward
