"""A cache of answers in other hands: rows that are forged or moved, and files that others write."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cache_worker import ASK, Signs

from counterpoint.speakers import Cached, Request
from counterpoint.speakers.cache import _seal

pytestmark = pytest.mark.fault("R46")


@pytest.fixture
def path(tmp_path):
    """A file in which three answers are kept."""
    path = tmp_path / "folder" / "cache.sqlite"
    assert said_by("old", path, pytest.fail) == ["old 0", "old 1", "old 2"]
    return path


def said_by(name, path, warn):
    asked = [Request(ASK, seed=seed) for seed in range(3)]
    return [reply.text for reply in Cached(Signs(name), path, warn=warn).answer(asked)]


def edit(path, change, *values):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(change, values)


def rows(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT key, said, seal FROM replies").fetchall()


FORGED = ["", "null", "7", "[]", "{}", '{"text": "x"}', "{", "[" * 100_000, '"' + "x" * 10,
          '{"text": 7, "prompt_tokens": 1, "completion_tokens": 1}',
          '{"text": "x", "prompt_tokens": "many", "completion_tokens": 1}',
          '{"text": null, "prompt_tokens": null, "completion_tokens": null}']  # fmt: skip


@pytest.mark.parametrize("text", FORGED, ids=range(len(FORGED)))
def test_a_row_of_another_shape_is_asked_for_again_though_its_seal_is_right(path, text):
    (key, _, _), *_ = rows(path)
    edit(path, "UPDATE replies SET said = ?, seal = ? WHERE key = ?", text, _seal(key, text), key)
    told = []
    found = said_by("new", path, told.append)
    assert sorted(text.split()[0] for text in found) == ["new", "old", "old"]
    assert told == [f"1 damaged answers in {path} are asked for again"]
    assert said_by("nobody", path, pytest.fail) == found


@pytest.mark.parametrize("value", [b"\xff\x00", 7, 1.5])
def test_a_row_of_another_type_is_asked_for_again(path, value):
    edit(path, "UPDATE replies SET said = ?", value)
    told = []
    assert said_by("new", path, told.append) == ["new 0", "new 1", "new 2"]
    assert len(told) == 1


def test_an_answer_under_the_key_of_another_is_asked_for_again(path):
    (first, _, _), (second, said, seal), *_ = rows(path)
    edit(path, "UPDATE replies SET said = ?, seal = ? WHERE key = ?", said, seal, first)
    told = []
    assert sorted(said_by("new", path, told.append))[0].startswith("new")
    assert len(told) == 1
    assert first != second


def test_a_table_of_another_shape_costs_the_memory_and_no_answer(path):
    edit(path, "DROP TABLE replies")
    edit(path, "CREATE TABLE replies (key, other)")
    told = []
    assert said_by("new", path, told.append) == ["new 0", "new 1", "new 2"]
    (line,) = told
    assert "answers are not remembered" in line


# --- who may write ------------------------------------------------------------------------------

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.mark.parametrize(
    ("which", "mode"), [("file", 0o666), ("file", 0o602), ("folder", 0o777), ("folder", 0o703)]
)
def test_what_every_user_may_write_is_not_read(path, which, mode):
    place = path if which == "file" else path.parent
    place.chmod(mode)
    told = []
    assert said_by("new", path, told.append) == ["new 0", "new 1", "new 2"]
    assert told == [
        f"answers are not remembered: {path} cannot be used (every user may write to {place}; "
        f"run: chmod o-w {place})"
    ]
    place.chmod(mode & ~0o002)
    assert said_by("nobody", path, pytest.fail) == ["old 0", "old 1", "old 2"]


@pytest.mark.parametrize(
    ("which", "mode"), [("file", 0o660), ("file", 0o644), ("folder", 0o770), ("folder", 0o1777)]
)
def test_what_only_its_user_and_a_group_may_write_is_read(path, which, mode):
    (path if which == "file" else path.parent).chmod(mode)
    assert said_by("nobody", path, pytest.fail) == ["old 0", "old 1", "old 2"]


@as_root
def test_a_file_of_another_user_is_not_read(path):
    os.chown(path, 12345, -1)
    told = []
    assert said_by("new", path, told.append) == ["new 0", "new 1", "new 2"]
    (line,) = told
    assert "it belongs to user 12345, who may have written any answer into it" in line


@as_root
@pytest.mark.parametrize("mode", [0o400, 0o000])
def test_a_file_that_may_not_be_written_costs_no_answer(path, mode):
    """As another user, since root may write everything."""
    path.parent.chmod(0o555)
    path.chmod(mode)
    for place in (*path.parents[1].rglob("*"), *path.parents[1:3]):
        os.chown(place, 54321, -1)
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setresuid(54321, 54321, 54321)
            told: list[str] = []
            found = said_by("new", path, told.append)
            status = int(not (len(told) <= 1 and all(each.split()[0] in ("old", "new")
                                                     for each in found)))  # fmt: skip
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert Path(path).exists()


@pytest.mark.fault("R37")
def test_a_schema_that_is_no_text_is_damage(path):
    """SQLite quotes the schema in its message, which Python then cannot decode."""
    data = path.read_bytes()
    assert data.count(b"CREATE TABLE") == 1
    path.write_bytes(data.replace(b"CREATE TABLE", b"CREA\x9a\xffTABLE"[:12]))
    told = []
    assert said_by("new", path, told.append) == ["new 0", "new 1", "new 2"]
    assert len(told) == 1
