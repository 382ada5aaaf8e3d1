"""Code that tries to break out of the sandbox, as whoever runs the tests and as another user."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from processes import alive, until, zombies

import counterpoint
from counterpoint.errors import MissingPackageError, SettingError
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.repository import Repository
from counterpoint.workers.sandbox import sandbox
from counterpoint.workers.sandbox.cgroups import not_enforced
from counterpoint.workers.sandbox.readable import is_readable
from counterpoint.workers.sandbox.sandbox import PYTHON, Limits, SandboxInputs, run, why_no_sandbox

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
needs_sandbox = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


STAY = "import time; time.sleep(600)"
STOP_ALL = (
    """
import os, signal
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    if pid != os.getpid():
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            try:
                if pid != 2 or number == signal.SIGSTOP: os.kill(pid, number)
            except OSError: pass
"""
    + STAY
)


def python(code: str, limits: Limits | None = None, **more):
    return run([PYTHON, "-c", code], {}, limits or Limits(seconds=10), SandboxInputs(**more))


@pytest.fixture
def server():
    """Somebody who listens on loopback and an abstract socket; notes who came to the first."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take():
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()
                    came.append(1)

        threading.Thread(target=take, daemon=True).start()
        port = listening.getsockname()[1]
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind(f"\0counterpoint-{port}")
            abstract.listen()
            yield port, came


ESCAPES = {
    "read files": """
import glob, os
seen = [p for p in ("/etc/passwd", "/etc/shadow", "/root", "/home", SECRET, "/var/log")
        if os.path.exists(p)]
seen += [p for p in glob.glob("/*") if p not in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc",
         "/dev", "/tmp", "/task", "/setup", "/inside.py", "/etc")]
seen += [p for p in os.listdir("/etc") if p != "ld.so.cache"] if os.path.exists("/etc") else []
for path in ("/proc/kcore", "/proc/kmsg", "/proc/1/root/inside.py", "/proc/1/mem", "/proc/1/maps"):
    try: open(path, "rb").read(1); seen.append(path)
    except OSError: pass
print("OUT" if seen else "in", seen)
""",
    "write files": """
import os
out = []
for path in ("/usr/x", "/bin/x", "/x", "/run/x", "/inside.py", "/dev/x", "/dev/pts/x",
             "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", SECRET + ".new"):
    try:
        with open(path, "w") as f: f.write("x")
        out.append(path)
    except OSError: pass
print("OUT" if out else "in", out)
""",
    "network": """
import socket
out = []
for host in ("127.0.0.1", "localhost"):
    try: socket.create_connection((host, PORT), timeout=1); out.append(host)
    except OSError: pass
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("8.8.8.8", 53))
    out.append("udp")
except OSError: pass
print("OUT" if out else "in", out)
""",
    "environment": """
import glob, os
found = [k for k in os.environ if "SECRET" in k]
for path in glob.glob("/proc/*/environ"):
    try: found += ["proc"] * (b"SECRET_KEY" in open(path, "rb").read())
    except OSError: pass
print("OUT" if found else "in", found)
""",
    "fork bomb": """
import os, time
count = 0
try:
    while count < 2000:
        if os.fork() == 0: time.sleep(30); os._exit(0)
        count += 1
except OSError: pass
print("OUT" if count > 200 else "in", count)
""",
    "memory": """
try: hold = bytearray(6 << 30); print("OUT")
except MemoryError: print("in")
""",
    "disk": """
import os
size = 0
try:
    for i in range(400):
        with open("/task/f%d" % i, "wb") as f: f.write(b"x" * (1 << 20))
        size += 1
except OSError: pass
for i in range(size): os.unlink("/task/f%d" % i)
print("OUT" if size > 200 else "in", size)
""",
    "nested namespaces": """
import ctypes, os
libc = ctypes.CDLL(None)
out = [flag for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000) if libc.unshare(flag) == 0]
status = libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
print("OUT" if out or status == 0 else "in", out, status)
""",
    "signals": """
import os, signal
out = []
for pid in [int(p) for p in os.listdir("/proc") if p.isdigit()]:
    name = open("/proc/%d/comm" % pid).read().strip()
    if name not in ("python3", "python3.11", "bwrap", "python3.12", "python3.13"): out.append(name)
try: os.kill(HOST_PID, 0); out.append("host") if HOST_PID > 1000 else None
except OSError: pass
try:
    with open("/proc/%d/mem" % os.getppid(), "rb") as f: out.append("parent's memory")
except OSError: pass
print("OUT" if out else "in", out)
""",
    "shared memory": """
size = 0
for folder in ("/dev/shm", "/tmp", "/dev"):
    try:
        with open(folder + "/f", "wb") as f:
            for _ in range(60): f.write(b"x" * (1 << 20)); f.flush(); size += 1
    except OSError: pass
print("OUT" if size > 20 else "in", size)
""",
    "thread storm": """
import threading, time
threading.stack_size(1 << 16)
count = 0
try:
    while count < 1000:
        threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
        count += 1
except RuntimeError: pass
print("OUT" if count > 64 else "in", count, flush=True)
__import__("os")._exit(0)
""",
    "sockets": """
import resource, socket
hold = []
try:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for _ in range(3000): hold += socket.socketpair()
except OSError: pass
try: hold += [socket.socket(socket.AF_PACKET, socket.SOCK_RAW)] * 2000
except OSError: pass
print("OUT" if len(hold) > 1024 else "in", len(hold))
""",
    "abstract sockets": """
import socket
try: socket.socket(socket.AF_UNIX).connect("\\0counterpoint-PORT"); print("OUT")
except OSError as error: print("in", error)
""",
    "clocks": """
import ctypes, time
out = []
for clock in (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC):
    try: time.clock_settime(clock, time.clock_gettime(clock)); out.append(clock)
    except OSError: pass
out += ["time namespace"] if ctypes.CDLL(None).unshare(0x80) == 0 else []
print("OUT" if out else "in", out)
""",
}
"""What prints OUT where it gets out; six more are measured from outside."""
TOTAL_MEMORY = """
import os, sys, time
for _ in range(6):
    if os.fork() == 0:
        hold = b"x" * (150 << 20)
        time.sleep(2)
        os._exit(0)
if any([os.wait()[1] for _ in range(6)]): sys.exit(1)
"""
"""900 MB in processes of 150 MB each."""
UNNAMED_MEMORY = """
import ctypes, os
for _ in range(10):
    handle = os.memfd_create("x")
    for _ in range(60): os.write(handle, b"x" * (1 << 20))
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
for _ in range(10):
    there = libc.shmat(libc.shmget(0, 60 << 20, 0o1600), None, 0)
    if there in (None, 2**64 - 1): break
    ctypes.memset(there, 1, 60 << 20)
    libc.shmdt(ctypes.c_void_p(there))
"""
"""1.2 GB in files without names and shared segments, hardly any of it in an address space."""
SMALL_FILES = """
for i in range(200_000): open(f"/task/{i}", "w").close()
"""


