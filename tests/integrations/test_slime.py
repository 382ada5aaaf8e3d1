"""slime: against its published interface, with stand-ins; the package was not run."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from counterpoint.errors import LabelError, RewardError, SettingError, UnknownNameError
from counterpoint.integrations import TeamCredit, slime
from counterpoint.integrations.slime import reward_post_process
from counterpoint.readers import read_decisions


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    slime.credit_for.cache_clear()
    for name in ("SCHEME", "RECORD"):
        monkeypatch.delenv(f"COUNTERPOINT_{name}", raising=False)


def sample(reward, agent="a", group=0, index=0, **more):
    metadata = {} if agent is None else {"agent": agent}
    return SimpleNamespace(reward=reward, group_index=group, index=index, metadata=metadata, **more)


def paid(rewards, agents=None, args=None, **more):
    agents = agents or ["a"] * len(rewards)
    samples = [sample(r, a, index=i, **more) for i, (r, a) in enumerate(zip(rewards, agents, strict=True))]  # fmt: skip  # noqa: E501
    return reward_post_process(args or SimpleNamespace(), samples)


def test_uneven_agents_have_statistics_of_their_own():
    raw, result = paid([0.0, 1.0, 10.0, 12.0, 14.0, 11.0], "aabbbb")
    assert raw == [0.0, 1.0, 10.0, 12.0, 14.0, 11.0]
    assert result == pytest.approx(
        [-1, 1, -1.1832159566, 0.1690308509, 1.5212776585, -0.5070925528]
    )
    assert all(isinstance(one, float) for one in result)


def test_uneven_prompts_are_not_made_one_group():
    samples = [sample(r, "a", p, i) for i, (p, r) in enumerate(
        [(0, 0.0), (0, 1.0), (0, 0.0), (0, 1.0), (1, 10.0), (1, 11.0)])]  # fmt: skip
    assert reward_post_process(SimpleNamespace(), samples)[1] == [-1, 1, -1, 1, -1, 1]


@pytest.mark.parametrize("rewards", [[0.7] * 7, [1000.1] * 3, [1000000.7] * 7, [5.0]])
def test_constant_groups_and_singletons_are_exactly_zero(rewards):
    assert paid(rewards)[1] == [0.0] * len(rewards)


def test_missing_removed_and_infinite():
    raw, result = paid([1.0, None, 0.0])
    assert math.isnan(raw[1])
    assert result == [1, 0, -1]
    gone = [sample(1.0), sample(50.0, remove_sample=True), sample(0.0)]
    assert reward_post_process(SimpleNamespace(), gone) == ([1.0, 50.0, 0.0], [1, 0, -1])
    with pytest.raises(RewardError, match="infinite"):
        paid([1.0, float("inf")])
    assert reward_post_process(SimpleNamespace(), []) == ([], [])


def test_a_reward_by_its_key():
    args = SimpleNamespace(reward_key="right")
    samples = [sample({"right": 1.0, "short": 9.0}), sample({"right": 0.0}), sample({"short": 1.0})]
    raw, result = reward_post_process(args, samples)
    assert raw[:2] == [1.0, 0.0]
    assert math.isnan(raw[2])
    assert result == [1, -1, 0]


def test_what_lacks_is_said():
    with pytest.raises(LabelError, match=r"wanted metadata\['agent'\] in every sample"):
        paid([1.0, 0.0], ["a", None])
    with pytest.raises(LabelError, match="group_index"):
        reward_post_process(SimpleNamespace(), [sample(1.0, group=None)])
    with pytest.raises(UnknownNameError):
        paid([1.0], args=SimpleNamespace(counterpoint_scheme="nothing"))


def test_a_credit_of_your_own_writes_a_log_that_names_slime(tmp_path):
    credit = TeamCredit(record=tmp_path / "c.jsonl")
    slime.sample_advantages([sample(0.0), sample(1.0)], credit)
    assert read_decisions(tmp_path / "c.jsonl").writer == "slime"


def test_the_scheme_from_arguments_or_the_environment(monkeypatch):
    pooled = pytest.approx([-1.0098252611, -0.9899272264, 0.9799782091, 1.0197742785], abs=1e-4)
    rows = ([0.0, 1.0, 100.0, 102.0], "aabb")
    assert paid(*rows, args=SimpleNamespace(counterpoint_scheme="mappo_pooled"))[1] == pooled
    monkeypatch.setenv("COUNTERPOINT_SCHEME", "mappo_pooled")
    assert paid(*rows)[1] == pooled


def test_samples_fanned_out_from_one_rollout_share_it():
    rows = [sample(0.0, "a", 0, 0), sample(2.0, "b", 0, 0), sample(6.0, "a", 0, 1)]
    args = SimpleNamespace(counterpoint_scheme="grpo")
    # rollout 0 is worth (0 + 2) / 2 = 1 to both, rollout 1 is worth 6: mean 3.5, deviation 2.5
    assert reward_post_process(args, rows)[1] == pytest.approx([-1.0, -1.0, 1.0])


def test_state_is_kept_in_the_folder_of_checkpoints(tmp_path):
    args = SimpleNamespace(save=str(tmp_path), counterpoint_scheme="group_reward_decoupled",
                           counterpoint_record=str(tmp_path / "c.jsonl"))  # fmt: skip
    paid([1.0, 3.0], args=args)
    slime.credit_for.cache_clear()  # a new process
    second = paid([5.0, 7.0], args=args)[1]
    assert second == pytest.approx([3.0, 5.0])  # against the mean 2 and deviation 1 before
    assert read_decisions(tmp_path / "c.jsonl").step.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ({"advantage_estimator": "ppo"}, "--advantage-estimator ppo.*grpo, gspo, cispo"),
        ({"advantage_estimator": "reinforce_plus_plus"}, "take our advantages for rewards"),
        ({"normalize_advantages": True}, "over the tokens of all agents"),
        ({"custom_advantage_function_path": "mine.f"}, "mine.f, which replaces"),
    ],
)
def test_settings_that_would_change_our_advantages_are_refused(setting, found):
    with pytest.raises(SettingError, match=found):
        paid([1.0, 0.0], args=SimpleNamespace(**setting))
    sound = SimpleNamespace(advantage_estimator="grpo", normalize_advantages=False,
                            custom_advantage_function_path=None)  # fmt: skip
    assert paid([1.0, 0.0], args=sound)[1] == [1, -1]
