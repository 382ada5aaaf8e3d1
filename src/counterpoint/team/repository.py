"""Git for a team: one bare repository, a worktree for each attempt, merges without a worktree.

Git runs outside the sandbox and trusts nothing that came out of it: no hooks, no configuration but
its own, and the folder of a worktree is named instead of found.
"""

from __future__ import annotations

import fcntl
import io
import os
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from counterpoint.errors import MissingPackageError, RunError

BRANCH = "refs/heads/main"
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
    "-c", "maintenance.auto=false", "-c", "core.quotePath=false", "-c", "core.autocrlf=false",
    "-c", "commit.gpgSign=false", "-c", "core.symlinks=true", "-c", "advice.detachedHead=false",
)  # fmt: skip


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
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def copy(cls, source: Path, path: Path) -> Repository:
        """A copy of somebody's repository at its HEAD, or of a folder that is none.

        Raises:
            RunError: git says no.
            MissingPackageError: there is no git.
        """
        if shutil.which("git") is None:
            raise MissingPackageError("a team works in a git repository: apt-get install git")
        if not source.is_dir():
            raise RunError(f"got repository {source}; wanted a folder")
        made = cls(path)
        if (source / ".git").exists():
            how = ("--quiet", "--bare", "--no-hardlinks", "--single-branch")
            clone = ["git", *_SAFE, "clone", *how, str(source), str(path)]
            _checked(clone, None)
            made._git("update-ref", BRANCH, made._git("rev-parse", "HEAD"))
        else:
            _checked(["git", *_SAFE, "init", "--quiet", "--bare", str(path)], None)
            tree = made._snapshot(source)
            made._git("update-ref", BRANCH, made.commit(tree, (), "the folder as it was found"))
        made._git("symbolic-ref", "HEAD", BRANCH)
        return made

    def head(self) -> str:
        """The commit of the main branch."""
        return self._git("rev-parse", BRANCH)

    def advance(self, new: str, old: str) -> bool:
        """Make `new` the head if `old` still is; whether it was."""
        return self._run("update-ref", BRANCH, new, old).returncode == 0

    def contains(self, commit: str) -> bool:
        """Whether a commit is in the head."""
        return self._run("merge-base", "--is-ancestor", commit, BRANCH).returncode == 0

    def commit(self, tree: str, parents: Sequence[str], message: str, author: str = "team") -> str:
        """A commit of a tree."""
        before = [word for parent in parents for word in ("-p", parent)]
        return self._git("commit-tree", tree, *before, "-m", message, author=author)

    def worktree(self, folder: Path, commit: str) -> None:
        """Check a commit out in a folder of its own."""
        with self._one_at_a_time():
            self._git("worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)

    def forget(self, folder: Path) -> None:
        """Take a worktree away."""
        shutil.rmtree(folder, ignore_errors=True)
        with self._one_at_a_time():
            self._git("worktree", "prune")

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Git loses a worktree that is made while others are pruned."""
        with (self.path / "worktrees.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def recorded(self, folder: Path) -> str:
        """The tree of all files of a worktree as they are now."""
        return self._snapshot(folder)

    def _snapshot(self, folder: Path) -> str:
        index = self.path / f"index-{secrets.token_hex(8)}"
        env = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(folder)}
        try:
            exclude = [":(exclude).git", ":(exclude,glob)**/.git/**"]
            self._git("add", "--all", "--force", "--", ".", *exclude, env=env, cwd=folder)
            return self._git("write-tree", env=env)
        finally:
            index.unlink(missing_ok=True)

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
        told = self._run("merge-tree", "--write-tree", "--name-only", "-z", "--no-messages", ours,
                         theirs)  # fmt: skip
        if told.returncode not in (0, 1):
            raise RunError(f"git could not merge ({told.stderr.strip():.200})")
        tree, *names = [part for part in told.stdout.split("\0") if part]
        return Merge(tree) if told.returncode == 0 else Merge(None, tuple(dict.fromkeys(names)))

    def content(self, commit: str) -> dict[str, bytes]:
        """Path to content of every file of a commit or tree; links are left out."""
        told = _checked_bytes(
            ["git", *_SAFE, "--git-dir", str(self.path), "archive", "--format=tar", commit],
            self._env(),
        )
        with tarfile.open(fileobj=io.BytesIO(told), mode="r:") as tar:
            found = {}
            for info in tar:
                stream = tar.extractfile(info) if info.isfile() else None
                if stream is not None:
                    found[info.name] = stream.read()
            return found

    def _env(self, more: Mapping[str, str] | None = None, author: str = "team") -> dict[str, str]:
        who = {"NAME": author, "EMAIL": f"{author}@localhost"}
        named = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
                 for key, value in who.items()}  # fmt: skip
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0", **named, **(more or {}),
        }  # fmt: skip

    def _run(
        self, *words: str, env: Mapping[str, str] | None = None, author: str = "team",
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        line = ["git", *_SAFE, "--git-dir", str(self.path.absolute()), *words]
        return subprocess.run(line, capture_output=True, text=True, errors="surrogateescape",
                              env=self._env(env, author), cwd=cwd, check=False)  # fmt: skip

    def _git(
        self, *words: str, env: Mapping[str, str] | None = None, author: str = "team",
        cwd: Path | None = None,
    ) -> str:  # fmt: skip
        told = self._run(*words, env=env, author=author, cwd=cwd)
        if told.returncode != 0:
            raise RunError(f"git {words[0]} failed ({told.stderr.strip():.300})")
        return told.stdout.strip("\n")


def _checked(line: Sequence[str], env: Mapping[str, str] | None) -> None:
    told = subprocess.run(line, capture_output=True, text=True, env=env, check=False)
    if told.returncode != 0:
        raise RunError(f"git failed ({told.stderr.strip():.300})")


def _checked_bytes(line: Sequence[str], env: Mapping[str, str]) -> bytes:
    told = subprocess.run(line, capture_output=True, env=env, check=False)
    if told.returncode != 0:
        raise RunError(f"git failed ({told.stderr.decode(errors='replace').strip():.300})")
    return told.stdout
