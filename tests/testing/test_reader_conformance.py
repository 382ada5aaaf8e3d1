"""Every format of logs keeps its promises; every planted defect is found."""

import copy
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from counterpoint.errors import LogError
from counterpoint.readers import Format, episode
from counterpoint.readers.formats.catalogue import FORMATS
from counterpoint.testing import ConformanceError, check_reader

sys.path.append(str(Path(__file__).parents[1] / "readers"))
from session_samples import ALONE, TEAMS

EVENTS = [
    {"agent": "ann", "kind": "message", "text": "I write it.", "meta": {"seconds": 1.5}},
    {"agent": "bob", "kind": "answer", "text": "42", "answer": "42", "reward": {"proxy": 1.0},
     "to": ["ann"], "work": 0.5, "tokens": 3},
]  # fmt: skip
CALL = {"id": "1", "function": {"name": "search", "arguments": "{}"}}
DATA = Path(__file__).parents[1] / "data" / "who_and_when"
HISTORY = [
    {"type": "human", "content": "go", "id": "h"},
    {"type": "ai", "name": "ann", "content": [{"type": "thinking", "thinking": "hm"}], "id": "m1",
     "tool_calls": [{"name": "transfer_to_bob", "args": {}, "id": "c"}],
     "usage_metadata": {"input_tokens": 3, "output_tokens": 2},
     "response_metadata": {"finish_reason": "stop"}},
    {"type": "chat", "role": "bob", "content": "done", "id": "m2"},
]  # fmt: skip
ADK_EVENTS = [
    {"author": "user", "invocationId": "i", "content": {"role": "user", "parts": [{"text": "q"}]}},
    {"author": "ann", "invocationId": "i", "timestamp": 7.5, "content": {"parts": [
        {"functionCall": {"id": "f", "name": "look", "args": {"q": 1}}}]},
     "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2}},
    {"author": "ann", "invocationId": "i", "content": {"parts": [
        {"functionResponse": {"id": "f", "name": "look", "response": {"error": "no"}}}]},
     "actions": {"transferToAgent": "bob"}},
    {"author": "bob", "invocationId": "i", "content": {"parts": [{"text": "a"}]},
     "errorCode": "X", "errorMessage": "late"},
]  # fmt: skip
SAMPLES = {
    "counterpoint": {"schema": 1, "id": "e", "run": "r", "task": "t", "agents": ["ann", "bob"],
                     "tools": ["shell"], "success": 0.5, "meta": {"a": [1]}, "events": EVENTS},
    "counterpoint training": {"step": 3, "episodes": [{"events": EVENTS, "task": ["a", 1],
                                                       "success": 1.0, "count": 1}]},
    "who_and_when": json.loads((DATA / "algorithm-generated" / "1.json").read_text("utf-8")),
    "autogen": {"messages": [
        {"source": "solver", "type": "TextMessage", "content": "5", "target": "critic",
         "models_usage": {"prompt_tokens": 1, "completion_tokens": 4}},
        {"source": "critic", "type": "TextMessage", "content": "no"}]},
    "otel": [
        *({"traceId": "1", "startTimeUnixNano": str(i), "name": "chat", "attributes": {
            "gen_ai.agent.name": who, "gen_ai.completion": "yes"}} for i, who in enumerate("ab")),
        {"resourceSpans": [{"resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "desk"}}]}, "scopeSpans": [{"spans": [
                {"traceId": "1", "spanId": "2", "parentSpanId": "3", "name": "execute_tool look",
                 "status": {"code": 2, "message": "late"}, "endTimeUnixNano": "9", "attributes": [
                     {"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}},
                     {"key": "gen_ai.tool.args", "value": {"kvlistValue": {"values": [
                         {"key": "q", "value": {"arrayValue": {"values": [
                             {"intValue": "1"}]}}}]}}}]}]}]}]},
        {"spans": [{"context": {"trace_id": "1", "span_id": "3"}, "parent_id": None, "attributes": {
            "openinference": {"span": {"kind": "LLM"}}, "llm": {"output_messages": [
                {"message": {"role": "assistant", "content": "so"}}]}},
            "events": [{"name": "gen_ai.choice", "attributes": {"message": "so", "index": 0}}]}],
         "final_output": "so"}],
    "langfuse": [
        {"trace": {"id": "t", "name": "desk", "sessionId": "s", "tags": ["a"],
                   "scores": [{"name": "success", "value": 1, "comment": "ok"},
                              {"name": "tone", "stringValue": "kind"}]},
         "observations": [
            {"id": "1", "type": "AGENT", "name": "lead", "startTime": "2026-05-01T10:00:00Z",
             "endTime": "2026-05-01T10:00:09Z", "input": "go", "output": "all done",
             "level": "ERROR", "statusMessage": "late"},
            {"id": "2", "type": "SPAN", "name": "digger run", "parentObservationId": "1",
             "startTime": "2026-05-01T10:00:01Z", "metadata": {"attributes": {
                 "gen_ai.agent.name": "digger"}, "resourceAttributes": {"service.name": "x"}}},
            {"id": "3", "type": "GENERATION", "parentObservationId": "2",
             "startTime": "2026-05-01T10:00:02Z", "usageDetails": {"input": 3, "output": 4},
             "costDetails": {"total": 0.5}, "input": [{"role": "user", "content": "dig"}],
             "output": {"role": "assistant", "content": "dug", "tool_calls": [CALL]}},
            {"id": "4", "type": "TOOL", "name": "search", "parentObservationId": "2",
             "startTime": "2026-05-01T10:00:03Z", "input": {"q": 1}, "output": {
                 "role": "tool", "tool_call_id": "1", "content": "nothing"}}]},
        {"id": "5", "traceId": "u", "type": "EVENT", "startTime": "2026-05-01T10:00:00Z"}],
    "langsmith": [
        {"id": "1", "trace_id": "1", "run_type": "chain", "name": "desk", "inputs": {"input": "go"},
         "feedback_stats": {"tone": {"avg": 0.5}}, "extra": {"metadata": {"thread_id": "x"}},
         "child_runs": [
             {"id": "2", "run_type": "llm", "name": "ChatModel", "total_cost": "0.25",
              "start_time": "2026-05-01T10:00:02", "prompt_tokens": 3, "completion_tokens": 4,
              "extra": {"metadata": {"langgraph_node": "digger"}}, "outputs": {"generations": [[{
                  "text": "", "message": {"kwargs": {"content": "dug", "tool_calls": [
                      {"name": "search", "args": {"q": 1}, "id": "1"}]},
                      "id": ["langchain", "AIMessage"]}}]]}},
             {"id": "3", "run_type": "tool", "name": "search", "inputs": {"input": "q"},
              "outputs": {"output": {"type": "tool", "content": "nothing", "tool_call_id": "1"}}},
             {"id": "4", "run_type": "llm", "name": "ChatModel", "error": "late", "extra": {
                 "metadata": {"langgraph_node": "agent",
                              "langgraph_checkpoint_ns": "lead:1|agent:2"}}}]},
        {"post": [{"id": "9", "run_type": "llm", "inputs": {"messages": []}}],
         "patch": [{"id": "9", "outputs": {"choices": [{"message": {"content": "hi"}}]}}]}],
    "openai agents": [
        {"object": "trace", "id": "t", "workflow_name": "desk", "group_id": "g"},
        {"object": "trace.span", "id": "1", "trace_id": "t", "parent_id": None,
         "started_at": "2026-05-01T10:00:00+00:00", "ended_at": "2026-05-01T10:00:09+00:00",
         "span_data": {"type": "agent", "name": "Front", "handoffs": ["Back"], "tools": ["look"]},
         "error": {"message": "late", "data": {}}},
        {"object": "trace.span", "id": "2", "trace_id": "t", "parent_id": "1", "span_data": {
            "type": "generation", "usage": {"input_tokens": 3, "output_tokens": 4},
            "input": [{"role": "user", "content": "go"}],
            "output": [{"role": "assistant", "content": "one moment", "tool_calls": [CALL]}]}},
        {"object": "trace.span", "id": "3", "trace_id": "t", "parent_id": "1", "span_data": {
            "type": "function", "name": "search", "input": "{}", "output": "nothing"}},
        {"object": "trace.span", "id": "4", "trace_id": "t", "parent_id": "1", "span_data": {
            "type": "handoff", "from_agent": "Front", "to_agent": "Back"}},
        {"object": "trace.span", "id": "5", "trace_id": "t", "parent_id": "1", "span_data": {
            "type": "guardrail", "name": "polite", "triggered": True}}],
    "openai agents state": {
        "$schemaVersion": "1.17", "original_input": "go", "current_agent": {"name": "Back"},
        "current_turn": 3, "max_turns": 3, "current_step": None, "model_responses": [
            {"usage": {"input_tokens": 3, "output_tokens": 4}, "output": [{"id": "m"}]}],
        "session_items": [
            {"type": "message_output_item", "agent": {"name": "Front"}, "raw_item": {
                "id": "m", "role": "assistant", "type": "message",
                "content": [{"type": "output_text", "text": "one moment"}]}},
            {"type": "tool_call_item", "agent": {"name": "Front"}, "raw_item": {
                "type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"}},
            {"type": "tool_call_output_item", "agent": {"name": "Front"}, "output": "nothing",
             "raw_item": {"type": "function_call_output", "call_id": "1", "output": "nothing"}},
            {"type": "handoff_output_item", "agent": {"name": "Front"}, "raw_item": {},
             "source_agent": {"name": "Front"}, "target_agent": {"name": "Back"}}]},
    "langgraph": {"messages": [
        {"type": "human", "content": "go"},
        {"type": "ai", "name": "planner", "content": "",
         "tool_calls": [{"name": "search", "args": {"q": "x"}, "id": "1"}]},
        {"type": "tool", "name": "search", "content": "nothing", "tool_call_id": "1"},
        {"type": "ai", "name": "writer", "content": [{"type": "text", "text": "done"}]}]},
    "langgraph updates": [{node: {"messages": [{"type": "ai", "content": node, "id": "1",
                                                "name": None, "tool_calls": []}]}}
                          for node in ("planner", "writer")],
    "langgraph states": [{"messages": HISTORY[:n]} for n in (1, 2, 3)],
    "langgraph messages": [[{"type": "AIMessageChunk", "id": f"r{i % 2}", "content": word},
                            {"langgraph_node": node}]
                           for i, (node, word) in enumerate([("ann", "yes"), ("bob", "no")] * 2)],
    "langgraph stream": [[["desk:7"], {"agent": {"messages": [HISTORY[1]]}}],
                         {"clerk": {"messages": [HISTORY[2]]}}],
    "crewai": {"tasks_output": [
        {"agent": "Researcher", "description": "find", "raw": "done", "messages": [
            {"role": "assistant", "content": "Thought: t\nAction: look\nAction Input: {}\n"
                                             "Observation: nothing"}]},
        {"agent": "Writer", "description": "write", "raw": "written"}],
        "token_usage": {"total_tokens": 9}},
    "camel": {"role_1": "Cook", "role_2": "Guest", "id": "c", "specified_task": "soup",
              "message_1": {"role_name": "Guest", "role_type": "USER", "content": "salt"},
              "message_2": {"role_name": "Cook", "role_type": "ASSISTANT", "content": "added"}},
    "camel records": [
        {"message": {"role_name": who, "content": "x", "meta_dict": {"tool_calls": [CALL]}},
         "role_at_backend": "assistant", "timestamp": 1.5} for who in ("Cook", "Guest")],
    "camel workforce": [
        {"event_type": "worker_created", "workforce_id": "w", "worker_id": who, "role": role}
        for who, role in (("1", "Cook"), ("2", "Guest"))
    ] + [
        {"event_type": kind, "workforce_id": "w", "task_id": task, "worker_id": who, **more}
        for who, task in (("1", "a"), ("2", "b"))
        for kind, more in (("task_created", {"description": "soup"}), ("task_assigned", {}),
                           ("task_completed", {"result_summary": "done", "token_usage": {}}))
    ],
    "autogen 0.2": {"chat_history": [
        {"role": "user", "name": "ann", "content": "a", "tool_calls": [CALL]},
        {"role": "tool", "tool_responses": [{"tool_call_id": "1", "content": "nothing"}],
         "content": ""},
        {"role": "assistant", "name": "bob", "content": "b"}], "summary": "s", "cost": {}},
    "autogen stream": [
        {"source": "ann", "type": "ThoughtEvent", "content": "hm"},
        {"source": "ann", "type": "ToolCallRequestEvent", "created_at": "2026-01-02T03:04:05Z",
         "content": [{"id": "1", "name": "look", "arguments": "{}"}]},
        {"source": "ann", "type": "ToolCallExecutionEvent",
         "content": [{"call_id": "1", "name": "look", "content": "x", "is_error": True}]},
        {"source": "bob", "type": "HandoffMessage", "target": "ann", "content": "go"},
        {"source": "boss", "type": "SelectSpeakerEvent", "content": ["ann"]}],
    "adk": {"id": "s", "appName": "trip", "events": ADK_EVENTS},
    "adk events": ADK_EVENTS,
    "adk evaluation": {"eval_set_id": "set", "eval_case_results": [
        {"eval_id": "one", "final_eval_status": 1,
         "overall_eval_metric_results": [{"metric_name": "match", "score": 0.5}],
         "session_details": {"events": ADK_EVENTS}}]},
    "mast": {"mas_name": "HyperAgent", "mast_annotation": {"1.3": 1}, "trace": {"trajectory":
             "HyperAgent_x - INFO - Planner's Response: Look.\nat it\n"
             "HyperAgent_x - INFO - Inner-Editor-Assistant's Response: I edit.\n"
             "HyperAgent_x - INFO - Editor->Planner: done"}},
    "chatdev": "[2026-01-02 10:00:00 INFO] Tester: **Tester<->Programmer on : Test, turn 0**\n\n"
               "It fails.\n[2026-01-02 10:00:07 INFO] **[OpenAI_Usage_Info Receive]**\n"
               "prompt_tokens: 8\n[2026-01-02 10:00:09 INFO] Programmer: **turn 1**\n\nI mend.",
    "openai": {"id": "x", "task": "t", "success": 1, "messages": [
        {"role": "user", "content": "q"}, {"role": "assistant", "name": "ann", "content": "a"},
        {"role": "assistant", "name": "bob", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "nothing"}]},
    **TEAMS,
}  # fmt: skip
"""A value of each format whose logs tell members apart."""


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_keeps_its_promises(name):
    check_reader(FORMATS[name], [SAMPLES[name]])


