"""Commands that stand for coding agents: keys, their own time, a setup, what is kept of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from disjoint import disjoint_plan

from counterpoint.cli.main import main
from counterpoint.errors import SettingError
from counterpoint.workers.keys import Redactor, redacted, without_secrets
from counterpoint.workers.loop import run_team
from counterpoint.workers.plan import WorkerPlan, WorkPlan
from counterpoint.workers.sandbox.sandbox import Limits, why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
KEY = "sk-0123456789abcdef"


def everything(folder: Path) -> bytes:
    """All bytes of all files of a folder, and of what git has stored there."""
    found = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    state = TeamState.load(folder)
    content = state.repository.content(state.repository.head())
    return found + b"".join(content.values())


def start(tmp_path, command, n=1, **more):
    worker = {key: more.pop(key) for key in ("pass_env", "minutes") if key in more}
    plan = disjoint_plan(tmp_path / "repo", n, command, **more)
    plan = WorkPlan(
        **{**vars(plan), "worker": WorkerPlan(kind="command", command=command, **worker)}
    )
    state = TeamState(tmp_path / "run", plan, "solo", 1)
    state.create()
    return state


@pytest.mark.fault("R18")
def test_a_key_reaches_the_command_alone_and_is_written_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", KEY)
    command = (
        'echo "my key is $MY_API_KEY"; printf "%s" "${MY_API_KEY%abcdef}"; sleep .3; '
        "echo abcdef; echo $MY_API_KEY > leaked.txt; "
        'test "$MY_API_KEY" = "sk-0123456789abcdef" && echo good > f1.txt; exit 1'
    )
    state = start(tmp_path, command, pass_env=("MY_API_KEY",))
    script = tmp_path / "repo" / "run.sh"
    assert "MY_API_KEY" not in script.read_text()
    result = run_team(state.folder)
    assert result.done == 1  # its exit status does not decide: the tests do
    told_of = everything(state.folder).replace(command.encode(), b"")
    assert KEY.encode() not in told_of.replace(b'= \\"sk-0123456789abcdef\\"', b"")
    assert "[hidden]" in state.queue.attempts()[0].note
    assert (state.folder / "logs" / "1.log").read_text() == "my key is [hidden]\n[hidden]\n"
    refused = [e for e in state.queue.events() if "not taken" in e.text]
    assert refused[0].meta["refused"] == ["leaked.txt"]
    monkeypatch.delenv("MY_API_KEY")
    with pytest.raises(SettingError, match="export MY_API_KEY"):
        run_team(state.folder)


@pytest.mark.fault("R18")
def test_tests_do_not_see_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", KEY)
    state = start(tmp_path, "echo good > f1.txt", pass_env=("MY_API_KEY",),
                  env={"OTHER": "seen"})  # fmt: skip
    from counterpoint.workers.sandbox.sandbox import SandboxInputs, run

    plan = TeamState.load(state.folder).plan
    assert (
        run(["/usr/bin/env"], {}, inputs=SandboxInputs(env=plan.env)).output.count("OTHER=seen")
        == 1
    )
    assert "MY_API_KEY" not in run(["/usr/bin/env"], {}, inputs=SandboxInputs(env=plan.env)).output


@pytest.mark.slow
def test_a_key_in_the_plan_is_taken_for_one_that_is_passed(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MY_API_KEY", raising=False)
    disjoint_plan(tmp_path / "repo", 1)
    (tmp_path / "plan.toml").write_text(
        f'repository = "repo"\ntests = "sh run.sh"\nenv = {{ MY_API_KEY = "{KEY}", LEVEL = "3" }}\n'
        '[worker]\nkind = "command"\n'
        'command = "test -n \\"$MY_API_KEY\\" && test $LEVEL = 3 && echo good > f1.txt"\n'
    )
    try:
        assert main(["team", "run", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "r")]) == 0
        assert os.environ["MY_API_KEY"] == KEY  # where the members of this process find it
        assert KEY.encode() not in everything(tmp_path / "r")
        plan = TeamState.load(tmp_path / "r").plan
        assert (plan.env, plan.worker.pass_env) == ({"LEVEL": "3"}, ("MY_API_KEY",))
    finally:
        os.environ.pop("MY_API_KEY", None)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("OPENAI_API_KEY", True), ("GITHUB_TOKEN", True), ("DB_PASSWORD", True), ("aws_secret", True),
     ("KEYBOARD", False), ("PYTHONPATH", False), ("TOKENIZERS_PARALLELISM", False)],
)  # fmt: skip
def test_names_of_secrets(name, hidden):
    plan = WorkPlan(repository=".", tests="true", env={name: "value"})
    kept, secrets = without_secrets(plan)
    assert (name in secrets, name in kept.env, name in kept.worker.pass_env) == (
        hidden, not hidden, hidden,
    )  # fmt: skip


def test_the_longest_value_is_blotted_first_and_short_ones_never():
    assert redacted("abcdefgh abcdef a", ["abcdef", "abcdefgh", "a"]) == "[hidden] [hidden] a"


def test_a_secret_in_pieces_is_blotted_and_nothing_else_is_held_back():
    said: list[bytes] = []
    blotter = Redactor(said.append, [KEY, "hunter2"])
    for piece in (b"a sk-01", b"23456789ab", b"cdef b sk-", b"other hunter", b"2hunt"):
        blotter.write(piece)
    assert b"".join(said) == b"a [hidden] b sk-other [hidden]"
    blotter.close()
    assert b"".join(said) == b"a [hidden] b sk-other [hidden]hunt"


@pytest.mark.slow
def test_work_on_a_full_disk_is_not_taken(tmp_path):
    """Its last file is cut, and tests that do not read it pass all the same."""
    state = start(tmp_path, "echo good > f1.txt; head -c 400000000 /dev/zero > big")
    result = run_team(state.folder)
    assert result.done == 0
    assert "stopped by a limit, disk (disk_mb=128)" in state.queue.attempts()[0].note


@pytest.mark.slow
def test_work_of_an_agent_whose_time_is_over_is_tested_all_the_same(tmp_path):
    state = start(tmp_path, "echo good > f1.txt; sleep 60", minutes=1 / 30)
    result = run_team(state.folder)
    assert result.done == 1
    assert "stopped by a limit, seconds (2)" in state.queue.attempts()[0].note


def test_a_task_is_held_at_least_as_long_as_a_worker_may_work_at_it():
    plan = WorkPlan(repository=".", tests="true", worker=WorkerPlan(minutes=30))
    assert plan.lease == 1860
    assert plan.limits.seconds == 60
    assert plan.worker_limits == Limits(seconds=1800)
    with pytest.raises(SettingError, match="minutes=0"):
        WorkPlan(repository=".", tests="true", worker=WorkerPlan(minutes=0))


def test_setup_runs_once_and_is_there_in_every_sandbox(tmp_path):
    setup = "mkdir /setup/bin; printf '#!/bin/sh\\necho good\\n' > /setup/bin/answer; " \
            "chmod +x /setup/bin/answer; ln -s answer /setup/bin/again; echo once"  # fmt: skip
    state = start(tmp_path, "again > f$(echo {test} | tr -d t).txt", n=2, setup=setup)
    result = run_team(state.folder)
    assert result.done == 2
    assert sum(e.text == "runs setup" for e in state.queue.events()) == 1
    bad = WorkPlan(**{**vars(state.plan), "setup": "echo no; exit 3"})
    again = TeamState(tmp_path / "bad", bad, "solo", 1)
    again.create()
    from counterpoint.errors import WorkerError

    with pytest.raises(WorkerError, match="setup failed"):
        run_team(again.folder)


@pytest.mark.slow
def test_an_agent_may_use_git_and_reads_its_task_from_standard_input(tmp_path):
    command = (
        "read first; git checkout -qb work; git config user.name me; "
        "case \"$first\" in '# t1') echo good > f1.txt;; esac; git commit -qam done; git log | cat"
    )
    state = start(tmp_path, command)
    assert run_team(state.folder).done == 1
    assert state.repository.content(state.repository.head())["f1.txt"] == b"good\n"
