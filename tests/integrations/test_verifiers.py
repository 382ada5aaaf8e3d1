"""verifiers: stand-ins of its episodes here, its own nodes in its own Python."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from peer_python import KERNEL, run_peer

from counterpoint.errors import RewardError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.verifiers import assign, prompt_of, trace_reward

LISTENER = 1.2247448714  # 100, 102, 104: mean 102, deviation sqrt(8 / 3)


def part(value, weight=1.0):
    return SimpleNamespace(value=value * weight, weight=weight)


def trace(agent, reward, *, ok=True, trainable=True, sampled=2):
    parts = {} if reward is None else {"own": part(reward)}
    nodes = [
        SimpleNamespace(sampled=False, mask=[False, False], advantages=None),
        SimpleNamespace(sampled=True, mask=[False] + [True] * sampled, advantages=None),
    ]
    return SimpleNamespace(
        agent=SimpleNamespace(name=agent, trainable=trainable), ok=ok, nodes=nodes,
        rewards=parts, reward=0.0 if reward is None else reward)  # fmt: skip


def episode(name, *traces, group="g"):
    return SimpleNamespace(
        id=name, traces=list(traces), task=SimpleNamespace(key="k"),
        group=None if group is None else SimpleNamespace(id=group))  # fmt: skip


def written(result):
    return [one.nodes[1].advantages for episode in result for one in episode.traces]


def test_advantages_stand_on_sampled_tokens():
    made = [
        episode("0", trace("speaker", 0.0), trace("listener", 100.0, sampled=3)),
        episode("1", trace("speaker", 1.0), trace("listener", 102.0), trace("listener", 104.0)),
    ]
    result = assign(made, TeamCredit())
    assert result[0] == pytest.approx([-1, -LISTENER])
    assert result[1] == pytest.approx([1, 0, LISTENER])
    assert [len(one) for one in written(made)] == [2, 3, 2, 2, 2]
    assert all(one.nodes[0].advantages is None for e in made for one in e.traces)


def test_failed_and_untrained_traces_stay_unassigned():
    made = [episode("0", trace("a", 0.0), trace("a", 9.0, ok=False)),
            episode("1", trace("a", 1.0), trace("judge", 5.0, trainable=False))]  # fmt: skip
    assert assign(made, TeamCredit()) == [[-1, None], [1, None]]
    assert written(made)[1] is None
    assert assign([], TeamCredit()) == []
    assert assign([episode("0", trace("a", 1.0, ok=False))], TeamCredit()) == [[None]]


@pytest.mark.parametrize("rewards", [[0.7] * 7, [1000.1] * 3, [5.0], [None, None]])
def test_constant_groups_singletons_and_missing_rewards_are_assigned_zero(rewards):
    made = [episode(str(i), trace("a", r)) for i, r in enumerate(rewards)]
    assert assign(made, TeamCredit()) == [[0.0]] * len(rewards)
    assert written(made)[0] == [0.0, 0.0]


def test_a_part_that_was_not_scored_is_absent_from_the_sum():
    half = trace("a", 7.0)
    half.rewards |= {"late": None, "lost": part(float("nan")), "logged": part(50.0, 0.0)}
    assert trace_reward(half) == 7.0
    only_logged = trace("a", None)
    only_logged.rewards |= {"late": None, "logged": part(50.0, 0.0)}
    assert trace_reward(only_logged) is None
    made = [episode("0", trace("a", 1.0)), episode("1", half), episode("2", only_logged),
            episode("3", trace("a", float("nan")))]  # fmt: skip
    assert assign(made, TeamCredit()) == [[-1], [1], [0], [0]]
    with pytest.raises(RewardError, match="infinite"):
        assign([episode("0", trace("a", float("inf")))], TeamCredit())


def test_traces_of_an_agent_in_one_episode_are_turns(tmp_path):
    made = [episode("0", trace("a", 0.0), trace("a", 5.0)),
            episode("1", trace("a", 1.0), trace("a", 7.0))]  # fmt: skip
    credit = TeamCredit("at_grpo", record=tmp_path / "c.jsonl")
    assert assign(made, credit) == [[-1, -1], [1, 1]]
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [(row["rollout"], row["turn"]) for row in rows] == [
        ("0", 0), ("0", 1), ("1", 0), ("1", 1)
    ]  # fmt: skip


def test_groups_and_evaluations():
    assert prompt_of(episode("0")) == "g"
    assert prompt_of(episode("0", group=None)) == "k"
    made = [episode("0", trace("a", 0.0), group="p"), episode("1", trace("a", 1.0), group="q")]
    credit = TeamCredit()
    assert assign(made, credit, learning=False) == [[0], [0]]
    assert credit.updates == 0


@pytest.mark.slow
def test_in_verifiers_itself():
    printed = run_peer("peers-verifiers", "verifiers_check.py")
    first, second, third = printed["assigned"]
    assert first == pytest.approx([-1, -LISTENER], abs=KERNEL)
    assert second == pytest.approx([1, 0, LISTENER], abs=KERNEL)
    assert third == [None, None]
    assert printed["nodes"][2] == [None, None]
    assert printed["branch"] == pytest.approx([0, 0, 0] + [-LISTENER] * 3, abs=KERNEL)
    assert printed["record"] == [-1, -1]
    assert printed["unscored"] == [[0, 0]]
    assert printed["without_group"] == [[-1], [1]]
