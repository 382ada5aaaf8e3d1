"""How git runs outside the sandbox: with a configuration of ours, whatever lies in the folder.

Nothing that a repository brings along decides what git runs here: no hook, no filter, no helper, no
alias, no lazy fetch. A run's own repository can come from somebody else (`resume`), so its
configuration is written anew before it is used.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG, S_ISSOCK
from tempfile import TemporaryFile
from typing import IO

from counterpoint.errors import RunError
from counterpoint.runs.files import remove, write_atomically
from counterpoint.workers.inside.inside import AS_THEY_ARE
from counterpoint.workers.repository.files import escaped_path

SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false",
    "core.quotePath=false", "core.autocrlf=false", "core.symlinks=true", "core.protectHFS=true",
    "core.protectNTFS=true", "core.attributesFile=/dev/null", "core.excludesFile=/dev/null",
    "commit.gpgSign=false", "advice.detachedHead=false", "protocol.allow=never",
    "safe.directory=*", "submodule.recurse=false", "pack.threads=1",
)  # fmt: skip
SAFE = tuple(word for setting in SETTINGS for word in ("-c", setting))
CONFIG = {
    40: b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
    64: b"[core]\n\trepositoryformatversion = 1\n\tbare = true\n"
        b"[extensions]\n\tobjectformat = sha256\n",
}  # fmt: skip
"""The whole configuration of a team's repository, by the length of its object names."""
UNWANTED = ("config.worktree", "commondir", "gitdir", "hooks", "info/grafts", "logs", "modules",
            "objects/info/alternates", "objects/info/http-alternates", "worktrees")  # fmt: skip
