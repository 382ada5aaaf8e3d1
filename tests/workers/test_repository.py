"""Git for a team: copies, worktrees, merges in memory, and nothing trusted."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from counterpoint.errors import RunError
from counterpoint.workers.repository.files import File, TreeLayout, refused, refused_link
from counterpoint.workers.repository.git import CONFIG
from counterpoint.workers.repository.repository import Repository


@pytest.fixture
def made(tmp_path):
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
    (source / "sub" / "b.txt").write_text("b\n")
    return Repository.copy(source, tmp_path / "repo.git"), tmp_path


def change(repository, base, **files):
    changes = {name.replace("_", "."): File(text.encode()) for name, text in files.items()}
    return repository.commit(repository.changed_tree(base, changes), (base,), "change")


@pytest.fixture
def git(tmp_path):
    """Git with a configuration of nobody, in a repository that it makes."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    source = tmp_path / "source"
    source.mkdir()

    def run(*words, data=None):
        who = ("-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always")
        line = ["git", "-C", str(source), *who, *words]
        told = subprocess.run(line, check=True, capture_output=True, env=env, input=data).stdout
        return told.decode().strip()

    run("init", "-q", "-b", "trunk")
    run.source = source
    return run


def test_a_folder_becomes_a_repository(made):
    repository, _ = made
    assert repository.content(repository.head()) == {
        "a.txt": b"one\ntwo\nthree\nfour\nfive\n", "sub/b.txt": b"b\n",
    }  # fmt: skip


def test_a_repository_is_copied_at_its_head_and_left_alone(tmp_path, git):
    (git.source / "a").write_text("1")
    git("add", ".")
    git("commit", "-qm", "first")
    (git.source / "a").write_text("not committed")
    repository = Repository.copy(git.source, tmp_path / "repo.git")
    assert repository.content(repository.head()) == {"a": b"1"}
    assert repository.head() == git("rev-parse", "HEAD")
    assert (git.source / "a").read_text() == "not committed"


def test_changes_in_different_places_merge_and_in_one_place_conflict(made):
    repository, _ = made
    head = repository.head()
    top = change(repository, head, a_txt="ONE\ntwo\nthree\nfour\nfive\n")
    end = change(repository, head, a_txt="one\ntwo\nthree\nfour\nFIVE\n")
    also = change(repository, head, a_txt="1\ntwo\nthree\nfour\nfive\n")
    merged = repository.merge(top, end)
    assert repository.content(merged.tree)["a.txt"] == b"ONE\ntwo\nthree\nfour\nFIVE\n"
    assert repository.merge(top, also).conflicts == ("a.txt",)
    assert repository.changed(head, top) == ("a.txt",)
    assert repository.lines(head, top) == (1, 1)


def test_the_head_moves_only_from_where_it_was(made):
    repository, _ = made
    head = repository.head()
    one = change(repository, head, new="1")
    two = change(repository, head, new="2")
    assert repository.advance(one, head)
    assert not repository.advance(two, head)
    assert repository.head() == one
    assert (repository.contains(one), repository.contains(two)) == (True, False)


def test_modes_links_and_attributes_are_kept_as_git_has_them(tmp_path, git):
    (git.source / "run.sh").write_text("#!/bin/sh\n")
    (git.source / "run.sh").chmod(0o755)
    (git.source / "link").symlink_to("run.sh")
    (git.source / "out").symlink_to("/etc/passwd")
    (git.source / ".gitattributes").write_text("* text eol=crlf ident\nrun.sh export-ignore\n")
    (git.source / "i.c").write_bytes(b"$Id$\n")
    git("add", ".")
    git("commit", "-qm", "first")
    repository = Repository.copy(git.source, tmp_path / "repo.git")
    head = repository.head()
    content = repository.content(head)
    assert set(content) == {".gitattributes", "i.c", "run.sh"}  # links are no files
    assert content["i.c"] == b"$Id$\n"
    assert {p: e.mode for p, e in content.entries.items() if e.mode != "100644"} == {
        "run.sh": "100755", "link": "120000", "out": "120000",
    }  # fmt: skip
    changes = {"new.sh": File(b"n", "100755"), "l": File(b"new.sh", "120000"), "i.c": None}
    new = repository.commit(repository.changed_tree(head, changes), (head,), "m")
    modes = {p: e.mode for p, e in repository.entries(new).items()}
    assert modes == {".gitattributes": "100644", "run.sh": "100755", "link": "120000",
                     "out": "120000", "new.sh": "100755", "l": "120000"}  # fmt: skip
    assert repository.changed(head, new) == ("i.c", "l", "new.sh")


