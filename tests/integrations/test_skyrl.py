"""SkyRL: rows of its generators here, its own trainer without models in its own Python."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from peer_python import KERNEL, run_peer

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import LabelError, MissingPackageError, RewardError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.skyrl import batch_advantages, row_columns, with_credit


def output(rollouts, metrics):
    ids = [SimpleNamespace(to_string=lambda name=name: f"p_{name}") for name in rollouts]
    return {"trajectory_ids": ids, "env_metrics": metrics}


def computed(rewards, columns, scheme="agent_wise", *, step_wise=False, trained=None):
    trained = np.ones(len(rewards), bool) if trained is None else np.array(trained)
    paid = np.zeros((len(rewards), 2))
    paid[:, 1] = rewards
    return batch_advantages(paid, trained, columns, TeamCredit(scheme), step_wise).tolist()


def test_without_skyrl_the_error_says_what_to_do():
    with pytest.raises(MissingPackageError, match="pip install skyrl"):
        with_credit(dict)


def test_rows_of_a_trajectory_share_what_its_last_row_names():
    metrics = [{}, {"agent": "a", "task": 4}, {"agent": "b", "task": 4}]
    columns = row_columns(output([0, 0, 1], metrics), ["u", "u", "v"])
    assert columns == {
        "prompt": [4, 4, 4], "rollout": ["p_0", "p_0", "p_1"], "agent": ["a", "a", "b"],
    }  # fmt: skip
    assert row_columns({}, ["u", "v"]) == {"prompt": ["u", "v"], "rollout": ["u_0", "v_1"]}
    with pytest.raises(LabelError, match="'p_1' without 'agent' in env_metrics, and 0 other"):
        row_columns(output([0, 1], [{"agent": "a"}, {}]), ["u", "u"])
    with pytest.raises(LabelError, match="2 other values"):
        row_columns(output([0, 0, 0], [{"agent": "a"}, {}, {"agent": "b"}]), ["u"] * 3)


def test_a_step_has_the_reward_of_its_agents_last_step():
    metrics = [{"agent": a} for a in "abab"]
    columns = row_columns(output([0, 0, 0, 1], metrics), ["u"] * 4)
    # a of rollout 0 ends with 2 and speaks twice; b has 5 in rollout 0 and 7 in rollout 1
    assert computed([9, 5, 2, 7], columns, step_wise=True) == [0, -1, 0, 1]
    assert computed([9, 5, 2, 7], columns) == [1, -1, -1, 1]  # each row a trajectory


def test_padding_and_filtered_rows_are_in_no_statistic():
    columns = row_columns(output([0, 1, 2], [{"agent": "a"}] * 3), ["u"] * 3)
    trained = [True, True, False, False]
    assert computed([0, 1, 50, 60], columns, trained=trained) == [-1, 1, 0, 0]
    assert computed([0, 1, 2, 3], columns, trained=[False] * 4) == [0] * 4


def test_rewards_of_an_agents_own_and_missing_ones():
    metrics = [{"agent": "a", "agent_reward": r} for r in (1.0, None, 0.0)]
    columns = row_columns(output([0, 1, 2], metrics), ["u"] * 3)
    assert computed([9, 9, 9], columns) == [1, 0, -1]
    del columns["agent_reward"]
    assert computed([1, float("nan"), 0], columns) == [1, 0, -1]
    with pytest.raises(RewardError, match="infinite"):
        computed([1, float("inf"), 0], columns)
    with pytest.raises(LabelError, match="get_metrics"):
        computed([1, 0], row_columns({}, ["u", "u"]))


@pytest.mark.slow
def test_in_skyrl_itself(tmp_path):
    printed = run_peer("peers-skyrl", "skyrl_check.py", tmp_path)
    agents, paid = list("abbbabbba"), [0, 10, 10, 12, 1, 14, 14, 11, np.nan]
    labels = {"agent": agents, "prompt": [0] * 9}
    kernel = advantages(paid, labels, catalogue()["agent_wise"]).values
    assert printed["uneven"][:9] == pytest.approx(list(kernel), abs=KERNEL)
    assert printed["uneven"][9:] == [0, 0, 0]  # padding
    assert printed["padding"] == [9, 12, 3]
    assert printed["flat"]
    assert not printed["key"]
    assert printed["metrics"]["loss/avg_raw_advantages_abs"] == pytest.approx(abs(kernel).mean())
    assert printed["dead"] == 0
    single = advantages([0.7, 0.7, 0.1, 0.3], {"rollout": range(4)}, catalogue()["grpo"]).values
    assert printed["single"] == pytest.approx(list(single), abs=KERNEL)
    assert printed["filled"] == printed["single"]
    assert printed["constant"] == 0
    # without us every row of a trajectory has the advantage of its last row, whoever made it
    assert printed["stock"][0] == printed["stock"][1] == printed["stock"][2]
    assert printed["nameless"]
    assert printed["normalized"]
    assert printed["base"]
    assert printed["resumed"] == {"step": 7, "same": True, "equal": True, "lost": True}
    assert printed["by_name"] == [1, -1]
