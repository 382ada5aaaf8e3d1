"""Hostile repositories, workers and replies: nothing outside changes, and nothing runs here."""

from __future__ import annotations

import os
import shutil

import pytest
from hostile import ADDER, CHECK, KEYS, Place, quick_or_slow

from counterpoint.workers.repository.repository import Repository
from counterpoint.workers.sandbox.sandbox import run, why_no_sandbox

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def links(p):
    """Links of every kind, and tests that write through them."""
    v = p.victim
    p.put(
        {"real/x": "1"},
        {
            "docs": v,
            "notes": v / "bashrc",
            "out": "../victim",
            "up": "..",
            "here": "real",
            "a": "b",
            "b": "c",
            "c": v,
            "loop": "loop",
            "real/back": "../docs/bashrc",
            "nul": "/dev/null",
        },
    )
    p.put(
        {
            "check.sh": "rm -rf docs notes out; mkdir -p docs out; echo PWNED | tee docs/new notes "
            "out/bashrc c/x real/back\n" + CHECK
        }
    )
    p.commit()
    return p.work("sed -i s/-/+/ adder.sh; sh check.sh; echo x > up/victim/bashrc")


def configuration(p):
    """Every key of the source's configuration that names a program, its hooks and attributes."""
    p.put({".gitattributes": "* filter=e diff=e merge=e\n"})
    p.commit()
    for key in KEYS:
        p.git("config", key, str(p.program))
    p.git("config", "core.hooksPath", str(p.victim / "hooks"))
    p.git("config", "include.path", str(p.victim / "bashrc.config"))
    (p.victim / "bashrc.config").write_text(f"[core]\n\tfsmonitor = {p.program}\n")
    p.git("config", "core.worktree", str(p.victim))
    p.git("config", "remote.origin.url", f"ext::sh -c {p.program}")
    shutil.copytree(p.victim / "hooks", p.source / ".git" / "hooks", dirs_exist_ok=True)
    return p.work()


def broken_include(p):
    """A configuration that includes what is none."""
    p.commit()
    p.git("config", "include.path", "/dev/zero")
    return p.work()


def lazy(p):
    """A partial clone that lacks a file, and whose missing objects a program brings."""
    p.put({"big": "zzz\n"})
    p.commit()
    name = p.git("rev-parse", "HEAD:big")
    (p.source / ".git" / "objects" / name[:2] / name[2:]).unlink()
    for key, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": str(p.source),
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(p.program),
    }.items():
        p.git("config", key, value)
    return p.work()


def submodules(p):
    """Submodules whose URLs, paths and own repositories are programs and options."""
    head = p.commit()
    for place in ("lib", "-u", "deep/er"):
        p.git("update-index", "--add", "--cacheinfo", f"160000,{head},{place}")
    rows = [
        f'[submodule "{name}"]\n\tpath = {path}\n\turl = {url}\n\tupdate = !{p.program}\n'
        for name, path, url in (
            ("lib", "lib", f"ext::sh -c {p.program}"),
            ("../../x", "-u", f"-u{p.program}"),
            ("f", "deep/er", f"file://{p.victim}"),
            ("s", "ssh", f"ssh://-oProxyCommand={p.program}/x"),
        )
    ]
    p.put({".gitmodules": "".join(rows)})
    p.git("add", ".gitmodules")
    p.git("commit", "-qm", "with them")
    modules = p.source / ".git" / "modules" / "lib"
    shutil.copytree(p.source / ".git", modules, ignore=shutil.ignore_patterns("modules"))
    shutil.copytree(p.victim / "hooks", modules / "hooks", dirs_exist_ok=True)
    p.git("config", "submodule.recurse", "true")
    return p.work("sed -i s/-/+/ adder.sh; rm -rf lib; echo x > lib; echo y > deep/er/z")


