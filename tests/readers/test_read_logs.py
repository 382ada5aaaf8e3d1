"""Foreign logs: real ones against a table checked by hand, every format, and hostile files."""

from __future__ import annotations

import io
import json
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import LogError
from counterpoint.readers import read_logs
from counterpoint.readers.episodes import decode, encode
from counterpoint.readers.lines import TornLogWarning
from counterpoint.readers.logs import Names, read_mapping
from counterpoint.records import Episode, Event

DATA = Path(__file__).parents[1] / "data" / "who_and_when"
LEAD, W = "Orchestrator", "WebSurfer"
GOLDEN = {
    # file: events, members, others, who is blamed, the event at which, by people
    "algorithm-generated/1": (6, {"Excel_Expert", "BusinessLogic_Expert",
                                  "DataVerification_Expert"}, {"Computer_terminal"},
                              "Excel_Expert", 0),
    "algorithm-generated/101": (8, {"Tickets_Pricing_Expert", "Budgeting_Expert",
                                    "Verification_Expert"}, {"Computer_terminal"},
                                "Tickets_Pricing_Expert", 2),
    "algorithm-generated/81": (9, {"DataVerification_Expert", "Fashion_Vogue_Expert",
                                   "Geography_Expert"}, {"Computer_terminal"},
                               "DataVerification_Expert", 5),
    "algorithm-generated/93": (6, {"FilmCritic_Expert", "JamesBondFilms_Expert",
                                   "MovieProp_Expert"}, set(), "FilmCritic_Expert", 4),
    "algorithm-generated/63": (10, {"MusicTheory_Expert", "Verification_Expert",
                                    "MathAnalysis_Expert"}, {"Computer_terminal"},
                               "MusicTheory_Expert", 5),
    "algorithm-generated/97": (10, {"WikipediaHistory_Expert", "Wikipedia_Editor_Expert"},
                               {"Computer_terminal"}, "WikipediaHistory_Expert", 2),
    "hand-crafted/29": (13, {LEAD, W}, {"human"}, W, 12),
    "hand-crafted/33": (9, {LEAD, W}, {"human"}, W, 8),
    "hand-crafted/43": (16, {LEAD, W, "Assistant"}, {"human"}, "Assistant", 12),
    "hand-crafted/45": (21, {LEAD, W}, {"human"}, LEAD, 20),
    "hand-crafted/5": (20, {LEAD, W}, {"human"}, W, 12),
    "hand-crafted/57": (17, {LEAD, W}, {"human"}, W, 12),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_real_transcripts_are_read_as_a_person_reads_them(name):
    (found,) = read_logs(DATA / f"{name}.json")
    events, members, others, blamed, step = GOLDEN[name]
    assert len(found.events) == events
    assert set(found.agents) == members
    assert set(found.tools) == others
    assert found.events[step].agent == blamed == found.labels["mistake_agent"]
    assert found.success == 0.0
    assert [e.t for e in found.events] == list(range(events))


def test_addressees_and_thoughts_of_an_orchestrator():
    (found,) = read_logs(DATA / "hand-crafted" / "29.json")
    assert found.events[0].agent == "human"
    assert found.events[1].meta["note"] == "thought"
    assert found.events[3].agent == "Orchestrator"
    assert found.events[3].to == ("WebSurfer",)
    assert found.events[4].agent == "WebSurfer"
    assert found.events[4].to == ()


def test_a_folder_is_read_to_the_bottom_and_the_rest_is_noted():
    notes = []
    found = list(read_logs(DATA, note=notes.append))
    assert len(found) == 12
    assert any("LICENSE" in note for note in notes)


def write(tmp_path, value, name="log.json"):
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


AUTOGEN = [
    {"source": "user", "content": "2 + 3?", "type": "TextMessage", "models_usage": None},
    {"source": "solver", "content": [{"id": "1", "name": "add", "arguments": '{"x": 2}'}],
     "type": "ToolCallRequestEvent", "models_usage": {"prompt_tokens": 9, "completion_tokens": 4}},
    {"source": "solver", "content": [{"call_id": "1", "name": "add", "content": "5"}],
     "type": "ToolCallExecutionEvent"},
    {"source": "solver", "content": "it is 5", "type": "TextMessage"},
    {"source": "critic", "content": "TERMINATE", "type": "TextMessage", "target": "solver"},
]  # fmt: skip


def test_autogen(tmp_path):
    (found,) = read_logs(write(tmp_path, {"messages": AUTOGEN, "stop_reason": "TERMINATE"}))
    assert found.agents == ("solver", "critic")
    assert found.tools == ("user", "add")
    kinds = [(e.agent, e.kind, e.text) for e in found.events]
    assert kinds[1] == ("solver", "action", '{"x": 2}')
    assert kinds[2] == ("add", "message", "5")
    assert found.events[1].tokens == 4
    assert found.events[4].to == ("solver",)
    assert found.ending == "TERMINATE"
    (again,) = read_logs(write(tmp_path, AUTOGEN, "bare.json"))
    assert again.events == found.events


def test_langgraph_plain_and_serialized(tmp_path):
    plain = [{"type": "human", "content": "go"},
             {"type": "ai", "name": "planner", "content": "",
              "tool_calls": [{"name": "search", "args": {"q": "x"}, "id": "1"}]},
             {"type": "tool", "name": "search", "content": "found", "tool_call_id": "1"},
             {"type": "ai", "name": "writer",
              "content": [{"type": "text", "text": "done"}]}]  # fmt: skip
    (found,) = read_logs(write(tmp_path, {"messages": plain}))
    assert found.agents == ("planner", "writer")
    assert [(e.agent, e.kind) for e in found.events] == [
        ("user", "message"), ("planner", "action"), ("search", "message"), ("writer", "message"),
    ]  # fmt: skip
    assert found.events[1].tool == "search"
    names = {"human": "HumanMessage", "ai": "AIMessage", "tool": "ToolMessage"}
    serialized = [
        {"lc": 1, "type": "constructor",
         "id": ["langchain", "schema", "messages", names[m["type"]]],
         "kwargs": {k: v for k, v in m.items() if k != "type"}} for m in plain
    ]  # fmt: skip
    (again,) = read_logs(write(tmp_path, serialized, "s.json"))
    assert again.events == found.events


def said_by_nodes(*nodes, named=False):
    """What `graph.stream(..., stream_mode="updates")` yields: messages as langchain-core 1.x
    dumps them, without a name unless somebody gave one."""
    return [
        {node: {"messages": [{"type": "ai", "content": f"{node} {i}", "id": f"lc_run--{i}",
                              "name": node if named else None, "tool_calls": []}]}}
        for i, node in enumerate(nodes)
    ]  # fmt: skip


NODES = ("researcher", "writer", "researcher", "writer")


def state_of(updates):
    """The same messages as the state of the graph has them, behind the question."""
    said = [message for u in updates for part in u.values() for message in part["messages"]]
    return {"messages": [{"type": "human", "content": "go", "name": None}, *said]}


def test_updates_of_langgraph_name_the_nodes(tmp_path):
    (found,) = read_logs(write(tmp_path, said_by_nodes(*NODES)))
    assert found.agents == ("researcher", "writer")
    assert [e.agent for e in found.events] == list(NODES)
    assert found.doubts == ()
    one_message = [{"researcher": {"messages": said_by_nodes("x")[0]["x"]["messages"][0]}},
                   {"tools": None}]  # fmt: skip
    (single,) = read_logs(write(tmp_path, one_message, "one.json"))
    assert single.agents == ("researcher",)


def test_messages_without_names_are_counted_and_said(tmp_path):
    (found,) = read_logs(write(tmp_path, state_of(said_by_nodes(*NODES))))
    assert found.agents == ("assistant",)
    assert "carry no name" in found.doubts[0]
    (twin,) = read_logs(write(tmp_path, state_of(said_by_nodes(*NODES, named=True)), "named.json"))
    assert twin.agents == ("researcher", "writer")
    assert twin.doubts == ()


def test_a_conversation_with_one_assistant_is_not_accused_of_missing_names(tmp_path):
    turn = [{"role": "user", "content": "go"}, {"role": "assistant", "content": "yes"}]
    (plain,) = read_logs(write(tmp_path, {"messages": turn * 3}))
    assert plain.doubts == ()
    call = {"id": "1", "function": {"name": "search", "arguments": "{}"}}
    tools = [{"role": "assistant", "content": None, "tool_calls": [call]},
             {"role": "tool", "content": "x", "tool_call_id": "1"}]  # fmt: skip
    (busy,) = read_logs(write(tmp_path, {"messages": [*turn, *tools, turn[1]]}, "tools.json"))
    assert busy.doubts == ()
    both = [turn[0], turn[1], {"role": "assistant", "content": "no"}]
    (merged,) = read_logs(write(tmp_path, {"messages": both}, "merged.json"))
    assert "carry no name" in merged.doubts[0]


def test_crewai(tmp_path):
    tasks = [{"agent": "Researcher ", "description": "find", "raw": "found it"},
             {"agent": "Writer", "description": "write", "raw": "written"}]  # fmt: skip
    (found,) = read_logs(write(tmp_path, {"raw": "written", "tasks_output": tasks}))
    assert found.agents == ("Researcher", "Writer")
    assert found.task == "find"
    assert found.events[1].text == "written"


def test_inspect_json_and_archive(tmp_path):
    call = {"id": "1", "function": "add", "arguments": {"x": 2}}
    sample = {
        "id": "a", "epoch": 1, "input": "2 + 3?", "target": "5",
        "messages": [{"role": "user", "content": "2 + 3?"},
                     {"role": "assistant", "content": "", "tool_calls": [call]},
                     {"role": "tool", "function": "add", "tool_call_id": "1", "content": "5"},
                     {"role": "assistant", "content": [{"type": "text", "text": "5"}]}],
        "scores": {"match": {"value": "C"}},
    }  # fmt: skip
    log = {"version": 2, "status": "success", "eval": {"task": "sum"}, "samples": [sample]}
    (found,) = read_logs(write(tmp_path, log))
    assert found.success == 1
    assert found.meta["gold"] == "5"
    assert [(e.agent, e.kind) for e in found.events] == [
        ("user", "message"), ("assistant", "action"), ("add", "message"), ("assistant", "message"),
    ]  # fmt: skip
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"version": 2}))
        archive.writestr("samples/a_epoch_1.json", json.dumps(sample))
    (again,) = read_logs(path)
    assert again.events == found.events


