"""Spans of tracers to episodes: members, tools, order, counts; nothing twice, nothing lost."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.readers.build import Line
from counterpoint.readers.formats.catalogue import FORMATS
from counterpoint.readers.logs import read_logs

REAL = next((p / "shared/data/real_logs" for p in Path(__file__).parents
             if (p / "shared/data/real_logs").is_dir()), None)  # fmt: skip
real = pytest.mark.skipif(REAL is None, reason="the real logs are not on this machine")


def read(tmp_path, *values, name="log.jsonl"):
    (tmp_path / name).write_text("".join(json.dumps(each) + "\n" for each in values))
    return list(read_logs(tmp_path / name))


def lines_of(episode):
    """Who did what, in order: an arrow is a handoff, brackets are a call."""
    forms = {"message": "{0}: {1}", "action": "{0}[{2}] {1}", "handoff": "{0} -> {3}"}
    return [forms[e.kind].format(e.agent, e.text, e.tool, *e.to) for e in episode.events]


def at(second):
    return f"2031-07-04T05:00:{second:02d}Z"


def span(id, parent, start, end, **attributes):
    name = attributes.pop("name", "work")
    names = {key.replace("__", "."): value for key, value in attributes.items()}
    return {"name": name, "context": {"trace_id": "0xfe", "span_id": id}, "parent_id": parent,
            "start_time": at(start), "end_time": at(end), "attributes": names}  # fmt: skip


def agent(id, parent, start, end, who, **more):
    return span(id, parent, start, end, gen_ai__operation__name="invoke_agent",
                gen_ai__agent__name=who, **more)  # fmt: skip


def parts(*given):
    return json.dumps([{"role": "assistant", "parts": list(given), "finish_reason": "stop"}])


def text(words):
    return {"type": "text", "content": words}


def call(id, tool, **arguments):
    return {"type": "tool_call", "id": id, "name": tool, "arguments": arguments}


def chat(id, parent, start, end, *given, **more):
    return span(id, parent, start, end, gen_ai__operation__name="chat",
                gen_ai__request__model="m-9", gen_ai__output__messages=parts(*given),
                **more)  # fmt: skip


KITCHEN = [
    agent("a", None, 0, 30, "maître", gen_ai__output__messages=parts(text("Bon appétit."))),
    chat("b", "a", 1, 2, {"type": "reasoning", "content": "soup, then"}, text("Soup first."),
         call("k1", "pan", heat=3), gen_ai__usage__input_tokens=40, gen_ai__usage__output_tokens=9,
         gen_ai__usage__cost=0.02),
    span("c", "a", 3, 5, gen_ai__operation__name="execute_tool", gen_ai__tool__name="pan",
         gen_ai__tool__call__id="k1", gen_ai__tool__call__arguments='{"heat": 3}',
         gen_ai__tool__call__result="too hot", error__type="Overheated"),
    agent("d", "a", 6, 20, "saucier", gen_ai__usage__output_tokens=5,
          gen_ai__output__messages=parts(text("Sauce is ready."))),
    chat("e", "d", 7, 9, text("Sauce  is ready."), gen_ai__usage__output_tokens="5"),
]  # fmt: skip


def test_calls_results_answers_and_counts(tmp_path):
    (episode,) = read(tmp_path, *KITCHEN)
    assert lines_of(episode) == ["maître: Soup first.", 'maître[pan] {"heat": 3}', "pan: too hot",
                             "saucier: Sauce  is ready.", "maître: Bon appétit."]  # fmt: skip
    assert (episode.agents, episode.tools) == (("maître", "saucier"), ("pan",))
    soup, use, hot, sauce, end = episode.events
    assert (soup.tokens_in, soup.tokens, soup.cost, soup.duration) == (40, 9, 0.02, 1.0)
    assert (soup.meta["thinking"], soup.finish, use.tokens) == ("soup, then", "stop", None)
    assert (use.call, hot.call, hot.error, hot.duration) == ("k1", "k1", "Overheated", 2.0)
    assert (sauce.tokens, sauce.seconds - soup.seconds) == (5, 6.0)
    # the last span inside ends at 20, the answer is there at 30
    assert (end.tokens, end.seconds - soup.seconds, end.duration) == (None, 19.0, 10.0)
    assert (episode.ending, episode.doubts) == ("stop", ())


def test_the_order_of_lines_does_not_matter(tmp_path):
    (first,), (second,) = read(tmp_path, *KITCHEN), read(tmp_path, *KITCHEN[::-1])
    assert first == second


@pytest.mark.parametrize("packed", [
    lambda spans: [{"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "0xfe", "spanId": each["context"]["span_id"], "name": each["name"],
         "parentSpanId": each["parent_id"] or "",
         "startTimeUnixNano": f"{1_941_350_400 + i}000000000",
         "attributes": [{"key": key, "value": {"stringValue": str(value)}}
                        for key, value in each["attributes"].items()]}
        for i, each in enumerate(spans)]}]}]}],
    lambda spans: [spans],
    lambda spans: [{"spans": spans}],
    lambda spans: [{"data": spans, "next_cursor": None}],
    lambda spans: [{"info": {"trace_id": "x"}, "data": {"spans": spans}}],
    lambda spans: [{"spans": spans[:2]}, {"spans": spans[2:]}],
])  # fmt: skip
def test_every_packing_is_read(tmp_path, packed):
    (episode,) = read(tmp_path, *packed(KITCHEN))
    assert lines_of(episode)[-1] == "maître: Bon appétit."
    assert len(episode.events) == 5


def test_a_trace_in_two_files_of_a_folder_is_one_episode(tmp_path):
    for name, spans in (("front.jsonl", KITCHEN[:3]), ("back.jsonl", KITCHEN[3:])):
        (tmp_path / name).write_text("".join(json.dumps(each) + "\n" for each in spans))
    (episode,) = read_logs(tmp_path)
    assert len(episode.events) == 5


def test_content_that_was_not_captured_is_not_silence(tmp_path):
    spans = [agent("a", None, 0, 2, "reader"), agent("b", None, 3, 4, "writer"),
             span("c", "a", 1, 2, gen_ai__operation__name="chat", gen_ai__usage__output_tokens=7),
             span("d", "b", 3, 4, gen_ai__operation__name="execute_tool",
                  gen_ai__tool__name="press")]  # fmt: skip
    (episode,) = read(tmp_path, *spans)
    assert lines_of(episode) == ["reader: ", "writer[press] ", "press: "]
    assert episode.meta["content"] == "not captured"
    assert [event.meta for event in episode.events] == [{"content": "not captured"}] * 3
    assert episode.events[0].tokens == 7
    (twin,) = read(tmp_path, *spans, chat("e", "b", 5, 6, text("Printed.")))
    assert "content" not in twin.meta


def test_parallel_members_speak_in_the_order_of_time(tmp_path):
    (episode,) = read(tmp_path, agent("a", None, 0, 9, "ann"), agent("b", None, 1, 8, "bea"),
                      chat("1", "a", 2, 3, text("A1")), chat("2", "b", 3, 4, text("B1")),
                      chat("3", "a", 5, 6, text("A2")), chat("4", "b", 6, 7,
                      text("B2")))  # fmt: skip
    assert lines_of(episode) == ["ann: A1", "bea: B1", "ann: A2", "bea: B2"]


def test_an_agent_that_is_called_as_a_tool_answers_once(tmp_path):
    (episode,) = read(
        tmp_path, agent("a", None, 0, 9, "boss"), chat("b", "a", 0, 1, call("1", "cook", dish=2)),
        span("c", "a", 1, 6, gen_ai__operation__name="execute_tool", gen_ai__tool__name="cook",
             gen_ai__tool__call__id="1", gen_ai__tool__call__result="Done."),
        agent("d", "c", 1, 6, "cook", gen_ai__output__messages=parts(text("Done."))),
        chat("e", "d", 2, 5, text("Done.")),
        chat("f", "a", 7, 8, call("2", "transfer_to_head_waiter")),
        agent("g", None, 9, 11, "Head Waiter", gen_ai__completion="Served."))  # fmt: skip
    assert lines_of(episode) == ['boss[cook] {"dish": 2}', "cook: Done.", "boss -> Head Waiter",
                             "Head Waiter: Served."]  # fmt: skip
    assert episode.agents == ("boss", "cook", "Head Waiter")
    assert episode.events[2].tool == "transfer_to_head_waiter"


def test_a_frame_around_agents_is_no_member_but_a_lead_is(tmp_path):
    inner = [agent("b", "a", 1, 2, "one", gen_ai__completion="first"),
             agent("c", "a", 3, 4, "two", gen_ai__completion="second")]  # fmt: skip
    (frame,) = read(tmp_path, agent("a", None, 0, 5, "pipeline", gen_ai__completion="second"),
                    *inner)  # fmt: skip
    assert (frame.agents, lines_of(frame)) == (("one", "two"), ["one: first", "two: second"])
    (lead,) = read(tmp_path, agent("a", None, 0, 5, "lead", gen_ai__completion="third"), *inner)
    assert lead.agents == ("one", "two", "lead")


def test_what_only_the_agent_counts_stays(tmp_path):
    (episode,) = read(tmp_path, agent("a", None, 0, 5, "solo", gen_ai__usage__output_tokens=12),
                      chat("b", "a", 1, 2, text("hm")),
                      agent("c", None, 6, 7, "dead", error__type="RateLimit"))  # fmt: skip
    assert lines_of(episode) == ["solo: hm", "dead: "]
    assert (episode.events[0].tokens, episode.events[1].error) == (12, "RateLimit")
    assert episode.ending == "RateLimit"


def test_a_declared_agent_that_does_nothing_is_a_member(tmp_path):
    (episode,) = read(
        tmp_path, span("z", None, 0, 1, gen_ai__operation__name="create_agent",
                       gen_ai__agent__name="spare"),
        agent("a", None, 2, 3, "busy", gen_ai__completion="here"))  # fmt: skip
    assert episode.agents == ("busy", "spare")


def test_spans_without_an_agent(tmp_path):
    def lone(i, service=None):
        one = chat(str(i), None, i, i + 1, text(f"word {i}"))
        return one | ({"resource": {"attributes": {"service.name": service}}} if service else {})

    (alone,) = read(tmp_path, lone(1))
    assert (alone.agents, alone.doubts) == (("assistant",), ())
    (nameless,) = read(tmp_path, lone(1), lone(2))
    assert nameless.agents == ("assistant",)
    assert "2 calls of models are in no agent's span" in nameless.doubts[0]
    assert '[rename] "assistant" = "solver"' in nameless.doubts[0]
    (services,) = read(tmp_path, lone(1, "mill"), lone(2, "bakery"), lone(3, "mill"))
    assert services.agents == ("mill", "bakery")
    assert "services count as members: 'mill', 'bakery'" in services.doubts[0]
    (unknown,) = read(tmp_path, lone(1, "unknown_service"), lone(2, "unknown_service:python"))
    assert unknown.agents == ("assistant",)


def test_parts_of_langchain_that_are_traced_as_agents_are_no_members(tmp_path):
    (episode,) = read(tmp_path, agent("a", None, 0, 9, "RunnableSequence"),
                      agent("b", "a", 1, 8, "scout"), agent("c", "b", 2, 7, "RunnableLambda"),
                      chat("d", "c", 3, 4, text("Seen.")))  # fmt: skip
    assert (episode.agents, lines_of(episode)) == (("scout",), ["scout: Seen."])


def test_conversations_and_requests(tmp_path):
    """Below one request run two conversations; a response's id is none."""
    (one, two) = read(
        tmp_path, span("r", None, 0, 9, http__method="POST"),
        agent("a", "r", 1, 2, "ann", gen_ai__conversation__id="left", gen_ai__completion="hi"),
        agent("b", "r", 3, 4, "bea", gen_ai__conversation__id="right"),
        chat("c", "b", 3, 4, text("ho"), gen_ai__conversation__id="response-77"))  # fmt: skip
    assert [(e.id, lines_of(e)) for e in (one, two)] == [
        ("left", ["ann: hi"]),
        ("right", ["bea: ho"]),
    ]