def nested(p):
    """A folder that is no repository, with repositories in it."""
    inner = p.source / "sub"
    inner.mkdir()
    p.git("init", "-q", at=inner)
    (inner / "x").write_text("1")
    p.git("add", "x", at=inner)
    p.git("commit", "-qm", "m", at=inner)
    for key in KEYS:
        p.git("config", key, str(p.program), at=inner)
    p.git("config", "core.worktree", "/", at=inner)
    shutil.copytree(p.victim / "hooks", inner / ".git" / "hooks", dirs_exist_ok=True)
    (p.source / "other").mkdir()
    (p.source / "other" / ".git").write_text(f"gitdir: {inner}/.git\n")
    return p.work()


def names(p):
    """Names that terminals, shells, databases and other file systems take for something else."""
    odd = [
        "\x1b[31mred",
        "a\nb",
        "\u202etxt.exe",
        "-rf",
        "--help",
        "caf\udce9",
        "\udcff\udcfe",
        "a b",
        "$(touch x)",
        "`x`",
        "'\"",
        "CON",
        "aux.txt",
        "trailing.",
        "trailing ",
        "README",
        "readme",
        "\u200b",
        "\u2028x",
        "a\\b",
        "x" * 255,
        "/".join(["d" * 200] * 19) + "/f",
        "\x7f",
        "\x9b31m",
    ]
    p.put(dict.fromkeys(odd, "1"))
    p.commit()
    return p.work(
        'sed -i s/-/+/ adder.sh; for f in *; do echo 2 >> "./$f"; done; git mv -f CON nul'
    )


def as_git(p):
    """A tree with a folder named as git's own, with a configuration and hooks."""
    p.commit()
    sub = p.git("mktree", data=f"100644 blob {p.blob(b'[core]')}\tconfig\n".encode())
    p.raw_tree(("100644", b"adder.sh", p.blob(b"x")), ("40000", b".GIT", sub))
    return p.work(), ".GIT/config"


def dotted(p):
    """A tree with a folder that is the one above."""
    p.commit()
    sub = p.git("mktree", data=f"100644 blob {p.blob(b'x')}\tbashrc\n".encode())
    p.raw_tree(("40000", b"..", p.git("mktree", data=f"040000 tree {sub}\tvictim\n".encode())))
    return p.work(), "../victim/bashrc"


def slashed(p):
    """A tree whose names have folders in them, and none."""
    p.commit()
    p.raw_tree(
        ("100644", f"{p.victim}/bashrc".encode(), p.blob(b"x")), ("100644", b"", p.blob(b"x"))
    )
    return p.work()


def twice(p):
    """A tree with a file that is there twice."""
    p.commit()
    p.raw_tree(
        ("100644", b"adder.sh", p.blob(ADDER.encode())),
        ("100644", b"adder.sh", p.blob(b"exit 1")),
        ("100644", b"check.sh", p.blob(CHECK.encode())),
    )
    return p.work(), "twice"


def both(p):
    """A tree with a link and a folder of one name."""
    p.commit()
    sub = p.git("mktree", data=f"100644 blob {p.blob(b'PWNED')}\tbashrc\n".encode())
    p.raw_tree(("120000", b"d", p.blob(str(p.victim).encode())), ("40000", b"d", sub))
    return p.work(), "as a file and as a folder"


def modes(p):
    """A tree with modes that no git writes."""
    p.commit()
    rows = [
        ("100664", b"adder.sh", p.blob(ADDER.encode())),
        ("104755", b"check.sh", p.blob(CHECK.encode())),
        ("120777", b"l", p.blob(str(p.victim).encode())),
        ("60000", b"z", p.blob(b"x")),
    ]
    p.raw_tree(*rows)
    return p.work()


def bomb(p):
    """Ten folders in ten folders, and so on: a dozen objects, ten thousand million files."""
    p.commit()
    tree = p.git("mktree", data=f"100644 blob {p.blob(b'x')}\tf\n".encode())
    for _ in range(10):
        rows = "".join(f"040000 tree {tree}\td{i}\n" for i in range(10))
        tree = p.git("mktree", data=rows.encode())
    p.git("update-ref", "HEAD", p.git("commit-tree", tree, "-m", "bomb"))
    return p.work(), "names"