def test_a_submodule_stays_as_it_is(tmp_path, git):
    git("commit", "-q", "--allow-empty", "-m", "of the submodule")
    inner = git("rev-parse", "HEAD")
    git("update-index", "--add", "--cacheinfo", f"160000,{inner},lib")
    (git.source / ".gitmodules").write_text('[submodule "lib"]\n\tpath=lib\n\turl=ext::sh -c x\n')
    git("add", ".gitmodules")
    git("commit", "-qm", "with it")
    repository = Repository.copy(git.source, tmp_path / "repo.git")
    head = repository.head()
    assert repository.entries(head)["lib"].mode == "160000"
    new = change(repository, head, b="1")
    assert repository.entries(new)["lib"] == repository.entries(head)["lib"]
    for path in ("lib", "lib/x"):
        with pytest.raises(RunError, match="submodule"):
            repository.changed_tree(head, {path: File(b"1")})


def test_a_subfolder_of_a_repository_is_the_work_folder(tmp_path, git):
    (git.source / "pkg" / ".venv").mkdir(parents=True)
    (git.source / "pkg" / "a.py").write_text("1")
    (git.source / "top.py").write_text("2")
    (git.source / ".gitignore").write_text(".env\n.venv\n")
    (git.source / "pkg" / ".env").write_text("SECRET=1")
    (git.source / "pkg" / ".venv" / "big").write_text("x")
    git("add", ".")
    git("commit", "-qm", "first")
    repository = Repository.copy(git.source / "pkg", tmp_path / "repo.git")
    assert repository.prefix == "pkg/"
    assert repository.head() == git("rev-parse", "HEAD")
    content = repository.content(repository.head())
    assert content == {"a.py": b"1"}
    assert set(content.entries) == {".gitignore", "pkg/a.py", "top.py"}
    assert Repository(tmp_path / "repo.git").prefix == "pkg/"


def test_of_a_folder_in_no_repository_what_is_ignored_stays_out(tmp_path, git):
    folder = git.source / "untracked"  # its repository does not know it
    (folder / "build").mkdir(parents=True)
    (folder / "build" / "o").write_text("x")
    (folder / ".gitignore").write_text("build\n")
    (folder / ".gitattributes").write_text("* text eol=lf filter=evil\n")
    (folder / "a.txt").write_bytes(b"x\r\n")
    git("commit", "-q", "--allow-empty", "-m", "m")
    repository = Repository.copy(folder, tmp_path / "repo.git")
    content = repository.content(repository.head())
    assert set(content) == {".gitattributes", ".gitignore", "a.txt"}
    assert content["a.txt"] == b"x\r\n"


@pytest.mark.fault("R26")
def test_the_folder_of_a_stranger_decides_nothing(tmp_path, git):
    (git.source / "a.txt").write_text("x")
    (git.source / ".gitattributes").write_text("* filter=e diff=e merge=e\n")
    git("add", ".")
    git("commit", "-qm", "first")
    path, witness = tmp_path / "repo.git", tmp_path / "witness"
    Repository.copy(git.source, path)
    touch = f"touch {witness}"
    for key in ("filter.e.smudge", "filter.e.clean", "core.fsmonitor", "core.sshCommand",
                "diff.e.textconv", "diff.e.command", "merge.e.driver", "gpg.program",
                "core.alternateRefsCommand", "alias.ls-tree"):  # fmt: skip
        git("--git-dir", str(path), "config", key, touch)
    git("--git-dir", str(path), "config", "core.hooksPath", str(tmp_path / "hooks"))
    for folder in (tmp_path / "hooks", path / "hooks"):
        folder.mkdir(exist_ok=True)
        for name in ("reference-transaction", "post-index-change"):
            (folder / name).write_text(f"#!/bin/sh\n{touch}\n")
            (folder / name).chmod(0o755)
    (path / "info" / "attributes").write_text("* filter=e\n")
    (path / "objects" / "info").mkdir(exist_ok=True)
    (path / "objects" / "info" / "alternates").write_text(str(git.source / ".git" / "objects"))
    repository = Repository(path)
    head = repository.head()
    new = change(repository, head, b="1")
    assert repository.advance(new, head)
    repository.content(new)["a.txt"]
    repository.merge(new, change(repository, head, c="1"))
    repository.lines(head, new)
    repository.pack(new)
    assert not witness.exists()
    assert not (path / "hooks").exists()
    assert not (path / "objects" / "info" / "alternates").exists()
    assert (path / "config").read_bytes() == CONFIG[40]


