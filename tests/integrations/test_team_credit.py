"""What all adapters share: advantages, running state, the log, warnings."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import LabelError, OutputError, RewardError, SettingError, StateError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.recorder import plain
from counterpoint.readers import read_decisions


def batch(seed=0, prompts=3, rollouts=4, agents=("a", "b"), offset=10.0):
    rng = np.random.default_rng(seed)
    rows = [(p, r, a) for p in range(prompts) for r in range(rollouts) for a in agents]
    labels = {
        name: [row[i] for row in rows] for i, name in enumerate(("prompt", "rollout", "agent"))
    }
    rewards = rng.normal(size=len(rows)) + offset * np.array([row[2] == "b" for row in rows])
    return rewards, labels


def test_it_is_the_kernel():
    rewards, labels = batch()
    found = TeamCredit("agent_wise")(rewards, labels)
    assert np.array_equal(found, advantages(rewards, labels, catalogue()["agent_wise"]).values)


@given(st.integers(0, 50), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_a_checkpoint_in_the_middle_changes_nothing(seed, at):
    whole, first = TeamCredit("group_reward_decoupled"), TeamCredit("group_reward_decoupled")
    for update in range(6):
        rewards, labels = batch(seed + update)
        if update == at:
            told = json.loads(json.dumps(first.state_dict()))
            first = TeamCredit("group_reward_decoupled")
            first.load_state_dict(told)
        assert np.array_equal(whole(rewards, labels), first(rewards, labels))
    assert first.updates == 6


def test_an_evaluation_moves_nothing():
    credit = TeamCredit("group_reward_decoupled")
    credit(*batch(0))
    before = credit.state_dict()
    credit(*batch(1), learning=False)
    assert credit.state_dict() == before


def test_states_that_are_none():
    credit = TeamCredit("agent_wise")
    for told in ({}, [], {"schema": "other"}):
        with pytest.raises(StateError):
            credit.load_state_dict(told)
    running = TeamCredit("group_reward_decoupled")
    running(*batch())
    with pytest.raises(StateError, match="written under group_reward_decoupled"):
        credit.load_state_dict(running.state_dict())
    with pytest.raises(StateError, match="written under agent_wise"):
        running.load_state_dict(credit.state_dict())
    said = []
    other = TeamCredit("grpo", warn=said.append)
    other.load_state_dict(credit.state_dict())
    assert said == ["a training under agent_wise goes on under grpo"]
    with pytest.raises(SettingError, match="check_every"):
        TeamCredit(check_every=-1)


def test_what_is_recorded_is_read_back(tmp_path):
    file = tmp_path / "log" / "credit.jsonl"
    credit = TeamCredit("agent_wise", record=file)
    for update in range(3):
        rewards, labels = batch(update)
        rewards[0] = np.nan
        credit(rewards, labels)
    log = read_decisions(file)
    assert len(log) == 3 * len(rewards)
    assert np.isnan(log.rewards[:: len(rewards), 0]).all()
    assert np.array_equal(log.rewards[-len(rewards) + 1 :, 0], rewards[1:])
    assert set(log.labels) >= {"prompt", "rollout", "agent"}
    assert log.step is not None
    assert log.step.tolist() == sorted([0, 1, 2] * len(rewards))


def test_components_have_names_and_rollouts_are_numbered(tmp_path):
    file = tmp_path / "c.jsonl"
    credit = TeamCredit(catalogue()["gdpo"], record=file, components=("right", "short"))
    credit([[1.0, 0.0], [0.0, 1.0], [1.0, None]], {"prompt": [0, 0, 0], "rollout": [0, 1, 2],
                                                  "agent": ["a"] * 3})  # fmt: skip
    assert read_decisions(file).components == ("right", "short")
    other = TeamCredit("agent_wise", record=tmp_path / "d.jsonl")
    other([1.0, 2.0, 3.0, 4.0], {"prompt": ["p", "p", "q", "p"], "agent": ["a", "b", "a", "a"]})
    told = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert [one["rollout"] for one in told] == [0, 0, 0, 1]


def test_going_back_takes_off_what_will_be_done_again(tmp_path):
    file = tmp_path / "c.jsonl"
    credit = TeamCredit("group_reward_decoupled", record=file)
    credit(*batch(0))
    kept, state = file.read_bytes(), credit.state_dict()
    credit(*batch(1))
    whole = file.read_bytes()
    with file.open("ab") as torn:
        torn.write(b'{"step": 1, "pro')
    again = TeamCredit("group_reward_decoupled", record=file)
    again.load_state_dict(state)
    assert file.read_bytes() == kept
    again(*batch(1))
    assert file.read_bytes() == whole


def test_one_number_is_no_column():
    with pytest.raises(RewardError, match="shape"):
        TeamCredit("center")(3.0, {})


def test_a_log_that_cannot_be_written(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(OutputError, match="another file"):
        TeamCredit(record=tmp_path / "f" / "c.jsonl")


@pytest.mark.parametrize(("factor", "shift", "cause", "who"), [
    (30.0, 0.0, "DROWNED", "a"), (1.0, 10.0, "OFFSET", "b"),
])  # fmt: skip
def test_warnings_are_said_once_and_name_the_agent(factor, shift, cause, who):
    said, quiet = [], []
    credit = TeamCredit("mappo_pooled", check_every=10, warn=said.append)
    twin = TeamCredit("mappo_pooled", check_every=10, warn=quiet.append)
    for update in range(40):
        rewards, labels = batch(update, prompts=4, rollouts=8, offset=0.0)
        twin(rewards, labels)
        other = np.array(labels["agent"]) == "b"
        rewards[other] = factor * rewards[other] + shift
        credit(rewards, labels)
    assert len(said) == len(set(said)) > 0
    assert any(line.startswith(f"{cause}: agent '{who}'") for line in said)
    assert not [line for line in quiet if not line.startswith("no-op")]


def test_a_no_op_is_told_once(caplog):
    credit = TeamCredit("grpo")
    with caplog.at_level(logging.WARNING, "counterpoint"):
        for update in range(10):
            rng = np.random.default_rng(update)
            team = np.repeat(rng.normal(size=12), 2)  # one reward for both, both always there
            credit(team, batch(update)[1])
        found = credit.check()
    assert any(line.startswith("no-op") for line in found)
    assert len(caplog.records) == 1


def test_a_component_that_an_agent_never_has_is_no_part_of_its_reward(tmp_path):
    """Reward functions that answer for one agent each, as TRL's users write them."""
    labels = {"prompt": [0] * 4, "rollout": [0, 1, 0, 1], "agent": ["a", "a", "b", "b"]}
    rewards = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 0.0], [np.nan, 50.0]])
    credit = TeamCredit("agent_wise", record=tmp_path / "c.jsonl", components=("a", "b"))
    assert credit(rewards, labels).tolist() == [-1, 1, -1, 1]
    assert np.isnan(rewards[0, 1])
    assert np.isnan(read_decisions(tmp_path / "c.jsonl").rewards[0, 1])
    # what it has had before, and lacks now, is missing
    both = TeamCredit("agent_wise")
    both(np.array([[1.0, 1.0], [3.0, 2.0], [np.nan, 0.0], [np.nan, 50.0]]), labels)
    again = TeamCredit("agent_wise")
    again.load_state_dict(json.loads(json.dumps(both.state_dict())))
    for one in (both, again):
        assert one(rewards, labels).tolist() == [0, 0, -1, 1]
        assert one.tally.missing == 2
    assert TeamCredit("agent_wise")(rewards, labels, learning=False).tolist() == [-1, 1, -1, 1]
    torch = pytest.importorskip("torch")
    told = TeamCredit("agent_wise")(torch.tensor(rewards), labels)
    assert told.tolist() == [-1, 1, -1, 1]


