"""Tasks from a file: what is read, what is refused and with which line, and how it is split."""

from __future__ import annotations

import json
import os
from hashlib import sha256

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.worlds import References, Statement, find_world
from counterpoint.worlds.text.dataset import TaskSetWorld, describe_split, read_tasks
from counterpoint.worlds.text.questions import has_in_row, words_of

FIELDS = ("question", "answer")


def lines_in(folder, *rows, name="questions.jsonl"):
    path = folder / name
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def question(i, **more):
    return {"question": f"What is {i} + 1?", "answer": i + 1, **more}


class Stories(TaskSetWorld):
    name, summary = "stories", "tasks that are files"
    agents = roles = ("reader",)
    speaker = "reader"
    references = References(0.0, 1.0, "share")
    fields = ("name", "text")

    def prompts(self, task, history):
        raise NotImplementedError

    def ending(self, task, history):
        raise NotImplementedError


def test_each_line_is_a_task_with_the_fields_that_are_wanted(tmp_path):
    path = lines_in(
        tmp_path,
        question(1, level=3),
        "",
        {"question": "Größer 🤖?", "answer": True},
        {"answer": 0.5, "question": "half"},
        question(1),
    )
    found = read_tasks(str(path), FIELDS)
    assert found.tasks == (("What is 1 + 1?", "2"), ("Größer 🤖?", "true"), ("half", "0.5"))
    assert found.repeated == 1
    assert found.sha256 == sha256(path.read_bytes()).hexdigest()


def test_a_text_with_a_line_separator_of_unicode_is_one_line(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "a\u2028b", "answer": "c"}\n', encoding="utf-8-sig")
    assert read_tasks(str(path), FIELDS).tasks == (("a\u2028b", "c"),)


def test_the_files_of_a_folder_are_tasks(tmp_path):
    (tmp_path / "b.txt").write_text("two\nlines\n")
    (tmp_path / "a.md").write_text("eins, größer")
    (tmp_path / "c.json").write_text("{}")
    found = read_tasks(str(tmp_path), ("name", "text"))
    assert found.tasks == (("a", "eins, größer"), ("b", "two\nlines"))
    (tmp_path / "b.txt").write_text("two\nlines!\n")
    assert read_tasks(str(tmp_path), ("name", "text")).sha256 != found.sha256
    world = Stories(Stories.settings_type(tasks_from=str(tmp_path), held_out=0.5))
    assert len(world.split.training) == len(world.split.held_out) == 1
    with pytest.raises(SettingError, match="a folder, whose files have no field answer, question"):
        read_tasks(str(tmp_path), FIELDS)


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    odd = tmp_path / "._a.txt"
    odd.write_bytes(b"\x00\xff")
    with pytest.raises(SettingError, match=r"got .*/\._a\.txt', which is no text in UTF-8"):
        read_tasks(str(tmp_path), ("name", "text"))
    odd.rename(tmp_path / os.fsdecode(b"\xff.txt")).write_text("two")
    with pytest.raises(SettingError, match=r"\\udcff\.txt', which is no text in UTF-8"):
        read_tasks(str(tmp_path), ("name", "text"))


def test_half_of_a_character_is_refused_and_a_whole_one_taken(tmp_path):
    path = lines_in(tmp_path, r'{"question": "\ud83e\udd16", "answer": 1}')
    assert read_tasks(str(path), FIELDS).tasks == (("🤖", "1"),)
    path = lines_in(tmp_path, question(1), r'{"question": "\ud83e", "answer": 1}')
    with pytest.raises(SettingError, match=r"line 2 with question=.*, half of a character"):
        read_tasks(str(path), FIELDS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question": "a", "answer"', "line 2, which is no JSON"),
        ("[1, 2]", "line 2, a list; wanted a JSON object"),
        ('{"question": "a"}', "line 2 without the field answer; it has question"),
        ("{}", "line 2 without the field question; it has none"),
        ('{"question": "a", "answer": null}', "line 2 with answer=null"),
        ('{"question": " ", "answer": "b"}', 'line 2 with question=" "'),
        ('{"question": ["a"], "answer": "b"}', 'line 2 with question=\\["a"\\]'),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(tmp_path, line, said):
    path = lines_in(tmp_path, question(1), line, question(2))
    with pytest.raises(SettingError, match=said) as error:
        read_tasks(str(path), FIELDS)
    assert "\n" not in str(error.value)


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path):
    for place, said in (
        ("", "got no tasks; wanted --set tasks_from=FILE with a JSON object a line"),
        (str(tmp_path / "gone.jsonl"), "not there; wanted --set tasks_from=FILE with"),
        (str(lines_in(tmp_path, "", name="empty.jsonl")), "no task"),
        (str(tmp_path / "latin.jsonl"), "could not read"),
    ):
        (tmp_path / "latin.jsonl").write_bytes(b'{"question": "gr\xf6\xdfer"}')
        with pytest.raises(SettingError, match=said) as error:
            read_tasks(place, FIELDS)
        assert "\n" not in str(error.value)


def test_the_split_is_the_same_whatever_the_order_of_the_lines(tmp_path):
    rows = [question(i) for i in range(20)]
    world, turned, other = (
        find_world("questions").make({"tasks_from": str(lines_in(tmp_path, *some)), **given})
        for some, given in (
            (rows, {}), (rows[::-1], {}), (rows, {"split_seed": 1})
        )
    )  # fmt: skip
    assert len(world.split.held_out) == 4
    assert set(world.split.held_out) == set(turned.split.held_out)
    assert set(world.split.held_out) != set(other.split.held_out)
    drawn = world.tasks(np.random.default_rng(0), 64)
    assert set(drawn) == set(world.split.training)
    assert set(world.held_out_tasks(np.random.default_rng(0), 4)) == set(world.split.held_out)
    (said,) = describe_split(world)
    assert said.endswith(": 16 of the tasks are for training, 4 held out for the evaluation")
    with pytest.raises(SettingError, match=r"leaves 20 to train on and 0 .*questions\.jsonl"):
        find_world("questions").make({"tasks_from": world.settings.tasks_from, "held_out": "0.01"})


@pytest.mark.parametrize(
    ("draft", "answer", "success", "reward"),
    [
        ("Rome", "Paris", 1.0, 1.0),
        ("Rome", "It is\nPARIS!", 1.0, 0.96),
        ("Paris", "Rome", 0.0, 0.0),
        ("Paris", "Parisian", 0.0, 0.0),
        ("Paris", "", 0.0, 0.0),
    ],
)
def test_the_reviewers_answer_counts(draft, answer, success, reward):
    world, task = find_world("questions").make(), ("What is the capital of France?", "Paris")
    history = (Statement("solver", draft, to="reviewer"),)
    (ask,) = world.prompts(task, history)
    assert ask.user.splitlines()[:2] == [task[0], f"Draft: {draft}"]
    ending = world.ending(task, (*history, Statement("reviewer", answer)))
    assert ending.success == success
    assert np.array(ending.rewards) == pytest.approx(np.full((2, 1), reward))


def test_answers_of_several_words_must_stand_in_a_row():
    assert words_of("New York, 1,5 größer_x") == ["new", "york", "1", "5", "grösser", "x"]
    assert has_in_row(["in", "new", "york"], ["new", "york"])
    assert not has_in_row(["new", "old", "york"], ["new", "york"])
