"""A Python that lacks what only Unix has: put its folder first in PYTHONPATH as `sitecustomize`.

Every process that starts with it, children too, finds no Unix module, no function of `os` that
Windows lacks, no readable file in /proc, and (where `BARE_PLATFORM` says so) another
`sys.platform`. It is not Windows: the standard library still runs on this system.
"""

import builtins
import importlib
import io
import os
import signal
import sys

MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "crypt")
FUNCTIONS = (
    *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "setuid", "setsid", "getpgid"),
    *("setpgid", "killpg", "pread", "pwrite", "sched_getaffinity", "getloadavg", "mkfifo", "nice"),
    *("statvfs", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "chown", "wait3", "sysconf"),
    *("uname", "getpriority", "setpriority", "sendfile", "posix_fallocate"),
)
SIGNALS = ("SIGHUP", "SIGALRM", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGPIPE", "setitimer")
NEEDED = (
    *("asyncio", "concurrent.futures.process", "ctypes", "getpass", "http.server", "inspect"),
    *("multiprocessing.connection", "multiprocessing.popen_spawn_posix", "platform", "selectors"),
    *("multiprocessing.resource_tracker", "shutil", "sqlite3", "subprocess", "tarfile", "tempfile"),
    *("uuid", "webbrowser", "zipfile", "jinja2", "msgspec", "numpy.testing", "rich.live", "tyro"),
)


class NoUnix:
    """Finds no Unix module."""

    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def bare() -> None:
    early = os.environ.get("BARE_EARLY", "").split()
    for name in (*NEEDED, *early):  # what is not ours chooses its way by the real system
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, NoUnix())
    for name in FUNCTIONS:
        if hasattr(os, name):
            delattr(os, name)
    for name in SIGNALS:
        if hasattr(signal, name):
            delattr(signal, name)
    for owner, name in ((builtins, "open"), (io, "open"), (os, "open")):
        setattr(owner, name, _without_proc(getattr(owner, name)))
    if os.environ.get("BARE_PLATFORM"):
        sys.platform = os.environ["BARE_PLATFORM"]


def _without_proc(real):
    def opened(file, *rest, **options):
        if isinstance(file, str | os.PathLike) and os.fspath(file).startswith("/proc/"):
            raise FileNotFoundError(2, "No such file or directory", os.fspath(file))
        return real(file, *rest, **options)

    return opened


bare()
