"""prime-rl: its episodes as stand-ins here, its own table, hooks and checkpoints in its Python."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from peer_python import KERNEL, run_peer

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import MissingPackageError, RewardError, StateError, UnknownNameError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.prime_rl import (
    STATE,
    EnvCredits,
    group_advantages,
    install,
    load,
    save,
)
from counterpoint.readers import read_decisions


def rows(*given, group="g"):
    """Pairs of an episode and a trace, from rollout, agent and reward."""
    return [
        (
            SimpleNamespace(id=rollout, group=SimpleNamespace(id=group), task=None),
            SimpleNamespace(
                agent=SimpleNamespace(name=agent),
                rewards={} if r is None else {"own": SimpleNamespace(value=r, weight=1.0)},
            ),
        )
        for rollout, agent, r in given
    ]


UNEVEN = rows((0, "a", 0.0), (0, "b", 10.0), (1, "a", 1.0), (1, "b", 12.0), (2, "b", 14.0),
              (3, "b", 11.0))  # fmt: skip


def kernel():
    labels = {"prompt": [0] * 6, "agent": list("ababbb")}
    return advantages([0, 10, 1, 12, 14, 11], labels, catalogue()["agent_wise"]).values


def test_without_prime_rl_the_error_says_what_to_do():
    with pytest.raises(MissingPackageError, match="uv sync"):
        install()


def test_agents_have_statistics_of_their_own():
    assert group_advantages(UNEVEN, TeamCredit()) == pytest.approx(list(kernel()))


@pytest.mark.parametrize("rewards", [[0.7] * 7, [1000.1] * 3, [5.0], [None, None]])
def test_constant_groups_singletons_and_missing_rewards_are_zero(rewards):
    made = rows(*[(i, "a", r) for i, r in enumerate(rewards)])
    assert group_advantages(made, TeamCredit()) == [0.0] * len(rewards)


def test_missing_and_infinite_rewards():
    made = rows((0, "a", 1.0), (1, "a", None), (2, "a", 0.0), (3, "a", float("nan")))
    assert group_advantages(made, TeamCredit()) == [1, 0, -1, 0]
    with pytest.raises(RewardError, match="infinite"):
        group_advantages(rows((0, "a", float("inf"))), TeamCredit())


def test_traces_of_an_agent_in_one_episode_are_turns():
    made = rows((0, "a", 0.0), (0, "a", 5.0), (1, "a", 1.0), (1, "a", 7.0))
    assert group_advantages(made, TeamCredit("at_grpo")) == [-1, -1, 1, 1]


def test_environments_have_states_and_logs_of_their_own(tmp_path):
    credits = EnvCredits("group_reward_decoupled", tmp_path / "c.jsonl")
    group_advantages(UNEVEN, credits.of("kuhn/poker"))
    group_advantages(rows((0, "a", 100.0)), credits.of("math"))
    assert read_decisions(tmp_path / "c-kuhn_poker.jsonl").labels["agent"].tolist() == list(
        "ababbb"
    )
    assert (tmp_path / "c-math.jsonl").exists()
    save({"rae": credits}, tmp_path)
    again = EnvCredits("group_reward_decoupled")
    load({"rae": again}, tmp_path)
    assert again.state_dict() == credits.state_dict()
    later = rows((0, "a", 3.0), (1, "a", 4.0))
    assert group_advantages(later, again.of("math")) == group_advantages(later, credits.of("math"))


def test_states_that_do_not_fit(tmp_path):
    load({"rae": EnvCredits("agent_wise")}, tmp_path)  # nothing to resume
    with pytest.raises(StateError, match="no state of 'rae'"):
        load({"rae": EnvCredits("group_reward_decoupled")}, tmp_path)
    (tmp_path / STATE).write_text(json.dumps({"rae": 3}))
    with pytest.raises(StateError, match="of type int"):
        load({"rae": EnvCredits("agent_wise")}, tmp_path)
    (tmp_path / STATE).write_text("{")
    with pytest.raises(StateError, match="could not read"):
        load({"rae": EnvCredits("agent_wise")}, tmp_path)
    with pytest.raises(UnknownNameError):
        EnvCredits("nothing")


@pytest.mark.slow
def test_in_prime_rl_itself(tmp_path):
    printed = run_peer("peers-prime-rl", "prime_rl_check.py", tmp_path)
    assert printed["uneven"] == pytest.approx(list(kernel()), abs=KERNEL)
    assert read_decisions(tmp_path / "credit-team.jsonl").writer == "prime-rl"
    assert printed["tokens"] == [2] * 6
    assert printed["sample"] == [[0, -1, -1]]  # what the trainer is sent, context first
    # with an error, not trainable, without a sampled token: not assigned; without a reward: 0
    assert printed["odd"] == [[-1, -1], [], [], [1, 1], [], [0, 0]]
    assert printed["nothing"] == [[]]
    assert not np.any(printed["constant"])
    assert printed["refused"] == [True, True]
    assert printed["resumed"] == {
        "step": 4, "same": True, "envs": ["other", "team"], "equal": True, "elsewhere": True,
        "file": True, "cold": True,
    }  # fmt: skip
