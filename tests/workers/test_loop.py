"""The loop on a real repository: every topology, commands, a model on a real server, and kills."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from broken_package import make_package

from counterpoint.cli.main import main
from counterpoint.errors import BusyError, RunError, SettingError, WorkerError
from counterpoint.readers.logs import read_logs
from counterpoint.workers.gate.checks import from_junit, from_tap
from counterpoint.workers.loop import run_team
from counterpoint.workers.plan import TaskPlan, WorkerPlan, WorkPlan, read_plan
from counterpoint.workers.repository.repository import Repository
from counterpoint.workers.sandbox.sandbox import Limits, why_no_sandbox
from counterpoint.workers.state import TeamState
from counterpoint.workers.turn import head_and_passing

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
TAP = "python3 tap.py {tests}"


def package(tmp_path, **more):
    make_package(tmp_path / "package", **{"modules": 2, "each": 2, "hard": 0, "seed": 1, **more})
    return WorkPlan(repository=str(tmp_path / "package"), tests=TAP,
                    worker=WorkerPlan(tries=200), limits=Limits(seconds=60))  # fmt: skip


def start(tmp_path, plan, topology="solo", workers=1, **more):
    state = TeamState(tmp_path / "run", plan, topology, workers, **more)
    state.create()
    return state


def landed(state):
    """Task to how often it is in the history of the result."""
    log = subprocess.run(
        ["git", "--git-dir", str(state.folder / "repo.git"), "log", "--format=%(trailers:key=Task,"
         "valueonly)", "main"], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return Counter(line for line in log.splitlines() if line)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("topology", "workers"),
    [("solo", 1), ("flat_locks", 3), ("planner_workers", 3),
     pytest.param("flat_optimistic", 3, marks=pytest.mark.slow)],
)  # fmt: skip
def test_every_topology_makes_all_tests_pass(tmp_path, topology, workers):
    plan = package(tmp_path, modules=3, each=1)
    before = {p: p.read_bytes() for p in (tmp_path / "package").rglob("*") if p.is_file()}
    state = start(tmp_path, plan, topology, workers)
    result = run_team(state.folder)
    assert (result.verdict, result.done, result.failing) == ("done", 3, [])
    assert landed(state) == Counter(row.id for row in state.queue.tasks())
    assert {p: p.read_bytes() for p in before} == before  # the source is never written to
    assert not list((state.folder / "work").glob("*"))
    checkout = tmp_path / "checkout"
    subprocess.run(
        ["git", "clone", "-q", str(state.folder / "repo.git"), str(checkout)], check=True
    )
    ended = subprocess.run([sys.executable, "tap.py"], cwd=checkout, capture_output=True, text=True,
                           check=True)  # fmt: skip
    assert "not ok" not in ended.stdout
    (episode,) = read_logs(state.folder / "episodes.jsonl")
    assert episode.success == 1
    assert {"planner", "judge", "worker_1"} <= set(episode.agents)
    assert sum(e.kind == "answer" for e in episode.events) == 3
    again = run_team(state.folder)  # a run that is over stays as it is
    assert (again.head, again.tries) == (result.head, result.tries)


@pytest.mark.timed
@pytest.mark.slow
def test_a_budget_ends_the_work_and_is_never_passed(tmp_path):
    state = start(tmp_path, package(tmp_path, modules=3, each=3), "planner_workers", 2, tries=30)
    result = run_team(state.folder)
    assert result.verdict == "the budget of tries is used up"
    assert result.tries <= 30
    assert result.done == sum(landed(state).values()) < 9
    other = replace(state, folder=tmp_path / "other", tries=None, seconds=1.0)
    other.create()
    begun = time.monotonic()
    assert "seconds" in run_team(other.folder).verdict
    assert time.monotonic() - begun < 12


def test_what_breaks_a_test_that_passed_is_not_merged(tmp_path):
    plan = package(tmp_path)
    script = tmp_path / "package" / "wreck.sh"
    script.write_text("rm -rf shop; mkdir shop; echo 'def f(): pass' > shop/__init__.py\n")
    (tmp_path / "package" / "tests" / "test_ok.py").write_text(
        "def test_ok():\n    import shop.part_0\n"
    )
    plan = replace(plan, worker=WorkerPlan(kind="command", command="sh wreck.sh"), attempts=1)
    state = start(tmp_path, plan)
    result = run_team(state.folder)
    # the third attempt fails as the first two did: the fourth task is not tried
    assert (result.done, result.given_up) == (0, 3)
    assert result.verdict.startswith(
        "3 attempts in a row failed the same way: breaks tests/test_ok.py"
    )
    assert [one.attempts for one in result.unfinished] == [1, 1, 1, 0]
    assert landed(state) == Counter()
    assert "breaks tests/test_ok.py::test_ok" in state.queue.attempts()[0].note


@pytest.mark.fault("R28")
@pytest.mark.slow
def test_protected_tests_cannot_be_rewritten(tmp_path):
    plan = package(tmp_path)
    cheat = "for f in tests/test_part*.py; do sed -i 's/assert .*/pass/' $f; done"
    plan = replace(plan, worker=WorkerPlan(kind="command", command=cheat), attempts=1, iterations=1)
    state = start(tmp_path, plan)
    result = run_team(state.folder)
    assert result.done == 0
    refused = [e for e in state.queue.events() if "protected" in e.text]
    assert refused[0].meta["refused"][0].startswith("tests/test_part")
    open_to_all = replace(state, folder=tmp_path / "open", plan=replace(plan, protected=()))
    open_to_all.create()
    assert run_team(open_to_all.folder).done == 4  # the same cheat, and nothing to stop it


@pytest.mark.slow
def test_a_command_does_listed_tasks(tmp_path):
    plan = package(tmp_path)
    tasks = (TaskPlan(id="one", text="write one"), TaskPlan(id="two", text="write two", priority=1))
    command = "grep -q 'write' TASK.md && echo {task} >> notes.txt"
    plan = replace(plan, task=tasks, worker=WorkerPlan(kind="command", command=command))
    state = start(tmp_path, plan)
    assert run_team(state.folder).done == 2
    content = state.repository.content(state.repository.head())
    assert content["notes.txt"] == b"write two\nwrite one\n"
    assert "TASK.md" not in content


@pytest.mark.slow
def test_two_edits_of_one_line_conflict_and_the_loser_does_it_again(tmp_path):
    plan = package(tmp_path)
    (tmp_path / "package" / "list.txt").write_text("start\n")
    tasks = tuple(TaskPlan(id=f"t{i}", text=f"t{i}") for i in range(3))
    command = "sleep .5; echo {task} >> list.txt"
    plan = replace(plan, task=tasks, worker=WorkerPlan(kind="command", command=command))
    for topology in ("flat_optimistic", "planner_workers"):
        state = TeamState(tmp_path / topology, plan, topology, 3)
        state.create()
        result = run_team(state.folder)
        assert (result.done, result.verdict) == (3, "done")
        assert result.conflicts >= 1
        lines = state.repository.content(state.repository.head())["list.txt"].split()
        assert sorted(lines) == [b"start", b"t0", b"t1", b"t2"]
    locked = TeamState(tmp_path / "locked", plan, "flat_locks", 3)
    locked.create()
    result = run_team(locked.folder)
    assert (result.done, result.conflicts) == (3, 0)
    assert result.lock_wait > 0.2


@pytest.mark.slow
def test_pytest_and_its_results(tmp_path):
    site = Path(pytest.__file__).parent.parent
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not (Path("/usr/bin") / version).exists() or not os.access(site, os.R_OK):
        pytest.skip("the system's python is another one")
    plan = package(tmp_path, modules=1)
    line = "python3 -m pytest -q -p no:cacheprovider --junitxml={results} {tests}"
    env = {"PYTHONPATH": str(site), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plan = replace(plan, tests=line, readable=(str(site),), env=env)
    try:
        result = run_team(start(tmp_path, plan).folder)
    except SettingError as error:
        pytest.skip(str(error))
    assert (result.done, result.verdict) == (2, "done")


def test_results_by_hand():
    tap = "TAP version 13\nok 1 - a::b\nnot ok 2 - c # why\nok - a::b\nnot ok - a::b\nnoise\n"
    assert from_tap(tap) == ({"a::b": False, "c": False}, "")
    junit = (b'<testsuites><testsuite><testcase classname="tests.test_x.TestY" name="test_z"/>'
             b'<testcase classname="tests.test_x" name="t[1]"><failure/></testcase></testsuite>'
             b"</testsuites>")  # fmt: skip
    assert from_junit(junit, {"tests/test_x.py": b""}) == {
        "tests/test_x.py::TestY::test_z": True, "tests/test_x.py::t[1]": False,
    }  # fmt: skip
    assert from_junit(b"<broken", {}) == {}


@pytest.mark.parametrize(
    ("tap", "found"),
    [
        ("ok 1 - a # SKIP no db\nnot ok 2 - b # todo later\nok 3 - c # TODO\n",
         {"a": None, "b": None, "c": True}),
        ("    not ok 1 - sub\nok 1 - main\n1..1\n", {"main": True}),
        ("ok 1\nnot ok\n", {"1": True, "2": False}),
        ("ok 1 - issue #12\nok 2 - b # time=5ms\nok 3 - c\\# d\n",
         {"issue #12": True, "b": True, "c\\# d": True}),
        ("ok 1 - a\r\nnot ok 2 - b\r\n", {"a": True, "b": False}),
        ("ok 1 - a\x85b\u2028c\x0cd\n", {"a\x85b\u2028c\x0cd": True}),
        ("1..1\nok 1 - a\n1..1\nok 1 - b\n", {"a": True, "b": True}),
    ],
)  # fmt: skip
def test_marks_and_names_of_tap(tap, found):
    assert from_tap(tap) == (found, "")


@pytest.mark.parametrize(
    ("tap", "why"),
    [("1..5\nok 1 - a\nok 2 - b\n", "5 tests were planned, and 2 ran"),
     ("ok 1 - a\nBail out! no database\n", "gave up: Bail out! no database")],
)  # fmt: skip
def test_tap_that_ends_too_soon_says_nothing(tap, why):
    found, said = from_tap(tap)
    assert not found
    assert why in said


def test_forms_of_junit_that_other_runners_write():
    cases = (
        '<testcase classname="github.com/x/pkg" name="TestA/sub_1"/>'  # Go
        '<testcase classname="Cart v1.2 adds" name="Cart v1.2 adds"><failure/></testcase>'  # Jest
        '<testcase classname="com.shop.CartTest" name="adds{int}[1]"><flakyFailure/></testcase>'
        '<testcase classname="X" name="A.B" status="notrun" result="suppressed"/><testcase/>'
        '<testcase classname="crate::cart" name="tests::a &lt;b&gt; &amp; &#10;c"/><!-- no -->'
    )
    wanted = {
        "github.com/x/pkg::TestA/sub_1": True, "Cart v1.2 adds::Cart v1.2 adds": False,
        "com.shop.CartTest::adds{int}[1]": True, "X::A.B": None,
        "crate::cart::tests::a <b> & \nc": True,
    }  # fmt: skip
    for space in ("", ' xmlns="urn:junit"'):
        told = f"<testsuites{space}><testsuite>{cases}</testsuite></testsuites>"
        assert from_junit(told.encode(), {}) == wanted


@pytest.mark.parametrize("name", ["no-such", "utf-16", "gb2312", "idna", "rot13"])
def test_junit_in_an_encoding_that_it_is_not_in_says_nothing(name):
    told = f'<?xml version="1.0" encoding="{name}"?><a><testcase name="x"/></a>'
    assert from_junit(told.encode(), {}) == {}


def test_tests_that_do_not_run_end_the_loop_with_a_reason(tmp_path):
    plan = replace(package(tmp_path), tests="python3 no_such_file.py")
    state = start(tmp_path, plan)
    with pytest.raises(WorkerError, match="no_such_file"):
        run_team(state.folder)


def test_one_process_at_a_time(tmp_path):
    from counterpoint.runs.lock import Lock

    state = start(tmp_path, package(tmp_path))
    lock = Lock(state.folder / "lock")
    try:
        with pytest.raises(BusyError, match="in use"):
            run_team(state.folder)
    finally:
        lock.release()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ('tests = "x"\n', "repository"), ('repository = "."\n', "tests"),
        ('repository = "."\ntests = "x"\nspeed = 3\n', "got speed"),
        ('repository = "."\ntests = "x"\n[worker]\nkind = "wizard"\n', "wizard"),
        ('repository = "."\ntests = "x"\n[worker]\nkind = "command"\n', "without its command"),
        ('repository = "."\ntests = "x"\n[worker]\nkind = "model"\n', "base_url"),
        ('repository = "."\ntests = "x"\n[limits]\nseconds = -1\n', "seconds=-1"),
        ('repository = "."\ntests = "x"\n[[task]]\nid = "a"\n[[task]]\nid = "a"\n', "same id"),
        ('repository = "."\ntests = "x \'"\n', "shell line"), ("tests = [", "TOML"),
    ],
)  # fmt: skip
def test_plans_that_cannot_be(tmp_path, told, why):
    (tmp_path / "plan.toml").write_text(told)
    with pytest.raises(SettingError, match=why):
        read_plan(tmp_path / "plan.toml")


def test_folders_and_states_that_cannot_be(tmp_path):
    plan = package(tmp_path)
    state = start(tmp_path, plan)
    with pytest.raises(RunError, match="resume"):
        state.create()
    with pytest.raises(RunError, match="no run of a team"):
        TeamState.load(tmp_path)
    with pytest.raises(SettingError, match="workers of topology solo"):
        TeamState(tmp_path / "x", plan, "solo", 2)
    with pytest.raises(SettingError, match="'tree'"):
        TeamState(tmp_path / "x", plan, "tree", 2)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(RunError, match="not empty"):
        TeamState(tmp_path / "full", plan, "solo", 1).create()
    assert TeamState.load(state.folder).plan == plan


def test_the_command_line(tmp_path, capsys):
    package(tmp_path, modules=1)
    (tmp_path / "plan.toml").write_text(
        f'repository = "package"\ntests = "{TAP}"\nname = "demo"\n[worker]\ntries = 200\n'
    )
    out = tmp_path / "out"
    asked = ["team", "run", str(tmp_path / "plan.toml"), "--topology", "planner_workers",
             "--workers", "2", "--budget", "tries=500,seconds=60", "--out", str(out)]  # fmt: skip
    assert main([*asked, "--json"]) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["done"], told["topology"]) == (2, "planner_workers")
    assert told["budget"] == {"tries": 500, "seconds": 60.0, "tokens": None, "runs": None,
                              "dollars": None}  # fmt: skip
    assert "2 of 2 tasks done" in shown.err
    assert main(asked) == 2
    assert "counterpoint resume" in capsys.readouterr().err
    assert main(["resume", str(out)]) == 0
    assert "2 of 2" in capsys.readouterr().out
    assert main(["team", "status", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 2
    assert main(["audit", str(out / "episodes.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 1
    assert main([*asked[:-2], "--budget", "much"]) == 2
    assert "wanted a whole number" in capsys.readouterr().err


def turns(loop):
    """Role to process of every turn under way."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"counterpoint.workers.turn" in words and words[-2] == str(loop).encode():
            found[words[words.index(b"counterpoint.workers.turn") + 2].decode()] = int(
                path.parent.name
            )
    return found


