"""The folder of a run and its disk: full, gone, moved; and branches that git cannot make."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import threading
import time

import pytest
from disjoint import disjoint_plan, make_disjoint

from counterpoint.cli.main import main
from counterpoint.errors import OutputError, SettingError
from counterpoint.workers.loop import run_team
from counterpoint.workers.queue.ledger import Ledger
from counterpoint.workers.queue.queue import Queue
from counterpoint.workers.queue.rows import TeamTask
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.git import git
from counterpoint.workers.results import require_branch
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
needs_sandbox = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
SLOW = "sleep 2; n=$(echo {test} | tr -d t); echo good > f$n.txt"
FULL = """
import resource, signal, sys
from pathlib import Path
from counterpoint.errors import OutputError
from counterpoint.workers.queue.queue import Queue
from counterpoint.workers.queue.rows import TeamTask
queue = Queue(Path(sys.argv[1]))
queue.add([TeamTask("before", "")], 1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    queue.add([TeamTask("large", "x" * 300_000)], 1)
except OutputError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print(queue.add([TeamTask("after", "")], 1), sorted(task.id for task in queue.tasks()))
"""


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path):
    path = tmp_path / "queue.sqlite"
    line = [sys.executable, "-c", FULL, str(path)]
    ended = subprocess.run(line, capture_output=True, text=True, check=True)
    why, rest = ended.stdout.splitlines()
    assert f"could not use {path}" in why
    assert rest == "1 ['after', 'before']"


def test_a_queue_that_was_taken_away_is_not_made_anew(tmp_path):
    queue = Queue(tmp_path / "queue.sqlite")
    queue.add([TeamTask("a", "")], 1)
    (tmp_path / "queue.sqlite").rename(tmp_path / "elsewhere")
    for use in (queue.counts, lambda: queue.put("a", 1), queue.tasks):
        with pytest.raises(OutputError, match="could not use"):
            use()
    assert not (tmp_path / "queue.sqlite").exists()
    with pytest.raises(OutputError, match="could not write"):
        Ledger(tmp_path / "no" / "queue.sqlite")


@pytest.mark.slow
@needs_sandbox
def test_a_run_whose_folder_moves_ends_with_one_line_and_goes_on_there(tmp_path, capsys):
    state = TeamState(tmp_path / "run", disjoint_plan(tmp_path / "repo", 2, SLOW), "solo", 1)
    state.create()

    def move():
        until = time.monotonic() + 30
        while not state.queue.counts().get("taken") and time.monotonic() < until:
            time.sleep(0.05)
        (tmp_path / "run").rename(tmp_path / "moved")

    mover = threading.Thread(target=move)
    mover.start()
    assert main(["resume", str(tmp_path / "run")]) == 2
    mover.join()
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("counterpoint: could not ")
    assert not (tmp_path / "run").exists()
    assert run_team(tmp_path / "moved").verdict == "done"


@pytest.mark.slow
@needs_sandbox
def test_limits_below_those_of_the_sandbox_are_left_as_they_are(tmp_path):
    TeamState(tmp_path / "run", disjoint_plan(tmp_path / "repo", 1), "solo", 1).create()
    line = [sys.executable, "-m", "counterpoint", "resume", str(tmp_path / "run")]
    ended = subprocess.run(
        line, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_branches_that_git_cannot_make_are_refused_before_the_run(tmp_path):
    repo = tmp_path / "repo"
    make_disjoint(repo, 1)
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*who, "commit", "-qm", "x"),
                  ("branch", "deep/down"), ("tag", "v1")):  # fmt: skip
        subprocess.run(["git", *words], cwd=repo, check=True)
    for name in ("main", "main/x", "deep", "deep/down/x", "HEAD", "-x", "a..b", "x/", "a b",
                 "@{-1}", "x.lock", "a\nb", " x", "", "@", "v1", "x" * 300):  # fmt: skip
        with pytest.raises(SettingError, match="got --branch"):
            require_branch(repo, name)
    require_branch(repo, "deep/other")
    require_branch(repo, "größer")
    (repo / ".git" / "refs" / "heads" / "held.lock").touch()  # another git is at work
    with pytest.raises(
        SettingError, match=r"got --branch held, which git cannot make .*held\.lock"
    ):
        require_branch(repo, "held")
    heads = subprocess.run(["git", "branch"], cwd=repo, capture_output=True, text=True, check=True)
    assert heads.stdout.split() == ["deep/down", "*", "main"]  # nothing was made


@pytest.mark.few(1)
@needs_sandbox
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_changes_neither_the_seconds_nor_the_budget(
    tmp_path, monkeypatch, hours
):
    state = TeamState(tmp_path / "run", disjoint_plan(tmp_path / "repo", 1), "solo", 1, seconds=600)
    state.create()
    begun, real = time.monotonic(), time.time
    monkeypatch.setattr(
        time, "time", lambda: real() + 3600 * hours * (time.monotonic() > begun + 0.2)
    )
    result = run_team(tmp_path / "run")
    assert result.verdict == "done"
    assert 0.2 < result.seconds <= time.monotonic() - begun  # so the clock was set meanwhile


def test_git_is_not_asked_once_for_each_of_many_files(tmp_path, monkeypatch):
    state = TeamState(tmp_path / "run", disjoint_plan(tmp_path / "repo", 1), "solo", 1)
    state.create()
    repository, asked = state.repository, []
    monkeypatch.setattr(
        "counterpoint.workers.repository.repository.git",
        lambda *words, **more: asked.append(words) or git(*words, **more),
    )
    files = {f"d/{i}": File(b"%d\n" % i) for i in range(500)}
    tree = repository.changed_tree(repository.head(), files)
    assert len(asked) < 10
    assert len(repository.entries(tree)) == 502