def test_openllmetry_has_results_in_the_next_prompt(tmp_path):
    prompt = {"llm__request__type": "chat", "gen_ai__prompt__0__role": "user",
             "gen_ai__prompt__0__content": "find ore"}  # fmt: skip
    (episode,) = read(
        tmp_path, span("1", None, 0, 9, traceloop__span__kind="workflow"),
        span("2", "1", 1, 5, traceloop__span__kind="agent", traceloop__entity__name="miner"),
        span("3", "2", 1, 2, **prompt, gen_ai__completion__0__finish_reason="tool_calls",
             gen_ai__completion__0__tool_calls__0__id="c9",
             gen_ai__completion__0__tool_calls__0__name="dig",
             gen_ai__completion__0__tool_calls__0__arguments="{}",
             gen_ai__usage__prompt_tokens=11, gen_ai__usage__completion_tokens=7),
        span("4", "2", 3, 4, **prompt, gen_ai__prompt__1__role="assistant",
             gen_ai__prompt__1__content="", gen_ai__prompt__2__role="tool",
             gen_ai__prompt__2__content="iron", gen_ai__prompt__2__tool_call_id="c9",
             gen_ai__completion__0__content="Iron."))  # fmt: skip
    assert lines_of(episode) == ["user: find ore", "miner[dig] {}", "dig: iron", "miner: Iron."]
    assert (episode.events[1].tokens_in, episode.events[1].finish) == (11, "tool_calls")
    assert episode.task == "find ore"


