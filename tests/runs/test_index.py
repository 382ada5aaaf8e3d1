"""The index of runs: a copy that can be made again, and that never stops a run."""

import os
import shutil
import sqlite3
import stat
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from counterpoint.errors import OutputError
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.find import find_folders
from counterpoint.runs.index import Index, default_index
from counterpoint.runs.seal import damaged_checkpoints, edits
from counterpoint.runs.status import RUN, RunFacts


def make_run(path, index=None, seed=0, end=True, **more):
    config = {"world": "regions", "scheme": "grpo", "seed": seed, "budget": 10, **more}
    run = RunDirectory.create(path, config, index=index)
    run.save(5, Snapshot(facts={"step": 5}))
    if end:
        run.finish(step=10, returned=0.5, normalized=0.25)
    run.close()
    return run


@pytest.fixture
def index(tmp_path):
    return Index(tmp_path / "home" / "index.sqlite", warn=lambda line: pytest.fail(line))


NOBODY = 65534


@contextmanager
def another_user():
    """Works as a user who owns nothing here; who is not root is that user already."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


@pytest.fixture
def shared():
    """A folder that every user may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no users")
def test_who_may_not_write_reads_the_index(shared):
    index = Index(shared / "home" / "index.sqlite")
    make_run(shared / "run", index)
    rows, there = index.rows(), sorted((shared / "home").iterdir())
    for path in (*there, shared / "home"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with another_user():
        assert index.rows() == rows
        assert index.knows(shared / "run")
        assert sorted((shared / "home").iterdir()) == there
        with pytest.raises(OutputError, match="could not be written"):
            index.rebuild([shared / "run"])
    (shared / "home").chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no users")
def test_checkpoints_that_nobody_may_list_are_said_and_the_others_are_shown(shared):
    index = Index(shared / "index.sqlite")
    for seed in (1, 2):
        make_run(shared / str(seed), index, seed, end=seed == 2)
    hidden = shared / "1" / "checkpoints"
    hidden.chmod(0)
    with another_user():
        assert {row.seed: row.step for row in index.rows()} == {1: None, 2: 10}
        assert edits(shared / "1") == ["checkpoints: is gone or cannot be read"]
        assert edits(shared / "2") == damaged_checkpoints(shared / "2") == []
        (told,) = damaged_checkpoints(shared / "1")
    hidden.chmod(0o755)
    assert told == f"{hidden} cannot be read (Permission denied)"


def test_a_run_that_cannot_be_read_is_not_missing_and_not_forgotten(tmp_path, index):
    for seed in (1, 2):
        make_run(tmp_path / str(seed), index, seed)
        (tmp_path / str(seed) / RUN).write_text("{")
    shutil.rmtree(tmp_path / "1")
    assert {row.seed: row.status for row in index.rows()} == {1: "missing", 2: "finished"}
    assert index.prune() == 1
    assert [row.seed for row in index.rows()] == [2]


def test_the_index_follows_a_run(tmp_path, index):
    run = RunDirectory.create(tmp_path / "run", {"world": "regions", "seed": 2}, index=index)
    (row,) = index.rows()
    assert (row.world, row.scheme, row.seed, row.status, row.step) == (
        *("regions", None, 2, "running", None),
    )
    run.save(7, Snapshot())
    assert index.rows()[0].step == 7
    run.close()
    assert index.rows()[0].status == "stopped"
    with RunDirectory.open(tmp_path / "run", index=index) as run:
        run.finish(returned=1)
    (row,) = index.rows()
    assert (row.status, row.returned, row.step) == ("finished", 1.0, 7)


def test_rows_say_what_is_true_now_and_prune_forgets_what_is_gone(tmp_path, index):
    for seed in (1, 2):
        make_run(tmp_path / str(seed), index, seed)
    shutil.rmtree(tmp_path / "1")
    assert {row.seed: row.status for row in index.rows()} == {1: "missing", 2: "finished"}
    assert index.prune() == 1
    assert index.prune() == 0
    assert [row.seed for row in index.rows()] == [2]


def test_made_again_from_the_folders_it_is_the_same(tmp_path, index):
    for seed in range(3):
        make_run(tmp_path / "a" / f"run{seed}", index, seed, end=seed != 1)
    (tmp_path / "a" / "other").mkdir()
    (tmp_path / "a" / "other" / "run.json").write_text("{}")
    os.symlink(tmp_path / "a", tmp_path / "a" / "loop")
    again = Index(tmp_path / "again.sqlite")
    assert again.rebuild(each.path for each in find_folders(tmp_path, (RUN,))) == 3
    assert again.rows() == index.rows()
    assert len(again.rows()) == 3


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(4096)])
def test_a_damaged_index_is_said_once_and_the_run_goes_on(tmp_path, content):
    path, said = tmp_path / "index.sqlite", []
    path.write_bytes(content)
    index = Index(path, warn=said.append)
    make_run(tmp_path / "run", index)
    assert len(said) == 1
    assert "goes on without it" in said[0]
    with pytest.raises(OutputError, match="delete it"):
        index.rows()
    assert index.rebuild([tmp_path / "run"]) == 1
    assert index.rows()[0].status == "finished"


