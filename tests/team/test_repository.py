"""Git for a team: copies, worktrees, merges in memory, and nothing trusted."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from counterpoint.errors import RunError
from counterpoint.team.repository import Repository


@pytest.fixture
def made(tmp_path):
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
    (source / "sub" / "b.txt").write_text("b\n")
    return Repository.copy(source, tmp_path / "repo.git"), tmp_path


def change(repository, folder, base, **files):
    repository.worktree(folder, base)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    commit = repository.commit(repository.recorded(folder), (base,), "change")
    repository.forget(folder)
    return commit


def test_a_folder_becomes_a_repository(made):
    repository, _ = made
    assert repository.content(repository.head()) == {
        "a.txt": b"one\ntwo\nthree\nfour\nfive\n", "sub/b.txt": b"b\n",
    }  # fmt: skip


def test_a_repository_is_copied_at_its_head_and_left_alone(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}

    def git(*words):
        who = ("-c", "user.name=n", "-c", "user.email=e")
        line = ["git", "-C", str(source), *who, *words]
        return subprocess.run(line, check=True, capture_output=True, env=env).stdout

    git("init", "-q", "-b", "trunk")
    (source / "a").write_text("1")
    git("add", ".")
    git("commit", "-qm", "first")
    (source / "a").write_text("not committed")
    repository = Repository.copy(source, tmp_path / "repo.git")
    assert repository.content(repository.head()) == {"a": b"1"}
    assert repository.head() == git("rev-parse", "HEAD").decode().strip()
    assert (source / "a").read_text() == "not committed"


def test_changes_in_different_places_merge_and_in_one_place_conflict(made):
    repository, tmp = made
    head = repository.head()
    top = change(repository, tmp / "w1", head, a_txt="ONE\ntwo\nthree\nfour\nfive\n")
    end = change(repository, tmp / "w2", head, a_txt="one\ntwo\nthree\nfour\nFIVE\n")
    also = change(repository, tmp / "w3", head, a_txt="1\ntwo\nthree\nfour\nfive\n")
    merged = repository.merge(top, end)
    assert repository.content(merged.tree)["a.txt"] == b"ONE\ntwo\nthree\nfour\nFIVE\n"
    assert repository.merge(top, also).conflicts == ("a.txt",)
    assert repository.changed(head, top) == ("a.txt",)
    assert repository.lines(head, top) == (1, 1)


def test_the_head_moves_only_from_where_it_was(made):
    repository, tmp = made
    head = repository.head()
    one = change(repository, tmp / "w1", head, new="1")
    two = change(repository, tmp / "w2", head, new="2")
    assert repository.advance(one, head)
    assert not repository.advance(two, head)
    assert repository.head() == one
    assert (repository.contains(one), repository.contains(two)) == (True, False)


def test_hooks_and_configuration_of_a_worktree_are_never_run(made):
    repository, tmp = made
    folder, witness = tmp / "w", tmp / "witness"
    repository.worktree(folder, repository.head())
    (folder / ".git").unlink()
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text(f"[core]\n fsmonitor = touch {witness}\n")
    (folder / "nested" / ".git").mkdir(parents=True)
    (folder / "nested" / ".git" / "config").write_text(f"[core]\n fsmonitor = touch {witness}\n")
    (folder / ".gitattributes").write_text("* filter=evil\n")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "new").write_text("n")
    tree = repository.recorded(folder)
    assert set(repository.content(tree)) == {"a.txt", "sub/b.txt", ".gitattributes", "new"}
    assert not witness.exists()


def test_worktrees_come_and_go_side_by_side(made):
    repository, tmp = made
    head = repository.head()

    def one(i):
        return change(repository, tmp / f"w{i}", head, new=str(i))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, range(12)))) == 12
    assert not list(tmp.glob("w*"))


def test_what_is_no_repository_is_told(tmp_path):
    with pytest.raises(RunError, match="wanted a folder"):
        Repository.copy(tmp_path / "none", tmp_path / "r")
    (tmp_path / "s" / ".git").mkdir(parents=True)
    with pytest.raises(RunError, match="git"):
        Repository.copy(tmp_path / "s", tmp_path / "r")