def kill_at_random(tmp_path, topology, rng, kills):
    """Run, kill this or that at random moments, resume until it is over; what was killed."""
    state = TeamState(tmp_path / "run", replace(package(tmp_path, modules=3, each=2), worker=
                      WorkerPlan(tries=200, think_seconds=0.01)), topology, 3)  # fmt: skip
    state.create()
    killed = Counter()
    for _ in range(200):
        loop = subprocess.Popen(
            [sys.executable, "-m", "counterpoint", "resume", str(state.folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while loop.poll() is None and killed.total() < kills:
            time.sleep(rng.uniform(0.05, 2.0))
            roles = turns(loop.pid)
            if not roles and rng.random() < 0.8:
                continue  # it is still beginning, which is seldom worth a kill
            role = rng.choice(sorted(roles)) if roles and rng.random() < 0.8 else "loop"
            try:
                os.kill(roles.get(role, loop.pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed[role] += 1
        if loop.wait() == 0:
            break
    return state, killed


def check_nothing_lost(state):
    """All tasks done, each once in the history, and all tests pass."""
    told = json.loads((state.folder / "result.json").read_bytes())
    assert (told["verdict"], told["failing"]) == ("done", [])
    assert set(state.queue.counts()) == {"done"}
    log = landed(state)
    assert set(log) == {row.id for row in state.queue.tasks()}
    assert max(log.values()) == 1, log
    assert len(head_and_passing(state)[1]) == len(log)


@pytest.mark.fault("R29", cases=5)
@pytest.mark.slow
def test_kills_lose_no_task_and_do_none_twice(tmp_path):
    state, killed = kill_at_random(tmp_path, "planner_workers", random.Random(1), 5)
    check_nothing_lost(state)
    assert killed.total() >= 2


@pytest.mark.fault("R29", cases=20)
@pytest.mark.slow
@pytest.mark.parametrize("topology", ["planner_workers", "flat_optimistic", "flat_locks"])
def test_many_kills_of_planner_worker_judge_and_loop(tmp_path, topology):
    total, seed = Counter(), 0
    while total.total() < 20:
        folder = tmp_path / str(seed)
        folder.mkdir()
        state, killed = kill_at_random(folder, topology, random.Random(seed), 10)
        check_nothing_lost(state)
        total, seed = total + killed, seed + 1
    assert {"loop", "plan", "work"} <= set(total)


@pytest.mark.fault("R29")
@pytest.mark.slow
def test_a_commit_that_landed_before_the_book_knew_is_not_done_again(tmp_path):
    state = start(tmp_path, package(tmp_path))
    queue, repository = state.queue, state.repository
    run_team(state.folder)
    merged = queue.attempts()[-1]
    with queue._change() as connection:  # as if killed between the two writes
        connection.execute(
            "UPDATE attempts SET status='merging', ended=NULL WHERE id=?", (merged.id,)
        )
        connection.execute("UPDATE tasks SET status='taken' WHERE id=?", (merged.task,))
        connection.execute("DELETE FROM facts WHERE key='verdict'")
    head = repository.head()
    run_team(state.folder)
    assert isinstance(repository, Repository)
    assert repository.head() == head
    check_nothing_lost(state)


class Coder(BaseHTTPRequestHandler):
    """An OpenAI-compatible server whose model writes a wrong file first, and then the right one."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        again = len(asked["messages"]) > 2
        self.server.asked.append(asked["messages"][-1]["content"])
        body = "def add(a, b):\n    return a + b\n" if again else "def add(a, b):\n    return 1\n"
        text = f"Here it is.\n\nFILE: sums.py\n```python\n{body}```\nFILE: tap.py\n```\nbad\n```\n"
        told = {"choices": [{"message": {"content": text}}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5}}  # fmt: skip
        said = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        """Say nothing."""


def test_a_model_behind_a_server_writes_files_until_the_test_passes(tmp_path):
    pytest.importorskip("openai")
    source = tmp_path / "source"
    make_package(source, modules=1, each=1, hard=0)
    (source / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    (source / "tests" / "test_part_0.py").write_text(
        "from sums import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Coder) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        worker = WorkerPlan(kind="model", model="m", base_url=url, tries=5)
        plan = WorkPlan(
            repository=str(source), tests=TAP, protected=("tests/*", "tap.py"), worker=worker
        )
        result = run_team(start(tmp_path, plan).folder)
        server.shutdown()
    assert (result.done, result.tries, result.tokens) == (1, 2, 30)
    assert "FILE: sums.py" in server.asked[0]
    assert "still fails. Try again." in server.asked[1]
    assert landed(TeamState.load(tmp_path / "run")) == {"tests/test_part_0.py::test_add": 1}
