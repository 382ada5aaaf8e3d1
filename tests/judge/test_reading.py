"""What a judge reads of runs in the forms of OpenAI, Anthropic and ART, and what it does not: a
planted difference in what is not shown makes a group void, and its clean twin does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_attacks import Sound
from judge_groups import group
from judging_server import judging

from counterpoint.cli.main import main
from counterpoint.judge import Candidate, Group, RankSettings, rank_groups
from counterpoint.judge.check import measure_judge
from counterpoint.judge.rank import rank_all
from counterpoint.judge.reading import Run, cut, read_runs
from counterpoint.readers.groups import read_groups
from counterpoint.records import Episode, Event
from counterpoint.report.pages.unseen import unseen_lines
from counterpoint.speakers.cache import Replies

pytestmark = pytest.mark.fault("R34")

TOOL = {"type": "function", "function": {"name": "draw", "description": "draws a cat",
                                         "parameters": {"type": "object"}}}  # fmt: skip
LONGEST = 8_000


def openai(part="A", thought="", tool=TOOL, text="done"):
    """A run with a picture, a reasoning and definitions of tools, as OpenAI has them."""
    answer = {"role": "assistant", "content": [
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{part}"}}]}  # fmt: skip
    answer |= {"reasoning_content": thought} if thought else {}
    return {"messages": [{"role": "user", "content": "draw"}, answer], "tools": [tool]}


def anthropic(part="A", thought="", tool=TOOL, text="done"):
    content = [{"type": "thinking", "thinking": thought}] if thought else []
    content += [{"type": "text", "text": text}, {"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": part}}]  # fmt: skip
    return {"system": "Be quick.", "tools": [tool], "messages": [
        {"role": "user", "content": "draw"},
        {"role": "assistant", "content": content}]}  # fmt: skip


def art(part="A", thought="", tool=TOOL, text="done"):
    """A trajectory of ART's: the last message is a choice, and a history stands beside."""
    run = openai(part, thought, tool, text)
    first, last = run["messages"]
    later = {"messages_and_choices": [{"role": "user", "content": "and now?"},
                                      {"role": "assistant", "content": "nothing"}]}  # fmt: skip
    return {"messages_and_choices": [first, {"finish_reason": "stop", "index": 0, "message": last}],
            "tools": [tool], "additional_histories": [later]}  # fmt: skip


FORMS = {"OpenAI": openai, "Anthropic": anthropic, "ART": art}
OTHER_TOOL = {"type": "function", "function": {"name": "draw", "description": "draws a dog"}}


def groups(tmp_path, *runs, task="draw a cat"):
    path = tmp_path / "groups.jsonl"
    line = {"id": "g", "task": task,
            "runs": [{"id": f"r{i}", "score": i, **run} for i, run in enumerate(runs)]}  # fmt: skip
    path.write_text(json.dumps(line) + "\n", "utf-8")
    return path


def verdict(path, **settings):
    (line,) = read_groups(path)
    (found,) = rank_groups([line.group], Sound(), RankSettings(**settings))
    return found


@pytest.mark.parametrize("form", FORMS)
def test_runs_that_differ_only_in_a_picture_are_void(form, tmp_path):
    run = FORMS[form]
    found = verdict(groups(tmp_path, run("A"), run("B")))
    assert found.void == "unseen: the runs differ only in images"
    assert found.calls == 0
    assert not found.rewards
    assert [each.parts for each in found.unseen.values()] == [{"image": 1}, {"image": 1}]
    assert all(each.alike for each in found.unseen.values())
    twin = verdict(groups(tmp_path, run("A"), run("A")))  # one picture: a true tie for a reader
    assert not twin.void
    assert not any(each.alike for each in twin.unseen.values())
    other = verdict(groups(tmp_path, run("A", text="done"), run("B", text="not done")))
    assert not other.void


@pytest.mark.parametrize("form", FORMS)
def test_reasoning_is_shown_by_choice(form, tmp_path):
    run = FORMS[form]
    path = groups(tmp_path, run(thought="a cat has ears"), run(thought="no idea"))
    hidden = verdict(path)
    assert hidden.void == "unseen: the runs differ only in reasoning, which is not shown"
    assert [each.reasoning for each in hidden.unseen.values()] == [1, 1]
    shown = verdict(path, reasoning=True)
    assert shown.ranking == (("r1",), ("r0",))
    assert not any(each.reasoning for each in shown.unseen.values())
    twin = verdict(groups(tmp_path, run(thought="same"), run(thought="same")))
    assert not twin.void