def deep(p):
    """Thousands of folders in each other."""
    p.commit()
    path = "d/" * 4000 + "f"
    told = f"commit refs/heads/trunk\ncommitter n <e> 0 +0000\ndata 0\nM 100644 inline {path}\n"
    p.git("fast-import", "--quiet", "--force", data=told.encode() + b"data 1\nx\n")
    return p.work()


def inflating(p):
    """A file of 300 MB that is 300 kB in the repository."""
    p.put({"zeros": b"\0" * (300 << 20)})
    p.commit()
    (p.source / "zeros").unlink()
    return p.work(), "disk_mb"


def many(p):
    """More files than the limit on files."""
    p.put({f"d{i % 7}/f{i}": str(i) for i in range(600)})
    p.commit()
    return p.work(limits={"seconds": 30, "files": 300}), "files"


def attributes(p):
    """Attributes that change what is checked out; here they change no byte."""
    p.put(
        {
            ".gitattributes": "* text eol=crlf ident export-subst working-tree-encoding=UTF-16 "
            "filter=lfs diff=lfs merge=lfs\n*.sh export-ignore\n",
            "i.c": "$Id$ $Format:%H$\n",
            "crlf": "a\r\nb\n",
        }
    )
    p.commit()
    said = p.work()
    assert p.at_head("diff", "--name-only", p.git("rev-parse", "HEAD"), "main") == "adder.sh"
    return said


def ignoring(p):
    """A repository that ignores everything."""
    p.put({".gitignore": "*\n"})
    p.commit()
    return p.work("sed -i s/-/+/ adder.sh; echo 1 > new"), "ignored"


def ignoring_folder(p):
    """A folder that ignores everything: nothing is left to work on."""
    p.put({".gitignore": "*\n"})
    return p.work()


def pipes(p):
    """A pipe and devices in the source; those among git's own files would never end."""
    p.commit()
    os.mkfifo(p.source / "pipe")
    os.mkfifo(p.source / ".git" / "objects" / "pipe")
    return p.work(), "pipe"


def pipes_beside(p):
    """A pipe, and where that is possible a device, in a folder that is no repository."""
    os.mkfifo(p.source / "pipe")
    if os.geteuid() == 0:
        os.mknod(p.source / "zero", 0o20666, os.makedev(1, 5))
    return p.work()


def borrowed(p):
    """Objects that lie elsewhere, by link and by name."""
    p.commit()
    objects = p.source / ".git" / "objects"
    shutil.copytree(objects, p.victim / "objects")
    (objects / "info" / "alternates").write_text(f"{p.victim}/objects\n/dev/zero\n/etc\n")
    shutil.rmtree(objects / "pack")
    (objects / "pack").symlink_to(p.victim / "hooks")
    return p.work()


def elsewhere(p):
    """A head that is a link, and refs that lead out."""
    p.commit()
    (p.source / ".git" / "HEAD").unlink()
    (p.source / ".git" / "HEAD").symlink_to("refs/heads/trunk")
    (p.source / ".git" / "refs" / "heads" / "x").symlink_to(p.victim / "bashrc")
    return p.work()


def by_file(p):
    """`.git` is a file that names another's repository."""
    p.commit()
    (p.source / ".git").rename(p.victim / "their.git")
    p.git("config", "core.fsmonitor", str(p.program), at=p.victim / "their.git")
    p.git("config", "core.bare", "false", at=p.victim / "their.git")
    (p.source / ".git").write_text(f"gitdir: {p.victim}/their.git\n")
    return p.work()


def of_nobody(p):
    """`.git` is a file that leads nowhere."""
    (p.source / ".git").write_text("gitdir: ../nowhere\n")
    return p.work()


