"""What all adapters share: advantages, running state, the log, warnings."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.credit import Mix, PerRole, advantages, catalogue
from counterpoint.errors import LabelError, OutputError, RewardError, SettingError, StateError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.recorder import plain_values
from counterpoint.integrations.team_credit import credit_of
from counterpoint.readers import read_decisions
from counterpoint.records import TRAINERS


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
    result = TeamCredit("agent_wise")(rewards, labels)
    assert np.array_equal(result, advantages(rewards, labels, catalogue()["agent_wise"]).values)


@given(st.integers(0, 50), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_a_checkpoint_in_the_middle_changes_nothing(seed, at):
    whole, first = TeamCredit("group_reward_decoupled"), TeamCredit("group_reward_decoupled")
    for update in range(6):
        rewards, labels = batch(seed + update)
        if update == at:
            state = json.loads(json.dumps(first.state_dict()))
            first = TeamCredit("group_reward_decoupled")
            first.load_state_dict(state)
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
    for state in ({}, [], {"schema": "other"}):
        with pytest.raises(StateError):
            credit.load_state_dict(state)
    running = TeamCredit("group_reward_decoupled")
    running(*batch())
    with pytest.raises(StateError, match="written under group_reward_decoupled"):
        credit.load_state_dict(running.state_dict())
    with pytest.raises(StateError, match="written under agent_wise"):
        running.load_state_dict(credit.state_dict())
    warned = []
    other = TeamCredit("grpo", warn=warned.append)
    other.load_state_dict(credit.state_dict())
    assert warned == ["a training under agent_wise goes on under grpo"]
    with pytest.raises(SettingError, match="check_every"):
        TeamCredit(check_every=-1)


def test_a_state_in_a_file(tmp_path):
    file, credit = tmp_path / "checkpoint" / "credit.json", TeamCredit("group_reward_decoupled")
    credit.load(file)  # there is none yet
    assert credit.updates == 0
    credit(*batch())
    credit.save(file)
    again = TeamCredit("group_reward_decoupled")
    again.load(file)
    assert again.state_dict() == credit.state_dict()
    with pytest.raises(StateError, match=r"could not read .*credit.json .*written under"):
        TeamCredit("agent_wise").load(file)
    file.write_text("{")
    with pytest.raises(StateError, match="could not read"):
        again.load(file)


def test_ragged_groups_are_the_rows_of_one_call():
    rewards, labels = batch()
    groups = [rewards[:1].tolist(), [], rewards[1:].tolist()]
    values = TeamCredit("agent_wise").by_group(groups, labels)
    assert [len(group) for group in values] == [1, 0, len(rewards) - 1]
    assert values[0] + values[2] == TeamCredit("agent_wise")(rewards, labels).tolist()
    credit = TeamCredit("agent_wise")
    assert credit.by_group([[], []], {"prompt": [], "agent": []}) == [[], []]
    assert credit.updates == 0


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


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_log_names_the_trainer_of_its_adapter(trainer, tmp_path):
    file = tmp_path / "c.jsonl"
    credit_of("agent_wise", trainer, record=file)(*batch())
    log = read_decisions(file)
    assert log.writer == trainer
    assert log.notices == ()
    given = credit_of(TeamCredit("grpo", record=tmp_path / "d.jsonl"), trainer)
    given(*batch())
    assert read_decisions(tmp_path / "d.jsonl").writer == trainer


def test_components_have_names_and_rollouts_are_numbered(tmp_path):
    file = tmp_path / "c.jsonl"
    credit = TeamCredit(catalogue()["gdpo"], record=file, components=("right", "short"))
    credit([[1.0, 0.0], [0.0, 1.0], [1.0, None]], {"prompt": [0, 0, 0], "rollout": [0, 1, 2],
                                                  "agent": ["a"] * 3})  # fmt: skip
    assert read_decisions(file).components == ("right", "short")
    other = TeamCredit("agent_wise", record=tmp_path / "d.jsonl")
    other([1.0, 2.0, 3.0, 4.0], {"prompt": ["p", "p", "q", "p"], "agent": ["a", "b", "a", "a"]})
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert [one["rollout"] for one in lines] == [0, 0, 0, 1]


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
    warned, quiet = [], []
    credit = TeamCredit("mappo_pooled", check_every=10, warn=warned.append)
    twin = TeamCredit("mappo_pooled", check_every=10, warn=quiet.append)
    for update in range(40):
        rewards, labels = batch(update, prompts=4, rollouts=8, offset=0.0)
        twin(rewards, labels)
        other = np.array(labels["agent"]) == "b"
        rewards[other] = factor * rewards[other] + shift
        credit(rewards, labels)
    assert len(warned) == len(set(warned)) > 0
    assert any(line.startswith(f"{cause}: agent '{who}'") for line in warned)
    assert not [line for line in quiet if not line.startswith("no-op")]


def test_a_no_op_is_told_once(caplog):
    credit = TeamCredit("grpo")
    with caplog.at_level(logging.WARNING, "counterpoint"):
        for update in range(10):
            rng = np.random.default_rng(update)
            team = np.repeat(rng.normal(size=12), 2)  # one reward for both, both always there
            credit(team, batch(update)[1])
        result = credit.check()
    assert any(line.startswith("no-op") for line in result)
    assert len(caplog.records) == 1


LABELS = {"prompt": [0] * 4 + [1] * 4, "rollout": [0, 1, 2, 3] * 2, "agent": ["policy"] * 8}
NAN = float("nan")
TWO_TASKS = np.array([[1, NAN], [0, NAN], [0, NAN], [1, NAN],
                      [NAN, 0.2], [NAN, 0.9], [NAN, 0.2], [NAN, 0.5]])  # fmt: skip
"""Two reward functions, each of which answers None off its own task."""
WORTH = [1, -1, -1, 1, -0.8703882798, 1.5666989037, -0.8703882798, 0.1740776560]
"""Mean .45 and deviation sqrt(.0825) in the second prompt."""


@pytest.mark.parametrize("scheme", ["grpo", "agent_wise"])
def test_a_missing_component_is_absent_from_the_sum(scheme, tmp_path):
    warned = []
    credit = TeamCredit(scheme, record=tmp_path / "c.jsonl", components=("math", "code"),
                        warn=warned.append)  # fmt: skip
    for _ in range(60):
        assert credit(TWO_TASKS, LABELS) == pytest.approx(WORTH)
    assert credit.metrics["counterpoint/missing"] == 8
    assert credit.metrics["counterpoint/left_out"] == 0
    assert not [line for line in warned if line.startswith(("missing", "unchecked"))]
    assert np.isnan(read_decisions(tmp_path / "c.jsonl").rewards[0, 1])
    torch = pytest.importorskip("torch")
    assert TeamCredit(scheme)(torch.tensor(TWO_TASKS), LABELS).tolist() == pytest.approx(WORTH)


components = st.lists(
    st.tuples(*[st.none() | st.integers(-3, 3).map(float)] * 2), min_size=8, max_size=8
)


@given(st.lists(components, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_no_meaning_depends_on_history(batches):
    """Every batch has the same advantages first, last, and after a checkpoint."""
    credit = TeamCredit("grpo", check_every=0, warn=lambda _: None)
    tables = [np.array(rows, dtype=float) for rows in batches]
    for table in [*tables, *reversed(tables)]:
        fresh = TeamCredit("grpo", warn=lambda _: None)
        assert np.array_equal(credit(table, LABELS), fresh(table, LABELS))
    again = TeamCredit("grpo", warn=lambda _: None)
    again.load_state_dict(json.loads(json.dumps(credit.state_dict())))
    assert np.array_equal(again(tables[0], LABELS), fresh(tables[0], LABELS))
    # and a row is worth the sum of what is there
    total = np.where(np.isnan(tables[0]).all(axis=1), NAN, np.nansum(tables[0], axis=1))
    assert np.array_equal(fresh(total, LABELS), fresh(tables[0], LABELS))


def test_a_state_of_an_older_version_is_read():
    credit = TeamCredit("agent_wise")
    old = {"schema": "counterpoint.team_credit/1", "scheme": "agent_wise", "updates": 3,
           "components": {"policy": [True, False]}, "state": None}  # fmt: skip
    credit.load_state_dict(old)
    assert (credit.updates, credit.total.left_out) == (3, 0)
    assert credit(TWO_TASKS, LABELS) == pytest.approx(WORTH)


@pytest.mark.parametrize("scheme", ["grpo", "agent_wise", "group_reward_decoupled", "gdpo"])
def test_a_judge_that_is_down_does_not_end_a_training(scheme):
    warned, rng = [], np.random.default_rng(0)
    credit = TeamCredit(scheme, warn=warned.append, check_every=5)
    for update in range(60):
        down = 20 <= update < 30
        before = None if credit.state is None else credit.state.to_dict()
        values = credit([None] * 8 if down else rng.normal(size=8), LABELS)
        assert np.isfinite(values).all()
        assert values.any() != down
        assert credit.metrics["counterpoint/left_out"] == 8 * down
        if down and before is not None:  # running statistics wait for rewards
            assert credit.state.to_dict()["center"] == before["center"]
    assert credit.total.left_out == 80
    assert [line for line in warned if line.startswith("missing")] == [
        "missing: none of the 8 rows of update 20 has a reward, since every reward function "
        "returned None or NaN. All advantages are 0, this update changes nothing, and the training "
        "continues. In every update, the metric counterpoint/left_out counts rows without a reward."
    ]


def test_a_judge_that_is_always_down_does_not_end_a_training():
    warned = []
    credit = TeamCredit("grpo", warn=warned.append, check_every=1)
    for _ in range(60):
        assert not credit([None] * 8, LABELS).any()
    assert len(warned) == len(set(warned))
    assert sum(line.startswith("missing") for line in warned) == 1


def test_the_signal_that_is_kept_is_a_metric_from_the_first_diagnosis_on():
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=64) * np.tile([100.0, 1.0], 32)
    labels = {
        "prompt": [0] * 64,
        "rollout": [i // 2 for i in range(64)],
        "agent": ["loud", "quiet"] * 32,
    }
    credit = TeamCredit("mappo_pooled", warn=lambda text: None, check_every=2)
    seen = []
    for _ in range(4):
        credit(rewards, labels)
        seen.append(credit.metrics.get("counterpoint/signal_kept/quiet"))
    assert seen[0] is None
    assert seen[1] < 0.1 < credit.metrics["counterpoint/signal_kept/loud"]
    assert seen[2] == seen[1]  # until the next diagnosis


def test_a_look_that_fails_says_so_and_goes_on(monkeypatch):
    def fails(updates, scheme):
        raise ValueError("zero-size array")

    monkeypatch.setattr("counterpoint.integrations.team_credit.check_updates", fails)
    warned = []
    credit = TeamCredit("agent_wise", warn=warned.append, check_every=1)
    for update in range(5):
        credit(*batch(update))
    assert warned == [
        "unchecked: the latest updates could not be diagnosed (ValueError: zero-size array). "
        "Advantages are not affected, and the training goes on."
    ]


@pytest.mark.parametrize("kind", ["list", "numpy", "torch"])
@pytest.mark.parametrize("scheme", ["agent_wise", "grpo"])
def test_rows_that_are_absent_on_purpose_are_in_no_statistic_and_not_missing(
    kind, scheme, tmp_path
):
    warned = []
    credit = TeamCredit(scheme, record=tmp_path / "c.jsonl", warn=warned.append)
    rewards, absent = [1.0, 50.0, 0.0, 3.0], np.array([False, True, False, False])
    labels = {"prompt": [0] * 4, "rollout": [0, 1, 2, 3], "agent": ["a"] * 4}
    there = {name: [column[i] for i in (0, 2, 3)] for name, column in labels.items()}
    wanted = TeamCredit(scheme)([1.0, 0.0, 3.0], there)
    if kind == "numpy":
        rewards = np.array(rewards)
    elif kind == "torch":
        rewards = pytest.importorskip("torch").tensor(rewards)
    values = credit(rewards, labels, absent=absent)
    assert type(values) is type(np.zeros(0) if kind == "list" else rewards)
    assert np.asarray(values) == pytest.approx(np.insert(wanted, 1, 0.0), abs=1e-6)
    assert (credit.tally.rows, credit.tally.left_out, credit.tally.missing) == (3, 0, 0)
    assert read_decisions(tmp_path / "c.jsonl").labels["rollout"].tolist() == [0, 2, 3]
    assert credit.metrics["counterpoint/dead/a"] == 0
    assert not np.asarray(credit(rewards, labels, absent=np.ones(4, dtype=bool))).any()
    assert (credit.updates, warned) == (1, [])


def test_true_and_false_are_rewards(tmp_path):
    credit = TeamCredit("grpo", record=tmp_path / "c.jsonl", warn=lambda _: None)
    labels = {name: column[:4] for name, column in LABELS.items()}
    assert credit([True, False, False, True], labels).tolist() == [1, -1, -1, 1]
    assert credit([True, None, False, None], labels).tolist() == [1, 0, -1, 0]
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [row["reward"] for row in rows] == [1, 0, 0, 1, 1, None, 0, None]


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
    warned = []
    TeamCredit(record=tmp_path / "c.jsonl")(*batch())
    second = TeamCredit(record=tmp_path / "c.jsonl", warn=warned.append)
    assert not warned
    second(*batch())
    second(*batch())
    assert len(warned) == 1
    assert "earlier training" in warned[0]


def test_a_log_that_an_older_version_began_can_be_added_to(tmp_path):
    """It has no turns, and all rows of a log have the same columns."""
    path = tmp_path / "credit.jsonl"
    old = '{"step":0,"prompt":0,"agent":"a","rollout":%d,"reward":%d.0}'
    path.write_text("".join(f"{old % (k, k)}\n" for k in range(2)))
    assert read_decisions(path).writer == ""
    credit = credit_of("grpo", "verl", record=path, warn=lambda _: None)
    credit([1.0, 0.0], {"prompt": [0, 0], "agent": ["a", "a"], "rollout": [0, 1]})
    decisions = read_decisions(path)
    assert len(decisions) == 4
    assert "turn" not in decisions.labels
    assert decisions.writer == "verl"


def test_agents_that_never_meet_are_told_of():
    warned = []
    credit = TeamCredit("grpo", warn=warned.append)
    for update in range(10):
        rewards, labels = batch(update, agents=("a",) if update % 2 else ("b",))
        credit(rewards, labels)
    assert [line.partition(":")[0] for line in warned if "apart" in line] == ["apart"]


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
    assert plain_values(np.array([1, 2])) == [1, 2]
    assert plain_values([np.int64(3), "x"]) == [3, "x"]
    assert plain_values([True, False]) == ["True", "False"]
    torch = pytest.importorskip("torch")
    assert plain_values(torch.tensor([4, 5])) == [4, 5]
    assert plain_values([torch.tensor(1)]) == [1]


def test_actions_are_recorded_and_enter_no_advantage(tmp_path):
    credit = TeamCredit("agent_wise", record=tmp_path / "c.jsonl")
    rewards, labels = batch()
    result = credit(rewards, {**labels, "action": ["left", "right"] * (len(rewards) // 2)})
    assert np.array_equal(result, TeamCredit("agent_wise")(rewards, labels))
    log = read_decisions(tmp_path / "c.jsonl")
    assert log.action is not None
    assert log.action.tolist() == ["left", "right"] * (len(rewards) // 2)


def test_mixes_and_schemes_for_each_role(tmp_path):
    rows = catalogue()["grpo_rows"]
    warned = []
    mix = Mix(((0.5, rows), (2.0, catalogue()["agent_wise"])))
    roles = PerRole({"a": rows, "b": catalogue()["group_reward_decoupled"]})
    for scheme in (mix, roles):
        credit = TeamCredit(scheme, record=tmp_path / "c.jsonl", warn=warned.append)
        again, state = TeamCredit(scheme, warn=warned.append), None
        for update in range(12):
            values = credit(*batch(update))
            whole = advantages(*batch(update), scheme, state=state)
            assert np.array_equal(values, whole.values)
            state = whole.state
            again.load_state_dict(json.loads(json.dumps(credit.state_dict())))
        assert np.array_equal(again(*batch(50)), credit(*batch(50)))
    assert sum(line.startswith("not diagnosed") for line in warned) == 2
    assert not any(line.startswith("unchecked") for line in warned)


def test_a_scheme_in_words():
    credit = TeamCredit("grpo_rows,floor=0.05")
    assert credit.scheme == replace(catalogue()["grpo_rows"], floor=0.05)
    again = TeamCredit("grpo_rows,floor=0.05")
    again.load_state_dict(credit.state_dict())


def test_what_is_wrong_with_the_rows_is_told_once():
    """An agent whose own reward never varies: no scheme helps it, and its twin is silent."""
    warned, quiet = [], []
    credit = TeamCredit("agent_wise", warn=warned.append)
    twin = TeamCredit("agent_wise", warn=quiet.append)
    for update in range(50):
        rewards, labels = batch(update)
        twin(rewards, labels)
        rewards[np.array(labels["agent"]) == "b"] = 1.0
        credit(rewards, labels)
    assert [line for line in warned if line.startswith("agent constant: The reward of b never")]
    assert len(warned) == len(set(warned))
    assert quiet == []


def test_advice_has_the_numbers_of_the_better_scheme():
    warned = []
    credit = TeamCredit("mappo_pooled", warn=warned.append)
    for update in range(50):
        rewards, labels = batch(update, prompts=4, rollouts=8, offset=0.0)
        rewards[np.array(labels["agent"]) == "b"] *= 30
        credit(rewards, labels)
    (line,) = [line for line in warned if line.startswith("DROWNED: agent 'a'")]
    assert re.search(r"On these rows mappo_per_agent keeps at most 1?\d\d% of its signal", line)