def test_events_of_a_span_have_the_messages(tmp_path):
    one = agent("1", None, 0, 1, "eve") | {"status": {"code": 2}, "events": [
        {"name": "gen_ai.user.message", "attributes": {"content": "well?"}},
        {"name": "gen_ai.choice", "attributes": {"finish_reason": "length", "message":
            '{"role": "assistant", "content": "ye"}'}},
        {"name": "exception", "attributes": {"exception.message": "cut"}}]}  # fmt: skip
    (episode,) = read(tmp_path, one)
    assert lines_of(episode) == ["user: well?", "eve: ye"]
    assert (episode.events[1].finish, episode.events[1].error) == ("length", "cut")


def test_tools_by_the_names_of_bedrock_and_google(tmp_path):
    def choice(**given):
        return {"name": "gen_ai.choice", "attributes": given}

    used = '[{"text": "One look."}, {"toolUse": {"toolUseId": "u1", "name": "peek", "input": {}}}]'
    google = {"content": {"role": "model", "parts": [
        {"function_call": {"id": "adk-1", "name": "transfer_to_agent",
                           "args": {"agent_name": "scribe"}}}]},
              "finish_reason": "STOP"}  # fmt: skip
    (episode,) = read(
        tmp_path, agent("a", None, 0, 9, "seer"),
        chat("b", "a", 1, 2) | {"events": [choice(message=used, finish_reason="tool_use")]},
        span("c", "a", 3, 4, gen_ai__operation__name="execute_tool", gen_ai__tool__name="peek",
             gen_ai__tool__call__id="u1")
        | {"events": [choice(message='[{"text": "a hare"}]')]},
        span("d", "a", 5, 6, gen_ai__operation__name="generate_content",
             gcp__vertex__agent__llm_response=json.dumps(google)),
        span("e", "a", 7, 8, gen_ai__operation__name="execute_tool",
             gen_ai__tool__call__id="adk-1", gen_ai__tool__name="transfer_to_agent"),
        agent("f", "a", 8, 9, "scribe", gen_ai__completion="Noted."))  # fmt: skip
    assert lines_of(episode) == ["seer: One look.", "seer[peek] {}", "peek: a hare",
                             "seer -> scribe",
                             "scribe: Noted."]  # fmt: skip
    assert [event.finish for event in episode.events] == ["tool_use", "", "", "STOP", ""]


