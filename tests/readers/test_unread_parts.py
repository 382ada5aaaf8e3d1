"""A part that a log keeps and an episode cannot is a mark, and is counted; a twin without it is
not."""

from __future__ import annotations

import hashlib
import json

import pytest

from counterpoint.audits.run import audit_logs
from counterpoint.cli.main import main
from counterpoint.marks import (
    count_marks,
    counted_kinds,
    is_hidden,
    mark_of,
    marks_in,
    without_digests,
)
from counterpoint.readers import read_logs
from counterpoint.readers.logs import read_mapping
from counterpoint.readers.messages import events_of, parse_messages
from counterpoint.readers.replies import reply_of

pytestmark = pytest.mark.fault("R34")

PIXELS = "iVBORw0KGgo="
DIGEST = hashlib.sha256(PIXELS.encode()).hexdigest()[:12]
DATA = f"data:image/png;base64,{PIXELS}"
PARTS = {
    "OpenAI": {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}},
    "OpenAI responses": {"type": "input_image", "image_url": DATA},
    "Anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                              "data": PIXELS}},
    "Gemini": {"inlineData": {"mimeType": "image/png", "data": PIXELS}},
    "Gemini in snake case": {"inline_data": {"mime_type": "image/png", "data": PIXELS}},
    "inspect_ai": {"type": "image", "image": DATA},
    "LangChain": {"type": "media", "mime_type": "image/png", "data": PIXELS},
    "OpenTelemetry": {"type": "blob", "mime_type": "image/png", "data": PIXELS},
    "OpenTelemetry's modality": {"type": "blob", "modality": "image", "content": PIXELS},
    "OpenInference": {"type": "image", "image": {"image": {"url": DATA}}},
    "screenshot": {"type": "computer_screenshot", "image_url": DATA},
}  # fmt: skip


@pytest.mark.parametrize("vendor", PARTS)
def test_the_same_picture_has_the_same_mark_in_every_shape(vendor):
    assert mark_of(PARTS[vendor]) == f"[image #{DIGEST}]"


@pytest.mark.parametrize(("part", "kind"), [
    ({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}, "sound"),
    ({"type": "file", "file": {"file_id": "f-1"}}, "file"),
    ({"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}}, "file"),
    ({"type": "video_url", "video_url": {"url": "https://a/b"}}, "video"),
    ({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://a"}}, "video"),
    ({"type": "web_search", "query": "x"}, "part web_search"),
    ({"odd": 1}, "part"),
])  # fmt: skip
def test_other_parts_have_their_kind(part, kind):
    ((found, _),) = marks_in(mark_of(part))
    assert found == kind
    other = {**part, "more": {"url": "https://c"}, "data": "other"}
    assert mark_of(other) != mark_of(part)


def test_marks_are_counted_and_shown_without_digests():
    text = f"see {mark_of(PARTS['OpenAI'])} and {mark_of({'type': 'file', 'url': 'u'})}"
    assert count_marks([text, text]) == {"image": 2, "file": 2}
    assert without_digests(text) == "see [image] and [file]"
    assert counted_kinds({"image": 3, "part web_search": 1, "reasoning": 12}) == (
        "3 images, 1 part of type web_search and 12 hidden reasoning texts"
    )
    git = "[main 3f2a91c04d7e] fix #12"  # what git prints is no mark
    assert without_digests(git) == git
    assert not marks_in(git)


def of(*contents):
    return events_of(parse_messages([{"role": "assistant", **each} for each in contents], "x"))


def test_what_stands_beside_the_content_of_a_message_is_kept():
    (found,) = of({"content": "Hm.", "refusal": "I will not.", "finish_reason": "stop"})
    assert found.text == "Hm.\nI will not."
    (found,) = of({"content": None, "audio": {"id": "a", "data": "UklG", "transcript": "hello"}})
    assert without_digests(found.text) == "hello\n[sound]"
    (found,) = of({"content": "here", "images": [PARTS["OpenAI"]]})
    assert found.text == f"here\n[image #{DIGEST}]"
    (found,) = of({"content": "so", "reasoning_details": [
        {"type": "reasoning.encrypted", "data": "gAAAA"}]})  # fmt: skip
    assert is_hidden(found.meta["thinking"])
    (found,) = of({"content": "so", "thinking_blocks": [{"type": "thinking", "thinking": "why"}]})
    assert found.meta["thinking"] == "why"


@pytest.mark.parametrize("thought", [
    {"type": "redacted_thinking", "data": "EmwK"},
    {"type": "thinking", "thinking": "", "signature": "EmwK"},
    {"type": "reasoning", "reasoning": "EmwK", "redacted": True},
])  # fmt: skip
def test_a_hidden_reasoning_is_a_mark(thought):
    (found,) = of({"content": [thought, {"type": "text", "text": "five"}]})
    assert found.text == "five"
    assert found.meta["thinking"] == f"[reasoning #{hashlib.sha256(b'EmwK').hexdigest()[:12]}]"
    reply = reply_of({"role": "assistant", "content": [thought, {"type": "text", "text": "five"}]})
    assert reply.text == "five"


SPANS = {
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.contents.0.message_content.type": "text",
        "llm.output_messages.0.message.contents.0.message_content.text": "a cat",
        "llm.output_messages.0.message.contents.1.message_content.type": "image",
        "llm.output_messages.0.message.contents.1.message_content.image.image.url": DATA,
    },
    "OpenTelemetry": {
        "gen_ai.operation.name": "chat",
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [
            {"type": "text", "content": "a cat"},
            {"type": "blob", "mime_type": "image/png", "content": PIXELS}]}]),
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", SPANS)
def test_spans_keep_pictures(kind, tmp_path):
    agent = {"openinference.span.kind": "AGENT", "gen_ai.operation.name": "invoke_agent",
             "gen_ai.agent.name": "ann"}  # fmt: skip
    spans = [
        {"name": name, "context": {"trace_id": "t", "span_id": name}, "parent_id": above,
         "start_time": f"2026-01-01T00:00:0{i}Z", "end_time": "2026-01-01T00:00:09Z",
         "attributes": own}
        for i, (name, above, own) in enumerate([("a", None, agent), ("b", "a", SPANS[kind])])
    ]  # fmt: skip
    path = tmp_path / "spans.jsonl"
    path.write_text("\n".join(map(json.dumps, spans)), "utf-8")
    (episode,) = read_logs(path)
    assert [e.text for e in episode.events if e.agent == "ann"] == [f"a cat\n[image #{DIGEST}]"]


def test_items_of_responses_keep_pictures():
    items = [
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "image_generation_call", "id": "i", "result": PIXELS},
        {"type": "computer_call", "call_id": "c", "action": {"type": "click"}},
        {"type": "computer_call_output", "call_id": "c", "output": PARTS["screenshot"]},
    ]
    found = events_of(parse_messages(items, "x"))
    picture = f"[image #{DIGEST}]"
    assert [e.text for e in found] == ["", picture, '{"type": "click"}', picture]
    assert is_hidden(found[0].meta["thinking"])


ADK = {"id": "s", "app_name": "a", "user_id": "u", "events": [
    {"id": "1", "author": "user", "content": {"role": "user", "parts": [{"text": "see"},
                                                                        PARTS["Gemini"]]}},
    {"id": "2", "author": "ann", "content": {"role": "model", "parts": [{"text": "a cat"}]}},
]}  # fmt: skip
LOGS = {
    "openai": [{"role": "user", "content": ["see", PARTS["OpenAI"]]},
               {"role": "assistant", "name": "ann", "content": "a cat"}],
    "anthropic": {"system": "s", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "see"}, PARTS["Anthropic"]]},
        {"role": "assistant", "content": [{"type": "text", "text": "a cat"}]}]},
    "autogen": {"messages": [
        {"source": "user", "type": "MultiModalMessage", "content": ["see", {"data": PIXELS}]},
        {"source": "ann", "type": "TextMessage", "content": "a cat"}]},
    "langgraph": {"messages": [
        {"type": "human", "id": "1", "content": [{"type": "text", "text": "see"},
                                                 PARTS["LangChain"]]},
        {"type": "ai", "id": "2", "name": "ann", "content": "a cat"}]},
    "adk": ADK,
}  # fmt: skip


