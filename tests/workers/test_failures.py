"""Failures are seen at once, with their reason; budgets count what is known, and what is not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from disjoint import WRITE, disjoint_plan

from counterpoint.cli.main import main
from counterpoint.errors import SettingError, WorkerError
from counterpoint.results.team import Unreported
from counterpoint.workers.loop import run_team
from counterpoint.workers.members import Usage, read_usage
from counterpoint.workers.plan import WorkerPlan
from counterpoint.workers.queue.queue import Queue
from counterpoint.workers.queue.rows import RunBudget, Spent, TeamTask
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
needs_sandbox = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
USE = 'echo {"tokens": 1000, "dollars": 0.25} > $COUNTERPOINT_USAGE; '.replace("{", "'{").replace(
    "}", "}'"
)


def team(tmp_path, n, command=WRITE, topology="solo", workers=1, name="run", more=None, **limits):
    plan = disjoint_plan(tmp_path / f"{name}-repo", n, command, **(more or {}))
    state = TeamState(tmp_path / name, plan, topology, workers, **limits)
    state.create()
    return state


class Refuses(BaseHTTPRequestHandler):
    """A server that takes no request."""

    def do_POST(self):
        self.server.asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        said = b'{"error": {"message": "no such key"}}'
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        """Say nothing."""


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize(
    "status", [401, *(pytest.param(one, marks=pytest.mark.slow) for one in (403, 404))]
)
def test_a_server_that_refuses_is_seen_in_the_first_attempt(tmp_path, capsys, status):
    pytest.importorskip("openai")
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        server.asked, server.status = 0, status
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        disjoint_plan(tmp_path / "repo", 3)
        (tmp_path / "plan.toml").write_text(
            f'repository = "repo"\ntests = "sh run.sh"\n[worker]\nkind = "model"\nmodel = "m"\n'
            f'base_url = "{url}"\n'
        )
        out = tmp_path / "out"
        assert main(["team", "run", str(tmp_path / "plan.toml"), "--out", str(out)]) == 3
        server.shutdown()
    reason = f"the server refused with status {status}: no such key"
    assert server.asked == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"counterpoint: {reason}"
    told = json.loads((out / "result.json").read_bytes())
    assert told["verdict"] == reason
    assert told["unfinished"][0] == {"task": "t1", "reason": reason, "attempts": 1}
    assert [one["reason"] for one in told["unfinished"][1:]] == ["not tried", "not tried"]


@pytest.mark.slow
@needs_sandbox
def test_failures_that_are_alike_end_a_run_and_a_resumed_one_goes_on(tmp_path, capsys):
    state = team(tmp_path, 5, "my-agent {task}")
    result = run_team(state.folder)
    assert (result.attempts, result.failed, result.done) == (3, 3, 0)
    assert result.verdict.startswith("3 attempts in a row failed the same way: status 127: ")
    assert "my-agent" in result.unfinished[0].reason
    assert main(["team", "status", str(state.folder)]) == 0
    shown = capsys.readouterr().out
    assert "0 of 5 tasks are done: 3 attempts in a row failed the same way." in shown
    assert "not done: t1 (1 attempt): status 127" in shown
    document = json.loads((state.folder / "team.json").read_bytes())
    document["plan"]["worker"]["command"] = WRITE  # the agent is there now
    (state.folder / "team.json").write_text(json.dumps(document))
    assert main(["resume", str(state.folder)]) == 0
    assert "5 of 5 tasks are done." in capsys.readouterr().out


@pytest.mark.slow
@needs_sandbox
def test_failures_with_work_that_lands_between_do_not_end_a_run(tmp_path):
    # t1, t2, t4, t5 fail alike and t3 lands; tasks are taken in the order of their names
    state = team(tmp_path, 5, "case {test} in t3) echo good > f3.txt;; *) exit 7;; esac",
                 more={"attempts": 1, "iterations": 1})  # fmt: skip
    result = run_team(state.folder)
    assert (result.attempts, result.done, result.given_up) == (5, 1, 4)
    assert "same way" not in result.verdict


def test_alike_by_hand(tmp_path):
    queue = Queue(tmp_path / "q.sqlite")
    queue.add([TeamTask(f"t{i}", "") for i in range(9)], 9)

    def end(how, note=""):
        claim = queue.claim("w", lease_seconds=60, reserve=1)
        queue.failed(claim, how, note) if how in ("failed", "conflict") else queue.merged(claim)

    for how, note, want in (
        ("failed", "x", ""), ("failed", "x", ""), ("conflict", "y", ""), ("failed", "x", "x"),
        ("failed", "z", ""), ("failed", "x", ""), ("merged", "", ""), ("failed", "x", ""),
        ("failed", "x", ""), ("failed", "x", "x"),
    ):  # fmt: skip
        end(how, note)
        assert queue.repeated_failure(0.0) == want
    assert queue.repeated_failure(time.time() + 1) == ""  # of an earlier session


@pytest.mark.slow
@needs_sandbox
def test_exit_status_says_whether_all_is_done(tmp_path, capsys):
    disjoint_plan(tmp_path / "repo", 3)
    plan = 'repository = "repo"\ntests = "sh run.sh"\n[worker]\nkind = "command"\n'
    (tmp_path / "good.toml").write_text(f"{plan}command = '''{WRITE}'''\n")
    (tmp_path / "bad.toml").write_text(f"{plan}command = 'exit 7'\n")

    def run(name, *more):
        return main(
            ["team", "run", str(tmp_path / name), "--out", str(tmp_path / name[:-5]), *more]
        )

    assert run("good.toml") == 0
    assert "3 of 3 tasks are done." in capsys.readouterr().out
    assert run("bad.toml") == 3
    shown = capsys.readouterr()
    assert "counterpoint: no task is done: 3 attempts in a row failed" in shown.err
    assert "not done: t3" in shown.out
    assert "3 failed attempts" in shown.err
    assert run("good.toml", "--out", str(tmp_path / "x"), "--budget", "runs=0") == 2
    assert "runs=0; wanted at least 1" in capsys.readouterr().err


@pytest.mark.slow
@needs_sandbox
def test_a_session_that_was_killed_counts_in_seconds(tmp_path):
    state = team(tmp_path, 2, f"sleep 3; {WRITE}")
    loop = subprocess.Popen(
        [sys.executable, "-m", "counterpoint", "resume", str(state.folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not state.queue.attempts() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)
    os.kill(loop.pid, signal.SIGKILL)
    loop.wait()
    begun, seen = state.queue.fact("session")
    assert seen - begun > 1
    assert state.queue.seconds() == pytest.approx(seen - begun)
    state.queue.close_session()
    state.queue.close_session()  # once
    assert state.queue.seconds() == pytest.approx(seen - begun)
    result = run_team(state.folder)
    assert result.seconds > seen - begun
    assert (result.done, result.lost) == (2, 1)


def test_usage_by_hand():
    def read(text):
        return read_usage(text.encode())

    assert read('{"tokens": 1200, "dollars": 0.03}') == Usage(1200, 0.03, "")
    half = read('{"tokens": 7}')
    assert (half.tokens, half.dollars) == (7, None)
    assert "no number of dollars" in half.problem
    for bad in (" ", "7", '{"tokens": -1, "dollars": true}', '{"tokens": "many"}', "[" * 20_000,
                '{"tokens": NaN}'):  # fmt: skip
        assert (read(bad).tokens, read(bad).dollars) == (None, None)
        assert read(bad).problem
    assert "wrote no file" in read_usage(b"").problem


@pytest.mark.slow
@needs_sandbox
def test_a_command_says_what_it_used_and_budgets_are_checked_before_every_claim(tmp_path):
    state = team(tmp_path, 4, USE + WRITE, tokens=1500)
    result = run_team(state.folder)
    assert (result.tokens, result.dollars, result.unknown.tokens) == (2000, 0.5, 0)
    assert (result.done, result.verdict) == (2, "the budget of tokens is used up")
    assert "usage" not in " ".join(state.repository.content(state.repository.head()))
    paid = team(tmp_path, 4, USE + WRITE, name="paid", dollars=0.7)
    result = run_team(paid.folder)
    assert (result.done, result.verdict) == (3, "the budget of dollars is used up")
    few = team(tmp_path, 4, WRITE, "flat_optimistic", 4, name="few", runs=3, tokens=5)
    result = run_team(few.folder)
    assert (result.attempts, result.verdict) == (3, "the budget of runs is used up")
    assert result.unknown == Unreported(tokens=3, dollars=3)  # and never 0 without a word
    texts = [e.text for e in few.queue.events() if "unknown" in e.text]
    assert len(texts) == 3
    assert texts[0].startswith("unknown tokens and dollars: the command wrote no file")


@pytest.mark.slow
@needs_sandbox
def test_malformed_usage_is_said_without_a_budget_too(tmp_path):
    state = team(tmp_path, 1, "echo much > $COUNTERPOINT_USAGE; " + WRITE)
    assert run_team(state.folder).unknown == Unreported(tokens=1, dollars=1)
    assert any("no JSON object" in event.text for event in state.queue.events())
    silent = team(tmp_path, 1, name="silent")
    assert run_team(silent.folder).unknown == Unreported(tokens=1, dollars=1)
    assert not any("unknown" in event.text for event in silent.queue.events())


@pytest.mark.slow
@needs_sandbox
def test_commands_work_side_by_side_under_a_budget_of_tries(tmp_path):
    state = team(tmp_path, 3, f"sleep 2; {WRITE}", "flat_optimistic", 3, tries=3)
    result = run_team(state.folder)
    assert (result.done, result.tries) == (3, 3)
    rows = state.queue.attempts()
    assert max(a.started for a in rows) < min(a.ended for a in rows)


def test_budgets_by_hand():
    spent = Spent(tries=5, runs=2, tokens=9, dollars=0.5)
    assert RunBudget().used_up(spent) == ""
    assert RunBudget(tries=6, runs=3, tokens=10, dollars=0.51).used_up(spent) == ""
    for name, limit in (("tries", 5), ("runs", 2), ("tokens", 9), ("dollars", 0.5)):
        assert RunBudget(**{name: limit}).used_up(spent) == name
    assert RunBudget(tries=5, runs=2).used_up(spent, reserved=True) == ""
    assert RunBudget(tokens=9).used_up(spent, reserved=True) == "tokens"
    for name in ("tries", "seconds", "tokens", "runs", "dollars"):
        with pytest.raises(SettingError, match=f"{name}=0"):
            RunBudget(**{name: 0})


@pytest.mark.slow
@needs_sandbox
def test_a_folder_of_an_earlier_version_is_read_and_goes_on(tmp_path):
    state = team(tmp_path, 2, "exit 7", more={"attempts": 9})
    with pytest.raises(WorkerError):
        run_team(replace_tests(state, "exit 3").folder)
    run_team(replace_tests(state, "sh run.sh").folder)
    with sqlite3.connect(state.folder / "queue.sqlite") as connection:
        connection.execute("DROP TABLE passing")
        for table, names in (("attempts", ("tokens", "dollars")),
                             ("tasks", ("title", "depends", "checked"))):  # fmt: skip
            for name in names:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        connection.execute("REPLACE INTO facts VALUES ('tokens', '40'), ('passing', '[\"t9\"]')")
    connection.close()
    assert main(["team", "status", str(state.folder), "--json"]) == 0
    worker = WorkerPlan(kind="command", command=WRITE)
    document = json.loads((state.folder / "team.json").read_bytes())
    for name in ("runs", "dollars"):
        del document[name]
    document["plan"]["worker"] = {"kind": worker.kind, "command": worker.command}
    (state.folder / "team.json").write_text(json.dumps(document))
    result = run_team(state.folder)
    assert (result.done, result.verdict, result.tokens) == (2, "done", 40)


def replace_tests(state, tests):
    """The same team with another command for its tests."""
    document = json.loads((state.folder / "team.json").read_bytes())
    document["plan"]["tests"] = tests
    (state.folder / "team.json").write_text(json.dumps(document))
    return replace(state, plan=replace(state.plan, tests=tests))


@pytest.mark.slow
@needs_sandbox
def test_the_reason_of_a_failure_names_the_changes_that_were_not_taken(tmp_path):
    state = team(tmp_path, 1, "echo 'echo ok - t1' > run.sh; echo I am done")
    result = run_team(state.folder)
    reason = "changes not taken: run.sh (it is protected: it decides how tests are run); I am done"
    assert result.unfinished[0].reason == reason
    assert reason in result.verdict


@needs_sandbox
@pytest.mark.parametrize("tests", ["python3 -m no_such_module", "no-such-runner"])
def test_a_runner_that_the_sandbox_lacks_is_named_with_where_programs_come_from(tmp_path, tests):
    state = team(tmp_path, 1)
    state = replace(state, folder=tmp_path / "other", plan=replace(state.plan, tests=tests))
    state.create()
    with pytest.raises(WorkerError, match=r"the tests do not run: .*what `setup` and `readable`"):
        run_team(state.folder)