def check_escapes(secret: str, port: int) -> dict[str, str]:
    """Name to what each escape printed, or `in` and how it was stopped."""
    found = {}
    for name, code in ESCAPES.items():
        told = (code.replace("SECRET + ", f"{secret!r} + ").replace("SECRET, ", f"{secret!r}, ")
                .replace("PORT", str(port)).replace("HOST_PID", str(os.getpid())))  # fmt: skip
        limits = Limits(seconds=15, memory_mb=512, processes=64, disk_mb=64)
        ended = python(told, limits)
        found[name] = (ended.output or ended.errors).strip()
        if ended.stopped == "memory (memory_mb=512)":
            found[name] = f"in, {ended.stopped}"
    ended = python("while True: pass", Limits(seconds=1))
    found["cpu"] = "in" if ended.stopped == "seconds (1)" and ended.seconds < 3 else f"OUT {ended}"
    ended = python("while True: print('x' * 10000)", Limits(seconds=20, output_mb=1))
    size = len(ended.output)
    found["output flood"] = (
        "in" if ended.stopped == "output (output_mb=1)" and size <= 1 << 20 else f"OUT {size}"
    )
    tight = Limits(seconds=15, memory_mb=256, disk_mb=64, files=20_000)
    for name, code in (("total memory", TOTAL_MEMORY), ("memory of no process", UNNAMED_MEMORY)):
        if "memory" in not_enforced():
            found[name] = "in, as far as this machine can: `counterpoint doctor` says so"
            continue
        ended = python(code, tight)
        found[name] = "in" if ended.stopped == "memory (memory_mb=256)" else f"OUT {ended}"
    ended = python(SMALL_FILES, tight)
    found["small files"] = "in" if ended.stopped == "files (files=20000)" else f"OUT {ended}"
    ended = run(
        ["/bin/sh", "-c", "mkdir -p .git/hooks; echo x > .git/hooks/post-commit; ln -s /etc evil; "
         "echo y > ok; (sleep 30; echo late > late) & mkdir -p a/.GIT; echo z > a/.GIT/config"],
        {}, Limits(seconds=10),
    )  # fmt: skip
    found["git and links"] = "in" if {*ended.changed} == {"ok"} else f"OUT {set(ended.changed)}"
    return found


