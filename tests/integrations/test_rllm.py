"""rLLM: against its published interface, with stand-ins; the package was not run."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import (
    MissingPackageError,
    RewardError,
    SchemeError,
    SettingError,
    StateError,
)
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.rllm import SPELLINGS, RoleEstimator, advantages_of, register
from counterpoint.readers import read_decisions


def group(name, rewards, idx=None):
    runs = [SimpleNamespace(reward=r, steps=[SimpleNamespace(advantage=None) for _ in range(2)])
            for r in rewards]  # fmt: skip
    metadata = [{"rollout_idx": i} for i in (idx or range(len(rewards)))]
    return SimpleNamespace(group_id=name, trajectories=runs, metadata=metadata)


def call(estimator, *groups):
    rewards = [np.array([t.reward for t in one.trajectories], dtype=float) for one in groups]
    result, returns = estimator(rewards=rewards, algorithm_config=None, traj_groups=list(groups))
    assert returns is result
    assert [len(one) for one in result] == [len(one) for one in rewards]
    return [one.tolist() for one in result]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_spelling_of_the_decorator(spelling, monkeypatch):
    module, name = spelling
    held = {}
    parts = module.split(".")
    for i in range(1, len(parts)):
        parent = ModuleType(".".join(parts[:i]))
        parent.__path__ = []
        monkeypatch.setitem(sys.modules, ".".join(parts[:i]), parent)
    made = ModuleType(module)
    setattr(made, name, lambda key: lambda fn: held.setdefault(key, fn))
    monkeypatch.setitem(sys.modules, module, made)
    estimator = register("ours")
    assert held == {"ours": estimator}
    assert call(held["ours"], group("t:a", [0.0, 1.0])) == [[-1, 1]]


def test_without_rllm_the_error_says_what_to_do():
    with pytest.raises(MissingPackageError, match="rllm"):
        register()


def test_ragged_groups_of_one_role():
    result = call(RoleEstimator(), group("t:x:a", [0.0, 1.0]), group("u:a", [10.0, 12.0, 14.0]),
                 group("v:a", [3.0]))  # fmt: skip
    assert result[0] == [-1, 1]
    assert result[1] == pytest.approx([-1.2247448714, 0, 1.2247448714])
    assert result[2] == [0]


@pytest.mark.parametrize("rewards", [[0.7] * 7, [1000.1] * 3, [1000000.7] * 7, [5.0]])
def test_constant_groups_and_singletons_are_exactly_zero(rewards):
    assert call(RoleEstimator(), group("t:a", rewards)) == [[0.0] * len(rewards)]


def test_missing_and_infinite_rewards():
    assert call(RoleEstimator(), group("t:a", [1.0, float("nan"), 0.0])) == [[1, 0, -1]]
    with pytest.raises(RewardError, match="infinite"):
        call(RoleEstimator(), group("t:a", [1.0, float("inf")]))
    assert RoleEstimator()([], None) == ([], [])
    assert [one.tolist() for one in RoleEstimator()([np.array([1.0, 0.0])])[0]] == [[1, -1]]


@pytest.mark.parametrize("scheme", ["mappo_pooled", "grpo", "agent_mean", "gdpo",
                                    Scheme(center_by=("agent",), shrink=1.0)])  # fmt: skip
def test_schemes_that_compare_agents_are_refused(scheme):
    with pytest.raises(SchemeError, match="advantages_of"):
        RoleEstimator(scheme)


@pytest.mark.parametrize("scheme", ["agent_wise", "at_grpo", "mappo_per_agent", "none",
                                    "group_reward_decoupled", "spiral_rae"])  # fmt: skip
def test_schemes_of_an_agents_own_are_taken(scheme):
    RoleEstimator(scheme)


def test_each_role_has_its_own_state_and_updates(tmp_path):
    whole = RoleEstimator("group_reward_decoupled", tmp_path / "c.jsonl")
    for i in range(2):
        call(whole, group("t:a", [0.0 + i, 1.0]))
        call(whole, group("t:b", [10.0, 12.0 + i]))
    call(whole, group("t:a", [2.0, 1.0]))  # a role may be in more steps than another
    for role, updates in (("a", 3), ("b", 2)):
        log = read_decisions(tmp_path / f"c-{role}.jsonl")
        assert log.step.tolist() == [step for step in range(updates) for _ in range(2)]
    same = RoleEstimator("group_reward_decoupled", tmp_path / "c.jsonl")
    same.load_state_dict(whole.state_dict())
    assert [len(read_decisions(tmp_path / f"c-{role}.jsonl")) for role in "ab"] == [6, 4]
    again = RoleEstimator("group_reward_decoupled")
    again.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    for name in ("t:a", "t:b"):
        assert call(again, group(name, [3.0, 4.0])) == call(whole, group(name, [3.0, 4.0]))
    with pytest.raises(StateError, match="roles"):
        again.load_state_dict([])


def test_a_task_that_was_drawn_twice_is_two_groups():
    """Both groups number their rollouts from 0: they are compared apart, and never averaged."""
    first, second = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]
    high, low = 3**0.5, 3**-0.5  # mean .25, deviation sqrt(3) / 4
    for scheme in ("grpo", "agent_wise"):
        result = advantages_of([group("q7:solver", first), group("q7:solver", second)], scheme)
        assert result[0] == pytest.approx([high, -low, -low, -low])
        assert result[1] == pytest.approx([-high, low, low, low])
    # another agent of the same draw is compared with it: four rewards 0, 1, 10, 11 in each prompt
    both = [group(f"q7:{agent}", [r, r + 1.0]) for r, agent in ((0, "a"), (10, "b"))] * 2
    result = advantages_of(both, Scheme(center_by=("prompt",), scale_by=(), scale="none"))
    assert [one.tolist() for one in result] == [[-5.5, -4.5], [4.5, 5.5]] * 2


def test_trajectories_of_one_rollout_are_samples_of_their_own():
    """Two solvers of one workflow have one rollout index; rLLM's own estimators count both."""
    (result,) = advantages_of([group("q:solver", [0.0, 1.0, 1.0, 1.0], [0, 0, 1, 1])], "grpo")
    assert result == pytest.approx([-(3**0.5)] + [3**-0.5] * 3)


def test_all_roles_at_once_are_the_kernel():
    groups = [group("t:a", [0.0, 1.0], [4, 7]), group("t:b", [10.0, None, 12.0], [4, 5, 7])]
    result = advantages_of(groups, "mappo_pooled")
    wanted = advantages([0.0, 1.0, 10.0, None, 12.0], {}, catalogue()["mappo_pooled"]).values
    assert np.concatenate(result) == pytest.approx(wanted, abs=1e-12)
    steps = [s.advantage for g in groups for t in g.trajectories for s in t.steps]
    assert steps == pytest.approx(np.repeat(wanted, 2))
    assert groups[1].trajectories[1].steps[0].advantage == 0.0
    kept = TeamCredit("grpo")
    untouched = [group("t:a", [1.0, 0.0])]
    advantages_of(untouched, kept, write=False)
    assert kept.updates == 1
    assert untouched[0].trajectories[0].steps[0].advantage is None


def test_advantages_that_rllm_would_overwrite_are_refused():
    groups = [group("t:a", [0.0, 1.0])]
    with pytest.raises(SettingError, match=r"overwrites step\.advantage"):
        advantages_of(groups, algorithm_config=SimpleNamespace(use_precomputed_advantage=False))
    kept = SimpleNamespace(use_precomputed_advantage=True)
    assert advantages_of(groups, algorithm_config=kept)[0].tolist() == [-1, 1]