def test_formats_without_a_sample_here_have_one_member():
    assert set(FORMATS) - set(SAMPLES) == set(ALONE)


@pytest.mark.parametrize("name", ALONE)
def test_a_format_of_one_member_keeps_its_promises(name):
    check_reader(FORMATS[name], [ALONE[name]], members=1)


LOG = {"meeting": "the test", "minutes": ["ann: I write it.", "bob: I run it.", "ann: Good."]}


def fits(value):
    return isinstance(value, dict) and "meeting" in value and "minutes" in value


def read(value, where, name):
    lines, events = value["minutes"], []
    if not isinstance(lines, list):
        raise LogError(f"{where}, minutes: got {type(lines).__name__}; wanted a list")
    for i, line in enumerate(lines):
        speaker, colon, text = line.partition(": ") if isinstance(line, str) else ("", "", "")
        if not colon:
            raise LogError(f"{where}, minutes {i}: got {line!r}; wanted 'name: text'")
        events.append({"agent": speaker, "kind": "message", "text": text})
    return [episode(name, events, "minutes", task=str(value["meeting"]))]


SOUND = Format(fits, read)


def test_a_sound_format_passes():
    check_reader(SOUND, [LOG])


def trusts(value, where, name):
    pairs = [line.split(": ") for line in value["minutes"]]
    return [episode(name, [{"agent": who, "kind": "message", "text": x} for who, x in pairs], "m")]