@pytest.mark.parametrize("form", FORMS)
def test_definitions_of_tools_are_shown_once_or_apart(form, tmp_path):
    run = FORMS[form]
    (line,) = read_groups(groups(tmp_path, run(text="a"), run(text="b")))
    reading = read(line.group)
    assert reading.common.count("[tool definition]") == 1
    assert "draws a cat" in reading.common
    (line,) = read_groups(groups(tmp_path, run(), run(tool=OTHER_TOOL)))
    reading = read(line.group)
    assert not reading.void
    assert "draws a cat" in reading.texts[0]
    assert "draws a dog" in reading.texts[1]


def test_the_tools_of_a_group_are_those_of_its_runs(tmp_path):
    path = tmp_path / "g.jsonl"
    path.write_text(json.dumps({"id": "g", "tools": [TOOL], "runs": [
        {"id": "a", "text": "x"}, {"id": "b", "text": "y"}]}))  # fmt: skip
    (line,) = read_groups(path)
    assert read(line.group).common.startswith("[tool definition]")


def read(wanted, longest=LONGEST, reasoning=False):
    return read_runs([Run(c.episode, c.definitions) for c in wanted.candidates], longest, reasoning)


def long(middle, ends=5_000):
    return "a" * ends + middle + "z" * ends


def test_runs_that_differ_only_in_what_is_cut_are_void(tmp_path):
    differ = groups(tmp_path, {"text": long("good")}, {"text": long("evil")})
    found = verdict(differ)
    assert found.void == "unseen: the runs differ only in what is cut out of their middle"
    # 10,004 characters, 8,000 are shown
    assert [each.cut_characters for each in found.unseen.values()] == [2_004, 2_004]
    assert not verdict(differ, longest=10_004).void
    twin = verdict(groups(tmp_path, {"text": long("good")}, {"text": long("good")}))
    assert not twin.void
    assert [each.cut_characters for each in twin.unseen.values()] == [2_004, 2_004]
    apart = verdict(groups(tmp_path, {"text": long("good")}, {"text": long("good") + "!"}))
    assert apart.ranking == (("r1",), ("r0",))


def test_some_runs_that_look_alike_are_counted_and_the_others_ranked(tmp_path):
    found = verdict(groups(tmp_path, openai("A"), openai("B"), openai("A", text="other")))
    assert not found.void
    assert [run for run, each in found.unseen.items() if each.alike] == ["r0", "r1"]


def test_every_run_of_a_group_has_the_same_form(tmp_path):
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "hello"}]
    for first in ({"messages": said[:1]}, {"text": "hi"}, {"messages": said[1:]}):
        (line,) = read_groups(groups(tmp_path, first, {"messages": said}))
        reading = read(line.group)
        assert all(x.startswith("[") for text in reading.texts for x in text.splitlines())
    (line,) = read_groups(groups(tmp_path, {"text": "hi"}, {"messages": said[1:]}))
    assert read(line.group).texts == ("hi", "hello")  # one member each: no names


def test_empty_runs_are_counted_and_a_group_of_them_is_void(tmp_path, capsys):
    path = groups(tmp_path, {"messages": []}, {"text": "an answer"}, {"text": "another"})
    found = verdict(path)
    assert not found.void
    assert [run for run, each in found.unseen.items() if each.empty] == ["r0"]
    words = ["rank", str(path), "--judge", "programmatic", "--set", "accuracy=1", "--store",
             str(tmp_path / "s")]  # fmt: skip
    assert main(words) == 0
    assert "1 of 3 runs has no text" in capsys.readouterr().out
    assert verdict(groups(tmp_path, {"messages": []}, {"text": " "})).void == (
        "empty: no run has a message"
    )


def test_runs_that_differ_in_invisible_characters_are_void():
    (found,) = rank_groups([group(["yes", "y\u200bes"])], Sound())
    assert found.void == "unseen: the runs differ only in invisible characters"
    assert [each.invisible_characters for each in found.unseen.values()] == [0, 1]
    (twin,) = rank_groups([group(["yes", "yes"])], Sound())
    assert not twin.void
    assert not twin.unseen


def test_members_that_are_ranked_inside_a_run_are_counted_too():
    def spoken(name, thought):
        events = (Event(0, "a", "message", f"{name} a", meta={"thinking": thought}),
                  Event(1, "b", "message", f"{name} b"))  # fmt: skip
        return Candidate(name, Episode(name, events, ("a", "b"), scores={"a": 1.0, "b": 0.0}), 1.0)

    wanted = Group("g", "t", (spoken("r0", "why"), spoken("r1", "so")))
    for credit in ("team", "agents", "both"):
        (found,) = rank_groups([wanted], Sound(), RankSettings(credit=credit, canaries="none"))
        assert {run: each.reasoning for run, each in found.unseen.items()} == {"r0": 1, "r1": 1}


