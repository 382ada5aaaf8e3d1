"""Our credit in TRL and CoMLRL: labels and recipes here, the real trainers in their own Python."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from peer_python import run_peer

from counterpoint.errors import LabelError, MissingPackageError, RewardError, SettingError
from counterpoint.integrations.comlrl import SplitRewards, attach
from counterpoint.integrations.trl import COLUMNS, per_agent_rewards, row_labels, with_credit
from counterpoint.readers import read_decisions


def test_without_trl_the_error_says_what_to_do():
    with pytest.raises(MissingPackageError, match="pip install trl"):
        with_credit(object)


def test_labels_from_columns_and_from_places():
    rows = [{"prompt": t, "agent": a} for t in ("x", "y") for a in "ab" for _ in range(3)]
    result = row_labels(rows, COLUMNS, 3)
    assert result["prompt"] == ["x"] * 6 + ["y"] * 6
    assert result["rollout"] == [0, 1, 2] * 4
    assert result["agent"] == (["a"] * 3 + ["b"] * 3) * 2
    bare = row_labels([{}] * 4, COLUMNS, 2)
    assert bare == {"agent": ["policy"] * 4, "prompt": [0, 0, 1, 1], "rollout": [0, 1, 0, 1]}
    with pytest.raises(LabelError, match="1 of 2 rows"):
        row_labels([{"agent": "a"}, {}], COLUMNS, 2)


def test_a_task_that_was_drawn_twice_is_two_prompts():
    rows = [{"prompt": "x", "agent": a} for a in "aab" for _ in range(2)]
    result = row_labels(rows, COLUMNS, 2)
    assert result["prompt"] == ["x", "x", "x (2)", "x (2)", "x", "x"]
    assert result["rollout"] == [0, 1] * 3
    turns = [{**row, "turn": i // 2} for i, row in enumerate(rows[:4])]
    assert row_labels(turns, COLUMNS, 2)["prompt"] == ["x"] * 4  # not drawn twice: another turn


def test_a_column_of_rollouts_is_the_same_for_all_answers():
    rows = [{"prompt": "x", "agent": "a", "rollout": r} for r in (3, 3, 4, 4)]
    result = row_labels(rows, COLUMNS, 2)
    assert result["prompt"] == ["x"] * 4
    assert result["rollout"] == [3, "3 (2)", 4, "4 (2)"]


def test_one_reward_function_an_agent():
    calls = []

    def letters(prompts, completions, agent, **_):
        calls.append((prompts, agent))
        return [len(one) for one in completions]

    both = per_agent_rewards({"a": letters, "b": letters})
    assert [one.__name__ for one in both] == ["reward_a", "reward_b"]
    given = {"agent": ["a", "b", "a"], "trainer_state": None}
    assert both[0](["p", "q", "r"], ["xx", "y", "zzz"], **given) == [2, None, 3]
    assert calls == [(["p", "r"], ["a", "a"])]
    assert per_agent_rewards({"c": letters})[0](["p"], ["x"], agent=["a"]) == [None]
    with pytest.raises(LabelError, match="column 'agent'"):
        both[0](["p"], ["x"])

    async def later(**_):
        return [1.0]

    with pytest.raises(SettingError, match="plain one"):
        per_agent_rewards({"a": later})


def test_rewards_of_each_agent_and_settings_that_do_not_fit():
    split = SplitRewards(lambda *texts: [1.0, 3.0])
    assert split(["x"], ["y"]) == [2.0]
    assert split.calls == [[1.0, 3.0]]
    with pytest.raises(RewardError, match="2 rewards for 3 agents"):
        split(["x"], ["y"], ["z"])
    for wrong in (
        {"num_turns": 2, "joint_mode": "aligned"},
        {"num_turns": 1, "joint_mode": "cross"},
    ):
        trainer = SimpleNamespace(num_agents=2, reward_func=split, args=SimpleNamespace(**wrong))
        with pytest.raises(SettingError, match="wanted aligned, 1"):
            attach(trainer)
    with pytest.raises(SettingError, match="1 names for 2"):
        attach(SimpleNamespace(num_agents=2), agents=["a"])


@pytest.mark.slow
def test_trl_learns_from_our_advantages(tmp_path):
    printed = run_peer("peers-language", "trl_check.py", tmp_path)
    assert printed["steps"] == 4
    assert printed["difference"] < 1e-6
    assert "counterpoint/dead/a" in printed["metrics"]
    assert printed["resumed"] == [4, 4]
    assert printed["same state"]
    assert "rewards/reward_b/mean" in printed["recipe"]
    assert printed["answered for"] > 0.5
    assert printed["ours ms"] < 0.02 * printed["step ms"]
    log = read_decisions(tmp_path / "credit.jsonl")
    assert len(log) == 32
    assert set(log.labels["agent"]) == {"a", "b"}


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["peers-language", "peers-trl-newest"])
def test_reward_functions_that_answer_none_in_trl_itself(environment):
    """60 steps of TRL's own trainer: its advantages and ours, under its epsilon and ddof."""
    printed = run_peer(environment, "trl_missing_check.py")
    assert len(printed["trainings"]) == 6
    for one in printed["trainings"]:
        assert one["steps"] == 60, one
        assert one["difference"] < 1e-6, one
        assert one["largest"] > 1, one
        assert one["moved"] > 1e-3, one
        assert "unchecked" not in one["sentences"], one
        down = "down" in one["case"]
        assert one["sentences"].count("missing") == down, one
        assert one["left_out"] == (80 if one["case"] == "the only one is down" else 0)
        assert one["missing"] == (80 if down else 480)


@pytest.mark.slow
def test_comlrl_learns_from_our_advantages(tmp_path):
    printed = run_peer("peers-language", "comlrl_check.py", tmp_path)
    assert printed["difference"] < 1e-6
    assert printed["rows"] == [16, 16]  # both agents together, two nodes of four answers each
    assert printed["used"] == 8
    assert printed["centered"] < 1e-6
    assert not printed["normalization"]
    assert printed["resumed"] == [4, 4]
    assert printed["same state"]
    assert printed["ours ms"] < 0.02 * printed["step ms"]
    log = read_decisions(tmp_path / "credit.jsonl")
    assert len(log) == 32
    rewards = {name: log.rewards[log.labels["agent"] == name, 0] for name in ("agent_0", "agent_1")}
    assert rewards["agent_1"].mean() > 3 * rewards["agent_0"].mean()  # paid ten times as much