def bare(p):
    """A bare repository with hooks, and files as if it were none."""
    p.commit()
    inner = p.source / ".git"
    shutil.copytree(p.victim / "hooks", inner / "hooks", dirs_exist_ok=True)
    p.git("config", "uploadpack.packObjectsHook", str(p.program))
    moved = p.root / "moved"
    inner.rename(moved)
    shutil.rmtree(p.source)
    moved.rename(p.source)
    return p.work()


MENDED = [
    links,
    configuration,
    submodules,
    nested,
    names,
    modes,
    attributes,
    ignoring,
    pipes_beside,
    borrowed,
    elsewhere,
    by_file,
    bare,
]
REFUSED = [
    broken_include,
    lazy,
    as_git,
    dotted,
    slashed,
    twice,
    both,
    bomb,
    inflating,
    many,
    ignoring_folder,
    pipes,
    of_nobody,
    deep,
]


QUICK = {links, configuration, names, as_git, bomb}
"""What every run of the tests tries; the others are slow."""


@pytest.mark.fault("R26")
@pytest.mark.few(1)
@pytest.mark.parametrize("attack", quick_or_slow(MENDED, QUICK))
def test_a_hostile_repository_is_worked_on_and_stays_inside(place, attack):
    said = check(place, attack)
    assert said.status == 0, said.all + place.notes()


@pytest.mark.fault("R26")
@pytest.mark.parametrize("attack", quick_or_slow(REFUSED, QUICK))
def test_a_hostile_repository_is_refused_with_a_reason(place, attack):
    assert check(place, attack).status in (1, 2, 3), place.notes()


def check(place, attack):
    """Let it attack; what the command line said of it, with the reason that it had to give."""
    told = attack(place)
    said, reason = told if isinstance(told, tuple) else (told, "")
    place.verify()
    assert reason in said.all + place.notes()
    return said


def swaps(p):
    """A worker that puts links, pipes, odd names and git's own names in place of everything."""
    p.put({"docs/a": "1", "docs/b": "2", "x": "1"}, {"l": "x"})
    p.commit()
    v = p.victim
    said = p.work(
        f"sed -i s/-/+/ adder.sh; rm -rf docs x l; ln -s {v} docs; ln -s ../../{v} x; mkdir l; "
        f"ln -s {v}/bashrc l/y; mkdir -p n .GIT; echo 1 > .GIT/config; ln -s {v} n/.git; ln -s x .git2; "  # noqa: E501
        f"ln -s {v} .gitmodules; mkfifo p; mkdir h; cp -r .git h/.git; "
        f"git config core.fsmonitor {p.program}; printf x > \"$(printf 'a\\nb')\"; printf x > ./-rf; "  # noqa: E501
        "printf x > \"$(printf '\\033[31m')\"; printf x > \"$(printf 'caf\\351')\"; chmod 4755 check.sh"  # noqa: E501
    )
    modes = [row.split()[0] for row in p.at_head("ls-tree", "-r", "main").splitlines()]
    assert set(modes) <= {"100644", "100755", "120000"}
    return said, "changes not taken"


def replaced(p):
    """A worker that puts a file where a folder is, and a folder where a file is."""
    p.put({"docs/a": "1", "x": "1"})
    p.commit()
    return p.work("sed -i s/-/+/ adder.sh; rm -rf docs x; echo 1 > docs; mkdir x; echo 1 > x/y")


def loud(p):
    """Tests and a worker whose names and words are orders for a terminal."""
    p.put(
        {"check.sh": CHECK + "printf 'not ok 3 - \\033[31m\\342\\200\\256evil\\302\\23331m\\n'\n"}
    )
    p.commit()
    p.work(
        "sed -i s/-/+/ adder.sh; printf '\\033]0;x\\007\\342\\200\\256\\377'; exit 3",
        name="\x1b[2J\u202e",
    )
    p.call("team", "status", p.run)
    p.call("team", "status", p.run, "--json")
    p.call("audit", p.run / "episodes.jsonl")
    assert "evil" in p.said[-3].all
    return p.said[0]