@pytest.mark.parametrize("name", ["HEAD", "objects", "refs", "config", "info"])
def test_a_repository_whose_parts_are_links_is_refused(made, name):
    repository, tmp = made
    (repository.path / name).rename(tmp / "elsewhere")
    (repository.path / name).symlink_to(tmp / "elsewhere")
    with pytest.raises(RunError, match="link"):
        Repository(repository.path)


BAD_PATHS = [
    "", "/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "./a", "a/", ".git", ".git/config",
    "a/.git/hooks/x", ".GIT/config", ".Git", "git~1/x", ".git./x", ".git /x", ".git::$INDEX/x",
    ".g\u200cit/config", "a\\b", "a\nb", "a\x1b[31m", "a\x7f", "x" * 256, "a/" * 2100 + "b", "..",
]  # fmt: skip
GOOD_PATHS = ["z", "a/b.txt", ".github/workflows/x.yml", ".gitignore", "git", "a..b", "...", "é",
              "a b", "caf\udce9", "-rf", "$(x)", "a'b\"", ".gitx"]  # fmt: skip


@pytest.mark.fault("R14")
@pytest.mark.parametrize("path", BAD_PATHS)
def test_paths_that_may_not_be_written(made, path):
    repository, _ = made
    assert refused(path)
    with pytest.raises(RunError, match="cannot be written"):
        repository.changed_tree(repository.head(), {path: File(b"1")})


def test_paths_that_may_be_written_are_written(made):
    repository, _ = made
    assert [refused(path) for path in GOOD_PATHS] == [""] * len(GOOD_PATHS)
    head = repository.head()
    tree = repository.changed_tree(head, {path: File(path.encode("utf-8", "surrogateescape"))
                                          for path in GOOD_PATHS if path != "a.txt"})  # fmt: skip
    assert set(repository.entries(tree)) == {*GOOD_PATHS, "a.txt", "sub/b.txt"}


def test_no_file_takes_the_place_of_a_folder(made):
    repository, _ = made
    head = repository.head()
    with pytest.raises(RunError, match="a folder with files"):
        repository.changed_tree(head, {"sub": File(b"1")})  # sub/b.txt would be gone
    with pytest.raises(RunError, match="above"):
        repository.changed_tree(head, {"new": File(b"1"), "new/b": File(b"1")})
    tree = repository.changed_tree(head, {"sub": File(b"1"), "sub/b.txt": None})
    assert set(repository.entries(tree)) == {"a.txt", "sub"}


def test_nothing_but_the_name_of_an_object_is_given_to_git_as_one(made):
    repository, tmp = made
    head = repository.head()
    for bad in (f"--output={tmp / 'witness'}", "-h", "main", head[:8], f"{head}:a.txt", "", "@"):
        for use in (repository.content, repository.contains, repository.tree, repository.pack):
            with pytest.raises(RunError, match="wanted the whole name"):
                list(use(bad))
        for both in (repository.changed, repository.lines, repository.merge, repository.advance):
            for pair in ((bad, head), (head, bad)):
                with pytest.raises(RunError, match="wanted the whole name"):
                    both(*pair)
    assert not (tmp / "witness").exists()


