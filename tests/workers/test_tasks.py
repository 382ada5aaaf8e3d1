"""Tasks from a file, what they wait for and their checks; and the result that is brought home."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import pytest
from disjoint import WRITE, disjoint_plan, make_disjoint

from counterpoint.cli.main import main
from counterpoint.errors import SettingError
from counterpoint.workers.loop import run_team
from counterpoint.workers.plan import TaskPlan, WorkerPlan, read_plan
from counterpoint.workers.queue.queue import Queue
from counterpoint.workers.queue.rows import TeamTask
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
needs_sandbox = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
WHO = ("-c", "user.name=a", "-c", "user.email=a@b")
HEAD = 'repository = "repo"\ntests = "sh run.sh"\n'


def own_repository(folder, n):
    make_disjoint(folder, n)
    for words in (("init", "-q"), ("add", "-A"), (*WHO, "commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=folder, check=True)


def git(folder, *words):
    ended = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tasks.toml", '[[task]]\ntitle = "a"\n[[task]]\ntext = "do b"\ndepends_on = ["a"]\n'),
        ("tasks.json", '[{"title": "a"}, {"text": "do b", "depends_on": ["a"]}]'),
        ("tasks.jsonl", '{"title": "a"}\n\n{"text": "do b", "depends_on": ["a"]}\n'),
    ],
)
def test_three_forms_of_one_list(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "plan.toml").write_text(f'{HEAD}tasks = "{name}"\n[[task]]\nid = "own"\n')
    assert read_plan(tmp_path / "plan.toml").task == (
        TaskPlan(id="own"), TaskPlan(id="a", title="a"),
        TaskPlan(id="task-2", text="do b", depends_on=("a",)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[{"title": "a", "depends_on": ["b"]}]', "ids of tasks"),
        ('[{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}]', "in a circle"),
        ('[{"title": "a"}, {"title": "a"}]', "same id"), ('["a"]', "objects"), ("{", "could not"),
        ('{"things": []}', "things"), ('[{"title": "a", "check": "x \'"}]', "shell line"),
        ('[{"title": "a", "colour": 1}]', "colour"),
    ],
)  # fmt: skip
def test_lists_that_cannot_be(tmp_path, text, why):
    (tmp_path / "tasks.json").write_text(text)
    (tmp_path / "plan.toml").write_text(f'{HEAD}tasks = "tasks.json"\n')
    with pytest.raises(SettingError, match=why):
        read_plan(tmp_path / "plan.toml")


def test_a_task_waits_for_those_that_it_depends_on(tmp_path):
    queue = Queue(tmp_path / "q.sqlite")
    queue.add([TeamTask("a", ""), TeamTask("b", "", priority=9, depends_on=("a",))], 1)
    assert queue.ready() == 1
    first = queue.claim("w", lease_seconds=60, reserve=1)
    assert first.task.id == "a"
    assert queue.claim("w", lease_seconds=60, reserve=1) is None
    queue.merged(first)
    assert queue.claim("w", lease_seconds=60, reserve=1).task.depends_on == ("a",)


@pytest.mark.slow
@needs_sandbox
def test_order_checks_and_failing_tests_as_well(tmp_path):
    tasks = (
        TaskPlan(id="last", text="x", depends_on=("first",), check="test -f first.txt"),
        TaskPlan(id="first", text="x"),
        TaskPlan(id="never", text="x", check="echo too short; exit 3"),
        TaskPlan(id="blocked", text="x", depends_on=("never",)),
    )
    named = "n=$(head -1 TASK.md | cut -c3-); echo 1 > $n.txt"
    command = f"case {{test}} in t*) {WRITE};; *) {named};; esac"
    plan = disjoint_plan(tmp_path / "repo", 2)
    plan = type(plan)(
        repository=plan.repository, tests=plan.tests, task=tasks, from_tests=True, attempts=2,
        worker=WorkerPlan(kind="command", command=command), iterations=1,
    )  # fmt: skip
    state = TeamState(tmp_path / "run", plan, "flat_optimistic", 2)
    state.create()
    result = run_team(state.folder)
    assert {row.id: row.status for row in state.queue.tasks()} == {
        "first": "done", "last": "done", "t1": "done", "t2": "done", "never": "given_up",
        "blocked": "open",
    }  # fmt: skip
    assert result.failing == ["blocked", "never"]
    reasons = {one.task: one.reason for one in result.unfinished}
    assert reasons["never"] == "the check fails: status 3: too short"
    assert reasons["blocked"] == "waits for never"
    merged = [a.task for a in state.queue.attempts() if a.status == "merged"]
    assert merged.index("first") < merged.index("last")


@pytest.mark.slow
@needs_sandbox
def test_the_result_is_a_branch_and_a_patch_of_the_users_repository(tmp_path, capsys):
    own_repository(tmp_path / "repo", 2)
    hooks = tmp_path / "repo" / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "reference-transaction").write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    (hooks / "reference-transaction").chmod(0o755)
    (tmp_path / "plan.toml").write_text(
        f'{HEAD}author = "Ada L <ada@example.org>"\nmessage = "Mend {{title}} ({{task}})"\n'
        f"[worker]\nkind = \"command\"\ncommand = '''{WRITE}'''\n"
        '[[task]]\nid = "t1"\ntest = "t1"\ntitle = "the first"\n[[task]]\nid = "t2"\ntest = "t2"\n'
    )
    run = ["team", "run", str(tmp_path / "plan.toml"), "--out"]
    before = git(tmp_path / "repo", "rev-parse", "HEAD"), git(tmp_path / "repo", "status", "-s")
    assert main([*run, str(tmp_path / "out"), "--branch", "team/mended"]) == 0
    assert "result.patch" in capsys.readouterr().err
    log = git(tmp_path / "repo", "log", "--format=%an <%ae>|%cn|%s", "HEAD..team/mended")
    assert sorted(log.splitlines()) == [
        "Ada L <ada@example.org>|Ada L|Mend t2 (t2)",
        "Ada L <ada@example.org>|Ada L|Mend the first (t1)",
    ]
    assert not (tmp_path / "hooked").exists()
    assert (git(tmp_path / "repo", "rev-parse", "HEAD"),
            git(tmp_path / "repo", "status", "-s")) == before  # fmt: skip
    git(tmp_path, "clone", "-q", "repo", "other")
    git(tmp_path / "other", *WHO, "am", "-q", str(tmp_path / "out" / "result.patch"))
    trees = [git(tmp_path / "repo", "rev-parse", "team/mended^{tree}"),
             git(tmp_path / "other", "rev-parse", "HEAD^{tree}")]  # fmt: skip
    assert trees[0] == trees[1]
    assert main(["resume", str(tmp_path / "out")]) == 0  # the branch is there, and right
    git(tmp_path / "repo", "branch", "-qD", "team/mended")
    lock = tmp_path / "repo" / ".git" / "refs" / "heads" / "team" / "mended.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.touch()  # the branch cannot be made; the result is printed and kept
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "out")]) == 1
    told = capsys.readouterr()
    assert "2 of 2 tasks are done" in told.out
    last = told.err.splitlines()[-1]
    assert "mended.lock" in last
    assert f"counterpoint resume {tmp_path}/out makes the branch team/mended" in last
    lock.unlink()
    assert main(["resume", str(tmp_path / "out")]) == 0
    for branch, why in (("team/mended", "exists already"), ("a..b", "takes for a branch"),
                        ("", "which is empty")):  # fmt: skip
        assert main([*run, str(tmp_path / "two"), "--branch", branch]) == 2
        assert why in capsys.readouterr().err
    assert not (tmp_path / "two").exists()
    (tmp_path / "plan.toml").write_text(HEAD.replace('"repo"', '"none"'))
    make_disjoint(tmp_path / "none", 1)
    assert main([*run, str(tmp_path / "two"), "--branch", "new"]) == 2
    assert "no git repository" in capsys.readouterr().err


@pytest.mark.slow
@needs_sandbox
def test_follow_shows_who_works_until_the_run_is_over(tmp_path):
    plan = disjoint_plan(tmp_path / "repo", 1, f"echo begins; sleep 12; {WRITE}")
    state = TeamState(tmp_path / "run", plan, "solo", 1)
    state.create()
    line = [sys.executable, "-m", "counterpoint"]
    with subprocess.Popen([*line, "resume", str(state.folder)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as loop:  # fmt: skip
        deadline = time.monotonic() + 60
        while not (state.folder / "logs" / "1.log").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        while (state.folder / "logs" / "1.log").read_bytes() != b"begins\n":  # while it works
            assert loop.poll() is None
            time.sleep(0.05)
        ended = subprocess.run([*line, "team", "status", str(state.folder), "--follow", "--json"],
                               capture_output=True, text=True, check=True)  # fmt: skip
        assert loop.wait() == 0
    assert "worker_1: t1, running" in ended.stderr
    assert json.loads(ended.stdout)["verdict"] == "done"
