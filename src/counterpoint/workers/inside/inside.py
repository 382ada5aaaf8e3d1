"""The first program in a sandbox: unpack, run the command under its limits, pack what it changed.

Two processes. The watch is process 1, which nothing inside can stop or kill, and with which
everything inside ends. It ends at the deadline, as soon as whoever started the sandbox is dead,
or at too many files. The other unpacks, runs the command and packs. Standard library alone: it
runs where nothing else is installed. The command cannot read it (no core dumps, no tracing), and
all that it started is killed before anything is packed.

Standard input holds one line of JSON, then as many bytes of a git pack as it says, then the bytes
of the files that it lists. The result has the same form: one line of JSON, then the files' bytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, cast

WORK, SETUP, GIT = "/task", "/setup", "/usr/bin/git"
PATH = "/setup/bin:/setup/venv/bin:/setup/node_modules/.bin:/usr/bin:/bin:/usr/local/bin"
QUIET = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
         "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}  # fmt: skip
GIT_CONFIG = (
    b"[user]\n\tname = worker\n\temail = worker@localhost\n[advice]\n\tdetachedHead = false\n"
)
AS_THEY_ARE = b"* -text !eol -ident -filter -working-tree-encoding\n"
REPORT = "COUNTERPOINT_REPORT"
"""The variable with the descriptor to which a runner of tests can report."""
WRITABLE = (WORK, SETUP, "/tmp", "/dev/shm")
LATE, CROWDED, ALONE, FULL = 81, 82, 83, 84
"""Status of the watch: the deadline is over, too many files, nobody to tell; or it ended by itself,
and a disk is full."""
STOPPED = {LATE: "seconds", CROWDED: "files"}
"""What each means for who started the sandbox."""
TICK_SECONDS = 0.1
"""How often files are counted."""


def main() -> None:
    """Begin the watch, and work in a process of its own."""
    result, lifeline, deadline, files = sys.argv[1:5]
    libc = ctypes.CDLL(None)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: end with bubblewrap
    libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: siblings of this user do not trace it
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    worker = os.fork()
    if worker:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # 1 needs a handler
        os._exit(watch(worker, int(lifeline), ended, float(deadline), int(files)))
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for handle in (int(lifeline), ended, wake):
        os.close(handle)
    serve_request(int(result))


def watch(worker: int, lifeline: int, ended: int, deadline: float, files: int) -> int:
    """Wait until the sandbox has to end, and return why; nothing inside survives that.

    Args:
        worker: the process that works.
        lifeline: reading end of a pipe that ends when the parent, outside, does.
        ended: reading end of a pipe that holds something when a child has ended.
        deadline: on the monotonic clock, which is the same inside and outside.
        files: most files.
    """
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return LATE
        ready = [handle for handle, _ in poll.poll(1000 * min(left, TICK_SECONDS))]
        if lifeline in ready:
            return ALONE
        if ended in ready:
            os.read(ended, 4096)
        disks = [os.statvfs(path) for path in WRITABLE]
        if has_ended(worker):
            return FULL if any(d.f_bavail * d.f_bsize < 1 << 16 for d in disks) else 0
        if sum(d.f_files - d.f_ffree for d in disks) > files + len(WRITABLE):
            return CROWDED


def has_ended(worker: int) -> bool:
    """Reap all children that have ended; whether this one is among them."""
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            if pid == worker:
                return True
    return False


def serve_request(result: int) -> None:
    """Read what to do from standard input; write the result to the descriptor."""
    told = json.loads(sys.stdin.buffer.readline())
    if told["setup"]:
        archive = cast(BinaryIO, LimitedReader(sys.stdin.buffer, told["setup"]))
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
            tar.extractall(SETUP)
    if told["pack"]:
        check_out_commit(told, sys.stdin.buffer)
    for path, mode, size in told["content"]:
        write_entry(os.path.join(WORK, path), mode, sys.stdin.buffer.read(size))
    given = sys.stdin.buffer.read(told["stdin"])
    before = file_states() if told["bring"] else {}
    time.sleep(0.01 if told["bring"] else 0)  # the clock of a file's last change moves on
    status, late, report = run_command(told, given)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # what it left
    after = file_states() if told["bring"] else {}
    ignored = ignored_files(before, after) if told["pack"] and told["bring"] else []
    files = [p for p, now in sorted(after.items()) if before.get(p) != now and p not in ignored]
    sizes = {path: size for path in files if (size := size_of(path, after[path][0])) is not None}
    results = content_of_results(told["results"])
    packed = {
        "status": status, "late": late,
        "files": [[path, after[path][0], size] for path, size in sizes.items()],
        "removed": sorted(set(before) - set(after)), "ignored": sorted(ignored),
        "report": len(report), "results": len(results),
    }  # fmt: skip
    with os.fdopen(result, "wb") as out:
        out.write(json.dumps(packed).encode() + b"\n")
        for path in sizes:
            send_file(path, after[path][0], out)
        out.write(report + results)
        if told["keep"]:
            with tarfile.open(fileobj=out, mode="w|") as tar:
                tar.add(SETUP, ".")


class LimitedReader:
    """The next bytes of a stream as a file of their own."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, or all."""
        data = self.stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        return data


