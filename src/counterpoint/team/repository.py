"""A team's repository: bare, filled and read through git's objects, merged in memory.

No file of it is ever written to a folder of this machine: what comes in is a clone, what goes to a
sandbox is a pack of objects, and what comes out of one is bytes that become a tree. Start with
`Repository.copy`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from counterpoint.errors import MissingPackageError, RunError
from counterpoint.runs.files import write_atomically
from counterpoint.team.content import LINK, SUBMODULE, Content, Entry, File
from counterpoint.team.git import attempt, git, make_ours, own_index
from counterpoint.team.paths import refused, refused_link, shown

BRANCH = "refs/heads/main"
PREFIX = "work-folder"
"""The file in the repository with the work folder, where that is not the top."""

SETUP = "setup.tar"
"""The file in the repository with what `setup` left. It is unpacked in sandboxes only."""


@dataclass(frozen=True)
class Merge:
    """What merging two commits comes to."""

    tree: str | None
    """The merged tree, or None where they conflict."""
    conflicts: tuple[str, ...] = ()
    """The files that conflict."""


class Repository:
    """The bare repository of a team, in the folder of its run.

    Args:
        path: of the bare repository.

    Raises:
        RunError: something else is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        make_ours(self.path)
        told = self.path / PREFIX
        self.prefix = told.read_text("utf-8", "surrogateescape") if told.is_file() else ""
        if self.prefix and refused(self.prefix.rstrip("/")):
            raise RunError(f"{told} names no folder of the repository")

    @classmethod
    def copy(cls, source: Path, path: Path) -> Repository:
        """A copy of somebody's repository at its HEAD, or of a folder that is in none.

        Of a folder inside a repository the whole repository is copied, and work is done in that
        folder. Of a folder that is in no repository, or that its repository does not know, what
        `.gitignore` names is left out.

        Raises:
            RunError: git says no.
            MissingPackageError: there is no git.
        """
        if shutil.which("git") is None:
            raise MissingPackageError("a team works in a git repository: apt-get install git")
        if not source.is_dir():
            raise RunError(f"got repository {source}; wanted a folder")
        path = path.absolute()
        found = _enclosing(source)
        if found is None:
            git("init", "--quiet", "--bare", "--template=", str(path))
            make_ours(path)
            made = cls(path)
            made._start(made.commit(_snapshot(path, source), (), "the folder as it was found"))
            return made
        top, prefix = found
        head = attempt("-C", str(top), "rev-parse", "--verify", "HEAD^{commit}")
        if head.returncode != 0:
            said = head.stderr.decode(errors="replace").strip().splitlines() or [""]
            raise RunError(f"got repository {top} ({shown(said[0])}); wanted one with a commit")
        git("clone", "--quiet", "--bare", "--no-hardlinks", "--single-branch", "--no-tags",
            "--template=", str(top), str(path))  # fmt: skip
        commit = git("--git-dir", str(path), "rev-parse", "HEAD^{commit}").decode().strip()
        git("--git-dir", str(path), "update-ref", BRANCH, commit)
        if prefix:
            write_atomically(path / PREFIX, prefix.encode("utf-8", "surrogateescape"))
        made = cls(path)
        made._start(commit)
        return made

    def _start(self, commit: str) -> None:
        self._git("update-ref", BRANCH, commit)
        self._git("symbolic-ref", "HEAD", BRANCH)
        for path in self.entries(commit):
            if (why := refused(path)) and "control" not in why and "long" not in why:
                raise RunError(f"got path {shown(path)} in the repository, and {why}")

    @property
    def setup(self) -> bytes:
        """What the plan's `setup` left, as an archive; nothing before that was done."""
        path = self.path / SETUP
        return path.read_bytes() if path.is_file() and not path.is_symlink() else b""

    def keep_setup(self, archive: bytes) -> None:
        """Keep what `setup` left."""
        write_atomically(self.path / SETUP, archive)

    def head(self) -> str:
        """The commit of the main branch."""
        return self._git("rev-parse", "--verify", BRANCH)

    def advance(self, new: str, old: str) -> bool:
        """Make `new` the head if `old` still is; whether it was."""
        return self._attempt("update-ref", BRANCH, new, old).returncode == 0

    def contains(self, commit: str) -> bool:
        """Whether a commit is in the head."""
        return self._attempt("merge-base", "--is-ancestor", commit, BRANCH).returncode == 0

    def commit(self, tree: str, parents: Sequence[str], message: str, author: str = "team") -> str:
        """A commit of a tree."""
        before = [word for parent in parents for word in ("-p", parent)]
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
               for key, value in (("NAME", author), ("EMAIL", f"{author}@localhost"))}  # fmt: skip
        text = message.encode("utf-8", "backslashreplace")
        return self._git("commit-tree", tree, *before, "-F", "-", data=text, env=who)

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self._git("rev-parse", "--verify", f"{commit}^{{tree}}")

    def changed_tree(self, base: str, changes: Mapping[str, File | None]) -> str:
        """The tree of a commit with changes: each is bytes and a mode, or None where it goes.

        Raises:
            RunError: a path that may not be written, or below a link or a submodule.
        """
        kept = {path: entry for path, entry in self.entries(base).items()
                if entry.mode == SUBMODULE or changes.get(path, True)}  # fmt: skip
        for path, file in changes.items():
            if file is not None and (why := self.why_not(path, file, kept)):
                raise RunError(f"{shown(path)} cannot be written: {why}")
        files = {path: file for path, file in changes.items() if file is not None}
        names = dict(zip(files, self._stored([f.data for f in files.values()]), strict=True))
        gone = [f"0 {'0' * len(base)}\t{path}\0" for path in changes if path not in files]
        new = [f"{file.mode} {names[path]}\t{path}\0" for path, file in files.items()]
        told = "".join(gone + new).encode("utf-8", "surrogateescape")
        with own_index(self.path) as env:
            self._git("read-tree", base, env=env)
            self._git("update-index", "--add", "--replace", "-z", "--index-info", data=told,
                      env=env)  # fmt: skip
            return self._git("write-tree", env=env)

    def why_not(self, path: str, file: File, others: Mapping[str, Entry]) -> str:
        """Why a file may not be written beside others, or "" if it may."""
        if file.mode == LINK:
            why = refused_link(path, file.data.decode("utf-8", "surrogateescape"))
        else:
            why = refused(path)
        if why:
            return why
        if path in others and others[path].mode == SUBMODULE:
            return "a submodule is there"
        parts = path.split("/")
        for count in range(1, len(parts)):
            above = others.get("/".join(parts[:count]))
            if above is not None:
                return f"{'a submodule' if above.mode == SUBMODULE else 'a file or link'} is above"
        if any(name.startswith(f"{path}/") for name in others):
            return "a folder with files is there"
        return ""

    def _stored(self, datas: Sequence[bytes]) -> list[str]:
        """Write blobs, and return their names; no filter sees them."""
        told = b"".join(b"blob\ndata %d\n%b\n" % (len(data), data) for data in datas)
        if told:
            self._git("fast-import", "--quiet", data=told)
        return [self.name_of(data) for data in datas]

    def name_of(self, data: bytes) -> str:
        """The name of an object with this content."""
        kind = hashlib.sha256 if len(self.head()) == 64 else hashlib.sha1
        return kind(b"blob %d\0" % len(data) + data).hexdigest()

    def changed(self, old: str, new: str) -> tuple[str, ...]:
        """Paths in which two commits or trees differ."""
        told = self._git("diff-tree", "-r", "--name-only", "-z", "--no-renames", old, new)
        return tuple(name for name in told.split("\0") if name)

    def lines(self, old: str, new: str) -> tuple[int, int]:
        """Lines added and removed between two commits or trees."""
        told = self._git("diff-tree", "-r", "--numstat", "--no-renames", old, new)
        added = removed = 0
        for row in told.splitlines():
            plus, minus, _ = row.split("\t", 2)
            added += int(plus) if plus.isdecimal() else 0
            removed += int(minus) if minus.isdecimal() else 0
        return added, removed

    def merge(self, ours: str, theirs: str) -> Merge:
        """Merge two commits from their common ancestor, in memory."""
        told = self._attempt("merge-tree", "--write-tree", "--name-only", "-z", "--no-messages",
                             ours, theirs)  # fmt: skip
        if told.returncode not in (0, 1):
            raise RunError(f"git could not merge ({told.stderr.decode(errors='replace'):.200})")
        parts = told.stdout.decode("utf-8", "surrogateescape").split("\0")
        tree, *names = [part for part in parts if part]
        return Merge(tree) if told.returncode == 0 else Merge(None, tuple(dict.fromkeys(names)))

    def content(self, commit: str) -> Content:
        """The files of a commit or tree."""
        return Content(self, commit)

    def entries(self, commit: str) -> dict[str, Entry]:
        """Path from the top to what a commit or tree has there, submodules and links included."""
        found: dict[str, Entry] = {}
        for row in self._git("ls-tree", "-r", "-l", "-z", "--full-tree", commit).split("\0"):
            head, _, path = row.partition("\t")
            if path:
                mode, _, name, size = head.split()
                found[path] = Entry(mode, name, int(size) if size.isdecimal() else 0)
        return found

    def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Name to content of objects."""
        asked = sorted(names)
        told = self._bytes("cat-file", "--batch", data="".join(f"{n}\n" for n in asked).encode())
        found, place = {}, 0
        for name in asked:
            end = told.index(b"\n", place)
            size = int(told[place:end].split()[2])
            found[name] = told[end + 1 : end + 1 + size]
            place = end + 2 + size
        return found

    def pack(self, commit: str) -> bytes:
        """A commit without its history, as a pack of objects."""
        return self._bytes("-c", "pack.compression=1", "pack-objects", "--revs", "--shallow",
                           "--stdout", "--quiet", "--window=0",
                           data=f"--shallow {commit}\n{commit}\n".encode())  # fmt: skip

    def _attempt(self, *words: str) -> CompletedProcess[bytes]:
        return attempt("--git-dir", str(self.path), *words)

    def _bytes(self, *words: str, data: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        return git("--git-dir", str(self.path), *words, data=data, env=env)

    def _git(self, *words: str, data: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        return (
            self._bytes(*words, data=data, env=env).decode("utf-8", "surrogateescape").rstrip("\n")
        )


def _enclosing(source: Path) -> tuple[Path, str] | None:
    """The repository that a folder is the top of, or in whose HEAD it is, and its place there."""
    source = source.resolve()
    if (source / "HEAD").is_file() and (source / "objects").is_dir():
        return source, ""
    for top in (source, *source.parents):
        if (top / ".git").exists():
            if top == source:
                return top, ""
            prefix = source.relative_to(top).as_posix()
            known = attempt("-C", str(top), "cat-file", "-t", f"HEAD:{prefix}")
            return (top, prefix + "/") if known.stdout.strip() == b"tree" else None
    return None


def _snapshot(path: Path, folder: Path) -> str:
    """The tree of the files of a folder that is no repository, byte for byte."""
    with own_index(path) as own:
        env = {**own, "GIT_WORK_TREE": str(folder), "GIT_DIR": str(path)}
        git("add", "--all", "--", ".", env=env, cwd=folder)
        return git("write-tree", env=env).decode().strip()