@pytest.mark.fault("R17", "R27", cases=20)
@needs_sandbox
def test_twenty_of_twenty_escapes_are_stopped(tmp_path, server, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "sk-123")
    secret = tmp_path / "secret"
    secret.write_text("s")
    port, came = server
    found = check_escapes(str(secret), port)
    assert len(found) == 20
    assert {name: told for name, told in found.items() if not told.startswith("in")} == {}
    assert came == []


@pytest.mark.fault("R17", "R27", cases=20)
@pytest.mark.slow
@needs_sandbox
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_twenty_of_twenty_as_another_user(tmp_path, server):
    port, came = server
    here, source = Path(__file__).parent, Path(counterpoint.__file__).parents[1]
    code = (
        "import json, sys, types; sys.path[:0] = sys.argv[3].split(':')\n"
        "import test_sandbox as t\n"
        "print(json.dumps(t.check_escapes(sys.argv[1], int(sys.argv[2]))))"
    )
    paths = [str(source), str(here), *[p for p in sys.path if "site-packages" in p]]
    if not all(is_readable(Path(p)) for p in paths):
        pytest.skip("this checkout cannot be read by another user")
    ended = subprocess.run(
        ["setpriv", "--reuid", "61500", "--regid", "61500", "--clear-groups", PYTHON, "-c", code,
         "/etc/hostname", str(port), ":".join(paths)],
        capture_output=True, text=True, env={"SECRET_KEY": "sk-123", "PATH": os.environ["PATH"]},
        check=False, cwd="/",
    )  # fmt: skip
    lacking = re.search(r"No module named '(?!counterpoint)|requires-python", ended.stderr)
    if lacking:
        pytest.skip(f"the system's python lacks packages: {ended.stderr[-100:]}")
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert {name: told for name, told in found.items() if not told.startswith("in")} == {}
    assert len(found) == 20
    assert came == []


@needs_sandbox
def test_files_go_in_and_changed_ones_come_out():
    content = {"a": b"A", "gone": b"", "sub/b": b"B", "tool": File(b"#!/bin/sh\necho T", "100755"),
               "link": File(b"a", "120000")}  # fmt: skip
    ended = run(["/bin/sh", "-c", "ls -A; ./tool; cat link; echo C > sub/c; rm gone; cat sub/b; "
                 "echo e >&2; chmod +x a; ln -s sub/b l; ln -s /etc/passwd out; mkfifo pipe; "
                 "printf x > 'a\nb'; exit 7"], content)  # fmt: skip
    assert ended.status == 7
    assert ended.output.split() == ["a", "gone", "link", "sub", "tool", "T", "AB"]
    assert ended.errors == "e\n"
    assert ended.changed == {"sub/c": File(b"C\n"), "a": File(b"A", "100755"),
                             "l": File(b"sub/b", "120000")}  # fmt: skip
    assert ended.removed == ("gone",)
    assert set(ended.refused) == {"out", "a\nb"}


