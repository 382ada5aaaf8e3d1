"""verl: the estimator on arrays here, in verl's own registry and trainer in its own Python."""

from __future__ import annotations

import numpy as np
import pytest
from peer_python import KERNEL, run_peer

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import LabelError, MissingPackageError, RewardError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.verl import batch_labels, estimator, register, rows_of
from counterpoint.integrations.verl_trainer import output_columns, register_trainer
from counterpoint.readers import read_decisions

torch = pytest.importorskip("torch")
UNEVEN, UIDS = [0.0, 1.0, 10.0, 12.0, 14.0, 11.0], ["p:a"] * 2 + ["p:b"] * 4


def computed(rewards, uids=None, mask=None, scheme="agent_wise", **options):
    paid = torch.zeros(len(rewards), 3)
    paid[:, 1] = torch.tensor(rewards)
    mask = torch.ones(len(rewards), 3, dtype=torch.int64) if mask is None else mask
    credit = scheme if isinstance(scheme, TeamCredit) else TeamCredit(scheme)
    index = None if uids is None else np.array(uids, dtype=object)
    values, returns = estimator(credit)(
        token_level_rewards=paid, response_mask=mask, index=index, **options
    )
    assert values.shape == mask.shape
    assert returns is values
    return values


def kernel():
    labels = {"prompt": ["p"] * 6, "agent": list("aabbbb")}
    return advantages(UNEVEN, labels, catalogue()["agent_wise"]).values


def test_without_verl_the_error_says_what_to_do():
    with pytest.raises(MissingPackageError, match="pip install verl"):
        register()
    with pytest.raises(MissingPackageError, match="pip install verl"):
        register_trainer(TeamCredit())


def test_agents_out_of_composed_uids():
    values = computed(UNEVEN, UIDS)
    assert values[:2, 0].tolist() == [-1.0, 1.0]  # mean .5, deviation .5
    assert np.allclose(values[:, 2], kernel(), atol=KERNEL)


def test_agents_out_of_a_column_come_first():
    columns = {"agent": np.array(list("aabbbb"), dtype=object), "other": None}
    assert torch.equal(
        computed(UNEVEN, ["p"] * 6, non_tensor_batch=columns), computed(UNEVEN, UIDS)
    )
    assert torch.equal(computed(UNEVEN, UIDS, non_tensor_batch=columns), computed(UNEVEN, UIDS))
    with rows_of(agent=list("aabbbb")):
        assert torch.equal(computed(UNEVEN, ["p"] * 6), computed(UNEVEN, UIDS))
    with pytest.raises(LabelError, match="uid:agent"):
        computed(UNEVEN, ["p"] * 6)


def test_rewards_of_an_agents_own_take_the_place_of_verls():
    with rows_of(agent=list("abab"), agent_reward=[0.0, 100.0, 1.0, None]):
        assert computed([9.0] * 4, ["p"] * 4)[:, 0].tolist() == [-1.0, 0.0, 1.0, 0.0]


def test_rows_without_a_token_are_in_no_statistic():
    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    values = computed([0.0, 1.0, 50.0], ["p:a", "p:a", "pad3f"], mask)
    assert values.tolist() == [[-1, -1, 0], [1, 0, 0], [0, 0, 0]]
    assert computed([1.0], ["p:a"], torch.zeros(1, 3)).tolist() == [[0, 0, 0]]
    assert computed([], []).shape == (0, 3)


@pytest.mark.parametrize(
    "rewards", [[0.7] * 7, [1000.1] * 3, [1000000.7] * 7, [5.0], [1.0, float("nan")]]
)
def test_constant_groups_singletons_and_a_missing_reward_are_zero(rewards):
    assert not computed(rewards, ["p:a"] * len(rewards)).any()


def test_a_missing_reward_leaves_the_others_alone():
    assert computed([1.0, float("nan"), 0.0], ["p:a"] * 3)[:, 0].tolist() == [1, 0, -1]


