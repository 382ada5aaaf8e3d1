"""A mapping with paths reads logs of any shape; a refusal says what was there and what to do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.cli.main import main
from counterpoint.errors import LogError
from counterpoint.readers import read_logs
from counterpoint.readers.logs import read_mapping
from counterpoint.readers.paths import parse_path, values_at
from counterpoint.readers.skeleton import skeleton
from counterpoint.readers.walk import document

RUNS = {"runs": [
    {"nr": 7, "result": {"passed": True}, "q": "dig", "log": [
        {"who": {"name": "mole_1"}, "body": "I dig.", "at": "2026-01-02T03:04:05Z", "out": 9,
         "t": "say"},
        {"who": {"name": "mole_2"}, "body": None, "at": 1767323046, "t": "say",
         "calls": [{"fn": {"name": "spade", "args": {"deep": 2}}, "id": "c"}]},
        {"who": {"name": "mole_2"}, "body": "stone", "t": "got", "tool": "spade", "cid": "c"},
        {"who": {"name": "clock"}, "body": "tick", "t": "debug"},
        {"who": {"name": "owner"}, "body": ["a", {"text": "b"}], "t": "shout", "for": ["mole_1"]}]},
    {"nr": 8, "result": {"passed": 0.5}, "log": []}]}  # fmt: skip
MAPPING = """
agents = ["mole_*"]
tools = ["*"]
[episode]
each = "$.runs[*]"
id = "nr"
task = "q"
success = "result.passed"
messages = "log[*]"
[message]
agent = "who.name"
to = "for"
text = ["missing", "body"]
time = "at"
tokens = "out"
kind = "t"
tool = "tool"
call = "cid"
[call]
each = "calls[*]"
tool = "fn.name"
id = "id"
text = "fn.args"
[kinds]
say = "message"
got = "result"
debug = "ignore"
"""


def read(folder, value, mapping, name="log.json"):
    """Episodes of a value under a mapping, and the notes."""
    path, names = folder / name, folder / "names.toml"
    texts = [json.dumps(each) for each in (value if name.endswith(".jsonl") else [value])]
    path.write_text("\n".join(texts), "utf-8")
    names.write_text(mapping, "utf-8")
    notes = []
    return list(read_logs(path, read_mapping(names), notes.append)), notes


def test_everything_stands_where_a_mapping_says(tmp_path):
    (found, other), notes = read(tmp_path, RUNS, MAPPING)
    assert (found.id, found.task, found.success, other.success) == ("7", "dig", 1.0, 0.5)
    assert (found.agents, set(found.tools)) == (("mole_1", "mole_2"), {"spade", "owner"})
    assert [(e.agent, e.kind, e.text, e.to) for e in found.events] == [
        ("mole_1", "message", "I dig.", ()),
        ("mole_2", "action", '{"deep": 2}', ()),
        ("spade", "message", "stone", ()),
        ("owner", "message", "a\nb", ("mole_1",)),
    ]
    first, call, result, _ = found.events
    assert (first.tokens, call.seconds - first.seconds) == (9, 1)
    assert (call.tool, call.call, result.tool, result.call) == ("spade", "c", "spade", "c")
    said = "\n".join(notes)
    assert "of 4 messages, not found: " in said
    assert "message.tokens in 3" in said
    assert "left out: 1 of the kind 'debug'" in said
    assert "read as messages: 1 of the kind 'shout'" in said


@pytest.mark.parametrize("name", ["log.jsonl", "log.json"])
def test_lines_are_grouped_by_what_they_share(tmp_path, name):
    lines = [{"s": s, "by": who, "x": x, "ok": ok}
             for s, who, x, ok in (("p", "ann", "1", None), ("q", "ann", "2", "no"),
                                   ("p", "bob", "3", "yes"))]  # fmt: skip
    mapping = """