def files(*pairs):
    return "".join(f"FILE: {path}\n```\n{text}\n```\n\n" for path, text in pairs)


MENDED_FILE = ("adder.sh", "echo $(($1 + $2))")
REPLIES = {
    "absolute": [("{victim}/bashrc", "PWNED"), ("//{victim}/bashrc", "PWNED"), ("/etc/x", "PWNED")],
    "dotted": [("../victim/bashrc", "x"), ("a/../../victim/bashrc", "x"), ("./../victim/new", "x")],
    "git": [
        (".git/config", "x"),
        (".GIT/hooks/pre-commit", "x"),
        ("git~1/config", "x"),
        (".g\u200cit/config", "x"),
        (".git./config", "x"),
        (".git::$INDEX/x", "x"),
    ],
    "below": [("docs/bashrc", "x"), ("check.sh/x", "x"), ("adder.sh/../docs/x", "x")],
    "instead": [("docs", "x"), ("folder", "x"), ("new", "1"), ("new/below", "2")],
    "long": [("x" * 300, "x"), ("a/" * 2100 + "b", "x")],
    "signs": [("\x1b[31m", "x"), ("\u202egnp.exe", "x"), ("a\x7fb", "x"), ("a\\b", "x")],
    "nobody": [("\ud800", "\udfff"), ("a\udce9", "\ud83d")],
    "many": [(f"f{i}", str(i)) for i in range(3000)],
}


@pytest.mark.fault("R26")
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "absolute" else pytest.mark.slow) for n in REPLIES]
)
def test_a_hostile_reply_of_a_model_stays_inside(place, name):
    pytest.importorskip("openai")
    place.put({"folder/a": "1", "folder/b": "2"}, {"docs": place.victim})
    place.commit()
    pairs = [(path.format(victim=place.victim), text) for path, text in REPLIES[name]]
    said = place.ask(files(*pairs, MENDED_FILE))
    place.verify()
    assert place.at_head("show", "main:folder/a") == "1"
    if name == "nobody":  # a reply that is no text is no reply
        assert said.status == 1
        return
    assert said.status == 0, said.all + place.notes()
    assert "+" in place.at_head("show", "main:adder.sh")


@pytest.mark.fault("R26")
@pytest.mark.parametrize("attack", [pytest.param(one, marks=pytest.mark.slow, id=one.__name__)
                                    for one in (swaps, replaced, loud)])  # fmt: skip
def test_a_hostile_worker_stays_inside(place, attack):
    said = check(place, attack)
    assert said.status == (attack is loud), said.all + place.notes()  # a test of it never passes
    assert "+" in place.at_head("show", "main:adder.sh")


def seconds_of(*work):
    """Processor time of this process and its children."""
    before = os.times()
    for one in work:
        one()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


@pytest.mark.slow
def test_ten_thousand_files_take_at_most_five_times_what_git_takes(place):
    place.put({f"d{i % 100}/f{i}.py": f"x = {i}\n" * 20 for i in range(10_000)})
    place.commit()

    def git_alone():
        place.git(
            "clone", "-q", "--bare", "--no-local", str(place.source), str(place.root / "run" / "g")
        )
        place.git("archive", "-o", str(place.root / "run" / "g.tar"), "HEAD")

    def ours():
        repository = Repository.copy(place.source, place.run / "r.git")
        assert run(["/bin/true"], repository.content(repository.head())).status == 0

    place.run.mkdir()
    alone = seconds_of(git_alone)
    assert seconds_of(ours) < 5 * alone


@pytest.mark.slow
def test_a_file_of_200_mb_is_refused_by_name_and_worked_on_with_room(place):
    place.put({"big": os.urandom(200 << 20)})
    place.commit()
    said = place.work()
    assert said.status == 1
    assert "disk_mb = 128" in said.all
    shutil.rmtree(place.run)
    said = place.work(limits={"seconds": 100, "disk_mb": 512})
    assert said.status == 0, said.all
    place.verify()
