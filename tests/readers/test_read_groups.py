"""Groups of runs in all the shapes that trainers write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import LogError
from counterpoint.readers.groups import read_groups
from counterpoint.readers.messages import events_of, parse_messages


def read(tmp_path, *lines):
    file = tmp_path / "groups.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return [each.group for each in read_groups(file)]


SAID = [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "5"}]


def test_openai_messages(tmp_path):
    (found,) = read(tmp_path, {"id": "g", "task": "add", "runs": [
        {"id": "a", "messages": SAID, "score": 1}, {"id": "b", "messages": SAID, "success": False},
    ]})  # fmt: skip
    assert found.ids == ("a", "b")
    assert found.task == "add"
    assert [c.truth for c in found.candidates] == [1, 0]
    episode = found.candidates[0].episode
    assert [(e.agent, e.text) for e in episode.events] == [("user", "2 + 3?"), ("assistant", "5")]
    assert episode.agents == ("assistant",)
    assert episode.tools == ("user",)


def test_art_trajectories_with_choices(tmp_path):
    choice = {"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "5"}}
    (found,) = read(tmp_path, {"trajectories": [
        {"messages_and_choices": [SAID[0], choice], "reward": 0.5},
        {"messages_and_choices": [SAID[0], choice], "reward": 0.25},
    ]})  # fmt: skip
    assert found.id == "group-0"
    assert found.ids == ("run-0", "run-1")
    assert [c.truth for c in found.candidates] == [0.5, 0.25]
    assert found.candidates[1].episode.events[1].text == "5"


def test_our_events_and_agents(tmp_path):
    events = [
        {"agent": "planner", "text": "go", "to": ["worker"]},
        {"agent": "worker", "text": "ok"},
    ]
    (found,) = read(tmp_path, {"group": 7, "runs": [
        {"id": "a", "events": events, "scores": {"planner": 1, "worker": 0}},
        {"id": "b", "events": events, "agents": ["worker"], "author": "me"},
    ]})  # fmt: skip
    assert found.id == "7"
    first, second = found.candidates
    assert first.episode.agents == ("planner", "worker")
    assert first.episode.events[0].to == ("worker",)
    assert first.episode.scores == {"planner": 1.0, "worker": 0.0}
    assert second.episode.tools == ("planner",)
    assert second.author == "me"


def test_a_run_a_line_of_the_same_group(tmp_path):
    lines = [{"group": g, "id": f"r{i}", "text": "x", "score": i} for g in "ab" for i in range(3)]
    first, second = read(tmp_path, *lines)
    assert (first.id, first.ids) == ("a", ("r0", "r1", "r2"))
    assert (second.id, len(second.candidates)) == ("b", 3)


def test_tool_calls_are_actions_and_results_are_of_the_tool():
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
    found = events_of(parse_messages([
        {"role": "assistant", "name": "solver", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "5"},
        {"role": "assistant", "content": [{"type": "text", "text": "it is"},
                                          {"type": "text", "text": "5"}]},
    ], "here"))  # fmt: skip
    assert [(e.agent, e.kind, e.text) for e in found] == [
        ("solver", "action", '{"a": 2}'),
        ("add", "message", "5"),
        ("assistant", "message", "it is\n5"),
    ]
    assert found[0].tool == "add"
    assert [e.t for e in found] == [0, 1, 2]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"id": "g"}, "runs"),
        ({"runs": []}, "runs"),
        ({"runs": {"a": 1}}, "runs"),
        ({"runs": [{"id": "a"}]}, "no messages"),
        ({"runs": [{"messages": "hello"}]}, "messages"),
        ({"runs": [{"messages": [{"content": "x"}]}]}, "message 0"),
        ({"runs": [{"messages": [{"role": "user", "content": 7}]}]}, "content"),
        ({"runs": [{"text": "x", "score": "high"}]}, "score"),
        ({"runs": [{"text": "x", "score": 1e999}]}, "score"),
        ({"runs": [{"id": 1, "text": "x"}, {"id": 1, "text": "y"}]}, "twice"),
        ({"runs": [{"events": [{"text": "x"}]}]}, "event 0"),
        ({"runs": [{"events": [{"agent": "a", "kind": "dance"}]}]}, "dance"),
        ([1, 2], "JSON object"),
    ],
)
def test_what_is_no_group_is_refused_with_its_place(tmp_path, line, said):
    with pytest.raises(LogError, match="line 1") as met:
        read(tmp_path, line)
    assert said in str(met.value)


def test_one_group_twice_is_refused(tmp_path):
    line = {"id": "g", "runs": [{"text": "x"}]}
    with pytest.raises(LogError, match="again"):
        read(tmp_path, line, line)


def test_deep_json_and_a_missing_file_are_refused(tmp_path):
    file = tmp_path / "deep.jsonl"
    file.write_text('{"runs": ' + "[" * 100_000 + "\n", "utf-8")
    with pytest.raises(LogError):
        list(read_groups(file))
    with pytest.raises(LogError, match="wanted groups"):
        list(read_groups(tmp_path / "nowhere"))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["runs", "messages", "role", "content", "id", "group", "events", "agent",
                         "score", "tool_calls", "function", "name", "text", "trajectories"]),
        inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(JSON, max_size=3))
def test_whatever_it_is_it_is_read_or_refused(tmp_path_factory, lines):
    file = tmp_path_factory.mktemp("fuzz") / "g.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    try:
        found = list(read_groups(file))
    except LogError:
        return
    assert all(each.group.candidates for each in found)
