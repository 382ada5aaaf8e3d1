"""Logs of frameworks for teams: members, tools, receivers, tokens, times, and how a run ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from counterpoint.errors import LogError
from counterpoint.readers import read_logs
from counterpoint.readers.logs import AGAIN

SHARED = Path(__file__).parents[3] / "shared" / "data"


def read(folder, value, name="log.json"):
    """Episodes of a value, or of a list of values that are lines."""
    path = folder / name
    lines = value if name.endswith(".jsonl") else [value]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    path.write_text("\n".join(texts) + "\n" * (len(texts) > 1), "utf-8")
    return list(read_logs(path))


def rows(episode):
    """Speaker, kind, receivers and text of each event."""
    return [(e.agent, e.kind, e.to, e.text) for e in episode.events]


# --- AutoGen -------------------------------------------------------------------------------------

USAGE = {"prompt_tokens": 90, "completion_tokens": 7}


def agentchat(kind, source, content=None, **more):
    return {"type": kind, "source": source, "content": content, "models_usage": None,
            "created_at": "2026-03-04T05:06:07Z", **more}  # fmt: skip


CHAT = [
    agentchat("TextMessage", "user", "How deep is lake Ness?"),
    agentchat("SelectSpeakerEvent", "SelectorGroupChatManager", ["diver"]),
    agentchat("MemoryQueryEvent", "diver", [{"content": "use metres", "mime_type": "text/plain"}]),
    agentchat("ThoughtEvent", "diver", "I must measure."),
    agentchat("ToolCallRequestEvent", "diver",
              [{"id": "k1", "name": "sonar", "arguments": '{"at": "Ness"}'},
               {"id": "k2", "name": "rope", "arguments": "{}"}], models_usage=USAGE),
    agentchat("ToolCallExecutionEvent", "diver",
              [{"call_id": "k1", "name": "sonar", "content": "230", "is_error": False},
               {"call_id": "k2", "name": "rope", "content": "torn", "is_error": True}]),
    agentchat("ModelClientStreamingChunkEvent", "diver", "23"),
    agentchat("ModelClientStreamingChunkEvent", "diver", "0 m"),
    agentchat("TextMessage", "diver", "230 m", models_usage={"prompt_tokens": 5}),
    agentchat("HandoffMessage", "diver", "Your turn.", target="scribe", context=[{}, {}]),
    agentchat("CodeGenerationEvent", "scribe", "```sh\nfalse\n```", retry_attempt=0),
    {"type": "CodeExecutionEvent", "source": "scribe", "result": {"exit_code": 1, "output": "no"}},
    agentchat("StructuredMessage[Depth]", "scribe", {"metres": 230}),
    agentchat("MultiModalMessage", "scribe", ["see", {"data": "AAAA"}]),
    agentchat("UserInputRequestedEvent", "user_proxy", "", request_id="r"),
    agentchat("TextMessage", "user_proxy", "thanks"),
    agentchat("StopMessage", "DiGraphStopAgent", "done"),
]  # fmt: skip


def test_every_event_of_agentchat(tmp_path):
    (found,) = read(tmp_path, {"messages": CHAT, "stop_reason": "Maximum reached"})
    assert found.agents == ("diver", "scribe")
    assert rows(found) == [
        ("user", "message", (), "How deep is lake Ness?"),
        ("SelectorGroupChatManager", "handoff", ("diver",), ""),
        ("memory", "message", ("diver",), "use metres"),
        ("diver", "action", (), '{"at": "Ness"}'),
        ("diver", "action", (), "{}"),
        ("sonar", "message", (), "230"),
        ("rope", "message", (), "torn"),
        ("diver", "message", (), "230 m"),
        ("diver", "handoff", ("scribe",), "Your turn."),
        ("scribe", "action", (), "```sh\nfalse\n```"),
        ("code_executor", "message", (), "no"),
        ("scribe", "message", (), '{"metres": 230}'),
        ("scribe", "message", (), "see\n[image #63c1dd951ffe]"),  # sha256 of AAAA
        ("user_proxy", "message", (), "thanks"),
        ("DiGraphStopAgent", "message", (), "done"),
    ]
    first, second = found.events[3], found.events[4]
    assert (first.tokens, first.tokens_in, first.tool, first.call) == (7, 90, "sonar", "k1")
    assert first.meta == {"thinking": "I must measure."}
    assert (second.tokens, second.tokens_in) == (None, None)  # counted once a message
    assert [found.events[i].error for i in (5, 6, 10)] == ["", "torn", "exit code 1"]
    assert found.events[0].seconds == 1772600767
    assert found.ending == "Maximum reached"
    assert found.task == "How deep is lake Ness?"
    assert found.meta["left_out"] == {
        "chunks of streams": 2,
        "messages that a handoff repeats": 2,
        "requests for a person's input": 1,
    }


def test_lines_of_a_stream_end_with_the_result_that_repeats_them(tmp_path):
    lines = [*CHAT[:9], {"messages": CHAT[:9], "stop_reason": "end one"}, CHAT[0], CHAT[8]]
    first, second = read(tmp_path, lines, "stream.jsonl")
    assert (len(first.events), first.ending) == (8, "end one")
    assert (second.agents, len(second.events)) == (("diver",), 2)


def test_a_saved_team_has_its_silent_members(tmp_path):
    state = {"type": "TeamState", "agent_states": {
        "diver": {"type": "ChatAgentContainerState", "agent_state": {}, "message_buffer": []},
        "RoundRobinGroupChatManager": {"message_thread": CHAT[:9], "current_turn": 2},
        "cook": {"type": "ChatAgentContainerState", "agent_state": {}}}}  # fmt: skip
    (found,) = read(tmp_path, state)
    assert found.agents == ("diver", "cook")


CORE = [
    {"type": "SystemMessage", "content": "You are a desk."},
    {"type": "UserMessage", "source": "User", "content": "My parcel is late."},
    {"type": "AssistantMessage", "source": "Desk", "thought": "Not mine.",
     "content": [{"id": "a", "name": "transfer_to_late_parcels", "arguments": "{}"}]},
    {"type": "FunctionExecutionResultMessage",
     "content": [{"call_id": "a", "content": "Transferred.", "is_error": False}]},
    {"type": "AssistantMessage", "source": "LateParcelsAgent", "content": "Which one?"},
]  # fmt: skip


def test_core_messages_hand_over_by_a_tool_and_name_no_source_for_results(tmp_path):
    (found,) = read(tmp_path, CORE)
    assert found.agents == ("Desk", "LateParcelsAgent")
    assert rows(found)[2:4] == [
        ("Desk", "handoff", ("LateParcelsAgent",), "{}"),
        ("transfer_to_late_parcels", "message", (), "Transferred."),
    ]
    assert found.events[2].meta == {"thinking": "Not mine."}


def test_an_agent_called_admin_is_a_member_and_that_is_doubtful(tmp_path):
    (found,) = read(tmp_path, [agentchat("TextMessage", "admin", "go"),
                               agentchat("TextMessage", "helper", "ok")])  # fmt: skip
    assert found.agents == ("admin", "helper")
    assert 'tools = ["admin"]' in found.doubts[0]


def test_autogen_before_agentchat_has_its_speakers_in_names(tmp_path):
    call = {"id": "1", "type": "function", "function": {"name": "dig", "arguments": '{"m": 2}'}}
    history = [
        {"role": "assistant", "name": "Admin", "content": "Find gold."},
        {"role": "user", "name": "miner", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "mud", "tool_responses": [
            {"role": "tool", "tool_call_id": "1", "content": "mud"}]},
        {"role": "user", "name": "chemist", "content": "It is mud."},
        {"role": "assistant", "name": "Admin", "content": "exitcode: 1 (execution failed)\nboom"},
    ]  # fmt: skip
    (found,) = read(tmp_path, {"chat_history": history, "summary": "mud", "cost": {"total": 1}})
    assert (found.agents, found.tools) == (("miner", "chemist"), ("Admin", "dig"))
    assert (found.events[2].agent, found.events[2].call) == ("dig", "1")
    assert found.events[4].error == "exitcode: 1 (execution failed)"
    assert found.meta["summary"] == "mud"
    people = [{"role": "user", "name": "zoe", "content": "q"},
              {"role": "assistant", "name": "bot", "content": "a"}]  # fmt: skip
    assert read(tmp_path, people)[0].meta["format"] == "openai"


# --- Google ADK ----------------------------------------------------------------------------------


def adk(author, *parts, **more):
    return {"author": author, "invocationId": "v1", "timestamp": 50.0,
            "content": {"role": "model", "parts": list(parts)}, **more}  # fmt: skip


SESSION = [
    adk("user", {"text": "My bill?"}),
    adk("desk", {"text": "hm", "thought": True},
        {"functionCall": {"id": "t", "name": "transfer_to_agent",
                          "args": {"agent_name": "billing"}}}),
    adk("desk", {"functionResponse": {"id": "t", "name": "transfer_to_agent",
                                      "response": {"result": None}}},
        actions={"transferToAgent": "billing"}),
    adk("billing", {"functionCall": {"id": "l", "name": "ledger", "args": {"who": 3}}},
        usageMetadata={"promptTokenCount": 40, "candidatesTokenCount": 6, "thoughtsTokenCount": 2},
        finishReason="STOP"),
    adk("billing", {"functionResponse": {"id": "l", "name": "ledger",
                                         "response": {"error": "closed"}}}),
    adk("billing", {"text": "par"}, partial=True),
    adk("billing", {"executableCode": {"code": "1/0"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}}),
    {"author": "billing", "invocationId": "v1", "errorCode": "429", "errorMessage": "too many",
     "actions": {"escalate": True}},
]  # fmt: skip


@pytest.mark.parametrize("name", ["session.json", "events.jsonl"])
def test_adk_sessions_and_their_events(tmp_path, name):
    whole = {"id": "s9", "appName": "shop", "events": SESSION}
    (found,) = read(tmp_path, SESSION if name.endswith("l") else whole, name)
    assert found.agents == ("desk", "billing")
    assert rows(found) == [
        ("user", "message", (), "My bill?"),
        ("desk", "handoff", ("billing",), '{"agent_name": "billing"}'),
        ("transfer_to_agent", "message", (), ""),
        ("billing", "action", (), '{"who": 3}'),
        ("ledger", "message", (), '{"error": "closed"}'),
        ("billing", "action", (), "1/0"),
        ("code_executor", "message", (), "no"),
        ("billing", "message", (), ""),
    ]
    call = found.events[3]
    assert (call.tokens, call.tokens_in, call.finish, call.seconds) == (8, 40, "STOP", 50.0)
    assert [found.events[i].error for i in (4, 6, 7)] == [
        "closed",
        "OUTCOME_FAILED",
        "429 too many",
    ]
    assert found.events[1].meta == {"thinking": "hm"}
    assert (found.ending, found.meta["left_out"]) == ("escalate", {"parts of streams": 1})
    assert found.id == ("events" if name.endswith("l") else "s9")


def test_results_of_an_adk_evaluation_have_success_and_scores(tmp_path):
    metric = {"metric_name": "match", "score": 0.25, "eval_status": 2}
    turn = {"user_content": {"parts": [{"text": "q"}]},
            "final_response": {"parts": [{"text": "a"}]},
            "intermediate_data": {"tool_uses": [{"name": "f", "args": {}, "id": "1"}],
                                  "intermediate_responses": [["helper", [{"text": "h"}]]]},
            }  # fmt: skip
    value = {"eval_set_result_id": "r", "eval_case_results": [
        {"eval_id": "e", "final_eval_status": 2, "overall_eval_metric_results": [metric],
         "eval_metric_result_per_invocation": [{"actual_invocation": turn}]}]}  # fmt: skip
    (found,) = read(tmp_path, value)
    assert (found.success, found.scores) == (0.0, {"match": 0.25})
    assert [(e.agent, e.kind) for e in found.events] == [
        ("user", "message"), ("agent", "action"), ("helper", "message"), ("agent", "message"),
    ]  # fmt: skip
    assert 'rename."agent" = "name"' in found.doubts[0]


def test_what_a_resumed_run_repeats_is_left_out_and_counted(tmp_path):
    events = [{**adk("ann", {"text": str(n)}), "id": f"e{n}"} for n in range(3)]
    (found,) = read(tmp_path, {"events": events[:2] + events})
    assert [e.text for e in found.events] == ["0", "1", "2"]
    assert found.meta["left_out"] == {"events that came again": 2}
    messages = [{**agentchat("TextMessage", "ann", str(n)), "id": f"m{n}"} for n in range(3)]
    (chat,) = read(tmp_path, messages[:2] + messages)
    assert [e.text for e in chat.events] == ["0", "1", "2"]
    assert chat.meta["left_out"] == {"messages that came again": 2}


# --- LangGraph -----------------------------------------------------------------------------------


def ai(text, number, **more):
    return {"type": "ai", "content": text, "id": number, **more}


def test_langgraph_states_keep_calls_tokens_and_what_is_no_message(tmp_path):
    call = {"name": "transfer_to_writer", "args": {}, "id": "h"}
    messages = [
        {"type": "human", "content": "hi", "id": "0"},
        ai([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "go"}], "1",
           name="boss", tool_calls=[call], usage_metadata={"input_tokens": 3, "output_tokens": 2},
           response_metadata={"finish_reason": "tool_calls"}),
        {"type": "tool", "content": "ok", "tool_call_id": "h", "status": "error"},
        {"type": "chat", "role": "critic", "content": "fine", "id": "2"},
        {"type": "remove", "content": "", "id": "0"},
        ai("", "3", name="writer", additional_kwargs={"tool_calls": [
            {"id": "x", "function": {"name": "save", "arguments": "{}"}}]}),
    ]  # fmt: skip
    (found,) = read(tmp_path, {"messages": messages})
    assert found.agents == ("boss", "critic", "writer")
    assert rows(found)[1:4] == [
        ("boss", "message", (), "go"),
        ("boss", "handoff", ("writer",), "{}"),
        ("transfer_to_writer", "message", (), "ok"),
    ]
    said = found.events[1]
    assert (said.tokens, said.tokens_in, said.finish) == (2, 3, "tool_calls")
    assert said.meta == {"thinking": "hm"}
    assert (found.events[5].kind, found.events[5].tool) == ("action", "save")
    assert found.events[3].error == "ok"
    assert found.meta["left_out"] == {"removals of messages": 1}


def test_a_stream_of_subgraphs_names_the_node_that_holds_them(tmp_path):
    stream = [
        [["anna:1-2"], {"agent": {"messages": [ai("a", "1")]}}],
        [[], {"anna": {"messages": [ai("a", "1")]}}],
        [["team:3"], {"bo": {"messages": [ai("b", "2")]}}],
        [["team:3"], {"cy": {"messages": ai("c", "3")}}],
        [[], {"team": {"messages": [ai("b", "2"), ai("c", "3")]}}],
        [[], {"end": None}],
    ]
    (found,) = read(tmp_path, stream)
    assert found.agents == ("anna", "bo", "cy")
    assert [e.text for e in found.events] == ["a", "b", "c"]
    assert found.meta["left_out"] == {"messages that came again": 3}
    (lines,) = read(tmp_path, stream[:4], "stream.jsonl")
    assert lines.agents == ("anna", "bo", "cy")


def test_streams_of_version_2_are_read_as_those_before(tmp_path):
    def part(mode, data, *path):
        return {"type": mode, "ns": list(path), "data": data}

    updates = [
        part("updates", {"agent": {"messages": [ai("a", "1")]}}, "anna:1-2"),
        part("custom", {"progress": 1}),
        part("updates", {"bo": {"messages": [ai("b", "2")]}}),
    ]
    about = {"langgraph_node": "bo", "langgraph_step": 1}
    chunks = [part("messages", [{**ai(text, "7"), "type": "AIMessageChunk"}, about])
              for text in ("to ", "do")]  # fmt: skip
    states = [part("values", {"messages": [ai("a", "1", name="anna"), ai("b", "2")][:n]})
              for n in (1, 2)]  # fmt: skip
    for value, agents, said in (
        (updates, ("anna", "bo"), ["a", "b"]),
        (chunks, ("bo",), ["to do"]),
        (states, ("anna", "assistant"), ["a", "b"]),
    ):
        (found,) = read(tmp_path, value)
        assert (found.agents, [e.text for e in found.events]) == (agents, said)
    (lines,) = read(tmp_path, updates[::2], "stream.jsonl")
    assert lines.agents == ("anna", "bo")


def test_an_agent_of_langgraph_without_steps_ends_its_run(tmp_path):
    sorry = "Sorry, need more steps to process this request."
    states = {"messages": [{"type": "human", "content": "q"}, ai("a", "1", name="anna")]}
    (sound,) = read(tmp_path, states)
    states["messages"].append(ai(sorry, "2"))
    (cut,) = read(tmp_path, states)
    assert (sound.ending, cut.ending) == ("", "recursion limit reached")
    assert (sound.agents, sound.events, sound.doubts) == (cut.agents, cut.events, cut.doubts)


def test_states_of_a_run_are_one_episode_in_either_order(tmp_path):
    messages = [{"type": "human", "content": "q", "id": "0"}, ai("a", "1"), ai("b", "2")]
    states = [{"messages": messages[:n]} for n in (1, 2, 3)]
    history = [{"values": state, "next": []} for state in states[::-1]] + [{"values": {}}]
    for value in (states, history):
        (found,) = read(tmp_path, value)
        assert [e.text for e in found.events] == ["q", "a", "b"]
        assert found.meta["left_out"] == {"states that the last one repeats": 2}
        assert "rename.assistant" in found.doubts[0]


def test_states_as_lines_are_one_episode_for_each_run(tmp_path):
    """`stream_mode="values"`, a line a state: each state has the messages of those before it."""

    def states(run):
        texts = [{"type": "human", "content": "q", "id": f"{run}-0"},
                 ai("a", f"{run}-1", name="ann"), ai("b", f"{run}-2", name="bob")]  # fmt: skip
        return [{"messages": texts[:n]} for n in (1, 2, 2, 3)]

    (tmp_path / "s").mkdir()
    for name, value in {
        "values.jsonl": states("x") + states("y"),
        "values.json": states("x") + states("y"),
        "subgraphs.jsonl": [[[], state] for state in states("x") + states("y")],
    }.items():
        notes = []
        text = (json.dumps(value) if name.endswith(".json")
                else "\n".join(map(json.dumps, value)))  # fmt: skip
        path = tmp_path / "s" / name
        path.write_text(text)
        found = list(read_logs(path, note=notes.append))
        assert [[e.text for e in one.events] for one in found] == [["q", "a", "b"]] * 2, name
        assert [one.agents for one in found] == [("ann", "bob")] * 2
        snapshots = f"{path}: left out 6 snapshots that the next one repeats"
        assert notes == [snapshots, f"{AGAIN} (1); is a log there twice?"]


@pytest.mark.parametrize("last", ["hi", ["ai", "hi"], 3, None])
def test_a_state_whose_last_message_is_no_object_is_refused_before_another_one(tmp_path, last):
    question = {"type": "human", "content": "q"}
    states = [
        {"messages": [question, last]},
        {"messages": [question, ai("a", "1", name="ann")]},
    ]
    with pytest.raises(LogError, match=r"line 1, message 1: got .*; wanted an object"):
        read(tmp_path, states, "log.jsonl")


def test_chunks_of_messages_as_lines_are_one_episode(tmp_path):
    """`stream_mode="messages"`: a chunk and its metadata, as a list or a line each."""
    stream = [
        [{"type": "AIMessageChunk", "content": word, "id": node}, {"langgraph_node": node}]
        for node, words in (("ann", "I dig"), ("bob", "I carry")) for word in words.split()
    ]  # fmt: skip
    for name, value in (("log.json", stream), ("log.jsonl", stream)):
        (found,) = read(tmp_path, value, name)
        assert found.agents == ("ann", "bob")
        assert [e.text for e in found.events] == ["Idig", "Icarry"]


def test_equal_conversations_without_ids_stay_two_episodes(tmp_path):
    one = {"messages": [{"type": "human", "content": "q"}, {"type": "ai", "content": "a"}]}
    assert len(read(tmp_path, [one, one], "log.jsonl")) == 2


@pytest.mark.parametrize("value", [
    {"messages": ["content='hi' additional_kwargs={} response_metadata={} id='1'"]},
    {"planner": {"messages": ["content='I plan' additional_kwargs={}", "content=[]"]}},
    [{"messages": ["AIMessage(content='hi', id='1')"]}, {"messages": []}],
    {"messages": ["id='4' source='ann' models_usage=None metadata={} content='hi'"]},
])  # fmt: skip
def test_messages_that_python_wrote_as_text_are_refused_with_the_way_to_write_them(tmp_path, value):
    with pytest.raises(LogError, match=r"default=lambda m: m\.model_dump\(\)"):
        read(tmp_path, value)


# --- CrewAI and CAMEL ----------------------------------------------------------------------------


def test_rows_of_a_crew_that_start_a_task_are_its_begin_and_no_message(tmp_path):
    def row(agent, task, status, second, **more):
        return {"timestamp": f"2026-05-01 10:00:{second:02}", "task": task, "agent": agent,
                "status": status, **more}  # fmt: skip

    log = [row("Scout", "look", "started", 0), row("Scout", "look", "completed", 9, output="31"),
           row("Clerk", "write", "started", 9)]  # fmt: skip
    (found,) = read(tmp_path, log)
    assert found.agents == ("Scout", "Clerk")
    assert [(e.text, e.duration) for e in found.events] == [("31", 9.0)]
    assert found.ending == "a task has no end"


def test_steps_of_a_crew_are_calls_and_delegation_is_a_handoff(tmp_path):
    steps = [{"role": "user", "content": "Current task"},
             {"role": "assistant", "content": "Thought: I ask.\nAction: Delegate work to coworker\n"
              'Action Input: {"coworker": "Clerk", "task": "add"}\nObservation: 5'},
             {"role": "assistant", "content": "Thought: done\nFinal Answer: five"}]  # fmt: skip
    value = {"tasks_output": [{"agent": "Scout", "description": "sum", "raw": "five",
                               "messages": steps}], "token_usage": {"total_tokens": 9}}  # fmt: skip
    (found,) = read(tmp_path, value)
    assert found.agents == ("Scout", "Clerk")
    assert rows(found) == [
        ("Scout", "handoff", ("Clerk",), '{"coworker": "Clerk", "task": "add"}'),
        ("Clerk", "message", ("Scout",), "5"),
        ("Scout", "message", (), "five"),
    ]
    assert found.events[0].meta == {"thinking": "I ask."}
    assert found.meta["token_usage"] == {"total_tokens": 9}


def test_both_roles_of_camel_are_members(tmp_path):
    def message(who, kind, text):
        return {"role_name": who, "role_type": kind, "content": text}

    pair = {"id": "c1", "role_1": "Cook_RoleType.ASSISTANT", "role_2": "Guest_RoleType.USER",
            "original_task": "soup", "num_messages": 2, "termination_reason": "task done",
            "message_1": message("Guest", "USER", "more salt"),
            "message_2": message("Cook", "ASSISTANT", "added")}  # fmt: skip
    (found,) = read(tmp_path, pair)
    assert (found.id, found.agents, found.task) == ("c1", ("Guest", "Cook"), "soup")
    assert found.ending == "task done"
    records = [
        {"message": message(who, "assistant", "x"), "role_at_backend": role, "timestamp": 4}
        for who, role in (("Cook", "system"), ("User", "user"), ("Cook", "assistant"))
    ]
    (memory,) = read(tmp_path, records, "memory.jsonl")
    assert (memory.agents, memory.tools) == (("Cook",), ("system", "User"))


# --- ChatDev, MAST, CooperBench ------------------------------------------------------------------

CHATDEV = """[2024-25-01 13:27:10 INFO] **[Preprocessing]**

