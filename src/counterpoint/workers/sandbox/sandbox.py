"""A place where agents' code runs; what comes out of it is bytes, text and a status.

Bubblewrap with namespaces of its own: no network, no other processes, an empty environment, a file
system of which only /usr and what is named can be read, and one folder, `/task`, in memory and of
limited size. Files go in as objects of git or as bytes, and changed files come out as bytes, so
that nothing of this machine is shared for writing, and no path that comes out is ever followed.
As root, everything runs under a private user id. Start with `run`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from counterpoint.errors import MissingPackageError
from counterpoint.workers.repository.files import File
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.cgroups import not_enforced
from counterpoint.workers.sandbox.limits import Limits as Limits
from counterpoint.workers.sandbox.process import PYTHON as PYTHON
from counterpoint.workers.sandbox.process import Hear, converse
from counterpoint.workers.sandbox.transfer import Brought, way_in, way_out

INSTALL = "apt-get install bubblewrap"
RESULTS = "{results}"
"""What stands in a command for the file of its results; its place inside is another each time."""


@dataclass(frozen=True)
class Ended(Brought):
    """How a run in the sandbox ended, and what came out."""

    output: str = ""
    """Its standard output."""
    errors: str = ""
    """Its standard error."""
    seconds: float = 0.0
    """Wall clock."""
    stopped: str = ""
    """Which limit it ran into and its value, `seconds (60)`; or `the sandbox` where that broke.

    Too many seconds, files or bytes of output end it. A process that is killed because memory is
    over, a full disk and a process that cannot be started are errors inside: they are named where
    the command ends with a status that is not 0."""


def ready() -> str | None:
    """In words, why nothing can run in a sandbox here, and what to do; None if it can."""
    for tool in ("bwrap", *(("setpriv",) if os.geteuid() == 0 else ())):
        if shutil.which(tool) is None:
            return f"agents' code runs in bubblewrap only, and there is no {tool}: {INSTALL}"
    if not Path(PYTHON).exists():
        return f"the sandbox needs {PYTHON}: apt-get install python3"
    ended = run(["/bin/true"], {}, Limits(seconds=20))
    if ended.status != 0:
        why = " ".join((ended.errors or ended.stopped).split())
        return (
            f"bubblewrap cannot make a sandbox here ({why:.200}); it needs user namespaces: "
            "sysctl user.max_user_namespaces=15000"
        )
    return None


def require_ready() -> None:
    """Return where code can run in a sandbox.

    Raises:
        MissingPackageError: it cannot; the message says what to install.
    """
    why = ready()
    if why is not None:
        raise MissingPackageError(why)


def run(
    command: Sequence[str],
    content: Content | Mapping[str, bytes | File],
    limits: Limits | None = None,
    *,
    env: Mapping[str, str] | None = None,
    readable: Sequence[Path] = (),
    network: bool = False,
    given: Mapping[str, bytes] | None = None,
    beside: Mapping[str, bytes] | None = None,
    stdin: bytes = b"",
    bring: bool = True,
    report: bool = False,
    keep_setup: bool = False,
    hear: Hear | None = None,
) -> Ended:
    """Run a command in a sandbox of its own, in the folder `/task`.

    Args:
        command: program and arguments, as they are called inside; `{results}` in them is a file for
            results, outside of `/task`.
        content: what `/task` holds: the files of a commit, as a repository of that one commit in
            whose work folder the command starts; or path to content.
        limits: what it may use.
        env: the whole environment, besides PATH, HOME and LANG.
        readable: folders of this machine that can be read inside, at the same place. They have to
            be readable for everybody where this process is root.
        network: share the machine's network, names and certificates included.
        given: path inside to files that can only be read.
        beside: files in the work folder that are not part of the work: they are hidden from git,
            where the commit has none of that name, and never come out.
        stdin: what the command reads.
        bring: whether changed files come out.
        keep_setup: whether what the command leaves in `/setup` comes out.
        report: whether a runner of tests can report, to the descriptor in COUNTERPOINT_REPORT.
        hear: called with output and errors as they come.

    Raises:
        MissingPackageError: there is no bubblewrap.
        SettingError: a readable folder is not there, or not readable; the files are larger than the
            limit on them.
        OSError: this machine has no more processes, descriptors or control groups to give.
    """
    limits = limits or Limits()
    tool = shutil.which("bwrap")
    if tool is None:
        raise MissingPackageError(f"agents' code runs in bubblewrap only: {INSTALL}")
    told, body = way_in(content, limits, beside or {})
    results = (
        f"/tmp/{secrets.token_hex(16)}.xml" if any(RESULTS in word for word in command) else ""
    )
    told |= {
        "command": [word.replace(RESULTS, results) for word in command], "env": dict(env or {}),
        "stdin": len(stdin), "bring": bring, "keep": keep_setup, "report": report,
        "results": results, **asdict(limits),
        "address_mb": limits.memory_mb if "memory" in not_enforced() else 0,
    }  # fmt: skip
    feed = b"".join([json.dumps(told).encode(), b"\n", *body, stdin])
    inside = files("counterpoint.workers.inside").joinpath("inside.py").read_bytes()
    shown = {"/inside.py": inside, **(given or {})}
    objects = told["pack"] + told["setup"]
    said = converse(tool, limits, readable, network, feed, shown, objects, hear)
    brought = None if said.stopped else way_out(said.result, set(told["hidden"]))
    stopped = said.stopped or said.met or "the sandbox"
    if brought is not None:
        stopped = "seconds" if brought.late else said.met if brought.status != 0 else ""
    return Ended(
        **vars(brought or Brought()), output=said.output.decode(errors="replace"),
        errors=said.errors.decode(errors="replace"), seconds=said.seconds,
        stopped=limits.named(stopped),
    )  # fmt: skip
