"""A team's repository: bare, filled and read through git's objects, merged in memory.

No file of it is ever written to a folder of this machine: what comes in is a clone, what goes to a
sandbox is a pack of objects, and what comes out of one is bytes that become a tree. Start with
`Repository.copy`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from counterpoint.errors import MissingPackageError, RunError
from counterpoint.runs.files import remove, write_atomically
from counterpoint.workers.repository.files import (
    FILE,
    LINK,
    PROGRAM,
    File,
    TreeEntry,
    TreeLayout,
    escaped_path,
    refused,
)
from counterpoint.workers.repository.git import (
    OID,
    copy_commit,
    enclosing_repository,
    first_line,
    git,
    secure_repository,
    special_file,
    temporary_index,
    try_git,
)

BRANCH = "refs/heads/main"
PREFIX = "work-folder"
"""The file in the repository with the work folder, where that is not the top."""
MOST_NAMES = 128 << 20
"""Bytes of the list of all files of a commit: more than a million files."""

SETUP = "setup.tar"
"""The file in the repository with what `setup` left. It is unpacked in sandboxes only."""


@dataclass(frozen=True)
class Merge:
    """The result of merging two commits."""

    tree: str | None
    """The merged tree, or None where they conflict."""
    conflicts: tuple[str, ...] = ()
    """The files that conflict."""


class Repository:
    """The bare repository of a team, in the folder of its run.

    Args:
        path: of the bare repository.
        author: who commits, `Name <mail>`; without it the author that `commit` names.

    Raises:
        RunError: something else is there.
    """

    def __init__(self, path: Path, author: str = "") -> None:
        self.path = path.absolute()
        self.author = author
        secure_repository(self.path)
        place = self.path / PREFIX
        self.prefix = place.read_text("utf-8", "surrogateescape") if place.is_file() else ""
        if self.prefix and refused(self.prefix.rstrip("/")):
            raise RunError(f"{place} names no folder of the repository")

    @classmethod
    def copy(cls, source: Path, path: Path) -> Repository:
        """Returns a copy of somebody's repository at its HEAD, or of a folder that is in none.

        A folder inside a repository is copied with the whole repository, and work is done in that
        folder. If the folder is in no repository, or its repository does not know it, the files
        that `.gitignore` names are left out.

        Raises:
            RunError: git says no.
            MissingPackageError: there is no git.
        """
        if shutil.which("git") is None:
            raise MissingPackageError("a team works in a git repository: apt-get install git")
        if not source.is_dir():
            raise RunError(f"got repository {source}; wanted a folder")
        path = path.absolute()
        pipe = special_file(source / ".git", links=True)
        if pipe is not None:
            name = escaped_path(str(pipe))
            raise RunError(f"{name} is a pipe or a device; wanted files and folders")
        enclosing = enclosing_repository(source)
        if enclosing is None:
            git("init", "--quiet", "--bare", "--template=", str(path))
            secure_repository(path)
            made = cls(path)
            with temporary_index(path) as own:  # the files of the folder, byte for byte
                env = {**own, "GIT_WORK_TREE": str(source), "GIT_DIR": str(path)}
                git("add", "--all", "--", ".", env=env, cwd=source)
                tree = git("write-tree", env=env).decode().strip()
            made._start(made.commit(tree, (), "the folder as it was found"))
            return made
        top, prefix = enclosing
        head = try_git("-C", str(top), "rev-parse", "--verify", "HEAD^{commit}")
        if head.returncode != 0:
            raise RunError(f"got repository {escaped_path(str(top))} ({first_line(head.stderr)}); "
                           "wanted one with a commit")  # fmt: skip
        commit = head.stdout.decode().strip()
        kind = "sha256" if len(commit) == 64 else "sha1"
        git("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", str(path))
        copy_commit(top, commit, path)
        git("--git-dir", str(path), "update-ref", BRANCH, commit)
        if prefix:
            write_atomically(path / PREFIX, prefix.encode("utf-8", "surrogateescape"))
        made = cls(path)
        made._start(commit)
        return made

    def _start(self, commit: str) -> None:
        self._git("update-ref", BRANCH, commit)
        self._git("symbolic-ref", "HEAD", BRANCH)
        entries = self.entries(commit)
        if both := TreeLayout(entries).folders & entries.keys():
            name = escaped_path(min(both))
            raise RunError(f"got {name} as a file and as a folder; wanted it once")
        for path in entries:
            if (why := refused(path)) and "control" not in why and "long" not in why:
                raise RunError(f"got path {escaped_path(path)} in the repository, and {why}")

    @property
    def setup(self) -> bytes:
        """Returns what the plan's `setup` left, as an archive; it is empty before that was done."""
        path = self.path / SETUP
        return path.read_bytes() if path.is_file() and not path.is_symlink() else b""

    def keep_setup(self, archive: bytes) -> None:
        """Stores what `setup` left."""
        write_atomically(self.path / SETUP, archive)

    def sweep(self) -> int:
        """Deletes what killed members left half-written, while nobody works here; returns how many
        files it was."""
        patterns = ("index-*", "objects/??/tmp_obj_*", "objects/pack/tmp_*", ".*.partial")
        left = [path for pattern in patterns for path in self.path.glob(pattern)]
        for path in left:
            remove(path)
        return len(left)

    def head(self) -> str:
        """Returns the commit of the main branch."""
        return self._git("rev-parse", "--verify", BRANCH)

    def advance(self, new: str, old: str) -> bool:
        """Makes `new` the head if `old` still is, and returns whether it was."""
        # git compares and writes in one step: of two members, one alone moves the branch
        ended = self._attempt("update-ref", BRANCH, _object_name(new), _object_name(old))
        return ended.returncode == 0

    def contains(self, commit: str) -> bool:
        """Returns whether a commit is in the head."""
        ended = self._attempt("merge-base", "--is-ancestor", _object_name(commit), BRANCH)
        return ended.returncode == 0

    def commit(self, tree: str, parents: Sequence[str], message: str, author: str = "team") -> str:
        """Makes a commit of a tree, and returns its name."""
        before = [word for parent in parents for word in ("-p", _object_name(parent))]
        name, _, mail = (self.author or f"{author} <{author}@localhost>").partition("<")
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
               for key, value in (("NAME", name.strip()), ("EMAIL", mail[:-1]))}  # fmt: skip
        text = message.encode("utf-8", "backslashreplace")
        return self._git("commit-tree", _object_name(tree), *before, "-F", "-", data=text, env=who)

    def tree(self, commit: str) -> str:
        """Returns the tree of a commit."""
        return self._git("rev-parse", "--verify", f"{_object_name(commit)}^{{tree}}")

    def changed_tree(self, base: str, changes: Mapping[str, File | None]) -> str:
        """Returns the tree of a commit with changes; a path whose file is None is removed.

        Raises:
            RunError: a path that may not be written, or below a link or a submodule.
        """
        removed = {path for path, file in changes.items() if file is None}
        layout = TreeLayout(self.entries(base), removed)
        for path, file in changes.items():
            if file is not None and (why := layout.why_not(path, file)):
                raise RunError(f"{escaped_path(path)} cannot be written: {why}")
        files = {path: file for path, file in changes.items() if file is not None}
        names = dict(zip(files, self._stored([f.data for f in files.values()]), strict=True))
        gone = [f"0 {'0' * len(base)}\t{path}\0" for path in changes if path not in files]
        new = [f"{file.mode} {names[path]}\t{path}\0" for path, file in files.items()]
        index_rows = "".join(gone + new).encode("utf-8", "surrogateescape")
        # an index of its own, so that members can build trees at the same time
        with temporary_index(self.path) as env:
            self._git("read-tree", base, env=env)
            ended = self._attempt("update-index", "--add", "--replace", "-z", "--index-info",
                                  data=index_rows, env=env)  # fmt: skip
            if ended.returncode != 0 or ended.stderr:  # git leaves a path out, and goes on
                raise RunError(f"git update-index failed ({first_line(ended.stderr)})")
            return self._git("write-tree", env=env)

    def _stored(self, datas: Sequence[bytes]) -> list[str]:
        """Writes blobs, and returns their names; no filter sees them."""
        commands = b"".join(b"blob\ndata %d\n%b\n" % (len(data), data) for data in datas)
        if commands:
            self._git("fast-import", "--quiet", data=commands)
        return [self.name_of(data) for data in datas]

    def name_of(self, data: bytes) -> str:
        """Returns the name of an object with this content."""
        return str(self._hash(b"blob %d\0" % len(data) + data).hexdigest())

    @cached_property
    def _hash(self) -> Callable[[bytes], Any]:
        """Returns the hash that names objects; it is cached, for a commit can have many files."""
        return hashlib.sha256 if len(self.head()) == 64 else hashlib.sha1

    def changed(self, old: str, new: str) -> tuple[str, ...]:
        """Returns the paths in which two commits or trees differ."""
        names = self._git("diff-tree", "-r", "--name-only", "-z", "--no-renames", _object_name(old),
                          _object_name(new))  # fmt: skip
        return tuple(name for name in names.split("\0") if name)

    def lines(self, old: str, new: str) -> tuple[int, int]:
        """Returns the lines added and removed between two commits or trees."""
        rows = self._git("diff-tree", "-r", "-z", "--numstat", "--no-renames", _object_name(old),
                         _object_name(new))  # fmt: skip
        added = removed = 0
        for row in filter(None, rows.split("\0")):
            plus, minus, _ = row.split("\t", 2)
            # a binary file has "-" for both numbers
            added += int(plus) if plus.isdecimal() else 0
            removed += int(minus) if minus.isdecimal() else 0
        return added, removed

    def merge(self, ours: str, theirs: str) -> Merge:
        """Merges two commits from their common ancestor, in memory."""
        ended = self._attempt("merge-tree", "--write-tree", "--name-only", "-z", "--no-messages",
                              _object_name(ours), _object_name(theirs))  # fmt: skip
        if ended.returncode not in (0, 1):
            raise RunError(f"git could not merge ({first_line(ended.stderr)})")
        parts = ended.stdout.decode("utf-8", "surrogateescape").split("\0")
        # the tree is followed by the files in conflict, each once for every version of it
        tree, *names = [part for part in parts if part]
        return Merge(tree) if ended.returncode == 0 else Merge(None, tuple(dict.fromkeys(names)))

    def patch(self, base: str, head: str) -> bytes:
        """Returns the commits from one to the other, as `git am` takes them."""
        return self._bytes("format-patch", "--stdout", "--binary", "--no-signature",
                           f"{base}..{head}")  # fmt: skip

    def content(self, commit: str) -> Content:
        """Returns the files of a commit or tree."""
        return Content(self, commit)

    def entries(self, commit: str) -> dict[str, TreeEntry]:
        """Returns path from the top to each entry of a commit or tree, submodules and links too.

        Raises:
            RunError: there are more names than `MOST_NAMES`, for few objects can make a tree of
                any size; or one of them is there twice.
        """
        entries: dict[str, TreeEntry] = {}
        listing = git("--git-dir", str(self.path), "ls-tree", "-r", "-l", "-z", "--full-tree",
                      _object_name(commit), most=MOST_NAMES)  # fmt: skip
        for row in listing.decode("utf-8", "surrogateescape").split("\0"):
            head, _, path = row.partition("\t")
            if path in entries:
                raise RunError(f"got {escaped_path(path)} twice in the repository; wanted it once")
            if path:
                mode, _, name, size = head.split()
                if mode.startswith("100"):  # old versions of git wrote other bits, too
                    mode = PROGRAM if int(mode, 8) & 0o100 else FILE
                entries[path] = TreeEntry(mode, name, int(size) if size.isdecimal() else 0)
        return entries

    def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Returns name to content of objects."""
        ordered = sorted(names)
        batch = self._bytes("cat-file", "--batch", data="".join(f"{n}\n" for n in ordered).encode())
        contents, place = {}, 0
        for name in ordered:
            # each answer is a line with name, type and size, then the content, then a line end
            end = batch.index(b"\n", place)
            size = int(batch[place:end].split()[2])
            contents[name] = batch[end + 1 : end + 1 + size]
            place = end + 2 + size
        return contents

    def pack(self, commit: str) -> bytes:
        """Returns a commit without its history, as a pack of objects."""
        wanted = f"--shallow {_object_name(commit)}\n{commit}\n".encode()
        return self._bytes("-c", "pack.compression=1", "pack-objects", "--revs", "--shallow",
                           "--stdout", "--quiet", "--window=0", data=wanted)  # fmt: skip

    def _attempt(
        self, *words: str, data: bytes = b"", env: Mapping[str, str] | None = None
    ) -> CompletedProcess[bytes]:
        return try_git("--git-dir", str(self.path), *words, data=data, env=env)

    def _bytes(self, *words: str, data: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        return git("--git-dir", str(self.path), *words, data=data, env=env)

    def _git(self, *words: str, data: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        output = self._bytes(*words, data=data, env=env)
        return output.decode("utf-8", "surrogateescape").rstrip("\n")


def _object_name(text: str) -> str:
    """Returns the name of an object, as it is.

    Raises:
        RunError: it is something else: git would take some text for an option.
    """
    if OID.fullmatch(text) is None:
        raise RunError(f"got {escaped_path(text)!r}; wanted the whole name of a commit or tree")
    return text


@dataclass(frozen=True, eq=False)
class Content(Mapping[str, bytes]):
    """Path to bytes of every file below the work folder of a commit; links are no files here.

    Paths are relative to the work folder, which is the top unless the plan names a subfolder of a
    repository. The content is read at its first use.
    """

    repository: Repository
    commit: str
    """Name of the commit, or tree."""
    changes: Mapping[str, File | None] = field(default_factory=dict)
    """Path from the top to a file that is not in the commit; None if it is removed."""

    @property
    def prefix(self) -> str:
        """Returns the work folder, with "/" at its end, or ""."""
        return self.repository.prefix

    @cached_property
    def entries(self) -> Mapping[str, TreeEntry]:
        """Returns path from the top to what the commit has there."""
        return self.repository.entries(self.commit)

    def edited(self, changes: Mapping[str, File | None]) -> Content:
        """Returns the same with these changes on top; paths are from the top."""
        return Content(self.repository, self.commit, {**self.changes, **changes})

    @cached_property
    def _files(self) -> dict[str, bytes | str]:
        """Returns path to content, or to the name of the object that has it."""
        files: dict[str, bytes | str] = {
            path: entry.oid for path, entry in self.entries.items()
            if entry.mode in (FILE, PROGRAM)
        }  # fmt: skip
        for path, file in self.changes.items():
            files.pop(path, None)
            if file is not None and file.mode != LINK:
                files[path] = file.data
        start = len(self.prefix)
        return {path[start:]: what for path, what in files.items() if path.startswith(self.prefix)}

    @cached_property
    def _read(self) -> dict[str, bytes]:
        return self.repository.blobs(what for what in self._files.values() if isinstance(what, str))

    def __getitem__(self, path: str) -> bytes:
        what = self._files[path]
        return what if isinstance(what, bytes) else self._read[what]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
