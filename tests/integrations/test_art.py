"""ART: stand-ins of its groups here, its own data types and tokenizing in its own Python."""

from __future__ import annotations

import asyncio
import copy
import json

import numpy as np
import pytest
from peer_python import KERNEL, run_peer, site_of

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import LabelError, RewardError, SchemeError, StateError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.art import (
    RAW,
    after_each,
    credited,
    load_state,
    save_state,
    split_by_agent,
)

PAID = [("a", 0.0), ("b", 10.0), ("b", 12.0), ("a", 1.0), ("b", 14.0), ("b", 11.0)]
B = [-1.1832159566, 0.1690308509, 1.5212776585, -0.5070925528]  # mean 11.75, deviation 1.479


class Run:
    """As much of a trajectory as is used."""

    def __init__(self, messages_and_choices=(), reward=0.0, metadata=None):
        self.messages_and_choices, self.reward = list(messages_and_choices), reward
        self.metadata, self.metrics = metadata or {}, {}

    def model_copy(self, update):
        made = copy.copy(self)
        vars(made).update(update)
        return made


class Group:
    """As much of a trajectory group as is used."""

    def __init__(self, trajectories, metadata=None):
        self.trajectories, self.metadata = list(trajectories), metadata or {}
        self.exceptions, self.logs = ["failed"], ["said"]

    def __iter__(self):
        return iter(self.trajectories)


class Model:
    """As much of a model as keeps state: through JSON, merged."""

    def __init__(self):
        self.state = None

    def merge_state(self, state):
        self.state = json.loads(json.dumps({**(self.state or {}), **state}))

    def read_state(self):
        return self.state


def group(rows=PAID, **metadata):
    return Group([Run(reward=r, metadata={"agent": a}) for a, r in rows], metadata)


def rewards(result):
    return [[one.reward for one in part] for part in result]


def kernel(scheme):
    labels = {"prompt": [0] * 6, "agent": [a for a, _ in PAID], "rollout": list(range(6))}
    return advantages([r for _, r in PAID], labels, catalogue()[scheme]).values


def test_one_group_in_one_an_agent_out():
    given = group(prompt="p")
    result = asyncio.run(after_each("agent_wise")(given))
    assert [part.metadata for part in result] == [
        {"prompt": "p", "agent": "a"},
        {"prompt": "p", "agent": "b"},
    ]
    assert rewards(result)[0] == [-1.0, 1.0]
    assert rewards(result)[1] == pytest.approx(B)
    assert [one.metrics[RAW] for part in result for one in part] == [0, 1, 10, 12, 14, 11]
    assert [one.reward for one in given] == [r for _, r in PAID]  # what was given is as it was
    assert [part.exceptions for part in result] == [["failed"], []]


def test_twice_is_once():
    once = credited([group()], TeamCredit())
    assert rewards(credited(once, TeamCredit())) == rewards(once)


def test_only_splitting():
    assert rewards(split_by_agent(group())) == [[0.0, 1.0], [10.0, 12.0, 14.0, 11.0]]
    with pytest.raises(LabelError, match="agent"):
        split_by_agent(Group([Run()]))


@pytest.mark.parametrize("rows", [[("a", 0.7)] * 7, [("a", 1000.1)] * 3, [("a", 5.0)]])
def test_constant_groups_and_singletons_are_exactly_zero(rows):
    assert not any(rewards(credited([group(rows)], TeamCredit()))[0])


def test_a_missing_reward_leaves_the_others_alone():
    (result,) = credited([group([("a", 1.0), ("a", float("nan")), ("a", 0.0)])], TeamCredit())
    assert [one.reward for one in result] == [1, 0, -1]
    assert [RAW in one.metrics for one in result] == [True, False, True]
    with pytest.raises(RewardError, match="infinite"):
        credited([group([("a", float("inf"))])], TeamCredit())


def test_groups_without_a_name_are_different_prompts():
    result = credited([group(), group([("a", 7.0), ("a", 9.0)])], TeamCredit())
    assert rewards(result)[2] == [-1, 1]
    assert credited([], TeamCredit()) == []
    assert credited([Group([])], TeamCredit()) == []


