"""The first program in a sandbox: unpack, run the command under its limits, pack what it changed.

There are two processes. The watch is process 1, which nothing inside can stop or kill, and with
which everything inside ends. It ends at the deadline, at too many files, or as soon as the process
that started the sandbox is dead. The other unpacks, runs the command and packs. Both use the
standard library alone, because nothing else is installed where they run. The command cannot read
this process (no core dumps, no tracing), and all that it started is killed before the packing.

Standard input holds one line of JSON, then as many bytes of a git pack as it says, then the bytes
of the files that it lists. The result has the same form: one line of JSON, then the files' bytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Collection
from typing import BinaryIO, TypedDict, cast

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
"""Status of the watch: the deadline is over, there are too many files, its parent is gone; or it
ended by itself, and a disk is full."""
STOPPED = {LATE: "seconds", CROWDED: "files"}
"""Status to the name of the limit, for the process that started the sandbox."""
TICK_SECONDS = 0.1
"""How often files are counted."""


class ContentHead(TypedDict):
    """A description of the bytes that follow the request: the content of `/task` and `/setup`."""

    pack: int
    """Bytes of the git pack; 0 is none."""
    setup: int
    """Bytes of the archive for `/setup`, which comes before the pack."""
    commit: str
    """The commit that is in the pack."""
    folder: str
    """The work folder, relative to `/task`."""
    hidden: list[str]
    """Paths that git does not see."""
    content: list[tuple[str, int, int]]
    """Path, mode (-1 removes it) and bytes of each file that follows the pack."""


class CommandRequest(ContentHead):
    """The command and its limits."""

    command: list[str]
    env: dict[str, str]
    stdin: int
    """Bytes of the command's standard input, which come last."""
    bring: bool
    """Whether changed files come out."""
    keep: bool
    """Whether `/setup` comes out."""
    report: bool
    """Whether a runner of tests can report."""
    results: str
    """Path of the file of results; "" is none."""
    seconds: float
    processes: int
    disk_mb: int
    output_mb: int
    address_mb: int
    """Limit on the address space of one process; 0 is none."""


def main() -> None:
    """Starts the watch, and serves the request in a process of its own."""
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
    """Waits until the sandbox has to end, and returns why; nothing inside survives that.

    Args:
        worker: the process that works.
        lifeline: reading end of a pipe that ends when the parent, outside, ends.
        ended: reading end of a pipe that has a byte when a child has ended.
        deadline: time on the monotonic clock, which is the same inside and outside.
        files: maximum of files.
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
    """Reaps all children that have ended, and returns whether this one is among them."""
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            if pid == worker:
                return True
    return False


def serve_request(result: int) -> None:
    """Reads the request from standard input, and writes the result to the descriptor."""
    request: CommandRequest = json.loads(sys.stdin.buffer.readline())
    if request["setup"]:
        archive = cast(BinaryIO, LimitedReader(sys.stdin.buffer, request["setup"]))
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
            tar.extractall(SETUP)
    if request["pack"]:
        check_out_commit(request, sys.stdin.buffer)
    for path, mode, length in request["content"]:
        write_entry(os.path.join(WORK, path), mode, sys.stdin.buffer.read(length))
    given = sys.stdin.buffer.read(request["stdin"])
    before = file_states() if request["bring"] else {}
    time.sleep(0.01 if request["bring"] else 0)  # the clock of a file's last change moves on
    status, late, report = run_command(request, given)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # what it left
    after = file_states() if request["bring"] else {}
    ignored = ignored_files(before, after) if request["pack"] and request["bring"] else []
    files = [p for p, now in sorted(after.items()) if before.get(p) != now and p not in ignored]
    sizes = {path: size for path in files if (size := size_of(path, after[path][0])) is not None}
    results = b""
    if os.path.isfile(request["results"]):  # and no pipe, which would never end
        with contextlib.suppress(OSError), open(request["results"], "rb") as file:
            results = file.read()
    packed = {
        "status": status, "late": late,
        "files": [[path, after[path][0], size] for path, size in sizes.items()],
        "removed": sorted(set(before) - set(after)), "ignored": sorted(ignored),
        "report": len(report), "results": len(results),
    }  # fmt: skip
    with os.fdopen(result, "wb") as out:
        out.write(json.dumps(packed).encode() + b"\n")
        for path in sizes:
            where = os.path.join(WORK, path)
            if stat.S_ISLNK(after[path][0]):
                out.write(os.fsencode(os.readlink(where)))
                continue
            with open(where, "rb") as file:
                shutil.copyfileobj(file, out)
        out.write(report + results)
        if request["keep"]:
            with tarfile.open(fileobj=out, mode="w|") as tar:
                tar.add(SETUP, ".")


class LimitedReader:
    """Reads the next bytes of a stream as a file of their own."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, size: int = -1) -> bytes:
        """Returns up to `size` bytes, or all that are left."""
        data = self.stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        return data