[2024-25-01 13:27:12 INFO] flask app.py did not start for online log
[2024-25-01 13:27:12 INFO] System: **[chatting]**

| **task_prompt** | A clock. |
| **assistant_role_name** | Code Reviewer |
| **user_role_name** | Programmer |

[2024-25-01 13:27:14 INFO] Programmer: **[Start Chat]**

[You are Code Reviewer. We work together.]

Review my clock.

[2024-25-01 13:27:20 INFO] **[OpenAI_Usage_Info Receive]**
prompt_tokens: 431
completion_tokens: 4
cost: $0.25

[2024-25-01 13:27:22 INFO] Code Reviewer: **Code Reviewer<->Programmer on : CodeReview, turn 1**

The hands
are late.

[2024-25-01 13:27:30 INFO] **[Test Reports]**:

it crashes
[2024-25-01 13:27:40 INFO] **[Post Info]**

**cost**=$0.25
**num_utterances**=2
"""


def test_a_log_of_chatdev(tmp_path):
    (found,) = read(tmp_path, CHATDEV, "clock.log")
    assert found.agents == ("Code Reviewer", "Programmer")
    assert found.tools == ("chat chain", "tests")
    assert rows(found) == [
        ("chat chain", "message", (), "Review my clock."),
        ("Code Reviewer", "message", ("Programmer",), "The hands\nare late."),
        ("tests", "message", (), "it crashes"),
    ]
    turn = found.events[1]
    assert (turn.tokens, turn.tokens_in, turn.cost, turn.seconds) == (4, 431, 0.25, 12.0)
    assert turn.meta == {"phase": "CodeReview", "turn": 1}
    assert found.task == "A clock."
    assert found.meta["post_info"] == {"cost": "$0.25", "num_utterances": "2"}
    # both sides are asked before either turn is logged, and the last call has no turn
    call = "[2024-25-01 13:28:0{0} INFO] **[OpenAI_Usage_Info Receive]**\nprompt_tokens: {0}\n" \
           "completion_tokens: {0}\n\n"  # fmt: skip
    turn = "[2024-25-01 13:28:05 INFO] {0}: **A<->B on : Test, turn 0**\n\nYes.\n\n"
    (pair,) = read(tmp_path, CHATDEV + call.format(1) + call.format(2) + turn.format("Ann")
                   + turn.format("Bob") + call.format(3), "clock.log")  # fmt: skip
    assert [(e.agent, e.tokens) for e in pair.events[-2:]] == [("Ann", 1), ("Bob", 2)]
    assert pair.meta["left_out"]["calls of models whose turn is not in the log"] == 1
    head = "[2024-25-01 13:27:00 INFO] **[Preprocessing]**\n\n**task_prompt**: A sundial.\n\n"
    (improved,) = read(tmp_path, head + CHATDEV, "clock.log")
    assert improved.task == "A sundial."  # a phase may improve the task that was given
    with pytest.raises(LogError, match="no role speaks"):
        read(tmp_path, "[2026-05-01 10:00:00 INFO] **[Start Chat]**\n\nChief: we start.", "bad.log")


HYPER = "HyperAgent_x-1 - INFO - "
TRACES = {
    "MetaGPT": (
        "=== log ===\n[2025-01-01 10:00:00] FROM: Human TO: {'<all>'}\nACTION: x\nCONTENT:\n2048\n"
        + "-" * 80 + "\n[2025-01-01 10:00:01] NEW MESSAGES:\n\nSimpleCoder:\ncode: 1\n" + "-" * 80
        + "\n[2025-01-01 10:00:02] NEW MESSAGES:\n\nSimpleTester: bad\n",
        [("Human", "2048"), ("SimpleCoder", "code: 1"), ("SimpleTester", "bad")],
    ),
    "Magentic": (
        "pip noise\nSCENARIO.PY STARTING !#!#\n---------- user ----------\nhours?\n"
        "---------- TextMessage (WebSurfer) ----------\nnine\nSCENARIO.PY COMPLETE !#!#\n",
        [("user", "hours?"), ("WebSurfer", "nine")],
    ),
    "HyperAgent": (
        json.dumps({"problem_statement": ["bug"], "trajectory": [
            HYPER + "Initialized tools", HYPER + "Planner's Response: Thought: look", "  at it",
            HYPER + "Inner-Navigator-Assistant's Response: found",
            HYPER + "Navigator->Planner: a.py",
        ]}),
        [("Planner", "Thought: look\n  at it"), ("Navigator", "found"), ("Navigator", "a.py")],
    ),
    "AppWorld": (
        "***** Task 1/2 (x) *****\nplay a song\n\n  Response from Supervisor Agent\ncode()\n"
        "  Message to Spotify Agent\nwhich?\nEntering Spotify Agent message loop\n"
        "  Response from spotify Agent\nthis\nCode Execution Output\n\nok\n",
        [("Supervisor", "code()"), ("Supervisor", "which?"), ("Spotify", "this"), ("code", "ok")],
    ),
    "AG2": (
        "trajectory:\n- content: What is\n    2+3?\n  role: assistant\n  name: asker\n"
        "- content: '5'\n  role: user\n  name: solver\n",
        [("asker", "What is\n    2+3?"), ("solver", "'5'")],
    ),
    "OpenManus": ("12:00 Manus's thoughts: hm", [("OpenManus", "12:00 Manus's thoughts: hm")]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRACES)
def test_traces_of_mast_are_parted_where_marks_are_clear(tmp_path, name):
    trace, said = TRACES[name]
    row = {"mas_name": name, "trace": {"trajectory": trace}, "mast_annotation": {"1.3": 1}}
    (found,) = read(tmp_path, row)
    assert [(e.agent, e.text) for e in found.events] == said
    assert found.labels == {"1.3": 1}
    assert bool(found.doubts) == (name == "OpenManus")


def test_mast_by_people(tmp_path):
    row = {"mas_name": "AG2", "trace": json.dumps({"problem_statement": ["2+3"], "trajectory": [
        {"role": "user", "name": "ann", "content": ["5"]},
        {"role": "user", "name": "bob", "content": "no"}]}),
        "annotations": [{"failure mode": "1.1 Disobey\nmore", "annotator_1": True,
                         "annotator_2": False}]}  # fmt: skip
    (found,) = read(tmp_path, row)
    assert (found.agents, found.task) == (("ann", "bob"), "2+3")
    assert found.labels == {"1.1 Disobey": [True, False]}


def test_three_agents_of_cooperbench_in_files_of_other_names(tmp_path):
    run = tmp_path / "r"
    run.mkdir()
    for i in (1, 2, 3):
        track = {"agent_id": f"agent{i}", "cost": i / 4, "messages": [
            {"role": "system", "content": "prompt"}, {"role": "assistant", "content": "ls",
                                                      "timestamp": i},
            {"role": "user", "content": "a.py", "timestamp": i + 0.5},
            {"role": "user", "content": "[Message from agent1]: hi", "timestamp": 9}]}  # fmt: skip
        (run / f"run{i}.json").write_text(json.dumps(track if i < 3 else {**track, "messages": []}))
    (run / "talk.json").write_text(json.dumps(
        [{"from": "agent1", "to": "agent2", "message": "hi", "timestamp": 1.2}]))  # fmt: skip
    (run / "out.json").write_text(json.dumps(
        {"setting": "coop", "features": [4, 5, 6], "repo": "q", "task_id": 2, "run_id": "z",
         "agents": {f"agent{i}": {"status": "Error" if i == 3 else "Submitted"}
                    for i in (1, 2, 3)}}))  # fmt: skip
    (found,) = read_logs(run)
    assert found.agents == ("agent1", "agent2", "agent3")
    assert [(e.agent, e.text) for e in found.events] == [
        ("agent1", "ls"), ("agent1", "hi"), ("environment", "a.py"), ("agent2", "ls"),
        ("environment", "a.py"),
    ]  # fmt: skip
    assert (found.id, found.task, found.ending) == ("z", "q/2/4-5-6", "agent3: Error")
    assert found.meta["costs"] == {"agent1": 0.25, "agent2": 0.5, "agent3": 0.75}


# --- real files, where they are there ------------------------------------------------------------

REAL = {
    "real_logs/adk/sample.session.json": (
        {"spark_assistant", "research_plan_agent", "question_generation_agent",
         "information_retrieval_agent", "summary_agent"}, 9),
    "real_logs/adk/trip_inquiry_sub_agent.test.json": ({"trip_planner_agent"}, 2),
    "real_logs/autogen/history-wile_e_coyote_1.json": (
        {"TriageAgent", "IssuesAndRepairsAgent"}, 6),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_files(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip("the real logs are not here")
    members, events = REAL[name]
    (found,) = read_logs(path)
    assert (set(found.agents), len(found.events)) == (members, events)


def test_all_of_who_and_when():
    folder = SHARED / "who_and_when"
    if not folder.exists():
        pytest.skip("the real logs are not here")
    found = list(read_logs(folder))
    assert len(found) == 92
    assert sum(len(episode.events) for episode in found) == 2011
    blamed = [e.labels["mistake_agent"] in e.agents for e in found]
    assert blamed.count(False) == 2  # people wrote Websurfer for WebSurfer
    silent = {a for e in found for a in e.agents} - {v.agent for e in found for v in e.events}
    assert "Ornithologist_Expert" in silent  # only its prompt says that it is a member