def does_not_say_where(value, where, name):
    return read(value, "somewhere", name)


def altered(change):
    """The sound reader whose episodes are changed."""
    return Format(fits, lambda *given: [change(one) for one in read(*given)])


COUNT = itertools.count()


def numbered(value, where, name):
    return [replace(one, id=f"{name}-{next(COUNT)}") for one in read(value, where, name)]


def adds_a_line(value, where, name):
    episodes = read(value, where, name)
    value["minutes"].append("ann: and so on")
    return episodes


def shuffled(one):
    return replace(one, events=tuple(replace(e, t=0) for e in one.events))


DEFECTS = {
    "a function": (fits, "wanted a counterpoint.readers.Format"),
    "takes every object": (SOUND._replace(fits=lambda v: isinstance(v, dict)), "a fit with {}"),
    "cannot look at a list": (
        SOUND._replace(fits=lambda v: "minutes" in v),
        "got TypeError: .* from fits.None",
    ),
    "takes nothing": (SOUND._replace(fits=lambda v: False), "no fit with sample 0"),
    "says 1": (SOUND._replace(fits=lambda v: int(fits(v))), "a fit with None"),
    "trusts what it reads": (SOUND._replace(read=trusts), "got .*Error: .* damaged at .*minutes"),
    "does not say where": (SOUND._replace(read=does_not_say_where), "one that names 'log.json,"),
    "adds a line": (SOUND._replace(read=adds_a_line), "a value that reading changed"),
    "a tuple": (SOUND._replace(read=lambda *g: tuple(read(*g))), "got tuple from a sample"),
    "no episode": (SOUND._replace(read=lambda *g: []), "got no episode"),
    "plain objects": (SOUND._replace(read=lambda *g: [{}]), "got dict from a sample"),
    "another id each time": (SOUND._replace(read=numbered), "other episodes the second time"),
    "one id for two": (SOUND._replace(read=lambda *g: read(*g) * 2), "different ids"),
    "a format without a name": (
        altered(lambda e: replace(e, meta={"format": ""})),
        "the format '' in meta",
    ),
    "no format": (altered(lambda e: replace(e, meta={})), "a format in it"),
    "all at once": (altered(shuffled), "t from 0, one by one"),
    "a stranger": (altered(lambda e: replace(e, agents=e.agents[:1])), "speakers .'bob'."),
    "both": (altered(lambda e: replace(e, tools=("bob",))), "'bob'. in agents and in tools"),
    "by the alphabet": (
        altered(lambda e: replace(e, agents=e.agents[::-1])),
        "the order of their first event",
    ),
    "out of ten": (altered(lambda e: replace(e, success=7.0)), "success 7.0"),
    "one member": (
        altered(lambda e: replace(e, agents=e.agents[:1], tools=e.agents[1:])),
        "got one member; wanted 2 or more",
    ),
    "what our records cannot hold": (
        altered(lambda e: replace(e, meta={**e.meta, "self": object()})),
        "got TypeError: .* from writing an episode",
    ),
    "what our records lose": (
        altered(lambda e: replace(e, success=float("nan"))),
        "success nan",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect):
    kind, complaint = DEFECTS[defect]
    with pytest.raises(ConformanceError, match=complaint):
        check_reader(kind, [copy.deepcopy(LOG)])


def test_a_log_that_another_format_reads_first_is_found():
    with pytest.raises(ConformanceError, match="which the format openai reads first"):
        check_reader(
            Format(lambda v: isinstance(v, dict) and "messages" in v, FORMATS["openai"].read),
            [SAMPLES["openai"]],
        )


def test_a_suite_without_a_sample_is_refused():
    with pytest.raises(ConformanceError, match="no sample"):
        check_reader(SOUND, [])