def test_an_archive_packed_with_zstandard(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    sample = {"id": "a", "epoch": 1, "input": "x", "messages": [{"role": "user", "content": "x"}]}
    packed = zstandard.compress(json.dumps(sample).encode())
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("samples/a_epoch_1.json", packed)
    raw = bytearray(data.getvalue())
    raw[8:10] = (93).to_bytes(2, "little")  # the method, in the local header
    at = raw.find(b"PK\x01\x02")
    raw[at + 10 : at + 12] = (93).to_bytes(2, "little")  # and in the directory
    path = tmp_path / "log.eval"
    path.write_bytes(bytes(raw))
    (found,) = read_logs(path)
    assert found.events[0].text == "x"
    raw[60] ^= 0xFF
    path.write_bytes(bytes(raw))
    with pytest.raises(LogError):
        list(read_logs(path))


def test_cooperbench_folder(tmp_path):
    run = tmp_path / "logs" / "task" / "f1_f2"
    run.mkdir(parents=True)
    write(run, [{"from": "agent1", "to": "agent2", "message": "I take a.py", "timestamp": 2,
                 "feature_id": 1}], "conversation.json")  # fmt: skip
    for i in (1, 2):
        track = [{"role": "system", "content": "s"}, {"role": "assistant", "content": f"step {i}",
                                                      "timestamp": i}]  # fmt: skip
        write(run, {"agent_id": f"agent{i}", "messages": track}, f"agent{i}_traj.json")
    write(run, {"repo": "r", "task_id": 7, "features": [1, 2], "setting": "coop", "run_id": "x",
                "agents": {"agent1": {}, "agent2": {}}}, "result.json")  # fmt: skip
    write(run, {"both_passed": False, "merge": {"status": "conflicts"}}, "eval.json")
    (found,) = read_logs(tmp_path)
    assert found.agents == ("agent1", "agent2")
    assert [(e.agent, e.kind) for e in found.events] == [
        ("agent1", "action"), ("agent1", "message"), ("agent2", "action"),
    ]  # fmt: skip
    assert found.success == 0
    assert found.task == "r/7/1-2"
    assert found.meta["merge"] == {"status": "conflicts"}


def test_spans_of_generative_ai(tmp_path):
    def span(agent, text, start, trace="t1", **more):
        told = {"gen_ai.agent.name": agent, "gen_ai.operation.name": "chat",
                "gen_ai.usage.output_tokens": 5,
                "gen_ai.output.messages": json.dumps(
                    [{"role": "assistant", "parts": [{"type": "text", "content": text}]}]),
                **more}  # fmt: skip
        return {"name": "chat", "trace_id": trace, "start_time": start, "attributes": told}

    lines = [span("bob", "second", "2026-01-01T00:00:02Z"),
             span("ann", "first", "2026-01-01T00:00:01Z"),
             span("cid", "other", "2026-01-01T00:00:03Z", "t2"),
             {"name": "http", "trace_id": "t1", "attributes": {"http.method": "GET"}}]  # fmt: skip
    path = write(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "spans.jsonl")
    first, second = read_logs(path)
    assert [(e.agent, e.text, e.tokens) for e in first.events] == [
        ("ann", "first", 5),
        ("bob", "second", 5),
    ]
    assert second.agents == ("cid",)
    assert first.events[1].seconds - first.events[0].seconds == 1
    otlp = {"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "t1", "startTimeUnixNano": "1", "attributes": [
            {"key": "gen_ai.agent.name", "value": {"stringValue": "ann"}},
            {"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}},
            {"key": "gen_ai.tool.name", "value": {"stringValue": "search"}}]}]}]}]}  # fmt: skip
    (found,) = read_logs(write(tmp_path, otlp))
    assert found.events[0].kind == "action"
    assert (found.events[0].tool, found.events[0].seconds) == ("search", 1e-9)