def test_messages_in_logs_belong_to_the_spans_of_their_ids(tmp_path):
    def pairs(**given):
        return [{"key": key, "value": {"stringValue": each}} for key, each in given.items()]

    records = [
        {"traceId": "0xfe", "spanId": "1", "eventName": "gen_ai.user.message",
         "body": {"kvlistValue": {"values": pairs(content="well?")}}, "attributes": []},
        {"traceId": "0xfe", "spanId": "1", "attributes": pairs(**{"event.name": "gen_ai.choice"}),
         "body": {"kvlistValue": {"values": [
             *pairs(finish_reason="stop"), {"key": "message", "value": {"kvlistValue": {
                 "values": pairs(role="assistant", content="well.")}}}]}}}]  # fmt: skip
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    (tmp_path / "logs.json").write_text(json.dumps(logs))
    (tmp_path / "spans.json").write_text(json.dumps([agent("1", None, 0, 1, "eve")]))
    (episode,) = read_logs(tmp_path)
    assert (lines_of(episode), episode.ending) == (["user: well?", "eve: well."], "stop")


PHOENIX = {"openinference": {"span": {"kind": "LLM"}}, "llm": {
    "output_messages": [{"message": {"role": "assistant", "tool_calls": [{"tool_call": {
        "id": "z", "function": {"name": "lookup", "arguments": '{"a": 1}'}}}]}}],
    "token_count": {"prompt": 5, "completion": 6}, "cost": {"prompt": 0.25,
    "completion": 0.5}}}  # fmt: skip


