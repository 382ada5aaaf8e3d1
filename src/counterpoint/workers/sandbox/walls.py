"""The walls of the sandbox: the arguments of bubblewrap, and who runs it. Start with `walls`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from counterpoint.workers.sandbox.limits import SIDE
from counterpoint.workers.sandbox.readable import require_readable

PRIVATE_UIDS = 61_000, 61_184
"""User ids that Debian and systemd leave to nobody in particular: one is used as root."""
NETWORK = ("resolv.conf", "hosts", "nsswitch.conf", "ssl", "ca-certificates")
"""What of /etc is shown where the network is shared."""


def walls(
    disk_mb: int, room: int, readable: Sequence[Path], network: bool, shown: Mapping[str, int]
) -> list[str]:
    """The arguments of bubblewrap, up to the command.

    Bubblewrap's own `--die-with-parent` is not among them: it is set too late for a parent that
    is killed while bubblewrap starts, and can leave a half-made sandbox behind. The first program
    inside watches for the death of its parent instead (`inside.py`). It is process 1 there, which
    nothing inside can stop or kill.

    Args:
        disk_mb: size of what is written, in MiB, of which /tmp and /dev/shm have a part each.
        room: size of /task, in bytes: the same, and git's objects.
        readable: folders that can be read inside, at the same place.
        network: share the machine's network.
        shown: path inside to a descriptor from which a file that can only be read is made.

    Raises:
        SettingError: as `require_readable`.
    """
    side = str(max((disk_mb << 20) // SIDE, 1 << 16))
    line = [
        "--unshare-user", "--unshare-all", "--disable-userns", "--cap-drop", "ALL",
        "--as-pid-1", "--new-session", "--hostname", "sandbox",
        "--ro-bind", "/usr", "/usr", "--proc", "/proc",
        "--dev", "/dev", "--size", side, "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
        "--size", side, "--tmpfs", "/tmp", "--size", str(room), "--tmpfs", "/task",
        "--size", str(room), "--tmpfs", "/setup",
    ]  # fmt: skip
    for inside, handle in shown.items():
        line += ["--ro-bind-data", str(handle), inside]
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink():
            line += ["--symlink", f"usr/{name}", f"/{name}"]
        elif Path("/", name).is_dir():
            line += ["--ro-bind", f"/{name}", f"/{name}"]
    named = ("ld.so.cache", *(NETWORK if network else ()))
    for path in (Path("/etc", name) for name in named):
        if path.exists():
            line += ["--ro-bind", str(path.resolve()), str(path)]
    line += ["--share-net"] if network else []
    for folder in readable:
        line += ["--ro-bind", str(require_readable(folder)), os.path.normpath(folder.absolute())]
    return [*line, "--remount-ro", "/", "--chdir", "/task"]


def private_user() -> list[str]:
    """As root, the command that gives root up; each process of ours has a user id of its own."""
    if os.geteuid() != 0:
        return []
    low, high = PRIVATE_UIDS
    uid = str(low + os.getpid() % (high - low))
    return [str(shutil.which("setpriv")), "--reuid", uid, "--regid", uid, "--clear-groups",
            "--no-new-privs"]  # fmt: skip