def test_a_line_that_a_kill_cut_short_is_taken_off(tmp_path):
    file = tmp_path / "c.jsonl"
    TeamCredit(record=file)(*batch(0))
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    TeamCredit(record=file, warn=lambda _: None)(*batch(1))
    assert len(read_decisions(file)) == 2 * len(batch(0)[0]) - 1
    other = tmp_path / "notes.jsonl"  # what is no row of ours is left alone
    other.write_bytes(b'{"prompt": 0, "rollout": 0, "agent": "a", "reward": 1.0}')
    TeamCredit(record=other, warn=lambda _: None)
    assert other.read_bytes().endswith(b"1.0}\n")


def test_a_log_that_fails_moves_no_statistics(tmp_path):
    credit = TeamCredit("group_reward_decoupled", record=tmp_path / "d" / "c.jsonl")
    credit(*batch(0))
    before = credit.state_dict()
    (tmp_path / "d" / "c.jsonl").unlink()
    (tmp_path / "d").rmdir()
    with pytest.raises(OutputError):
        credit(*batch(1))
    assert credit.state_dict() == before
    sound = TeamCredit(record=tmp_path / "e.jsonl")
    with pytest.raises(LabelError, match="cannot hold"):
        sound([1.0, 2.0], {"prompt": ["\ud800"] * 2, "agent": ["a", "a"]})


def test_rows_of_an_earlier_training_are_told_of(tmp_path):
    said = []
    TeamCredit(record=tmp_path / "c.jsonl")(*batch())
    second = TeamCredit(record=tmp_path / "c.jsonl", warn=said.append)
    assert not said
    second(*batch())
    second(*batch())
    assert len(said) == 1
    assert "earlier training" in said[0]


def test_agents_that_never_meet_are_told_of():
    said = []
    credit = TeamCredit("grpo", warn=said.append)
    for update in range(10):
        rewards, labels = batch(update, agents=("a",) if update % 2 else ("b",))
        credit(rewards, labels)
    assert [line.partition(":")[0] for line in said if "apart" in line] == ["apart"]


def test_what_is_not_decided_is_no_no_op():
    credit, rng = TeamCredit("mappo_pooled"), np.random.default_rng(0)
    for _ in range(10):  # few rows, in which advantages differ and no test detects anything
        labels = {"prompt": [0, 0, 1, 1], "rollout": [0, 0, 0, 0], "agent": ["a", "b", "a", "b"]}
        credit(rng.normal(size=4), labels)
    assert not [line for line in credit.check() if line.startswith("no-op")]


def test_metrics_for_a_logger():
    credit = TeamCredit("agent_wise")
    rewards, labels = batch()
    rewards[np.array(labels["agent"]) == "a"] = 3.0
    credit(rewards, labels)
    assert credit.metrics["counterpoint/dead/a"] == 1.0
    assert credit.metrics["counterpoint/dead/b"] == 0.0
    assert credit.metrics["counterpoint/constants"] == 3
    assert credit.metrics["counterpoint/advantage_rms/b"] == pytest.approx(1.0)


def test_columns_of_all_kinds():
    assert plain(np.array([1, 2])) == [1, 2]
    assert plain([np.int64(3), "x"]) == [3, "x"]
    assert plain([True, False]) == ["True", "False"]
    torch = pytest.importorskip("torch")
    assert plain(torch.tensor([4, 5])) == [4, 5]
    assert plain([torch.tensor(1)]) == [1]
