"""Running a toy run under strace, and reading what strace wrote."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

CHANGES = "write,pwrite64,fsync,fdatasync,/^rename,/^mkdir,/^unlink,rmdir,ftruncate,truncate,/^link"
CHILD = Path(__file__).with_name("faulty_commits.py")


@cache
def can_trace():
    """Whether strace is there and may trace."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "true"], capture_output=True).returncode == 0


needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to trace")


def run_under_strace(options, arguments, log):
    """Run `faulty_commits.py` with these arguments."""
    paths = [str(Path(__file__).parents[2] / "src"), *filter(None, sys.path)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = ["strace", "-f", "-q", "-o", str(log), *options]
    done = subprocess.run(
        [*command, sys.executable, str(CHILD), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Call:
    """One system call that changed something, with the paths of its file descriptors."""

    name: str
    paths: tuple[str, ...]
    data: bytes = b""
    number: int = 0
    creates: bool = False
    empties: bool = False


LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
FILE = re.compile(r"(?:\d+|AT_FDCWD)<((?:[^<>\\]|\\x[0-9a-f]{2})*)>")


def _bytes(escaped):
    return bytes.fromhex(escaped.replace("\\x", ""))


def read_calls(log):
    """The calls of a log that `strace -y -xx -s BIG` wrote, those that failed left out."""
    calls = []
    for line in Path(log).read_text().splitlines():
        match = LINE.match(line)
        if match is None or int(match[3]) < 0:
            continue
        name, told = match[1], match[2]
        assert "..." not in told.replace("0777", ""), line
        strings = [_bytes(text) for text, _ in STRING.findall(told)]
        files = [
            re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), f) for f in FILE.findall(told)
        ]
        if name in ("write", "pwrite64"):
            offset = int(told.rsplit(",", 1)[1]) if name == "pwrite64" else -1
            calls.append(Call(name, (files[0],), strings[0][: int(match[3])], offset))
        elif name in ("fsync", "fdatasync"):
            calls.append(Call("fsync", (files[0],)))
        elif name == "ftruncate":
            calls.append(Call("ftruncate", (files[0],), number=int(told.rsplit(",", 1)[1])))
        else:
            bases = files if name.endswith(("at", "at2")) else []
            paths = [
                os.path.join(base, path.decode())
                for base, path in zip([*bases, *[""] * 2], strings, strict=False)
            ]
            kind = "rmdir" if "AT_REMOVEDIR" in told else re.sub("(at|at2)$", "", name)
            calls.append(
                Call(kind, tuple(paths), creates="O_CREAT" in told, empties="O_TRUNC" in told)
            )
    return calls