def test_git_takes_every_path_that_our_rules_let_through(made):
    repository, _ = made
    ends = ["", " ", ".", "\u200c", "\ufeff", "\udcff", "\uffff", "\ufffe", ":x", "\udce2\udc80",
            "\udc80x", "~1", "\u00a0", "\u0130", "\U0001f600"]  # fmt: skip
    cores = [".git", "git~1", ".gitmodules", "GITMOD~1", "GI7EBA~1", "gi7e~123", "g"]
    names = {
        one
        for core in cores
        for end in ends
        for one in (core + end, core.upper() + end, core[:2] + end + core[2:], end + core)
    }
    fits = Counter()
    for mode in ("100644", "120000"):
        file, layout = File(b"x", mode), TreeLayout({})
        taken = {n: file for name in names for n in (name, f"d/{name}")
                 if not layout.why_not(n, file)}  # fmt: skip
        repository.changed_tree(repository.head(), taken)  # git leaves none of them out
        fits[mode] = len(taken)
    assert fits["120000"] < fits["100644"] < 2 * len(names)


@pytest.mark.parametrize(
    ("path", "target", "fits"),
    [
        ("l", "a.txt", True), ("sub/l", "../a.txt", True), ("sub/l", "./b.txt", True),
        ("l", "/etc/passwd", False), ("l", "../x", False), ("sub/l", "../../x", False),
        ("l", "sub/../../x", False), ("l", ".git/config", False), ("l", "sub/.GIT", False),
        (".gitmodules", "a.txt", False), ("l", "", False), ("l", "a\\..\\x", False),
    ],
)  # fmt: skip
def test_links_stay_inside(path, target, fits):
    assert bool(refused_link(path, target)) == (not fits)


@pytest.mark.fault("R14")
def test_nothing_is_written_below_a_link_or_a_file(made):
    repository, _ = made
    head = repository.head()
    base = repository.commit(
        repository.changed_tree(head, {"docs": File(b"sub", "120000")}), (head,), "m"
    )
    for path in ("docs/x", "a.txt/x"):
        with pytest.raises(RunError, match="above"):
            repository.changed_tree(base, {path: File(b"1")})
    tree = repository.changed_tree(base, {"docs": None, "docs/x": File(b"1")})
    assert repository.content(tree)["docs/x"] == b"1"


def test_many_write_side_by_side(made):
    repository, _ = made
    head = repository.head()
    with ThreadPoolExecutor(4) as pool:
        made_by = list(pool.map(lambda i: change(repository, head, new=str(i)), range(12)))
    assert [repository.content(one)["new"] for one in made_by] == [b"%d" % i for i in range(12)]
    assert not list(repository.path.glob("index-*"))


def test_what_killed_members_left_half_written_is_swept_and_counted(made):
    repository, _ = made
    head, path = repository.head(), repository.path
    left = (
        "index-7-00ff",
        "index-7-00ff.lock",
        "objects/pack/tmp_pack_x",
        ".setup.tar.0123abcd.partial",
    )
    for name in left:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("")
    assert repository.sweep() == len(left)
    assert not any((path / name).exists() for name in left)
    assert repository.sweep() == 0
    assert repository.head() == head
    assert repository.content(head)


def test_a_repository_of_sha256(tmp_path):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    source = tmp_path / "s"
    line = ["git", "init", "-q", "--object-format=sha256", str(source)]
    subprocess.run(line, check=True, env=env)
    (source / "a").write_text("1")
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", "-C", str(source), "add", "."], check=True, env=env)
    subprocess.run(["git", "-C", str(source), *who, "commit", "-qm", "m"], check=True, env=env)
    repository = Repository.copy(source, tmp_path / "r.git")
    new = change(repository, repository.head(), b="2")
    assert len(new) == 64
    assert Repository(tmp_path / "r.git").content(new) == {"a": b"1", "b": b"2"}


def test_what_is_no_repository_is_told(tmp_path):
    with pytest.raises(RunError, match="wanted a folder"):
        Repository.copy(tmp_path / "none", tmp_path / "r")
    (tmp_path / "s" / ".git").mkdir(parents=True)
    with pytest.raises(RunError, match="wanted one with a commit"):
        Repository.copy(tmp_path / "s", tmp_path / "r")
