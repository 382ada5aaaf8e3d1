"""How git runs outside the sandbox: with a configuration of ours, whatever lies in the folder.

Nothing that a repository brings along decides what git runs here: no hook, no filter, no helper, no
alias, no lazy fetch. A run's own repository can come from somebody else (`resume`), so its
configuration is written anew before it is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from counterpoint.errors import RunError
from counterpoint.runs.files import write_atomically
from counterpoint.team.paths import shown

SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false",
    "core.quotePath=false", "core.autocrlf=false", "core.symlinks=true", "core.protectHFS=true",
    "core.protectNTFS=true", "core.attributesFile=/dev/null", "core.excludesFile=/dev/null",
    "commit.gpgSign=false", "advice.detachedHead=false", "protocol.allow=never",
    "protocol.file.allow=always", "safe.directory=*", "submodule.recurse=false",
)  # fmt: skip
SAFE = tuple(word for setting in SETTINGS for word in ("-c", setting))
CONFIG = {
    40: b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
    64: b"[core]\n\trepositoryformatversion = 1\n\tbare = true\n"
        b"[extensions]\n\tobjectformat = sha256\n",
}  # fmt: skip
"""The whole configuration of a team's repository, by the length of its object names."""
AS_THEY_ARE = b"* -text !eol -ident -filter -working-tree-encoding\n"
"""Attributes above all others: no line ending, keyword or filter changes a byte."""
STRANGE = ("config.worktree", "commondir", "gitdir", "hooks", "info/grafts",
           "objects/info/alternates", "objects/info/http-alternates", "worktrees")  # fmt: skip
"""What a bare repository of ours never has, and what could lead elsewhere."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the whole environment of git: nothing of the caller's but PATH."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0", **(more or {}),
    }  # fmt: skip


def git(
    *words: str, data: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> bytes:
    """Runs git and returns what it wrote to standard output.

    Raises:
        RunError: its exit status is not 0; the message has the first line of what it said.
    """
    ended = attempt(*words, data=data, env=env, cwd=cwd)
    if ended.returncode != 0:
        skipped = ("-c", "-C", "--git-dir")
        command = next(word for before, word in pairwise(("git", *words))
                       if before not in skipped and word not in skipped)  # fmt: skip
        said = ended.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise RunError(f"git {command} failed ({shown(said[0])})")
    return ended.stdout


def attempt(
    *words: str, data: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Runs git and returns how it ended."""
    return subprocess.run(
        ["git", *SAFE, *words], input=data, capture_output=True, env=environment(env),
        cwd=cwd or "/", check=False,
    )  # fmt: skip


def make_ours(path: Path) -> None:
    """Gives a bare repository our configuration and takes away what could lead elsewhere.

    Raises:
        RunError: it is no repository, or parts of it are links.
    """
    for name in ("", "HEAD", "objects", "refs", "refs/heads", "info", "config"):
        if (path / name).is_symlink():
            raise RunError(f"{path / name} is a link; wanted a team's own repository")
    if not (path / "objects").is_dir():
        raise RunError(f"{path} is no repository of a team")
    for name in STRANGE:
        found = path / name
        if found.is_symlink() or found.is_file():
            found.unlink()
        elif found.is_dir():
            shutil.rmtree(found)
    (path / "info").mkdir(exist_ok=True)
    _put(path / "info" / "attributes", AS_THEY_ARE)
    _put(path / "config", CONFIG[_name_length(path)])


@contextmanager
def own_index(path: Path) -> Iterator[dict[str, str]]:
    """The environment in which git uses an index of its own, which is gone in the end."""
    index = path / f"index-{os.getpid()}-{os.urandom(6).hex()}"
    try:
        yield {"GIT_INDEX_FILE": str(index)}
    finally:
        index.unlink(missing_ok=True)


def _put(path: Path, data: bytes) -> None:
    """Writes a file anew unless it has this content and is no link."""
    if path.is_symlink() or not path.is_file() or path.read_bytes() != data:
        path.unlink(missing_ok=True)
        write_atomically(path, data)


def _name_length(path: Path) -> int:
    """How many letters an object's name has: 64 in a repository of SHA-256."""
    config = path / "config"
    if config.is_file() and config.read_bytes() == CONFIG[64]:
        return 64
    head = path / "refs" / "heads" / "main"
    return 64 if head.is_file() and len(head.read_bytes().strip()) == 64 else 40