@needs_sandbox
def test_a_commit_goes_in_as_a_repository_and_what_git_ignores_stays(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.py").write_text("1\n")
    (source / ".gitignore").write_text("build\n*.log\n")
    (source / ".gitattributes").write_text("* text eol=crlf\n")
    repository = Repository.copy(source, tmp_path / "r.git")
    content = repository.content(repository.head())
    line = ("set -e; cat TASK.md; git status --short; git log --format=%s; echo 2 >> a.py; "
            "git diff --stat | tail -1; git commit -qam mine; mkdir build; echo o > build/o; "
            "echo l > x.log; git add -f x.log; echo n > new; cat")  # fmt: skip
    inputs = SandboxInputs(untracked={"TASK.md": b"do it\n"}, stdin=b"read me")
    ended = run(["/bin/sh", "-c", line], content, inputs=inputs)
    assert (ended.status, ended.errors) == (0, "")
    assert ended.output == (
        "do it\nthe folder as it was found\n 1 file changed, 1 insertion(+)\nread me"
    )
    assert ended.changed == {"a.py": File(b"1\n2\n"), "x.log": File(b"l\n"), "new": File(b"n\n")}
    assert (ended.ignored, ended.removed) == (("build/o",), ())


@pytest.mark.fault("R27")
@needs_sandbox
def test_more_files_than_the_limit_are_refused_with_its_name(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "big").write_bytes(os.urandom(3 << 20))
    repository = Repository.copy(tmp_path / "s", tmp_path / "r.git")
    content = repository.content(repository.head())
    with pytest.raises(SettingError, match="3 MiB in the repository; the limit disk_mb = 2"):
        run(["/bin/true"], content, Limits(disk_mb=2))
    assert run(["/usr/bin/wc", "-c", "big"], content, Limits(disk_mb=4)).output == "3145728 big\n"


@pytest.mark.fault("R27")
@needs_sandbox
def test_a_limit_that_was_hit_is_named_with_its_value():
    fill = "f = open('/task/x', 'wb')\nfor _ in range(99): f.write(b'x' * (1 << 20)); f.flush()"
    ended = python(fill, Limits(seconds=10, disk_mb=16))
    assert (ended.stopped, ended.status) == ("disk (disk_mb=16)", 1)
    caught = f"try:\n    exec({fill!r})\nexcept OSError: pass"
    ended = python(caught, Limits(seconds=10, disk_mb=16))
    assert (ended.stopped, ended.status) == ("", 0)  # it knew what to do
    fork = "import os, time\nfor _ in range(99): os.fork() or time.sleep(1) or os._exit(0)"
    ended = python(fork, Limits(seconds=10, processes=8))
    named = "" if "processes" in not_enforced() else "processes (processes=8)"
    assert (ended.stopped, ended.status) == (named, 1)
    assert python("import time; time.sleep(9)", Limits(seconds=0.5)).stopped == "seconds (0.5)"


@needs_sandbox
def test_the_environment_is_what_is_given():
    ended = python("import json, os; print(json.dumps(sorted(os.environ)))", env={"MINE": "1"})
    assert '"MINE"' in ended.output
    assert set(json.loads(ended.output)) <= {"HOME", "LANG", "LC_CTYPE", "MINE", "PATH", "PWD",
                                       "PYTHONDONTWRITEBYTECODE"}  # fmt: skip


@needs_sandbox
def test_commands_that_do_not_exist_and_folders_that_cannot_be_read(tmp_path):
    ended = run(["/bin/no-such-thing"], {})
    assert (ended.status, "No such file" in ended.errors) == (127, True)
    with pytest.raises(SettingError, match="not there"):
        run(["/bin/true"], {}, inputs=SandboxInputs(readable=[tmp_path / "none"]))
    with pytest.raises(SettingError, match="wanted a number"):
        Limits(seconds=0)


@needs_sandbox
def test_a_readable_folder_can_be_read_and_not_written():
    folder = Path("/usr/share/doc")
    ended = run(["/bin/sh", "-c", f"ls {folder} | head -1; touch {folder}/x"], {},
                inputs=SandboxInputs(readable=[folder]))  # fmt: skip
    assert ended.output
    assert ended.status != 0


@pytest.mark.fault("R17")
def test_without_bubblewrap_nothing_runs(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "apt-get install bubblewrap" in str(why_no_sandbox())
    with pytest.raises(MissingPackageError, match="apt-get install bubblewrap"):
        run(["/bin/true"], {})
    with pytest.raises(MissingPackageError, match="bubblewrap only"):
        sandbox.require_ready()


RESERVES = """
import mmap
hold = mmap.mmap(-1, 20 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
print("there")
"""
"""20 GiB of address space and no memory, as programs on Node do."""


@needs_sandbox
@pytest.mark.parametrize("total", [True, False])
def test_address_space_is_limited_only_where_nothing_limits_memory(monkeypatch, total):
    if total and "memory" in not_enforced():
        pytest.skip("no control group limits memory here")
    if not total:
        monkeypatch.setattr(sandbox, "not_enforced", lambda: ("memory", "processes"))
    assert ("there" in python(RESERVES).output) == total


@needs_sandbox
@pytest.mark.skipif("memory" in not_enforced(), reason="no control group limits memory here")
@pytest.mark.parametrize(("code", "stopped"), [(0, ""), (3, "memory (memory_mb=128)")])
def test_work_done_before_a_child_had_too_much_memory_comes_out(code, stopped):
    child = "hold = b'x' * (600 << 20)"
    ended = run(
        ["/bin/sh", "-c", f'echo done > file; {PYTHON} -c "{child}"; test $? = 137 && exit {code}'],
        {}, Limits(seconds=20, memory_mb=128),
    )  # fmt: skip
    assert (ended.status, ended.stopped) == (code, stopped)
    assert ended.changed["file"].data == b"done\n"


@needs_sandbox
def test_the_network_is_shared_where_it_is_asked_for(server):
    port, came = server
    code = (
        f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5); print('there')"
    )
    assert python(code).status != 0
    assert came == []
    ended = python(code, network=True)
    assert ended.output == "there\n"
    assert came == [1]
    ended = python(ESCAPES["abstract sockets"].replace("PORT", str(port)), network=True)
    assert ended.output == "OUT\n"  # as docs/capabilities/teams.md says
    assert python("print(open('/etc/passwd').read())", network=True).status != 0


@pytest.fixture
def marker():
    """A folder that everybody can read, whose name marks a sandbox."""
    folder = Path(tempfile.mkdtemp(prefix="counterpoint-marker-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    folder.rmdir()


def parent(marker: Path, code: str, seconds: float):
    """A process that runs a sandbox, which can be told by its readable folder."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["counterpoint.workers.sandbox.sandbox"])
    process = context.Process(
        target=run, args=([PYTHON, "-c", code], {}, Limits(seconds=seconds)),
        kwargs={"inputs": SandboxInputs(readable=[marker])},
    )  # fmt: skip
    process.start()
    return process


@pytest.mark.fault("R29")
@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("kills", [20, pytest.param(60, marks=pytest.mark.slow)])
def test_no_sandbox_outlives_a_parent_that_is_killed_at_any_moment(marker, kills):
    """Kills within twice the time of a start: some before bubblewrap is there, some after."""
    rng = random.Random(7)
    begun, started = 0, time.monotonic()
    process = parent(marker, STAY, 600)
    assert until(lambda: alive(marker), 20)
    start = time.monotonic() - started
    process.kill()
    process.join()
    assert until(lambda: not alive(marker), 5), alive(marker)
    for _ in range(kills):
        process = parent(marker, STAY, 600)
        time.sleep(rng.uniform(0, 2 * start))
        begun += bool(alive(marker))  # before the kill: afterwards a slow machine sees none
        process.kill()
        process.join()
        assert until(lambda: not alive(marker), 5), alive(marker)
    assert begun > kills / 5  # else the kills came too early to say anything


@needs_sandbox
def test_a_sandbox_ends_with_its_parent_though_it_stops_all_it_can(marker):
    process = parent(marker, STOP_ALL, 600)
    assert until(lambda: len(alive(marker)) >= 4, 20)
    time.sleep(0.5)
    process.kill()
    process.join()
    assert until(lambda: not alive(marker), 5), alive(marker)


@pytest.mark.slow
@needs_sandbox
def test_a_sandbox_ends_at_its_deadline_though_nobody_outside_ends_it(marker):
    process = parent(marker, STOP_ALL, 3)
    assert until(lambda: len(alive(marker)) >= 4, 2)
    os.kill(process.pid, signal.SIGSTOP)  # alive, so that the sandbox does not end with it
    inside = set(alive(marker)) - {process.pid}
    assert inside
    assert until(lambda: not set(alive(marker)) - {process.pid} - zombies(inside), 10)
    process.kill()
    process.join()