"""What a bare repository of ours never has, and what could lead elsewhere."""
OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""The whole name of an object. Nothing else of a record is given to git as a revision."""
SECONDS = 1800.0
"""Wall clock of one run of git, which nothing but a huge or a hostile repository needs."""
MOST_SHALLOW = 1 << 20
"""Bytes read of a source's list of commits whose parents are missing."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the whole environment of git: nothing of the caller's but PATH.

    Relative folders of PATH are left out, for git runs in folders of others.
    """
    folders = os.environ.get("PATH", "/usr/bin:/bin").split(os.pathsep)
    return {
        "PATH": os.pathsep.join(one for one in folders if os.path.isabs(one)),
        "HOME": "/nonexistent", "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0", **(more or {}),
    }  # fmt: skip


def git(
    *words: str, data: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None,
    most: int | None = None,
) -> bytes:  # fmt: skip
    """Runs git and returns its standard output.

    Raises:
        RunError: as `try_git`, or its exit status is not 0; the message has its first error.
    """
    ended = try_git(*words, data=data, env=env, cwd=cwd, most=most)
    if ended.returncode != 0:
        skipped = ("-c", "-C", "--git-dir")
        command = next(word for before, word in pairwise(("git", *words))
                       if before not in skipped and word not in skipped)  # fmt: skip
        raise RunError(f"git {command} failed ({first_line(ended.stderr)})")
    return ended.stdout


def try_git(
    *words: str, data: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None,
    stdin: IO[bytes] | None = None, most: int | None = None,
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """Runs git and returns how it ended.

    Args:
        words: its arguments.
        data: its standard input.
        env: variables besides ours.
        cwd: the folder where it runs; default "/".
        stdin: a pipe to read instead of `data`.
        most: maximum of bytes on standard output.

    Raises:
        RunError: it writes more than that, or takes longer than `SECONDS`.
    """
    with TemporaryFile() as given, TemporaryFile() as errors:
        given.write(data)
        given.seek(0)
        process = subprocess.Popen(
            ["git", *SAFE, *words], stdin=stdin or given, stdout=subprocess.PIPE, stderr=errors,
            env=environment(env), cwd=cwd or "/", start_new_session=True,
        )  # fmt: skip
        late = threading.Timer(SECONDS, _kill, (process,))
        late.start()
        assert process.stdout is not None
        output = bytearray()
        try:
            with process.stdout:
                while part := process.stdout.read(1 << 20):
                    output += part
                    if most is not None and len(output) > most:
                        raise RunError(f"git lists more than {most >> 20} MiB of names")
            process.wait()
        finally:
            late.cancel()
            if process.poll() is None:
                _kill(process)
            process.wait()
        if process.returncode == -signal.SIGKILL:
            raise RunError(f"git took more than {SECONDS:g} s, or was killed")
        errors.seek(0)
        status, text = process.returncode, errors.read(1 << 20)
        return subprocess.CompletedProcess(words, status, bytes(output), text)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def copy_commit(source: Path, commit: str, path: Path) -> None:
    """Copies a commit and its history into a repository of ours, as one pack of objects.

    Git's own protocol is not spoken, so that nothing of the source's configuration decides which
    program to run, no link among its files is followed and nothing is borrowed from it. What its
    history lacks, as in a partial or shallow clone, is lacking in the copy.

    Raises:
        RunError: git cannot read the objects.
    """
    name = git("-C", str(source), "rev-parse", "--git-path", "shallow").decode().strip()
    shallow = source / name
    if shallow.is_file():
        names = shallow.read_bytes()[:MOST_SHALLOW].split()
        ours = [name for name in names if OID.fullmatch(name.decode("ascii", "replace"))]
        write_atomically(path / "shallow", b"".join(name + b"\n" for name in ours))
    line = ["git", *SAFE, "-C", str(source), "pack-objects", "--revs", "--stdout", "--quiet",
            "--delta-base-offset", "--missing=allow-any"]  # fmt: skip
    with TemporaryFile() as given, TemporaryFile() as errors:
        given.write(f"{commit}\n".encode())
        given.seek(0)
        packing = subprocess.Popen(line, stdin=given, stdout=subprocess.PIPE, stderr=errors,
                                   env=environment(), cwd="/", start_new_session=True)  # fmt: skip
        try:
            ended = try_git("--git-dir", str(path), "index-pack", "--stdin", stdin=packing.stdout)
        finally:
            _kill(packing)
            assert packing.stdout is not None
            packing.stdout.close()
            packing.wait()
        errors.seek(0)
        errors_text = errors.read(1 << 20) or ended.stderr
        if ended.returncode != 0:
            raise RunError(
                f"git could not copy {escaped_path(str(source))} ({first_line(errors_text)})"
            )


def first_line(errors: bytes) -> str:
    """Returns the first line of errors of git, escaped."""
    lines = errors.decode("utf-8", "surrogateescape").strip().splitlines()
    return escaped_path(lines[0]) if lines else "no reason given"


def special_file(folder: Path, links: bool = False) -> Path | None:
    """Returns a path below a folder that is no file and no folder, or None if there is none.

    Reading a pipe or a device would never end, and a file written through a link lands elsewhere.
    The folder may be a link itself. With `links`, links below it are allowed.
    """
    for where, folders, names in os.walk(folder):
        for name in (*folders, *names):
            try:
                mode = os.lstat(os.path.join(where, name)).st_mode
            except FileNotFoundError:
                continue  # somebody at work took it away
            known = S_ISREG(mode) or S_ISDIR(mode) or S_ISSOCK(mode)
            if not (known or (links and S_ISLNK(mode))):
                return Path(where, name)
    return None


def secure_repository(path: Path) -> None:
    """Gives a bare repository our configuration and takes away what could lead elsewhere.

    Raises:
        RunError: it is no repository, or there is a link, a pipe or a device in it.
    """
    link = path if path.is_symlink() else special_file(path)
    if link is not None:
        raise RunError(f"{escaped_path(str(link))} is a link, a pipe or a device; wanted a team's "
                       "own repository, of files and folders alone")  # fmt: skip
    if not (path / "objects").is_dir():
        raise RunError(f"{escaped_path(str(path))} is no repository of a team")
    for name in UNWANTED:
        remove(path / name)
    (path / "info").mkdir(exist_ok=True)
    config, head = path / "config", path / "refs" / "heads" / "main"
    sha256 = config.is_file() and config.read_bytes() == CONFIG[64]
    sha256 = sha256 or (head.is_file() and len(head.read_bytes().strip()) == 64)
    # these attributes are above all others, so that no filter changes a byte
    for file, data in ((path / "info" / "attributes", AS_THEY_ARE),
                       (config, CONFIG[64 if sha256 else 40])):  # fmt: skip
        if not file.is_file() or file.read_bytes() != data:
            remove(file)
            write_atomically(file, data)


@contextmanager
def temporary_index(path: Path) -> Iterator[dict[str, str]]:
    """Yields the environment of git with an index of its own, which is removed in the end."""
    index = path / f"index-{os.getpid()}-{os.urandom(6).hex()}"
    try:
        yield {"GIT_INDEX_FILE": str(index)}
    finally:
        index.unlink(missing_ok=True)


def enclosing_repository(source: Path) -> tuple[Path, str] | None:
    """Returns the repository whose top, or a part of whose HEAD, a folder is, and its place."""
    source = source.resolve()
    if (source / "HEAD").is_file() and (source / "objects").is_dir():
        return source, ""
    for top in (source, *source.parents):
        if (top / ".git").exists():
            if top == source:
                return top, ""
            prefix = source.relative_to(top).as_posix()
            known = try_git("-C", str(top), "cat-file", "-t", f"HEAD:{prefix}")
            return (top, prefix + "/") if known.stdout.strip() == b"tree" else None
    return None
