"""Folders of runs that somebody else made: `resume` and `status` of them change nothing outside."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
from pathlib import Path

import pytest
from hostile import KEYS, MENDS, Place, model, quick_or_slow

from counterpoint.errors import RunError
from counterpoint.workers.plan import WorkerPlan, WorkPlan
from counterpoint.workers.repository.git import CONFIG
from counterpoint.workers.sandbox.process import Limits
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState
from counterpoint.workers.strangers import machine_access, require_trusted, require_valid_queue

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture
def place(tmp_path):
    """A team in its folder that has not begun."""
    place = Place(tmp_path)
    place.commit()
    begin(place)
    return place


def begin(place, **more):
    worker = more.pop("worker", WorkerPlan(kind="command", command=MENDS))
    plan = WorkPlan(repository=str(place.source), tests="sh check.sh", worker=worker, **more)
    state = TeamState(place.run, plan, "solo", 1)
    state.create()
    return state


def query(place, *lines):
    with sqlite3.connect(place.run / "queue.sqlite") as connection:
        for line in lines:
            connection.execute(*((line,) if isinstance(line, str) else line))


def attempt(place, **columns):
    """A merged attempt with columns of the stranger's."""
    columns = {"task": "t", "worker": "w", "token": "x", "started": 1.0, "lease": 2.0, "ended": 2.0,
               "status": "merged", **columns}  # fmt: skip
    query(
        place,
        "INSERT INTO tasks (id, text, test, files, size, priority, status, tries_left, added) "
        "VALUES ('t', 'x', 'adds', '[]', 1, 1, 'done', 1, 1.0)",
        (f"INSERT INTO attempts ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
         tuple(columns.values())),
    )  # fmt: skip


def plan_says(place, **changes):
    told = json.loads((place.run / "team.json").read_text())
    told["plan"] |= changes
    told["seal"] = "of another folder"
    (place.run / "team.json").write_text(json.dumps(told))


def programs_in_the_repository(p):
    git = ("--git-dir", str(p.run / "repo.git"), "config")
    for key in KEYS:
        p.git(*git, key, str(p.program))
    p.git(*git, "core.hooksPath", str(p.victim / "hooks"))
    p.git(*git, "core.worktree", str(p.victim))
    p.git(*git, "core.logAllRefUpdates", "always")
    shutil.copytree(p.victim / "hooks", p.run / "repo.git" / "hooks")
    (p.run / "repo.git" / "info" / "attributes").write_text("* filter=e merge=e diff=e\n")
    (p.run / "repo.git" / "objects" / "info").mkdir(exist_ok=True)
    (p.run / "repo.git" / "objects" / "info" / "alternates").write_text(f"{p.victim}\n")
    (p.run / "repo.git" / "commondir").write_text(str(p.source / ".git"))


def head_elsewhere(p):
    (p.run / "repo.git" / "HEAD").write_text("ref: refs/heads/../../../victim/bashrc\n")


def option_as_commit(p):
    attempt(p, parent=f"--output={p.victim}/bashrc", landed=f"--output={p.victim}/new")


def option_under_way(p):
    attempt(p, status="merging", landed=f"--output={p.victim}/new", parent="-h")
    query(p, "UPDATE tasks SET status='taken'")


def no_commit(p):
    attempt(p)


def trigger(p):
    query(p, "CREATE TRIGGER x AFTER INSERT ON events BEGIN DELETE FROM tasks; END")


def endless_view(p):
    query(
        p,
        "DROP TABLE locks",
        "CREATE VIEW locks AS WITH RECURSIVE n(path) AS "
        "(SELECT 1 UNION ALL SELECT path+1 FROM n) SELECT path, 1 AS attempt, 1.0 AS since FROM n",
    )


def computed_column(p):
    query(
        p,
        "DROP TABLE locks",
        "CREATE TABLE locks (path TEXT PRIMARY KEY, attempt INTEGER NOT "
        "NULL, since REAL NOT NULL, x TEXT AS (hex(zeroblob(100000000))))",
    )


