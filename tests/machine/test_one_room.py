"""Gates: what only Unix has stands in one room, and every text file names its encoding."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "counterpoint"
LINUX = ("machine", "workers")
"""The rooms that may use what only Unix has: one has a fallback for it, one needs Linux."""
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "curses", "readline"}
NAMES = {
    *("os.fork", "os.getuid", "os.geteuid", "os.getgid", "os.setsid", "os.killpg", "os.getpgid"),
    *("os.pread", "os.pwrite", "os.mkfifo", "os.nice", "os.statvfs", "os.fchmod", "os.chown"),
    *("os.umask", "os.chmod", "os.sched_getaffinity", "os.sysconf", "os.uname", "os.kill"),
    *("os.O_DIRECTORY", "os.O_NOFOLLOW", "os.O_NONBLOCK", "signal.SIGKILL", "signal.SIGHUP"),
    *("signal.SIGALRM", "signal.SIGCHLD", "signal.SIGPIPE", "signal.SIGUSR1", "signal.setitimer"),
}


def only_unix(source: str) -> list[str]:
    """What only Unix has: modules, functions, signals, start methods of processes, /proc."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in NAMES:
            found.append(ast.unparse(node))
        elif isinstance(node, ast.keyword) and node.arg in ("dir_fd", "preexec_fn", "pass_fds"):
            found.append(str(node.arg))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [w for w in ("/proc/", "forkserver") if node.value.startswith(w)]
    return found


def without_encoding(source: str) -> list[str]:
    """Calls that open a file as text, or read the text of a process, in no given encoding."""
    found = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if "encoding" in given or None in given:
            continue
        is_open = name == "open" and isinstance(call.func, ast.Name)
        modes = [call.args[1:2] if is_open else call.args[:1], [given.get("mode")]]
        mode = next((m.value for some in modes for m in some if isinstance(m, ast.Constant)), "r")
        is_text = {
            "open": is_open and "b" not in str(mode),
            "fdopen": "b" not in str(getattr((*call.args[1:2], None)[0], "value", "r")),
            "read_text": not call.args,
            "write_text": len(call.args) < 2,
            "run": "text" in given,
            "Popen": "text" in given,
        }
        if is_text.get(name):
            found.append(f"{call.lineno}: {name}")
    return found


@pytest.mark.parametrize(
    "planted",
    [
        "import fcntl",
        "def f():\n    from termios import tcgetattr",
        "import os\nos.fork()",
        "import os\nhandle = os.open(x, os.O_DIRECTORY)",
        "import signal\nsignal.signal(signal.SIGHUP, f)",
        "open('/proc/self/status', encoding='utf-8')",
        "os.open(x, 0, dir_fd=3)",
        "multiprocessing.get_context('forkserver')",
    ],
)
def test_the_gate_finds_what_only_unix_has(planted):
    assert only_unix(planted)


PLANTED = ("open(p)", "open(p, 'w')", "p.read_text()", "p.write_text(t)", "run(x, text=True)")
CLEAN = (
    *("open(p, 'rb')", "open(p, encoding='utf-8')", "p.write_text(t, 'utf-8')", "p.open('rb')"),
    *("archive.open(member)", "subprocess.run(x)", "os.open(p, 0)"),
)


def test_the_gate_finds_text_without_an_encoding():
    assert all(map(without_encoding, PLANTED))
    assert not any(map(without_encoding, CLEAN))


def test_our_rooms_pass_both():
    unix, texts = {}, {}
    for path in PACKAGE.rglob("*.py"):
        name, source = str(path.relative_to(PACKAGE)), path.read_text(encoding="utf-8")
        if (found := without_encoding(source)) and not name.startswith("workers/inside/"):
            texts[name] = found
        if name.split("/")[0] not in LINUX and (found := only_unix(source)):
            unix[name] = found
    assert unix == {}
    assert texts == {}