def test_whole_batches_and_labels_of_trajectories():
    other = [("a", 5.0), ("b", 3.0)]
    # mean 7, deviation sqrt(25.5): (0 - 7 + 1 - 7) / 5.05
    with pytest.raises(SchemeError, match=r"of agent 'a' that sum to -2\.57 over"):
        credited([group(), group(other)], TeamCredit("mappo_pooled"))
    result = credited([group(), group(other)], TeamCredit("mappo_pooled"), balance=True)
    flat = [one.reward for part in result for one in part if "balance" not in one.metadata]
    assert np.mean(flat) == pytest.approx(0)
    assert np.std(flat) == pytest.approx(1)
    turns = group([("a", 0.0), ("a", 5.0), ("a", 1.0), ("a", 7.0)])
    for i, one in enumerate(turns):
        one.metadata |= {"rollout": i // 2, "turn": i % 2}
    assert rewards(credited([turns], TeamCredit("at_grpo"))) == [[-1, -1, 1, 1]]


def test_a_balancing_trajectory_keeps_the_mean():
    plain, agents = kernel("mappo_pooled"), np.array([a for a, _ in PAID])
    result = credited([group()], TeamCredit("mappo_pooled"), balance=True)
    for part, agent in zip(result, "ab", strict=True):
        *own, extra = part
        assert [one.reward for one in own] == plain[agents == agent].tolist()
        assert sum(one.reward for one in part) == pytest.approx(0, abs=1e-12)
        assert extra.metadata["balance"]
        assert [m["role"] for m in extra.messages_and_choices] == ["user"]
    exact = credited([group()], TeamCredit("agent_wise"), balance=True)
    assert [len(part.trajectories) for part in exact] == [2, 4]  # nothing to balance


def test_state_goes_through_a_models_state():
    model, first = Model(), TeamCredit("group_reward_decoupled")
    again = TeamCredit("group_reward_decoupled")
    assert load_state(model, again) is False
    model.merge_state({"step": 3})
    credited([group()], first)
    save_state(model, first)
    assert load_state(model, again)
    assert again.state_dict() == first.state_dict()
    assert model.state["step"] == 3
    with pytest.raises(StateError):
        load_state(model, TeamCredit("agent_wise"))


@pytest.mark.slow
def test_in_art_itself(tmp_path):
    printed = run_peer("peers-services", "art_check.py", tmp_path)
    first, second, *_ = printed["gathered"]
    assert first == ["a", [-1.0, 1.0], [0.0, 1.0]]
    assert second[1] == pytest.approx(B, abs=KERNEL)
    assert len(printed["gathered"]) == 4
    whole = [value for _, values, _ in printed["batch"] for value in values]
    assert np.mean(whole) == pytest.approx(0, abs=KERNEL)
    assert [values for _, values, _ in printed["odd"]] == [[0.0] * 7, [0.0], [0.0]]
    assert printed["loaded"]
    assert sum(printed["judged"]) == pytest.approx(0, abs=KERNEL)
    assert printed["judged"][0] < printed["judged"][2]  # "0.0" is shorter than "12.0"


@pytest.mark.slow
def test_art_trains_with_our_advantages(tmp_path):
    """ART's local backend, its tokenizer left out."""
    if not (site_of("peers-services") / "torch").exists():
        pytest.skip("no torch in .venv/peers-services")
    printed = run_peer("peers-services", "art_check.py", tmp_path, "training")
    for name, scheme in (("local", "agent_wise"), ("balanced", "mappo_pooled")):
        wanted = sorted(zip([a for a, _ in PAID], [r for _, r in PAID], kernel(scheme)))  # noqa: B905
        got = sorted(printed[name])
        assert [row[:2] for row in got] == [list(row[:2]) for row in wanted]
        assert [row[2] for row in got] == pytest.approx([row[2] for row in wanted], abs=KERNEL)