def test_mast_rows_are_one_text(tmp_path):
    row = {"mas_name": "ChatDev", "trace": {"trajectory": "a: b"}, "mast_annotation": {"1.1": 1}}
    (found,) = read_logs(write(tmp_path, row))
    assert found.events[0].text == "a: b"
    assert found.labels == {"1.1": 1}


TEXT = st.text(max_size=12)
EVENTS = st.builds(
    lambda agent, kind, text, to, answer, reward, work, tokens, meta: Event(
        0, agent, kind, text, to, answer, reward, work, tokens, meta),
    st.sampled_from(["a", "b", "ü"]),
    st.sampled_from(["message", "action", "answer", "reward", "end"]), TEXT,
    st.lists(st.sampled_from("ab"), max_size=2).map(tuple), st.none() | TEXT,
    st.dictionaries(st.sampled_from(["proxy", "true"]), st.floats(-9, 9)),
    st.none() | st.floats(0, 9), st.none() | st.integers(0, 99),
    st.dictionaries(st.sampled_from("xy"), TEXT),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=3), TEXT, st.none() | st.floats(0, 1))
def test_what_we_write_we_read(events, task, success):
    events = tuple(Event(t, *(getattr(e, n) for n in list(Event.__dataclass_fields__)[1:]))
                   for t, e in enumerate(events))  # fmt: skip
    wanted = Episode("i", events, ("a", "b", "ü"), ("tool",), "r", task, success,
                     {"format": "counterpoint"})  # fmt: skip
    assert decode(json.loads(encode(wanted)), "here") == wanted