def test_shapes_and_infinities_are_refused():
    fn = estimator(TeamCredit())
    with pytest.raises(RewardError, match=r"\[B, T\]"):
        fn(torch.zeros(2, 3), torch.ones(2, 4))
    with pytest.raises(RewardError, match=r"\[B, T\]"):
        fn(torch.zeros(2), torch.ones(2))
    with pytest.raises(RewardError, match="infinite"):
        computed([1.0, float("inf")], ["p:a"] * 2)


def test_one_agent_is_grpo_without_any_agent():
    result = computed([1.0, 0.0, 0.0, 3.0], ["p", "p", "q", "q"], scheme="grpo")
    assert result[:, 0].tolist() == [1, -1, -1, 1]
    assert computed([1.0, 0.0], scheme="mappo_pooled")[:, 0].tolist() == [1, -1]


def test_updates_are_recorded_and_remembered(tmp_path):
    credit = TeamCredit("group_reward_decoupled", record=tmp_path / "c.jsonl")
    for _ in range(2):
        computed(UNEVEN, UIDS, scheme=credit)
    log = read_decisions(tmp_path / "c.jsonl")
    assert log.step.tolist() == [0] * 6 + [1] * 6
    assert log.labels["agent"].tolist() == list("aabbbb") * 2
    assert credit.state_dict()["state"] is not None


def test_a_log_without_agents_or_prompts_is_read_too(tmp_path):
    computed([1.0, 0.0], scheme=TeamCredit("mappo_pooled", record=tmp_path / "c.jsonl"))
    log = read_decisions(tmp_path / "c.jsonl")
    assert log.rewards[:, 0].tolist() == [1, 0]
    assert set(log.labels["agent"]) == {"policy"}


def test_columns_of_agent_loops():
    keys = ["u_0_0", "u_0_1", "u_1_0", "padff_0_0"]
    extra = [{"agent": "a", "turn": 0}, {"agent": "b", "turn": 0}, {"agent": "a", "turn": 1}, {}]
    assert output_columns(extra, keys) == {
        "rollout": ["0", "0", "1", "0"], "agent": ["a", "b", "a", None], "turn": [0, 0, 1, None],
    }  # fmt: skip
    assert set(output_columns([{}] * 4, keys)) == {"rollout"}
    with pytest.raises(LabelError, match="the first u_1_0"):
        output_columns([*extra[:2], {}, {}], keys)
    kept = batch_labels(
        ["u"] * 4, output_columns(extra, keys), np.arange(3), catalogue()["agent_wise"]
    )
    assert kept["agent"] == ["a", "b", "a"]
    assert kept["prompt"] == ["u"] * 3


@pytest.mark.slow
def test_in_verl_itself(tmp_path):
    printed = run_peer("peers-verl", "verl_check.py", tmp_path)
    assert printed["uneven"] == pytest.approx(kernel(), abs=KERNEL)
    assert printed["default_trainer"] == printed["uneven"]
    for name in ("constant", "large_constant", "singleton"):
        assert not any(printed[name]), name
    assert printed["missing"] == [1, 0, -1]
    assert printed["padded"] == [-1, 1, 0]
    assert printed["without_agents"] == "LabelError"
    assert (printed["taken"], printed["again"]) == ("ValueError", "ValueError")
    trainer = printed["trainer"]
    assert trainer["base"].startswith("verl.trainer.ppo.v1")
    # own rewards a = 0, 1 and b = 100, 102 came through extra_fields; verl's own were all 102
    assert trainer["advantages"] == [-1, -1, 1, 1, 0]
    assert (trainer["unreached"], trainer["reached"]) == ("HookError", "updated")
    assert trainer["restored"]
    assert trainer["file"]
    assert "counterpoint/dead/a" in trainer["metrics"]
    assert read_decisions(tmp_path / "credit.jsonl").labels["agent"].tolist()[:2] == ["a", "a"]


@pytest.mark.slow
def test_the_catalogue_computes_what_verl_computes():
    """Constant groups aside, which verl's epsilon turns into 0 as well."""
    printed = run_peer("peers-verl", "verl_estimators_check.py")
    assert len(printed) == 7
    for name, difference in printed.items():
        assert difference < 1e-5, name