def check_out_commit(head: ContentHead, stream: BinaryIO) -> None:
    """Makes a repository of one commit out of a pack, with its files as git's objects have them."""
    run_git("init", "--quiet", "--template=", "--initial-branch=main", WORK,
            f"--object-format={'sha256' if len(head['commit']) == 64 else 'sha1'}")  # fmt: skip
    os.mkdir(os.path.join(WORK, ".git/info"))
    for name, data in (
        ("config", GIT_CONFIG), ("info/attributes", AS_THEY_ARE),
        ("info/exclude", "".join(f"/{name}\n" for name in head["hidden"]).encode()),
        ("shallow", head["commit"].encode() + b"\n"),
    ):  # fmt: skip
        with open(os.path.join(WORK, ".git", name), "ab") as file:
            file.write(data)
    unpack = subprocess.Popen(
        [GIT, "index-pack", "--stdin", "--threads=1"], cwd=WORK, env=QUIET, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert unpack.stdin is not None
    shutil.copyfileobj(LimitedReader(stream, head["pack"]), unpack.stdin)
    unpack.stdin.close()
    if unpack.wait() != 0:
        raise SystemExit("the pack cannot be read")
    run_git("update-ref", "refs/heads/main", head["commit"])
    run_git("reset", "--quiet", "--hard")


def run_git(*words: str) -> None:
    """Runs git on the work folder, quietly."""
    subprocess.run([GIT, *words], cwd=WORK, env=QUIET, check=True, stdin=subprocess.DEVNULL)


def write_entry(path: str, mode: int, data: bytes) -> None:
    """Writes one file or link in place of what was there; no folder of it may be a link."""
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


def run_command(request: CommandRequest, given: bytes) -> tuple[int, bool, bytes]:
    """Runs the command; returns its status, whether its time limit ended it, and its report."""
    read, report = os.pipe()
    env = {
        "PATH": PATH, "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
        **request["env"], **({REPORT: str(report)} if request["report"] else {}),
    }  # fmt: skip
    source = os.memfd_create("stdin")
    os.write(source, given)
    os.lseek(source, 0, os.SEEK_SET)
    report_parts: list[bytes] = []
    try:
        child = subprocess.Popen(
            request["command"], cwd=os.path.join(WORK, request["folder"]), env=env, stdin=source,
            pass_fds=(report,), preexec_fn=limit_setter(request),
        )  # fmt: skip
    except OSError as error:
        sys.stderr.write(f"{request['command'][0]}: {error.strerror}\n")
        sys.stderr.flush()
        os.close(report)
        return 127, False, b""
    os.close(report)
    most = request["output_mb"] << 20
    listener = threading.Thread(
        target=lambda: report_parts.append(read_up_to(read, most)), daemon=True
    )
    listener.start()
    late = False
    try:
        status = child.wait(request["seconds"])
    except subprocess.TimeoutExpired:  # what it did still comes out
        status, late = -signal.SIGKILL, True
        child.kill()
    listener.join(1.0)  # somebody it left behind may hold the pipe; then nothing counts
    return status, late, b"".join(report_parts)


def read_up_to(handle: int, most: int) -> bytes:
    """Returns all that is written to a pipe, up to a limit."""
    data_read = bytearray()
    while len(data_read) <= most and (data := os.read(handle, 1 << 16)):
        data_read += data
    return bytes(data_read[:most])


def limit_setter(request: CommandRequest) -> Callable[[], None]:
    """Returns a function that sets the limits of the command, in its process, before it begins.

    Address space is limited only where nothing limits memory itself: programs reserve more of it
    than they use. If memory is over, the command goes first.
    """
    import resource  # the host reads this file too, and Windows has none

    memory = request["address_mb"] << 20 if request["address_mb"] else resource.RLIM_INFINITY
    libc = ctypes.CDLL(None)

    def limit() -> None:
        for kind, most in (
            (resource.RLIMIT_AS, memory),
            # the sandbox's own count too; a control group, which says what it refuses, is first
            (resource.RLIMIT_NPROC, request["processes"] + 4),
            (resource.RLIMIT_FSIZE, request["disk_mb"] << 20),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_CPU, int(request["seconds"]) + 2),
            (resource.RLIMIT_NOFILE, 1024),
        ):
            with contextlib.suppress(ValueError):  # a lower one holds already
                resource.setrlimit(kind, (most, most))
        libc.prctl(4, 1, 0, 0, 0)  # or it could not write the next; nobody can trace it yet
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")

    return limit


def file_states() -> dict[str, tuple[int, ...]]:
    """Returns path to what changes when a file or link does; git's own folder is left out.

    An inode's last change cannot be set: no content is read.
    """
    states: dict[str, tuple[int, ...]] = {}
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
                states[where] = now.st_mode, now.st_size, now.st_ino, *times
    return states


def ignored_files(before: Collection[str], after: Collection[str]) -> set[str]:
    """Returns new files that `.gitignore` names, and that nobody added in spite of it."""
    line = [GIT, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "ls-files", "-z",
            "--others", "--ignored", "--exclude-standard"]  # fmt: skip
    listed = subprocess.run(
        line, cwd=WORK, env=QUIET, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    names = {os.fsdecode(name) for name in listed.stdout.split(b"\0") if name}
    return {name for name in names if name in after and name not in before}


def size_of(path: str, mode: int) -> int | None:
    """Returns the bytes of a file or of a link's target, or None if it is neither or unreadable."""
    where = os.path.join(WORK, path)
    with contextlib.suppress(OSError):
        if stat.S_ISLNK(mode):
            return len(os.fsencode(os.readlink(where)))
        if stat.S_ISREG(mode):
            os.chmod(where, mode | 0o400)
            with open(where, "rb") as file:
                return os.fstat(file.fileno()).st_size
    return None


if __name__ == "__main__":
    main()
