"""Draws of one prompt, rollouts and turns that trainers number alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from counterpoint.integrations.draws import (
    distinct_prompts,
    distinct_rollouts,
    occurrences,
    with_turns,
)


def test_a_second_group_of_a_prompt_is_a_draw_of_its_own():
    assert distinct_prompts(["q", "q", "q", "q"], [0, 0, 1, 1], ["a"] * 4) == [
        "q", "q", "q (2)", "q (2)"
    ]  # fmt: skip


def test_groups_of_other_agents_belong_to_the_same_draw():
    prompts, agents = ["q"] * 6, list("ababab")
    assert distinct_prompts(prompts, [0, 1, 2, 3, 4, 5], agents) == [
        "q", "q", "q (2)", "q (2)", "q (3)", "q (3)"
    ]  # fmt: skip
    # a group of both agents after one of a alone is a later draw for both
    assert distinct_prompts(["q"] * 3, [0, 1, 1], ["a", "a", "b"]) == ["q", "q (2)", "q (2)"]


def test_a_name_that_the_trainer_gave_is_not_taken_again():
    assert distinct_prompts(["q", "q", "q (2)"], [0, 1, 2], ["a"] * 3) == ["q", "q (2)'", "q (2)"]


rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.sampled_from("ab")))


@given(rows)
def test_no_two_groups_with_an_agent_in_common_share_a_prompt(given_rows):
    prompts, groups, agents = (list(column) for column in zip(*given_rows, strict=True)) if (
        given_rows
    ) else ([], [], [])  # fmt: skip
    result = distinct_prompts(prompts, groups, agents)
    for i, one in enumerate(result):
        for j, other in enumerate(result[:i]):
            same_group = (prompts[i], groups[i]) == (prompts[j], groups[j])
            if same_group:
                assert one == other
            elif agents[i] == agents[j] or prompts[i] != prompts[j]:
                assert one != other


def test_rollouts_that_are_numbered_alike_are_numbered_apart():
    assert distinct_rollouts([0, 0, 1, 1], ["q"] * 4) == [0, "0 (2)", 1, "1 (2)"]
    assert distinct_rollouts([0, 0, 1, 1], ["q", "r", "q", "r"]) == [0, 0, 1, 1]
    assert distinct_rollouts([], []) == []


def test_several_rows_of_an_agent_in_a_rollout_are_turns():
    labels = {"prompt": [0] * 4, "rollout": [0, 0, 1, 0], "agent": ["a", "b", "a", "a"]}
    assert with_turns(labels)["turn"] == [0, 0, 0, 1]
    assert with_turns({**labels, "rollout": [0, 0, 1, 2]})["turn"] == [0] * 4
    assert with_turns({**labels, "turn": [5, 5, 5, 6]})["turn"] == [5, 5, 5, 6]
    assert with_turns({"agent": ["a", "a"]}) == {"agent": ["a", "a"]}


def test_occurrences_by_hand():
    assert occurrences(["p", "q", "p", "p"]) == [0, 0, 1, 2]
    assert occurrences(None, ["a", "a"], [0, 0]) == [0, 1]