def no_json(p):
    query(p, "REPLACE INTO facts VALUES ('failing', '[[')")


def deep_json(p):
    query(p, ("REPLACE INTO facts VALUES ('failing', ?)", ("[" * 200_000,)))


def other_json(p):
    query(p, "REPLACE INTO facts VALUES ('seconds', '\"x\"')")


def other_types(p):
    attempt(p, cost="much")


def other_files(p):
    attempt(p, status="failed", files='{"a": 1}')


def other_status(p):
    attempt(p, status="all merged")


def infinite(p):
    attempt(p, started=float("-inf"))


def no_database(p):
    (p.run / "queue.sqlite").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)


def journal(p):
    """A hot journal that names a file of the victim's as its master, which SQLite deletes."""
    query(p, "PRAGMA journal_mode=DELETE")
    for name in ("-wal", "-shm"):
        Path(f"{p.run}/queue.sqlite{name}").unlink(missing_ok=True)
    magic, name = bytes.fromhex("d9d505f920a163d7"), f"{p.victim}/bashrc".encode()
    pages = (p.run / "queue.sqlite").stat().st_size // 4096
    head = magic + struct.pack(">5I", 0, 1, pages, 512, 4096)
    tail = (
        struct.pack(">I", (1 << 30) // 4096 + 1) + name + struct.pack(">2I", len(name), sum(name))
    )
    (p.run / "queue.sqlite-journal").write_bytes(head.ljust(512, b"\0") + tail + magic)


def linked(name, target="bashrc"):
    def attack(p):
        path = p.run / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(p.victim / target)

    attack.__name__ = f"link {name}"
    return attack


def piped(p):
    (p.run / "members.log").unlink(missing_ok=True)
    os.mkfifo(p.run / "members.log")


def half_a_document(p):
    text = (p.run / "team.json").read_text()
    (p.run / "team.json").write_text(text[: len(text) // 2])


def deep_document(p):
    (p.run / "team.json").write_text("[" * 200_000)


def other_document(p):
    told = json.loads((p.run / "team.json").read_text())
    (p.run / "team.json").write_text(json.dumps({**told, "tries": "many"}))


def odd_document(p):
    (p.run / "team.json").write_bytes(b'{"plan": {"\x1b[31m\xe2\x80\xae": 1}, "schema": "x"}')


def reads_everything(p):
    plan_says(p, readable=["/"])


def sends_everything(p):
    plan_says(p, worker={"kind": "command", "command": "cat /root/*", "network": True})


def is_huge(p):
    plan_says(p, limits={"memory_mb": 1 << 20, "processes": 4096})


WORKED_ON = [programs_in_the_repository, head_elsewhere]
LINKS = ["lock", "members.log", "queue.sqlite", "queue.sqlite-wal", "team.json", "result.json",
         "repo.git/logs/refs/heads/main", "repo.git/refs/heads/main", "repo.git/packed-refs",
         "repo.git/HEAD.lock", "repo.git/work-folder", "repo.git/info/attributes"]  # fmt: skip
FOLDERS = ["repo.git", "repo.git/objects/pack", "repo.git/objects/00", "repo.git/refs/heads"]
REFUSED = [
    option_as_commit,
    option_under_way,
    no_commit,
    trigger,
    endless_view,
    computed_column,
    no_json,
    deep_json,
    other_json,
    other_types,
    other_files,
    other_status,
    infinite,
    no_database,
    journal,
    piped,
    half_a_document,
    deep_document,
    other_document,
    odd_document,
    reads_everything,
    sends_everything,
    is_huge,
    *map(linked, LINKS),
    *(linked(name, "hooks") for name in FOLDERS),
]
QUICK = {
    programs_in_the_repository,
    option_as_commit,
    other_status,
    trigger,
    journal,
    reads_everything,
}


@pytest.mark.fault("R26")
@pytest.mark.parametrize("attack", quick_or_slow(WORKED_ON, QUICK))
def test_a_strangers_folder_decides_nothing(place, attack):
    attack(place)
    place.call("team", "status", place.run)
    said = place.call("resume", place.run)
    place.verify()
    assert said.status == 0, said.all
    assert (place.run / "repo.git" / "config").read_bytes() == CONFIG[40]


@pytest.mark.fault("R26")
@pytest.mark.few(1)
@pytest.mark.parametrize("attack", quick_or_slow(REFUSED, QUICK))
def test_a_strangers_folder_is_refused_with_a_reason(place, attack):
    attack(place)
    place.call("team", "status", place.run)
    said = place.call("resume", place.run)
    place.verify()
    assert said.status in (1, 2), said.all
    if attack in (reads_everything, sends_everything, is_huge):
        assert "--trust" in said.errors


WISHES = [
    ({"readable": ("/usr/share", "opt")}, ["reads /usr/share", "reads /opt"]),
    ({"worker": WorkerPlan(kind="command", command="x", network=True)}, ["uses the network"]),
    ({"setup": "x", "setup_network": True}, ["uses the network"]),
    ({"worker": WorkerPlan(kind="command", command="x", pass_env=("PATH",))}, ["takes PATH from"]),
    ({"worker": WorkerPlan(kind="model", model="m", base_url="http://x/v1")}, ["http://x/v1"]),
    ({"limits": Limits(memory_mb=9000, seconds=10)}, ["memory_mb = 9000, more than 1024"]),
    ({"worker": WorkerPlan(kind="command", command="rm -rf /"), "env": {"A": "1"}}, []),
]


@pytest.mark.parametrize(("more", "wanted"), WISHES)
def test_what_a_plan_takes_from_this_machine_is_asked_for_where_it_was_not_started(
    tmp_path, more, wanted
):
    place = Place(tmp_path)
    plan = WorkPlan(repository=str(place.source), tests="x", folder="/", **more)
    state = TeamState(place.run, plan, "solo", 1)
    state.create()
    state = TeamState.load(place.run)
    require_trusted(state.folder, state.plan, state.seal, trust=False)  # it was started here
    copy = tmp_path / "copy"
    shutil.copytree(place.run, copy)
    found = machine_access(state.plan)
    assert len(found) == len(wanted)
    assert all(part in told for part, told in zip(wanted, found, strict=True))
    require_trusted(copy, state.plan, state.seal, trust=True)
    if wanted:
        with pytest.raises(RunError, match=r"was not started here.*--trust"):
            require_trusted(copy, state.plan, state.seal, trust=False)
    else:
        require_trusted(copy, state.plan, state.seal, trust=False)
    os.rename(place.run, tmp_path / "moved")
    require_trusted(tmp_path / "moved", state.plan, state.seal, trust=False)


def test_a_strangers_model_gets_no_key_until_it_is_trusted(tmp_path):
    place = Place(tmp_path)
    with model("nothing") as url:
        begin(place, worker=WorkerPlan(kind="model", model="m", base_url=url, tries=1), attempts=1)
        shutil.copytree(place.run, tmp_path / "copied")
        refused = place.call("resume", tmp_path / "copied", env={"OPENAI_API_KEY": "sk-secret-key"})
    assert refused.status == 2
    assert "sends files, and the key of the model" in refused.errors


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_run_that_another_user_copied_goes_on(place):
    for folder, folders, names in os.walk(place.run):
        for name in (*folders, *names):
            os.chown(os.path.join(folder, name), 12345, 12345)
    os.chown(place.run, 12345, 12345)
    said = place.call("resume", place.run)
    place.verify()
    assert said.status == 0, said.all


@pytest.mark.slow
def test_our_own_queue_is_sound(place):
    require_valid_queue(TeamState.load(place.run).queue)
    place.call("resume", place.run)
    place.verify()
    require_valid_queue(TeamState.load(place.run).queue)