def check_out_commit(told: Mapping[str, Any], stream: BinaryIO) -> None:
    """Make a repository of one commit out of a pack, with its files as git's objects have them."""
    run_git("init", "--quiet", "--template=", "--initial-branch=main", WORK,
        f"--object-format={'sha256' if len(told['commit']) == 64 else 'sha1'}")  # fmt: skip
    os.mkdir(os.path.join(WORK, ".git/info"))
    for name, data in (
        ("config", GIT_CONFIG), ("info/attributes", AS_THEY_ARE),
        ("info/exclude", "".join(f"/{name}\n" for name in told["hidden"]).encode()),
        ("shallow", told["commit"].encode() + b"\n"),
    ):  # fmt: skip
        with open(os.path.join(WORK, ".git", name), "ab") as file:
            file.write(data)
    unpack = subprocess.Popen(
        [GIT, "index-pack", "--stdin", "--threads=1"], cwd=WORK, env=QUIET, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert unpack.stdin is not None
    shutil.copyfileobj(LimitedReader(stream, told["pack"]), unpack.stdin)
    unpack.stdin.close()
    if unpack.wait() != 0:
        raise SystemExit("the pack cannot be read")
    run_git("update-ref", "refs/heads/main", told["commit"])
    run_git("reset", "--quiet", "--hard")


def run_git(*words: str) -> None:
    """Run git on the work folder, quietly."""
    subprocess.run([GIT, *words], cwd=WORK, env=QUIET, check=True, stdin=subprocess.DEVNULL)


def write_entry(path: str, mode: int, data: bytes) -> None:
    """Write one file or link, instead of whatever was there; no folder of it may be a link."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    if not os.path.realpath(folder).startswith(WORK):
        raise SystemExit(f"{path} is below a link")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    if mode < 0:
        return  # it is gone
    if stat.S_ISLNK(mode):
        os.symlink(os.fsdecode(data), path)
        return
    with open(path, "xb") as file:
        file.write(data)
    os.chmod(path, 0o755 if mode & 0o100 else 0o644)


def run_command(told: Mapping[str, Any], given: bytes) -> tuple[int, bool, bytes]:
    """Run the command; its exit status, whether its time ended it, and what tests reported."""
    read, report = os.pipe()
    env = {
        "PATH": PATH, "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
        **told["env"], **({REPORT: str(report)} if told["report"] else {}),
    }  # fmt: skip
    source = os.memfd_create("stdin")
    os.write(source, given)
    os.lseek(source, 0, os.SEEK_SET)
    heard: list[bytes] = []
    try:
        child = subprocess.Popen(
            told["command"], cwd=os.path.join(WORK, told["folder"]), env=env, stdin=source,
            pass_fds=(report,), preexec_fn=limit_setter(told),
        )  # fmt: skip
    except OSError as error:
        sys.stderr.write(f"{told['command'][0]}: {error.strerror}\n")
        sys.stderr.flush()
        os.close(report)
        return 127, False, b""
    os.close(report)
    most = told["output_mb"] << 20
    listener = threading.Thread(target=lambda: heard.append(read_up_to(read, most)), daemon=True)
    listener.start()
    late = False
    try:
        status = child.wait(told["seconds"])
    except subprocess.TimeoutExpired:  # what it did still comes out
        status, late = -signal.SIGKILL, True
        child.kill()
    listener.join(1.0)  # somebody it left behind may hold the pipe; then nothing counts
    return status, late, b"".join(heard)


def read_up_to(handle: int, most: int) -> bytes:
    """All that is written to a pipe, up to a limit."""
    found = bytearray()
    while len(found) <= most and (data := os.read(handle, 1 << 16)):
        found += data
    return bytes(found[:most])


def limit_setter(told: Mapping[str, Any]) -> Callable[[], None]:
    """What sets the limits of the command, in its process, before it begins.

    Address space is limited only where nothing limits memory itself: programs reserve more of it
    than they use. If memory is over, the command goes first.
    """
    memory = told["address_mb"] << 20 if told["address_mb"] else resource.RLIM_INFINITY
    libc = ctypes.CDLL(None)

    def limit() -> None:
        for kind, most in (
            (resource.RLIMIT_AS, memory),
            # the sandbox's own count too; a control group, which says what it refuses, is first
            (resource.RLIMIT_NPROC, told["processes"] + 4),
            (resource.RLIMIT_FSIZE, told["disk_mb"] << 20),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_CPU, int(told["seconds"]) + 2),
            (resource.RLIMIT_NOFILE, 1024),
        ):
            with contextlib.suppress(ValueError):  # a lower one holds already
                resource.setrlimit(kind, (most, most))
        libc.prctl(4, 1, 0, 0, 0)  # or it could not write the next; nobody can trace it yet
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")

    return limit


def file_states() -> dict[str, tuple[int, ...]]:
    """Path to what changes when a file or link does; git's own folder is left out.

    An inode's last change cannot be set: no content is read.
    """
    found: dict[str, tuple[int, ...]] = {}
    os.chmod(WORK, 0o755)
    for folder, folders, names in os.walk(WORK):
        folders[:] = [name for name in folders if name != ".git"]
        for name in (*names, *folders):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                now = os.lstat(path)
                if stat.S_ISDIR(now.st_mode):
                    os.chmod(path, 0o755)  # or its files would seem to be gone
                    continue
                where, times = os.path.relpath(path, WORK), (now.st_mtime_ns, now.st_ctime_ns)
                found[where] = now.st_mode, now.st_size, now.st_ino, *times
    return found


def ignored_files(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """New files that the repository's `.gitignore` names, and that nobody added in spite of it."""
    line = [GIT, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "ls-files", "-z",
            "--others", "--ignored", "--exclude-standard"]  # fmt: skip
    told = subprocess.run(
        line, cwd=WORK, env=QUIET, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    names = {os.fsdecode(name) for name in told.stdout.split(b"\0") if name}
    return {name for name in names if name in after and name not in before}


def size_of(path: str, mode: int) -> int | None:
    """Bytes of a file, or of what a link points to; None of what is neither or is not readable."""
    where = os.path.join(WORK, path)
    with contextlib.suppress(OSError):
        if stat.S_ISLNK(mode):
            return len(os.fsencode(os.readlink(where)))
        if stat.S_ISREG(mode):
            os.chmod(where, mode | 0o400)
            with open(where, "rb") as file:
                return os.fstat(file.fileno()).st_size
    return None


def send_file(path: str, mode: int, out: BinaryIO) -> None:
    """Write the bytes of a file, or what a link points to."""
    where = os.path.join(WORK, path)
    if stat.S_ISLNK(mode):
        out.write(os.fsencode(os.readlink(where)))
        return
    with open(where, "rb") as file:
        shutil.copyfileobj(file, out)


def content_of_results(path: str) -> bytes:
    """Bytes of the file of results, if it was asked for and is there."""
    if os.path.isfile(path):  # and no pipe
        with contextlib.suppress(OSError), open(path, "rb") as file:
            return file.read()
    return b""


if __name__ == "__main__":
    main()