def test_openinference_nested_flat_and_as_a_table(tmp_path):
    head = {"openinference.span.kind": "AGENT", "graph.node.id": "clerk", "input.value": "go",
            "session.id": "s-4"}  # fmt: skip
    lines = [{**span("1", None, 0, 9), "attributes": head},
             {**span("2", "1", 1, 2), "attributes": PHOENIX},
             {**span("3", "1", 3, 4), "status_code": "ERROR", "status_message": "KeyError: 1",
              "attributes": {"openinference.span.kind": "TOOL",
              "tool.name": "lookup"}}]  # fmt: skip
    (episode,) = read(tmp_path, *lines)
    assert lines_of(episode) == ["user: go", 'clerk[lookup] {"a": 1}', "lookup: "]
    _, call, result = episode.events
    assert (call.tokens_in, call.tokens, call.cost) == (5, 6, 0.75)
    assert (result.error, episode.run, episode.agents) == ("KeyError: 1", "s-4", ("clerk",))
    table = [{"name": "x", "context.span_id": str(i), "context.trace_id": "t", "start_time": i,
              "attributes.openinference.span.kind": "LLM", "attributes.agent.name": who,
              "attributes.llm.output_messages": [{"message.role": "assistant",
                                                  "message.content": "hey"}]}
             for i, who in enumerate(("ann", "bea"))]  # fmt: skip
    (rows,) = read(tmp_path, table)
    assert lines_of(rows) == ["ann: hey", "bea: hey"]


def test_an_agent_span_that_names_nobody_is_a_step_of_the_agent_around(tmp_path):
    kind = {"openinference__span__kind": "AGENT"}
    (episode,) = read(tmp_path, span("1", None, 0, 9, name="Planner.run", **kind),
                      span("2", "1", 1, 4, name="agent.react.update-3", **kind),
                      chat("3", "2", 2, 3, text("Plan.")))  # fmt: skip
    assert lines_of(episode) == ["Planner: Plan."]


OBSERVED = {
    "trace": {"id": "t7", "name": "desk", "sessionId": "s7", "scores": [
        {"name": "success", "value": 0}, {"name": "tone", "value": 0.25, "comment": "curt"},
        {"name": "topic", "stringValue": "tax"}]},
    "observations": [
        {"id": "o2", "parentObservationId": "o1", "type": "GENERATION", "name": "chat",
         "startTime": at(1), "endTime": at(3), "output": "I split it.", "totalCost": 0.5,
         "usageDetails": {"input": 10, "input_cache_read": 30, "output": 5}},
        {"id": "o1", "parentObservationId": None, "type": "AGENT", "name": "lead",
         "startTime": at(0), "endTime": at(9), "input": "go", "output": "I split it."},
        {"id": "o3", "parentObservationId": "o1", "type": "TOOL", "name": "grep",
         "startTime": at(4), "endTime": at(5), "input": {"q": "x"}, "output": None,
         "level": "ERROR", "statusMessage": "no such file"}]}  # fmt: skip


def test_langfuse(tmp_path):
    (episode,) = read(tmp_path, OBSERVED, name="trace.json")
    assert lines_of(episode) == ["user: go", "lead: I split it.", 'lead[grep] {"q": "x"}', "grep: "]
    answer, result = episode.events[1], episode.events[3]
    assert (answer.tokens_in, answer.tokens, answer.cost, answer.duration) == (40, 5, 0.5, 2.0)
    assert (result.error, episode.run) == ("no such file", "s7")
    assert (episode.success, dict(episode.scores)) == (0.0, {"tone": 0.25})
    assert episode.labels == {"tone": {"value": 0.25, "comment": "curt"}, "topic": "tax"}
    rows = [{**each, "traceId": "t7"} for each in OBSERVED["observations"]]
    (lines,) = read(tmp_path, *rows)
    assert lines.events == episode.events
    (inside,) = read(tmp_path, {**OBSERVED["trace"], "observations": rows}, name="api.json")
    assert inside.events == episode.events