@pytest.mark.parametrize("kind", LOGS)
def test_a_log_keeps_a_mark_and_counts_it(kind, tmp_path, capsys):
    path = tmp_path / "log.json"
    for pixels in (PIXELS, "R0lGODdh"):
        path.write_text(json.dumps(LOGS[kind]).replace(PIXELS, pixels), "utf-8")
        (episode,) = read_logs(path)
        digest = hashlib.sha256(pixels.encode()).hexdigest()[:12]
        assert f"[image #{digest}]" in "".join(event.text for event in episode.events)
    assert main(["import", str(path), "-o", str(tmp_path / "o.jsonl"), "--json"]) == 0
    skipped = json.loads(capsys.readouterr().out)["skipped"]
    assert "not read, a mark stands for each: 1 image" in skipped
    assert any("1 image" in line for line in audit_logs(tmp_path / "o.jsonl").skipped)


def test_a_log_without_such_parts_is_silent_about_them(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(
        json.dumps(
            [
                {"role": "user", "content": "see"},
                {"role": "assistant", "name": "ann", "content": "a cat"},
            ]
        )
    )
    assert not [line for line in audit_logs(path).skipped if "not read" in line]


def test_an_audit_says_how_many_reasoning_texts_it_does_not_read(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps([
        {"role": "user", "content": "2 + 3?"},
        {"role": "assistant", "name": "ann", "content": "5", "reasoning_content": "2, 3, 5"},
        {"role": "assistant", "name": "bo", "content": "yes",
         "reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAAA"}]},
    ]))  # fmt: skip
    skipped = audit_logs(path).skipped
    assert "not read: 1 reasoning text; audits read what members say and do" in skipped
    assert "not read, a mark stands for each: 1 hidden reasoning text" in skipped


def test_a_log_that_is_read_with_paths_keeps_marks(tmp_path):
    mapping = tmp_path / "m.toml"
    mapping.write_text('[message]\nagent = "who"\ntext = "said"\n')
    path = tmp_path / "log.json"
    parts = [{"type": "text", "text": "a cat"}, PARTS["OpenAI"]]
    path.write_text(json.dumps([{"who": "ann", "said": parts}]))
    (episode,) = read_logs(path, read_mapping(mapping))
    assert [event.text for event in episode.events] == [f"a cat\n[image #{DIGEST}]"]
