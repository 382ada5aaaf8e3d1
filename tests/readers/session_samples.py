"""One small log of each format of sessions, trajectories and rollouts, as JSON has it."""

Z = "2031-07-09T08:00:{:02d}.250Z"
"""Times of one minute: the 9th of July 2031."""
START = 1941350400.25
"""Seconds since 1970 at the first of them."""


def shell(id_, line):
    """A call of a tool, as OpenAI has it."""
    return {"id": id_, "type": "function",
            "function": {"name": "zsh", "arguments": f'{{"line": "{line}"}}'}}  # fmt: skip


ANTHROPIC = {
    "system": "Be brief.", "model": "m-1",
    "messages": [
        {"role": "user", "content": "¿Cuántas sillas?"},
        {"role": "assistant", "stop_reason": "tool_use",
         "usage": {"input_tokens": 7, "cache_read_input_tokens": 40, "output_tokens": 9},
         "content": [{"type": "thinking", "thinking": "ask the shop", "signature": "x"},
                     {"type": "text", "text": "I ask."},
                     {"type": "tool_use", "id": "c1", "name": "stock", "input": {"of": "silla"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "is_error": True,
             "content": [{"type": "text", "text": "shop is shut"}]},
            {"type": "image", "source": {}}, {"type": "text", "text": "And now?"}]},
        {"role": "assistant", "content": "Nobody knows."},
    ],
}  # fmt: skip

MODEL_CALLS = [
    {"agent": "cook", "timestamp": Z.format(0), "session_id": "kitchen",
     "request": {"messages": [{"role": "system", "content": "cook"},
                              {"role": "user", "content": "soup"}]},
     "response": {"id": "r1", "model": "m-2", "usage": {"prompt_tokens": 4, "completion_tokens": 6},
                  "choices": [{"finish_reason": "tool_calls", "message": {
                      "role": "assistant", "content": None, "tool_calls": [shell("k1", "ls")]}}]}},
    {"agent": "waiter", "session_id": "kitchen",
     "request": {"instructions": "serve", "input": "the soup"},
     "response": {"id": "r2", "object": "response", "status": "incomplete",
                  "incomplete_details": {"reason": "max_output_tokens"},
                  "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
                  "output": [
                      {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hot"}]},
                      {"type": "function_call", "call_id": "k2", "name": "carry",
                       "arguments": "{}"},
                      {"type": "message", "role": "assistant",
                       "content": [{"type": "output_text", "text": "Served."}]}]}},
    {"agent": "cook", "session_id": "kitchen",
     "request": {"messages": [{"role": "system", "content": "cook"},
                              {"role": "user", "content": "soup"},
                              {"role": "assistant", "content": None,
                               "tool_calls": [shell("k1", "ls")]},
                              {"role": "tool", "tool_call_id": "k1", "content": "pot"}]},
     "response": {"id": "r3", "choices": [{"finish_reason": "stop", "message": {
         "role": "assistant", "content": "Done."}}]}},
]  # fmt: skip


def claude(kind, uuid, second, content, sidechain=None, **more):
    """A line of a session of Claude Code."""
    inner = {"role": kind, "content": content, **more.pop("inner", {})}
    side = {} if sidechain is None else {"agentId": sidechain}
    return {"type": kind, "uuid": uuid, "parentUuid": None, "sessionId": "s-77",
            "isSidechain": sidechain is not None, "timestamp": Z.format(second), "cwd": "/srv",
            "version": "9.9", "message": inner, **side, **more}  # fmt: skip


TASK = {"type": "tool_use", "id": "t9", "name": "Task",
        "input": {"subagent_type": "digger", "prompt": "dig there"}}  # fmt: skip
CLAUDE_CODE = [
    {"type": "summary", "summary": "A hole", "leafUuid": "u5"},
    claude("user", "u1", 0, "Find the well"),
    # two lines of one model call, of which the last has the whole usage
    claude("assistant", "u2", 1, [{"type": "text", "text": "I send one."}],
           inner={"id": "m1", "usage": {"input_tokens": 10, "output_tokens": 1}}),
    claude("assistant", "u3", 2, [TASK], costUSD=0.25,
           inner={"id": "m1", "stop_reason": "tool_use",
                  "usage": {"input_tokens": 10, "cache_creation_input_tokens": 5,
                            "cache_read_input_tokens": 85, "output_tokens": 30}}),
    claude("user", "u6", 9, [{"type": "tool_result", "tool_use_id": "t9", "content": "wet earth"}],
           toolUseResult={"agentId": "d1", "totalDurationMs": 6500}),
    claude("assistant", "u7", 10, [{"type": "text", "text": "There it is."}],
           inner={"id": "m2", "stop_reason": "end_turn"}),
    {"type": "file-history-snapshot", "messageId": "u7", "snapshot": {}},
    claude("user", "w1", 3, "dig there", "d1"),
    claude("assistant", "w2", 4, [{"type": "tool_use", "id": "b1", "name": "Bash",
                                   "input": {"command": "dig"}}], "d1"),
    claude("user", "w3", 5, [{"type": "tool_result", "tool_use_id": "b1", "content": "stone",
                              "is_error": True}], "d1"),
    claude("assistant", "w4", 6, [{"type": "text", "text": "wet earth"}], "d1"),
]  # fmt: skip


def codex(kind, second, **payload):
    """A line of a rollout of Codex."""
    return {"timestamp": Z.format(second), "type": kind, "payload": payload}


CODEX = [
    codex("session_meta", 0, id="th-1", cwd="/srv", cli_version="0.9", source="cli"),
    codex("turn_context", 0, model="m-3", cwd="/srv"),
    codex("response_item", 1, type="message", role="user",
          content=[{"type": "input_text", "text": "Mend the roof"}]),
    codex("event_msg", 1, type="user_message", message="Mend the roof"),
    codex("response_item", 2, type="reasoning", summary=[], encrypted_content="zz"),
    codex("response_item", 3, type="function_call", name="exec", call_id="x1", arguments="{}"),
    codex("event_msg", 3, type="token_count", info={
        "last_token_usage": {"input_tokens": 50, "cached_input_tokens": 20, "output_tokens": 8},
        "total_token_usage": {"total_tokens": 58}}),
    codex("event_msg", 3, type="token_count", info={
        "last_token_usage": {"input_tokens": 50, "cached_input_tokens": 20, "output_tokens": 8},
        "total_token_usage": {"total_tokens": 58}}),
    codex("response_item", 4, type="function_call_output", call_id="x1",
          output='{"output": "no nails", "metadata": {"exit_code": 2, "duration_seconds": 0.5}}'),
    codex("response_item", 5, type="message", role="assistant",
          content=[{"type": "output_text", "text": "It leaks."}]),
    codex("event_msg", 5, type="agent_message", message="It leaks."),
    codex("event_msg", 6, type="task_complete", last_agent_message="It leaks."),
]  # fmt: skip

ATIF = {
    "schema_version": "ATIF-v1.7", "session_id": "a-1",
    "agent": {"name": "captain", "version": "3", "model_name": "m-4"},
    "steps": [
        {"step_id": 1, "source": "system", "message": "sail"},
        {"step_id": 2, "source": "user", "message": "to Lisbon", "timestamp": Z.format(0)},
        {"step_id": 3, "source": "agent", "message": "I ask.", "timestamp": Z.format(1),
         "reasoning_content": "who knows the way?",
         "tool_calls": [{"tool_call_id": "q1", "function_name": "ask", "arguments": {"a": 1}}],
         "metrics": {"prompt_tokens": 11, "completion_tokens": 3, "cost_usd": 0.5},
         "observation": {"results": [{"source_call_id": "q1", "content": "west",
                                      "subagent_trajectory_ref": [{"trajectory_id": "n-1"}]}]}},
        {"step_id": 4, "source": "agent", "message": "Again.", "is_copied_context": True},
    ],
    "subagent_trajectories": [
        {"schema_version": "ATIF-v1.7", "trajectory_id": "n-1", "agent": {"name": "pilot"},
         "steps": [{"step_id": 1, "source": "agent", "message": "Go west."}]}],
    "final_metrics": {"total_cost_usd": 0.5},
}  # fmt: skip

OPENHANDS = {
    "instance_id": "i-3", "instruction": "Bake", "metrics": {"accumulated_cost": 1.5},
    "test_result": {"resolved": True},
    "history": [
        {"id": 0, "source": "agent", "action": "system", "timestamp": "2031-07-09T08:00:00.250",
         "args": {"content": "you bake", "agent_class": "Baker"}},
        {"id": 1, "source": "user", "action": "message", "args": {"content": "Bread, please"}},
        {"id": 2, "source": "agent", "action": "run", "timestamp": "2031-07-09T08:00:02.250",
         "args": {"command": "oven on", "thought": "First heat."},
         "tool_call_metadata": {"function_name": "execute_bash", "tool_call_id": "o1",
                                "model_response": {"id": "mr", "model": "m-5", "usage": {
                                    "prompt_tokens": 20, "completion_tokens": 5},
                                    "choices": [{"finish_reason": "tool_calls", "message": {}}]}}},
        {"id": 3, "source": "agent", "observation": "run", "cause": 2, "content": "no gas",
         "tool_call_metadata": {"function_name": "execute_bash", "tool_call_id": "o1"},
         "extras": {"metadata": {"exit_code": 3}}},
        {"id": 4, "source": "agent", "action": "delegate",
         "args": {"agent": "Grocer", "inputs": {"task": "buy gas"}}},
        {"id": 5, "source": "agent", "action": "message", "args": {"content": "Bought."}},
        {"id": 6, "source": "agent", "observation": "delegate", "cause": 4, "content": "",
         "extras": {"outputs": {"gas": 1}}},
        {"id": 7, "source": "environment", "observation": "agent_state_changed", "content": "",
         "extras": {"agent_state": "running"}},
        {"id": 8, "source": "agent", "action": "finish", "args": {"final_thought": "Baked."}},
    ],
}  # fmt: skip

SWE_AGENT = {
    "environment": "e", "info": {"exit_status": "submitted (cost)", "submission": "diff",
                                 "model_stats": {"instance_cost": 0.75, "tokens_sent": 90}},
    "history": [
        {"role": "system", "content": "fix", "agent": "fixer"},
        {"role": "user", "content": "a demonstration", "agent": "fixer", "is_demo": True},
        {"role": "user", "content": "the lamp", "agent": "fixer"},
        {"role": "assistant", "content": "look", "agent": "fixer"},
        {"role": "user", "content": "dark", "agent": "fixer"},
        {"role": "assistant", "content": "try", "agent": "tester"}],
    "trajectory": [
        {"thought": "look first", "action": "ls /lamp", "observation": "dark",
         "execution_time": 0.125},
        {"thought": "try", "action": "switch on", "observation": "light",
         "tool_calls": [{"id": "v1", "function": {"name": "switch", "arguments": "{}"}}]}],
}  # fmt: skip

MINI = {
    "trajectory_format": "mini-swe-agent-1", "instance_id": "lamp-1",
    "info": {"exit_status": "Submitted", "submission": "d",
             "model_stats": {"instance_cost": 0.5, "api_calls": 2}},
    "messages": [
        {"role": "system", "content": "one command"}, {"role": "user", "content": "Fix the lamp"},
        {"role": "assistant", "content": "THOUGHT: look\n```bash\nls lamp\n```",
         "extra": {"cost": 0.25, "timestamp": START, "response": {
             "model": "m-6", "usage": {"prompt_tokens": 8, "completion_tokens": 4}}}},
        {"role": "user", "content": "<returncode>2</returncode>\n<output>\nno lamp\n</output>"},
        {"role": "exit", "content": "bye"}],
}  # fmt: skip

TAU = [{"task_id": 4, "reward": 0.5, "trial": 1, "info": {"user_cost": 0.125}, "traj": [
    {"role": "user", "content": "hola"},
    {"role": "assistant", "content": None, "tool_calls": [shell("z1", "x")]},
    {"role": "tool", "name": "zsh", "tool_call_id": "z1", "content": "y"}]}]  # fmt: skip
TAU2 = {
    "timestamp": "t", "info": {"environment_info": {"domain_name": "bakery"}},
    "tasks": [{"id": "9", "evaluation_criteria": {"actions": []}}],
    "simulations": [{
        "id": "sim", "task_id": "9", "trial": 0, "termination_reason": "max_steps",
        "agent_cost": 0.25, "user_cost": 0.5, "duration": 12.5,
        "reward_info": {"reward": 0.0, "reward_breakdown": {"DB": 0.0, "COMMUNICATE": 1.0}},
        "messages": [
            {"role": "assistant", "content": "Hi", "cost": 0.125, "generation_time_seconds": 1.5,
             "usage": {"prompt_tokens": 6, "completion_tokens": 2}, "timestamp": Z.format(0)},
            {"role": "user", "content": "Bread", "tool_calls": None},
            {"role": "assistant", "content": None,
             "tool_calls": [{"id": "g1", "name": "get", "arguments": {"n": 1}}]},
            {"role": "tool", "id": "g1", "content": "Error: none", "error": True}]}],
}  # fmt: skip

ART = {
    "metadata": {}, "trajectories": [
        {"reward": reward, "metrics": {"tries": 2}, "metadata": {"agent": who},
         "messages_and_choices": [
             {"role": "user", "content": "Name a bird"},
             {"finish_reason": "length", "index": 0,
              "message": {"role": "assistant", "content": text}}]}
        for who, text, reward in (("ann", "Kea", 1.0), ("ann", "Cat", 0.0), ("bo", "Emu", 3.0))],
}  # fmt: skip
RESULTS = {
    "example_id": 3, "task": "birds", "prompt": [{"role": "user", "content": "Name a bird"}],
    "completion": [{"role": "assistant", "content": "Kea"}], "answer": "any", "reward": 0.75,
    "metrics": {"is_bird": 1.0}, "is_truncated": True, "timing": {"total_ms": 2500},
    "token_usage": {"input_tokens": 5, "output_tokens": 1},
}  # fmt: skip
VERIFIERS = {
    "id": "ep-1", "env": {"id": "duel"}, "task": {"key": "k-2"}, "group": {"id": "g-1"}, "ok": True,
    "traces": [
        {"agent": {"name": who}, "rewards": {"wit": {"value": value, "weight": 2.0}},
         "stop_condition": "done", "nodes": [
             {"id": 0, "message": {"role": "user", "content": "Go"}, "timestamp": Z.format(at)},
             {"id": 1, "parent": 0, "timestamp": Z.format(at + 10),
              "message": {"role": "assistant", "content": text}}]}
        for who, text, value, at in (("asker", "Why?", 1.0, 0), ("solver", "So.", 0.25, 5))],
}  # fmt: skip
RLLM = {
    "episode_id": "q:0", "task": {"question": "2 + 2"}, "task_hash": "h", "training_step": 7,
    "is_correct": True, "termination_reason": "env_done", "metrics": {"len": 3},
    "trajectories": [
        {"name": "solver", "reward": 1.0, "steps": [
            {"chat_completions": [{"role": "user", "content": "2 + 2"},
                                  {"role": "assistant", "content": "5"}], "reward": 0.0},
            {"chat_completions": [{"role": "user", "content": "2 + 2"},
                                  {"role": "assistant", "content": "5"},
                                  {"role": "user", "content": "no"},
                                  {"role": "assistant", "content": "4"}], "reward": 1.0}]},
        {"name": "judge", "reward": 0.5, "steps": [
            {"observation": "4?", "thought": "hm", "model_response": "right"}]}],
}  # fmt: skip


def span(kind, at, **more):
    """An event of inspect_ai."""
    return {"event": kind, "timestamp": Z.format(at), **more}


def model(at, span_id, text, **more):
    """A model call of inspect_ai."""
    message = {"role": "assistant", "content": text, "source": "generate", **more}
    return span("model", at, span_id=span_id, model="m-7", input=[], output={
        "choices": [{"message": message, "stop_reason": "stop"}], "time": 0.75,
        "usage": {"input_tokens": 3, "input_tokens_cache_read": 4, "output_tokens": 2,
                  "total_tokens": 9}})  # fmt: skip


INSPECT = {
    "version": 2, "status": "success", "eval": {"task": "t", "run_id": "run-5"},
    "samples": [{
        "id": "x", "epoch": 2, "input": [{"role": "user", "content": "Plan it"}], "target": "map",
        "messages": [{"role": "user", "content": "Plan it"},
                     {"role": "assistant", "content": "attachment://f00"},
                     {"role": "user", "content": "Is it done?"}],
        "attachments": {"f00": "The map."},
        "scores": {"match": {"value": "P"}, "style": {"value": {"tone": 0.25, "wit": "I"}}},
        "limit": {"type": "token", "limit": 900}, "total_time": 8.0,
        "model_usage": {"m-7": {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}},
        "events": [
            span("span_begin", 0, id="A", type="agent", name="leader"),
            model(1, "A", "", tool_calls=[{"id": "h1", "function": "transfer_to_drawer",
                                           "arguments": {}}]),
            span("span_begin", 2, id="T", parent_id="A", type="tool", name="transfer_to_drawer"),
            span("span_begin", 2, id="B", parent_id="T", type="agent", name="drawer"),
            model(3, "B", "A line.", tool_calls=[{"id": "p1", "function": "pen",
                                                  "arguments": {"x": 1}}]),
            span("tool", 4, span_id="B", id="p1", function="pen", arguments={"x": 1}, result="",
                 error={"type": "timeout", "message": "no ink"}, completed=Z.format(5)),
            span("span_end", 6, id="B"),
            span("tool", 2, span_id="A", id="h1", function="transfer_to_drawer", arguments={},
                 agent="drawer", agent_span_id="B", result="drawn", completed=Z.format(6)),
            span("span_end", 6, id="T"),
            model(7, "A", "attachment://f00"),
            span("span_end", 8, id="A"),
            span("span_begin", 8, id="S", type="scorer", name="match"),
            model(8, "S", "GRADE: P"),
            span("span_end", 9, id="S")],
    }],
}  # fmt: skip

LINES = [
    {"role": "user", "content": "Wie spät?"},
    {"type": "reasoning", "summary": [], "encrypted_content": "q"},
    {"type": "function_call", "call_id": "f1", "name": "clock", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "f1", "output": "12"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Zwölf."},
                                                         {"type": "refusal", "refusal": "No."}]},
]  # fmt: skip

TEAMS = {
    "model calls": MODEL_CALLS, "claude_code": CLAUDE_CODE, "atif": [ATIF],
    "openhands": [OPENHANDS], "swe_agent": SWE_AGENT, "verifiers": VERIFIERS, "rllm": RLLM,
    "art": ART, "inspect_ai": INSPECT,
}  # fmt: skip
"""Format to a log of a team, or the lines of one."""
ALONE = {
    "messages": LINES,
    "anthropic": ANTHROPIC, "codex": CODEX, "mini-swe-agent": MINI, "tau-bench": TAU,
    "tau2-bench": TAU2, "verifiers results": RESULTS,
}  # fmt: skip
"""Format to a log of one member, or the lines of one."""