def test_langfuse_steps_around_models_are_members_with_a_doubt(tmp_path):
    def made(id, kind, name, start, parent=None, **more):
        return {"id": id, "traceId": "t", "type": kind, "name": name, "startTime": at(start),
                "parentObservationId": parent, **more}  # fmt: skip

    (episode,) = read(
        tmp_path, made("1", "SPAN", "main", 0), made("2", "SPAN", "draft", 1, "1"),
        made("3", "GENERATION", "llm", 2, "2", output="A text."),
        made("4", "SPAN", "check", 3, "1"),
        made("5", "GENERATION", "llm", 4, "4", output="It is fine."))  # fmt: skip
    assert lines_of(episode) == ["draft: A text.", "check: It is fine."]
    assert (
        "the steps around calls of models count as members: 'draft', 'check'" in (episode.doubts[0])
    )


def test_two_spans_of_one_call_are_one_event(tmp_path):
    """An SDK and the framework above it both trace a call of a model."""
    outer = {"openinference__span__kind": "LLM", "output__value": "Yes."}
    (episode,) = read(tmp_path, agent("a", None, 0, 9, "ann"), span("1", "a", 1, 4, **outer),
                      chat("2", "1", 2, 3, text("Yes."),
                      gen_ai__usage__output_tokens=3))  # fmt: skip
    assert [(e.text, e.tokens) for e in episode.events] == [("Yes.", 3)]


def run(id, kind, name, start, parent=None, **more):
    meta = more.pop("meta", {})
    return {"id": id, "trace_id": "1", "run_type": kind, "name": name, "parent_run_id": parent,
            "start_time": f"2031-07-04T05:00:{start:02d}", "end_time": None, "inputs": {},
            "extra": {"metadata": meta}, **more}  # fmt: skip


def generated(words, *calls):
    message = {"id": ["langchain", "schema", "AIMessage"], "kwargs": {
        "content": words, "usage_metadata": {"input_tokens": 8, "output_tokens": 2},
        "response_metadata": {"finish_reason": "stop"}, "tool_calls": list(calls)}}  # fmt: skip
    return {"generations": [[{"text": words, "message": message}]]}


def test_langsmith_nodes_of_a_graph_are_members(tmp_path):
    prompt = {"messages": [[{"type": "human", "content": "where?"}]]}
    runs = [
        run("1", "chain", "LangGraph", 0),
        run("2", "chain", "scout", 1, "1", meta={"langgraph_node": "scout"}),
        run("3", "llm", "ChatModel", 2, "2", inputs=prompt, total_cost="0.5",
            outputs=generated("", {"name": "map", "args": {"x": 1}, "id": "c1"}),
            meta={"langgraph_node": "agent", "langgraph_checkpoint_ns": "scout:8|agent:9"}),
        run("4", "tool", "map", 3, "1", inputs={"input": "{'x': 1}"}, outputs={"output": {
            "type": "tool", "content": "north", "tool_call_id": "c1"}},
            meta={"langgraph_node": "tools"}),
        run("5", "llm", "ChatModel", 4, "1", outputs=generated("Go north."),
            meta={"langgraph_node": "guide", "langgraph_checkpoint_ns": "guide:7"}),
    ]  # fmt: skip
    (episode,) = read(tmp_path, *runs)
    assert lines_of(episode) == ["user: where?", 'scout[map] {"x": 1}', "map: north",
                             "guide: Go north."]  # fmt: skip
    first = episode.events[1]
    assert (first.tokens_in, first.tokens, first.cost, first.finish) == (8, 2, 0.5, "stop")
    nested = {**runs[0], "child_runs": [{**runs[1], "child_runs": [runs[2]]}, *runs[3:]]}
    (tree,) = read(tmp_path, nested, name="tree.json")
    assert tree.events == episode.events
    (listed,) = read(tmp_path, runs, name="list.json")
    assert listed.events == episode.events


def test_langsmith_nodes_without_models_are_members_with_a_doubt(tmp_path):
    (episode,) = read(
        tmp_path, run("1", "chain", "LangGraph", 0, inputs={"input": "go"}),
        run("2", "chain", "sort", 1, "1", meta={"langgraph_node": "sort"},
            outputs={"messages": [{"type": "human", "content": "go"},
                                  {"type": "ai", "content": "sorted"}]}),
        run("3", "chain", "route", 2, "2", meta={"langgraph_node": "sort"},
            outputs={"output": "pack"}),
        run("4", "chain", "pack", 3, "1", meta={"langgraph_node": "pack"},
            outputs={"output": "packed"}))  # fmt: skip
    assert lines_of(episode) == ["user: go", "sort: sorted", "pack: packed"]
    assert "steps of the program count as members: 'sort', 'pack'" in episode.doubts[0]