def test_a_server_is_shown_marks_and_told_what_is_missing(tmp_path, capsys):
    path = groups(tmp_path, openai("A", "I think", text="quality=1"),
                  openai("B", "I muse", text="quality=2"),
                  openai(text=long("quality=3")))  # fmt: skip
    with judging() as server:
        words = ["rank", str(path), "--judge", "openai", "--base-url", server.url, "--model", "m",
                 "--store", str(tmp_path / "s"), "--out", str(tmp_path / "out")]  # fmt: skip
        assert main(words) == 0
        prompts = [asked["messages"][-1]["content"] for asked in server.asked]
        shown = capsys.readouterr().out
        count = len(prompts)
        assert main([*words, "--json", "--set", "reasoning=true"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert any("[assistant (reasoning)] I muse" in asked["messages"][-1]["content"]
                   for asked in server.asked[count:])  # fmt: skip
    for prompt in prompts:
        assert "[image]" in prompt
        assert "image #" not in prompt
        assert "I think" not in prompt
        assert "Not shown to you: images (marked [image]) and reasoning." in prompt
        assert prompt.count("draws a cat") == 1
    assert "1 of 3 runs was cut to 8,000 characters" in shown
    assert "3 images stand as marks: the judge reads text alone" in shown
    assert "2 reasoning texts were not shown: --set reasoning=true" in shown
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "1 of 3 runs was cut to 8,000 characters" in page
    assert "3 images stand as marks" in page
    assert told["unseen"]["parts"] == {"image": 3}
    assert told["unseen"]["reasoning"] == 0
    assert told["unseen"]["cut_runs"] == 1
    line = json.loads((tmp_path / "out" / "ranked.jsonl").read_text("utf-8"))
    assert line["verdict"]["unseen"]["r2"]["cut_characters"] == told["unseen"]["cut_characters"]


def test_a_group_that_is_shown_in_full_has_a_prompt_and_a_result_as_before(tmp_path, capsys):
    path = groups(tmp_path, {"text": "quality=1"}, {"text": "quality=2"})
    with judging() as server:
        words = ["rank", str(path), "--judge", "openai", "--base-url", server.url, "--model", "m",
                 "--store", str(tmp_path / "s")]  # fmt: skip
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert not any("Not shown" in asked["messages"][-1]["content"] for asked in server.asked)
    for word in ("cut", "mark", "reasoning", "no text", "differ"):
        assert word not in shown
    result = rank_all((line.group for line in read_groups(path)), Sound(), RankSettings())
    assert not any(group.unseen for group in result.groups)
    assert unseen_lines(result.unseen, result.settings) == []


def test_what_is_not_shown_decides_a_kept_verdict(tmp_path):
    """A verdict on other pictures, reasoning or tools is not taken from the store."""
    store = Replies(tmp_path / "v.sqlite", pytest.fail)
    void = []
    for runs in ((openai("A"), openai("A")), (openai("A"), openai("B")),
                 (openai("A", "x"), openai("A")), (openai(tool=OTHER_TOOL), openai())):  # fmt: skip
        for _ in range(2):
            (line,) = read_groups(groups(tmp_path, *runs))
            (found,) = rank_groups([line.group], Sound(), store=store)
            void.append(found.void[:6])
    assert void == ["", "", "unseen", "unseen", "unseen", "unseen", "", ""]


def test_a_judge_is_not_measured_on_runs_that_it_cannot_tell_apart(tmp_path, capsys):
    lines = [{"id": f"g{i}", "runs": [{**openai("A"), "score": 0}, {**openai("B"), "score": 1}]}
             for i in range(2)]  # fmt: skip
    lines += [{"id": f"h{i}", "runs": [{"text": "bad", "score": 0}, {"text": "good", "score": 1}]}
              for i in range(3)]  # fmt: skip
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = measure_judge((line.group for line in read_groups(path)), Sound())
    assert (result.groups, result.void) == (3, 2)
    assert result.unseen.parts == {"image": 4}
    assert next(m.value for m in result.measures if m.name == "accuracy") == 1
    assert main(["judge", "check", str(path), "--judge", "programmatic"]) == 0
    shown = capsys.readouterr().out
    assert "2 groups left out" in shown
    assert "4 images stand as marks" in shown


@given(st.text(max_size=60), st.integers(2, 40))
def test_a_cut_keeps_both_ends_and_counts_what_is_missing(text, longest):
    kept = cut(text, longest)
    half = longest // 2
    if len(text) <= longest:
        assert kept == text
    else:
        missing = len(text) - 2 * half
        assert kept == f"{text[:half]}\n[{missing} characters cut]\n{text[-half:]}"