def test_a_line_of_a_trainer_is_as_many_episodes_as_it_counts(tmp_path):
    told = {"task": ["key"], "count": 3, "success": 1.0,
            "events": [{"t": 0, "agent": "speaker", "to": "listener", "text": "zug"}]}  # fmt: skip
    path = write(tmp_path, json.dumps({"step": 1, "episodes": [told]}) + "\n", "episodes.jsonl")
    found = list(read_logs(path))
    assert len(found) == 3
    assert found[0].events[0].to == ("listener",)
    assert found[0].success == 1


def test_a_user_says_who_is_a_member(tmp_path):
    told = 'agents = ["user"]\ntools = ["b"]\nignore = ["log"]\n[rename]\na-1 = "a"\n'
    mapping = write(tmp_path, told, "names.toml")
    messages = [{"role": "assistant", "name": n, "content": "x"} for n in ("a-1", "b", "log")]
    messages.append({"role": "user", "content": "y"})
    (found,) = read_logs(write(tmp_path, messages), read_mapping(mapping))
    assert found.agents == ("a", "user")
    assert found.tools == ("b",)
    assert [e.agent for e in found.events] == ["a", "b", "user"]
    assert [e.t for e in found.events] == [0, 1, 2]
    for wrong in ("agents = 1", "people = []", "nonsense ["):
        with pytest.raises(LogError):
            read_mapping(write(tmp_path, wrong, "wrong.toml"))
    assert Names() == Names()


