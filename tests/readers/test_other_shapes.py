"""Shapes of logs that real files have beside the usual one of their format."""

import json

from test_team_frameworks import read, rows

from counterpoint.readers import read_logs


def test_a_first_line_may_be_longer_than_what_is_read_to_find_the_format(tmp_path):
    def document(number):
        attributes = [{"key": "gen_ai.agent.name", "value": {"stringValue": "miller"}},
                      {"key": "gen_ai.output.messages", "value": {"stringValue": "flour " * 900}},
                      {"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}},
                      ]  # fmt: skip
        span = {"traceId": f"{number:032x}", "spanId": "a1", "name": "invoke_agent miller",
                "startTimeUnixNano": str(number), "attributes": attributes}  # fmt: skip
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})

    path = tmp_path / "collector.json"
    path.write_text(f"{document(1)}\n{document(2)}\n")
    assert [each.agents for each in read_logs(path)] == [("miller",)] * 2
    path.write_text(document(1) + "\n")
    assert [each.agents for each in read_logs(path)] == [("miller",)]


def test_spans_that_javascript_writes(tmp_path):
    def span(key, name, number, **attributes):
        return {"name": name, key: {"traceId": "f" * 32, "spanId": number, "traceFlags": 1},
                "startTime": [1941350400, 250_000_000 + int(number)], "endTime": [1941350401, 0],
                "status": {"code": 0}, "attributes": attributes, "events": []}  # fmt: skip

    outer = span("spanContext", "ai.generateObject", "1", **{
        "ai.operationId": "ai.generateObject", "ai.telemetry.functionId": "baker",
        "ai.prompt": '{"messages": [{"role": "user", "content": "bread?"}]}'})  # fmt: skip
    inner = span("_spanContext", "ai.generateObject.doGenerate", "2", **{
        "ai.operationId": "ai.generateObject.doGenerate", "ai.telemetry.functionId": "baker",
        "ai.prompt.messages": '[{"role": "user", "content": "bread?"}]',
        "ai.response.object": '{"grams": 500}', "gen_ai.usage.output_tokens": 6})  # fmt: skip
    inner["parentSpanContext"] = outer["spanContext"]
    (found,) = read(tmp_path, [outer, inner])
    assert (found.id, found.agents) == ("f" * 32, ("baker",))
    assert rows(found) == [("user", "message", (), "bread?"),
                           ("baker", "message", (), '{"grams": 500}')]  # fmt: skip
    assert found.events[1].tokens == 6


def test_nanoseconds_since_1970_order_a_trace_whose_members_wrote_files_of_their_own(tmp_path):
    def document(member, *seconds):
        spans = [
            {"traceId": "ab", "spanId": f"{second}", "name": "invoke_agent",
             "startTimeUnixNano": f"{1_941_350_400 + second}250000000",
             "endTimeUnixNano": f"{1_941_350_401 + second}000000000",
             "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in (
                 ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", member),
                 ("gen_ai.completion", f"{member} kneads dough {second}"))]}
            for second in seconds
        ]  # fmt: skip
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})

    (tmp_path / "baker.json").write_text(document("baker", 0, 2, 4))
    (tmp_path / "miller.json").write_text(document("miller", 1, 3, 5))
    (found,) = read_logs(tmp_path)
    assert [each.agent for each in found.events] == ["baker", "miller"] * 3
    assert [each.seconds for each in found.events] == [1_941_350_400.25 + i for i in range(6)]
    assert [each.duration for each in found.events] == [0.75] * 6


def test_an_unknown_item_of_a_codex_response_is_counted(tmp_path):
    lines = [{"type": "session_meta", "payload": {"id": "s1"}},
             {"type": "response_item", "payload": {"type": "token_count", "output_tokens": 3}},
             {"type": "response_item", "payload": {"type": "message", "role": "assistant",
              "content": [{"type": "output_text", "text": "sifted"}]}}]  # fmt: skip
    (found,) = read(tmp_path, lines, "rollout.jsonl")
    assert rows(found) == [("main", "message", (), "sifted")]
    assert found.meta["other_lines"] == {"token_count": 1}


def test_conversations_are_messages_too(tmp_path):
    turns = [{"role": "user", "content": "rye?"}, {"role": "assistant", "content": "sold out"}]
    (found,) = read(tmp_path, {"conversations": turns, "run_id": "r"})
    assert rows(found) == [("user", "message", (), "rye?"),
                           ("assistant", "message", (), "sold out")]  # fmt: skip


def test_early_openhands_has_pairs_of_action_and_observation(tmp_path):
    nothing = {"message": "No observation", "observation": "null", "content": "", "extras": {}}
    said = {"source": "agent", "action": "message", "args": {"content": "It is 4."}}
    run = {"source": "agent", "action": "run", "args": {"command": "expr 2 + 2", "thought": ""}}
    result = {"source": "agent", "observation": "run", "content": "4",
              "extras": {"command": "expr 2 + 2", "exit_code": 0}}  # fmt: skip
    value = {"id": "sum_1", "instruction": "2 + 2?", "test_result": {"result": True},
             "history": [[run, result], [said, nothing]]}  # fmt: skip
    (found,) = read(tmp_path, value)
    assert (found.id, found.success, found.agents) == ("sum_1", 1.0, ("agent",))
    assert [(e.agent, e.kind) for e in found.events] == [
        ("agent", "action"), ("run", "message"), ("agent", "message")]  # fmt: skip


