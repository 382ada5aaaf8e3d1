"""Where episodes and events stand in a log: known where a line holds them, and else not said."""

from __future__ import annotations

import json

import pytest

from counterpoint.audits import audit_logs
from counterpoint.readers import read_logs
from counterpoint.readers.episodes import encode
from counterpoint.records import Episode, Event, Location
from counterpoint.report.exports import sarif

SAME = "I try to open the file once more and read its first line as planned"


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def said(text, name="ann"):
    return {"role": "assistant", "name": name, "content": text}


def test_an_episode_a_line_has_its_line_and_a_blank_one_counts(tmp_path):
    folder = tmp_path / "runs"
    (folder / "deep").mkdir(parents=True)
    one = encode(Episode("a", (Event(0, "ann", "message", "x"),), ("ann",))).decode()
    (folder / "deep" / "a.jsonl").write_text(one + "\n" + one.replace('"a"', '"b"'))
    assert [each.location for each in read_logs(folder)] == [
        Location("runs/deep/a.jsonl", 1), Location("runs/deep/a.jsonl", 3)
    ]  # fmt: skip


def test_a_document_and_the_elements_of_a_list_have_no_line(tmp_path):
    file = tmp_path / "log.json"
    file.write_text(json.dumps({"id": "a", "messages": [said("x"), said("y", "bob")]}))
    (episode,) = read_logs(file)
    assert episode.location == Location("log.json")
    file.write_text(json.dumps([{"id": i, "messages": [said("x")]} for i in range(2)]))
    assert [each.location for each in read_logs(file)] == [Location("log.json")] * 2


def claude(role, content, seconds):
    return {"type": role, "sessionId": "s", "uuid": f"u{seconds}", "isSidechain": False,
            "timestamp": f"2026-01-01T00:00:0{seconds}Z",
            "message": {"role": role, "content": content}}  # fmt: skip


def codex(payload):
    return {"type": "response_item", "timestamp": "2026-01-01T00:00:00Z", "payload": payload}


@pytest.mark.parametrize(
    "values",
    [
        [said("one"), said("two", "bob"), said("three")],
        [claude("user", "go", 1), claude("assistant", [{"type": "text", "text": "one"}], 2),
         claude("assistant", [{"type": "text", "text": "two"}], 3)],
        [codex({"type": "message", "role": "user", "content": [{"type": "input_text", "text": t}]})
         for t in ("go", "on", "now")],
    ],
    ids=["messages", "claude_code", "codex"],
)  # fmt: skip
def test_an_event_a_line_has_its_line(tmp_path, values):
    file = tmp_path / "log.jsonl"
    file.write_text(lines(*values))
    (episode,) = read_logs(file)
    assert [event.location for event in episode.events] == [
        Location("log.jsonl", number) for number in (1, 2, 3)
    ]
    assert episode.location == Location("log.jsonl")


def test_all_calls_of_a_message_have_its_line(tmp_path):
    calls = [{"id": str(i), "function": {"name": "read", "arguments": "{}"}} for i in range(2)]
    file = tmp_path / "log.jsonl"
    file.write_text(lines(said("one"), {**said("two"), "tool_calls": calls}, said("three")))
    (episode,) = read_logs(file)
    assert [event.location.line for event in episode.events] == [1, 2, 2, 2, 3]


def test_code_scanning_marks_the_line_of_the_worst_event(tmp_path):
    file = tmp_path / "a log.jsonl"
    file.write_text(lines(said("one"), *[said(SAME) for _ in range(9)]))
    result = audit_logs(file)
    case = next(f for f in result.findings if f.name == "loop").cases[0]
    assert case.location == Location("a log.jsonl", 10)
    results = json.loads(sarif(result))["runs"][0]["results"]
    loop = next(each for each in results if each["ruleId"] == "stuck.loop")
    assert loop["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20log.jsonl"}, "region": {"startLine": 10}
    }  # fmt: skip