[episode]
by = "s"
success = "ok"
success_words = ["yes"]
[message]
agent = "by"
text = "x"
"""
    found, _ = read(tmp_path, lines, mapping, name)
    assert [(e.id, e.success, [v.text for v in e.events]) for e in found] == [
        ("p", 1.0, ["1", "3"]), ("q", 0.0, ["2"]),
    ]  # fmt: skip
    whole, _ = read(tmp_path, lines, '[message]\nagent = "by"\ntext = "x"', name)
    assert [(e.id, len(e.events)) for e in whole] == [("log", 3)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("who.name", "who.nam", "found no agent at who.nam; there is an object with who, body"),
        ('"out"', '"body"', r'log.json, .*runs.* 0, message 0: got "I dig." at body'),
        ('"at"', '"body"', r"at body \(message.time\); wanted a time"),
        ("log[*]", "logs[*]", "found no message; there is an object with runs"),
        ("result.passed", "log", r"at log \(episode.success\); wanted true, false or a number"),
        ("fn.name", "fn.nam", r"at fn.nam \(call.tool\); wanted the name of a tool"),
        ("runs[*]", "runs[", "got the path"),
        ("runs[*]", "runs[-1]", "got the path"),
        ("runs[*]", "a..b", "got the path"),
        ('"ignore"', '"skip"', r"got debug = 'skip' in \[kinds\]"),
        ("[message]", "[massage]", "massage"),
        ('agent = "who.name"', "", "uncomment its line agent"),
    ],
)
def test_errors_name_the_path_and_what_stood_there(tmp_path, old, new, words):
    with pytest.raises(LogError, match=words):
        read(tmp_path, RUNS, MAPPING.replace(old, new))


def test_tables_need_a_table_of_messages(tmp_path):
    with pytest.raises(LogError, match="no table message"):
        read(tmp_path, RUNS, '[episode]\nby = "s"')


def test_a_neighbour_without_messages_is_noted(tmp_path):
    (tmp_path / "config.json").write_text("{}", "utf-8")
    read(tmp_path, RUNS, MAPPING)
    notes = []
    found = list(read_logs(tmp_path, read_mapping(tmp_path / "names.toml"), notes.append))
    assert len(found) == 2
    assert any("config.json" in note and "an empty object" in note for note in notes)


def test_paths_find_every_place():
    value = {"a": {"x": [{"b": 1}, {"b": None}, {"c": 2}], "y": [{"b": 3}]}, "k.e[y]": {"'": 4}}
    for path, found in {
        "$": [value], "a[*][*].b": [1, 3], "a.x[2].c": [2], "a.x[3]": [], "a[0]": [],
        "$.a['y'][0].b": [3], """["k.e[y]"]["'"]""": [4], "b": [],
    }.items():  # fmt: skip
        assert list(values_at(value, parse_path(path))) == found, path


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=4)


@given(KEYS, st.integers(0, 5), st.integers() | KEYS)
def test_a_quoted_key_finds_what_stands_under_it(key, number, inner):
    if '"]' in key:
        return
    value = {key: [None] * number + [inner]}
    assert list(values_at(value, parse_path(f'["{key}"][{number}]'))) == [inner]


def strange():
    return {"dialogues": [{"uuid": "d1", "turns": [
        {"speaker": "ann", "utterance": {"text": "hi"}, "ts": 1},
        {"speaker": "bob", "utterance": {"text": "yo"}, "ts": 2}]}]}  # fmt: skip


def test_a_refusal_names_the_keys_the_nearest_format_and_the_skeleton(tmp_path, capsys):
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(strange()), "utf-8")
    with pytest.raises(LogError) as met:
        list(read_logs(path))
    said = str(met.value)
    for part in (
        "dialogues",
        "dialogues[*].turns[*] holds",
        "speaker, utterance, ts",
        "--skeleton",
    ):
        assert part in said
    near = {"chat": [{"role": "a", "text": "b"}]}
    path.write_text(json.dumps(near), "utf-8")
    with pytest.raises(LogError, match="nearest format is openai, whose messages have content too"):
        list(read_logs(path))


def test_a_skeleton_reads_the_log_that_it_was_made_of(tmp_path, capsys):
    path, names, out = (tmp_path / name for name in ("odd.json", "names.toml", "runs.jsonl"))
    path.write_text(json.dumps(strange()), "utf-8")
    assert main(["import", str(path), "--skeleton", "-o", str(names)]) == 0
    assert main(["import", str(path), "--skeleton", "-o", str(names)]) == 2  # it is there already
    assert main(["import", str(path), "--mapping", str(names), "-o", str(out)]) == 0
    (found,) = read_logs(out)
    assert [(e.agent, e.text, e.seconds) for e in found.events] == [
        ("ann", "hi", 1.0), ("bob", "yo", 2.0),
    ]  # fmt: skip
    capsys.readouterr()


def test_a_skeleton_of_lines_groups_them_and_lists_kinds_and_calls(tmp_path):
    path = tmp_path / "odd.jsonl"
    lines = [{"session_id": s, "sender": "ann", "msg": "x", "event_type": "speak", "mood": 1,
              "tool_calls": [{"tool_name": "f", "input": {"a": 1}}]} for s in "pp"]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    made = skeleton(document(path))
    for line in ('by = "session_id"', 'agent = "sender"', 'text = "msg"', '"speak" = "message"',
                 'each = "tool_calls[*]"', 'tool = "tool_name"', 'text = "input"', "mood",
                 ):  # fmt: skip
        assert line in made
    names = tmp_path / "names.toml"
    names.write_text(made, "utf-8")
    assert len(list(read_logs(path, read_mapping(names)))) == 1


def test_a_skeleton_that_is_used_as_it_is_names_the_line_to_change(tmp_path):
    path, names = tmp_path / "odd.jsonl", tmp_path / "names.toml"
    path.write_text('{"x": "ann", "txt": "I dig"}\n{"x": "bob", "txt": "I carry"}\n')
    names.write_text(skeleton(document(path)))
    with pytest.raises(LogError, match=r'uncomment its line agent = ""'):
        read_mapping(names)


@pytest.mark.parametrize(("odd", "words"), [(6, "1 more note in"), (9, "4 more notes in")])
def test_notes_that_are_not_printed_are_counted(tmp_path, capsys, odd, words):
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(odd):
        (logs / f"{number}.json").write_text("{}")
    (logs / "x.json").write_text(json.dumps([{"role": "assistant", "content": "hi"}] * 2))
    assert main(["import", str(logs), "-o", str(tmp_path / "runs.jsonl")]) == 0
    shown = capsys.readouterr()
    assert words in " ".join(shown.err.split())
    assert "1 episode (openai), 2 events, 1 agent:" in shown.out


def test_a_folder_without_a_log_is_an_error_and_writes_nothing(tmp_path, capsys):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.json").write_text('{"a": 1}', "utf-8")
    out = tmp_path / "runs.jsonl"
    assert main(["import", str(tmp_path / "logs"), "-o", str(out)]) == 3
    assert not out.exists()
    assert main(["audit", str(tmp_path / "logs")]) == 3
    capsys.readouterr()
