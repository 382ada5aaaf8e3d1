"""Which folders of this machine may be read in a sandbox. Start with `require_readable`."""

from __future__ import annotations

import os
from pathlib import Path

from counterpoint.errors import SettingError

KERNEL = ("/proc", "/sys", "/dev", "/run", "/var/run")
"""Processes, devices and sockets: neither these, nor anything below."""
WHOLE = ("/", "/etc", "/root", "/home", "/tmp", "/var/tmp")
"""What holds files of everybody: not as a whole, but single folders below."""
SECRET = (".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config/gcloud", ".config/gh",
          ".password-store")  # fmt: skip
"""The parts of a home folder that hold keys and passwords."""
OWN = ("/task", "/setup", "/inside.py")
"""Where a sandbox has its own files."""


def require_readable(folder: Path) -> Path:
    """Returns the real path of a folder, which may be a link, that can be shown in a sandbox.

    Raises:
        SettingError: it is not there, or not readable; it would show the keys, processes, devices
            or sockets of this machine; or the sandbox has something else at its place.
    """
    try:
        real, place = folder.resolve(), Path(os.path.normpath(folder.absolute()))
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingError(f"got readable folder {folder} ({error}); wanted a folder") from None
    for each in (real, place):
        if shows := exposed_secret(each):
            raise SettingError(
                f"got readable folder {folder}, which shows {shows} to the sandbox; wanted a "
                "folder with nothing but what the tests and the workers need"
            )
    if any(_overlaps(place, Path(each)) for each in OWN):
        raise SettingError(f"got readable folder {folder}; inside, the sandbox has its own there")
    if not real.is_dir() or not is_readable(real):
        raise SettingError(
            f"got readable folder {folder}, which is not there or not readable for everybody; "
            "wanted one that the sandbox's user can read: chmod o+rx, its parents too"
        )
    return real


def exposed_secret(folder: Path) -> str:
    """Returns what of this machine a folder would show that no sandbox may see, or ""."""
    if str(folder) in WHOLE:
        return f"all of {folder}"
    for each in map(Path, KERNEL):
        if _overlaps(folder, each):
            return str(each)
    # the homes of this user, of root, and of the accounts of people, whose numbers begin at 1000
    import pwd  # Linux has it, where alone a sandbox is

    homes = {Path.home(), Path("/root")}
    homes |= {Path(each.pw_dir) for each in pwd.getpwall() if 1000 <= each.pw_uid < 60_000}
    for home in sorted(home.resolve() for home in homes if len(home.parts) > 1):
        if folder == home or folder in home.parents:
            return f"the home folder {home}"
        for name in SECRET:
            if _overlaps(folder, home / name):
                return str(home / name)
    return ""


def is_readable(folder: Path) -> bool:
    """Returns whether the sandbox's user can read a folder: any user, if this process is root."""
    if os.geteuid() != 0:
        return os.access(folder, os.R_OK | os.X_OK)
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


def _overlaps(folder: Path, place: Path) -> bool:
    """Returns whether a folder is a place, above it or below it."""
    return folder == place or folder in place.parents or place in folder.parents