def test_a_place_that_cannot_be_written_to_is_said_once(tmp_path):
    (tmp_path / "file").write_text("")
    said = []
    make_run(tmp_path / "run", Index(tmp_path / "file" / "index.sqlite", warn=said.append))
    assert len(said) == 1
    with pytest.raises(OutputError):
        Index(tmp_path / "file" / "index.sqlite").rebuild([tmp_path / "run"])


def test_a_number_that_sqlite_cannot_hold_does_not_stop_a_run(tmp_path):
    said = []
    make_run(tmp_path / "run", Index(tmp_path / "index.sqlite", warn=said.append), seed=2**63)
    assert not said


def test_an_index_of_a_later_version_is_left_alone(tmp_path, index):
    make_run(tmp_path / "run", index)
    database = sqlite3.connect(index.path)
    database.execute("PRAGMA user_version=9")
    database.close()
    with pytest.raises(OutputError, match="later Counterpoint"):
        index.rows()
    with pytest.raises(OutputError, match="later Counterpoint"):
        index.rebuild([tmp_path / "run"])


def test_it_is_in_wal_mode_and_full_for_a_checkpoint(tmp_path, index, monkeypatch):
    asked = []
    put = Index._put
    monkeypatch.setattr(Index, "_put", lambda self, r, how: (asked.append(how), put(self, r, how)))
    make_run(tmp_path / "run", index)
    assert asked == ["NORMAL", "FULL", "NORMAL"]
    database = sqlite3.connect(index.path)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("COUNTERPOINT_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    share = tmp_path / ".local" / "share" / "counterpoint" / "index.sqlite"
    assert default_index() == share
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_index() == share
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_index() == tmp_path / "data" / "counterpoint" / "index.sqlite"
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "own"))
    assert default_index() == tmp_path / "own" / "index.sqlite"
    assert Index().path == default_index()
    assert Index().rows() == []
    assert list(tmp_path.iterdir()) == []


def test_facts_of_another_kind_are_not_believed(tmp_path, index):
    make_run(tmp_path / "run", index, seed="three", world=["a"], scheme=None, budget=True)
    (row,) = index.rows()
    assert replace(row, created=None, updated=None) == RunFacts(
        path=str(tmp_path / "run"),
        world=None,
        scheme=None,
        seed=None,
        status="finished",
        step=10,
        budget=None,
        returned=0.5,
        normalized=0.25,
        created=None,
        updated=None,
        axis="step",
    )
    assert all(isinstance(getattr(row, name), str) for name in ("created", "updated"))
    assert stat.S_ISREG(index.path.stat().st_mode)


def test_a_row_that_is_no_run_is_said_in_one_line(tmp_path, index):
    make_run(tmp_path / "run", index)
    with closing(sqlite3.connect(index.path)) as database, database:
        database.execute("UPDATE runs SET path = ?", ("a\0b",))
    assert [row.status for row in index.rows()] == ["missing"]
    with closing(sqlite3.connect(index.path)) as database, database:
        database.execute("UPDATE runs SET status = ?", (b"\xff",))
        database.execute("UPDATE runs SET step = ?", ("many",))
    with pytest.raises(OutputError, match="could not be read") as error:
        index.rows()
    assert "\n" not in str(error.value)


def test_many_runs_may_begin_at_once(tmp_path):
    for number in range(8):
        make_run(tmp_path / str(number), seed=number)
    said, together = [], threading.Barrier(8)

    def record(number):
        index = Index(tmp_path / "home" / "index.sqlite", warn=said.append)
        together.wait()
        index.record(tmp_path / str(number), acknowledged=True)
        index.record(tmp_path / str(number))

    threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == []
    assert {row.seed for row in Index(tmp_path / "home" / "index.sqlite").rows()} == set(range(8))


def test_a_number_beyond_64_bits_keeps_no_other_run_out(tmp_path, index):
    make_run(tmp_path / "large", seed=10**30)
    make_run(tmp_path / "small", index=index, seed=1)
    assert index.rebuild([tmp_path / "large", tmp_path / "small"]) == 2
    assert {row.seed for row in index.rows()} == {10**30, 1}


def test_the_index_knows_a_run_by_its_folder(tmp_path, index):
    assert not index.knows(tmp_path / "run")  # there is no file yet
    make_run(tmp_path / "run", index)
    assert index.knows(tmp_path / "run")
    assert index.knows(tmp_path / "other" / ".." / "run")
    assert not index.knows(tmp_path / "copy")
    index.path.write_bytes(b"no database")
    assert not index.knows(tmp_path / "run")


def test_a_folder_whose_name_is_no_utf8_is_listed_known_and_forgotten(tmp_path, index):
    folder = tmp_path / os.fsdecode(b"run\xff")
    make_run(folder, index)
    assert [run.path for run in index.rows()] == [str(folder)]
    assert index.knows(folder)
    assert index.rebuild([folder]) == 1
    shutil.rmtree(folder)
    assert index.prune() == 1
    assert index.rows() == []