def test_turns_of_owl_have_two_members(tmp_path):
    call = {"tool_name": "weigh", "args": {"of": "dough"}, "result": "900 g", "tool_call_id": "w1"}
    value = [{"user": "Weigh it.", "assistant": "It weighs 900 g.", "tool_calls": [call]},
             {"user": "Done.", "assistant": "Good.", "tool_calls": []}]  # fmt: skip
    (found,) = read(tmp_path, value)
    assert (found.agents, found.tools, found.task) == (
        ("user", "assistant"),
        ("weigh",),
        "Weigh it.",
    )
    assert rows(found) == [
        ("user", "message", ("assistant",), "Weigh it."),
        ("assistant", "action", (), '{"of": "dough"}'),
        ("weigh", "message", (), "900 g"),
        ("assistant", "message", ("user",), "It weighs 900 g."),
        ("user", "message", ("assistant",), "Done."),
        ("assistant", "message", ("user",), "Good."),
    ]


def test_the_log_of_a_workforce(tmp_path):
    def event(kind, **more):
        return {"timestamp": "2031-07-09T08:00:00+00:00", "workforce_id": "w", "event_type": kind,
                **more}  # fmt: skip

    value = [
        event("worker_created", worker_id="a", role="Baker, who likes rye"),
        event("worker_created", worker_id="b", role="Baker: of cakes"),
        event("task_created", task_id="0", description="Bake."),
        event("task_decomposed", parent_task_id="0", subtask_ids=["0.0"]),
        event("task_created", task_id="0.0", description="Bake rye."),
        event("task_assigned", task_id="0.0", worker_id="a"),
        event("task_started", task_id="0.0", worker_id="a"),
        event("task_failed", task_id="0.0", worker_id="a", error_message="oven is cold"),
        event("task_completed", task_id="0", worker_id="unknown", result_summary="all"),
    ]
    (found,) = read(tmp_path, value)
    assert found.meta["format"] == "camel workforce"
    assert (found.agents, found.tools) == (("Baker", "Baker-2"), ("coordinator",))
    assert (found.task, found.ending) == ("Bake.", "task_completed")
    assert rows(found) == [("coordinator", "message", ("Baker",), "Bake rye."),
                           ("Baker", "message", (), "")]  # fmt: skip
    assert found.events[1].error == "oven is cold"
    assert found.meta["other_events"] == {"task_started": 1}


def test_the_definition_of_a_tool_is_not_what_it_was_called_with(tmp_path):
    schema = {"type": "object", "properties": {"of": {"type": "string"}}, "required": ["of"]}
    spans = [{"trace_id": "t", "span_id": "1", "name": "clerk", "start_time": 1,
              "attributes": {"openinference.span.kind": "AGENT", "agent.name": "clerk"}},
             {"trace_id": "t", "span_id": "2", "parent_id": "1", "name": "price", "start_time": 2,
              "attributes": {"openinference.span.kind": "TOOL", "tool.name": "price",
                             "tool.parameters": json.dumps(schema), "output.value": "4",
                             "input.value": '{"of": "rye"}'}}]  # fmt: skip
    (found,) = read(tmp_path, spans)
    assert [e.text for e in found.events if e.kind == "action"] == ['{"of": "rye"}']


def test_the_moments_of_a_call_of_beeai_are_one_call(tmp_path):
    def moment(number, name, **attributes):
        return {"trace_id": "t", "span_id": str(number), "parent_id": "1", "name": name,
                "start_time": number, "end_time": 9, "attributes": attributes}  # fmt: skip

    tool = {"openinference.span.kind": "TOOL"}
    spans = [
        moment(1, "bee", **{"openinference.span.kind": "AGENT", "agent.name": "bee"}),
        moment(2, "tool.maps.start-4", **tool, **{"input.value": '{"to": "Oslo"}'}),
        moment(3, "tool.maps.start-5", **tool, **{"input.value": '{"to": "Bergen"}'}),
        moment(4, "tool.maps.success-4", **tool, **{"output.value": "north"}),
        moment(5, "tool.maps.success-5", **tool, **{"output.value": "west"}),
        moment(6, "tool.maps.finish-4", **tool),
        moment(7, "tool.maps.finish-5", **tool),
    ]
    spans[0]["parent_id"] = None
    (found,) = read(tmp_path, spans)
    assert found.tools == ("maps",)
    assert sorted((e.kind, e.text) for e in found.events) == [
        ("action", '{"to": "Bergen"}'), ("action", '{"to": "Oslo"}'),
        ("message", "north"), ("message", "west")]  # fmt: skip