def test_langsmith_a_patch_completes_a_run(tmp_path):
    (episode,) = read(tmp_path, {
        "post": [run("1", "llm", "ChatModel", 0, outputs={})],
        "patch": [{"id": "1", "trace_id": "1", "end_time": "2031-07-04T05:00:02",
                   "error": "Timeout", "outputs": {"choices": [{"message": {
                       "role": "assistant", "content": "well"}, "finish_reason": "length"}]}}],
    }, name="batch.json")  # fmt: skip
    (event,) = episode.events
    assert (event.text, event.duration, event.finish, event.error) == (
        "well", 2.0, "length", "Timeout")  # fmt: skip


def traced(id, parent, start, end, **data):
    return {"object": "trace.span", "id": id, "trace_id": "tr", "parent_id": parent,
            "started_at": at(start), "ended_at": at(end), "error": None,
            "span_data": data}  # fmt: skip


def test_openai_agents(tmp_path):
    calls = [{"id": "q", "type": "function", "function": {"name": "transfer_to_money_desk",
                                                          "arguments": "{}"}}]  # fmt: skip
    values = [
        {"object": "trace", "id": "tr", "workflow_name": "desk", "group_id": "g5"},
        traced("1", None, 0, 9, type="agent", name="Door", handoffs=["Money Desk", "Lost Desk"]),
        traced("2", "1", 1, 2, type="guardrail", name="is_polite", triggered=False),
        traced("3", "1", 3, 4, type="generation", input=[{"role": "user", "content": "refund!"}],
               output=[{"role": "assistant", "content": None, "tool_calls": calls}],
               usage={"input_tokens": 21, "output_tokens": 4}),
        traced("4", "1", 5, 6, type="handoff", from_agent="Door", to_agent="Money Desk"),
        traced("5", None, 10, 19, type="agent", name="Money Desk", handoffs=[]),
        traced("6", "5", 11, 12, type="response", response_id="resp_1"),
        traced("7", "5", 13, 14, type="function", name="pay", input='{"sum": 5}', output="paid"),
    ]  # fmt: skip
    (episode,) = read(tmp_path, *values)
    assert lines_of(episode) == ["is_polite: not triggered", "user: refund!", "Door -> Money Desk",
                             "Money Desk: ", 'Money Desk[pay] {"sum": 5}', "pay: paid"]  # fmt: skip
    assert episode.agents == ("Door", "Money Desk", "Lost Desk")
    handoff, blank = episode.events[2:4]
    assert (handoff.tokens, handoff.tool, blank.meta) == (
        4, "transfer_to_money_desk", {"content": "not captured"})  # fmt: skip
    assert (episode.run, episode.meta["workflow_name"]) == ("g5", "desk")
    for packed in ({"data": values}, {"trace_id": "tr", "workflow_name": "desk", "group_id": "g5",
                                      "spans": values[1:]}, values):  # fmt: skip
        (sent,) = read(tmp_path, packed, name="sent.json")
        assert (sent.events, sent.run) == (episode.events, "g5")


def test_openai_agents_state(tmp_path):
    def item(kind, who, **raw):
        return {"type": kind, "agent": {"name": who}, "raw_item": raw}

    state = {
        "$schemaVersion": "1.9", "original_input": [{"role": "user", "content": "refund!"}],
        "current_agent": {"name": "Money"}, "current_turn": 2, "max_turns": 2,
        "model_responses": [{"usage": {"input_tokens": 9, "output_tokens": 3},
                             "output": [{"id": "c"}]}],
        "generated_items": [
            item("tool_call_item", "Door", id="c", call_id="k", name="look", arguments="{}"),
            item("tool_call_output_item", "Door", call_id="k", output="found"),
            item("handoff_call_item", "Door", call_id="h", name="transfer_to_money"),
            item("handoff_output_item", "Door", call_id="h") | {
                "source_agent": {"name": "Door"}, "target_agent": {"name": "Money"}},
            item("message_output_item", "Money", role="assistant", type="message",
                 content=[{"type": "output_text", "text": "Here."}])]}  # fmt: skip
    (episode,) = read(tmp_path, state, name="state.json")
    assert lines_of(episode) == ["user: refund!", "Door[look] {}", "look: found", "Door -> Money",
                             "Money: Here."]  # fmt: skip
    assert (episode.events[1].tokens, episode.ending) == (3, "max_turns")
    assert (episode.agents, episode.tools) == (("Door", "Money"), ("user", "look"))


