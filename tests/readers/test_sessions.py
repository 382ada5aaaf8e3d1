"""Sessions, trajectories and rollouts: members, tools, order, usage, times and endings by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from session_samples import ALONE, START, TASK, TEAMS, Z, claude, codex

from counterpoint.errors import LogError
from counterpoint.marks import mark_of, without_digests
from counterpoint.readers import read_logs
from counterpoint.readers.formats.catalogue import format_of
from counterpoint.readers.formats.inspect_events import calls_of

SAMPLES = {**TEAMS, **ALONE}
LINES = ("model calls", "claude_code", "codex", "messages")
"""Formats of JSON lines."""


def write(path, value, lines=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(each) + "\n" for each in value) if lines else json.dumps(value)
    path.write_text(text, "utf-8")
    return path


def sample(tmp_path, kind):
    """The episodes of the sample of a format."""
    value = SAMPLES[kind]
    if kind in LINES:
        return list(read_logs(write(tmp_path / "log.jsonl", value, lines=True)))
    return list(read_logs(write(tmp_path / "log.json", value[0] if kind in ("atif", "openhands")
                                else value)))  # fmt: skip


def shape(episode):
    return [(e.agent, e.kind, e.text) for e in episode.events]


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_format_is_recognized_in_every_packing(kind, tmp_path):
    value = SAMPLES[kind]
    values = value if kind in LINES else [value[0] if kind in ("atif", "openhands") else value]
    assert {format_of(each) for each in values} == {kind}
    lined = list(read_logs(write(tmp_path / "a.jsonl", values, lines=True)))
    pretty = tmp_path / "b.json"
    pretty.write_text(json.dumps(values if kind in LINES else values[0], indent=1), "utf-8")
    plain = list(read_logs(pretty))
    assert [shape(e) for e in lined] == [shape(e) for e in plain]
    assert plain


def test_anthropic(tmp_path):
    (got,) = sample(tmp_path, "anthropic")
    assert (got.agents, got.tools) == (("assistant",), ("system", "user", "stock"))
    assert shape(got) == [
        ("system", "message", "Be brief."),
        ("user", "message", "¿Cuántas sillas?"),
        ("assistant", "message", "I ask."),
        ("assistant", "action", '{"of": "silla"}'),
        ("stock", "message", "shop is shut"),
        ("user", "message", f"{mark_of({'type': 'image', 'source': {}})}\nAnd now?"),
        ("assistant", "message", "Nobody knows."),
    ]
    first = got.events[2]
    assert (first.tokens, first.tokens_in, first.finish) == (9, 47, "tool_use")  # 7 and 40 cached
    assert first.meta["thinking"] == "ask the shop"
    assert (got.events[3].tool, got.events[3].call) == ("stock", "c1")
    assert (got.events[4].call, got.events[4].error) == ("c1", "shop is shut")
    assert got.task == "¿Cuántas sillas?"
    assert got.doubts == ()


def test_lines_that_are_messages_are_one_conversation(tmp_path):
    (got,) = sample(tmp_path, "messages")
    assert shape(got) == [
        ("user", "message", "Wie spät?"),
        ("assistant", "action", "{}"),
        ("clock", "message", "12"),
        ("assistant", "message", "Zwölf.\nNo."),
    ]


def test_model_calls_are_conversations(tmp_path):
    (got,) = sample(tmp_path, "model calls")
    assert got.id == "kitchen"
    assert got.agents == ("cook", "waiter")
    assert [(e.agent, e.kind, e.text) for e in got.events] == [
        ("system", "message", "cook"),
        ("user", "message", "soup"),
        ("cook", "action", '{"line": "ls"}'),
        ("system", "message", "serve"),
        ("user", "message", "the soup"),
        ("waiter", "action", "{}"),
        ("waiter", "message", "Served."),
        ("zsh", "message", "pot"),
        ("cook", "message", "Done."),
    ]
    cook, waiter = got.events[2], got.events[5]
    assert (cook.tokens_in, cook.tokens, cook.finish, cook.seconds) == (4, 6, "tool_calls", START)
    assert (waiter.tokens_in, waiter.tokens, waiter.finish) == (3, 2, "max_output_tokens")
    assert waiter.meta["thinking"] == "hot"
    assert got.ending == "stop"


def test_model_calls_without_a_key_go_on_where_the_request_repeats_them(tmp_path):
    def call(*turns):
        *asked, last = [{"role": "user" if i % 2 == 0 else "assistant", "content": text}
                        for i, text in enumerate(turns)]  # fmt: skip
        return {"request": {"messages": asked},
                "response": {"choices": [{"message": last, "finish_reason": "stop"}]}}  # fmt: skip

    lines = [call("a", "b"), call("x", "y"), call("a", "b", "c", "d"), call("x", "z")]
    first, second, third = read_logs(write(tmp_path / "c.jsonl", lines, lines=True))
    assert [e.text for e in first.events] == ["a", "b", "c", "d"]
    assert [e.text for e in second.events] == ["x", "y"]
    assert [e.text for e in third.events] == ["x", "z"]
    keyed = [{**line, "thread_id": "t"} for line in lines]
    (one,) = read_logs(write(tmp_path / "k.jsonl", keyed, lines=True))
    assert "carry no name" in one.doubts[0]  # three conversations, and nobody says whose


def test_openai_facts_of_messages(tmp_path):
    said = [
        {"role": "user", "content": [{"type": "text", "text": "Look"},
                                     {"type": "image_url", "image_url": {"url": "data:"}}]},
        {"role": "assistant", "name": "ann", "content": None, "refusal": "I may not."},
        {"role": "assistant", "name": "bo", "content": "cut o", "finish_reason": "length",
         "reasoning_content": "so", "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {"role": "tool", "tool_call_id": "q", "content": "", "error": {"message": "gone"}},
    ]  # fmt: skip
    (got,) = read_logs(write(tmp_path / "o.json", {"messages": said}))
    texts = [without_digests(e.text) for e in got.events]
    assert texts == ["Look\n[image]", "I may not.", "cut o", "gone"]
    assert [e.finish for e in got.events] == ["", "refusal", "length", ""]
    assert got.events[2].meta["thinking"] == "so"
    assert (got.events[2].tokens, got.events[2].tokens_in) == (2, 3)
    assert got.events[3].error == "gone"


def test_claude_code(tmp_path):
    (got,) = sample(tmp_path, "claude_code")
    assert got.id == "s-77"
    assert (got.agents, got.tools) == (("main", "digger"), ("user", "Bash"))
    assert [(e.agent, e.kind, e.text, e.to) for e in got.events] == [
        ("user", "message", "Find the well", ()),
        ("main", "message", "I send one.", ()),
        ("main", "handoff", "dig there", ("digger",)),
        ("digger", "action", '{"command": "dig"}', ()),
        ("Bash", "message", "stone", ()),
        ("digger", "message", "wet earth", ()),
        ("digger", "handoff", "", ("main",)),
        ("main", "message", "There it is.", ()),
    ]
    # one model call, in two lines: its usage is that of the last line, and counts once
    assert [(e.tokens, e.tokens_in, e.cost) for e in got.events[1:3]] == [
        (30, 100, 0.25),  # 10, 5 and 85
        (None, None, None),
    ]
    assert [e.seconds - START for e in got.events] == [0, 1, 2, 4, 5, 6, 9, 10]
    assert got.events[4].error == "stone"
    assert got.events[6].duration == 6.5
    assert (got.task, got.ending) == ("Find the well", "end_turn")
    assert got.meta["summary"] == "A hole"
    assert got.meta["other_lines"] == {"file-history-snapshot": 1}


def test_a_subagent_in_files_of_its_own_is_a_member(tmp_path):
    session = [line for line in TEAMS["claude_code"] if not line.get("agentId")]
    for line in session:
        line.pop("toolUseResult", None)
    inner = [line for line in TEAMS["claude_code"] if line.get("agentId")]
    path = write(tmp_path / "p" / "s-77.jsonl", session, lines=True)
    folder = tmp_path / "p" / "s-77" / "subagents"
    write(folder / "agent-d1.jsonl", inner, lines=True)
    write(folder / "agent-d1.meta.json", {"agentType": "digger"})
    notes: list[str] = []
    for root in (path, tmp_path):
        (got,) = read_logs(root, note=notes.append)
        assert got.agents == ("main", "digger")
        assert [e.kind for e in got.events].count("handoff") == 2
    assert notes == []
    (orphan,) = read_logs(folder)
    assert orphan.agents == ("digger",)


def test_a_subagent_without_lines_answers_by_its_result(tmp_path):
    lines = [line for line in TEAMS["claude_code"] if not line.get("agentId")]
    (got,) = read_logs(write(tmp_path / "s.jsonl", lines, lines=True))
    assert got.agents == ("main", "digger")
    back = got.events[3]
    assert (back.agent, back.kind, back.to, back.text) == (
        "digger", "message", ("main",), "wet earth",
    )  # fmt: skip


def test_a_resumed_session_counts_its_lines_once(tmp_path):
    first = [claude("user", "r1", 0, "Start"), claude("assistant", "r2", 1, "Begun.")]
    again = [{**line, "sessionId": "s-78"} for line in first]
    again.append({**claude("user", "r3", 5, "Go on"), "sessionId": "s-78"})
    write(tmp_path / "s-77.jsonl", first, lines=True)
    write(tmp_path / "s-78.jsonl", again, lines=True)
    (got,) = read_logs(tmp_path)
    assert [e.text for e in got.events] == ["Start", "Begun.", "Go on"]
    assert got.meta["other_lines"] == {"repeated": 2}


def test_a_result_that_names_its_subagent_is_the_main_agents(tmp_path):
    lines = [
        claude("assistant", "b", 1, [TASK]),
        claude("assistant", "d", 3, "wet", agentId="zz", isSidechain=True),
        claude("assistant", "e", 4, "earth", isSidechain=True),  # names no subagent
        claude("user", "f", 5, [{"type": "tool_result", "tool_use_id": "t9", "content": "earth"}],
               agentId="zz"),
        claude("assistant", "g", 6, "Done."),
    ]  # fmt: skip
    (got,) = read_logs(write(tmp_path / "s.jsonl", lines, lines=True))
    assert got.agents == ("main", "digger")
    assert [(e.agent, e.kind) for e in got.events] == [
        ("main", "handoff"), ("digger", "message"), ("digger", "message"), ("digger", "handoff"),
        ("main", "message"),
    ]  # fmt: skip


def test_two_subagents_of_one_type_and_a_compaction(tmp_path):
    def start(number):
        return {"type": "tool_use", "id": f"t{number}", "name": "Agent",
                "input": {"subagent_type": "digger", "prompt": f"hole {number}"}}  # fmt: skip

    lines = [
        claude("user", "a", 0, "Dig"),
        claude("assistant", "b", 1, [start(1), start(2)]),
        claude("user", "c", 2, "hole 2", "zz"),
        claude("assistant", "d", 3, "second", "zz"),
        claude("user", "e", 2, "hole 1", "yy"),
        claude("assistant", "f", 4, "first", "yy"),
        {"type": "system", "subtype": "compact_boundary", "uuid": "g", "sessionId": "s-77",
         "timestamp": Z.format(5), "content": "compacted", "compactMetadata": {"trigger": "auto"}},
        claude("user", "h", 6, "So far: dug.", isCompactSummary=True),
    ]  # fmt: skip
    (got,) = read_logs(write(tmp_path / "s.jsonl", lines, lines=True))
    assert got.agents == ("main", "digger", "digger-2")
    assert [e.to for e in got.events if e.kind == "handoff"] == [("digger-2",), ("digger",)]
    assert [(e.agent, e.text) for e in got.events if e.kind == "message"] == [
        ("user", "Dig"), ("digger", "second"), ("digger-2", "first"), ("system", "compacted"),
        ("system", "So far: dug."),
    ]  # fmt: skip
    assert got.events[-2].meta["compaction"] == {"trigger": "auto"}


def test_codex(tmp_path):
    (got,) = sample(tmp_path, "codex")
    assert got.id == "th-1"
    assert (got.agents, got.tools) == (("main",), ("user", "exec"))
    assert shape(got) == [
        ("user", "message", "Mend the roof"),
        ("main", "action", "{}"),
        ("exec", "message", "no nails"),
        ("main", "message", "It leaks."),
    ]
    call, result = got.events[1:3]
    assert (call.tokens_in, call.tokens) == (50, 8)  # reported twice, counted once
    assert (result.error, result.duration, result.call) == ("exit code 2", 0.5, "x1")
    assert (got.ending, got.meta["total_tokens"]) == ("task_complete", 58)


def test_a_codex_thread_that_another_started_is_a_member(tmp_path):
    text = [{"type": "output_text", "text": "Found nails."}]
    main = [
        codex("session_meta", 0, id="th-1"),
        codex("response_item", 1, type="function_call", name="spawn_agent", call_id="s1",
              arguments='{"message": "find nails"}'),
        codex("response_item", 2, type="function_call_output", call_id="s1",
              output='{"agent_id": "th-2"}'),
    ]  # fmt: skip
    other = [
        codex("session_meta", 3, id="th-2", source={"subagent": {"thread_spawn": {
            "parent_thread_id": "th-1", "agent_nickname": "Newton"}}}),
        codex("response_item", 3, type="message", role="user",
              content=[{"type": "input_text", "text": "find nails"}]),
        codex("response_item", 4, type="message", role="assistant", content=text),
    ]  # fmt: skip
    write(tmp_path / "rollout-1.jsonl", main, lines=True)
    write(tmp_path / "rollout-2.jsonl", other, lines=True)
    (got,) = read_logs(tmp_path)
    assert got.agents == ("main", "Newton")
    assert (got.events[0].kind, got.events[0].to) == ("handoff", ("Newton",))
    assert [e.agent for e in got.events] == ["main", "spawn_agent", "Newton"]


def test_atif(tmp_path):
    (got,) = sample(tmp_path, "atif")
    assert (got.agents, got.tools) == (("captain", "pilot"), ("system", "user", "ask"))
    assert shape(got) == [
        ("system", "message", "sail"),
        ("user", "message", "to Lisbon"),
        ("captain", "message", "I ask."),
        ("captain", "action", '{"a": 1}'),
        ("captain", "handoff", ""),
        ("pilot", "message", "Go west."),
        ("ask", "message", "west"),
    ]
    said = got.events[2]
    assert (said.tokens, said.tokens_in, said.cost) == (3, 11, 0.5)
    assert (said.seconds, said.meta["thinking"]) == (START + 1, "who knows the way?")
    assert got.events[4].to == ("pilot",)
    assert got.meta["copied_steps"] == 1


def test_a_trajectory_goes_on_in_another_file(tmp_path):
    whole = {"schema_version": "ATIF-v1.7", "agent": {"name": "captain"},
             "continued_trajectory_ref": "trajectory.cont-1.json",
             "steps": [{"source": "agent", "message": "one", "observation": {"results": [
                 {"subagent_trajectory_ref": [{"trajectory_path": "lost.json"}]}]}}]}  # fmt: skip
    path = write(tmp_path / "trajectory.json", whole)
    write(tmp_path / "trajectory.cont-1.json", {
        "schema_version": "ATIF-v1.7", "agent": {"name": "captain"},
        "steps": [{"source": "agent", "message": "two"}]})  # fmt: skip
    for root in (path, tmp_path):
        (got,) = read_logs(root)
        assert shape(got) == [("captain", "message", "one"), ("captain", "message", "two")]
        assert got.meta["missing_trajectories"] == ["lost.json"]


def test_openhands(tmp_path):
    (got,) = sample(tmp_path, "openhands")
    assert got.id == "i-3"
    assert (got.agents, got.tools) == (("Baker", "Grocer"), ("system", "user", "execute_bash"))
    assert [(e.agent, e.kind, e.text) for e in got.events] == [
        ("system", "message", "you bake"),
        ("user", "message", "Bread, please"),
        ("Baker", "message", "First heat."),
        ("Baker", "action", '{"command": "oven on"}'),
        ("execute_bash", "message", "no gas"),
        ("Baker", "handoff", "buy gas"),
        ("Grocer", "message", "Bought."),
        ("Grocer", "handoff", '{"gas": 1}'),
        ("Baker", "message", "Baked."),
    ]
    thought = got.events[2]
    assert (thought.tokens, thought.tokens_in, thought.seconds) == (5, 20, START + 2)
    assert (got.events[4].error, got.events[4].call) == ("exit code 3", "o1")
    assert (got.success, got.ending, got.task) == (1.0, "finish", "Bake")
    assert got.meta["total_cost"] == 1.5
    assert got.meta["other_events"] == {"agent_state_changed": 1}


def test_events_of_the_newer_openhands_in_files_of_their_own(tmp_path):
    events = [
        {"kind": "MessageEvent", "source": "user",
         "llm_message": {"role": "user", "content": [{"type": "text", "text": "Bake"}]}},
        {"kind": "ActionEvent", "source": "agent", "tool_name": "terminal", "tool_call_id": "c",
         "thought": [{"type": "text", "text": "Heat."}], "reasoning_content": "hm",
         "action": {"kind": "ExecuteBashAction", "command": "oven"}},
        {"kind": "ObservationEvent", "source": "environment", "tool_name": "terminal",
         "tool_call_id": "c", "observation": {"content": [{"type": "text", "text": "cold"}],
                                              "is_error": True}},
    ]  # fmt: skip
    for i, event in enumerate(events):
        write(tmp_path / f"event-{i:05}.json", event)
    (got,) = read_logs(tmp_path)
    assert shape(got) == [
        ("user", "message", "Bake"), ("agent", "message", "Heat."),
        ("agent", "action", '{"command": "oven"}'), ("terminal", "message", "cold"),
    ]  # fmt: skip
    assert got.events[1].meta["thinking"] == "hm"
    assert got.events[3].error == "cold"


def test_swe_agent(tmp_path):
    (got,) = sample(tmp_path, "swe_agent")
    assert got.agents == ("fixer", "tester")
    assert shape(got) == [
        ("system", "message", "fix"),
        ("user", "message", "the lamp"),
        ("fixer", "message", "look first"),
        ("fixer", "action", "ls /lamp"),
        ("bash", "message", "dark"),
        ("tester", "message", "try"),
        ("tester", "action", "switch on"),
        ("switch", "message", "light"),
    ]
    assert (got.events[3].duration, got.events[6].call) == (0.125, "v1")
    assert got.ending == "submitted (cost)"
    assert got.meta["total_cost"] == 0.75
    assert got.meta["demonstration_messages"] == 1


def test_mini_swe_agent(tmp_path):
    (got,) = sample(tmp_path, "mini-swe-agent")
    assert (got.id, got.agents, got.ending) == ("lamp-1", ("agent",), "Submitted")
    assert [(e.agent, e.kind) for e in got.events] == [
        ("system", "message"), ("user", "message"), ("agent", "message"), ("agent", "action"),
        ("bash", "message"),
    ]  # fmt: skip
    said, act, result = got.events[2:]
    assert (said.tokens, said.tokens_in, said.cost, said.seconds) == (4, 8, 0.25, START)
    assert (act.text, act.tool, act.call) == ("ls lamp", "bash", result.call)
    assert result.error == "exit code 2"


def test_tau(tmp_path):
    (one,) = sample(tmp_path, "tau-bench")
    assert (one.agents, one.tools, one.task) == (("assistant",), ("user", "zsh"), "4")
    assert (one.success, one.scores) == (0.5, {"reward": 0.5})
    (two,) = sample(tmp_path, "tau2-bench")
    assert (two.agents, two.tools) == (("assistant",), ("user", "get"))
    assert two.scores == {"reward": 0.0, "DB": 0.0, "COMMUNICATE": 1.0}
    assert (two.success, two.ending, two.meta["domain"]) == (0.0, "max_steps", "bakery")
    hello = two.events[0]
    assert (hello.cost, hello.duration, hello.tokens, hello.seconds) == (0.125, 1.5, 2, START)
    assert (two.events[3].agent, two.events[3].error) == ("get", "Error: none")


def test_tau2_by_voice_has_ticks(tmp_path):
    """A tick has what either side says in a moment; overlapping speech is two messages."""

    def tick(second, agent=None, user=None, **more):
        return {"tick_id": second, "timestamp": Z.format(second), **more,
                "agent_chunk": {"role": "assistant", "content": agent,
                                "contains_speech": agent is not None},
                "user_chunk": {"role": "user", "content": user,
                               "contains_speech": user is not None}}  # fmt: skip

    ticks = [
        tick(0, "Hel"), tick(1, "lo"), tick(2), tick(3, None, "Bread"), tick(4, "Yes", ", please"),
        tick(5, agent_tool_calls=[{"id": "g1", "name": "get", "arguments": {"n": 1}}],
             agent_tool_results=[{"role": "tool", "id": "g1", "content": "sold out"}]),
        tick(6, "None left."), tick(7), tick(8, "Sorry."),
    ]  # fmt: skip
    run = {"id": "s", "task_id": "9", "termination_reason": "user_stop", "ticks": ticks}
    (tmp_path / "voice.json").write_text(json.dumps(run))
    (one,) = read_logs(tmp_path / "voice.json")
    assert [(e.agent, e.kind, e.text) for e in one.events] == [
        ("assistant", "message", "Hello"), ("user", "message", "Bread, please"),
        ("assistant", "message", "Yes"), ("assistant", "action", '{"n": 1}'),
        ("get", "message", "sold out"), ("assistant", "message", "None left. Sorry."),
    ]  # fmt: skip
    assert (one.ending, one.events[0].seconds) == ("user_stop", START)
    assert "content" not in one.meta
    for each in ticks:  # the speech is in files of sound
        each["agent_chunk"] |= {"content": None}
        each["user_chunk"] |= {"content": None}
    run["ticks"] = [each for each in ticks if "agent_tool_calls" not in each]
    (tmp_path / "voice.json").write_text(json.dumps(run))
    (one,) = read_logs(tmp_path / "voice.json")
    assert one.meta["content"] == "not captured"
    assert {e.meta.get("content") for e in one.events} == {"not captured"}


def test_older_files_of_real_projects_are_read(tmp_path):
    """Shapes that lie in the histories of public repositories."""
    row = {"id": 3, "task": "default", "prompt": [{"role": "user", "content": "go"}],
           "completion": [{"role": "assistant", "content": "up", "tool_calls": [
               json.dumps({"id": "c", "function": {"name": "lift", "arguments": "{}"}})]}],
           "generation_ms": 8.0,
           "scoring_ms": 1.0, "total_ms": 9.0, "reward": 0.5}  # fmt: skip
    history = [
        {"action": "message", "content": "Add a licence.", "wait_for_response": False},
        {"action": "run", "command": "touch L", "thought": "I add it.", "action_risk": None},
        {"observation": "run", "content": "", "command": "touch L", "exit_code": 0},
        {"action": "message", "content": "Is MIT fine?", "wait_for_response": True},
        {"action": "finish", "outputs": {}, "thought": "Done."},
    ]
    patch = {
        "end_time": 2000,
        "trace_id": "9a",
        "dotted_order": "20310704T050000000001Z9a",
        "outputs": {"choices": [{"message": {"role": "assistant", "content": "howdy"}}]},
    }
    post = {"id": "9a", "trace_id": "9a", "dotted_order": "20310704T050000000001Z9a",
            "run_type": "llm", "name": "ChatX", "start_time": 1000,
            "inputs": {"messages": [{"role": "user", "content": "hi"}]}}  # fmt: skip
    got = {}
    for name, value in {"verifiers": row, "openhands": {"instance_id": "i", "history": history},
                        "langsmith": {"post": [post], "patch": [patch]}}.items():  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
        (got[name],) = read_logs(tmp_path / f"{name}.json")
    rollout = got["verifiers"]
    assert (rollout.task, rollout.meta["total_time"]) == ("default/3", 0.009)
    assert rollout.events[2].tool == "lift"
    run = got["openhands"]
    assert (run.agents, run.task, run.ending) == (("agent",), "Add a licence.", "finish")
    assert [(e.agent, e.kind, e.tool) for e in run.events][:4] == [
        ("user", "message", ""), ("agent", "message", ""), ("agent", "action", "run"),
        ("run", "message", "run"),
    ]  # fmt: skip
    assert [e.text for e in got["langsmith"].events] == ["hi", "howdy"]


def test_rollouts_of_trainers(tmp_path):
    first, second = sample(tmp_path, "art")
    assert (first.agents, second.agents) == (("ann", "bo"), ("ann",))
    assert [e.reward for e in first.events if e.kind == "reward"] == [
        {"reward": 1.0}, {"reward": 3.0},
    ]  # fmt: skip
    assert first.success is None  # two members have two rewards
    assert (second.success, second.scores, second.ending) == (
        0.0, {"reward": 0.0, "tries": 2.0}, "length",
    )  # fmt: skip
    (row,) = sample(tmp_path, "verifiers results")
    assert (row.task, row.success, row.ending) == ("birds/3", 0.75, "truncated")
    assert row.meta["gold"] == "any"
    assert (row.meta["total_time"], row.meta["tokens_in"]) == (2.5, 5)
    (team,) = sample(tmp_path, "verifiers")
    assert (team.agents, team.task, team.run, team.ending) == (
        ("asker", "solver"), "k-2", "g-1", "done",
    )  # fmt: skip
    assert [e.text for e in team.events[:4]] == ["Go", "Go", "Why?", "So."]  # in order of time
    (episode,) = sample(tmp_path, "rllm")
    assert (episode.agents, episode.success, episode.ending) == (
        ("solver", "judge"), 1.0, "env_done",
    )  # fmt: skip
    assert [e.text for e in episode.events if e.kind == "message"] == [
        "2 + 2", "5", "no", "4", "4?", "right",
    ]  # fmt: skip


def test_inspect_ai_tells_agents_apart(tmp_path):
    (got,) = sample(tmp_path, "inspect_ai")
    assert got.agents == ("leader", "drawer")
    assert [(e.agent, e.kind, e.text) for e in got.events] == [
        ("user", "message", "Plan it"),
        ("leader", "handoff", "{}"),
        ("drawer", "message", "A line."),
        ("drawer", "action", '{"x": 1}'),
        ("pen", "message", "no ink"),
        ("transfer_to_drawer", "message", "drawn"),
        ("leader", "message", "The map."),
        ("user", "message", "Is it done?"),
        ("scorer", "message", "GRADE: P"),
    ]
    assert got.events[1].to == ("drawer",)
    line = got.events[2]
    assert (line.tokens, line.tokens_in, line.duration, line.seconds) == (2, 7, 0.75, START + 3)
    assert got.events[4].error == "no ink"
    assert got.scores == {"match": 0.5, "style.tone": 0.25, "style.wit": 0.0}
    assert (got.success, got.ending, got.run, got.task) == (0.5, "limit: token 900", "run-5",
                                                            "Plan it")  # fmt: skip
    assert got.meta["model_usage"] == {"m-7": {"tokens": 4, "tokens_in": 10}}
    assert got.tools[-1] == "scorer"


def test_inspect_ai_of_one_agent_adds_usage_to_its_messages(tmp_path):
    said = {"role": "assistant", "content": "It rains.", "id": "z"}
    log = {"eval": {}, "samples": [{
        "id": 1, "epoch": 1, "input": "Weather?", "error": {"message": "no more"},
        "messages": [{"role": "user", "content": "Weather?"}, said],
        "events": [
            {"event": "step", "action": "begin", "type": "solver", "name": "generate"},
            {"event": "model", "timestamp": Z.format(2), "model": "m", "output": {
                "choices": [{"message": said, "stop_reason": "max_tokens"}],
                "usage": {"input_tokens": 4, "output_tokens": 3, "total_tokens": 7}}},
            {"event": "step", "action": "end", "type": "solver", "name": "generate"}]},
        {"id": 2, "epoch": 1, "input": "?", "messages": [], "events": None, "scores": None}],
    }  # fmt: skip
    first, second = read_logs(write(tmp_path / "l.json", log))
    assert first.agents == ("assistant",)
    said = first.events[1]
    assert (said.tokens, said.tokens_in, said.finish, said.seconds) == (
        3, 4, "max_tokens", START + 2,
    )  # fmt: skip
    assert first.ending == "error: no more"
    assert second.events == ()
    assert list(read_logs(write(tmp_path / "n.json", {"eval": {}, "samples": None}))) == []


def test_inspect_ai_whose_events_do_not_say_who_wrote_is_doubted(tmp_path):
    said = [{"role": "assistant", "content": text} for text in ("a", "b", "c")]
    spans = [{"event": "span_begin", "id": who, "type": "agent", "name": who}
             for who in ("left", "right")]  # fmt: skip

    def log(messages):
        return {"eval": {}, "samples": [{"id": 1, "epoch": 1, "input": "?", "messages": messages,
                                         "events": spans}]}  # fmt: skip

    (order,) = read_logs(write(tmp_path / "o.json", log(said[:2])))
    assert [e.agent for e in order.events] == ["left", "right"]
    assert 'rename = {"left" = "team", "right" = "team"}' in order.doubts[0]
    (one,) = read_logs(write(tmp_path / "l.json", log(said)))
    assert one.agents == ("assistant", "left", "right")
    assert 'rename = {"assistant" = "left"}' in one.doubts[0]


def test_steps_of_older_versions_and_calls_of_parallel_agents():
    def step(action, kind, name):
        return {"event": "step", "action": action, "type": kind, "name": name}

    def said(text, **more):
        message = {"role": "assistant", "content": text}
        return {"event": "model", "output": {"choices": [{"message": message}]}, **more}

    steps = [step("begin", "solver", "s"), said("nobody"), step("begin", "agent", "ann"),
             said("a"), step("begin", "agent", "bo"), said("b"), step("end", "agent", "bo"),
             said("c"), step("end", "agent", "ann")]  # fmt: skip
    got = calls_of(steps, {}, "events")
    assert [(m.speaker, m.text) for m in got.messages] == [
        ("assistant", "nobody"), ("ann", "a"), ("bo", "b"), ("ann", "c"),
    ]  # fmt: skip
    parallel = [{"event": "span_begin", "id": "1", "type": "agent", "name": "ann"},
                {"event": "span_begin", "id": "2", "type": "agent", "name": "bo"},
                said("b", span_id="2"), said("a", span_id="1")]  # fmt: skip
    got = calls_of(parallel, {}, "events")
    assert [(m.speaker, m.text) for m in got.messages] == [("bo", "b"), ("ann", "a")]


def test_a_broken_line_is_named(tmp_path):
    lines = [*TEAMS["claude_code"][:2], claude("assistant", "x", 1, [{"type": "text", "text": 5}])]
    path = write(tmp_path / "s.jsonl", lines, lines=True)
    with pytest.raises(LogError, match=r"s\.jsonl, line 3"):
        list(read_logs(path))


REAL = next((p / "shared/data/real_logs" for p in Path(__file__).parents
             if (p / "shared/data/real_logs").is_dir()), None)  # fmt: skip
READ_BY_EYE = {
    # members, tools, number of events of each episode
    "claude_code/agent_session.jsonl": [(("main", "Explore"), ("user", "Bash"), 9)],
    "claude_code/compaction_session.jsonl": [(("main",), ("user", "system"), 6)],
    "claude_code/representative_messages.jsonl": [(("main",), ("user", "Edit", "Bash"), 11)],
    "atif/openhands_hello-world.trajectory.json": [
        (("openhands",), ("system", "user", "str_replace_editor"), 9)],
    "openhands/basic.json": [(("agent",), ("user", "str_replace_editor"), 5)],
    "swe_agent/function_calling_simple.traj": [
        (("main",), ("system", "user", "find_file", "open", "edit", "bash", "submit"), 17)],
    "swe_agent/warmup.traj": [(("primary",), ("system", "user", "bash"), 23)],
    "swe_agent/github_issue.traj.json": [(("agent",), ("system", "user", "bash"), 32)],
    "inspect/log_streaming.eval": [(("assistant",), ("system", "user"), 3)] * 4,
    "inspect/log_tool_call_error.json": [((), ("bash",), 11)],
    "tau2/results.json": [],
}  # fmt: skip


@pytest.mark.skipif(REAL is None, reason="the folder of real logs is not here")
@pytest.mark.parametrize(
    ("name", "agents"), [("parallel_spans", ["left"]), ("steps_same_name", [])]
)
def test_real_events_of_inspect_ai(name, agents):
    value = json.loads((REAL / "inspect" / f"{name}.json").read_text("utf-8"))
    assert calls_of(value["events"], {}, name).agents == agents
    (one,) = read_logs(REAL / "inspect" / f"{name}.json")
    assert one.meta["format"] == "inspect_ai"


@pytest.mark.skipif(REAL is None, reason="the folder of real logs is not here")
@pytest.mark.parametrize("name", READ_BY_EYE)
def test_real_logs_are_read_as_by_eye(name):
    got = [(e.agents, e.tools, len(e.events)) for e in read_logs(REAL / name)]
    assert got == READ_BY_EYE[name]