@pytest.mark.fault("R10")
def test_a_torn_last_line_is_left_out_wherever_it_is_cut(tmp_path, record_property):
    lines = [
        json.dumps({"messages": [{"role": "user", "content": "é"}], "id": str(i)}) for i in range(3)
    ]
    whole = ("\n".join(lines) + "\n").encode()
    path = tmp_path / "torn.jsonl"
    first = len(lines[0].encode()) + 1
    record_property("cases", len(whole) - first)
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        with warnings.catch_warnings(record=True) as met:
            warnings.simplefilter("always")
            found = list(read_logs(path))
        complete = whole[:cut].count(b"\n") + (whole[cut : cut + 1] == b"\n")
        assert len(found) == complete, cut
        assert all(issubclass(w.category, TornLogWarning) for w in met)
        assert bool(met) == (len(found) < 3 and not whole[:cut].endswith(b"\n") and
                             whole[cut : cut + 1] != b"\n")  # fmt: skip


@pytest.mark.fault("R9")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "wanted a log"),
        ("hello", "wanted a log"),
        ("{}", "no known format"),
        ("[1, 2]", "no known format"),
        ('{"messages": [{"role": "user", "content": "x"}', "no JSON"),
        ('{"messages": [{"role": "user", "content": 7}]}', "content"),
        ('{"schema": 9, "events": []}', "schema"),
        ('{"schema": 1, "events": [{"kind": "message"}]}', "event 0"),
        ('{"schema": 1, "events": [{"agent": "a", "kind": "dance"}]}', "dance"),
        ('{"schema": 1, "events": [{"agent": "a", "reward": {"proxy": "much"}}]}', "reward"),
        ('{"history": [{"role": 1, "content": "x"}], "question": "q"}', "history 0"),
        ('{"a": ' * 100_000, "nested|no JSON|known"),
        ('{"messages": ' + "[" * 200_000, "nested|no JSON"),
    ],
)
def test_what_is_no_log_is_an_error_with_its_place(tmp_path, content, said):
    path = write(tmp_path, content)
    with pytest.raises(LogError, match=said) as met:
        list(read_logs(path))
    assert "log.json" in str(met.value)