def test_a_deep_trace_and_a_circle_are_read(tmp_path):
    deep = [agent(str(i), str(i - 1) if i else None, 0, 1, f"a{i}", gen_ai__completion=f"t{i}")
            for i in range(1_000)]  # fmt: skip
    (episode,) = read(tmp_path, *deep)
    assert [len(episode.events), episode.events[0].text] == [1_000, "t999"]
    (circle,) = read(tmp_path, agent("1", "2", 0, 1, "ann", gen_ai__completion="x"),
                     agent("2", "1", 0, 1, "bea", gen_ai__completion="y"))  # fmt: skip
    assert sorted(circle.agents) == ["ann", "bea"]


@pytest.mark.parametrize("wrap", [
    lambda inner: {"message": inner}, lambda inner: {"role": "assistant", "content": [inner]},
    lambda inner: [inner], lambda inner: {"tool_call": inner}, lambda inner: {"output": inner},
])  # fmt: skip
def test_values_in_values_without_an_end_are_read(tmp_path, wrap):
    deep = "x"
    for _ in range(300):
        deep = wrap(deep)
    names = {"gen_ai.agent.name": "ann", "gen_ai.output.messages": deep, "gen_ai.prompt": deep}
    (episode,) = read(tmp_path, {"trace_id": "1", "attributes": names})
    assert episode.agents == ("ann",)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_laws_of_a_tree_of_agents(parents, random):
    """Agent i hangs below an earlier one or none, starts at i, and says its own words.

    Each text comes once, after all texts from inside, whatever the order of the lines.
    """
    spans = [agent(str(i), str(p % i) if i and p % (i + 1) else None, i, i + 1, f"member {i % 3}",
                   gen_ai__completion=f"text {i}") for i, p in enumerate(parents)]  # fmt: skip

    def texts(values):
        lines = [Line(each, "here", Path("x"), str(i)) for i, each in enumerate(values)]
        (episode,) = FORMATS["otel"].read(lines, "x")
        return [event.text for event in episode.events]

    order = texts(spans)
    assert sorted(order) == sorted(f"text {i}" for i in range(len(parents)))
    assert texts(random.sample(spans, len(spans))) == order
    for i, each in enumerate(spans):
        if each["parent_id"]:
            assert order.index(f"text {i}") < order.index(f"text {each['parent_id']}")


AGENTS = {
    "any_agent/AGNO_trace.json": (("any_agent",), 6, 1396, 74),
    "any_agent/LANGCHAIN_trace.json": (("any_agent",), 7, 1262, 125),
    "any_agent/OPENAI_trace.json": (("any_agent",), 6, 1020, 76),
    "langfuse/autogen-2025-06-06.trace.json": (("assistant",), 2, 41, 3),
    "langfuse/crewai-2025-07-11.trace.json": (("Software developer",), 2, 190, 164),
    "langfuse/google-adk-2025-08-28.trace.json": (("hello_agent",), 4, 67, 9),
    "langfuse/langgraph-python-2025-08-22.trace.json": (("agent",), 4, 168, 66),
    "langfuse/openai-agents-2025-09-30.trace.json": (("Hello world",), 4, 140, 44),
    "langsmith/langsmith_py_wrap_openai_.json": (("assistant",), 2, 9, 9),
    "openai_agents/v1_13_nested_history_ownership.json": (("compat-agent",), 1, 0, 0),
    "openai_agents/v1_17.json": (("compat-agent",), 1, 0, 0),
}
"""Members, events, and tokens in and out, as a person reads them in the file."""


@real
@pytest.mark.parametrize("name", AGENTS)
def test_real_logs(name):
    (episode,) = read_logs(REAL / name)
    events = episode.events
    sums = [sum(getattr(e, field) or 0 for e in events) for field in ("tokens_in", "tokens")]
    assert (episode.agents, len(events), *sums) == AGENTS[name]
    assert episode.doubts == ()
