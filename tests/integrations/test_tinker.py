"""tinker-cookbook: stand-ins of its trajectories here, its own rollouts in its own Python."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from peer_python import KERNEL, run_peer

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import (
    LabelError,
    MissingPackageError,
    RewardError,
    SchemeError,
    SettingError,
)
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.tinker import batch_advantages, group_rewards, patch

AGENTS, REWARDS = "aabbbb", [0.0, 1.0, 10.0, 12.0, 14.0, 11.0]
WANTED = [-1, 1, -1.1832159566, 0.1690308509, 1.5212776585, -0.5070925528]


def run(*steps, agent=None):
    logs = {} if agent is None else {"agent": agent}
    return SimpleNamespace(transitions=[SimpleNamespace(reward=r, logs=logs) for r in steps])


def group(agents, rewards):
    runs = [run(0.0, agent=a) for a in agents]
    return SimpleNamespace(trajectories_G=runs, get_total_rewards=lambda: list(rewards))


def trained(paid, steps):
    """What tinker-cookbook makes of group rewards: totals minus their mean."""
    totals = [final + step for (final, _), step in zip(paid, steps, strict=True)]
    return [total - sum(totals) / len(totals) for total in totals]


def test_totals_are_the_advantages():
    paid = group_rewards([run(r / 2, r / 2) for r in REWARDS], AGENTS)
    assert trained(paid, REWARDS) == pytest.approx(WANTED)
    assert max(final + r for (final, _), r in zip(paid, REWARDS, strict=True)) == 0  # none above 0
    assert paid[3][1] == {"reward_raw": 12.0, "counterpoint/advantage": pytest.approx(0.1690308509)}
    given = group_rewards([run(0.0)] * 6, AGENTS, rewards=REWARDS)
    assert trained(given, [0.0] * 6) == pytest.approx(WANTED)
    with pytest.raises(RewardError, match="5 rewards"):
        group_rewards([run(0.0)] * 6, AGENTS, rewards=REWARDS[1:])


class Termination(SimpleNamespace):
    zero_reward_on_limit = True
    limit_stop_reasons = ("max_tokens",)


def test_the_zero_of_a_limit_comes_before_our_credit():
    runs = [run(1.0), run(1.0), run(0.0), run(-1.0)]
    for one, reason in zip(runs, ("max_tokens", "done", None, "max_tokens"), strict=True):
        one.stop_reason = reason
    paid = group_rewards(runs, "aaaa", termination=Termination())
    # rewards 0, 1, 0, -1: mean 0, deviation sqrt(1 / 2)
    assert trained(paid, [1.0, 1.0, 0.0, -1.0]) == pytest.approx([0, 2**0.5, 0, -(2**0.5)])
    assert [one.get("zero_reward_on_limit") for _, one in paid] == [1.0, None, None, None]
    assert paid[0][1]["reward_raw"] == 0.0
    bare = group_rewards(runs, "aaaa", termination=None)  # 1, 1, 0, -1: mean 1/4
    assert trained(bare, [1.0, 1.0, 0.0, -1.0])[0] == pytest.approx(0.75 / 0.6875**0.5)
    with pytest.raises(SettingError, match=r"stopped by 'max_tokens'.*effective_termination"):
        group_rewards(runs, "aaaa")


@pytest.mark.parametrize("rewards", [[0.7] * 7, [1000.1] * 3, [1000000.7] * 7, [5.0], [None], []])
def test_constant_groups_and_singletons_are_exactly_zero(rewards):
    paid = group_rewards([run(0.0)] * len(rewards), "a" * len(rewards), rewards=rewards)
    assert [final for final, _ in paid] == [0.0] * len(rewards)


def test_a_missing_reward_leaves_the_others_alone():
    paid = group_rewards([run(0.0)] * 3, "aaa", rewards=[1.0, None, 0.0])
    assert trained(paid, [0.0] * 3) == [1, 0, -1]
    assert "reward_raw" not in paid[1][1]
    with pytest.raises(RewardError, match="not finite"):
        group_rewards([run(float("nan"))], "a")
    with pytest.raises(RewardError, match="infinite"):
        group_rewards([run(0.0)], "a", rewards=[float("inf")])


def test_schemes_that_its_centering_would_change_are_refused():
    with pytest.raises(SchemeError, match="memory"):
        group_rewards([run(1.0)], "a", "group_reward_decoupled")
    with pytest.raises(SchemeError, match="sum to"):
        group_rewards([run(2.0), run(1.0)], "aa", Scheme(center="none"))
    with pytest.raises(LabelError, match="shape"):
        group_rewards([run(2.0), run(1.0)], "a")


def test_a_whole_batch_and_state():
    groups = [group("ab", [0.0, 100.0]), group("ba", [102.0, 1.0])]
    result = batch_advantages(groups, TeamCredit("mappo_pooled"))
    labels = {"agent": list("abba")}
    wanted = advantages([0.0, 100.0, 102.0, 1.0], labels, catalogue()["mappo_pooled"]).values
    assert np.concatenate(result) == pytest.approx(wanted)
    running = TeamCredit("group_reward_decoupled")
    batch_advantages(groups, running)
    before = running.state_dict()
    batch_advantages(groups, running, learning=False)
    assert running.state_dict() == before
    assert batch_advantages([], running) == []
    with pytest.raises(LabelError, match="agent_of"):
        batch_advantages([SimpleNamespace(trajectories_G=[run(1.0)],
                                          get_total_rewards=lambda: [1.0])], running)  # fmt: skip


def test_without_tinker_the_error_says_what_to_do():
    with pytest.raises(MissingPackageError, match="pip install tinker-cookbook"), patch():
        pass


@pytest.mark.slow
def test_in_tinker_cookbook_itself():
    printed = run_peer("peers-tinker", "tinker_check.py")
    assert printed["rewarded"] == pytest.approx(WANTED, abs=KERNEL)
    assert printed["datum"] == pytest.approx(WANTED, abs=KERNEL)
    assert printed["own"] == [-8.0, -7.0, 2.0, 4.0, 6.0, 3.0]  # pooled: b's worst is rewarded
    assert not any(printed["constant"] + printed["singleton"])
    assert printed["metrics"] == {"counterpoint/advantage": -1.0, "reward_raw": 0.0}
    assert printed["refused"]
    whole = advantages([*REWARDS, 3.0, 5.0], {}, catalogue()["mappo_pooled"]).values
    assert np.concatenate(printed["patched"]) == pytest.approx(whole, abs=KERNEL)
    assert printed["type"] == "torch.float32"
    assert printed["updates"] == [0, 2]  # printing a group is none
    assert printed["undone"]
    # rewards 1 (stopped at a limit), 1, 0, 0 and zero_reward_on_limit: 0, 1, 0, 0
    limit = printed["limit"]
    assert limit["stock"][0] == pytest.approx(-0.25)
    for way in ("group_rewards", "patch"):
        assert limit[way] == pytest.approx([-(3**-0.5), 3**0.5, -(3**-0.5), -(3**-0.5)])
    assert "another loop" not in printed["hook"]
    assert "before tinker_cookbook.rl.train.compute_advantages was called" in printed["hook"]
    assert printed["stepped"] == "reached"