def test_lines_with_nan_are_read_and_foreign_ones_in_a_folder_skipped(tmp_path):
    said = '{"messages": [{"role": "user", "content": "x"}], "score": NaN}'
    (found,) = read_logs(write(tmp_path, said + "\n", "a.jsonl"))
    assert found.success is None
    folder = tmp_path / "mixed"
    folder.mkdir()
    write(folder, '{"loss": NaN}\n{"loss": 1}\n', "metrics.jsonl")
    notes = []
    assert not list(read_logs(folder, note=notes.append))
    assert "metrics.jsonl" in notes[0]


@pytest.mark.fault("R9")
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples/a.json", b" " * (300 * 2**20))
    tracemalloc.start()
    with pytest.raises(LogError, match="bomb"):
        list(read_logs(path))
    assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    tracemalloc.stop()


@pytest.mark.fault("R9")
def test_an_archive_that_lies_about_its_size_is_refused(tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples/a.json", b" " * (80 * 2**20))
    raw = bytearray(data.getvalue())
    real = (80 * 2**20).to_bytes(4, "little")
    for _ in range(2):  # in the local header and in the directory
        at = raw.find(real)
        raw[at : at + 4] = (1000).to_bytes(4, "little")
    path = tmp_path / "liar.eval"
    path.write_bytes(bytes(raw))
    with pytest.raises(LogError):
        list(read_logs(path))


CLIMBING = ("evil.json", "etc/passwd", "x/../../evil.json", "..\\evil", "evil\x01")
TRAVERSAL = [f"samples/{'../' * depth}{name}" for depth in range(1, 11) for name in CLIMBING]


@pytest.mark.fault("R14", cases=50)
def test_fifty_names_that_climb_out_write_nothing(tmp_path):
    assert len(TRAVERSAL) == 50
    inner = tmp_path / "inner" / "deep"
    inner.mkdir(parents=True)
    path = inner / "log.eval"
    sample = json.dumps({"id": "../../evil", "epoch": 1, "input": "x",
                         "messages": [{"role": "user", "content": "x"}]})  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        for name in TRAVERSAL:
            archive.writestr(name, sample)
    before = sorted(tmp_path.rglob("*"))
    assert len(list(read_logs(path))) == 50
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.fault("R14")
def test_links_out_of_a_folder_are_not_followed(tmp_path):
    secret = write(tmp_path, [{"role": "user", "content": "secret"}], "secret.json")
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "link.json").symlink_to(secret)
    notes = []
    assert not list(read_logs(folder, note=notes.append))
    assert "link" in notes[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["messages", "role", "content", "source", "type", "history", "question",
                         "schema", "events", "agent", "kind", "samples", "eval", "tasks_output",
                         "raw", "trace", "mas_name", "attributes", "trace_id", "kwargs", "name",
                         "tool_calls", "function", "step", "episodes", "resourceSpans"]),
        inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.fault("R9")
@settings(max_examples=200, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=3), st.booleans())
def test_whatever_it_is_it_is_read_or_refused(tmp_path_factory, values, lines):
    folder = tmp_path_factory.mktemp("fuzz")
    text = "".join(json.dumps(v) + "\n" for v in values) if lines else json.dumps(values[0])
    path = write(folder, text, "x.jsonl" if lines else "x.json")
    try:
        found = list(read_logs(path))
    except LogError:
        return
    assert all(isinstance(each, Episode) for each in found)


@pytest.mark.fault("R9")
@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(JSON)
def test_a_great_many_values_are_read_or_refused(tmp_path_factory, value):
    path = write(tmp_path_factory.getbasetemp(), value, "many.json")
    try:
        list(read_logs(path))
    except LogError:
        return


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_success_that_is_no_number_is_named(value, tmp_path):
    file = tmp_path / "runs.jsonl"
    file.write_text(f'{{"schema": 1, "id": "a", "success": {value}, "events": []}}\n')
    with pytest.raises(LogError, match=r"success: got .*; wanted a finite"):
        list(read_logs(file))
