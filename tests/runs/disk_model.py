"""A disk that forgets: file operations replayed, and what a power loss may leave of them.

What POSIX promises, and no more: a file's bytes are safe after its own fsync, a name after the
fsync of its folder, and a rename is whole or not there. Everything else may be lost, each on its
own and in any order ("any"), or from some moment on, as in a journal ("ordered").
"""

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


@dataclass
class File:
    """Bytes as a reader sees them now, and as they are on the disk."""

    now: bytes = b""
    safe: bytes = b""

    def write(self, data, offset):
        """At an offset, or at the end for -1."""
        start = len(self.now) if offset < 0 else offset
        self.now = self.now[:start].ljust(start, b"\0") + data + self.now[start + len(data) :]

    def left(self, rng):
        """What a power loss leaves: the safe bytes, with none, some or zeros of the later ones."""
        if not self.now.startswith(self.safe):  # overwritten where it lies: anything
            return rng.choice([self.safe, self.now, self.now[: rng.randrange(len(self.now) + 1)]])
        new = self.now[len(self.safe) :]
        return self.safe + rng.choice([new[: rng.randrange(len(new) + 1)], bytes(len(new))])


@dataclass
class Folder:
    """Names as a reader sees them now, as they are on the disk, and the changes between."""

    now: dict = field(default_factory=dict)
    safe: dict = field(default_factory=dict)
    pending: list = field(default_factory=list)

    def change(self, clock, kind, *rest):
        """`put NAME NODE`, `drop NAME` or `move OLD NEW`."""
        _apply(self.now, kind, rest)
        self.pending.append((clock, kind, rest))

    def sync(self):
        """Everything so far is on the disk."""
        self.safe, self.pending = dict(self.now), []

    def left(self, rng, until):
        """What a power loss leaves: changes up to a moment, or any of them where that is None."""
        names = dict(self.safe)
        for clock, kind, rest in self.pending:
            if rng.random() < 0.5 if until is None else clock <= until:
                _apply(names, kind, rest)
        return names


def _apply(names, kind, rest):
    if kind == "put":
        names[rest[0]] = rest[1]
    elif kind == "drop":
        names.pop(rest[0], None)
    elif rest[0] in names:
        names[rest[1]] = names.pop(rest[0])


class Disk:
    """A tree under one root; replay calls, then ask what a power loss leaves."""

    def __init__(self, root):
        self.root, self.top, self.clock = PurePosixPath(root), Folder(), 0

    def _find(self, path):
        node = self.top
        for part in PurePosixPath(path).relative_to(self.root).parts:
            node = node.now[part]
        return node

    def replay(self, call):
        """Do what a call did; calls outside the root are passed over."""
        self.clock += 1
        paths = [PurePosixPath(path) for path in call.paths]
        if not paths or any(not path.is_relative_to(self.root) for path in paths):
            return
        path = paths[0]
        if call.name == "fsync":
            node = self._find(path)
            if isinstance(node, Folder):
                node.sync()
            else:
                node.safe = node.now
        elif call.name in ("write", "pwrite64"):
            self._find(path).write(call.data, call.number)
        elif call.name == "ftruncate":
            node = self._find(path)
            node.now = node.now[: call.number].ljust(call.number, b"\0")
        elif call.name == "open":
            folder = self._find(path.parent)
            if call.creates and path.name not in folder.now:
                folder.change(self.clock, "put", path.name, File())
            assert not call.empties, "no file of a run is emptied where it lies"
        elif call.name == "mkdir":
            self._find(path.parent).change(self.clock, "put", path.name, Folder())
        elif call.name in ("unlink", "rmdir"):
            self._find(path.parent).change(self.clock, "drop", path.name)
        elif call.name == "rename":
            assert path.parent == paths[1].parent, "renamed within one folder"
            self._find(path.parent).change(self.clock, "move", path.name, paths[1].name)
        else:
            raise AssertionError(f"a call that the model does not know: {call}")

    def lose_power(self, rng, target):
        """Write one possible state after a power loss now into a real folder."""
        until = None if rng.random() < 0.5 else rng.randrange(self.clock + 1)
        _write(self.top, target, rng, until)


def _write(folder, target, rng, until):
    os.makedirs(target, exist_ok=True)
    for name, node in folder.left(rng, until).items():
        if isinstance(node, Folder):
            _write(node, target / name, rng, until)
        else:
            Path(target / name).write_bytes(node.left(rng))
