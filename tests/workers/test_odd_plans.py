"""Plans, files of tasks, budgets and files of usage with values that nobody meant."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import replace

import pytest
from disjoint import disjoint_plan
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.cli.team import read_budget
from counterpoint.errors import RunError, SettingError
from counterpoint.workers.members import read_usage
from counterpoint.workers.plan import WorkPlan, parse_plan, read_plan
from counterpoint.workers.queue.rows import RunBudget
from counterpoint.workers.state import TeamState

HEAD = 'repository = "repo"\ntests = "sh run.sh"\n'
HUGE = "1" + "0" * 40


@pytest.mark.parametrize(
    "line",
    [
        "task = 3", "task = true", 'task = "abc"', "task = [3]", "worker = [1]",
        f"attempts = {HUGE}",
        'task = 3\ntasks = "t.json"', "lease_seconds = inf", f"iterations = {HUGE}", 'notes = "."',
        "[worker]\nthink_seconds = nan", "[worker]\nthink_seconds = inf",
        f"[worker]\ntries = {HUGE}",
        f'[[task]]\nid = "a"\npriority = {HUGE}', '[[task]]\nid = ""', '[[task]]\nid = "a\\u0000"',
        'author = "a\\u0000 <b@c>"', 'author = "a\\r\\nparent 0 <b@c>"', 'author = ".,; <b@c>"',
        'author = " <b@c>"', 'author = "a <b@c>\\n"', 'author = "a < >"', 'message = "a\\u0000"',
        'message = " \\n"', 'notes = ".git/x"', 'notes = "a/.GIT/x"', 'notes = "../x"',
        'notes = "/x"', 'notes = "a\\nb"', 'notes = "a//b"', '[env]\nA = "x\\u0000"',
        '[env]\n"A=B" = "x"', '[env]\n"" = "x"', "[worker]\ndollars_per_million = [nan, 1.0]",
        "[worker]\ndollars_per_million = [-1.0, 1.0]", "[worker]\nmost_tokens = 0",
        'setup = "echo \'"', 'setup = "\\u0000"', 'readable = ["a\\u0000"]', "seed = 9" * 3,
        f"x = {'9' * 5000}", "x = " + "[" * 5000, 'tests = "twice"',
    ],
)  # fmt: skip
def test_a_value_that_nobody_meant_is_one_line(tmp_path, line):
    (tmp_path / "t.json").write_text('[{"title": "a"}]')
    (tmp_path / "plan.toml").write_text(f"{HEAD}{line}\n")
    with pytest.raises(SettingError) as caught:
        read_plan(tmp_path / "plan.toml")
    assert "got" in str(caught.value) or "plan.toml" in str(caught.value)


def test_what_is_odd_and_right_is_taken(tmp_path):
    (tmp_path / "plan.toml").write_text(
        f'{HEAD}author = "O. ß \'Hara, Jr. <o@h>"\nnotes = "docs/N\u00f6tes.md"\n'
        '[env]\nA-B = ""\n[[task]]\nid = "\u202e <b>x</b> \u2603"\ntext = "two\\nlines"\n',
        encoding="utf-8-sig",
    )
    plan = read_plan(tmp_path / "plan.toml")
    assert (plan.notes, plan.task[0].text) == ("docs/Nötes.md", "two\nlines")


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
                 st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3),
                 st.integers(), max_size=2)),
       st.sampled_from(sorted(WorkPlan.__dataclass_fields__)))  # fmt: skip
def test_every_key_of_every_type_is_taken_or_refused(value, key):
    told = {"repository": "r", "tests": "t", key: value}
    try:
        parse_plan(told, "plan")
    except SettingError:
        return


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.json", b'{"task": [], "tasks": [{"title": "a"}]}', "both task and tasks"),
        ("a.json", b"[]", "no tasks"), ("a.toml", b"", "no tasks"),
        ("a.jsonl", b"\n\n", "no tasks"),
        ("a.json", b'[{"title": "\\ud800"}]', "wanted text without it"),
        ("a.json", b'[{"title": "a\\u0000"}]', "wanted text without it"),
        ("a.json", b'[{"id": ""}]', "the id ''"), ("a.json", b"3", "list of tasks"),
        ("a.jsonl", b'{"title": "a"}\n[1]\n', "list of tasks"), ("a.json", b"\xff", "could not"),
        ("a.json", b'[{"title": "a", "priority": NaN}]', "int"), ("a.txt", b"", "wanted a .toml"),
        ("a.json", b'[{"title": "a", "priority": ' + b"9" * 5000 + b"}]", "could not"),
    ],
)  # fmt: skip
def test_files_of_tasks_that_hold_something_else(tmp_path, name, data, why):
    (tmp_path / name).write_bytes(data)
    (tmp_path / "plan.toml").write_text(f'{HEAD}tasks = "{name}"\n')
    with pytest.raises(SettingError, match=why):
        read_plan(tmp_path / "plan.toml")


def test_a_line_of_json_ends_at_a_line_feed_alone(tmp_path):
    titles = ["a\u2028b", "c\x85d", "e"]
    lines = [json.dumps({"title": title}, ensure_ascii=False) for title in titles]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    (tmp_path / "plan.toml").write_text(f'{HEAD}tasks = "a.jsonl"\n')
    assert [one.title for one in read_plan(tmp_path / "plan.toml").task] == titles


@pytest.mark.parametrize(
    "told",
    ["tries=1,tries=2", "tries=1.5", "tries=0", "1e3", "seconds=0", "dollars=0", f"runs={HUGE}",
     "tries=" + "9" * 400, "seconds=" + "9" * 400, "-1", "tries=", "TRIES=1"],
)  # fmt: skip
def test_budgets_that_cannot_be(told):
    with pytest.raises(SettingError, match="got"):
        read_budget(told)


def test_budgets_that_can_be():
    assert read_budget("5") == RunBudget(tries=5)
    assert read_budget("runs=2,seconds=1.5,dollars=0.01") == RunBudget(
        seconds=1.5, runs=2, dollars=0.01
    )


@pytest.mark.parametrize(
    "data", [b'{"tokens": 1' + b"0" * 400 + b', "dollars": 1}', b'{"tokens": NaN, "dollars": 1}',
             b'{"tokens": -1, "dollars": 1}', b'{"tokens": true, "dollars": 1}', b"[]", b"\xff",
             b'{"tokens": "3", "dollars": 1}', b"[" * 9000, b'{"tokens": 1e999}'],
)  # fmt: skip
def test_usage_that_is_no_number_is_unknown_and_said(data):
    usage = read_usage(data)
    assert usage.tokens is None
    assert "COUNTERPOINT_USAGE" in usage.problem


@pytest.mark.parametrize("notes", ["run.sh", "tests/N.md", "linked", "folder", "f1.txt/N.md"])
def test_notes_that_no_worker_may_write_are_refused_before_the_run(tmp_path, notes):
    repo = tmp_path / "repo"
    plan = disjoint_plan(repo, 1, notes=notes)
    (repo / "linked").symlink_to("f1.txt")
    (repo / "folder").mkdir()
    (repo / "folder" / "x").write_text("x")
    with pytest.raises(SettingError, match="got notes"):
        TeamState(tmp_path / "run", plan, "solo", 1).create()
    good = replace(plan, notes="NOTES.md")
    TeamState(tmp_path / "run", good, "solo", 1).create()  # the folder is free again


def test_a_repository_that_cannot_be_copied_leaves_the_folder_free(tmp_path):
    repo = tmp_path / "repo"
    plan = disjoint_plan(repo, 1)
    subprocess.run(["git", "init", "-q"], cwd=repo, check=True)  # it has no commit
    for _ in range(2):
        with pytest.raises(RunError, match="wanted one with a commit"):
            TeamState(tmp_path / "run", plan, "solo", 1).create()
    shutil.rmtree(repo / ".git")
    TeamState(tmp_path / "run", plan, "solo", 1).create()


def test_ten_thousand_tasks_in_one_row_are_read_soon(tmp_path):
    rows = [{"id": f"t{i}", "depends_on": [f"t{i - 1}"] if i else []} for i in range(10_000)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "plan.toml").write_text(f'{HEAD}tasks = "t.jsonl"\n')
    begun = time.process_time()
    assert len(read_plan(tmp_path / "plan.toml").task) == 10_000
    assert time.process_time() - begun < 2.0  # it is 0.3 s; with the square of them it was 2.6 s
